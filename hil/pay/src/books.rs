//! Trades, refunds and what they do to the ledger.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::{Value, json};

use crate::channel::Channel;

/// An order of a merchant.
#[derive(Debug, Clone)]
pub(crate) struct Trade {
    pub(crate) mchid: String,
    pub(crate) out_trade_no: String,
    pub(crate) prepay_id: String,
    pub(crate) asked: String,
    pub(crate) appid: String,
    pub(crate) description: String,
    pub(crate) attach: String,
    pub(crate) notify_url: String,
    pub(crate) total: i64,
    pub(crate) time_expire: String,
    pub(crate) state: String,
    pub(crate) transaction_id: String,
    pub(crate) success_time: String,
}

const TRADE: &str =
    "SELECT mchid, out_trade_no, prepay_id, asked, appid, description, attach, notify_url, total, time_expire,
    state, transaction_id, success_time FROM trade";

impl Trade {
    fn read(r: &Row<'_>) -> rusqlite::Result<Trade> {
        Ok(Trade {
            mchid: r.get(0)?,
            out_trade_no: r.get(1)?,
            prepay_id: r.get(2)?,
            asked: r.get(3)?,
            appid: r.get(4)?,
            description: r.get(5)?,
            attach: r.get(6)?,
            notify_url: r.get(7)?,
            total: r.get(8)?,
            time_expire: r.get(9)?,
            state: r.get(10)?,
            transaction_id: r.get(11)?,
            success_time: r.get(12)?,
        })
    }

    pub(crate) fn find(db: &Connection, mchid: &str, out_trade_no: &str) -> rusqlite::Result<Option<Trade>> {
        db.query_row(
            &format!("{TRADE} WHERE mchid = ?1 AND out_trade_no = ?2"),
            params![mchid, out_trade_no],
            Trade::read,
        )
        .optional()
    }

    /// By the merchant's number among all merchants, or by prepay or transaction id.
    pub(crate) fn find_any(db: &Connection, number: &str) -> rusqlite::Result<Option<Trade>> {
        db.query_row(
            &format!("{TRADE} WHERE ?1 <> '' AND ?1 IN (out_trade_no, prepay_id, transaction_id)"),
            [number],
            Trade::read,
        )
        .optional()
    }

    pub(crate) fn insert(&self, db: &Connection, now: &str) -> rusqlite::Result<()> {
        db.execute(
            "INSERT INTO trade VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,'NOTPAY','','',?11)",
            params![
                self.mchid,
                self.out_trade_no,
                self.prepay_id,
                self.asked,
                self.appid,
                self.description,
                self.attach,
                self.notify_url,
                self.total,
                self.time_expire,
                now
            ],
        )?;
        Ok(())
    }

    /// The transaction object of queries and notifications.
    pub(crate) fn object(&self) -> Value {
        let mut object = json!({
            "appid": self.appid, "mchid": self.mchid, "out_trade_no": self.out_trade_no,
            "trade_state": self.state, "trade_state_desc": self.words(), "attach": self.attach,
            "amount": {"total": self.total, "currency": "CNY"},
        });
        let more = if self.transaction_id.is_empty() {
            json!({})
        } else {
            json!({"transaction_id": self.transaction_id, "trade_type": "MWEB", "bank_type": "OTHERS",
                "success_time": self.success_time, "payer": {"openid": "oBenchPayer0000000000000000"},
                "amount": {"total": self.total, "payer_total": self.total, "currency": "CNY", "payer_currency": "CNY"}})
        };
        if let (Some(object), Value::Object(more)) = (object.as_object_mut(), more) {
            object.extend(more);
        }
        object
    }

    fn words(&self) -> &'static str {
        match self.state.as_str() {
            "SUCCESS" => "支付成功",
            "REFUND" => "转入退款",
            "CLOSED" => "订单已关闭",
            _ => "订单未支付",
        }
    }
}

/// Why a person cannot pay.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotPayable {
    Unknown,
    Paid,
    Closed,
    Expired,
}

impl Channel {
    /// A person pays an order; the merchant is told. `total` (fen) is charged in place of what was ordered, as by a
    /// channel that has the order wrong.
    pub(crate) fn pay(&self, number: &str, total: Option<i64>) -> rusqlite::Result<Result<Trade, NotPayable>> {
        let mut db = self.db();
        let tx = db.transaction()?;
        let Some(mut trade) = Trade::find_any(&tx, number)? else {
            return Ok(Err(NotPayable::Unknown));
        };
        match trade.state.as_str() {
            "NOTPAY" => {}
            "CLOSED" => return Ok(Err(NotPayable::Closed)),
            _ => return Ok(Err(NotPayable::Paid)),
        }
        let expires = time::OffsetDateTime::parse(&trade.time_expire, &time::format_description::well_known::Rfc3339);
        if expires.is_ok_and(|at| at <= self.clock.now()) {
            return Ok(Err(NotPayable::Expired));
        }
        trade.state = "SUCCESS".into();
        trade.transaction_id = self.number("42000");
        trade.success_time = self.moment();
        trade.total = total.unwrap_or(trade.total);
        tx.execute(
            "UPDATE trade SET state = 'SUCCESS', transaction_id = ?3, success_time = ?4, total = ?5
             WHERE mchid = ?1 AND out_trade_no = ?2",
            params![
                trade.mchid,
                trade.out_trade_no,
                trade.transaction_id,
                trade.success_time,
                trade.total
            ],
        )?;
        tx.execute(
            "INSERT INTO movement (at, kind, mchid, out_trade_no, transaction_id, amount) VALUES (?1, 'pay', ?2, ?3, ?4, ?5)",
            params![trade.success_time, trade.mchid, trade.out_trade_no, trade.transaction_id, trade.total],
        )?;
        let (event, url) = ("TRANSACTION.SUCCESS", trade.notify_url.clone());
        self.announce(&tx, &trade.mchid, event, &url, &trade.object(), &trade.out_trade_no)?;
        tx.commit()?;
        Ok(Ok(trade))
    }

    /// Refunds whose time has come become what they were to become.
    pub(crate) fn ripen_refunds(&self) -> rusqlite::Result<()> {
        let mut db = self.db();
        let tx = db.transaction()?;
        let due: Vec<Refund> = tx
            .prepare_cached(&format!("{REFUND} WHERE status = 'PROCESSING' AND due_ms <= ?1"))?
            .query_map([self.millis()], Refund::read)?
            .collect::<Result<_, _>>()?;
        for mut refund in due {
            refund.status = refund.ends_as.clone();
            if refund.status == "SUCCESS" {
                refund.success_time = self.moment();
                tx.execute(
                    "INSERT INTO movement (at, kind, mchid, out_trade_no, transaction_id, out_refund_no, refund_id, amount)
                     VALUES (?1, 'refund', ?2, ?3, ?4, ?5, ?6, ?7)",
                    params![
                        refund.success_time, refund.mchid, refund.out_trade_no, refund.transaction_id,
                        refund.out_refund_no, refund.refund_id, refund.amount
                    ],
                )?;
            }
            tx.execute(
                "UPDATE refund SET status = ?2, success_time = ?3 WHERE refund_id = ?1",
                params![refund.refund_id, refund.status, refund.success_time],
            )?;
            let event = format!("REFUND.{}", refund.status);
            if !refund.notify_url.is_empty() {
                let object = refund.notice();
                self.announce(
                    &tx,
                    &refund.mchid,
                    &event,
                    &refund.notify_url,
                    &object,
                    &refund.out_refund_no,
                )?;
            }
        }
        tx.commit()
    }

    fn announce(
        &self,
        db: &Connection,
        mchid: &str,
        event: &str,
        url: &str,
        plain: &Value,
        subject: &str,
    ) -> rusqlite::Result<()> {
        db.execute(
            "INSERT INTO notice VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'due', ?7, 0, '', ?8)",
            params![
                self.keys.hex(16),
                mchid,
                event,
                url,
                plain.to_string(),
                subject,
                self.millis(),
                self.moment()
            ],
        )?;
        Ok(())
    }
}

/// A refund of an order.
#[derive(Debug, Clone)]
pub(crate) struct Refund {
    pub(crate) mchid: String,
    pub(crate) out_refund_no: String,
    pub(crate) refund_id: String,
    pub(crate) out_trade_no: String,
    pub(crate) transaction_id: String,
    pub(crate) amount: i64,
    pub(crate) total: i64,
    pub(crate) notify_url: String,
    pub(crate) status: String,
    pub(crate) ends_as: String,
    pub(crate) created_at: String,
    pub(crate) success_time: String,
}

const REFUND: &str =
    "SELECT mchid, out_refund_no, refund_id, out_trade_no, transaction_id, amount, total, notify_url, status,
    ends_as, created_at, success_time FROM refund";

impl Refund {
    fn read(r: &Row<'_>) -> rusqlite::Result<Refund> {
        Ok(Refund {
            mchid: r.get(0)?,
            out_refund_no: r.get(1)?,
            refund_id: r.get(2)?,
            out_trade_no: r.get(3)?,
            transaction_id: r.get(4)?,
            amount: r.get(5)?,
            total: r.get(6)?,
            notify_url: r.get(7)?,
            status: r.get(8)?,
            ends_as: r.get(9)?,
            created_at: r.get(10)?,
            success_time: r.get(11)?,
        })
    }

    pub(crate) fn find(db: &Connection, mchid: &str, number: &str) -> rusqlite::Result<Option<Refund>> {
        db.query_row(
            &format!("{REFUND} WHERE mchid = ?1 AND out_refund_no = ?2"),
            params![mchid, number],
            Refund::read,
        )
        .optional()
    }

    pub(crate) fn insert(&self, db: &Connection, reason: &str, due_ms: i64) -> rusqlite::Result<()> {
        db.execute(
            "INSERT INTO refund VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,'')",
            params![
                self.mchid,
                self.out_refund_no,
                self.refund_id,
                self.out_trade_no,
                self.transaction_id,
                self.amount,
                self.total,
                reason,
                self.notify_url,
                self.status,
                self.ends_as,
                due_ms,
                self.created_at
            ],
        )?;
        db.execute(
            "UPDATE trade SET state = 'REFUND' WHERE mchid = ?1 AND out_trade_no = ?2",
            params![self.mchid, self.out_trade_no],
        )?;
        Ok(())
    }

    /// The refund object of replies.
    pub(crate) fn object(&self) -> Value {
        let mut object = json!({
            "refund_id": self.refund_id, "out_refund_no": self.out_refund_no, "transaction_id": self.transaction_id,
            "out_trade_no": self.out_trade_no, "channel": "ORIGINAL", "user_received_account": "支付用户零钱",
            "create_time": self.created_at, "status": self.status, "funds_account": "AVAILABLE",
            "amount": {"total": self.total, "refund": self.amount, "payer_total": self.total,
                "payer_refund": self.amount, "settlement_refund": self.amount, "settlement_total": self.total,
                "discount_refund": 0, "currency": "CNY"},
        });
        if let (Some(object), false) = (object.as_object_mut(), self.success_time.is_empty()) {
            object.insert("success_time".into(), json!(self.success_time));
        }
        object
    }

    fn notice(&self) -> Value {
        let mut object = json!({
            "mchid": self.mchid, "out_trade_no": self.out_trade_no, "transaction_id": self.transaction_id,
            "out_refund_no": self.out_refund_no, "refund_id": self.refund_id, "refund_status": self.status,
            "user_received_account": "支付用户零钱",
            "amount": {"total": self.total, "refund": self.amount, "payer_total": self.total, "payer_refund": self.amount},
        });
        if let (Some(object), false) = (object.as_object_mut(), self.success_time.is_empty()) {
            object.insert("success_time".into(), json!(self.success_time));
        }
        object
    }
}

/// What was refunded or is being refunded of an order.
pub(crate) fn refunded(db: &Connection, trade: &Trade) -> rusqlite::Result<i64> {
    db.query_row(
        "SELECT coalesce(sum(amount), 0) FROM refund WHERE mchid = ?1 AND out_trade_no = ?2 AND status <> 'CLOSED'",
        params![trade.mchid, trade.out_trade_no],
        |r| r.get(0),
    )
}
