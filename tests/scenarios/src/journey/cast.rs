//! The people of the story, signed in as each of them signs in.

use std::time::Duration;

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use site::Addresses;

use crate::client::Person;

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
