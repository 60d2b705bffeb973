//! The payment of a visit: opened once, paid on the channel's page.

use axum::Extension;
use axum::extract::State;
use base::{ApiError, Ctx, Json, Path, Patient, Source};
use money::{Cashier, NewPayment};
use records::Timestamp;
use records::id::VisitId;
use serde::Serialize;
use store::Tx;
use utoipa::ToSchema;

use super::own_in;
use crate::CareError;
use crate::consultation::VisitState;
use crate::consultation::effects::SUBJECT;
use crate::consultation::policy::Moment;
use crate::consultation::routes::visit_id;

/// Where to pay.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct PayPage {
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

/// Opens the payment (or the one that is open) and answers the channel's page.
#[utoipa::path(post, path = "/visits/{id}/pay", tag = "visits", params(("id" = String, Path)),
    responses((status = 200, body = PayPage), (status = 409, body = base::error::ErrorBody), (status = 503, body = base::error::ErrorBody)))]
pub(super) async fn pay(
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
