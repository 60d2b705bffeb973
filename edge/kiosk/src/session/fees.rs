//! Bills: the code that opens the payment, what the appliance's journal says became of it, and the receipt.
//!
//! No money moves here. Whoever leaves in the midst loses nothing: the payment goes on without the terminal, and its
//! receipt is offered the next time.

use std::time::{Duration, Instant};

use records::his::Bill;

use super::{Ask, Session, Stage, Task, on_paper};
use crate::hospital::Person;
use crate::money::Paying;
use crate::paper::Document;

/// Paying on a phone takes longer than reading a page.
const PAYING: Duration = Duration::from_secs(180);

impl Session {
    /// How long silence is borne.
    pub(super) fn patience(&self) -> Duration {
        match &self.stage {
            Stage::Fee { paying, .. } if paying.is_open() => self.idle.max(PAYING),
            _ => self.idle,
        }
    }

    /// The bill on the screen whose payment is to be watched.
    pub fn watched(&self) -> Option<(&Person, &Bill)> {
        match &self.stage {
            Stage::Fee { bills, at, paying, .. } if paying.is_open() => self.person().zip(bills.get(*at)),
            _ => None,
        }
    }

    pub(super) fn choose_bill(&mut self, at: usize) -> Vec<Ask> {
        let Stage::Fees { bills, receipts, .. } = self.stage.clone() else {
            return Vec::new();
        };
        if at < bills.len() {
            self.stage = Stage::Fee {
                bills,
                receipts,
                at,
                paying: Paying::Open,
            };
        }
        Vec::new()
    }

    /// Back to the list; to a fresh one when the bill is no longer to be paid.
    pub(super) fn leave_bill(
        &mut self,
        bills: Vec<Bill>,
        receipts: Vec<Document>,
        at: usize,
        paying: &Paying,
    ) -> Vec<Ask> {
        if *paying == Paying::Open {
            self.stage = Stage::Fees {
                page: at / super::ROWS,
                bills,
                receipts,
            };
            return Vec::new();
        }
        self.begin(Task::Fees)
    }

    /// How the payment of a bill stands. News gives time to read it; a receipt comes out by itself, once.
    pub(super) fn paying(&mut self, bill_id: &str, news: Paying, now: Instant) -> Vec<Ask> {
        let Stage::Fee { bills, at, paying, .. } = &mut self.stage else {
            return Vec::new();
        };
        if bills.get(*at).is_none_or(|b| b.bill_id != bill_id) || *paying == news || !paying.is_open() {
            return Vec::new();
        }
        *paying = news;
        let mut asks = Vec::new();
        let proven = self.card.is_none();
        if let Some(receipt) = paying.receipt_mut().filter(|_| proven) {
            let key = receipt.key.clone();
            asks.extend(on_paper(receipt));
            self.watch(&key);
        }
        self.touch(now);
        asks
    }

    pub(super) fn print_receipt(&mut self, at: usize) -> Vec<Ask> {
        if !self.is_proven() {
            return self.verify();
        }
        let receipt = match &mut self.stage {
            Stage::Fees { receipts, .. } => receipts.get_mut(at),
            Stage::Fee { paying, .. } => paying.receipt_mut(),
            _ => None,
        };
        let Some(receipt) = receipt else {
            return Vec::new();
        };
        let key = receipt.key.clone();
        let ask = on_paper(receipt);
        self.watch(&key);
        ask.into_iter().collect()
    }
}
