//! Alarms over HTTP: raised by nurses, answered by the desk.

use axum::extract::State as Extract;
use base::permission::{Dispatches, Nurses};
use base::{ApiError, Ctx, Event, Json, Path, Query, Staff, audit};
use records::id::StaffId;
use records::{TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{StoreError, Tx};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::store::{self as sql, Alarm, Pressed};
use super::{AlarmId, State};
use crate::order::OrderId;
use crate::order::store as orders;
use crate::order::track::{Position, ahead_ms};

/// What a place is sealed for.
const PURPOSE: &str = "nursing.alarm";

/// An alarm.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct AlarmView {
    /// Id.
    id: String,
    /// Name the phone gave to the press of its button.
    press: String,
    /// The order under way: its id; empty: none.
    order: String,
    /// Who calls: staff id.
    nurse_id: String,
    /// Name.
    nurse_name: String,
    /// `raised`, `acknowledged`, `closed`.
    state: String,
    /// Where, as far as the phone knows.
    place: Option<Position>,
    /// When the button was pressed, by the hospital's time.
    #[schema(value_type = String, format = DateTime)]
    pressed_at: Timestamp,
    /// When it reached us.
    #[schema(value_type = String, format = DateTime)]
    raised_at: Timestamp,
    /// When the desk answered.
    #[schema(value_type = Option<String>, format = DateTime)]
    acknowledged_at: Option<Timestamp>,
    /// Who.
    acknowledged_by: String,
    /// When it was over.
    #[schema(value_type = Option<String>, format = DateTime)]
    closed_at: Option<Timestamp>,
    /// Who closed it.
    closed_by: String,
    /// What became of it.
    note: String,
}

impl AlarmView {
    pub(super) fn of(ctx: &Ctx, tenant: &TenantId, a: Alarm) -> Self {
        // An alarm is shown also when its place cannot be read.
        let open = |sealed: &Vec<u8>| ctx.vault.open(tenant, PURPOSE, sealed).ok();
        let place = a.place_sealed.as_ref().and_then(open);
        Self {
            id: a.id.into_string(),
            press: a.press,
            order: a.order_id,
            nurse_id: a.nurse_id,
            nurse_name: a.nurse_name,
            state: a.state.as_str().to_owned(),
            place: place.and_then(|body| serde_json::from_slice(&body).ok()),
            pressed_at: a.pressed_at,
            raised_at: a.raised_at,
            acknowledged_at: a.acknowledged_at,
            acknowledged_by: a.acknowledged_by,
            closed_at: a.closed_at,
            closed_by: a.closed_by,
            note: a.note,
        }
    }
}

/// A press of the button.
#[derive(Clone, Debug, Deserialize, ToSchema)]
struct AlarmPress {
    /// Name of the phone's making, up to 64 letters, digits and `-`; the same again is the same alarm.
    press: String,
    /// When it was pressed, by the phone's time.
    #[schema(value_type = String, format = DateTime)]
    pressed_at: Timestamp,
    /// The phone's time as it sends.
    #[schema(value_type = String, format = DateTime)]
    sent_at: Timestamp,
    /// The order under way; may be empty.
    #[serde(default)]
    order: String,
    /// Where the phone is, when it knows; by the phone's time.
    #[serde(default)]
    place: Option<Position>,
}

async fn press_in(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    nurse: (&str, &str),
    said: &AlarmPress,
) -> Result<(Alarm, bool), ApiError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    let ahead = ahead_ms(said.sent_at, now);
    let order = match OrderId::parse(&said.order) {
        Some(id) => orders::get(tx, &id).await?.filter(|o| o.nurse_id == nurse.0),
        None => None,
    };
    let order = order.map(|o| o.id.into_string()).unwrap_or_default();
    let place = said.place.filter(Position::is_sound).map(|p| p.corrected(ahead));
    let place = match place.and_then(|p| serde_json::to_vec(&p).ok()) {
        Some(body) => Some(ctx.vault.seal(&tenant, PURPOSE, &body)?),
        None => None,
    };
    let pressed = Timestamp::from_micros(said.pressed_at.as_micros().saturating_sub(ahead.saturating_mul(1000)));
    let said = Pressed {
        press: &said.press,
        order: &order,
        nurse,
        pressed_at: pressed.min(now),
        place,
    };
    let (alarm, new) = sql::press(tx, &ctx.ids, &said).await?;
    if new {
        let detail = json!({ "order": order, "placed": said.place.is_some() });
        audit::record(tx, "alarm.raise", alarm.id.as_str(), detail).await?;
    }
    Ok((alarm, new))
}

/// Calls the desk. The phone repeats it until it is answered: the same press is one alarm, a later place replaces the former.
#[utoipa::path(post, path = "/nurse/alarms", tag = "nursing", request_body = AlarmPress,
    responses((status = 200, body = AlarmView), (status = 422, body = base::error::ErrorBody)))]
async fn press(
    Extract(ctx): Extract<Ctx>,
    staff: Staff<Nurses>,
    Json(said): Json<AlarmPress>,
) -> Result<Json<AlarmView>, ApiError> {
    let named =
        (1..=64).contains(&said.press.len()) && said.press.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if !named {
        return Err(ApiError::field("press", "报警编号应为64位以内的字母、数字或“-”"));
    }
    let (deps, nurse, name) = (ctx.clone(), staff.id.to_string(), staff.name.clone());
    let (alarm, new) = ctx
        .store
        .write(&staff.scope(), move |tx| {
            let (deps, nurse, name, said) = (deps.clone(), nurse.clone(), name.clone(), said.clone());
            Box::pin(async move { press_in(tx, &deps, (&nurse, &name), &said).await })
        })
        .await?;
    let kind = if new { "alarm.raised" } else { "alarm.changed" };
    let event = Event::new(kind, &alarm.id);
    ctx.events.publish(&staff.tenant, base::Audience::Admins, event);
    Ok(Json(AlarmView::of(&ctx, &staff.tenant, alarm)))
}

#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Only what is not over.
    #[serde(default)]
    open: bool,
}

/// Alarms: what is not over, oldest first, then the latest that are.
#[utoipa::path(get, path = "/admin/nursing/alarms", tag = "nursing", params(Which), responses((status = 200, body = Vec<AlarmView>)))]
async fn list(
    Extract(ctx): Extract<Ctx>,
    staff: Staff<Dispatches>,
    Query(which): Query<Which>,
) -> Result<Json<Vec<AlarmView>>, ApiError> {
    let alarms = ctx
        .store
        .read(&staff.scope(), move |tx| {
            Box::pin(async move { sql::all(tx, which.open).await })
        })
        .await
        .map_err(|e: StoreError| e)?;
    let view = |a| AlarmView::of(&ctx, &staff.tenant, a);
    Ok(Json(alarms.into_iter().map(view).collect()))
}

/// What the desk does with an alarm.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(tag = "act", rename_all = "snake_case")]
enum AlarmAct {
    /// 确认: somebody looks after it; it sounds no more.
    Acknowledge,
    /// 处理完毕.
    Close {
        /// What became of it.
        note: String,
    },
}

async fn act_in(tx: &mut Tx<'_>, id: &AlarmId, wanted: &AlarmAct, by: &str) -> Result<Alarm, ApiError> {
    let now = tx.now();
    let mut alarm = sql::get(tx, id).await?.ok_or_else(ApiError::not_found)?;
    let refused = |why: &'static str| ApiError::conflict("alarm_state", why);
    match wanted {
        AlarmAct::Acknowledge => {
            let state = alarm.state.acknowledge().map_err(refused)?;
            if alarm.state == State::Raised {
                alarm.acknowledged_at = Some(now);
                by.clone_into(&mut alarm.acknowledged_by);
                let detail = json!({ "seconds": now.since(alarm.raised_at).as_secs() });
                audit::record(tx, "alarm.acknowledge", id.as_str(), detail).await?;
            }
            alarm.state = state;
        }
        AlarmAct::Close { note } => {
            let note = note.trim();
            if !(2..=500).contains(&note.chars().count()) {
                return Err(ApiError::field("note", "请填写2到500字的处理结果"));
            }
            alarm.state = alarm.state.close().map_err(refused)?;
            alarm.closed_at = Some(now);
            by.clone_into(&mut alarm.closed_by);
            note.clone_into(&mut alarm.note);
            audit::record(tx, "alarm.close", id.as_str(), json!({ "note": note })).await?;
        }
    }
    sql::put(tx, &alarm).await?;
    Ok(alarm)
}

/// Answers an alarm, or closes it with what became of it.
#[utoipa::path(post, path = "/admin/nursing/alarms/{id}/acts", tag = "nursing", params(("id" = String, Path)), request_body = AlarmAct,
    responses((status = 200, body = AlarmView), (status = 404, body = base::error::ErrorBody),
        (status = 409, body = base::error::ErrorBody), (status = 422, body = base::error::ErrorBody)))]
async fn act(
    Extract(ctx): Extract<Ctx>,
    staff: Staff<Dispatches>,
    Path(id): Path<String>,
    Json(wanted): Json<AlarmAct>,
) -> Result<Json<AlarmView>, ApiError> {
    let id = AlarmId::parse(&id).ok_or_else(ApiError::not_found)?;
    let by = staff.name.clone();
    let alarm = ctx
        .store
        .write(&staff.scope(), move |tx| {
            let (id, wanted, by) = (id.clone(), wanted.clone(), by.clone());
            Box::pin(async move { act_in(tx, &id, &wanted, &by).await })
        })
        .await?;
    let event = Event::new("alarm.changed", &alarm.id);
    ctx.events.publish(&staff.tenant, base::Audience::Admins, event.clone());
    if let Some(nurse) = StaffId::parse(&alarm.nurse_id) {
        ctx.events.publish(&staff.tenant, base::Audience::Staff(nurse), event);
    }
    Ok(Json(AlarmView::of(&ctx, &staff.tenant, alarm)))
}

pub(crate) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new()
        .routes(routes!(press))
        .routes(routes!(list))
        .routes(routes!(act))
}
