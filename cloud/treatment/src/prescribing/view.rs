//! The prescription as the API shows it.

use base::{ApiError, Ctx, Vault};
use records::his::Diagnosis;
use records::id::PrescriptionId;
use records::{LocalDate, TenantId, Timestamp};
use serde::Serialize;
use store::{StoreError, Tx};
use utoipa::ToSchema;

use super::store::{self as table, Address, Chart};
use super::{Command, Herbal, Kind, Line, State, next};
use crate::signed::{PersonView, StepView};

/// Who looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Eye {
    Patient,
    Doctor,
    Pharmacist,
    Admin,
}

/// The patient; in clear only for the pharmacist who judges the prescription.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = PrescriptionPatient)]
pub struct PatientView {
    /// Id.
    pub id: String,
    /// Name with the middle hidden.
    pub name_masked: String,
    /// Name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `M` or `F`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sex: Option<String>,
    /// Day of birth.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub birth_date: Option<LocalDate>,
    /// Age in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age: Option<String>,
}

/// A diagnosis.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DiagnosisView {
    /// ICD-10 code.
    pub code: String,
    /// Name.
    pub name: String,
    /// The main one.
    pub main: bool,
}

impl From<Diagnosis> for DiagnosisView {
    fn from(d: Diagnosis) -> Self {
        Self {
            code: d.code,
            name: d.name,
            main: d.main,
        }
    }
}

/// A rejection with its reasons.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RejectionView {
    /// Problem classes, or `his` when the hospital's system refused.
    pub reasons: Vec<String>,
    /// Words.
    pub comment: String,
    /// Who.
    pub by: String,
    /// When.
    #[schema(value_type = String)]
    pub at: Timestamp,
}

/// How the drugs reach the patient.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FulfilmentView {
    /// `pickup` or `delivery`.
    pub kind: String,
    /// Where to, for delivery.
    pub address: Option<Address>,
    /// Window, for pick-up.
    pub window: Option<String>,
    /// Courier.
    pub company: Option<String>,
    /// Waybill.
    pub waybill: Option<String>,
}

/// The payment, in short.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PaymentBrief {
    /// Number.
    pub id: String,
    /// State.
    pub state: String,
    /// State in words.
    pub state_text: String,
    /// Amount.
    pub amount_fen: i64,
}

/// A prescription.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PrescriptionView {
    /// Id and number.
    pub id: String,
    /// The same, for people.
    pub number: String,
    /// Revision.
    pub revision: u32,
    /// The one it corrects.
    pub revises: Option<String>,
    /// Visit.
    pub visit_id: String,
    /// Patient.
    pub patient: PatientView,
    /// State.
    pub state: String,
    /// In words.
    pub state_text: String,
    /// Kind.
    pub kind: Kind,
    /// Lines.
    pub items: Vec<Line>,
    /// Herbal part.
    pub herbal: Option<Herbal>,
    /// Diagnoses.
    pub diagnoses: Vec<DiagnosisView>,
    /// What is to be paid: the HIS's bill once there is one, before that the sum by the catalogue.
    pub total_fen: i64,
    /// Sum by the catalogue when it was written.
    pub written_fen: i64,
    /// Department.
    pub department_name: String,
    /// Doctor.
    pub doctor: PersonView,
    /// Pharmacist who decided last.
    pub pharmacist: Option<PersonView>,
    /// Rejections.
    pub rejections: Vec<RejectionView>,
    /// The doctor's objection.
    pub appeal: Option<String>,
    /// How it reaches the patient.
    pub fulfilment: Option<FulfilmentView>,
    /// The payment.
    pub payment: Option<PaymentBrief>,
    /// Code for the window.
    pub pickup_code: Option<String>,
    /// Code of the public verification page.
    pub verify_code: Option<String>,
    /// The PDF can be fetched.
    pub has_pdf: bool,
    /// History.
    pub trail: Vec<StepView>,
    /// No pharmacist has approved it: the patient is told where it stands, not what it says (处方管理办法, art. 34–35;
    /// only an approved prescription reaches the patient).
    pub withheld: bool,
    /// What may be done with it by the one who looks.
    pub allowed: Vec<&'static str>,
    /// Why a person has to look, for administrators.
    pub needs_hand: Option<String>,
    /// Last day.
    #[schema(value_type = Option<String>)]
    pub valid_until: Option<LocalDate>,
    /// When it was last written.
    #[schema(value_type = String)]
    pub written_at: Timestamp,
    /// When the first draft was made.
    #[schema(value_type = String)]
    pub created_at: Timestamp,
}

fn allowed(chart: &Chart, eye: Eye) -> Vec<&'static str> {
    let commands: &[Command] = match eye {
        Eye::Doctor => &[Command::Sign, Command::Revise, Command::Appeal, Command::Revoke],
        Eye::Pharmacist => &[
            Command::Approve,
            Command::Reject,
            Command::Prepare,
            Command::Ship,
            Command::Collect,
        ],
        Eye::Patient => &[Command::Pay, Command::Collect],
        Eye::Admin => &[],
    };
    let delivery = chart.fulfilment.as_deref() == Some("delivery");
    let fits = |c: Command| match (eye, c) {
        (Eye::Pharmacist, Command::Prepare) => !delivery,
        (Eye::Pharmacist, Command::Ship) => delivery,
        // At the window the pharmacist hands over; a parcel is acknowledged by the patient.
        (Eye::Pharmacist, Command::Collect) => chart.state == State::Ready,
        (Eye::Patient, Command::Pay) => chart.fulfilment.is_some(),
        _ => true,
    };
    let mut words: Vec<_> = commands
        .iter()
        .filter(|c| next(chart.state, **c).is_some() && fits(**c))
        .map(|c| c.as_str())
        .collect();
    if eye == Eye::Doctor && chart.state == State::Draft {
        words.extend(["edit", "delete"]);
    }
    if eye == Eye::Patient && may_choose_fulfilment(chart.state) {
        words.push("fulfilment");
    }
    if eye == Eye::Patient {
        words
            .iter_mut()
            .filter(|w| **w == "collect")
            .for_each(|w| *w = "collected");
    }
    if chart.pdf_blob.is_some() {
        words.push("pdf");
    }
    words
}

/// While nothing is paid the patient may choose how to get the drugs.
pub(crate) const fn may_choose_fulfilment(state: State) -> bool {
    matches!(state, State::Approved | State::SentToHis | State::AwaitingPayment)
}

/// Before a pharmacist has approved it, or after one has refused it, nothing of its content is for the patient.
const fn withheld(state: State, eye: Eye) -> bool {
    let unapproved = matches!(
        state,
        State::Draft | State::Signed | State::InReview | State::Rejected | State::Revised | State::Appealed
    );
    unapproved && matches!(eye, Eye::Patient)
}

/// Takes out what the prescription says; who wrote it, when, and where it stands remain.
fn without_content(view: PrescriptionView) -> PrescriptionView {
    PrescriptionView {
        items: Vec::new(),
        herbal: None,
        diagnoses: Vec::new(),
        total_fen: 0,
        written_fen: 0,
        rejections: Vec::new(),
        appeal: None,
        verify_code: None,
        trail: view
            .trail
            .into_iter()
            .map(|step| StepView {
                note: String::new(),
                ..step
            })
            .collect(),
        ..view
    }
}

/// The view for one who looks, with the diagnoses of the newest version of the record.
pub(crate) async fn shown(tx: &mut Tx<'_>, ctx: &Ctx, chart: &Chart, eye: Eye) -> Result<PrescriptionView, ApiError> {
    let diagnoses = super::diagnoses(tx, ctx, &chart.visit_id).await?;
    Ok(of(tx, &ctx.vault, chart, diagnoses, eye).await?)
}

async fn of(
    tx: &mut Tx<'_>,
    vault: &Vault,
    chart: &Chart,
    diagnoses: Vec<Diagnosis>,
    eye: Eye,
) -> Result<PrescriptionView, StoreError> {
    let tenant = tx.tenant().clone();
    let payments = money::payments_of(tx, crate::dispensing::SUBJECT, chart.id.as_str()).await?;
    let allowed = match eye {
        Eye::Admin => crate::dispensing::by_hand::allowed(chart, &payments),
        _ => allowed(chart, eye),
    };
    let trail = steps(tx, chart).await?;
    let rejections = rejections(tx, &chart.id).await?;
    let own = matches!(eye, Eye::Patient | Eye::Pharmacist);
    let withheld = withheld(chart.state, eye);
    let view = PrescriptionView {
        id: chart.id.to_string(),
        number: chart.id.to_string(),
        revision: chart.revision,
        revises: chart.revises.as_ref().map(ToString::to_string),
        visit_id: chart.visit_id.to_string(),
        patient: PatientView {
            id: chart.patient_id.to_string(),
            name_masked: chart.patient_masked.clone(),
            name: None,
            sex: None,
            birth_date: None,
            age: None,
        },
        state: chart.state.as_str().to_owned(),
        state_text: chart.state.text().to_owned(),
        kind: chart.kind,
        items: chart.lines()?,
        herbal: chart.herbal()?,
        diagnoses: diagnoses.into_iter().map(Into::into).collect(),
        total_fen: chart.bill_fen.unwrap_or(chart.total_fen).0,
        written_fen: chart.total_fen.0,
        department_name: chart.department_name.clone(),
        doctor: PersonView {
            id: chart.doctor_id.to_string(),
            name: chart.doctor_name.clone(),
            title: chart.doctor_title.clone(),
        },
        pharmacist: pharmacist(chart),
        rejections,
        appeal: chart.appeal.clone(),
        fulfilment: fulfilment(chart, vault, &tenant, own),
        payment: payments.into_iter().next().map(|p| PaymentBrief {
            id: p.id.to_string(),
            state: p.state.as_str().to_owned(),
            state_text: p.state.text().to_owned(),
            amount_fen: p.amount_fen.0,
        }),
        // The pharmacist asks the patient for it; showing it there would defeat it.
        pickup_code: chart.pickup_code.clone().filter(|_| eye == Eye::Patient),
        verify_code: chart.verify_code.clone(),
        has_pdf: chart.pdf_blob.is_some(),
        trail,
        withheld,
        allowed,
        needs_hand: chart.needs_hand.clone().filter(|_| eye != Eye::Patient),
        valid_until: chart.valid_until,
        written_at: chart.written_at,
        created_at: chart.created_at,
    };
    Ok(if withheld { without_content(view) } else { view })
}

fn pharmacist(chart: &Chart) -> Option<PersonView> {
    Some(PersonView {
        id: chart.pharmacist_id.as_ref()?.to_string(),
        name: chart.pharmacist_name.clone().unwrap_or_default(),
        title: chart.pharmacist_title.clone().unwrap_or_default(),
    })
}

fn fulfilment(chart: &Chart, vault: &Vault, tenant: &TenantId, own: bool) -> Option<FulfilmentView> {
    Some(FulfilmentView {
        kind: chart.fulfilment.clone()?,
        address: chart.address(vault, tenant).filter(|_| own),
        window: chart.collect_at.clone(),
        company: chart.courier.clone(),
        waybill: chart.waybill.clone(),
    })
}

async fn steps(tx: &mut Tx<'_>, chart: &Chart) -> Result<Vec<StepView>, StoreError> {
    let who = |actor: &str| table::who(chart, actor);
    let mut trail = vec![StepView {
        state: State::Draft.as_str().to_owned(),
        state_text: State::Draft.text().to_owned(),
        command: "write".to_owned(),
        at: chart.created_at,
        by: who(chart.doctor_id.as_str()),
        note: String::new(),
    }];
    trail.extend(table::TRAIL.read(tx, chart.id.as_str(), who).await?);
    Ok(trail)
}

async fn rejections(tx: &mut Tx<'_>, id: &PrescriptionId) -> Result<Vec<RejectionView>, StoreError> {
    let rows = table::rejections(tx, id).await?;
    Ok(rows
        .into_iter()
        .map(|r| RejectionView {
            reasons: serde_json::from_value(r.reasons).unwrap_or_default(),
            comment: r.comment,
            by: r.by_name,
            at: r.at,
        })
        .collect())
}
