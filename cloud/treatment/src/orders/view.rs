//! The order as the API shows it.

use base::Ctx;
use records::{Actor, Timestamp};
use serde::Serialize;
use store::{StoreError, Tx};
use utoipa::ToSchema;

use super::store::{self as table, Sheet};
use super::{Command, Kind, Line, State, next};
use crate::signed::{PersonView, StepView};

/// Who looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Eye {
    Patient,
    Doctor,
}

/// An order of examinations or laboratory tests.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct OrderView {
    /// Id and number.
    pub id: String,
    /// Visit.
    pub visit_id: String,
    /// What is ordered.
    pub kind: Kind,
    /// In words.
    pub kind_text: String,
    /// State.
    pub state: String,
    /// In words.
    pub state_text: String,
    /// Lines.
    pub items: Vec<Line>,
    /// Purpose and clinical summary.
    pub purpose: String,
    /// What is to be paid in the hospital: the HIS's sum once it has answered, before that the sum by the catalogue.
    pub total_fen: i64,
    /// Sum by the catalogue when it was signed.
    pub written_fen: i64,
    /// Ordering department.
    pub department_name: String,
    /// Doctor.
    pub doctor: PersonView,
    /// The HIS's number of it.
    pub his_number: Option<String>,
    /// The HIS's words on the last refusal, or why nobody knows; for the doctor.
    pub words: Option<String>,
    /// What the patient does next, in plain words; empty for a draft.
    pub next_step: String,
    /// Code of the public verification page.
    pub verify_code: Option<String>,
    /// What may be done with it by the one who looks.
    pub allowed: Vec<&'static str>,
    /// History; for the doctor.
    pub trail: Vec<StepView>,
    /// When it was last written.
    #[schema(value_type = String)]
    pub written_at: Timestamp,
    /// When the doctor signed.
    #[schema(value_type = Option<String>)]
    pub signed_at: Option<Timestamp>,
}

fn allowed(sheet: &Sheet, eye: Eye) -> Vec<&'static str> {
    if eye == Eye::Patient {
        return Vec::new();
    }
    let commands = [Command::Sign, Command::Retry, Command::Revoke];
    let mut words: Vec<_> = commands
        .into_iter()
        .filter(|c| next(sheet.state, *c).is_some())
        .map(Command::as_str)
        .collect();
    if sheet.state == State::Draft {
        words.extend(["edit", "delete"]);
    }
    words
}

/// Each place once, in the order of the lines: `超声医学科（门诊楼二层）`.
fn places(lines: &[Line]) -> String {
    let mut places: Vec<String> = Vec::new();
    for line in lines {
        let place = match line.location.trim() {
            "" => line.department_name.clone(),
            location => format!("{}（{location}）", line.department_name),
        };
        if !places.contains(&place) {
            places.push(place);
        }
    }
    places.join("、")
}

/// What the patient does next.
pub(super) fn next_step(kind: Kind, state: State, lines: &[Line], total: records::Fen) -> String {
    match state {
        State::Draft => String::new(),
        State::Signed => "正在提交医院，通常几秒内完成，暂时不需要您操作".to_owned(),
        State::Open => {
            let act = match kind {
                Kind::Exam => "检查",
                Kind::Lab => "采样检验",
            };
            format!(
                "请到院在收费窗口或自助机缴费（{total} 元），凭就诊卡或身份证到{}{act}",
                places(lines)
            )
        }
        State::Refused => "医院未受理这张申请单，请不要凭此到院，医生会处理".to_owned(),
        State::Unknown => "医院正在核实这张申请单，核实后会在这里显示，请先不要到院".to_owned(),
        State::Revoking | State::RevokeUnknown => "医生正在撤回这张申请单，请不要缴费".to_owned(),
        State::Revoked => "医生已撤回这张申请单，请不要缴费；如已缴费，请联系医院收费处".to_owned(),
    }
}

fn who(sheet: &Sheet, actor: &str) -> String {
    if sheet.doctor_id.as_str() == actor {
        return format!("{} 医生", sheet.doctor_name);
    }
    if actor == Actor::His.to_string() {
        return "医院系统".to_owned();
    }
    "系统".to_owned()
}

/// The view for one who looks.
pub(crate) async fn of(tx: &mut Tx<'_>, ctx: &Ctx, sheet: &Sheet, eye: Eye) -> Result<OrderView, StoreError> {
    let tenant = tx.tenant().clone();
    let lines = sheet.lines()?;
    let total = sheet.bill_fen.unwrap_or(sheet.total_fen);
    let doctor = eye == Eye::Doctor;
    let trail = if doctor {
        table::TRAIL
            .read(tx, sheet.id.as_str(), |actor| who(sheet, actor))
            .await?
    } else {
        Vec::new()
    };
    Ok(OrderView {
        id: sheet.id.to_string(),
        visit_id: sheet.visit_id.to_string(),
        kind: sheet.kind,
        kind_text: sheet.kind.text().to_owned(),
        state: sheet.state.as_str().to_owned(),
        state_text: sheet.state.text().to_owned(),
        next_step: next_step(sheet.kind, sheet.state, &lines, total),
        items: lines,
        purpose: sheet.purpose(&ctx.vault, &tenant),
        total_fen: total.0,
        written_fen: sheet.total_fen.0,
        department_name: sheet.department_name.clone(),
        doctor: PersonView {
            id: sheet.doctor_id.to_string(),
            name: sheet.doctor_name.clone(),
            title: sheet.doctor_title.clone(),
        },
        his_number: sheet.his_number.clone(),
        words: sheet.words.clone().filter(|_| doctor),
        verify_code: sheet.verify_code.clone().filter(|_| !sheet.state.is_void()),
        allowed: allowed(sheet, eye),
        trail,
        written_at: sheet.written_at,
        signed_at: sheet.signed_at,
    })
}
