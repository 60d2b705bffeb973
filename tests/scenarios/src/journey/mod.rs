//! The online follow-up visit (复诊续方) from sign-in to rating, step by step.

use std::time::Duration;

use std::collections::HashSet;

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};
use site::{Addresses, DemoPatient};

use crate::client::{Person, brief};

/// Steps before which a fault may strike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// The patient adds themself as 就诊人.
    AddPatient,
    /// Eligibility for a follow-up visit is asked of the HIS.
    Eligibility,
    /// A slot is chosen and locked.
    Book,
    /// The patient pays.
    Pay,
    /// The payment is confirmed in the HIS.
    Confirm,
    /// The patient reports in, the doctor accepts.
    Accept,
    /// Both chat.
    Chat,
    /// Record and prescription are written.
    Prescribe,
    /// The doctor signs.
    Sign,
    /// The pharmacist reviews and signs.
    Review,
    /// The prescription becomes payable.
    Submit,
    /// The drugs are paid.
    PayDrugs,
    /// The slip is printed.
    Print,
    /// The document is issued and verified.
    Document,
    /// The doctor ends the service, the patient rates.
    Finish,
}

impl Step {
    /// Every step in order.
    pub const ALL: [Self; 15] = [
        Self::AddPatient,
        Self::Eligibility,
        Self::Book,
        Self::Pay,
        Self::Confirm,
        Self::Accept,
        Self::Chat,
        Self::Prescribe,
        Self::Sign,
        Self::Review,
        Self::Submit,
        Self::PayDrugs,
        Self::Print,
        Self::Document,
        Self::Finish,
    ];
}

/// What a run has made, for the books.
#[derive(Clone, Debug, Default)]
pub struct Made {
    /// The visit.
    pub visit: String,
    /// The prescription.
    pub prescription: String,
    /// Payments, registration first.
    pub payments: Vec<String>,
}

/// Called before each step; a fault strikes there.
pub trait Strike {
    /// Strikes, if this is the step.
    fn before(&mut self, step: Step) -> impl Future<Output = Result<()>> + Send;
}

/// No fault at all.
#[derive(Debug, Clone, Copy)]
pub struct Calm;

impl Strike for Calm {
    async fn before(&mut self, _: Step) -> Result<()> {
        Ok(())
    }
}

/// The people of the story, signed in.
#[derive(Clone, Debug)]
pub struct Cast {
    /// The patient.
    pub patient: Person,
    /// The doctor.
    pub doctor: Person,
    /// The pharmacist.
    pub pharmacist: Person,
    /// The administrator.
    pub admin: Person,
}

impl Cast {
    /// The same people, who go on trying for so long.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self {
            patient: self.patient.with_patience(patience),
            doctor: self.doctor.with_patience(patience),
            pharmacist: self.pharmacist.with_patience(patience),
            admin: self.admin.with_patience(patience),
        }
    }
}

/// The signing PIN of the demo staff.
pub const PIN: &str = "246810";

/// Signs everybody in and captures the signatures of doctor and pharmacist once.
///
/// # Errors
/// When somebody cannot sign in.
pub async fn gather(site: &Addresses) -> Result<Cast> {
    let demo = &site.demo;
    let patient = sign_in_patient(site, &demo.patient_phone)
        .await
        .context("patient signs in")?;
    let doctor = sign_in_staff(site, &demo.doctor_login)
        .await
        .context("doctor signs in")?;
    let pharmacist = sign_in_staff(site, &demo.pharmacist_login)
        .await
        .context("pharmacist signs in")?;
    let admin = sign_in_staff(site, &demo.admin_login).await.context("admin signs in")?;
    for signer in [&doctor, &pharmacist] {
        let status = signer.get("doctor/signature").await?;
        if status["enrolled"] != json!(true) {
            signer
                .post("doctor/signature", json!({ "image": signature_image(), "pin": PIN }))
                .await?;
        }
    }
    Ok(Cast {
        patient,
        doctor,
        pharmacist,
        admin,
    })
}

/// Signs a patient in by phone code.
///
/// # Errors
/// When a step is refused.
pub async fn sign_in_patient(site: &Addresses, phone: &str) -> Result<Person> {
    let person = Person::new(&site.web)?;
    let hospital = &site.demo.hospital;
    site::forget_messages(site).await?;
    person
        .post("auth/phone/code", json!({ "hospital": hospital, "phone": phone }))
        .await?;
    let code = site::sms_code(site, phone).await?;
    let signed = person
        .post(
            "auth/phone/login",
            json!({ "hospital": hospital, "phone": phone, "code": code }),
        )
        .await?;
    Ok(person.with_token(signed["token"].as_str().context("token")?))
}

/// Signs a member of staff in by password and one-time code.
///
/// # Errors
/// When a step is refused.
pub async fn sign_in_staff(site: &Addresses, login: &str) -> Result<Person> {
    let person = Person::new(&site.web)?;
    let body = json!({ "hospital": site.demo.hospital, "login": login, "password": site.demo.staff_password });
    let first = person.post("auth/staff/login", body).await?;
    let code = site::totp_code(site, login).await?;
    let signed = person
        .post(
            "auth/staff/second-factor",
            json!({ "ticket": first["ticket"], "code": code }),
        )
        .await?;
    Ok(person.with_token(signed["token"].as_str().context("token")?))
}

/// A stroke of ink on white, as the browser sends it.
pub fn signature_image() -> String {
    format!("data:image/png;base64,{}", STANDARD.encode(site::signature_png()))
}

/// The patient of a run: adds the demo patient whom the HIS knows, or finds them added already.
pub(crate) async fn add_patient(cast: &Cast, who: &DemoPatient, relation: &str) -> Result<String> {
    let ending: String = who.id_number.chars().skip(14).collect();
    let find = |list: &Value| {
        let items = list.as_array().or_else(|| list["items"].as_array())?;
        let mine = items
            .iter()
            .find(|p| p["id_number_masked"].as_str().is_some_and(|n| n.ends_with(&ending)))?;
        mine["id"].as_str().map(str::to_owned)
    };
    if let Some(id) = find(&cast.patient.get("patients").await?) {
        return Ok(id);
    }
    let body = json!({ "name": who.name, "id_number": who.id_number, "phone": who.phone, "relation": relation });
    match cast.patient.until_done(Method::POST, "patients", Some(&body)).await {
        Ok(patient) => patient["id"].as_str().map(str::to_owned).context("patient id"),
        Err(error) => find(&cast.patient.get("patients").await?).with_context(|| format!("{error:#}")),
    }
}

/// Waits until the HIS knows the patient, asking again where a person would press 重试.
pub(crate) async fn matched(cast: &Cast, id: &str) -> Result<()> {
    for _ in 0..60 {
        let list = cast.patient.get("patients").await?;
        let items = list
            .as_array()
            .or_else(|| list["items"].as_array())
            .cloned()
            .unwrap_or_default();
        let mine = items
            .iter()
            .find(|p| p["id"] == json!(id))
            .context("the patient is gone from the list")?;
        match mine["his_state"].as_str() {
            Some("matched" | "created") => return Ok(()),
            Some("pending") => {
                let _ = cast
                    .patient
                    .once(Method::POST, &format!("patients/{id}/retry"), None)
                    .await;
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            other => bail!("the HIS state of the patient is {other:?}: {}", brief(mine)),
        }
    }
    bail!("the patient was never matched in the HIS")
}

/// Runs the story.
///
/// # Errors
/// At the first step that cannot be done, with what the product said.
pub async fn follow_up_visit(site: &Addresses, cast: &Cast, key: &str, strike: &mut impl Strike) -> Result<Made> {
    let mut made = Made::default();
    strike.before(Step::AddPatient).await?;
    let number: usize = key.rsplit('-').next().and_then(|n| n.parse().ok()).unwrap_or(0);
    let turn = number % site.demo.patients.len().max(1);
    let who = site.demo.patients.get(turn).context("a demo patient")?;
    let relation = if turn == 0 { "self" } else { "other" };
    let patient = add_patient(cast, who, relation).await.context("add patient")?;
    matched(cast, &patient).await.context("match patient")?;
    strike.before(Step::Eligibility).await?;
    eligible(site, cast, &patient).await.context("eligibility")?;
    strike.before(Step::Book).await?;
    made.visit = book(site, cast, &patient, key).await.context("book")?;
    strike.before(Step::Pay).await?;
    let visit = format!("visits/{}", made.visit);
    let payment = pay(site, cast, &format!("{visit}/pay")).await.context("pay")?;
    made.payments.push(payment);
    strike.before(Step::Confirm).await?;
    cast.patient
        .wait(&visit, "the confirmation by the HIS", |v| {
            v["state"] == "waiting" || v["state"] == "checked_in"
        })
        .await?;
    strike.before(Step::Accept).await?;
    accept(cast, &made.visit).await.context("accept")?;
    strike.before(Step::Chat).await?;
    chat(cast, &made.visit, key).await.context("chat")?;
    strike.before(Step::Prescribe).await?;
    made.prescription = prescribe(cast, &made.visit).await.context("prescribe")?;
    strike.before(Step::Sign).await?;
    sign(cast, &made).await.context("sign")?;
    strike.before(Step::Review).await?;
    review(cast, &made).await.context("review")?;
    strike.before(Step::Submit).await?;
    let prescription = format!("prescriptions/{}", made.prescription);
    cast.patient
        .wait(&prescription, "the bill", |p| p["state"] == "awaiting_payment")
        .await
        .context("submit")?;
    cast.patient
        .act(
            &format!("{prescription}/fulfilment"),
            json!({ "kind": "pickup" }),
            &prescription,
            |p| p["fulfilment"].is_object(),
        )
        .await?;
    strike.before(Step::PayDrugs).await?;
    let payment = pay(site, cast, &format!("{prescription}/pay"))
        .await
        .context("pay drugs")?;
    made.payments.push(payment);
    strike.before(Step::Print).await?;
    window(cast, &made).await.context("print")?;
    cast.patient
        .wait(&prescription, "the dispensing window", |p| {
            p["state"] == "ready" && p["pickup_code"].is_string()
        })
        .await
        .context("print")?;
    strike.before(Step::Document).await?;
    document(cast, &made).await.context("document")?;
    strike.before(Step::Finish).await?;
    finish(cast, &made.visit).await.context("finish")?;
    Ok(made)
}

async fn eligible(site: &Addresses, cast: &Cast, patient: &str) -> Result<()> {
    let body = json!({ "patient_id": patient, "department_code": site.demo.department_code });
    let answer = cast.patient.post("visits/eligibility", body).await?;
    if answer["eligible"] != json!(true) {
        bail!("the demo patient is not eligible: {}", brief(&answer));
    }
    Ok(())
}

/// Picks the earliest free slot of the demo doctor and books it; a slot lost to somebody else means the next one.
async fn book(site: &Addresses, cast: &Cast, patient: &str, key: &str) -> Result<String> {
    let demo = &site.demo;
    let slots = cast
        .patient
        .get(&format!(
            "slots?department_code={}&doctor_code={}&from={}&to={}",
            demo.department_code, demo.doctor_code, demo.first_day, demo.last_day
        ))
        .await?;
    let slots = slots
        .as_array()
        .or_else(|| slots["items"].as_array())
        .cloned()
        .unwrap_or_default();
    let consent = cast.patient.get("consents/current").await?;
    let photo = cast
        .patient
        .upload("statement", "photo.png", "image/png", &site::signature_png())
        .await?;
    let mut refusals = Vec::new();
    // One try per shift: the hospital books a patient once per doctor and shift.
    let mut shifts = HashSet::new();
    for (try_number, slot) in slots
        .iter()
        .filter(|s| s["left"].as_i64() > Some(0) && s["stopped"] != json!(true))
        .filter(|s| shifts.insert(s["work_id"].to_string()))
        .enumerate()
        .take(60)
    {
        let body = json!({
            "key": format!("{key}-{try_number}"),
            "patient_id": patient,
            "purpose": "renew_prescription",
            "department_code": demo.department_code,
            "doctor_code": demo.doctor_code,
            "slot": { "work_id": slot["work_id"], "date": slot["date"], "begin": slot["begin"], "end": slot["end"] },
            "consent": { "id": consent["id"], "version": consent["version"] },
            "statement": { "complaint": "血压控制尚可，需续方", "duration": "3年", "history": "高血压病史3年", "allergies": "无", "medications": "苯磺酸氨氯地平片 5mg 每日一次" },
            "photo_ids": [photo["id"]],
        });
        match cast.patient.until_done(Method::POST, "visits", Some(&body)).await {
            Ok(visit) => {
                let id = visit["id"].as_str().context("visit id")?.to_owned();
                let settled = |v: &Value| !matches!(v["state"].as_str(), Some("locking" | "lock_unknown"));
                let visit = cast.patient.wait(&format!("visits/{id}"), "the lock", settled).await?;
                if visit["state"] == "awaiting_payment" {
                    return Ok(id);
                }
                refusals.push(brief(&visit["message"]));
            }
            Err(error) => refusals.push(format!("{error:#}")),
        }
    }
    bail!(
        "no slot could be booked out of {}: {}",
        slots.len(),
        refusals.last().cloned().unwrap_or_default()
    )
}

/// Asks for the cashier, pays there, and waits until we know it.
///
/// # Errors
/// When a step is refused.
pub async fn pay(site: &Addresses, cast: &Cast, path: &str) -> Result<String> {
    let order = cast.patient.post(path, json!({ "method": "wechat_h5" })).await?;
    let payment = order["payment_id"].as_str().context("payment id")?.to_owned();
    site::pay_at_cashier(site, &payment).await?;
    let paid = |p: &Value| {
        matches!(
            p["state"].as_str(),
            Some("paid" | "paid_channel" | "his_confirming" | "done")
        )
    };
    cast.patient
        .wait(&format!("payments/{payment}"), "the payment to arrive", paid)
        .await?;
    Ok(payment)
}

/// The patient reports in, the doctor accepts.
///
/// # Errors
/// When a step is refused.
pub async fn accept(cast: &Cast, visit: &str) -> Result<()> {
    let look = format!("visits/{visit}");
    let further = |v: &Value| matches!(v["state"].as_str(), Some("checked_in" | "in_progress"));
    cast.patient
        .act(&format!("{look}/check-in"), json!({}), &look, further)
        .await?;
    let look = format!("doctor/visits/{visit}");
    cast.doctor
        .act(&format!("{look}/accept"), json!({}), &look, |v| {
            v["state"] == "in_progress"
        })
        .await?;
    Ok(())
}

async fn chat(cast: &Cast, visit: &str, key: &str) -> Result<()> {
    let path = format!("visits/{visit}/messages");
    for (person, client_id, text) in [
        (&cast.doctor, format!("{key}-d1"), "您好，最近血压多少？"),
        (&cast.patient, format!("{key}-p1"), "早上 128/82，没有不舒服。"),
    ] {
        person
            .post(&path, json!({ "client_id": client_id, "kind": "text", "text": text }))
            .await?;
    }
    let seen = cast.patient.get(&format!("{path}?after=0")).await?;
    let texts = seen
        .as_array()
        .or_else(|| seen["items"].as_array())
        .cloned()
        .unwrap_or_default();
    let mine = texts.iter().filter(|m| m["kind"] == "text").count();
    if mine != 2 {
        bail!("two messages were sent, {mine} are there: {}", brief(&seen));
    }
    Ok(())
}

/// Record and draft of the prescription; answers its id.
///
/// # Errors
/// When a step is refused.
pub async fn prescribe(cast: &Cast, visit: &str) -> Result<String> {
    let doctor = &cast.doctor;
    doctor.get(&format!("doctor/visits/{visit}/history/visits")).await?;
    let diagnosis = first(&doctor.get("dictionary/diagnoses?q=I10").await?, |d| {
        d["code"].as_str().is_some_and(|c| c.starts_with("I10"))
    })?;
    let record = json!({
        "chief_complaint": "高血压复诊续方", "present_history": "规律服药，血压平稳", "past_history": "高血压3年", "allergies": "无",
        "examination": "自测血压128/82mmHg", "diagnoses": [{ "code": diagnosis["code"], "name": diagnosis["name"], "main": true }], "advice": "低盐饮食，规律服药",
    });
    doctor
        .until_done(Method::PUT, &format!("doctor/visits/{visit}/record"), Some(&record))
        .await?;
    let drug = first(
        &doctor
            .get("dictionary/drugs?q=%E6%B0%A8%E6%B0%AF%E5%9C%B0%E5%B9%B3")
            .await?,
        |d| d["control"] == "none" && d["barred_online"] != json!(true),
    )?;
    let pack: u64 = drug["pack_size"].as_u64().context("pack size")?;
    let days = 14u64;
    let body = json!({ "kind": "western", "items": [{
        "drug_code": drug["code"], "dose": drug["dose_per_min_unit"], "dose_unit": drug["dose_unit"],
        "route_code": drug["default_route_code"].as_str().unwrap_or("PO"), "frequency_code": "QD", "days": days,
        "quantity": days.div_ceil(pack.max(1)), "quantity_unit": drug["pack_unit"], "note": "",
    }] });
    let before = format!("doctor/visits/{visit}");
    // A lost answer must not leave two drafts: look before writing again.
    match doctor
        .once(Method::POST, &format!("{before}/prescriptions"), Some(&body))
        .await
    {
        Ok(answer) if answer.status.is_success() => {
            answer.body["id"].as_str().map(str::to_owned).context("prescription id")
        }
        Ok(answer) if answer.status.is_client_error() => bail!("{}", answer.body),
        _ => {
            let seen = doctor.get(&before).await?;
            match seen["prescriptions"].as_array().and_then(|p| p.first()) {
                Some(draft) => draft["id"].as_str().map(str::to_owned).context("prescription id"),
                None => doctor.post(&format!("{before}/prescriptions"), body).await?["id"]
                    .as_str()
                    .map(str::to_owned)
                    .context("prescription id"),
            }
        }
    }
}

fn first(list: &Value, fits: impl Fn(&Value) -> bool) -> Result<Value> {
    let items = list
        .as_array()
        .or_else(|| list["items"].as_array())
        .cloned()
        .unwrap_or_default();
    items
        .into_iter()
        .find(|i| fits(i))
        .with_context(|| format!("nothing fits in {}", brief(list)))
}

/// The doctor signs.
///
/// # Errors
/// When a step is refused.
pub async fn sign(cast: &Cast, made: &Made) -> Result<()> {
    let look = format!("doctor/prescriptions/{}", made.prescription);
    let signed = |p: &Value| !matches!(p["state"].as_str(), Some("draft"));
    cast.doctor
        .act(&format!("{look}/sign"), json!({ "pin": PIN }), &look, signed)
        .await?;
    cast.doctor
        .wait(&look, "the review queue", |p| p["state"] == "in_review")
        .await?;
    Ok(())
}

/// The pharmacist approves.
///
/// # Errors
/// When a step is refused.
pub async fn review(cast: &Cast, made: &Made) -> Result<()> {
    let look = format!("pharmacist/prescriptions/{}", made.prescription);
    let approved = |p: &Value| !matches!(p["state"].as_str(), Some("in_review" | "signed" | "draft"));
    cast.pharmacist
        .act(&format!("{look}/approve"), json!({ "pin": PIN }), &look, approved)
        .await?;
    cast.pharmacist.wait(&look, "the approval", approved).await?;
    Ok(())
}

/// The slip comes out at the dispensing window and the drugs are put there. Of a slip that was on its way when the
/// appliance died nobody can know whether it came out: it is not printed again by itself, and the pharmacist, who is told
/// so, looks and calls the drugs ready.
async fn window(cast: &Cast, made: &Made) -> Result<()> {
    let look = format!("pharmacist/prescriptions/{}", made.prescription);
    let doubted = |p: &Value| {
        p["needs_hand"]
            .as_str()
            .is_some_and(|why| why.starts_with("取药凭条未确认打印"))
    };
    let there = cast
        .pharmacist
        .wait(&look, "the dispensing window", |p| {
            p["state"] == "ready" || (p["state"] == "dispensing" && doubted(p))
        })
        .await?;
    if there["state"] != "ready" {
        cast.pharmacist
            .act(&format!("{look}/prepare"), json!({}), &look, |p| p["state"] == "ready")
            .await?;
    }
    Ok(())
}

/// The PDF opens, the verify page says valid, and one flipped byte makes it say so.
async fn document(cast: &Cast, made: &Made) -> Result<()> {
    let prescription = cast
        .patient
        .wait(
            &format!("prescriptions/{}", made.prescription),
            "the verify code",
            |p| p["verify_code"].is_string(),
        )
        .await?;
    let code = prescription["verify_code"].as_str().context("verify code")?;
    let pdf = cast
        .patient
        .download(&format!("prescriptions/{}/pdf", made.prescription))
        .await?;
    if !pdf.starts_with(b"%PDF-") {
        bail!("the e-prescription is not a PDF");
    }
    let verified = cast.patient.get(&format!("verify/{code}")).await?;
    if verified["valid"] != json!(true) || verified["signatures"].as_array().map_or(0, Vec::len) != 2 {
        bail!("the verify page does not confirm both signatures: {}", brief(&verified));
    }
    Ok(())
}

async fn finish(cast: &Cast, visit: &str) -> Result<()> {
    end_of_service(&cast.doctor, visit).await?;
    let look = format!("visits/{visit}");
    let body = json!({ "attitude": 5, "professional": 5, "speed": 4, "comment": "医生很耐心" });
    cast.patient
        .act(&format!("{look}/rating"), body, &look, |v| v["rating"].is_object())
        .await?;
    Ok(())
}

/// What the page of the end of service sends back of its list: everything that is not signed yet.
pub fn unsigned(list: &Value) -> Value {
    let papers = list["documents"].as_array().into_iter().flatten();
    papers
        .filter(|d| d["signed"] != json!(true))
        .map(|d| json!({ "kind": d["kind"], "id": d["id"], "edition": d["edition"] }))
        .collect()
}

/// The doctor ends the service: what is not signed yet is signed with one PIN, and the visit is finished.
///
/// # Errors
/// When it is refused, or a document stays unsigned.
pub async fn end_of_service(doctor: &Person, visit: &str) -> Result<Value> {
    let path = format!("doctor/visits/{visit}/end-of-service");
    let list = doctor.get(&path).await?;
    let body = json!({ "pin": PIN, "seen": unsigned(&list) });
    let over = |list: &Value| list["finished"] == json!(true) && list["unsigned"] == json!(0);
    let ended = doctor.act(&path, body, &path, over).await?;
    if !over(&ended) {
        bail!("the service is not ended: {}", brief(&ended));
    }
    Ok(ended)
}
