//! The cashier against a channel that loses answers, on both databases: whatever happens in which order, our book and
//! the channel's agree in the end, and nobody pays twice.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use records::id::PaymentId;
use records::{Actor, Clock, Fen, Ids, ManualClock, SeededEntropy, TenantId, Timestamp};
use store::{Scope, SqliteOptions, Store, StoreError, Tx};

use crate::channel::{ChannelState, RawNotice};
use crate::testing::{Fault, Ledger};
use crate::{
    Cashier, Found, Keep, MoneyError, NewPayment, NoticeEffect, NoticeError, PayError, Payment, PaymentState,
    PaymentSubject, Refund, RefundState, Subjects, Till, WriteBack,
};

/// Something sold, as simple as can be: it keeps money only while it is on offer.
struct Ticket;

const TICKETS: store::Migration = store::Migration {
    name: "test/0001_ticket",
    sql: "CREATE TABLE ticket (tenant_id TEXT NOT NULL, id TEXT NOT NULL, gone BIGINT NOT NULL, told TEXT NOT NULL, PRIMARY KEY (tenant_id, id));",
};

async fn tell(tx: &mut Tx<'_>, id: &str, what: &str) -> Result<(), StoreError> {
    let tenant = tx.tenant().clone();
    tx.exec(
        "UPDATE ticket SET told = told || $3 WHERE tenant_id = $1 AND id = $2",
        &[&tenant, &id, &what],
    )
    .await
    .map(drop)
}

#[async_trait]
impl PaymentSubject for Ticket {
    fn kind(&self) -> &'static str {
        "ticket"
    }
    async fn on_paid(&self, tx: &mut Tx<'_>, payment: &Payment) -> Result<Keep, StoreError> {
        tell(tx, &payment.subject_id, "paid ").await?;
        let tenant = tx.tenant().clone();
        let (gone,): (bool,) = tx
            .one(
                "SELECT gone FROM ticket WHERE tenant_id = $1 AND id = $2",
                &[&tenant, &payment.subject_id],
            )
            .await?;
        Ok(if gone {
            Keep::No {
                reason: "已售完".to_owned(),
            }
        } else {
            Keep::Yes
        })
    }
    async fn on_closed(&self, tx: &mut Tx<'_>, payment: &Payment) -> Result<(), StoreError> {
        tell(tx, &payment.subject_id, "closed ").await
    }
    async fn on_returned(&self, tx: &mut Tx<'_>, payment: &Payment, _: &Refund) -> Result<WriteBack, StoreError> {
        tell(tx, &payment.subject_id, "returned ").await?;
        Ok(WriteBack::NotNeeded)
    }
    async fn announce(&self, _: &TenantId, _: &Payment) {}
}

struct Counter {
    store: Store,
    ids: Arc<Ids>,
    clock: Arc<ManualClock>,
    ledger: Arc<Ledger>,
    cashier: Cashier,
    tenant: TenantId,
    _folder: tempfile::TempDir,
}

fn on_each<F: Future<Output = ()>>(story: impl Fn(Counter) -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        story(Counter::open(None).await).await;
        story(Counter::open(Some(kit::postgres::database())).await).await;
    });
}

impl Counter {
    async fn open(postgres: Option<String>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(Timestamp::parse("2026-11-20T00:00:00Z").unwrap()));
        let store = match postgres {
            Some(url) => Store::open_postgres(&url, clock.clone()).await.unwrap(),
            None => Store::open_sqlite(&folder.path().join("money.db"), SqliteOptions::default(), clock.clone())
                .await
                .unwrap(),
        };
        store.migrate(crate::MIGRATIONS).await.unwrap();
        store.migrate(&[TICKETS]).await.unwrap();
        let ids = Arc::new(Ids::new(SeededEntropy::new(3)));
        let tenant = TenantId::parse("hos_first").unwrap();
        let ledger = Arc::new(Ledger::default());
        let till = Till {
            tenant: tenant.clone(),
            merchant_id: "1900000001".to_owned(),
            channel: ledger.clone(),
            return_url: None,
        };
        let subjects = Subjects::new([Arc::new(Ticket) as Arc<dyn PaymentSubject>]);
        let cashier = Cashier::new(store.clone(), clock.clone(), ids.clone(), vec![till], subjects);
        Self {
            store,
            ids,
            clock,
            ledger,
            cashier,
            tenant,
            _folder: folder,
        }
    }

    async fn write<T, F>(&self, f: F) -> Result<T, MoneyError>
    where
        T: Send + 'static,
        F: for<'a, 'c> Fn(&'a mut Tx<'c>) -> store::BoxFuture<'a, Result<T, MoneyError>> + Send + Sync + 'static,
    {
        self.store
            .write(&Scope::new(self.tenant.clone(), Actor::System), f)
            .await
    }

    async fn sell(&self, name: &str) -> PaymentId {
        let (name, ids) = (name.to_owned(), self.ids.clone());
        self.write(move |tx| {
            let (name, ids) = (name.clone(), ids.clone());
            Box::pin(async move {
                let tenant = tx.tenant().clone();
                tx.exec(
                    "INSERT INTO ticket (tenant_id, id, gone, told) VALUES ($1,$2,0,'')",
                    &[&tenant, &name],
                )
                .await?;
                let new = NewPayment {
                    subject_kind: "ticket",
                    subject_id: name,
                    account_id: "acc_1".to_owned(),
                    description: "门票".to_owned(),
                    amount_fen: Fen(2500),
                    expires_at: tx.now().plus(Duration::from_secs(900)),
                };
                Ok(crate::open(tx, &ids, &new).await?.id)
            })
        })
        .await
        .unwrap()
    }

    async fn gone(&self, name: &str) {
        let name = name.to_owned();
        self.write(move |tx| {
            let name = name.clone();
            Box::pin(async move {
                let tenant = tx.tenant().clone();
                tx.exec(
                    "UPDATE ticket SET gone = 1 WHERE tenant_id = $1 AND id = $2",
                    &[&tenant, &name],
                )
                .await?;
                Ok(())
            })
        })
        .await
        .unwrap();
    }

    async fn told(&self, name: &str) -> String {
        let name = name.to_owned();
        self.write(move |tx| {
            let name = name.clone();
            Box::pin(async move {
                let tenant = tx.tenant().clone();
                let sql = "SELECT told FROM ticket WHERE tenant_id = $1 AND id = $2";
                let (told,): (String,) = tx.one(sql, &[&tenant, &name]).await?;
                Ok(told)
            })
        })
        .await
        .unwrap()
    }

    async fn close(&self, id: &PaymentId) -> Result<Payment, MoneyError> {
        let id = id.clone();
        self.write(move |tx| {
            let id = id.clone();
            Box::pin(async move { crate::begin_close(tx, &id, "超时").await })
        })
        .await
    }

    async fn refund(&self, id: &PaymentId) -> Result<Refund, MoneyError> {
        let (id, ids) = (id.clone(), self.ids.clone());
        self.write(move |tx| {
            let (id, ids) = (id.clone(), ids.clone());
            Box::pin(async move { crate::open_refund(tx, &ids, &id, "退票").await })
        })
        .await
    }

    async fn see(&self, id: &PaymentId) -> (Payment, Option<Refund>) {
        let id = id.clone();
        self.write(move |tx| {
            let id = id.clone();
            Box::pin(async move { Ok((crate::payment(tx, &id).await?, crate::refund_of(tx, &id).await?)) })
        })
        .await
        .unwrap()
    }

    async fn notify(&self, id: &PaymentId, at: Timestamp, signature: &str) -> Result<NoticeEffect, NoticeError> {
        let (body, at) = (self.ledger.notice(id), at.as_seconds().to_string());
        let raw = RawNotice {
            timestamp: &at,
            nonce: "n",
            signature,
            serial: "PUB_KEY_ID_1",
            body: &body,
        };
        self.cashier.notified("1900000001", &raw).await
    }

    async fn settle(&self) {
        for _ in 0..10 {
            self.cashier.tick().await.unwrap();
            self.clock.advance(Duration::from_secs(61));
        }
    }
}

#[test]
fn a_lost_notice_is_made_good_by_asking() {
    on_each(|c| async move {
        let id = c.sell("t1").await;
        let page = c.cashier.pay(&c.tenant, &id, "10.0.0.1").await.unwrap();
        assert_eq!(page.state, PaymentState::Pending);
        assert!(c.ledger.payer_pays(&id));
        c.settle().await;
        assert_eq!(c.see(&id).await.0.state, PaymentState::Paid);
        assert_eq!(c.told("t1").await, "paid ");
        let asked = c.ledger.books().log.len();
        c.settle().await;
        assert_eq!(c.ledger.books().log.len(), asked, "a settled payment is left in peace");
    });
}

#[test]
fn a_notice_counts_once_an_old_one_and_a_forged_one_not_at_all() {
    on_each(|c| async move {
        let id = c.sell("t1").await;
        c.cashier.pay(&c.tenant, &id, "10.0.0.1").await.unwrap();
        let now = c.clock.now();
        assert!(matches!(
            c.notify(&id, now, "forged").await,
            Err(NoticeError::Refused(..))
        ));
        assert_eq!(c.see(&id).await.0.state, PaymentState::Pending);
        assert!(c.ledger.payer_pays(&id));
        assert_eq!(c.notify(&id, now, "good").await.unwrap(), NoticeEffect::Applied);
        assert_eq!(c.notify(&id, now, "good").await.unwrap(), NoticeEffect::Known);
        c.clock.advance(Duration::from_secs(301));
        assert!(
            matches!(c.notify(&id, now, "good").await, Err(NoticeError::Refused(..))),
            "a replay"
        );
        assert_eq!(c.told("t1").await, "paid ");
    });
}

#[test]
fn money_for_something_gone_goes_back_in_whole() {
    on_each(|c| async move {
        let id = c.sell("t1").await;
        c.cashier.pay(&c.tenant, &id, "10.0.0.1").await.unwrap();
        c.gone("t1").await;
        assert!(c.ledger.payer_pays(&id));
        c.settle().await;
        let (payment, refund) = c.see(&id).await;
        assert_eq!(
            (payment.state, refund.unwrap().state),
            (PaymentState::Reversed, RefundState::Refunded)
        );
        assert_eq!(
            (c.ledger.holds(), c.told("t1").await.as_str()),
            (Fen(0), "paid returned ")
        );
    });
}

#[test]
fn a_refund_with_lost_answers_returns_the_money_once() {
    for fault in [Fault::SilentBefore, Fault::SilentAfter, Fault::Later] {
        on_each(|c| {
            let fault = fault.clone();
            async move {
                let id = c.sell("t1").await;
                c.cashier.pay(&c.tenant, &id, "10.0.0.1").await.unwrap();
                assert!(c.ledger.payer_pays(&id));
                c.settle().await;
                c.ledger.books().refunds_take_time = true;
                c.ledger.spoil("refund", fault.clone());
                c.ledger.spoil("query_refund", fault);
                let one = c.refund(&id).await.unwrap();
                assert_eq!(c.refund(&id).await.unwrap().id, one.id, "asked twice, one refund");
                c.settle().await;
                assert_eq!(c.see(&id).await.1.unwrap().state, RefundState::Processing);
                c.ledger.refunds_arrive();
                c.settle().await;
                assert_eq!(c.see(&id).await.0.state, PaymentState::Reversed);
                assert_eq!((c.ledger.holds(), c.ledger.books().refunds.len()), (Fen(0), 1));
            }
        });
    }
}

#[test]
fn a_refund_the_channel_refuses_waits_for_a_person() {
    on_each(|c| async move {
        let id = c.sell("t1").await;
        c.cashier.pay(&c.tenant, &id, "10.0.0.1").await.unwrap();
        assert!(c.ledger.payer_pays(&id));
        c.settle().await;
        c.ledger.spoil("refund", Fault::Refuse("NOT_ENOUGH"));
        let refund = c.refund(&id).await.unwrap();
        c.settle().await;
        let held = c.see(&id).await.1.unwrap();
        assert_eq!(held.state, RefundState::Manual);
        assert!(held.note.unwrap().contains("NOT_ENOUGH"));
        assert_eq!(c.ledger.holds(), Fen(2500), "nothing moved");
        let cashier = c.cashier.clone();
        c.write(move |tx| {
            let (id, cashier) = (refund.id.clone(), cashier.clone());
            Box::pin(async move { cashier.retry_refund(tx, &id).await })
        })
        .await
        .unwrap();
        c.settle().await;
        assert_eq!(
            (c.see(&id).await.0.state, c.ledger.holds()),
            (PaymentState::Reversed, Fen(0))
        );
    });
}

#[test]
fn an_amount_that_is_not_ours_is_held_and_nothing_is_sold() {
    on_each(|c| async move {
        let id = c.sell("t1").await;
        c.cashier.pay(&c.tenant, &id, "10.0.0.1").await.unwrap();
        c.ledger.books().orders.get_mut(&id).unwrap().amount = Fen(1);
        assert!(c.ledger.payer_pays(&id));
        c.settle().await;
        assert_eq!(c.see(&id).await.0.state, PaymentState::Manual);
        assert_eq!(c.told("t1").await, "");
    });
}

#[test]
fn no_page_is_handed_out_for_an_order_that_is_being_closed() {
    on_each(|c| async move {
        let id = c.sell("t1").await;
        c.close(&id).await.unwrap();
        assert!(matches!(
            c.cashier.pay(&c.tenant, &id, "10.0.0.1").await,
            Err(PayError::NotOpen(_))
        ));
        assert_eq!(
            c.cashier.finish_closing(&c.tenant, &id).await.unwrap().state,
            PaymentState::Closed
        );
        assert!(c.ledger.books().log.is_empty(), "the channel never heard of it");
        assert_eq!(c.told("t1").await, "closed ");
    });
}

#[test]
fn another_hospital_cannot_touch_a_payment() {
    on_each(|c| async move {
        let id = c.sell("t1").await;
        let elsewhere = TenantId::parse("hos_second").unwrap();
        let answer = c.cashier.pay(&elsewhere, &id, "10.0.0.1").await;
        assert!(matches!(answer, Err(PayError::Money(MoneyError::Absent))));
        let nowhere = c.cashier.notified(
            "1900000002",
            &RawNotice {
                timestamp: "0",
                nonce: "n",
                signature: "good",
                serial: "s",
                body: b"{}",
            },
        );
        assert!(matches!(nowhere.await, Err(NoticeError::NoTill)));
    });
}

/// A small repeatable generator: the interleavings of one seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

const SPOILED: [&str; 5] = ["prepay", "query", "close", "refund", "query_refund"];

async fn one_random_life(c: &Counter, seed: u64) {
    let mut dice = Dice(seed);
    let name = format!("t{seed}");
    let id = c.sell(&name).await;
    for _ in 0..12 {
        match dice.roll(9) {
            0 | 1 => drop(c.cashier.pay(&c.tenant, &id, "10.0.0.1").await),
            2 | 3 => drop(c.ledger.payer_pays(&id)),
            4 if c
                .ledger
                .books()
                .orders
                .get(&id)
                .is_some_and(|o| o.state == ChannelState::Paid) =>
            {
                drop(c.notify(&id, c.clock.now(), "good").await);
            }
            5 => drop(c.close(&id).await),
            6 => c.cashier.tick().await.unwrap(),
            7 => {
                let act = SPOILED[usize::try_from(dice.roll(5)).unwrap()];
                let fault = match dice.roll(3) {
                    0 => Fault::SilentBefore,
                    1 => Fault::SilentAfter,
                    _ => Fault::Later,
                };
                c.ledger.spoil(act, fault);
            }
            _ => {
                if dice.roll(3) == 0 {
                    c.gone(&name).await;
                }
            }
        }
        c.clock.advance(Duration::from_secs(dice.roll(20)));
    }
    // The timer lets go of what is unpaid, as its subject would.
    drop(c.close(&id).await);
    c.settle().await;
    c.settle().await;
    let (payment, refund) = c.see(&id).await;
    let told = c.told(&name).await;
    let order = c.ledger.books().orders.get(&id).cloned();
    let charged = order.as_ref().is_some_and(|o| o.state == ChannelState::Paid);
    let context = format!("seed {seed}: {payment:?} {refund:?} {order:?} {told:?}");
    match payment.state {
        PaymentState::Paid => assert!(charged && refund.is_none() && told == "paid ", "{context}"),
        PaymentState::Reversed => {
            assert!(
                charged && refund.is_some_and(|r| r.state == RefundState::Refunded),
                "{context}"
            );
            assert_eq!(order.unwrap().refunded, payment.amount_fen, "{context}");
            assert!(told.ends_with("paid returned "), "{context}");
        }
        PaymentState::Closed => assert!(!charged && told == "closed ", "{context}"),
        other => panic!("left in {other:?}: {context}"),
    }
    if let Some(order) = c.ledger.books().orders.get(&id) {
        assert!(order.times_charged <= 1, "{context}");
    }
}

#[test]
fn in_any_order_of_payer_notice_query_close_and_lost_answers_the_books_agree() {
    on_each(|c| async move {
        for seed in 1..=40 {
            one_random_life(&c, seed).await;
        }
    });
}

impl Counter {
    /// The payer has paid, and the channel says another amount than was ordered.
    async fn charged_otherwise(&self, name: &str, charged: Fen) -> PaymentId {
        let id = self.sell(name).await;
        self.cashier.pay(&self.tenant, &id, "10.0.0.1").await.unwrap();
        assert!(self.ledger.payer_pays(&id));
        self.ledger.books().orders.get_mut(&id).unwrap().amount = charged;
        self.settle().await;
        assert_eq!(self.see(&id).await.0.state, PaymentState::Manual);
        assert_eq!(
            self.told(name).await,
            "",
            "nobody hears of a charge that is not understood"
        );
        id
    }

    async fn decide(&self, id: &PaymentId, found: Found) -> Result<Payment, MoneyError> {
        let (id, cashier) = (id.clone(), self.cashier.clone());
        self.write(move |tx| {
            let (id, cashier) = (id.clone(), cashier.clone());
            Box::pin(async move { cashier.settle_charge(tx, &id, found, "已与渠道账单核对").await })
        })
        .await
    }
}

#[test]
fn another_amount_that_a_person_accepts_pays_the_order_once() {
    on_each(|c| async move {
        let id = c.charged_otherwise("t1", Fen(2400)).await;
        for _ in 0..2 {
            assert_eq!(c.decide(&id, Found::Accepted).await.unwrap().state, PaymentState::Paid);
        }
        assert_eq!(c.told("t1").await, "paid ", "told once, however often it was decided");
        assert!(c.decide(&id, Found::Refused).await.is_err(), "one decision only");
        // Whatever goes back later is what the channel took.
        assert_eq!(c.refund(&id).await.unwrap().amount_fen, Fen(2400));
        c.settle().await;
        assert_eq!(
            (c.see(&id).await.0.state, c.ledger.holds()),
            (PaymentState::Reversed, Fen(0))
        );
    });
}

#[test]
fn another_amount_that_a_person_refuses_goes_back_as_it_came_once() {
    on_each(|c| async move {
        let id = c.charged_otherwise("t1", Fen(9900)).await;
        for _ in 0..2 {
            assert_eq!(
                c.decide(&id, Found::Refused).await.unwrap().state,
                PaymentState::Reversing
            );
        }
        assert!(c.decide(&id, Found::Accepted).await.is_err(), "one decision only");
        c.settle().await;
        let (payment, refund) = c.see(&id).await;
        assert_eq!(
            (payment.state, refund.unwrap().amount_fen),
            (PaymentState::Reversed, Fen(9900))
        );
        assert_eq!((c.ledger.holds(), c.ledger.books().refunds.len()), (Fen(0), 1));
        assert_eq!(
            c.told("t1").await,
            "closed returned ",
            "the order is over, and never counted as paid"
        );
        assert!(
            c.decide(&c.sell("t2").await, Found::Accepted).await.is_err(),
            "nothing to decide"
        );
    });
}
