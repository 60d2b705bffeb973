use rusqlite::params;

use super::{need, text};
use crate::house::{Call, OpError, refuse};
use crate::wire::{Item, Node, Reply};

const FIELDS: &[&str] = &[
    "scheduleDate",
    "doctorCode",
    "doctorName",
    "doctorTitle",
    "deptCode",
    "deptName",
    "timeFlag",
    "workId",
    "beginTime",
    "endTime",
    "workStatus",
    "totalNum",
    "leftNum",
    "regFee",
    "treatFee",
];

/// #25 互联网医院号源查询
pub(super) fn list(call: &Call<'_>, asked: &Node) -> Result<Reply, OpError> {
    let (begin, end) = (need(asked, "beginDate")?, need(asked, "endDate")?);
    let days: Option<f64> = call
        .tx
        .query_row("SELECT julianday(?2) - julianday(?1)", params![begin, end], |row| {
            row.get(0)
        })?;
    match days {
        Some(days) if (0.0..=30.0).contains(&days) => {}
        Some(_) => return refuse("查询日期范围须在31天以内"),
        None => return refuse("日期格式应为yyyy-MM-dd"),
    }
    let flag = match asked.get("timeFlag") {
        "0" | "4" => "",
        flag => flag,
    };
    let mut statement = call.tx.prepare_cached(
        "SELECT s.date, s.doctor, p.name, p.title, s.dept, d.name, s.flag, s.work_id, t.begin, t.finish,
                1 + s.stopped, t.total,
                CASE WHEN s.stopped THEN 0 ELSE t.total - (SELECT count(*) FROM reg r
                  WHERE r.work_id = t.work_id AND r.begin = t.begin AND r.released = 0) END,
                s.reg_fee, s.treat_fee
           FROM session s JOIN slot t ON t.work_id = s.work_id
           JOIN doctor p ON p.code = s.doctor JOIN dept d ON d.code = s.dept
          WHERE s.date BETWEEN ?1 AND ?2 AND (?3 = '' OR s.dept = ?3) AND (?4 = '' OR s.doctor = ?4)
            AND (?5 = '' OR s.flag = ?5) AND s.date || ' ' || t.begin || ':00' > ?6
          ORDER BY s.date, s.doctor, t.begin",
    )?;
    let rows = statement.query_map(
        params![
            begin,
            end,
            asked.get("deptCode"),
            asked.get("doctorCode"),
            flag,
            call.moment()
        ],
        |row| {
            let mut item = Item::default().with("hasDetailTime", 1);
            for (at, field) in FIELDS.iter().enumerate() {
                item = item.with(field, text(row, at)?);
            }
            Ok(item)
        },
    )?;
    Ok(Reply::found(rows.collect::<Result<_, _>>()?))
}
