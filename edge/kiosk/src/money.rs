//! The payment of a bill, as the appliance knows it: money that arrived at the channel comes down the line as the command
//! `bill.confirm_payment`, which the bridge journals before it tells the hospital. The terminal reads that journal and
//! believes nothing else: what is lost, unknown or refused there is told here in the same words.

use std::time::Duration;

use his::journal::{self, Entry, State};
use records::his::{Bill, BillConfirm, BillPayment, BillReceipt, BillRefund, Operation};
use records::{Outcome, Timestamp};
use store::{Scope, Store, StoreError};

use crate::hospital::Person;
use crate::paper::{self, Document};

/// For so long a receipt is offered.
const OFFERED: Duration = Duration::from_secs(7 * 24 * 3600);

/// How the payment of a bill stands.
#[derive(Clone, Debug, PartialEq)]
pub enum Paying {
    /// No payment has been heard of.
    Open,
    /// The money is there, the hospital is being told.
    Arrived,
    /// The money is there; whether the hospital has heard of it is being asked.
    Asking,
    /// Paid, with its receipt.
    Paid(Box<Document>),
    /// The hospital refused it, in its words: the money goes back.
    Refused(String),
    /// The money is there, and a person has to settle it with the hospital.
    Hand,
}

impl Paying {
    /// Whether news may come.
    pub const fn is_open(&self) -> bool {
        matches!(self, Self::Open | Self::Arrived | Self::Asking)
    }

    pub(crate) fn receipt_mut(&mut self) -> Option<&mut Document> {
        match self {
            Self::Paid(receipt) => Some(receipt),
            _ => None,
        }
    }
}

/// The appliance's journal, for money.
#[derive(Clone)]
pub(crate) struct Money {
    pub(crate) store: Store,
    pub(crate) scope: Scope,
    /// The hospital's name, for paper.
    pub(crate) hospital: String,
}

fn payment(entry: &Entry) -> Option<BillPayment> {
    serde_json::from_value(entry.request.clone()).ok()
}

impl Money {
    /// How the payment of this bill stands.
    pub(crate) async fn look(&self, person: &Person, bill: &Bill) -> Result<Paying, StoreError> {
        let Some(prescription) = bill.prescription_number.clone() else {
            return Ok(Paying::Open);
        };
        let entries = self.store.read(&self.scope, move |tx| {
            let subject = prescription.clone();
            Box::pin(async move { journal::of_subject(tx, &subject, BillConfirm::METHOD).await })
        });
        // A repeat by hand has a key of its own: the newest says how it stands, unless an older one was done after all.
        let mut stands = Paying::Open;
        for entry in entries.await? {
            let Some(paid) = payment(&entry) else { continue };
            if paid.his_patient_id != person.his_patient_id || !paid.bill_ids.contains(&bill.bill_id) {
                continue;
            }
            stands = match (entry.work.state, &entry.work.outcome) {
                (State::Done, Some(Outcome::Done(answer))) => {
                    let receipt = serde_json::from_value::<BillReceipt>(answer.clone()).ok();
                    return Ok(Paying::Paid(Box::new(paper::receipt(
                        &self.hospital,
                        person,
                        &paid,
                        receipt.as_ref(),
                        Some(bill),
                    ))));
                }
                (State::Refused, Some(Outcome::Refused { text, .. })) => Paying::Refused(text.clone()),
                (State::NeedsHand | State::Done | State::Refused, _) => Paying::Hand,
                (State::Unknown, _) => Paying::Asking,
                (State::Queued | State::Sending | State::Waiting, _) => Paying::Arrived,
            };
        }
        Ok(stands)
    }

    /// Receipts of what this person paid of late, the newest first. What was paid back has none.
    pub(crate) async fn receipts(&self, person: &Person, now: Timestamp) -> Result<Vec<Document>, StoreError> {
        let (after, patient) = (now.minus(OFFERED), person.his_patient_id.clone());
        let found = self.store.read(&self.scope, move |tx| {
            let patient = patient.clone();
            Box::pin(async move {
                let mut kept = Vec::new();
                for entry in journal::since(tx, BillConfirm::METHOD, after).await? {
                    let Some(paid) = payment(&entry).filter(|p| p.his_patient_id == patient) else {
                        continue;
                    };
                    let Some(Outcome::Done(answer)) = entry.work.outcome.clone() else {
                        continue;
                    };
                    let back = journal::of_subject(tx, &entry.subject, BillRefund::METHOD).await?;
                    if back.iter().all(|b| b.work.state == State::Refused) {
                        kept.push((paid, serde_json::from_value::<BillReceipt>(answer).ok()));
                    }
                }
                Ok::<_, StoreError>(kept)
            })
        });
        let receipt = |(paid, receipt): (BillPayment, Option<BillReceipt>)| {
            paper::receipt(&self.hospital, person, &paid, receipt.as_ref(), None)
        };
        Ok(found.await?.into_iter().rev().map(receipt).collect())
    }
}
