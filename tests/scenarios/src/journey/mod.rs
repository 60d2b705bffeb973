//! The online follow-up visit (复诊续方) from sign-in to rating, step by step.

mod booking;
mod cast;
mod consultation;
mod patient;
mod paying;
mod prescription;

use anyhow::{Context, Result};
use serde_json::json;
use site::Addresses;

pub use cast::{Cast, PIN, gather, sign_in_patient, sign_in_staff, signature_image};
pub use consultation::{accept, end_of_service, unsigned};
pub(crate) use patient::{add_patient, matched};
pub use paying::pay;
pub use prescription::{prescribe, review, sign};

use booking::{book, eligible};
use consultation::{chat, finish};
use prescription::{document, window};

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
