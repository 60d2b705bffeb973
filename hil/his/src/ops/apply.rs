//! Orders of examinations (检查) and laboratory tests (检验). States: 1 已申请 2 已缴费 3 已执行 4 已撤回.

use rusqlite::{OptionalExtension, params};

use super::recipe::{check_diagnoses, visit_of};
use super::{items, need};
use crate::house::{Call, OpError, refuse};
use crate::wire::{Item, Node, Reply};

/// Beside the schema: a file of an earlier bench gets them when it is opened.
pub(crate) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS exec_dept (code TEXT PRIMARY KEY, name TEXT, location TEXT);
CREATE TABLE IF NOT EXISTS specimen (code TEXT PRIMARY KEY, name TEXT);
CREATE TABLE IF NOT EXISTS exam_item (code TEXT PRIMARY KEY, name TEXT, pinyin TEXT, type INTEGER, part TEXT, method TEXT,
  price INTEGER, depts TEXT, prep TEXT, status INTEGER);
CREATE TABLE IF NOT EXISTS lab_catalogue (code TEXT PRIMARY KEY, name TEXT, pinyin TEXT, specimen TEXT, specimens TEXT,
  price INTEGER, depts TEXT, prep TEXT, status INTEGER);
CREATE TABLE IF NOT EXISTS apply (id TEXT PRIMARY KEY, order_no TEXT, kind TEXT, visit TEXT, patient TEXT, doctor TEXT,
  dept TEXT, at TEXT, status INTEGER, fee_id TEXT, total INTEGER, purpose TEXT, ca_sign TEXT, reason TEXT);
CREATE INDEX IF NOT EXISTS apply_order ON apply (order_no);
CREATE TABLE IF NOT EXISTS apply_item (apply TEXT, n INTEGER, code TEXT, name TEXT, dept TEXT, specimen TEXT, price INTEGER,
  remark TEXT, PRIMARY KEY (apply, n));
";

/// What is ordered.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Exam,
    Lab,
}

impl Kind {
    const fn word(self) -> &'static str {
        match self {
            Self::Exam => "exam",
            Self::Lab => "lab",
        }
    }

    const fn letter(self) -> char {
        match self {
            Self::Exam => 'J',
            Self::Lab => 'Y',
        }
    }
}

/// Departments of a comma list, the usual one first.
fn departments(call: &Call<'_>, list: &str) -> Result<Vec<Item>, OpError> {
    let mut found = Vec::new();
    for code in list.split(',').filter(|c| !c.is_empty()) {
        found.extend(items(
            call,
            "SELECT code, name, location FROM exec_dept WHERE code = ?1",
            &[&code],
            &["deptCode", "deptName", "deptLocation"],
        )?);
    }
    Ok(found)
}

/// A page of a catalogue, each row with its departments.
fn catalogue(
    call: &Call<'_>,
    asked: &Node,
    select: &str,
    fields: &[&'static str],
    depts: &'static str,
) -> Result<Reply, OpError> {
    let mut page = super::dictionary::paged(call, asked, select, "name", fields)?;
    let mut rows = Vec::with_capacity(page.items.len());
    for row in std::mem::take(&mut page.items) {
        let list = departments(call, row.text(depts))?;
        rows.push(row.with_list("execDepts", list));
    }
    page.items = rows;
    Ok(page)
}

/// #61 检查项目列表
pub(super) fn exam_items(call: &Call<'_>, asked: &Node) -> Result<Reply, OpError> {
    let select = "SELECT code, name, pinyin, type, part, method, price, depts, prep, status FROM exam_item";
    let fields = &[
        "itemCode",
        "itemName",
        "pinyin",
        "checkType",
        "checkPart",
        "checkMethod",
        "price",
        "execDeptCodes",
        "preparation",
        "status",
    ];
    catalogue(call, asked, select, fields, "execDeptCodes")
}

/// #65 检验项目列表
pub(super) fn lab_items(call: &Call<'_>, asked: &Node) -> Result<Reply, OpError> {
    let select = "SELECT code, name, pinyin, specimen, specimens, price, depts, prep, status FROM lab_catalogue";
    let fields = &[
        "itemCode",
        "itemName",
        "pinyin",
        "specimenCode",
        "specimenCodes",
        "price",
        "execDeptCodes",
        "preparation",
        "status",
    ];
    catalogue(call, asked, select, fields, "execDeptCodes")
}

/// #64 检验物项目列表
pub(super) fn specimens(call: &Call<'_>, _: &Node) -> Result<Reply, OpError> {
    let sql = "SELECT code, name FROM specimen ORDER BY code";
    Ok(Reply::found(items(call, sql, &[], &["code", "name"])?))
}

struct Apply {
    id: String,
    order_no: String,
    fee_id: String,
    status: i64,
    total: i64,
}

impl Apply {
    fn item(&self) -> Item {
        Item::default()
            .with("platformOrderNo", &self.order_no)
            .with("hisApplyNo", &self.id)
            .with("mzFeeId", &self.fee_id)
            .with("applyStatus", self.status)
            .with("totalAmout", self.total)
    }
}

fn apply_of(call: &Call<'_>, asked: &Node) -> Result<Option<Apply>, OpError> {
    let found = call.tx.query_row(
        "SELECT id, order_no, fee_id, status, total FROM apply
          WHERE CASE WHEN ?1 <> '' THEN id = ?1 ELSE order_no = ?2 AND ?2 <> '' END ORDER BY rowid DESC LIMIT 1",
        params![asked.get("hisApplyNo"), asked.get("platformOrderNo")],
        |r| {
            Ok(Apply {
                id: r.get(0)?,
                order_no: r.get(1)?,
                fee_id: r.get(2)?,
                status: r.get(3)?,
                total: r.get(4)?,
            })
        },
    );
    Ok(found.optional()?)
}

/// A line at the price list.
struct Line {
    code: String,
    name: String,
    dept: String,
    specimen: String,
    price: i64,
    remark: String,
}

fn line(call: &Call<'_>, kind: Kind, asked: &Node) -> Result<Line, OpError> {
    let code = need(asked, "itemCode")?;
    let sql = match kind {
        Kind::Exam => "SELECT name, price, depts, '', status FROM exam_item WHERE code = ?1",
        Kind::Lab => "SELECT name, price, depts, specimens, status FROM lab_catalogue WHERE code = ?1",
    };
    type Row = (String, i64, String, String, i64);
    let found: Option<Row> = call
        .tx
        .query_row(sql, [code], |r| {
            Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?))
        })
        .optional()?;
    let Some((name, price, depts, specimens, status)) = found else {
        return refuse(format!("项目{code}不存在"));
    };
    if status == 0 {
        return refuse(format!("{name}已停用"));
    }
    let among = |list: &str, wanted: &str| list.split(',').any(|one| one == wanted);
    let dept = asked.get("execDeptCode");
    if !among(&depts, dept) {
        return refuse(format!("{name}不在科室{dept}开展"));
    }
    let specimen = asked.get("specimenCode");
    if kind == Kind::Lab && !among(&specimens, specimen) {
        return refuse(format!("{name}不收该标本"));
    }
    Ok(Line {
        code: code.into(),
        name,
        dept: dept.into(),
        specimen: specimen.into(),
        price,
        remark: asked.get("remark").into(),
    })
}

fn add(call: &Call<'_>, kind: Kind, asked: &Node) -> Result<Reply, OpError> {
    let order_no = need(asked, "platformOrderNo")?;
    if call.options.honour_keys
        && let Some(known) = apply_of(call, asked)?
    {
        return Ok(Reply::done(vec![known.item()]));
    }
    let (visit, patient) = visit_of(call, asked)?;
    let doctor = need(asked, "doctorCode")?;
    super::known(call, "doctor", doctor, "未知医师")?;
    check_diagnoses(call, asked)?;
    let wanted = asked.list("items");
    if wanted.is_empty() {
        return refuse("申请单无项目");
    }
    let mut lines = Vec::new();
    for wish in wanted {
        let made = line(call, kind, wish)?;
        if lines.iter().any(|l: &Line| l.code == made.code) {
            return refuse(format!("{}重复申请", made.name));
        }
        lines.push(made);
    }
    let n = call.number("apply")?;
    let day = call.today().replace('-', "");
    let made = Apply {
        id: format!("{}{day}{n:06}", kind.letter()),
        order_no: order_no.into(),
        fee_id: format!("A{day}{n:06}"),
        status: 1,
        total: lines.iter().map(|l| l.price).sum(),
    };
    call.tx.execute(
        "INSERT INTO apply VALUES (?1,?2,?3,?4,?5,?6,?7,?8,1,?9,?10,?11,?12,'')",
        params![
            made.id,
            order_no,
            kind.word(),
            visit,
            patient,
            doctor,
            asked.get("deptCode"),
            call.moment(),
            made.fee_id,
            made.total,
            asked.get("purpose"),
            asked.get("caSign")
        ],
    )?;
    for (n, l) in (0_i64..).zip(&lines) {
        call.tx.execute(
            "INSERT INTO apply_item VALUES (?1,?2,?3,?4,?5,?6,?7,?8)",
            params![made.id, n, l.code, l.name, l.dept, l.specimen, l.price, l.remark],
        )?;
    }
    Ok(Reply::done(vec![made.item()]))
}

/// #62 新增检查处方
pub(super) fn add_exam(call: &Call<'_>, asked: &Node) -> Result<Reply, OpError> {
    add(call, Kind::Exam, asked)
}

/// #66 新增检验处方
pub(super) fn add_lab(call: &Call<'_>, asked: &Node) -> Result<Reply, OpError> {
    add(call, Kind::Lab, asked)
}

/// #63 检查撤回, #67 检验撤回
pub(super) fn revoke(call: &Call<'_>, asked: &Node) -> Result<Reply, OpError> {
    let Some(mut apply) = apply_of(call, asked)? else {
        return refuse("申请单不存在");
    };
    match apply.status {
        2 => return refuse("申请单已缴费，请先到收费处退费"),
        3 => return refuse("申请单已执行，不可撤回"),
        _ => {}
    }
    apply.status = 4;
    call.tx.execute(
        "UPDATE apply SET status = 4, reason = ?2 WHERE id = ?1",
        params![apply.id, asked.get("reason")],
    )?;
    Ok(Reply::done(vec![apply.item()]))
}

/// 申请单状态
pub(super) fn status(call: &Call<'_>, asked: &Node) -> Result<Reply, OpError> {
    let found = items(
        call,
        "SELECT order_no, id, fee_id, status, total FROM apply
          WHERE (?1 = '' OR id = ?1) AND (?2 = '' OR order_no = ?2) AND ?1 || ?2 <> '' ORDER BY rowid",
        &[&asked.get("hisApplyNo"), &asked.get("platformOrderNo")],
        &["platformOrderNo", "hisApplyNo", "mzFeeId", "applyStatus", "totalAmout"],
    )?;
    Ok(Reply::found(found))
}
