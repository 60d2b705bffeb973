//! The control port.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use rig::ControlError;
use rusqlite::types::ValueRef;
use serde_json::{Map, Value, json};

use crate::books::Trade;
use crate::channel::Channel;
use crate::notify;

type Answer = Result<Json<Value>, ControlError>;

pub(crate) fn routes(channel: Arc<Channel>) -> Router {
    Router::new()
        .route("/control/pay/{number}", post(pay))
        .route("/control/ledger", get(ledger))
        .route("/control/notifies", get(notifies))
        .route("/control/notifies/{id}/again", post(again))
        .route("/control/forge/{number}", post(forge))
        .route("/control/refunds/{number}", post(refund))
        .route("/control/clock", get(clock).post(set_clock))
        .route("/control/reset", post(reset))
        .with_state(Arc::clone(&channel))
        .merge(rig::fault_routes(Arc::clone(&channel.faults)))
}

fn failed(error: impl std::fmt::Display) -> ControlError {
    ControlError(error.to_string())
}

fn table(channel: &Channel, sql: &str) -> Result<Vec<Value>, ControlError> {
    let db = channel.db();
    let mut statement = db.prepare(sql).map_err(failed)?;
    let names: Vec<String> = statement.column_names().map(Into::into).collect();
    let rows = statement
        .query_map([], |row| {
            let mut object = Map::new();
            for (at, name) in names.iter().enumerate() {
                let value = match row.get_ref(at)? {
                    ValueRef::Integer(n) => json!(n),
                    ValueRef::Text(text) => json!(String::from_utf8_lossy(text)),
                    _ => Value::Null,
                };
                object.insert(name.clone(), value);
            }
            Ok(Value::Object(object))
        })
        .map_err(failed)?;
    rows.collect::<Result<_, _>>().map_err(failed)
}

#[derive(serde::Deserialize)]
struct Charge {
    /// Charged in place of what was ordered.
    total_fen: Option<i64>,
}

async fn pay(State(channel): State<Arc<Channel>>, Path(number): Path<String>, Query(charge): Query<Charge>) -> Answer {
    match channel.pay(&number, charge.total_fen).map_err(failed)? {
        Ok(trade) => Ok(Json(trade.object())),
        Err(why) => Err(failed(format!("{why:?}"))),
    }
}

async fn ledger(State(channel): State<Arc<Channel>>) -> Answer {
    channel.ripen_refunds().map_err(failed)?;
    let movements = table(
        &channel,
        "SELECT at, kind, mchid, out_trade_no, transaction_id, out_refund_no, refund_id, amount AS amount_fen FROM movement ORDER BY n",
    )?;
    let sum = |kind: &str| {
        channel
            .db()
            .query_row(
                "SELECT coalesce(sum(amount), 0) FROM movement WHERE kind = ?1",
                [kind],
                |r| r.get::<_, i64>(0),
            )
            .map_err(failed)
    };
    let (paid, refunded) = (sum("pay")?, sum("refund")?);
    Ok(Json(json!({
        "movements": movements,
        "trades": table(&channel, "SELECT mchid, out_trade_no, description, total AS total_fen, state, transaction_id, success_time, notify_url FROM trade ORDER BY rowid")?,
        "refunds": table(&channel, "SELECT mchid, out_refund_no, refund_id, out_trade_no, amount AS amount_fen, status, created_at, success_time FROM refund ORDER BY rowid")?,
        "paid_fen": paid, "refunded_fen": refunded, "balance_fen": paid - refunded,
    })))
}

async fn notifies(State(channel): State<Arc<Channel>>) -> Answer {
    let sql = "SELECT id, event_type, subject, url, state, tries, answers, created_at FROM notice ORDER BY rowid";
    Ok(Json(json!(table(&channel, sql)?)))
}

async fn again(State(channel): State<Arc<Channel>>, Path(id): Path<String>) -> Answer {
    let now = channel.millis();
    let changed = channel
        .db()
        .execute(
            "UPDATE notice SET state = 'due', due_ms = ?2, tries = 0 WHERE id = ?1",
            rusqlite::params![id, now],
        )
        .map_err(failed)?;
    if changed == 0 {
        Err(failed("unknown notification"))
    } else {
        Ok(Json(json!({})))
    }
}

async fn forge(State(channel): State<Arc<Channel>>, Path(number): Path<String>) -> Answer {
    let trade = Trade::find_any(&channel.db(), &number).map_err(failed)?;
    let Some(mut trade) = trade else {
        return Err(failed("unknown order"));
    };
    trade.state = "SUCCESS".into();
    trade.transaction_id = channel.number("42000");
    trade.success_time = channel.moment();
    let answered = notify::forge(&channel, &trade.mchid, &trade.notify_url, &trade.object()).await;
    Ok(Json(
        json!({"answered": answered.map_or_else(|e| json!(e.to_string()), |status| json!(status))}),
    ))
}

/// Ends a PROCESSING refund now, optionally as ABNORMAL or CLOSED.
async fn refund(State(channel): State<Arc<Channel>>, Path(number): Path<String>, Json(asked): Json<Value>) -> Answer {
    let status = asked
        .get("status")
        .and_then(Value::as_str)
        .unwrap_or("SUCCESS")
        .to_owned();
    if !["SUCCESS", "ABNORMAL", "CLOSED"].contains(&status.as_str()) {
        return Err(failed("status is SUCCESS, ABNORMAL or CLOSED"));
    }
    channel
        .db()
        .execute(
            "UPDATE refund SET ends_as = ?2, due_ms = 0 WHERE out_refund_no = ?1 AND status = 'PROCESSING'",
            [&number, &status],
        )
        .map_err(failed)?;
    channel.ripen_refunds().map_err(failed)?;
    Ok(Json(json!({})))
}

async fn clock(State(channel): State<Arc<Channel>>) -> Json<Value> {
    Json(json!({"now": channel.moment(), "offset_s": channel.clock.offset()}))
}

async fn set_clock(State(channel): State<Arc<Channel>>, Json(asked): Json<Value>) -> Json<Value> {
    if let Some(seconds) = asked.get("offset_s").and_then(Value::as_i64) {
        channel.clock.set_offset(seconds);
    }
    if let Some(seconds) = asked.get("advance_s").and_then(Value::as_i64) {
        channel.clock.advance(seconds);
    }
    clock(State(channel)).await
}

async fn reset(State(channel): State<Arc<Channel>>) -> Answer {
    channel.faults.remove(None);
    let sql = "DELETE FROM trade; DELETE FROM refund; DELETE FROM movement; DELETE FROM notice;";
    channel.db().execute_batch(sql).map_err(failed)?;
    Ok(Json(json!({})))
}
