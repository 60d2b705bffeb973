//! The patient's side of a visit.

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use base::{ApiError, Ctx, Json, Page, Paged, Path, Patient, Query, Source};
use money::{Cashier, NewPayment};
use records::his::PastVisit;
use records::id::{PatientId, VisitId};
use records::{LocalDate, Timestamp};
use serde::{Deserialize, Serialize};
use store::Tx;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::booking::{self, NewVisit};
use super::super::effects::{SUBJECT, hand, let_go, perform};
use super::super::policy::Moment;
use super::super::view::{Eyes, VisitView};
use super::super::visit::Rating;
use super::super::{ConsultationSettings, Hand, Moved, Progress, Visit, VisitState, board, lists, store as sql};
use super::{MaybeExtras, extras, read, views, visit_id};
use crate::messages::post_system;
use crate::{CareError, patients};

#[derive(Clone, Debug, Deserialize, ToSchema)]
struct EligibilityQuestion {
    /// Patient.
    patient_id: String,
    /// Department.
    department_code: String,
}

/// The visit an answer rests on: what the rule needs and no more. Whoever knows a person's name and number can enter
/// them as their patient; diagnoses and doctors stay between the hospital and the doctor of the visit (个人信息保护法 第二十八条).
#[derive(Clone, Debug, Serialize, ToSchema)]
struct LastVisit {
    /// Day.
    #[schema(value_type = String)]
    date: LocalDate,
    /// Department.
    department_name: String,
}

/// Whether the patient may be seen online.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Eligibility {
    /// Whether.
    eligible: bool,
    /// Why not, in plain words.
    reason: String,
    /// The hospital's period.
    within_days: u32,
    /// The visit it rests on.
    last_visit: Option<LastVisit>,
}

/// Asks the hospital whether the patient may be seen online in a department (复诊校验).
#[utoipa::path(post, path = "/visits/eligibility", tag = "visits", request_body = EligibilityQuestion,
    responses((status = 200, body = Eligibility), (status = 503, body = base::error::ErrorBody)))]
async fn eligibility(
    State(ctx): State<Ctx>,
    patient: Patient,
    Json(question): Json<EligibilityQuestion>,
) -> Result<Json<Eligibility>, ApiError> {
    let id = PatientId::parse(&question.patient_id).ok_or_else(ApiError::not_found)?;
    let account = patient.account.clone();
    let (row, rules) = ctx
        .store
        .read(&patient.scope(), move |tx| {
            let (id, account) = (id.clone(), account.clone());
            Box::pin(async move {
                let row = patients::store::own(tx, &account, &id).await?;
                Ok::<_, CareError>((row, base::settings::get::<ConsultationSettings>(tx).await?))
            })
        })
        .await?;
    let binding = row.binding();
    let his = binding
        .his_patient_id()
        .ok_or_else(|| ApiError::conflict("patient_unbound", "该就诊人尚未关联院内档案，请先在就诊人页面重试"))?;
    let answer = booking::follow_up(&ctx, &patient.tenant, his, &question.department_code, &rules).await;
    let answer = ApiError::of(answer)?;
    write_look(&ctx, &patient, &row.id, &question.department_code, answer.eligible).await?;
    let reason = match (answer.eligible, answer.reason.is_empty()) {
        (false, true) => format!(
            "近{}天内未在该科室就诊，不能线上复诊，请到医院就诊",
            rules.follow_up_days
        ),
        _ => answer.reason,
    };
    // A visit to another department is not what was asked about.
    let asked_about = |v: &PastVisit| v.department_code == question.department_code;
    Ok(Json(Eligibility {
        eligible: answer.eligible,
        reason,
        within_days: rules.follow_up_days,
        last_visit: answer.last_visit.filter(asked_about).map(|v| LastVisit {
            date: v.date,
            department_name: v.department_name,
        }),
    }))
}

/// Every look into the hospital's files is written down, before it is answered.
async fn write_look(
    ctx: &Ctx,
    patient: &Patient,
    id: &PatientId,
    department: &str,
    eligible: bool,
) -> Result<(), ApiError> {
    let (id, department) = (id.clone(), department.to_owned());
    ctx.store
        .write(&patient.scope(), move |tx| {
            let (id, department) = (id.clone(), department.clone());
            Box::pin(async move {
                let detail = serde_json::json!({ "department": department, "eligible": eligible });
                base::audit::record(tx, "patient.eligibility", id.as_str(), detail).await?;
                Ok::<_, CareError>(())
            })
        })
        .await?;
    Ok(())
}

async fn own(ctx: &Ctx, patient: &Patient, given: MaybeExtras, id: &VisitId) -> Result<VisitView, ApiError> {
    let account = patient.account.clone();
    read(ctx, &patient.scope(), &extras(given), id, Eyes::Patient, move |v| {
        v.account_id == account
    })
    .await
}

/// Books a visit: the place is locked in the hospital, to be paid within the time.
#[utoipa::path(post, path = "/visits", tag = "visits", request_body = NewVisit,
    responses((status = 201, body = VisitView), (status = 409, body = base::error::ErrorBody), (status = 422, body = base::error::ErrorBody)))]
async fn book(
    State(ctx): State<Ctx>,
    given: MaybeExtras,
    patient: Patient,
    Json(new): Json<NewVisit>,
) -> Result<(StatusCode, Json<VisitView>), ApiError> {
    // Goes on when the browser does not wait: what was begun is brought to its end.
    let (deps, who) = (ctx.clone(), patient.clone());
    let booked = tokio::spawn(async move { booking::book(&deps, &who, new).await });
    let id = booked.await.map_err(ApiError::internal)??;
    Ok((StatusCode::CREATED, Json(own(&ctx, &patient, given, &id).await?)))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// State.
    state: Option<String>,
    /// From 1.
    page: Option<u32>,
    /// Up to 100.
    size: Option<u32>,
}

/// Visits of the account, newest first.
#[utoipa::path(get, path = "/visits", tag = "visits", params(Wanted), responses((status = 200, body = Paged<VisitView>)))]
async fn list(
    State(ctx): State<Ctx>,
    given: MaybeExtras,
    patient: Patient,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Paged<VisitView>>, ApiError> {
    let page = Page {
        page: wanted.page.unwrap_or(1),
        size: wanted.size.unwrap_or(20),
    };
    let state = wanted.state.unwrap_or_default();
    let (deps, extras, account) = (ctx.clone(), extras(given), patient.account.clone());
    let (items, total) = ctx
        .store
        .read(&patient.scope(), move |tx| {
            let (deps, extras, account, state) = (deps.clone(), extras.clone(), account.clone(), state.clone());
            Box::pin(async move {
                let (rows, total) = lists::of_account(tx, &account, &state, page).await?;
                Ok::<_, CareError>((views(tx, &deps, &extras, &rows, Eyes::Patient).await?, total))
            })
        })
        .await?;
    Ok(Json(page.of(items, total)))
}

/// One's own visit.
#[utoipa::path(get, path = "/visits/{id}", tag = "visits", params(("id" = String, Path)), responses((status = 200, body = VisitView)))]
async fn show(
    State(ctx): State<Ctx>,
    given: MaybeExtras,
    patient: Patient,
    Path(id): Path<String>,
) -> Result<Json<VisitView>, ApiError> {
    Ok(Json(own(&ctx, &patient, given, &visit_id(&id)?).await?))
}

/// Where to pay.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct PayPage {
    /// Number of the payment.
    payment_id: String,
    /// The channel's page; absent when nothing is to be paid (any more).
    pay_url: Option<String>,
    /// State of the payment.
    state: String,
    /// Until when it may be paid.
    #[schema(value_type = String)]
    expires_at: Timestamp,
}

async fn own_in(tx: &mut Tx<'_>, patient: &Patient, id: &VisitId) -> Result<Visit, CareError> {
    let visit = sql::get(tx, id).await?;
    if visit.account_id != patient.account {
        return Err(CareError::Absent);
    }
    Ok(visit)
}

/// Opens the payment (or the one that is open) and answers the channel's page.
#[utoipa::path(post, path = "/visits/{id}/pay", tag = "visits", params(("id" = String, Path)),
    responses((status = 200, body = PayPage), (status = 409, body = base::error::ErrorBody), (status = 503, body = base::error::ErrorBody)))]
async fn pay(
    State(ctx): State<Ctx>,
    Extension(cashier): Extension<Cashier>,
    patient: Patient,
    source: Source,
    Path(id): Path<String>,
) -> Result<Json<PayPage>, ApiError> {
    let (id, deps, who) = (visit_id(&id)?, ctx.clone(), patient.clone());
    let payment = ctx
        .store
        .write(&patient.scope(), move |tx| {
            let (id, deps, who) = (id.clone(), deps.clone(), who.clone());
            Box::pin(async move { open_payment(tx, &deps, &who, &id).await })
        })
        .await?;
    // The channel wants to know it for its risk control, and takes no empty one.
    let payer = source.0.unwrap_or(std::net::Ipv4Addr::LOCALHOST.into());
    let payment = cashier.pay(&patient.tenant, &payment, &payer.to_string()).await?;
    Ok(Json(PayPage {
        payment_id: payment.id.as_str().to_owned(),
        pay_url: payment.pay_url,
        state: payment.state.as_str().to_owned(),
        expires_at: payment.expires_at,
    }))
}

async fn open_payment(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    patient: &Patient,
    id: &VisitId,
) -> Result<records::id::PaymentId, CareError> {
    let visit = own_in(tx, patient, id).await?;
    let may = Moment {
        progress: &visit.progress(),
        pay_until: visit.pay_until,
        check_in_from: None,
        rated: false,
        now: tx.now(),
    }
    .patient_may();
    let Some(expires_at) = visit.pay_until.filter(|_| may.contains(&"pay")) else {
        let words = match visit.state {
            VisitState::AwaitingPayment => "支付时间已过，请重新预约".to_owned(),
            state => format!("当前状态“{}”不能支付", state.text()),
        };
        return Err(ApiError::conflict("visit_state", words).into());
    };
    let new = NewPayment {
        subject_kind: SUBJECT,
        subject_id: id.as_str().to_owned(),
        account_id: patient.account.as_str().to_owned(),
        description: format!("线上复诊-{}", visit.department_name),
        amount_fen: visit.fee_fen,
        expires_at,
    };
    Ok(money::open(tx, &ctx.ids, &new).await?.id)
}

#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
struct Reason {
    /// Why.
    #[serde(default)]
    reason: String,
}

/// Cancels a visit that has not begun. An unpaid one is closed at the channel first; a paid one is refunded.
#[utoipa::path(post, path = "/visits/{id}/cancel", tag = "visits", params(("id" = String, Path)), request_body = Reason,
    responses((status = 200, body = VisitView), (status = 409, body = base::error::ErrorBody)))]
async fn cancel(
    State(ctx): State<Ctx>,
    Extension(cashier): Extension<Cashier>,
    given: MaybeExtras,
    patient: Patient,
    Path(id): Path<String>,
    Json(reason): Json<Reason>,
) -> Result<Json<VisitView>, ApiError> {
    let (id, deps, who) = (visit_id(&id)?, ctx.clone(), patient.clone());
    let wanted = id.clone();
    let closing = ctx
        .store
        .write(&patient.scope(), move |tx| {
            let (id, deps, who, reason) = (wanted.clone(), deps.clone(), who.clone(), reason.clone());
            Box::pin(async move {
                let mut visit = own_in(tx, &who, &id).await?;
                let why = match reason.reason.trim() {
                    "" => "患者取消".to_owned(),
                    words => format!("患者取消：{}", words.chars().take(100).collect::<String>()),
                };
                let hand = hand(tx);
                if visit.state == VisitState::AwaitingPayment {
                    return let_go(tx, &deps, &mut visit, VisitState::Cancelled, &why, &hand).await;
                }
                let moved = visit.progress().cancel(&why, &hand)?;
                perform(tx, &deps, &mut visit, moved).await?;
                Ok(None)
            })
        })
        .await?;
    if let Some(payment) = closing {
        cashier.finish_closing(&patient.tenant, &payment.id).await?;
    }
    board::announce(&ctx, &patient.tenant, &id).await;
    Ok(Json(own(&ctx, &patient, given, &id).await?))
}

/// Makes one transition of an own visit, with words of the system into the room.
async fn transition(
    ctx: &Ctx,
    patient: &Patient,
    id: &VisitId,
    said: &'static str,
    step: fn(Progress, &Hand) -> Moved,
) -> Result<(), ApiError> {
    let (wanted, deps, who) = (id.clone(), ctx.clone(), patient.clone());
    ctx.store
        .write(&patient.scope(), move |tx| {
            let (id, deps, who) = (wanted.clone(), deps.clone(), who.clone());
            Box::pin(async move {
                let mut visit = own_in(tx, &who, &id).await?;
                let moved = step(visit.progress(), &hand(tx))?;
                perform(tx, &deps, &mut visit, moved).await?;
                post_system(tx, &deps.vault, &id, said).await?;
                Ok::<_, CareError>(())
            })
        })
        .await?;
    board::announce(ctx, &patient.tenant, id).await;
    Ok(())
}

/// 报到.
#[utoipa::path(post, path = "/visits/{id}/check-in", tag = "visits", params(("id" = String, Path)),
    responses((status = 200, body = VisitView), (status = 409, body = base::error::ErrorBody)))]
async fn check_in(
    State(ctx): State<Ctx>,
    given: MaybeExtras,
    patient: Patient,
    Path(id): Path<String>,
) -> Result<Json<VisitView>, ApiError> {
    let id = visit_id(&id)?;
    let view = own(&ctx, &patient, given.clone(), &id).await?;
    if let Some(from) = view.check_in_from.filter(|from| ctx.now() < *from) {
        let words = format!("未到报到时间，请在{}后报到", from.local_text());
        return Err(ApiError::conflict("too_early", words));
    }
    transition(&ctx, &patient, &id, "患者已报到", |p, hand| p.check_in(hand)).await?;
    Ok(Json(own(&ctx, &patient, given, &id).await?))
}

/// The patient ends the visit.
#[utoipa::path(post, path = "/visits/{id}/finish", tag = "visits", params(("id" = String, Path)),
    responses((status = 200, body = VisitView), (status = 409, body = base::error::ErrorBody)))]
async fn finish(
    State(ctx): State<Ctx>,
    given: MaybeExtras,
    patient: Patient,
    Path(id): Path<String>,
) -> Result<Json<VisitView>, ApiError> {
    let id = visit_id(&id)?;
    let view = own(&ctx, &patient, given.clone(), &id).await?;
    // Both sides may press it; the second finds it done.
    if view.state != VisitState::Finished.as_str() {
        transition(&ctx, &patient, &id, "患者结束了问诊", |p, hand| p.finish(hand)).await?;
    }
    Ok(Json(own(&ctx, &patient, given, &id).await?))
}

/// Judges a finished visit, once.
#[utoipa::path(post, path = "/visits/{id}/rating", tag = "visits", params(("id" = String, Path)), request_body = Rating,
    responses((status = 200, body = VisitView), (status = 409, body = base::error::ErrorBody), (status = 422, body = base::error::ErrorBody)))]
async fn rate(
    State(ctx): State<Ctx>,
    given: MaybeExtras,
    patient: Patient,
    Path(id): Path<String>,
    Json(rating): Json<Rating>,
) -> Result<Json<VisitView>, ApiError> {
    let stars = [
        ("attitude", rating.attitude),
        ("professional", rating.professional),
        ("speed", rating.speed),
    ];
    if let Some((field, _)) = stars.iter().find(|(_, n)| !(1..=5).contains(n)) {
        return Err(ApiError::field(*field, "请选择1到5星"));
    }
    if rating.comment.chars().count() > 500 {
        return Err(ApiError::field("comment", "评价最多500字"));
    }
    let (id, who) = (visit_id(&id)?, patient.clone());
    let wanted = id.clone();
    ctx.store
        .write(&patient.scope(), move |tx| {
            let (id, who, rating) = (wanted.clone(), who.clone(), rating.clone());
            Box::pin(async move {
                let visit = own_in(tx, &who, &id).await?;
                if visit.state != VisitState::Finished {
                    return Err(ApiError::conflict("visit_state", "问诊结束后才能评价").into());
                }
                if !sql::rate(tx, &id, &rating).await? {
                    return Err(ApiError::conflict("rated", "您已评价过本次问诊").into());
                }
                base::audit::record(tx, "visit.rate", id.as_str(), serde_json::json!({})).await?;
                Ok::<_, CareError>(())
            })
        })
        .await?;
    board::announce(&ctx, &patient.tenant, &id).await;
    Ok(Json(own(&ctx, &patient, given, &id).await?))
}

pub(super) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new()
        .routes(routes!(eligibility))
        .routes(routes!(book, list))
        .routes(routes!(show))
        .routes(routes!(pay))
        .routes(routes!(cancel))
        .routes(routes!(check_in))
        .routes(routes!(finish))
        .routes(routes!(rate))
}
