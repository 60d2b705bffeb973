//! Slots (号源): live from the HIS, kept for a few seconds so that many readers ask once. A slot that has begun is never
//! shown; what the patient sees is a hint, the lock decides.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use base::{ApiError, Ctx, Json, Query, Session, settings};
use records::his::{Slot, SlotList, SlotQuestion};
use records::{LocalDate, Outcome, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use store::StoreError;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::consultation::ConsultationSettings;
use crate::hospital;

/// How long an answer of the HIS is shown to others.
const KEPT: Duration = Duration::from_secs(3);
/// Questions kept at once; the oldest go.
const QUESTIONS: usize = 512;

/// A slot as the patient sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct SlotView {
    /// Shift.
    pub work_id: String,
    /// Doctor.
    pub doctor_code: String,
    /// Doctor's name.
    pub doctor_name: String,
    /// Doctor's title.
    pub doctor_title: String,
    /// Department.
    pub department_code: String,
    /// Day.
    #[schema(value_type = String)]
    pub date: LocalDate,
    /// `am`, `pm`, `night` or `day`.
    pub period: String,
    /// Begin, `HH:MM`.
    pub begin: String,
    /// End, `HH:MM`.
    pub end: String,
    /// Places left.
    pub left: u32,
    /// Places altogether.
    pub total: u32,
    /// Fee.
    pub fee_fen: i64,
    /// The clinic was stopped.
    pub stopped: bool,
}

impl From<Slot> for SlotView {
    fn from(s: Slot) -> Self {
        Self {
            work_id: s.work_id,
            doctor_code: s.doctor_code,
            doctor_name: s.doctor_name,
            doctor_title: s.doctor_title,
            department_code: s.department_code,
            date: s.date,
            period: s.period,
            begin: s.begin,
            end: s.end,
            left: s.left,
            total: s.total,
            fee_fen: s.fee_fen.0,
            stopped: s.stopped,
        }
    }
}

/// When a slot ends. One that ends before it begins goes on past midnight, and `00:00` is the midnight after its day; of an
/// end that cannot be read the day counts.
pub(crate) fn ends_at(date: LocalDate, begin: &str, end: &str) -> Timestamp {
    let tomorrow = date.plus_days(1);
    let after = |at: Timestamp| date.at(begin).is_some_and(|begin| at < begin) || at == date.start();
    match date.at(end) {
        Some(at) if !after(at) => at,
        Some(_) => tomorrow.at(end).unwrap_or_else(|| tomorrow.start()),
        None => tomorrow.start(),
    }
}

/// Whether a slot lies ahead: its end has not come. A slot that is running may still be booked.
pub(crate) fn lies_ahead(slot: &Slot, now: Timestamp) -> bool {
    ends_at(slot.date, &slot.begin, &slot.end) > now
}

type Answer = Arc<tokio::sync::Mutex<Option<(Timestamp, Arc<Vec<Slot>>)>>>;

/// Answers of the last seconds. One asks, the others wait for the same answer.
#[derive(Clone, Default)]
pub struct Recent(Arc<Mutex<HashMap<String, Answer>>>);

impl Recent {
    fn of(&self, key: &str) -> Answer {
        let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.len() >= QUESTIONS && !answers.contains_key(key) {
            answers.clear();
        }
        answers.entry(key.to_owned()).or_default().clone()
    }

    async fn ask(&self, ctx: &Ctx, tenant: &TenantId, question: &SlotQuestion) -> Outcome<Arc<Vec<Slot>>> {
        let doctor = question.doctor_code.as_deref().unwrap_or_default();
        let key = format!(
            "{tenant}/{}/{doctor}/{}/{}",
            question.department_code, question.from, question.to
        );
        let answer = self.of(&key);
        let mut answer = answer.lock().await;
        let now = ctx.now();
        if let Some((at, slots)) = &*answer
            && now.since(*at) < KEPT
        {
            return Outcome::Done(slots.clone());
        }
        let fresh = hospital::ask::<SlotList>(ctx, tenant, question).await.map(Arc::new);
        if let Outcome::Done(slots) = &fresh {
            *answer = Some((ctx.now(), slots.clone()));
        }
        fresh
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Department.
    department_code: String,
    /// One doctor.
    doctor_code: Option<String>,
    /// First day (`YYYY-MM-DD`), today at the earliest.
    from: Option<String>,
    /// Last day.
    to: Option<String>,
}

fn day(field: &'static str, text: Option<&String>) -> Result<Option<LocalDate>, ApiError> {
    text.filter(|t| !t.is_empty())
        .map(|t| LocalDate::parse(t).map_err(|_| ApiError::field(field, "日期应为YYYY-MM-DD")))
        .transpose()
}

impl Wanted {
    fn question(&self, rules: &ConsultationSettings, today: LocalDate) -> Result<SlotQuestion, ApiError> {
        let last = today.plus_days(i64::from(rules.slot_days));
        let from = day("from", self.from.as_ref())?.unwrap_or(today).max(today);
        let to = day("to", self.to.as_ref())?.unwrap_or(last).min(last);
        if to < from {
            return Err(ApiError::field("to", "结束日期不能早于开始日期"));
        }
        Ok(SlotQuestion {
            department_code: self.department_code.clone(),
            doctor_code: self.doctor_code.clone().filter(|code| !code.is_empty()),
            from,
            to,
        })
    }
}

/// Bookable slots, as the hospital has them now.
#[utoipa::path(get, path = "/slots", tag = "scheduling", params(Wanted),
    responses((status = 200, body = Vec<SlotView>), (status = 503, body = base::error::ErrorBody)))]
async fn slots(
    State(ctx): State<Ctx>,
    Extension(recent): Extension<Recent>,
    session: Session,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Vec<SlotView>>, ApiError> {
    let rules: ConsultationSettings = ctx
        .store
        .read(&session.scope(), |tx| Box::pin(async move { settings::get(tx).await }))
        .await
        .map_err(|e: StoreError| e)?;
    let now = ctx.now();
    let question = wanted.question(&rules, now.local_date())?;
    if !rules.shows_department(&question.department_code) {
        return Err(ApiError::not_found());
    }
    let slots = ApiError::of(recent.ask(&ctx, &session.tenant, &question).await)?;
    let views = slots
        .iter()
        .filter(|s| lies_ahead(s, now) && rules.shows_doctor(&s.doctor_code))
        .cloned()
        .map(SlotView::from)
        .collect();
    Ok(Json(views))
}

/// The slot of a booking, asked for now.
pub(crate) async fn look_up(
    ctx: &Ctx,
    tenant: &TenantId,
    department: &str,
    doctor: &str,
    date: LocalDate,
) -> Outcome<Vec<Slot>> {
    let question = SlotQuestion {
        department_code: department.to_owned(),
        doctor_code: Some(doctor.to_owned()),
        from: date,
        to: date,
    };
    hospital::ask::<SlotList>(ctx, tenant, &question).await
}

pub(crate) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new()
        .routes(routes!(slots))
        .layer(Extension(Recent::default()))
}
