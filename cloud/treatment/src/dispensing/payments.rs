//! The prescription as something that is paid for.

use ::store::{StoreError, Tx};
use async_trait::async_trait;
use base::Ctx;
use money::{Keep, Payment, PaymentSubject, Refund, WriteBack};
use records::his::{BillConfirm, BillPayment, BillRefund, RefundRecord};
use records::id::PrescriptionId;
use records::{Actor, TenantId};

use super::{SUBJECT, order, run_out};
use crate::prescribing::State;
use crate::prescribing::store::{self as table};

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
        let chart = match PrescriptionId::parse(&payment.subject_id) {
            Some(id) => table::find(tx, &id).await?,
            None => None,
        };
        let Some(mut chart) = chart else {
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
        let request = BillPayment {
            order_number: payment.id.to_string(),
            his_patient_id: chart.his_patient_id.clone(),
            bill_ids: vec![bill],
            channel_number: payment.channel_number.clone().unwrap_or_default(),
            amount_fen: payment.amount_fen,
            paid_at: payment.paid_at.unwrap_or(now),
        };
        order::<BillConfirm>(tx, &chart, format!("{}.confirm", payment.id), &request).await?;
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
        let chart = match PrescriptionId::parse(&payment.subject_id) {
            Some(id) => table::find(tx, &id).await?,
            None => None,
        };
        // Only a payment the HIS confirmed is in its books.
        let Some((chart, his_order_number)) = chart.and_then(|c| c.his_order_number.clone().map(|n| (c, n))) else {
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
        order::<BillRefund>(tx, &chart, format!("{}.write_back", refund.id), &record).await?;
        Ok(WriteBack::Pending)
    }

    async fn announce(&self, tenant: &TenantId, payment: &Payment) {
        if let Some(id) = PrescriptionId::parse(&payment.subject_id) {
            crate::announce(&self.0, tenant, &id).await;
        }
    }
}
