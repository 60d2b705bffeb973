//! 报到取号: numbers of the day, the windows' registrations, insurance vouchers.

use rusqlite::{OptionalExtension, params};
use time::Duration;

use super::{items, need, patient_by};
use crate::house::{Call, OpError, refuse};
use crate::wire::{Item, Node, Reply};

/// Beside the schema: a file of an earlier bench gets them when it is opened.
pub(crate) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS queue (his_ord TEXT PRIMARY KEY, no TEXT, room TEXT, doctor TEXT, date TEXT, n INTEGER, at TEXT);
CREATE TABLE IF NOT EXISTS voucher (token TEXT PRIMARY KEY, patient TEXT, until TEXT);
";

/// Whether a number may be taken now.
pub(super) fn may_take(call: &Call<'_>, his_ord: &str) -> Result<(), OpError> {
    let date: String = call.tx.query_row(
        "SELECT s.date FROM reg r JOIN session s ON s.work_id = r.work_id WHERE r.his_ord = ?1",
        [his_ord],
        |r| r.get(0),
    )?;
    if date != call.today() {
        return refuse(format!("请在就诊当天（{date}）报到"));
    }
    if !call.options.honour_keys && !of(call, his_ord)?.is_empty() {
        return refuse("已报到，请勿重复取号");
    }
    Ok(())
}

/// The next number of the doctor's day, or the one taken before.
pub(super) fn take(call: &Call<'_>, his_ord: &str) -> Result<Reply, OpError> {
    call.tx.execute(
        "INSERT OR IGNORE INTO queue
         SELECT r.his_ord, printf('%s%03d', CASE s.flag WHEN 1 THEN 'A' WHEN 2 THEN 'B' ELSE 'C' END, m.n), d.location || ' ' || CAST(substr(s.doctor, 2) AS INTEGER) || '诊室',
                s.doctor, s.date, m.n, ?2
           FROM reg r JOIN session s ON s.work_id = r.work_id JOIN dept d ON d.code = s.dept
           JOIN (SELECT 1 + coalesce(max(q.n), 0) AS n FROM queue q, reg r2 JOIN session s2 ON s2.work_id = r2.work_id
                  WHERE r2.his_ord = ?1 AND q.doctor = s2.doctor AND q.date = s2.date) m
          WHERE r.his_ord = ?1",
        params![his_ord, call.moment()],
    )?;
    Ok(Reply::done(of(call, his_ord)?))
}

/// 排队信息
pub(super) fn info(call: &Call<'_>, asked: &Node) -> Result<Reply, OpError> {
    Ok(Reply::found(of(call, need(asked, "hisOrdNum")?)?))
}

fn of(call: &Call<'_>, his_ord: &str) -> Result<Vec<Item>, OpError> {
    items(
        call,
        "SELECT q.his_ord, q.no, q.room, q.at,
                (SELECT count(*) FROM queue o JOIN reg r ON r.his_ord = o.his_ord
                  WHERE o.doctor = q.doctor AND o.date = q.date AND o.n < q.n AND r.status = 5)
           FROM queue q WHERE q.his_ord = ?1",
        &[&his_ord],
        &["hisOrdNum", "queueNo", "room", "takeTime", "waitNum"],
    )
}

/// Registered and paid at the window, for today.
pub(crate) fn walk_in(call: &Call<'_>, patient: &str, doctor: &str) -> Result<String, OpError> {
    if patient_by(call, "id", patient)?.is_none() {
        return refuse("没有这位患者");
    }
    let today = call.today();
    let kept: Option<(String, String)> = call
        .tx
        .query_row(
            "SELECT s.work_id, t.begin FROM session s JOIN slot t ON t.work_id = s.work_id
              WHERE s.date = ?1 AND s.doctor = ?2 AND s.stopped = 0
                AND NOT EXISTS (SELECT 1 FROM reg r WHERE r.work_id = s.work_id AND r.patient = ?3)
              ORDER BY s.work_id, t.begin LIMIT 1",
            params![today, doctor, patient],
            |r| Ok((r.get(0)?, r.get(1)?)),
        )
        .optional()?;
    let (work, begin) = match kept {
        Some(found) => found,
        None => {
            let work = format!("K{}{:05}", today.replace('-', ""), call.number("walk_in")?);
            let made = call.tx.execute(
                "INSERT INTO session SELECT ?1, code, dept, ?2, 1, 0, reg_fee, treat_fee FROM doctor WHERE code = ?3",
                params![work, today, doctor],
            )?;
            if made == 0 {
                return refuse("没有这位医生");
            }
            call.tx
                .execute("INSERT INTO slot VALUES (?1, '08:00', '11:30', 40)", [&work])?;
            (work, "08:00".to_owned())
        }
    };
    let (order, receipt) = (call.number("reg")?, call.number("receipt")?);
    let (order, day) = (format!("G{}{order:06}", today.replace('-', "")), today.replace('-', ""));
    call.tx.execute(
        "INSERT INTO reg (his_ord, ps_ord, work_id, begin, patient, status, released, reg_fee, treat_fee, lock_expire, ordered_at, paid_at, pay_amount, receipt, serial)
         SELECT ?1, '', s.work_id, ?3, ?4, 2, 0, s.reg_fee, s.treat_fee, '', ?5, ?5, s.reg_fee + s.treat_fee, ?6, ?7 FROM session s WHERE s.work_id = ?2",
        params![order, work, begin, patient, call.moment(), format!("R{receipt:08}"), format!("M{day}{receipt:05}")],
    )?;
    Ok(order)
}

/// A voucher of the insurance, good for some seconds.
pub(crate) fn voucher(call: &Call<'_>, patient: &str, seconds: i64) -> Result<String, OpError> {
    if patient_by(call, "id", patient)?.is_none() {
        return refuse("没有这位患者");
    }
    // 28 digits, as the national vouchers are.
    let token = format!("431100{:022}", call.number("voucher")? * 7_919);
    let until = rig::Clock::format(call.now + Duration::seconds(seconds));
    call.tx.execute(
        "INSERT INTO voucher VALUES (?1, ?2, ?3)",
        params![token, patient, until],
    )?;
    Ok(token)
}

/// 医保电子凭证解码
pub(super) fn patient_by_voucher(call: &Call<'_>, asked: &Node) -> Result<Reply, OpError> {
    let patient: Option<String> = call
        .tx
        .query_row(
            "SELECT patient FROM voucher WHERE token = ?1 AND until > ?2",
            params![need(asked, "ecToken")?, call.moment()],
            |r| r.get(0),
        )
        .optional()?;
    let Some(patient) = patient else {
        return refuse("电子凭证已失效，请刷新后重试");
    };
    let patient = patient_by(call, "id", &patient)?.ok_or(OpError::Nothing)?;
    Ok(Reply::done(vec![patient.item]))
}
