//! Payments over HTTP: the payer's view, the administrator's list, and the channel's callback.

use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use base::permission::Oversees;
use base::{ApiError, Ctx, Json, Page, Paged, Path, Patient, Query, Source, Staff, audit};
use bytes::Bytes;
use records::id::PaymentId;
use records::{Actor, Fen, LocalDate, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{Scope, StoreError, Tx};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::cashier::NoticeError;
use crate::channel::RawNotice;
use crate::payments::{self, Payment, PaymentState, store::Filter};
use crate::refunds::Refund;
use crate::{Cashier, MoneyError, PayError};

/// A notice is a few kilobytes.
const LARGEST_NOTICE: usize = 64 * 1024;

impl From<MoneyError> for ApiError {
    fn from(error: MoneyError) -> Self {
        match error {
            MoneyError::Absent => Self::not_found(),
            MoneyError::Payment(refusal) => Self::conflict(
                "payment_state",
                format!("当前支付状态“{}”不能进行此操作", refusal.state.text()),
            ),
            MoneyError::Refund(refusal) => Self::conflict(
                "refund_state",
                format!("当前退款状态“{}”不能进行此操作", refusal.state.text()),
            ),
            MoneyError::Store(error) => error.into(),
        }
    }
}

impl From<PayError> for ApiError {
    fn from(error: PayError) -> Self {
        match error {
            PayError::NotOpen(state) => Self::conflict("payment_state", format!("该订单{}，不能再支付", state.text())),
            PayError::NoTill => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "no_channel",
                "本院尚未开通在线支付，请联系医院",
            ),
            PayError::Refused { code, text } => {
                Self::conflict("channel_refused", format!("支付渠道未受理（{code}）：{text}"))
            }
            PayError::ChannelBusy => Self {
                retry_after: Some(5),
                ..Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "channel_busy",
                    "支付通道繁忙，请稍后再试",
                )
            },
            PayError::Money(error) => error.into(),
        }
    }
}

/// A payment as the API shows it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PaymentView {
    /// Number.
    pub id: String,
    /// State.
    pub state: String,
    /// State in words.
    pub state_text: String,
    /// Amount.
    pub amount_fen: i64,
    /// `visit` or `prescription`.
    pub subject_kind: String,
    /// Which one.
    pub subject_id: String,
    /// What it is for.
    pub description: String,
    /// The channel's transaction number.
    pub channel_number: Option<String>,
    /// When the money was taken.
    #[schema(value_type = Option<String>)]
    pub paid_at: Option<Timestamp>,
    /// When it lapses.
    #[schema(value_type = String)]
    pub expires_at: Timestamp,
    /// When it was opened.
    #[schema(value_type = String)]
    pub created_at: Timestamp,
    /// Its refund.
    pub refund: Option<RefundView>,
}

/// A refund as the API shows it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RefundView {
    /// Number.
    pub id: String,
    /// State.
    pub state: String,
    /// State in words.
    pub state_text: String,
    /// Amount.
    pub amount_fen: i64,
    /// Why.
    pub reason: String,
    /// When the payer got the money.
    #[schema(value_type = Option<String>)]
    pub returned_at: Option<Timestamp>,
    /// What a person has to look at.
    pub note: Option<String>,
}

impl PaymentView {
    /// The view of a payment with its refund.
    pub fn of(payment: Payment, refund: Option<Refund>) -> Self {
        Self {
            id: payment.id.into_string(),
            state: payment.state.as_str().to_owned(),
            state_text: payment.state.text().to_owned(),
            amount_fen: payment.amount_fen.0,
            subject_kind: payment.subject_kind,
            subject_id: payment.subject_id,
            description: payment.description,
            channel_number: payment.channel_number,
            paid_at: payment.paid_at,
            expires_at: payment.expires_at,
            created_at: payment.created_at,
            refund: refund.map(RefundView::of),
        }
    }

    /// The view of a payment, with its refund looked up.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn load(tx: &mut Tx<'_>, payment: Payment) -> Result<Self, StoreError> {
        let refund = crate::refund_of(tx, &payment.id).await?;
        Ok(Self::of(payment, refund))
    }
}

impl RefundView {
    fn of(refund: Refund) -> Self {
        let Fen(amount_fen) = refund.amount_fen;
        Self {
            id: refund.id.into_string(),
            state: refund.state.as_str().to_owned(),
            state_text: refund.state.text().to_owned(),
            amount_fen,
            reason: refund.reason,
            returned_at: refund.returned_at,
            note: refund.note,
        }
    }
}

/// One's own payment.
#[utoipa::path(get, path = "/payments/{id}", tag = "payments", params(("id" = String, Path)),
    responses((status = 200, body = PaymentView)))]
async fn show(State(ctx): State<Ctx>, patient: Patient, Path(id): Path<String>) -> Result<Json<PaymentView>, ApiError> {
    let id = PaymentId::parse(&id).ok_or_else(ApiError::not_found)?;
    let account = patient.account.clone();
    let view = ctx
        .store
        .read(&patient.scope(), move |tx| {
            let (id, account) = (id.clone(), account.clone());
            Box::pin(async move {
                let payment = payments::store::get(tx, &id).await?;
                if payment.account_id != account.as_str() {
                    return Err(ApiError::not_found());
                }
                Ok(PaymentView::load(tx, payment).await?)
            })
        })
        .await?;
    Ok(Json(view))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Number of the payment, of what it is for, or of the channel's transaction.
    q: Option<String>,
    /// State.
    state: Option<String>,
    /// First day (`YYYY-MM-DD`).
    from: Option<String>,
    /// Last day (`YYYY-MM-DD`).
    to: Option<String>,
    /// From 1.
    #[serde(default)]
    page: Option<u32>,
    /// Up to 100.
    #[serde(default)]
    size: Option<u32>,
}

fn day(field: &'static str, text: Option<&String>) -> Result<Option<LocalDate>, ApiError> {
    text.filter(|t| !t.is_empty())
        .map(|t| LocalDate::parse(t).map_err(|_| ApiError::field(field, "日期应为YYYY-MM-DD")))
        .transpose()
}

/// Payments of the hospital.
#[utoipa::path(get, path = "/admin/payments", tag = "admin", params(Wanted), responses((status = 200, body = Paged<PaymentView>)))]
async fn list(
    State(ctx): State<Ctx>,
    staff: Staff<Oversees>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Paged<PaymentView>>, ApiError> {
    let state = match wanted.state.as_deref().filter(|s| !s.is_empty()) {
        None => None,
        Some(word) => Some(PaymentState::parse(word).ok_or_else(|| ApiError::field("state", "没有这种支付状态"))?),
    };
    let filter = Filter {
        state,
        text: wanted.q.clone().filter(|q| !q.is_empty()),
        from: day("from", wanted.from.as_ref())?.map(LocalDate::start),
        to: day("to", wanted.to.as_ref())?.map(|d| d.plus_days(1).start()),
    };
    let page = Page {
        page: wanted.page.unwrap_or(1),
        size: wanted.size.unwrap_or(20),
    };
    let (items, total) = ctx
        .store
        .read(&staff.scope(), move |tx| {
            let filter = filter.clone();
            Box::pin(async move {
                let offset = i64::try_from(page.offset()).unwrap_or(i64::MAX);
                let (rows, total) = payments::store::page(tx, &filter, i64::from(page.limit()), offset).await?;
                let mut items = Vec::with_capacity(rows.len());
                for payment in rows {
                    items.push(PaymentView::load(tx, payment).await?);
                }
                Ok::<_, ApiError>((items, total))
            })
        })
        .await?;
    Ok(Json(page.of(items, u64::try_from(total).unwrap_or(0))))
}

#[derive(Serialize)]
struct Answer {
    code: &'static str,
    message: &'static str,
}

fn answer(status: StatusCode, code: &'static str, message: &'static str) -> (StatusCode, axum::Json<Answer>) {
    (status, axum::Json(Answer { code, message }))
}

/// The channel tells of a payment or refund. Answered after everything is committed.
#[utoipa::path(post, path = "/callbacks/wechat-pay/{merchant_id}", tag = "callbacks",
    params(("merchant_id" = String, Path)), request_body = String,
    responses((status = 200, description = "taken"), (status = 401, description = "refused")))]
async fn notice(
    State(ctx): State<Ctx>,
    axum::Extension(cashier): axum::Extension<Cashier>,
    Path(merchant_id): Path<String>,
    source: Source,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, axum::Json<Answer>) {
    let header = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let raw = RawNotice {
        timestamp: header("wechatpay-timestamp"),
        nonce: header("wechatpay-nonce"),
        signature: header("wechatpay-signature"),
        serial: header("wechatpay-serial"),
        body: &body,
    };
    match cashier.notified(&merchant_id, &raw).await {
        Ok(_) => answer(StatusCode::OK, "SUCCESS", "成功"),
        Err(NoticeError::NoTill) => answer(StatusCode::NOT_FOUND, "FAIL", "没有该商户"),
        Err(NoticeError::Refused(tenant, refusal)) => {
            tracing::warn!(notice.refusal = refusal.word(), "channel notice refused");
            write_refusal(&ctx, tenant, &merchant_id, refusal.word(), source.to_string()).await;
            answer(StatusCode::UNAUTHORIZED, "FAIL", "签名验证未通过")
        }
        Err(NoticeError::Money(MoneyError::Absent)) => answer(StatusCode::NOT_FOUND, "FAIL", "没有该订单"),
        Err(NoticeError::Money(error)) => {
            tracing::error!(%error, "channel notice not taken");
            answer(StatusCode::INTERNAL_SERVER_ERROR, "FAIL", "请稍后重试")
        }
    }
}

/// A refused notice goes into the audit chain: somebody may be trying. Of a flood only the first few do.
async fn write_refusal(ctx: &Ctx, tenant: TenantId, merchant_id: &str, word: &'static str, source: String) {
    const REFUSED: &str = "payment.notice_refused";
    let merchant = merchant_id.to_owned();
    let written = ctx
        .store
        .write(&Scope::new(tenant, Actor::Channel), move |tx| {
            let (merchant, source) = (merchant.clone(), source.clone());
            Box::pin(async move {
                if !base::flood::count(tx, REFUSED, &source).await? {
                    return Ok(());
                }
                let detail = json!({ "reason": word, "source": source });
                audit::record(tx, REFUSED, &merchant, detail).await
            })
        })
        .await;
    if let Err(error) = written.map_err(|e: StoreError| e) {
        tracing::error!(%error, "refused notice not audited");
    }
}

/// The routes of this crate. They need a [`Cashier`] as extension of the router.
pub fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new().routes(routes!(show)).routes(routes!(list)).merge(
        OpenApiRouter::new()
            .routes(routes!(notice))
            .layer(DefaultBodyLimit::max(LARGEST_NOTICE)),
    )
}

/// One round of the reconciler.
///
/// # Errors
/// When the database fails; the round is made again.
pub async fn tick(cashier: &Cashier) -> Result<(), PayError> {
    cashier.tick().await
}
