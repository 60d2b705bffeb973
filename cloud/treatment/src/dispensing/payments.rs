//! The prescription as something that is paid for.

use ::store::{StoreError, Tx};
use async_trait::async_trait;
use base::Ctx;
use money::{Keep, Payment, PaymentSubject, Refund, WriteBack};
use records::his::{BillConfirm, BillPayment, BillRefund, RefundRecord};
use records::id::PrescriptionId;
use records::{Actor, TenantId};

use super::{SUBJECT, order, run_out, withdraw};
use crate::prescribing::State;
use crate::prescribing::store::{self as table, Chart};

/// Registers prescriptions with the cashier.
#[derive(Clone)]
pub struct PrescriptionPayments(Ctx);

impl std::fmt::Debug for PrescriptionPayments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PrescriptionPayments")
    }
}

impl PrescriptionPayments {
    /// With what every handler works with.
    pub const fn new(ctx: Ctx) -> Self {
        Self(ctx)
    }
}

fn failed(error: impl std::fmt::Display) -> StoreError {
    StoreError::Constraint {
        message: error.to_string(),
    }
}

async fn chart_of(tx: &mut Tx<'_>, payment: &Payment) -> Result<Option<Chart>, StoreError> {
    match PrescriptionId::parse(&payment.subject_id) {
        Some(id) => table::find(tx, &id).await,
        None => Ok(None),
    }
}

/// Orders that the HIS takes a payment.
pub(super) async fn confirm(
    tx: &mut Tx<'_>,
    chart: &Chart,
    bill: &str,
    payment: &Payment,
    key: String,
) -> Result<(), StoreError> {
    let request = BillPayment {
        order_number: payment.id.to_string(),
        his_patient_id: chart.his_patient_id.clone(),
        bill_ids: vec![bill.to_owned()],
        channel_number: payment.channel_number.clone().unwrap_or_default(),
        amount_fen: payment.amount_fen,
        paid_at: payment.paid_at.unwrap_or(tx.now()),
    };
    order::<BillConfirm>(tx, chart, key, &request).await
}

/// Orders that the HIS books a refund. Only a payment the HIS confirmed is in its books.
async fn write_back(
    tx: &mut Tx<'_>,
    chart: &Chart,
    payment: &Payment,
    refund: &Refund,
    key: String,
) -> Result<WriteBack, StoreError> {
    let Some(his_order_number) = chart.his_order_number.clone() else {
        return Ok(WriteBack::NotNeeded);
    };
    let record = RefundRecord {
        order_number: payment.id.to_string(),
        his_order_number,
        refund_number: refund.id.to_string(),
        channel_refund_number: refund.channel_refund_number.clone().unwrap_or_default(),
        amount_fen: refund.amount_fen,
        refunded_at: refund.returned_at.unwrap_or(tx.now()),
        reason: refund.reason.clone(),
    };
    order::<BillRefund>(tx, chart, key, &record).await?;
    Ok(WriteBack::Pending)
}

#[async_trait]
impl PaymentSubject for PrescriptionPayments {
    fn kind(&self) -> &'static str {
        SUBJECT
    }

    async fn on_paid(&self, tx: &mut Tx<'_>, payment: &Payment) -> Result<Keep, StoreError> {
        let gone = |reason: &str| {
            Ok(Keep::No {
                reason: reason.to_owned(),
            })
        };
        let Some(mut chart) = chart_of(tx, payment).await? else {
            return gone("处方不存在");
        };
        let (now, prescription) = (tx.now(), chart.prescription()?);
        let Ok(to) = prescription.pay(now, &Actor::Channel) else {
            return gone(&format!("处方{}", chart.state.text()));
        };
        let Some(bill) = chart.bill_id.clone() else {
            return gone("处方没有账单");
        };
        table::moved(tx, &mut chart, to).await?;
        money::his_confirming(tx, &payment.id).await.map_err(failed)?;
        confirm(tx, &chart, &bill, payment, format!("{}.confirm", payment.id)).await?;
        Ok(Keep::Yes)
    }

    async fn on_closed(&self, tx: &mut Tx<'_>, payment: &Payment) -> Result<(), StoreError> {
        let Some(id) = PrescriptionId::parse(&payment.subject_id) else {
            return Ok(());
        };
        let Some(mut chart) = table::find(tx, &id).await? else {
            return Ok(());
        };
        let today = tx.now().local_date();
        let over = chart.valid_until.is_some_and(|last| today > last);
        if chart.state == State::AwaitingPayment && over {
            run_out(tx, &self.0, &mut chart).await.map_err(failed)?;
        }
        Ok(())
    }

    async fn on_returned(&self, tx: &mut Tx<'_>, payment: &Payment, refund: &Refund) -> Result<WriteBack, StoreError> {
        let chart = chart_of(tx, payment).await?;
        let Some(chart) = chart else {
            return Ok(WriteBack::NotNeeded);
        };
        write_back(tx, &chart, payment, refund, format!("{}.write_back", refund.id)).await
    }

    /// The HIS is told again, as a command of its own; it knows the refund by its number and books it once.
    async fn on_write_back_retry(&self, tx: &mut Tx<'_>, payment: &Payment, refund: &Refund) -> Result<(), StoreError> {
        let Some(mut chart) = chart_of(tx, payment).await? else {
            return Ok(());
        };
        chart.retries += 1;
        chart.needs_hand = None;
        table::save(tx, &chart).await?;
        let key = format!("{}.write_back.{}", refund.id, chart.retries);
        let detail = serde_json::json!({ "refund": refund.id.as_str(), "key": key });
        base::audit::record(tx, "prescription.write_back_retry", chart.id.as_str(), detail).await?;
        if write_back(tx, &chart, payment, refund, key).await? == WriteBack::NotNeeded {
            money::written_back(tx, &refund.id, None).await.map_err(failed)?;
        }
        Ok(())
    }

    /// A person has booked the refund with the hospital: what is left is that the HIS drops the prescription, as after a
    /// write-back of ours. The command keeps its key, so settling twice tells nothing twice.
    async fn on_settled_by_hand(&self, tx: &mut Tx<'_>, payment: &Payment, refund: &Refund) -> Result<(), StoreError> {
        let Some(mut chart) = chart_of(tx, payment).await? else {
            return Ok(());
        };
        chart.needs_hand = None;
        table::save(tx, &chart).await?;
        let detail = serde_json::json!({ "refund": refund.id.as_str() });
        base::audit::record(tx, "prescription.refund_settled_by_hand", chart.id.as_str(), detail).await?;
        withdraw(tx, &chart, "已退费").await
    }

    async fn announce(&self, tenant: &TenantId, payment: &Payment) {
        if let Some(id) = PrescriptionId::parse(&payment.subject_id) {
            crate::announce(&self.0, tenant, &id).await;
        }
    }
}
