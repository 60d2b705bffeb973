use rusqlite::{OptionalExtension, params};

use super::{Patient, age, diagnoses, items, need, patient_by, patient_of};
use crate::house::{Call, OpError, refuse};
use crate::idnumber;
use crate::wire::{Item, Node, Reply};

/// #1 患者信息查询
pub(super) fn find_patient(call: &Call<'_>, asked: &Node) -> Result<Reply, OpError> {
    let patient = patient_of(call, asked)?;
    let name = asked.get("patName");
    if !name.is_empty() && name != patient.name {
        return refuse("姓名与证件号不符");
    }
    Ok(Reply::done(vec![patient.item]))
}

/// #2 首诊患者建档
pub(super) fn create_card(call: &Call<'_>, asked: &Node) -> Result<Reply, OpError> {
    let (name, number) = (need(asked, "patName")?, need(asked, "patIdNo")?.to_uppercase());
    let id_type = match asked.get("patIdType") {
        "" => "1",
        given => given,
    };
    let mut birth = asked.get("patBirth").to_owned();
    let mut sex = asked.get("patSex").to_owned();
    if id_type == "1" {
        let Some(read) = idnumber::read(&number) else {
            return refuse("身份证号校验不通过");
        };
        if !birth.is_empty() && birth != read.birth {
            return refuse("出生日期与身份证号不符");
        }
        (birth, sex) = (read.birth, read.sex.to_owned());
    }
    if let Some(known) = patient_by(call, "id_no", &number)? {
        if known.name != name {
            return refuse("该证件号已建档，姓名不一致，请到窗口核实");
        }
        return Ok(Reply::done(vec![card_of(&known)]));
    }
    let minor = age(&birth, &call.today()) < 18;
    if minor && (asked.get("guardName").is_empty() || asked.get("guardIdNo").is_empty()) {
        return refuse("未成年人建档须登记监护人姓名和证件号");
    }
    let n = call.number("patient")?;
    let (id, card) = (format!("P{n:06}"), format!("{}", 8_000_000_000_i64 + n));
    let pat_type = if asked.get("patType").is_empty() {
        "1"
    } else {
        asked.get("patType")
    };
    call.tx.execute(
        "INSERT INTO patient VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,'',?15)",
        params![
            id,
            card,
            name,
            sex,
            birth,
            id_type,
            number,
            asked.get("patMobile"),
            asked.get("patAddress"),
            pat_type,
            asked.get("guardName"),
            asked.get("guardIdType"),
            asked.get("guardIdNo"),
            asked.get("guardMobile"),
            call.moment()
        ],
    )?;
    let made = patient_by(call, "id", &id)?.ok_or(OpError::Nothing)?;
    Ok(Reply::done(vec![card_of(&made)]))
}

fn card_of(patient: &Patient) -> Item {
    Item::default()
        .with("patId", &patient.id)
        .with("patCardType", 1)
        .with("patCardNo", &patient.card)
}

/// #3 患者复诊校验
pub(super) fn check_revisit(call: &Call<'_>, asked: &Node) -> Result<Reply, OpError> {
    let patient = patient_of(call, asked)?;
    let dept = need(asked, "deptCode")?;
    let days: i64 = asked.get("days").parse().unwrap_or(90);
    let code = asked.get("diagnosis");
    let last: Option<(String, String, String, String, String, String)> = call
        .tx
        .query_row(
            "SELECT v.id, v.at, d.code, d.name, p.code, p.name
               FROM visit v JOIN dept d ON d.code = v.dept JOIN doctor p ON p.code = v.doctor
              WHERE v.patient = ?1 AND v.dept = ?2 AND (?3 = '' OR EXISTS
                    (SELECT 1 FROM visit_diagnosis g WHERE g.visit = v.id AND g.code = ?3))
              ORDER BY v.at DESC LIMIT 1",
            params![patient.id, dept, code],
            |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?, r.get(5)?)),
        )
        .optional()?;
    let Some((id, at, dept_code, dept_name, doctor_code, doctor_name)) = last else {
        let item = Item::default()
            .with("isFollowUp", 0)
            .with("reason", "未查询到在本科室的就诊记录，请先到院就诊");
        return Ok(Reply::done(vec![item]));
    };
    let within: bool = call.tx.query_row(
        "SELECT date(?1) >= date(?2, ?3)",
        params![at, call.today(), format!("-{days} days")],
        |r| r.get(0),
    )?;
    let reason = if within {
        String::new()
    } else {
        format!("最近一次就诊已超过{days}天，请先到院就诊")
    };
    let item = Item::default()
        .with("isFollowUp", u8::from(within))
        .with("lastVisitId", &id)
        .with("lastVisitDate", at.get(..10).unwrap_or(&at))
        .with("lastDeptCode", dept_code)
        .with("lastDeptName", dept_name)
        .with("lastDoctorCode", doctor_code)
        .with("lastDoctorName", doctor_name)
        .with_list("lastDiagnosis", diagnoses(call, "visit_diagnosis", "visit", &id)?)
        .with("reason", reason);
    Ok(Reply::done(vec![item]))
}

/// #4 科室信息查询
pub(super) fn departments(call: &Call<'_>, asked: &Node) -> Result<Reply, OpError> {
    let found = items(
        call,
        "SELECT code, name, parent, phone, descr, location FROM dept
          WHERE internet = 1 AND (?1 = '' OR parent = ?1) ORDER BY code",
        &[&asked.get("parentDeptCode")],
        &[
            "deptCode",
            "deptName",
            "parentDeptCode",
            "deptTelephone",
            "deptDescription",
            "deptLocation",
        ],
    )?;
    Ok(Reply::found(found))
}

/// #5 医生信息查询
pub(super) fn doctors(call: &Call<'_>, asked: &Node) -> Result<Reply, OpError> {
    let found = items(
        call,
        "SELECT p.code, p.no, p.name, p.title, p.level, p.skill, p.intro, p.sex, p.dept, d.name, '', p.practice
           FROM doctor p JOIN dept d ON d.code = p.dept
          WHERE (?1 = '' OR p.dept = ?1) AND (?2 = '' OR p.code = ?2) ORDER BY p.code",
        &[&asked.get("deptCode"), &asked.get("doctorCode")],
        &[
            "doctorCode",
            "doctorNo",
            "doctorName",
            "doctorTitle",
            "doctorLevel",
            "doctorSkill",
            "doctorIntrodution",
            "doctorSex",
            "deptCode",
            "deptName",
            "picture",
            "practiceCode",
        ],
    )?;
    Ok(Reply::found(found))
}
