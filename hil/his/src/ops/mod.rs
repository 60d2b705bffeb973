//! The operations of the interface, one function each.

pub(crate) mod apply;
mod bill;
mod dictionary;
mod people;
pub(crate) mod queue;
mod recipe;
mod recipe_line;
mod registration;
mod report;
mod slot;

use rusqlite::{OptionalExtension, Row, params};

use crate::house::{Call, OpError, refuse};
use crate::wire::{Item, Node, Reply};

/// What an operation is: the open call and the `<params>` in, the reply out.
pub(crate) type Operation = fn(&Call<'_>, &Node) -> Result<Reply, OpError>;

/// Every operation of the WSDL, in its order.
pub(crate) const ALL: &[(&str, Operation)] = &[
    ("getMZPatient", people::find_patient),
    ("createCard", people::create_card),
    ("checkRevisit", people::check_revisit),
    ("getDepts", people::departments),
    ("getDoctors", people::doctors),
    ("getNetRegInfo", slot::list),
    ("orderNetReg", registration::lock),
    ("unlockNetReg", registration::unlock),
    ("payNetReg", registration::pay),
    ("getNetRegStatus", registration::status),
    ("cancelNetReg", registration::cancel),
    ("refundNetReg", registration::refund),
    ("takeNetNo", registration::take_number),
    ("getQueueInfo", queue::info),
    ("getPatientByEc", queue::patient_by_voucher),
    ("addRecipe", recipe::add),
    ("auditRecipe", recipe::audit),
    ("revokeRecipe", recipe::revoke),
    ("getRecipeStatus", recipe::status),
    ("getRecipeRecords", recipe::records),
    ("getMZFeeList", bill::pending),
    ("getMZFeeDetail", bill::detail),
    ("ackPayOrder", bill::pay),
    ("refundMZFee", bill::refund),
    ("getMZFeeStatus", bill::status),
    ("pushDelivery", bill::delivery),
    ("getVisitRecords", report::visits),
    ("getExamineList", report::exams),
    ("getExamineDetail", report::exam),
    ("getInspectList", report::labs),
    ("getInspectDetail", report::lab),
    ("getDiagnoses", dictionary::diagnoses),
    ("getDrugRoutes", dictionary::routes),
    ("getDrugFrequencies", dictionary::frequencies),
    ("getHerbs", dictionary::herbs),
    ("getDrugs", dictionary::drugs),
    ("getDrugStock", dictionary::stock),
    ("getExamItems", apply::exam_items),
    ("getInspectItems", apply::lab_items),
    ("getSpecimens", apply::specimens),
    ("addExamApply", apply::add_exam),
    ("revokeExamApply", apply::revoke),
    ("addInspectApply", apply::add_lab),
    ("revokeInspectApply", apply::revoke),
    ("getApplyStatus", apply::status),
];

/// The operation of that name.
pub(crate) fn find(name: &str) -> Option<Operation> {
    ALL.iter().find_map(|(op, work)| (*op == name).then_some(*work))
}

/// The patient a request means: by id, id number or card.
fn patient_of(call: &Call<'_>, asked: &Node) -> Result<Patient, OpError> {
    let number = asked.get("patCardNo");
    let (column, value) = match asked.get("patCardType") {
        _ if !asked.get("patId").is_empty() => ("id", asked.get("patId")),
        _ if !asked.get("patIdNo").is_empty() => ("id_no", asked.get("patIdNo")),
        "1" => ("card_no", number),
        "5" => ("id_no", number),
        "7" => ("id", number),
        "" if number.is_empty() => return refuse("缺少患者标识"),
        other => return refuse(format!("不支持的卡类型{other}")),
    };
    patient_by(call, column, value)?.ok_or(OpError::Nothing)
}

fn patient_by(call: &Call<'_>, column: &str, value: &str) -> Result<Option<Patient>, OpError> {
    let sql = format!(
        "SELECT id, card_no, name, sex, birth, id_type, id_no, mobile, address, pat_type, guard_name,
                guard_id_type, guard_id_no, guard_mobile, allergy
           FROM patient WHERE {column} = ?1 COLLATE NOCASE"
    );
    Ok(call.tx.query_row(&sql, [value], Patient::read).optional()?)
}

struct Patient {
    id: String,
    card: String,
    name: String,
    birth: String,
    item: Item,
}

impl Patient {
    fn read(row: &Row<'_>) -> rusqlite::Result<Patient> {
        let fields = [
            "patId",
            "patCardNo",
            "patName",
            "patSex",
            "patBirth",
            "patIdType",
            "patIdNo",
            "patMobile",
            "patAddress",
            "patType",
            "guardName",
            "guardIdType",
            "guardIdNo",
            "guardMobile",
            "allergy",
        ];
        let mut item = Item::default().with("patCardType", 1);
        for (at, field) in fields.into_iter().enumerate() {
            item = item.with(field, row.get::<_, Option<String>>(at)?.unwrap_or_default());
        }
        Ok(Patient {
            id: row.get(0)?,
            card: row.get(1)?,
            name: row.get(2)?,
            birth: row.get(4)?,
            item,
        })
    }

    /// Full years on a date.
    fn age_on(&self, today: &str) -> i64 {
        age(&self.birth, today)
    }
}

fn age(birth: &str, today: &str) -> i64 {
    let year = |date: &str| date.get(..4).and_then(|y| y.parse::<i64>().ok()).unwrap_or(0);
    let before = today.get(5..).unwrap_or("") < birth.get(5..).unwrap_or("");
    year(today) - year(birth) - i64::from(before)
}

/// Refuses a code its dictionary does not hold.
fn known(call: &Call<'_>, table: &str, code: &str, words: &str) -> Result<(), OpError> {
    let sql = format!("SELECT count(*) FROM {table} WHERE code = ?1");
    let found: i64 = call.tx.query_row(&sql, [code], |r| r.get(0))?;
    if found == 0 {
        return refuse(format!("{words}{code}"));
    }
    Ok(())
}

/// A required text field.
fn need<'a>(asked: &'a Node, field: &str) -> Result<&'a str, OpError> {
    match asked.get(field) {
        "" => refuse(format!("缺少参数{field}")),
        value => Ok(value),
    }
}

/// A required amount in fen.
fn fen(asked: &Node, field: &str) -> Result<i64, OpError> {
    need(asked, field)?
        .parse()
        .or_else(|_| refuse(format!("参数{field}不是以分为单位的整数")))
}

/// Reads rows into items by column name lists: the n-th field is the n-th column, as text.
fn items(
    call: &Call<'_>,
    sql: &str,
    binds: &[&dyn rusqlite::ToSql],
    fields: &[&'static str],
) -> Result<Vec<Item>, OpError> {
    let mut statement = call.tx.prepare_cached(sql)?;
    let rows = statement.query_map(binds, |row| {
        let mut item = Item::default();
        for (at, field) in fields.iter().enumerate() {
            item = item.with(field, text(row, at)?);
        }
        Ok(item)
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn text(row: &Row<'_>, at: usize) -> rusqlite::Result<String> {
    use rusqlite::types::ValueRef;
    Ok(match row.get_ref(at)? {
        ValueRef::Null | ValueRef::Blob(_) => String::new(),
        ValueRef::Integer(n) => n.to_string(),
        ValueRef::Real(x) => x.to_string(),
        ValueRef::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
    })
}

/// `beginDate`/`endDate` as bounds for a moment column; open ends when empty.
fn bounds(asked: &Node) -> (String, String) {
    let begin = asked.get("beginDate").to_owned();
    let end = match asked.get("endDate") {
        "" => "9999".to_owned(),
        date => format!("{date} 99"),
    };
    (begin, end)
}

/// Diagnoses of a visit or recipe.
fn diagnoses(call: &Call<'_>, table: &str, owner: &str, id: &str) -> Result<Vec<Item>, OpError> {
    let sql = format!("SELECT code, name, main FROM {table} WHERE {owner} = ?1 ORDER BY n");
    items(call, &sql, &[&id], &["code", "name", "main"])
}

/// A movement of money.
struct Movement<'a> {
    kind: &'a str,
    subject: &'a str,
    his_ord: &'a str,
    ps_ord: &'a str,
    agt_ord: &'a str,
    ps_ref: &'a str,
    agt_ref: &'a str,
    his_ref: &'a str,
    amount: i64,
}

fn book(call: &Call<'_>, m: &Movement<'_>) -> Result<(), OpError> {
    call.tx.execute(
        "INSERT INTO ledger (at, kind, subject, his_ord, ps_ord, agt_ord, ps_ref, agt_ref, his_ref, amount)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        params![
            call.moment(),
            m.kind,
            m.subject,
            m.his_ord,
            m.ps_ord,
            m.agt_ord,
            m.ps_ref,
            m.agt_ref,
            m.his_ref,
            m.amount
        ],
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::age;

    #[test]
    fn a_birthday_counts_from_its_day() {
        assert_eq!(age("1961-11-21", "2026-11-20"), 64);
        assert_eq!(age("1961-11-21", "2026-11-21"), 65);
    }
}
