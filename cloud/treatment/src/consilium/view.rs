//! A consilium as the API shows it to inviter and expert, and what the expert may read of the visit.

use base::session::Member;
use base::{ApiError, Ctx};
use care::consultation::Statement;
use care::messages::Message;
use records::{Actor, Timestamp};
use serde::Serialize;
use store::Tx;
use utoipa::ToSchema;

use super::store::{self as table, Row};
use super::{Command, OpinionDocument, State};
use crate::medical_record::{self, Record, issue::subject};
use crate::prescribing::{self, Herbal, Kind, Line};
use crate::signing::{self, Purpose};
use crate::verify::{VerifiedSignature, shown};
use crate::visit::{self, masked};

/// A doctor in a consilium.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ConsiliumDoctor {
    /// Staff id.
    pub(crate) id: String,
    /// Name.
    pub(crate) name: String,
    /// Title.
    pub(crate) title: String,
    /// Department.
    pub(crate) department_name: String,
}

impl From<&Member> for ConsiliumDoctor {
    fn from(m: &Member) -> Self {
        Self {
            id: m.id.to_string(),
            name: m.name.clone(),
            title: m.title.clone(),
            department_name: m.department_name.clone(),
        }
    }
}

/// A signed opinion (会诊意见), read from the signed bytes.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct OpinionView {
    /// What the expert wrote.
    pub(crate) text: String,
    /// Version of the record that the expert had before them.
    pub(crate) record_version: Option<u32>,
    /// SM3 of the signed bytes, hexadecimal.
    pub(crate) document_sm3: String,
    /// The expert's signature, checked now.
    pub(crate) signature: VerifiedSignature,
}

/// The inviter's judgement (评价).
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct JudgementView {
    /// 1 to 5.
    pub(crate) score: u32,
    /// Words.
    pub(crate) comment: String,
    /// When.
    #[schema(value_type = Option<String>)]
    pub(crate) at: Option<Timestamp>,
}

/// A line of the trail.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ConsiliumStep {
    /// State reached.
    pub(crate) state: String,
    /// In words.
    pub(crate) state_text: String,
    /// By what.
    pub(crate) command: String,
    /// When.
    #[schema(value_type = String)]
    pub(crate) at: Timestamp,
    /// Who.
    pub(crate) by: String,
    /// Nothing more is said of a step.
    pub(crate) note: String,
}

/// A consilium.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ConsiliumView {
    /// Number.
    pub(crate) id: String,
    /// Visit; only for the inviter, whose it is.
    pub(crate) visit_id: Option<String>,
    /// State.
    pub(crate) state: String,
    /// In words.
    pub(crate) state_text: String,
    /// `inviter` or `expert`: the side of the one who looks.
    pub(crate) side: &'static str,
    /// Patient, middle of the name hidden.
    pub(crate) patient_name_masked: String,
    /// `M` or `F`.
    pub(crate) patient_sex: String,
    /// Age in words.
    pub(crate) patient_age: String,
    /// Doctor who asks.
    pub(crate) inviter: ConsiliumDoctor,
    /// Doctor who is asked.
    pub(crate) expert: ConsiliumDoctor,
    /// What is asked.
    pub(crate) question: String,
    /// The case in the inviter's words.
    pub(crate) summary: String,
    /// When.
    #[schema(value_type = String)]
    pub(crate) invited_at: Timestamp,
    /// Until when the expert may act, while it is the expert's turn.
    #[schema(value_type = Option<String>)]
    pub(crate) until: Option<Timestamp>,
    /// When the expert accepted.
    #[schema(value_type = Option<String>)]
    pub(crate) accepted_at: Option<Timestamp>,
    /// When it ended.
    #[schema(value_type = Option<String>)]
    pub(crate) ended_at: Option<Timestamp>,
    /// Why it was declined or withdrawn.
    pub(crate) reason: Option<String>,
    /// The signed opinion.
    pub(crate) opinion: Option<OpinionView>,
    /// The inviter's judgement.
    pub(crate) judgement: Option<JudgementView>,
    /// History.
    pub(crate) trail: Vec<ConsiliumStep>,
    /// What may be done by the one who looks.
    pub(crate) allowed: Vec<&'static str>,
    /// The expert may read what the visit holds.
    pub(crate) readable: bool,
}

/// The kept signature of the expert, with the document it stands under.
pub(crate) async fn opinion(tx: &mut Tx<'_>, ctx: &Ctx, row: &Row) -> Result<Option<OpinionView>, ApiError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    let Some(kept) = signing::store::of_subject(tx, Purpose::Consilium, row.id.as_str()).await? else {
        return Ok(None);
    };
    let bytes = kept.document(&ctx.vault, &tenant)?;
    let trust = signing::anchors_in(tx).await?.signers;
    let checked = signing::check(&kept, &bytes, &trust, now);
    let document: OpinionDocument = serde_json::from_slice(&bytes).map_err(ApiError::internal)?;
    Ok(Some(OpinionView {
        text: document.opinion,
        record_version: document.record_version,
        document_sm3: kept.document_sm3.clone(),
        signature: shown(&kept, &checked),
    }))
}

fn who(row: &Row, actor: &str) -> String {
    if actor == row.inviter_id.as_str() {
        format!("{} 医生", row.inviter_name)
    } else if actor == row.expert_id.as_str() {
        format!("{} 医生", row.expert_name)
    } else {
        "系统".to_owned()
    }
}

/// The view for one of the two.
pub(crate) async fn of(tx: &mut Tx<'_>, ctx: &Ctx, row: &Row, by: &Member) -> Result<ConsiliumView, ApiError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    let actor = Actor::Staff(by.id.clone());
    let invites = row.inviter_id == by.id;
    let parties = visit::of(tx, &ctx.vault, &row.visit_id).await?;
    let words = row.words(&ctx.vault, &tenant)?;
    let steps = table::trail(tx, &row.id).await?;
    let trail = steps.into_iter().map(|s| ConsiliumStep {
        state: s.to_state.as_str().to_owned(),
        state_text: s.to_state.text().to_owned(),
        by: who(row, &s.actor),
        command: s.command,
        at: s.at,
        note: String::new(),
    });
    let consilium = row.consilium();
    Ok(ConsiliumView {
        id: row.id.to_string(),
        visit_id: invites.then(|| row.visit_id.to_string()),
        state: row.state.as_str().to_owned(),
        state_text: row.state.text().to_owned(),
        side: if invites { "inviter" } else { "expert" },
        patient_name_masked: masked(&parties.patient.name),
        patient_sex: parties.patient.sex.clone(),
        patient_age: parties.patient.age(now.local_date()),
        inviter: doctor(
            &row.inviter_id,
            [&row.inviter_name, &row.inviter_title, &row.inviter_department],
        ),
        expert: doctor(
            &row.expert_id,
            [&row.expert_name, &row.expert_title, &row.expert_department],
        ),
        question: words.question,
        summary: words.summary,
        invited_at: row.invited_at,
        until: matches!(row.state, State::Invited | State::Open).then_some(row.until),
        accepted_at: row.accepted_at,
        ended_at: row.ended_at,
        reason: words.reason,
        opinion: opinion(tx, ctx, row).await?,
        judgement: row.score.map(|score| JudgementView {
            score,
            comment: words.comment.unwrap_or_default(),
            at: row.evaluated_at,
        }),
        trail: trail.collect(),
        readable: consilium.may_read(now, &actor),
        allowed: consilium
            .allowed(now, &actor)
            .into_iter()
            .map(Command::as_str)
            .collect(),
    })
}

fn doctor(id: &records::id::StaffId, [name, title, department]: [&String; 3]) -> ConsiliumDoctor {
    ConsiliumDoctor {
        id: id.to_string(),
        name: name.clone(),
        title: title.clone(),
        department_name: department.clone(),
    }
}

/// The record as the expert reads it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct MaterialRecord {
    /// Version.
    pub(crate) version: u32,
    /// It carries the doctor's signature.
    pub(crate) signed: bool,
    /// When it was written.
    #[schema(value_type = String)]
    pub(crate) saved_at: Timestamp,
    /// What it says.
    pub(crate) record: Record,
}

/// A prescription as the expert reads it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct MaterialPrescription {
    /// Number.
    pub(crate) id: String,
    /// Western or herbal.
    pub(crate) kind: Kind,
    /// State.
    pub(crate) state: String,
    /// In words.
    pub(crate) state_text: String,
    /// Lines.
    pub(crate) items: Vec<Line>,
    /// Herbal part.
    pub(crate) herbal: Option<Herbal>,
}

/// What the visit holds, for the expert while the consilium is open.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Materials {
    /// Patient in clear.
    pub(crate) patient_name: String,
    /// `M` or `F`.
    pub(crate) patient_sex: String,
    /// Age in words.
    pub(crate) patient_age: String,
    /// Department of the visit.
    pub(crate) department_name: String,
    /// The patient's words.
    pub(crate) statement: Statement,
    /// Pictures the patient added when booking.
    pub(crate) photos: Vec<String>,
    /// The newest record, if there is one.
    pub(crate) record: Option<MaterialRecord>,
    /// Prescriptions.
    pub(crate) prescriptions: Vec<MaterialPrescription>,
    /// What was said in the room.
    pub(crate) messages: Vec<Message>,
}

impl Materials {
    /// Whether a file is one of the visit's pictures.
    pub(crate) fn shows(&self, blob: &str) -> bool {
        let said = |m: &Message| m.kind == "image" && m.blob_id.as_deref() == Some(blob);
        self.photos.iter().any(|p| p == blob) || self.messages.iter().any(said)
    }
}

/// Everything the visit holds.
pub(crate) async fn materials(tx: &mut Tx<'_>, ctx: &Ctx, row: &Row) -> Result<Materials, ApiError> {
    let now = tx.now();
    let visit = &row.visit_id;
    let parties = visit::of(tx, &ctx.vault, visit).await?;
    let record = match medical_record::store::latest(tx, &ctx.vault, visit).await? {
        None => None,
        Some(saved) => {
            let signature = signing::store::of_subject(tx, Purpose::Record, &subject(visit, saved.version)).await?;
            Some(MaterialRecord {
                version: saved.version,
                signed: signature.is_some(),
                saved_at: saved.saved_at,
                record: saved.record,
            })
        }
    };
    let mut prescriptions = Vec::new();
    for chart in prescribing::store::of_visit(tx, visit).await? {
        if chart.state != prescribing::State::Revised {
            prescriptions.push(MaterialPrescription {
                id: chart.id.to_string(),
                kind: chart.kind,
                state: chart.state.as_str().to_owned(),
                state_text: chart.state.text().to_owned(),
                items: chart.lines()?,
                herbal: chart.herbal()?,
            });
        }
    }
    Ok(Materials {
        patient_name: parties.patient.name.clone(),
        patient_sex: parties.patient.sex.clone(),
        patient_age: parties.patient.age(now.local_date()),
        department_name: parties.visit.department_name.clone(),
        photos: parties.visit.photos(),
        statement: parties.statement,
        record,
        prescriptions,
        messages: care::messages::of_visit(tx, &ctx.vault, visit).await?,
    })
}
