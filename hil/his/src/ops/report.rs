use super::{bounds, diagnoses, items, need, patient_of};
use crate::house::{Call, OpError};
use crate::wire::{Item, Node, Reply};

/// #55 查询院内就诊记录
pub(super) fn visits(call: &Call<'_>, asked: &Node) -> Result<Reply, OpError> {
    let patient = patient_of(call, asked)?;
    let (begin, end) = bounds(asked);
    let heads = items(
        call,
        "SELECT v.id, v.at, v.dept, d.name, v.doctor, p.name, v.type, v.complaint FROM visit v
           JOIN dept d ON d.code = v.dept JOIN doctor p ON p.code = v.doctor
          WHERE v.patient = ?1 AND v.at BETWEEN ?2 AND ?3 ORDER BY v.at DESC",
        &[&patient.id, &begin, &end],
        &[
            "visitId",
            "visitTime",
            "deptCode",
            "deptName",
            "doctorCode",
            "doctorName",
            "visitType",
            "chiefComplaint",
        ],
    )?;
    let mut found = Vec::new();
    for head in heads {
        let why = diagnoses(call, "visit_diagnosis", "visit", head.text("visitId"))?;
        found.push(head.with_list("diagnosis", why));
    }
    Ok(Reply::found(found))
}

const EXAM: &str = "SELECT e.id, e.type, e.name, d.name, p.name, e.at, e.reported_at,
        CASE WHEN e.has_image THEN ?1 || '/files/exam/' || e.id || '.png' ELSE '' END,
        e.part, e.method, e.situation, e.opinion, e.advice
   FROM exam e JOIN dept d ON d.code = e.dept JOIN doctor p ON p.code = e.doctor";
const EXAM_FIELDS: &[&str] = &[
    "checkId",
    "checkType",
    "checkName",
    "deptName",
    "doctorName",
    "checkTime",
    "reportTime",
    "fileAddress",
    "checkPart",
    "checkMethod",
    "checkSituation",
    "option",
    "advice",
];
const EXAM_LIST_FIELDS: usize = 8;

/// #53 检查报告列表
pub(super) fn exams(call: &Call<'_>, asked: &Node) -> Result<Reply, OpError> {
    let patient = patient_of(call, asked)?;
    let (begin, end) = bounds(asked);
    let sql = format!("{EXAM} WHERE e.patient = ?2 AND e.at BETWEEN ?3 AND ?4 ORDER BY e.at DESC");
    let fields = EXAM_FIELDS.get(..EXAM_LIST_FIELDS).unwrap_or(EXAM_FIELDS);
    let base = &call.options.public_base;
    Ok(Reply::found(items(
        call,
        &sql,
        &[base, &patient.id, &begin, &end],
        fields,
    )?))
}

/// #53 检查报告详情
pub(super) fn exam(call: &Call<'_>, asked: &Node) -> Result<Reply, OpError> {
    let sql = format!("{EXAM} WHERE e.id = ?2");
    let id = need(asked, "checkId")?;
    Ok(Reply::found(items(
        call,
        &sql,
        &[&call.options.public_base, &id],
        EXAM_FIELDS,
    )?))
}

/// #54 检验报告列表
pub(super) fn labs(call: &Call<'_>, asked: &Node) -> Result<Reply, OpError> {
    let patient = patient_of(call, asked)?;
    let (begin, end) = bounds(asked);
    let found = items(
        call,
        "SELECT l.id, l.name, l.specimen, d.name, p.name, l.at, l.verified_at FROM lab l
           JOIN dept d ON d.code = l.dept JOIN doctor p ON p.code = l.doctor
          WHERE l.patient = ?1 AND l.at BETWEEN ?2 AND ?3 ORDER BY l.at DESC",
        &[&patient.id, &begin, &end],
        &[
            "inspectId",
            "inspectName",
            "specimen",
            "deptName",
            "doctorName",
            "inspectTime",
            "verifyTime",
        ],
    )?;
    Ok(Reply::found(found))
}

/// #54 检验报告详情
pub(super) fn lab(call: &Call<'_>, asked: &Node) -> Result<Reply, OpError> {
    let id = need(asked, "inspectId")?;
    let found: Vec<Item> = items(
        call,
        "SELECT name, code, result, unit, ref_range, abnormal FROM lab_item WHERE lab = ?1 ORDER BY n",
        &[&id],
        &["itemName", "itemCode", "result", "unit", "refRange", "abnormal"],
    )?;
    Ok(Reply::found(found))
}
