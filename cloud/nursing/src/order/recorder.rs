//! 取记录仪: a charged, free recorder of the dock is bound to the order, then its bay is opened.
//!
//! First the appliance is asked who stands in the dock, so that nothing is written when it is away or nothing is charged. The
//! issue is written before the bay opens: a recorder that left is always somebody's. A bay that did not open is opened again
//! by the nurse; a recorder that is put back before the visit begins frees the order for another.

use std::time::Duration;

use axum::extract::State as Extract;
use axum::http::StatusCode;
use base::hospital::call;
use base::permission::Nurses;
use base::{ApiError, Ctx, Json, Path, Staff, settings};
use records::dock::{DockQuestion, DockRecorders, DockRelease, DockReleaseQuestion, DockedRecorder};
use records::{Outcome, TenantId};
use serde::Serialize;
use serde_json::json;
use store::Tx;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::nurse::own;
use super::store::{self as sql, Order, Who};
use super::view::{announce, taken};
use super::{Facts, OrderId, OrderSettings, Step};
use crate::patient::Marked;
use crate::recorder::store::{self as recorders, Recorder};
use crate::recorder::{self};

const PATIENCE: Duration = Duration::from_secs(8);

/// A recorder that a nurse may take.
#[derive(Debug, Serialize, ToSchema)]
struct TakenRecorder {
    /// Serial number.
    serial: String,
    /// Where it stands.
    place: String,
    /// Whether its bay was opened.
    opened: bool,
    /// Seconds until it is locked again; 0 when it was not opened.
    seconds: u16,
    /// What to do, in plain words.
    text: String,
}

/// How good a recorder's charge is; nothing when it is not good to go.
fn charge_rank(there: &DockedRecorder, least: u8) -> Option<u16> {
    match (there.charge.as_str(), there.battery) {
        ("fault", _) => None,
        ("full", _) => Some(101),
        (_, Some(percent)) if percent >= least => Some(percent.into()),
        // Behind a plain hub, with a recorder that does not tell: nobody knows better.
        ("", None) => Some(0),
        _ => None,
    }
}

/// Recorders that may go out, the best first.
///
/// # Errors
/// In plain words, why none may.
fn choose<'a>(
    there: &'a [DockedRecorder],
    known: &[Recorder],
    wanted: &str,
    least: u8,
) -> Result<Vec<&'a DockedRecorder>, String> {
    let free = |d: &&DockedRecorder| {
        let known = known.iter().find(|r| r.serial == d.serial);
        known.is_some_and(|r| r.listed && r.state == recorder::State::Stock)
            && (wanted.is_empty() || d.serial == wanted)
    };
    let free: Vec<&DockedRecorder> = there.iter().filter(free).collect();
    let which = if wanted.is_empty() {
        "采集坞中".to_owned()
    } else {
        format!("指定的记录仪{wanted}")
    };
    if free.is_empty() {
        return Err(if wanted.is_empty() {
            "采集坞中没有可用的记录仪，请联系护理台".to_owned()
        } else {
            format!("{which}不在采集坞中或已被领用，请联系护理台")
        });
    }
    // What is not empty yet would mix two visits' footage on one card.
    let ready: Vec<&DockedRecorder> = free.into_iter().filter(|d| d.state == "ready").collect();
    if ready.is_empty() {
        return Err(format!("{which}的记录仪正在采集视音频，请稍后再取"));
    }
    let mut charged: Vec<(u16, &DockedRecorder)> = ready
        .iter()
        .filter_map(|d| charge_rank(d, least).map(|rank| (rank, *d)))
        .collect();
    if charged.is_empty() {
        let best = ready.iter().filter_map(|d| d.battery).max();
        let best = best.map(|b| format!("（最高{b}%）")).unwrap_or_default();
        return Err(format!("{which}的记录仪电量不足{best}，请充电后再取"));
    }
    charged.sort_by(|(a, x), (b, y)| b.cmp(a).then_with(|| x.serial.cmp(&y.serial)));
    Ok(charged.into_iter().map(|(_, d)| d).collect())
}

/// An outcome of the appliance's in words a nurse can act on.
fn heard<T>(outcome: Outcome<T>) -> Result<T, ApiError> {
    match outcome {
        Outcome::Later { .. } | Outcome::Unknown => Err(ApiError {
            retry_after: Some(15),
            ..ApiError::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "hospital_offline",
                "医院采集站暂时无法连接，记录仪没有发放；请稍后再试，或联系护理台",
            )
        }),
        other => ApiError::of(other),
    }
}

/// Opens the bay of a recorder that is issued already.
async fn open(ctx: &Ctx, tenant: &TenantId, serial: String, place: String) -> TakenRecorder {
    let asked = DockReleaseQuestion { serial: serial.clone() };
    let key = format!("dock.{:032x}", u128::from_be_bytes(ctx.ids.random::<16>()));
    let closed = |place: String, text: String| TakenRecorder {
        serial: serial.clone(),
        place,
        opened: false,
        seconds: 0,
        text,
    };
    match call::<DockRelease>(&*ctx.hospital, tenant, &asked, Some(&key), PATIENCE).await {
        Outcome::Done(released) => TakenRecorder {
            text: format!(
                "{}已开锁、指示灯闪烁，请在{}秒内取走{serial}",
                released.place, released.seconds
            ),
            serial: serial.clone(),
            place: released.place,
            opened: true,
            seconds: released.seconds,
        },
        Outcome::Refused { code, .. } if code == "no_dock" => {
            let text = format!("本院采集站没有电子锁，请自行取走{place}的记录仪{serial}");
            closed(place, text)
        }
        Outcome::Refused { text, .. } => closed(place, format!("卡位没有打开：{text}")),
        Outcome::Later { .. } => closed(place, "采集站暂时无法连接，卡位没有打开，请稍后点“再次打开”".to_owned()),
        Outcome::Unknown => closed(place, "采集站没有及时答复，请查看卡位；未打开请点“再次打开”".to_owned()),
    }
}

/// Binds the first recorder that is still free.
async fn bind(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    order: &mut Order,
    candidates: &[String],
    name: &str,
) -> Result<String, ApiError> {
    if taken(tx, order).await?.is_some_and(|t| t.returned_at.is_none()) {
        return Err(ApiError::conflict("order_state", "该订单已取记录仪"));
    }
    order.stepped(Step::Take)?;
    let tenant = tx.tenant().clone();
    let facts = Facts::open(ctx, &tenant, &order.patient_sealed)?;
    let patient = Marked::of(ctx, &tenant, &facts.name, &facts.number)?;
    for serial in candidates {
        let Some(mut recorder) = recorders::get(tx, serial).await? else {
            continue;
        };
        let Ok(state) = recorder.state.after(recorder::Step::Issue, recorder.listed) else {
            continue;
        };
        recorder.state = state;
        let issue = recorders::issue(
            tx,
            &ctx.ids,
            serial,
            (&order.nurse_id, &order.nurse_name),
            &order.no,
            &patient,
        )
        .await?;
        recorders::put(tx, &recorder).await?;
        let detail = json!({ "issue": issue, "holder": order.nurse_id, "order": order.no, "patient": patient.masked });
        base::audit::record(tx, "recorder.issue", serial, detail).await?;
        order.issue_id = issue.into_string();
        let who = Who { name, note: serial };
        sql::step(
            tx,
            order,
            Step::Take,
            who,
            json!({ "recorder": serial, "issue": order.issue_id }),
        )
        .await?;
        return Ok(serial.clone());
    }
    Err(ApiError::conflict("recorder_taken", "记录仪刚被他人领用，请再试一次"))
}

/// Gives the nurse a recorder for her order: a charged, free one of the dock (or the one the desk chose) is bound to the
/// order and its bay opens.
#[utoipa::path(post, path = "/nurse/orders/{id}/recorder", tag = "nursing", params(("id" = String, Path)),
    responses((status = 200, body = TakenRecorder), (status = 404, body = base::error::ErrorBody),
        (status = 409, body = base::error::ErrorBody), (status = 503, body = base::error::ErrorBody)))]
async fn take(
    Extract(ctx): Extract<Ctx>,
    staff: Staff<Nurses>,
    Path(id): Path<String>,
) -> Result<Json<TakenRecorder>, ApiError> {
    let id = OrderId::parse(&id).ok_or_else(ApiError::not_found)?;
    let (wanted, nurse) = (id.clone(), staff.id.to_string());
    let (order, least, known) = ctx
        .store
        .read(&staff.scope(), move |tx| {
            let (id, nurse) = (wanted.clone(), nurse.clone());
            Box::pin(async move {
                let order = own(tx, &id, &nurse).await?;
                order
                    .state
                    .after(Step::Take)
                    .map_err(|why| ApiError::conflict("order_state", why))?;
                let settings: OrderSettings = settings::get(tx).await?;
                Ok::<_, ApiError>((order, settings.least_charge_percent, recorders::all(tx).await?))
            })
        })
        .await?;
    let there = call::<DockRecorders>(&*ctx.hospital, &staff.tenant, &DockQuestion {}, None, PATIENCE).await;
    let there = heard(there)?;
    let best = choose(&there, &known, &order.recorder, least).map_err(|why| ApiError::conflict("no_recorder", why))?;
    let candidates: Vec<String> = best.iter().map(|d| d.serial.clone()).collect();
    let (deps, nurse, name) = (ctx.clone(), staff.id.to_string(), staff.name.clone());
    let (order, serial) = ctx
        .store
        .write(&staff.scope(), move |tx| {
            let (deps, id, nurse, name) = (deps.clone(), id.clone(), nurse.clone(), name.clone());
            let candidates = candidates.clone();
            Box::pin(async move {
                let mut order = own(tx, &id, &nurse).await?;
                let serial = bind(tx, &deps, &mut order, &candidates, &name).await?;
                Ok::<_, ApiError>((order, serial))
            })
        })
        .await?;
    announce(&ctx, &staff.tenant, &order).await;
    let place = there.into_iter().find(|d| d.serial == serial);
    let place = place.map(|d| d.place).unwrap_or_default();
    Ok(Json(open(&ctx, &staff.tenant, serial, place).await))
}

/// Opens the bay of the order's recorder once more: it did not open, or nobody took it in time.
#[utoipa::path(post, path = "/nurse/orders/{id}/recorder/opening", tag = "nursing", params(("id" = String, Path)),
    responses((status = 200, body = TakenRecorder), (status = 404, body = base::error::ErrorBody),
        (status = 409, body = base::error::ErrorBody)))]
async fn open_again(
    Extract(ctx): Extract<Ctx>,
    staff: Staff<Nurses>,
    Path(id): Path<String>,
) -> Result<Json<TakenRecorder>, ApiError> {
    let (id, nurse) = (
        OrderId::parse(&id).ok_or_else(ApiError::not_found)?,
        staff.id.to_string(),
    );
    let serial = ctx
        .store
        .write(&staff.scope(), move |tx| {
            let (id, nurse) = (id.clone(), nurse.clone());
            Box::pin(async move {
                let order = own(tx, &id, &nurse).await?;
                let out = taken(tx, &order).await?.filter(|t| t.returned_at.is_none());
                let out = out.ok_or_else(|| ApiError::conflict("no_recorder", "该订单没有待取的记录仪"))?;
                base::audit::record(tx, "nursing.open_bay", id.as_str(), json!({ "recorder": out.serial })).await?;
                Ok::<_, ApiError>(out.serial)
            })
        })
        .await?;
    Ok(Json(open(&ctx, &staff.tenant, serial, "采集坞".to_owned()).await))
}

pub(super) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new().routes(routes!(take)).routes(routes!(open_again))
}

#[cfg(test)]
mod tests {
    use records::Timestamp;

    use super::*;

    fn there(serial: &str, state: &str, battery: Option<u8>, charge: &str) -> DockedRecorder {
        DockedRecorder {
            serial: serial.to_owned(),
            place: "1号槽位".to_owned(),
            state: state.to_owned(),
            battery,
            charge: charge.to_owned(),
        }
    }

    fn known(serial: &str, state: recorder::State, listed: bool) -> Recorder {
        Recorder {
            serial: serial.to_owned(),
            model: String::new(),
            note: String::new(),
            state,
            listed,
            created_at: Timestamp::default(),
            changed_at: Timestamp::default(),
        }
    }

    #[test]
    fn the_fullest_free_recorder_goes_out_and_why_none_does_is_said() {
        use recorder::State::{Issued, Stock};
        let known = [
            known("A", Stock, true),
            known("B", Stock, true),
            known("C", Issued, true),
            known("D", Stock, false),
            known("E", Stock, true),
        ];
        let dock = [
            there("A", "ready", Some(70), "charging"),
            there("B", "ready", Some(20), "full"),
            there("C", "ready", Some(100), "full"),
            there("D", "ready", Some(100), "full"),
            there("E", "copying", Some(100), "full"),
            there("Z", "held", Some(100), "full"),
        ];
        let names = |wanted: &str, least| {
            choose(&dock, &known, wanted, least)
                .map(|all| all.into_iter().map(|d| d.serial.as_str()).collect::<Vec<_>>())
        };
        assert_eq!(names("", 60), Ok(vec!["B", "A"]));
        assert_eq!(names("", 80), Ok(vec!["B"]));
        assert_eq!(names("A", 60), Ok(vec!["A"]));
        assert!(names("A", 80).unwrap_err().contains("电量不足（最高70%）"));
        assert!(names("C", 60).unwrap_err().contains("已被领用"));
        assert!(names("E", 60).unwrap_err().contains("正在采集"));
        assert!(choose(&[], &known, "", 60).unwrap_err().contains("没有可用的记录仪"));
        // A faulty bay charges nothing; a plain hub tells nothing, and then the recorder's word or none counts.
        let odd = [there("A", "ready", Some(90), "fault"), there("B", "ready", None, "")];
        let best = choose(&odd, &known, "", 60).unwrap();
        assert_eq!(best.iter().map(|d| d.serial.as_str()).collect::<Vec<_>>(), ["B"]);
        assert!(choose(&[there("B", "ready", None, "charging")], &known, "", 60).is_err());
    }
}
