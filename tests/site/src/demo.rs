//! The hospital of the demo as its onboarding file, and who signs in.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::ports::{Ports, Service};
use crate::{Demo, DemoPatient};

/// Code of the demo hospital.
const HOSPITAL: &str = "shifan";
/// Name of the demo hospital.
const NAME: &str = "永州示范医院";
/// Password of all demo staff.
const PASSWORD: &str = "Yiqiao#2026";

/// A member of the demo staff.
struct Member {
    login: &'static str,
    secret: &'static str,
    roles: &'static [&'static str],
    his_code: &'static str,
    /// Used when the bench hospital does not know the code.
    name: &'static str,
    title: &'static str,
}

const STAFF: [Member; 8] = [
    Member {
        login: "doctor",
        secret: "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP",
        roles: &["doctor"],
        his_code: "D0001",
        name: "",
        title: "",
    },
    Member {
        login: "doctor2",
        secret: "KRUGKIDROVUWG2ZAKRUGKIDROVUWG2ZA",
        roles: &["doctor"],
        his_code: "D0002",
        name: "",
        title: "",
    },
    Member {
        login: "doctor3",
        secret: "MJZG653OEBTG66BAMJZG653OEBTG66BA",
        roles: &["doctor"],
        his_code: "D0040",
        name: "",
        title: "",
    },
    Member {
        login: "pharmacist",
        secret: "NJ2W24DTEBXXMZLSNJ2W24DTEBXXMZLS",
        roles: &["pharmacist"],
        his_code: "Y0001",
        name: "",
        title: "",
    },
    Member {
        login: "pharmacist2",
        secret: "ORUGKIDMMF5HSIDEORUGKIDMMF5HSIDE",
        roles: &["pharmacist"],
        his_code: "Y0002",
        name: "",
        title: "",
    },
    Member {
        login: "medical",
        secret: "PFXXKIDBOJSSA3DPN5VWS3THEBTG64RA",
        roles: &["medical_affairs"],
        his_code: "",
        name: "周敏",
        title: "医务科科员",
    },
    Member {
        login: "nurse",
        secret: "PFUW4ZDPOJ2W43DFPFUW4ZDPOJ2W43DF",
        roles: &["nurse"],
        his_code: "",
        name: "李雪梅",
        title: "主管护师",
    },
    Member {
        login: "admin",
        secret: "N5TCAYLOMQQGC3TEN5TCAYLOMQQGC3TE",
        roles: &["admin", "auditor"],
        his_code: "",
        name: "陈思远",
        title: "信息科科长",
    },
];

/// Secrets of the demo phone's authenticator.
pub(crate) fn totp_secrets() -> Value {
    STAFF
        .iter()
        .map(|m| (m.login.to_owned(), json!(m.secret)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// The onboarding file: staff as the bench hospital names them, settings, merchant account, appliance.
pub(crate) fn onboarding(his: &Value, merchant_dir: &Path, ports: Ports, claim_code: &str) -> Result<Value> {
    let known_staff = his["staff"].as_array().cloned().unwrap_or_default();
    let departments = his["departments"].as_array().cloned().unwrap_or_default();
    let staff: Vec<Value> = STAFF
        .iter()
        .map(|m| {
            let known = known_staff.iter().find(|d| d["code"] == m.his_code);
            let department = departments.iter().find(|d| known.is_some_and(|k| k["department_code"] == d["code"]));
            let text = |key: &str, other: &str| known.and_then(|d| d[key].as_str()).unwrap_or(other).to_owned();
            json!({
                "login": m.login, "password": PASSWORD, "totp_secret": m.secret, "roles": m.roles, "his_code": m.his_code,
                "name": text("name", m.name), "title": text("title", m.title),
                "department_code": text("department_code", ""), "department_name": department.and_then(|d| d["name"].as_str()).unwrap_or_default(),
            })
        })
        .collect();
    Ok(json!({
        "hospital": { "code": HOSPITAL, "name": NAME },
        "staff": staff,
        "settings": settings(),
        "merchant": merchant(merchant_dir, ports)?,
        "claim_code": claim_code,
    }))
}

/// What the bench hospital's price list says beyond its dictionaries.
fn settings() -> Value {
    json!({ "treatment.prescribing": { "offers_decoction": true, "decoction_fee_fen": 300 } })
}

fn merchant(dir: &Path, ports: Ports) -> Result<Value> {
    let read = |path: &Path| std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()));
    let id = "1900000109";
    let card: Value = serde_json::from_str(&read(&dir.join(id).join("merchant.json"))?)?;
    Ok(json!({
        "merchant_id": card["mchid"], "app_id": card["appid"], "serial": card["serial_no"], "api_v3_key": card["api_v3_key"],
        "private_key_pem": read(&dir.join(id).join("merchant_private.pem"))?,
        "wechat_keys": [[read(&dir.join("platform_public_key_id.txt"))?.trim(), read(&dir.join("platform_public.pem"))?]],
        "base_url": ports.http(Service::Pay),
    }))
}

/// Who signs in, from what the bench hospital knows.
pub(crate) fn people(his: &Value) -> Result<Demo> {
    let patients = his["patients"].as_array().context("patients of the bench hospital")?;
    let eligible = |p: &&Value| {
        p["follow_up_within_90_days"] == json!(true) && p["department_code"] == "K01" && p["guardian"].is_null()
    };
    let mut seen: Vec<&Value> = patients.iter().filter(eligible).collect();
    // Somebody without an allergy first: the story renews a drug without a warning.
    seen.sort_by_key(|p| p["allergy"] != "");
    let patient = *seen
        .first()
        .context("a patient whom the bench hospital has seen lately")?;
    let text = |key: &str| patient[key].as_str().unwrap_or_default().to_owned();
    let word = |p: &Value, key: &str| p[key].as_str().unwrap_or_default().to_owned();
    let departments = his["departments"].as_array().cloned().unwrap_or_default();
    let department = departments.iter().find(|d| d["code"] == patient["department_code"]);
    let today = time::OffsetDateTime::now_utc()
        .to_offset(time::macros::offset!(+8))
        .date();
    Ok(Demo {
        hospital: HOSPITAL.to_owned(),
        patient_phone: text("phone"),
        patient_name: text("name"),
        patient_id_number: text("id_number"),
        patients: seen
            .iter()
            .map(|p| DemoPatient {
                name: word(p, "name"),
                id_number: word(p, "id_number"),
                phone: word(p, "phone"),
            })
            .collect(),
        department_code: text("department_code"),
        department_name: department
            .and_then(|d| d["name"].as_str())
            .unwrap_or_default()
            .to_owned(),
        doctor_code: "D0001".to_owned(),
        doctor_login: "doctor".to_owned(),
        pharmacist_login: "pharmacist".to_owned(),
        admin_login: "admin".to_owned(),
        staff_password: PASSWORD.to_owned(),
        first_day: today.to_string(),
        last_day: (today + time::Duration::days(13)).to_string(),
    })
}
