//! Locks, payments and refunds of internet registrations.
//! States: 1 未付 2 已付 3 取消 4 超时 5 已取号 6 已就诊 7 过期 8 已退费.

use rusqlite::{OptionalExtension, Row, params};

use super::{Movement, book, bounds, fen, items, need, patient_of, queue};
use crate::house::{Call, OpError, refuse};
use crate::wire::{Item, Node, Reply};

const FREE_FROM_AGE: i64 = 65;

struct Wanted {
    work_id: String,
    begin: String,
    date: String,
    doctor: String,
    stopped: bool,
    total: i64,
    reg_fee: i64,
    treat_fee: i64,
}

/// #26 互联网医院号源锁号
pub(super) fn lock(call: &Call<'_>, asked: &Node) -> Result<Reply, OpError> {
    let ps_ord = need(asked, "psOrdNum")?;
    let patient = patient_of(call, asked)?;
    if call.options.honour_keys
        && let Some(known) = order_of(call, "", ps_ord)?
        && matches!(known.status, 1 | 2)
    {
        return Ok(Reply::done(vec![locked(&known, "号源已锁定")]));
    }
    let Some(slot) = wanted(call, asked)? else {
        return refuse("号源不存在");
    };
    if slot.stopped {
        return refuse("医生已停诊，请选择其他时间");
    }
    if format!("{} {}:00", slot.date, slot.begin) <= call.moment() {
        return refuse("已过就诊时间");
    }
    let count = |sql: &str, third: &str| {
        call.tx
            .query_row(sql, params![slot.work_id, third], |r| r.get::<_, i64>(0))
    };
    let twice = count(
        "SELECT count(*) FROM reg WHERE work_id = ?1 AND patient = ?2 AND released = 0 AND status IN (1, 2, 5)",
        &patient.id,
    )?;
    // Real systems compare people, not keys: another person may take the next number.
    if twice > 0 {
        return refuse("您已挂该医生本时段的号，请勿重复挂号");
    }
    let taken = count(
        "SELECT count(*) FROM reg WHERE work_id = ?1 AND begin = ?2 AND released = 0",
        &slot.begin,
    )?;
    if taken >= slot.total {
        return refuse("号源已满");
    }
    let reg_fee = if patient.age_on(&call.today()) >= FREE_FROM_AGE {
        0
    } else {
        slot.reg_fee
    };
    let his_ord = format!("G{}{:06}", call.today().replace('-', ""), call.number("reg")?);
    call.tx.execute(
        "INSERT INTO reg (his_ord, ps_ord, work_id, begin, patient, status, released, reg_fee, treat_fee, lock_expire, ordered_at)
         VALUES (?1, ?2, ?3, ?4, ?5, 1, 0, ?6, ?7, ?8, ?9)",
        params![
            his_ord, ps_ord, slot.work_id, slot.begin, patient.id, reg_fee, slot.treat_fee,
            call.in_minutes(call.options.lock_minutes), call.moment()
        ],
    )?;
    let made = order_of(call, &his_ord, "")?.ok_or(OpError::Nothing)?;
    let words = if reg_fee < slot.reg_fee {
        "65岁以上老人免挂号费"
    } else {
        "锁号成功"
    };
    Ok(Reply::done(vec![locked(&made, words)]))
}

fn locked(order: &Order, words: &str) -> Item {
    Item::default()
        .with("hisOrdNum", &order.his_ord)
        .with("regFee", order.reg_fee)
        .with("treatFee", order.treat_fee)
        .with("lockExpire", &order.lock_expire)
        .with("desc", words)
}

fn wanted(call: &Call<'_>, asked: &Node) -> Result<Option<Wanted>, OpError> {
    let begin = need(asked, "beginTime")?;
    Ok(call
        .tx
        .query_row(
            "SELECT s.work_id, t.begin, s.date, s.doctor, s.stopped, t.total, s.reg_fee, s.treat_fee
               FROM session s JOIN slot t ON t.work_id = s.work_id
              WHERE t.begin = ?2 AND CASE WHEN ?1 <> '' THEN s.work_id = ?1
                    ELSE s.doctor = ?3 AND s.date = ?4 AND s.flag = ?5 END",
            params![
                asked.get("workId"),
                begin.get(..5).unwrap_or(begin),
                asked.get("doctorCode"),
                asked.get("scheduleDate"),
                asked.get("timeFlag")
            ],
            |r| {
                Ok(Wanted {
                    work_id: r.get(0)?,
                    begin: r.get(1)?,
                    date: r.get(2)?,
                    doctor: r.get(3)?,
                    stopped: r.get(4)?,
                    total: r.get(5)?,
                    reg_fee: r.get(6)?,
                    treat_fee: r.get(7)?,
                })
            },
        )
        .optional()?
        .filter(|slot| asked.get("doctorCode").is_empty() || asked.get("doctorCode") == slot.doctor))
}

struct Order {
    his_ord: String,
    ps_ord: String,
    patient: String,
    work_id: String,
    begin: String,
    status: i64,
    reg_fee: i64,
    treat_fee: i64,
    lock_expire: String,
    receipt: String,
    serial: String,
    agt_ord: String,
    paid: i64,
    his_ref: String,
}

impl Order {
    fn read(r: &Row<'_>) -> rusqlite::Result<Order> {
        Ok(Order {
            his_ord: r.get(0)?,
            ps_ord: r.get(1)?,
            patient: r.get(2)?,
            work_id: r.get(3)?,
            begin: r.get(4)?,
            status: r.get(5)?,
            reg_fee: r.get(6)?,
            treat_fee: r.get(7)?,
            lock_expire: r.get(8)?,
            receipt: r.get::<_, Option<String>>(9)?.unwrap_or_default(),
            serial: r.get::<_, Option<String>>(10)?.unwrap_or_default(),
            agt_ord: r.get::<_, Option<String>>(11)?.unwrap_or_default(),
            paid: r.get::<_, Option<i64>>(12)?.unwrap_or_default(),
            his_ref: r.get::<_, Option<String>>(13)?.unwrap_or_default(),
        })
    }
}

/// By the HIS's number, else the newest one with the platform's number.
fn order_of(call: &Call<'_>, his_ord: &str, ps_ord: &str) -> Result<Option<Order>, OpError> {
    Ok(call
        .tx
        .query_row(
            "SELECT his_ord, ps_ord, patient, work_id, begin, status, reg_fee, treat_fee, lock_expire, receipt,
                    serial, agt_ord, pay_amount, his_ref
               FROM reg WHERE CASE WHEN ?1 <> '' THEN his_ord = ?1 ELSE ps_ord = ?2 AND ?2 <> '' END
              ORDER BY rowid DESC LIMIT 1",
            params![his_ord, ps_ord],
            Order::read,
        )
        .optional()?)
}

fn order(call: &Call<'_>, asked: &Node) -> Result<Option<Order>, OpError> {
    order_of(call, asked.get("hisOrdNum"), asked.get("psOrdNum"))
}

/// #27 互联网医院锁号取消
pub(super) fn unlock(call: &Call<'_>, asked: &Node) -> Result<Reply, OpError> {
    match order(call, asked)? {
        Some(order) if matches!(order.status, 2 | 5 | 6) => refuse("已支付，请走退号"),
        Some(order) if order.status == 1 => {
            release(call, &order.his_ord, 3, asked.get("cancelReason"))?;
            Ok(Reply::done(Vec::new()))
        }
        _ => Ok(Reply::done(Vec::new())),
    }
}

fn release(call: &Call<'_>, his_ord: &str, status: i64, reason: &str) -> Result<(), OpError> {
    call.tx.execute(
        "UPDATE reg SET released = 1, status = ?2, cancel_reason = ?3 WHERE his_ord = ?1",
        params![his_ord, status, reason],
    )?;
    Ok(())
}

/// #28 互联网医院挂号支付
pub(super) fn pay(call: &Call<'_>, asked: &Node) -> Result<Reply, OpError> {
    let (amount, agt_ord) = (fen(asked, "payAmout")?, need(asked, "agtOrdNum")?);
    let Some(order) = order(call, asked)? else {
        return refuse("挂号订单不存在");
    };
    match order.status {
        1 => {}
        2 | 5 | 6 if call.options.honour_keys => return receipt(call, &order),
        2 | 5 | 6 => return refuse("订单已支付"),
        4 => return refuse("锁号已过期"),
        8 => return refuse("订单已退费"),
        _ => return refuse("订单已取消"),
    }
    if amount != order.reg_fee + order.treat_fee {
        return refuse(format!("金额不符，应付{}分", order.reg_fee + order.treat_fee));
    }
    let n = call.number("receipt")?;
    call.tx.execute(
        "UPDATE reg SET status = 2, agt_ord = ?2, paid_at = ?3, pay_amount = ?4, receipt = ?5, serial = ?6 WHERE his_ord = ?1",
        params![
            order.his_ord, agt_ord, call.moment(), amount, format!("R{n:08}"),
            format!("M{}{n:05}", call.today().replace('-', ""))
        ],
    )?;
    book(
        call,
        &Movement {
            kind: "pay",
            subject: "registration",
            his_ord: &order.his_ord,
            ps_ord: &order.ps_ord,
            agt_ord,
            ps_ref: "",
            agt_ref: "",
            his_ref: "",
            amount,
        },
    )?;
    let paid = order_of(call, &order.his_ord, "")?.ok_or(OpError::Nothing)?;
    receipt(call, &paid)
}

fn receipt(call: &Call<'_>, order: &Order) -> Result<Reply, OpError> {
    let (date, dept): (String, String) = call.tx.query_row(
        "SELECT s.date, d.name FROM session s JOIN dept d ON d.code = s.dept WHERE s.work_id = ?1",
        [&order.work_id],
        |r| Ok((r.get(0)?, r.get(1)?)),
    )?;
    let item = Item::default()
        .with("hisOrdNum", &order.his_ord)
        .with("receiptNum", &order.receipt)
        .with("serialNum", &order.serial)
        .with("visitLocation", format!("互联网医院 {dept}诊室"))
        .with("takeTime", format!("{date} {}", order.begin))
        .with("barCode", &order.serial)
        .with("visitDesc", "请按预约时间在手机上报到候诊");
    Ok(Reply::done(vec![item]))
}

/// #29 互联网医院挂号状态查询
pub(super) fn status(call: &Call<'_>, asked: &Node) -> Result<Reply, OpError> {
    let (his, ps) = (asked.get("hisOrdNum"), asked.get("psOrdNum"));
    let patient = if his.is_empty() && ps.is_empty() {
        patient_of(call, asked)?.id
    } else {
        String::new()
    };
    let (begin, end) = bounds(asked);
    let found = items(
        call,
        "SELECT r.his_ord, r.ps_ord, r.agt_ord, r.status, r.pay_amount, r.receipt, r.serial, r.lock_expire, r.work_id,
                s.date, r.begin, t.finish, s.dept, s.doctor, r.reg_fee, r.treat_fee, r.his_ref, r.ps_ref, 1 + s.stopped
           FROM reg r JOIN session s ON s.work_id = r.work_id JOIN slot t ON t.work_id = r.work_id AND t.begin = r.begin
          WHERE (?1 = '' OR r.his_ord = ?1) AND (?2 = '' OR r.ps_ord = ?2) AND (?3 = '' OR r.patient = ?3)
            AND s.date BETWEEN ?4 AND ?5 ORDER BY r.rowid",
        &[&his, &ps, &patient, &begin, &end],
        &[
            "hisOrdNum",
            "psOrdNum",
            "agtOrdNum",
            "status",
            "payAmout",
            "receiptNum",
            "serialNum",
            "lockExpire",
            "workId",
            "scheduleDate",
            "beginTime",
            "endTime",
            "deptCode",
            "doctorCode",
            "regFee",
            "treatFee",
            "hisRefOrdNum",
            "psRefOrdNum",
            "workStatus",
        ],
    )?;
    Ok(Reply::found(found))
}

/// #30 互联网医院挂号退号
pub(super) fn cancel(call: &Call<'_>, asked: &Node) -> Result<Reply, OpError> {
    let reason = asked.get("cancelReason");
    match order(call, asked)? {
        None => return refuse("挂号订单不存在"),
        Some(order) if matches!(order.status, 5 | 6) => return refuse("已就诊，不可退号"),
        Some(order) if order.status == 1 => release(call, &order.his_ord, 3, reason)?,
        Some(order) if order.status == 2 => release(call, &order.his_ord, 2, reason)?,
        Some(_) => {}
    }
    Ok(Reply::done(Vec::new()))
}

/// #31 互联网医院挂号退号退费
pub(super) fn refund(call: &Call<'_>, asked: &Node) -> Result<Reply, OpError> {
    let (ps_ref, agt_ref) = (need(asked, "psRefOrdNum")?, asked.get("agtRefOrdNum"));
    let amount = fen(asked, "refundAmout")?;
    let Some(order) = order(call, asked)? else {
        return refuse("挂号订单不存在");
    };
    let done = |his_ref: &str| Reply::done(vec![Item::default().with("hisRefOrdNum", his_ref)]);
    match order.status {
        8 if call.options.honour_keys => return Ok(done(&order.his_ref)),
        8 => return refuse("订单已退费"),
        2 | 7 => {}
        5 | 6 => return refuse("已就诊，不可退费"),
        _ => return refuse("订单未支付"),
    }
    if amount != order.paid {
        return refuse(format!("退费金额不符，实付{}分", order.paid));
    }
    let his_ref = format!("T{:08}", call.number("refund")?);
    call.tx.execute(
        "UPDATE reg SET status = 8, released = 1, ps_ref = ?2, agt_ref = ?3, his_ref = ?4, refunded_at = ?5,
                cancel_reason = ?6 WHERE his_ord = ?1",
        params![
            order.his_ord,
            ps_ref,
            agt_ref,
            his_ref,
            call.moment(),
            asked.get("refundReason")
        ],
    )?;
    book(
        call,
        &Movement {
            kind: "refund",
            subject: "registration",
            his_ord: &order.his_ord,
            ps_ord: &order.ps_ord,
            agt_ord: &order.agt_ord,
            ps_ref,
            agt_ref,
            his_ref: &his_ref,
            amount,
        },
    )?;
    Ok(done(&his_ref))
}

/// 报到与就诊完成
pub(super) fn take_number(call: &Call<'_>, asked: &Node) -> Result<Reply, OpError> {
    let Some(order) = order(call, asked)? else {
        return refuse("挂号订单不存在");
    };
    if !matches!(order.status, 2 | 5 | 6) {
        return refuse("订单未支付或已取消");
    }
    let finished = asked.get("finish") == "1";
    if !finished {
        queue::may_take(call, &order.his_ord)?;
    }
    let status = if finished { 6 } else { order.status.max(5) };
    call.tx.execute(
        "UPDATE reg SET status = ?2 WHERE his_ord = ?1",
        params![order.his_ord, status],
    )?;
    if finished {
        call.tx.execute(
            "INSERT OR IGNORE INTO visit SELECT r.serial, r.patient, ?2, s.dept, s.doctor, 2, '互联网复诊'
               FROM reg r JOIN session s ON s.work_id = r.work_id WHERE r.his_ord = ?1",
            params![order.his_ord, call.moment()],
        )?;
        call.tx.execute(
            "INSERT OR IGNORE INTO visit_diagnosis SELECT ?1, g.n, g.code, g.name, g.main FROM recipe_diagnosis g
              WHERE g.recipe = (SELECT id FROM recipe WHERE visit = ?1 ORDER BY rowid DESC LIMIT 1)",
            params![order.serial],
        )?;
    }
    debug_assert!(!order.patient.is_empty());
    if finished {
        return Ok(Reply::done(Vec::new()));
    }
    queue::take(call, &order.his_ord)
}
