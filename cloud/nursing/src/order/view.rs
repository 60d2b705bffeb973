//! Orders as the desk and the nurse see them: masked in lists, whole only in a detail whose look is audited.

use base::{ApiError, Ctx, Event};
use records::id::StaffId;
use records::{TenantId, Timestamp};
use serde::Serialize;
use store::{StoreError, Tx};
use utoipa::ToSchema;

use super::part::{self, PartView};
use super::store::{self as sql, Order, RECORD, Trail};
use super::{Facts, track};
use crate::alarm::{self, AlarmView};
use crate::form::{self, FilledView};
use crate::recorder::store as recorders;

/// An order in a list.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = NursingOrder)]
pub(super) struct OrderView {
    /// Id.
    id: String,
    /// Its number.
    no: String,
    /// `requested`, `assigned`, `accepted`, `taken`, `started`, `finished`, `declined`, `cancelled`.
    state: String,
    /// In words.
    state_text: String,
    /// What is done at the patient's.
    service: String,
    /// When the nurse is expected.
    #[schema(value_type = String, format = DateTime)]
    planned_at: Timestamp,
    /// Name of the patient, masked.
    patient_masked: String,
    /// Who goes: staff id; empty until assigned.
    nurse_id: String,
    /// Name.
    nurse_name: String,
    /// The recorder the desk chose; empty: any.
    recorder: String,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When the visit began.
    #[schema(value_type = Option<String>, format = DateTime)]
    started_at: Option<Timestamp>,
    /// When it ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<Timestamp>,
    /// The desk ended it, and the nurse's record is still to be written.
    record_due: bool,
}

impl From<&Order> for OrderView {
    fn from(o: &Order) -> Self {
        Self {
            id: o.id.to_string(),
            no: o.no.clone(),
            state: o.state.as_str().to_owned(),
            state_text: o.state.text().to_owned(),
            service: o.service.clone(),
            planned_at: o.planned_at,
            patient_masked: o.patient_masked.clone(),
            nurse_id: o.nurse_id.clone(),
            nurse_name: o.nurse_name.clone(),
            recorder: o.recorder.clone(),
            created_at: o.created_at,
            started_at: o.started_at,
            finished_at: o.finished_at,
            record_due: o.record_due(),
        }
    }
}

/// A step of an order.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = NursingOrderStep)]
pub(super) struct OrderStepView {
    /// `create`, `assign`, `accept`, `decline`, `take`, `put_back`, `start`, `finish`, `end`, `hand_over`, `record`, `cancel`.
    step: String,
    /// The state it came to, in words.
    state_text: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Who; empty: by itself.
    by: String,
    /// Why, in their words.
    note: String,
}

impl From<Trail> for OrderStepView {
    fn from(t: Trail) -> Self {
        Self {
            step: t.step,
            state_text: t.state.text().to_owned(),
            at: t.at,
            by: t.actor_name,
            note: t.note,
        }
    }
}

/// The recorder of an order.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct OrderRecorder {
    /// Serial number.
    pub(super) serial: String,
    /// When it was given out.
    #[schema(value_type = String, format = DateTime)]
    pub(super) issued_at: Timestamp,
    /// When it came back.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(super) returned_at: Option<Timestamp>,
}

/// An order whole.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = NursingOrderDetail)]
pub(super) struct OrderDetail {
    /// The order.
    #[serde(flatten)]
    order: OrderView,
    /// The patient and where they live.
    patient: Facts,
    /// Age in years, when the day of birth is known.
    age: Option<i32>,
    /// The recorder last given out for it.
    taken: Option<OrderRecorder>,
    /// The form for this service, and what the patient filled in.
    form: Option<FilledView>,
    /// What the nurse wrote down.
    record: String,
    /// Alarms raised during it.
    alarms: Vec<AlarmView>,
    /// Parts of the visit whose end the desk entered, oldest first.
    parts: Vec<PartView>,
    /// How many positions the track has.
    positions: usize,
    /// What was done with it, oldest first.
    trail: Vec<OrderStepView>,
    /// Other orders of this patient: the nurse's own, or for the desk all.
    earlier: Vec<OrderView>,
}

/// The issue of an order's recorder.
pub(super) async fn taken(tx: &mut Tx<'_>, order: &Order) -> Result<Option<OrderRecorder>, StoreError> {
    let issue = recorders::issue_of(tx, &order.issue_id).await?;
    Ok(issue.map(|i| OrderRecorder {
        serial: i.serial,
        issued_at: i.issued_at,
        returned_at: i.returned_at,
    }))
}

/// Everything about an order; `of` limits other orders of the patient to a nurse's own.
pub(super) async fn detail(tx: &mut Tx<'_>, ctx: &Ctx, order: &Order, of: &str) -> Result<OrderDetail, ApiError> {
    let tenant = tx.tenant().clone();
    let patient = Facts::open(ctx, &tenant, &order.patient_sealed)?;
    let record = match &order.record_sealed {
        Some(sealed) => ctx.vault.open_text(&tenant, RECORD, sealed)?,
        None => String::new(),
    };
    let same = sql::Filter {
        nurse: of.to_owned(),
        patient: crate::patient::Marked {
            masked: String::new(),
            name_index: order.patient_name_index.clone(),
            number_index: String::new(),
        },
        phone_index: order.phone_index.clone(),
        ..sql::Filter::default()
    };
    let (others, _) = sql::search(tx, &same, 10, 0).await?;
    let today = tx.now().local_date();
    Ok(OrderDetail {
        age: patient
            .birth_date
            .map(|day| care::patients::identity_card::years_old(day, today)),
        taken: taken(tx, order).await?,
        form: form::of_order(tx, ctx, &order.service, order.id.as_str()).await?,
        record,
        alarms: alarm::of_order(tx, ctx, order.id.as_str()).await?,
        parts: part::views(tx, &order.id).await?,
        positions: track::positions(tx, &ctx.vault, &order.id).await?.len(),
        trail: sql::trail(tx, &order.id)
            .await?
            .into_iter()
            .map(OrderStepView::from)
            .collect(),
        earlier: others
            .iter()
            .filter(|o| o.id != order.id)
            .map(OrderView::from)
            .collect(),
        order: order.into(),
        patient,
    })
}

/// Tells whoever has the order on their screen. Call it after the commit.
pub(super) async fn announce(ctx: &Ctx, tenant: &TenantId, order: &Order) {
    let event = Event::new("nursing.changed", &order.id);
    ctx.events.publish(tenant, base::Audience::Admins, event.clone());
    if let Some(nurse) = StaffId::parse(&order.nurse_id) {
        ctx.events.publish(tenant, base::Audience::Staff(nurse), event.clone());
    }
    let phone = order.phone_index.clone();
    let account = ctx
        .store
        .read(&store::Scope::system(tenant.clone()), move |tx| {
            let phone = phone.clone();
            Box::pin(async move { sql::account_of(tx, &phone).await })
        })
        .await;
    match account {
        Ok(Some(account)) => ctx.events.publish(tenant, base::Audience::Patient(account), event),
        Ok(None) => {}
        // The app asks again by itself.
        Err(error) => {
            let error: StoreError = error;
            tracing::warn!(%error, "a patient was not told of an order");
        }
    }
}

/// A text of somebody's, trimmed: within these lengths, without controls but line ends.
pub(super) fn words(field: &'static str, text: &str, least: usize, most: usize) -> Result<String, ApiError> {
    let text = text.trim();
    let odd = |c: char| c.is_control() && c != '\n';
    if !(least..=most).contains(&text.chars().count()) || text.chars().any(odd) {
        return Err(ApiError::field(field, format!("请填写{least}到{most}个字")));
    }
    Ok(text.to_owned())
}
