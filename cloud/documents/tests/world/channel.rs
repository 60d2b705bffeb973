//! A payment channel that does what it is told.

use std::collections::HashMap;
use std::sync::Mutex;

use async_trait::async_trait;
use money::channel::{
    Channel, ChannelOrder, ChannelRefund, ChannelRefundState, ChannelState, Closing, Notice, NoticeRefusal, PayPage,
    Prepay, RawNotice, RefundOrder,
};
use records::id::{PaymentId, RefundId};
use records::{Fen, Outcome, Timestamp};

/// Amount, state, and when it was paid.
type Order = (Fen, ChannelState, Option<Timestamp>);

#[derive(Default)]
pub(crate) struct FakeChannel {
    orders: Mutex<HashMap<PaymentId, Order>>,
    pub(crate) returned: Mutex<Vec<Fen>>,
}

impl FakeChannel {
    /// Whoever has an open order pays it.
    pub(crate) fn pay_all(&self, at: Timestamp) {
        for order in self.orders.lock().unwrap().values_mut() {
            if order.1 == ChannelState::Unpaid {
                (order.1, order.2) = (ChannelState::Paid, Some(at));
            }
        }
    }
}

#[async_trait]
impl Channel for FakeChannel {
    async fn prepay(&self, order: &Prepay) -> Outcome<PayPage> {
        let fresh = (order.amount_fen, ChannelState::Unpaid, None);
        self.orders
            .lock()
            .unwrap()
            .entry(order.payment.clone())
            .or_insert(fresh);
        Outcome::Done(PayPage {
            url: format!("https://pay.example/{}", order.payment),
        })
    }

    async fn query(&self, payment: &PaymentId) -> Outcome<ChannelOrder> {
        let orders = self.orders.lock().unwrap();
        let (amount, state, paid_at) = orders
            .get(payment)
            .copied()
            .unwrap_or((Fen(0), ChannelState::Absent, None));
        Outcome::Done(ChannelOrder {
            state,
            channel_number: paid_at.map(|_| "4200001".to_owned()),
            amount_fen: Some(amount),
            paid_at,
        })
    }

    async fn close(&self, payment: &PaymentId) -> Outcome<Closing> {
        let mut orders = self.orders.lock().unwrap();
        let Some(order) = orders.get_mut(payment) else {
            return Outcome::Done(Closing::Closed);
        };
        if order.1 == ChannelState::Paid {
            return Outcome::Done(Closing::AlreadyPaid);
        }
        order.1 = ChannelState::Closed;
        Outcome::Done(Closing::Closed)
    }

    async fn refund(&self, order: &RefundOrder) -> Outcome<ChannelRefund> {
        self.returned.lock().unwrap().push(order.amount_fen);
        Outcome::Done(ChannelRefund {
            state: ChannelRefundState::Returned,
            channel_refund_number: Some("5000001".into()),
            amount_fen: Some(order.amount_fen),
            returned_at: Some(Timestamp::parse("2026-11-21T03:00:00Z").unwrap()),
        })
    }

    async fn query_refund(&self, _: &RefundId) -> Outcome<ChannelRefund> {
        Outcome::Unknown
    }

    fn read_notice(&self, _: &RawNotice<'_>, _: Timestamp) -> Result<Notice, NoticeRefusal> {
        Err(NoticeRefusal::Forged)
    }
}
