//! From approval to the patient's hands: submitted to the HIS, billed, paid, confirmed, printed at the window or sent.
//!
//! Nothing here asks the HIS directly: a command leaves with the unit of work that wants it, and its result moves the
//! prescription. Each command is ordered once (its key names prescription and act), and every state that waits for the
//! HIS is left by a result, by a person ([`Chart::needs_hand`]), or by expiry.
//!
//! ```text
//! approved ─ prescription.submit ─▶ sent_to_his ─ prescription.review.push ─▶ awaiting_payment ─ channel ─▶ paid
//!    paid ─ bill.confirm_payment ─▶ dispensing ─ print.job / delivery.push ─▶ ready / shipped ─▶ collected
//! refused by the HIS: submit, review → rejected; payment → revoked and the money back (then bill.refund if it knew)
//! ```

pub(crate) mod by_hand;
pub(crate) mod effects;
mod payments;
mod routes;

use ::store::{StoreError, Tx};
use base::hospital;
use base::{ApiError, Ctx};
use records::document::{PrescriptionDocument, canonical};
use records::his::{
    DeliveryNotice, Operation, PrescriptionOpinion, PrescriptionReview, PrescriptionRevoke, PrescriptionSubmit,
    PrescriptionWithdrawal, SubmittedItem, SubmittedPrescription,
};
use records::{HisCommand, LocalDate};

use crate::prescribing::store::{self as table, Chart};
use crate::prescribing::{Event, Kind, Prescription, State};
use crate::signing::{self, Purpose};

pub use effects::{on_command_result, on_print_state};
pub use payments::PrescriptionPayments;

/// The routes of dispensing.
pub(crate) fn routes() -> utoipa_axum::router::OpenApiRouter<Ctx> {
    routes::routes().merge(by_hand::routes())
}

/// The subject kind of our payments.
pub const SUBJECT: &str = "prescription";
/// Letters of codes that are read aloud or typed: no 0, O, 1, I, L.
const CODE_LETTERS: &[u8; 31] = b"23456789abcdefghjkmnpqrstuvwxyz";

/// Orders a HIS write about a prescription.
pub(crate) async fn order<O: Operation>(
    tx: &mut Tx<'_>,
    chart: &Chart,
    key: String,
    request: &O::Request,
) -> Result<(), StoreError> {
    let request = serde_json::to_value(request).map_err(|e| StoreError::Constraint { message: e.to_string() })?;
    let command = HisCommand {
        key,
        method: O::METHOD.to_owned(),
        subject: chart.id.to_string(),
        request,
    };
    hospital::command(tx, &command).await
}

/// A code of `N` letters.
pub(crate) fn code<const N: usize>(ids: &records::Ids) -> String {
    let letters = CODE_LETTERS.len();
    ids.random::<N>()
        .iter()
        .map(|b| {
            CODE_LETTERS
                .get(usize::from(*b) % letters)
                .copied()
                .map_or('2', char::from)
        })
        .collect()
}

/// The pharmacist approved: the prescription is on its way to the HIS, and from now on anybody can verify it.
pub(crate) async fn approved(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    chart: &mut Chart,
    to: (Prescription, Event),
    pharmacist_code: &str,
) -> Result<(), ApiError> {
    let opinion = PrescriptionOpinion {
        prescription_number: chart.id.to_string(),
        pharmacist_code: pharmacist_code.to_owned(),
        approved: true,
        reason: String::new(),
        reviewed_at: to.1.at,
    };
    chart.opinion = serde_json::to_value(&opinion).ok();
    let code = chart.verify_code.get_or_insert_with(|| code::<16>(&ctx.ids)).clone();
    table::moved(tx, chart, to).await?;
    crate::verify::store::publish(tx, &code, &chart.id).await?;
    submit(tx, ctx, chart, format!("{}.submit", chart.id)).await
}

/// Orders the prescription itself; a repeat that a person asks for has a key of its own, and the HIS knows the number.
pub(crate) async fn submit(tx: &mut Tx<'_>, ctx: &Ctx, chart: &Chart, key: String) -> Result<(), ApiError> {
    let submitted = submitted(tx, ctx, chart).await?;
    Ok(order::<PrescriptionSubmit>(tx, chart, key, &submitted).await?)
}

/// What the HIS gets: read from the bytes the doctor signed, with the codes of the lines.
async fn submitted(tx: &mut Tx<'_>, ctx: &Ctx, chart: &Chart) -> Result<SubmittedPrescription, ApiError> {
    let kept = signing::store::of_subject(tx, Purpose::Prescription, chart.id.as_str()).await?;
    let kept = kept.ok_or_else(|| ApiError::internal("an approved prescription has no signature"))?;
    let bytes = kept.document(&ctx.vault, &tx.tenant().clone())?;
    let document: PrescriptionDocument = serde_json::from_slice(&bytes).map_err(ApiError::internal)?;
    debug_assert_eq!(canonical(&document).ok().as_deref(), Some(bytes.as_slice()));
    let items = chart.lines()?.into_iter().map(|l| SubmittedItem {
        code: l.drug_code,
        name: l.name,
        dose: l.dose,
        dose_unit: l.dose_unit,
        route_code: l.route_code,
        frequency_code: l.frequency_code,
        days: l.days,
        quantity: l.quantity,
        quantity_unit: l.quantity_unit,
        amount_fen: l.amount_fen,
    });
    let herbal = chart.herbal()?;
    let usage = |h: &crate::prescribing::Herbal| {
        if h.decoction {
            format!("{}（代煎）", h.usage)
        } else {
            h.usage.clone()
        }
    };
    Ok(SubmittedPrescription {
        prescription_number: chart.id.to_string(),
        visit_order_number: chart.visit_id.to_string(),
        his_patient_id: chart.his_patient_id.clone(),
        doctor_code: chart.doctor_code.clone(),
        department_code: chart.department_code.clone(),
        diagnoses: document.diagnoses,
        kind: chart.kind.as_str().to_owned(),
        items: items.collect(),
        herbal_doses: herbal.as_ref().filter(|_| chart.kind == Kind::Herbal).map(|h| h.doses),
        herbal_decoction: herbal
            .as_ref()
            .filter(|_| chart.kind == Kind::Herbal)
            .map(|h| h.decoction),
        herbal_usage: herbal.as_ref().filter(|_| chart.kind == Kind::Herbal).map(usage),
        total_fen: chart.total_fen,
        document_sm3: kept.document_sm3,
        signed_at: kept.signed_at,
        verify_code: chart.verify_code.clone(),
        valid_until: Some(document.valid_until),
    })
}

/// Orders the opinion.
pub(crate) async fn push_opinion(tx: &mut Tx<'_>, chart: &Chart, key: String) -> Result<(), StoreError> {
    let opinion = chart
        .opinion
        .clone()
        .and_then(|o| serde_json::from_value::<PrescriptionOpinion>(o).ok());
    let opinion = opinion.ok_or_else(|| StoreError::Constraint {
        message: "an approved prescription has no opinion".to_owned(),
    })?;
    order::<PrescriptionReview>(tx, chart, key, &opinion).await
}

/// Tells the HIS, if it has the prescription, that it is void.
pub(crate) async fn withdraw(tx: &mut Tx<'_>, chart: &Chart, reason: &str) -> Result<(), StoreError> {
    if chart.his_number.is_none() {
        // It may be on its way: the result of the submission will find the prescription void and withdraw it then.
        return Ok(());
    }
    withdraw_as(tx, chart, reason, format!("{}.revoke", chart.id)).await
}

/// The same with a key of its own.
pub(crate) async fn withdraw_as(tx: &mut Tx<'_>, chart: &Chart, reason: &str, key: String) -> Result<(), StoreError> {
    let withdrawal = PrescriptionWithdrawal {
        prescription_number: chart.id.to_string(),
        reason: reason.to_owned(),
    };
    order::<PrescriptionRevoke>(tx, chart, key, &withdrawal).await
}

/// What follows when a prescription is void (revoked or expired): the open payment is closed, paid money goes back, the
/// HIS is told. A HIS that knows the payment is told of the refund first, and of the revocation when it has taken that.
pub(crate) async fn let_go(tx: &mut Tx<'_>, ctx: &Ctx, chart: &Chart, reason: &str) -> Result<(), ApiError> {
    let payments = money::payments_of(tx, SUBJECT, chart.id.as_str()).await?;
    let mut money_first = false;
    for payment in payments {
        use money::PaymentState as P;
        match payment.state {
            P::Created | P::Pending => {
                money::begin_close(tx, &payment.id, reason).await?;
            }
            state if state.holds_money() => {
                money::open_refund(tx, &ctx.ids, &payment.id, reason).await?;
                money_first = true;
            }
            _ => {}
        }
    }
    if !money_first {
        withdraw(tx, chart, reason).await?;
    }
    Ok(())
}

/// How a parcel stands, for the HIS. `status` is `ordered`, `shipped` or `delivered`.
pub(crate) async fn tell_delivery(tx: &mut Tx<'_>, ctx: &Ctx, chart: &Chart, status: &str) -> Result<(), StoreError> {
    let tenant = tx.tenant().clone();
    let Some(address) = chart
        .address(&ctx.vault, &tenant)
        .filter(|_| chart.fulfilment.as_deref() == Some("delivery"))
    else {
        return Ok(());
    };
    let notice = DeliveryNotice {
        prescription_number: chart.id.to_string(),
        waybill: chart.waybill.clone().unwrap_or_else(|| chart.id.to_string()),
        company: chart.courier.clone().unwrap_or_else(|| "hospital".to_owned()),
        status: status.to_owned(),
        receiver: address.name,
        phone: address.phone,
        address: format!("{}{}", address.region, address.detail),
    };
    order::<records::his::DeliveryPush>(tx, chart, format!("{}.delivery.{status}", chart.id), &notice).await
}

/// One round for one hospital: prescriptions past their last day expire. Where a payment is open the channel is asked
/// first: who paid in time is heard, and only then the prescription expires.
pub(crate) async fn expire(tx: &mut Tx<'_>, ctx: &Ctx, today: LocalDate) -> Result<Vec<Chart>, ApiError> {
    let mut expired = Vec::new();
    for mut chart in table::overdue(tx, today).await? {
        let payments = money::payments_of(tx, SUBJECT, chart.id.as_str()).await?;
        let (open, closing) = payments.iter().fold((None, false), |(open, closing), p| match p.state {
            money::PaymentState::Created | money::PaymentState::Pending => (Some(p.id.clone()), closing),
            money::PaymentState::Closing => (open, true),
            _ => (open, closing),
        });
        if chart.state == State::AwaitingPayment && (open.is_some() || closing) {
            if let Some(id) = open {
                money::begin_close(tx, &id, "处方已过有效期").await?;
            }
            continue;
        }
        run_out(tx, ctx, &mut chart).await?;
        expired.push(chart);
    }
    Ok(expired)
}

/// The prescription expires now.
pub(crate) async fn run_out(tx: &mut Tx<'_>, ctx: &Ctx, chart: &mut Chart) -> Result<(), ApiError> {
    let now = tx.now();
    let to = chart.prescription()?.expire(now)?;
    table::moved(tx, chart, to).await?;
    let_go(tx, ctx, chart, "处方已过有效期").await
}
