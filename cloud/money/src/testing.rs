//! A payment channel in memory, with a ledger of its own and misbehaviour on command. Shared by the tests of this
//! crate and of those that sell something.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use money::channel::{
    Channel, ChannelOrder, ChannelRefund, ChannelRefundState, ChannelState, Closing, Notice, NoticeRefusal, PayPage,
    Prepay, RawNotice, RefundOrder, Says,
};
use records::id::{PaymentId, RefundId};
use records::{Fen, Outcome, Timestamp};
use serde_json::{Value, json};

/// How the next act of a kind goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing happens; nobody knows.
    SilentBefore,
    /// It happens; nobody knows.
    SilentAfter,
    /// Nothing happens, and that is said.
    Later,
    /// Refused.
    Refuse(&'static str),
}

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) amount: Fen,
    pub(crate) state: ChannelState,
    pub(crate) refunded: Fen,
    pub(crate) times_charged: u32,
}

#[derive(Default)]
pub(crate) struct Books {
    pub(crate) orders: HashMap<PaymentId, Entry>,
    pub(crate) refunds: HashMap<RefundId, (PaymentId, Fen, ChannelRefundState)>,
    faults: Vec<(&'static str, Fault)>,
    pub(crate) refunds_take_time: bool,
    pub(crate) log: Vec<String>,
}

/// The channel.
#[derive(Default)]
pub(crate) struct Ledger(Mutex<Books>);

fn nothing(state: ChannelState) -> ChannelOrder {
    ChannelOrder {
        state,
        channel_number: None,
        amount_fen: None,
        paid_at: None,
    }
}

fn number(id: &PaymentId) -> String {
    format!("wx-{id}")
}

impl Ledger {
    pub(crate) fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next act of this kind goes wrong.
    pub(crate) fn spoil(&self, act: &'static str, fault: Fault) {
        self.books().faults.push((act, fault));
    }

    fn fault(&self, act: &'static str) -> Option<Fault> {
        let mut books = self.books();
        books.log.push(act.to_owned());
        let at = books.faults.iter().position(|(a, _)| *a == act)?;
        Some(books.faults.remove(at).1)
    }

    /// The payer pays on the channel's page; answers whether the channel let them.
    pub(crate) fn payer_pays(&self, id: &PaymentId) -> bool {
        let mut books = self.books();
        let Some(entry) = books.orders.get_mut(id) else {
            return false;
        };
        if entry.state != ChannelState::Unpaid {
            return false;
        }
        entry.state = ChannelState::Paid;
        entry.times_charged += 1;
        true
    }

    /// Money that the channel holds for the merchant.
    pub(crate) fn holds(&self) -> Fen {
        let books = self.books();
        books
            .orders
            .values()
            .filter(|e| e.state == ChannelState::Paid)
            .map(|e| Fen(e.amount.0 - e.refunded.0))
            .sum()
    }

    /// A signed notice of a payment, as bytes.
    pub(crate) fn notice(&self, id: &PaymentId) -> Vec<u8> {
        let amount = self.books().orders.get(id).map_or(0, |e| e.amount.0);
        json!({ "notice": format!("n-{id}"), "payment": id.as_str(), "amount": amount })
            .to_string()
            .into_bytes()
    }

    fn seen(&self, id: &PaymentId, now: Option<Timestamp>) -> ChannelOrder {
        match self.books().orders.get(id) {
            None => nothing(ChannelState::Absent),
            Some(entry) if entry.state == ChannelState::Paid => ChannelOrder {
                state: ChannelState::Paid,
                channel_number: Some(number(id)),
                amount_fen: Some(entry.amount),
                paid_at: now,
            },
            Some(entry) => nothing(entry.state),
        }
    }

    fn refund_seen(&self, id: &RefundId) -> ChannelRefund {
        let books = self.books();
        let found = books.refunds.get(id);
        ChannelRefund {
            state: found.map_or(ChannelRefundState::Absent, |(_, _, state)| *state),
            channel_refund_number: found.map(|_| format!("wxr-{id}")),
            amount_fen: found.map(|(_, amount, _)| *amount),
            returned_at: None,
        }
    }

    /// Refunds under way arrive.
    pub(crate) fn refunds_arrive(&self) {
        let mut books = self.books();
        let mut arrived = Vec::new();
        for (payment, amount, state) in books.refunds.values_mut() {
            if *state == ChannelRefundState::Processing {
                *state = ChannelRefundState::Returned;
                arrived.push((payment.clone(), *amount));
            }
        }
        for (payment, amount) in arrived {
            if let Some(entry) = books.orders.get_mut(&payment) {
                entry.refunded = Fen(entry.refunded.0 + amount.0);
            }
        }
    }

    fn place(&self, order: &Prepay) -> Result<PayPage, &'static str> {
        let mut books = self.books();
        let entry = books.orders.entry(order.payment.clone()).or_insert(Entry {
            amount: order.amount_fen,
            state: ChannelState::Unpaid,
            refunded: Fen(0),
            times_charged: 0,
        });
        match entry.state {
            ChannelState::Paid => Err("ORDERPAID"),
            ChannelState::Closed => Err("ORDERCLOSED"),
            _ => Ok(PayPage {
                url: format!("https://pay.example/{}", order.payment),
            }),
        }
    }

    fn shut(&self, id: &PaymentId) -> Closing {
        let mut books = self.books();
        match books.orders.get_mut(id) {
            Some(entry) if entry.state == ChannelState::Paid => Closing::AlreadyPaid,
            Some(entry) => {
                entry.state = ChannelState::Closed;
                Closing::Closed
            }
            None => Closing::Closed,
        }
    }

    fn give_back(&self, order: &RefundOrder) -> ChannelRefund {
        {
            let mut books = self.books();
            if !books.refunds.contains_key(&order.refund) {
                let state = if books.refunds_take_time {
                    ChannelRefundState::Processing
                } else {
                    ChannelRefundState::Returned
                };
                if state == ChannelRefundState::Returned
                    && let Some(entry) = books.orders.get_mut(&order.payment)
                {
                    entry.refunded = Fen(entry.refunded.0 + order.amount_fen.0);
                }
                let row = (order.payment.clone(), order.amount_fen, state);
                books.refunds.insert(order.refund.clone(), row);
            }
        }
        self.refund_seen(&order.refund)
    }
}

/// Makes an act with its fault.
macro_rules! act {
    ($ledger:expr, $name:literal, $deed:expr) => {{
        match $ledger.fault($name) {
            None => $deed,
            Some(Fault::SilentBefore) => Outcome::Unknown,
            Some(Fault::SilentAfter) => {
                let _ = $deed;
                Outcome::Unknown
            }
            Some(Fault::Later) => Outcome::Later { after_ms: 1 },
            Some(Fault::Refuse(code)) => Outcome::refused(code, code),
        }
    }};
}

#[async_trait]
impl Channel for Ledger {
    async fn prepay(&self, order: &Prepay) -> Outcome<PayPage> {
        act!(
            self,
            "prepay",
            match self.place(order) {
                Ok(page) => Outcome::Done(page),
                Err(code) => Outcome::refused(code, code),
            }
        )
    }

    async fn query(&self, payment: &PaymentId) -> Outcome<ChannelOrder> {
        act!(self, "query", Outcome::Done(self.seen(payment, None)))
    }

    async fn close(&self, payment: &PaymentId) -> Outcome<Closing> {
        act!(self, "close", Outcome::Done(self.shut(payment)))
    }

    async fn refund(&self, order: &RefundOrder) -> Outcome<ChannelRefund> {
        act!(self, "refund", Outcome::Done(self.give_back(order)))
    }

    async fn query_refund(&self, refund: &RefundId) -> Outcome<ChannelRefund> {
        act!(self, "query_refund", Outcome::Done(self.refund_seen(refund)))
    }

    fn read_notice(&self, raw: &RawNotice<'_>, now: Timestamp) -> Result<Notice, NoticeRefusal> {
        let at: i64 = raw.timestamp.parse().map_err(|_| NoticeRefusal::Forged)?;
        if at.abs_diff(now.as_seconds()) > 300 {
            return Err(NoticeRefusal::Stale);
        }
        if raw.signature != "good" {
            return Err(NoticeRefusal::Forged);
        }
        let body: Value = serde_json::from_slice(raw.body).map_err(|_| NoticeRefusal::Unreadable)?;
        let id = body["payment"]
            .as_str()
            .and_then(PaymentId::parse)
            .ok_or(NoticeRefusal::Unreadable)?;
        let order = ChannelOrder {
            state: ChannelState::Paid,
            channel_number: Some(number(&id)),
            amount_fen: body["amount"].as_i64().map(Fen),
            paid_at: Some(now),
        };
        Ok(Notice {
            id: body["notice"].as_str().unwrap_or_default().to_owned(),
            says: Says::Payment(id, order),
        })
    }
}
