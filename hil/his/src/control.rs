//! The control port: the hospital's books as JSON, and the commands of the bench.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use rig::ControlError;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, params};
use serde_json::{Map, Value, json};

use crate::charset::Charset;
use crate::house::{House, Keep, OpError};
use crate::ops::queue;
use crate::{notice, seed};

type Answer = Result<Json<Value>, ControlError>;

/// All control calls.
pub(crate) fn routes(house: Arc<House>) -> Router {
    Router::new()
        .route("/control/books", get(books))
        .route("/control/ledger", get(ledger))
        .route("/control/demo", get(async || Json(seed::demo())))
        .route("/control/requests", get(requests))
        .route("/control/reset", post(reset))
        .route("/control/options", get(options).post(set_options))
        .route("/control/clock", get(clock).post(set_clock))
        .route("/control/stop-clinic", post(stop_clinic))
        .route("/control/visit/{his_ord}", post(visit))
        .route("/control/walk-in", post(walk_in))
        .route("/control/voucher", post(voucher))
        .route("/control/dispense/{fee}", post(dispense))
        .route("/control/apply/{number}", post(apply))
        .route("/control/price", post(price))
        .route("/control/stock", post(stock))
        .with_state(Arc::clone(&house))
        .merge(rig::fault_routes(Arc::clone(&house.faults)))
}

fn failed(error: impl std::fmt::Display) -> ControlError {
    ControlError(error.to_string())
}

fn table(db: &Connection, sql: &str) -> rusqlite::Result<Vec<Value>> {
    let mut statement = db.prepare(sql)?;
    let names: Vec<String> = statement.column_names().map(Into::into).collect();
    let rows = statement.query_map([], |row| {
        let mut object = Map::new();
        for (at, name) in names.iter().enumerate() {
            let value = match row.get_ref(at)? {
                ValueRef::Integer(n) => json!(n),
                ValueRef::Real(x) => json!(x),
                ValueRef::Text(text) => json!(String::from_utf8_lossy(text)),
                ValueRef::Null | ValueRef::Blob(_) => Value::Null,
            };
            object.insert(name.clone(), value);
        }
        Ok(Value::Object(object))
    })?;
    rows.collect()
}

async fn books(State(house): State<Arc<House>>) -> Answer {
    house.within(Keep::Yes, |_| Ok(())).map_err(failed)?;
    let db = house.db();
    let mut all = Map::new();
    for (name, sql) in [
        ("patients", "SELECT * FROM patient"),
        ("registrations", "SELECT * FROM reg ORDER BY rowid"),
        (
            "sessions",
            "SELECT * FROM session WHERE stopped OR work_id IN (SELECT work_id FROM reg)",
        ),
        ("recipes", "SELECT * FROM recipe WHERE rx_no <> '' ORDER BY rowid"),
        ("recipe_items", "SELECT * FROM recipe_item WHERE recipe NOT LIKE 'CH%'"),
        ("applies", "SELECT * FROM apply ORDER BY rowid"),
        ("apply_items", "SELECT * FROM apply_item"),
        ("payments", "SELECT * FROM bill_pay ORDER BY rowid"),
        ("refunds", "SELECT * FROM bill_refund ORDER BY rowid"),
        ("deliveries", "SELECT * FROM delivery ORDER BY rowid"),
        ("notices", "SELECT * FROM notice ORDER BY rowid"),
    ] {
        all.insert(name.into(), json!(table(&db, sql).map_err(failed)?));
    }
    Ok(Json(Value::Object(all)))
}

async fn ledger(State(house): State<Arc<House>>) -> Answer {
    let db = house.db();
    let movements = table(
        &db,
        "SELECT at, kind, subject, his_ord AS his_ord_num, ps_ord AS ps_ord_num, agt_ord AS agt_ord_num,
                ps_ref AS ps_ref_ord_num, agt_ref AS agt_ref_ord_num, his_ref AS his_ref_ord_num, amount AS amount_fen
           FROM ledger ORDER BY n",
    )
    .map_err(failed)?;
    let sum = |kind: &str| {
        let sql = "SELECT coalesce(sum(amount), 0) FROM ledger WHERE kind = ?1";
        db.query_row(sql, [kind], |r| r.get::<_, i64>(0)).map_err(failed)
    };
    let (paid, refunded) = (sum("pay")?, sum("refund")?);
    Ok(Json(
        json!({"movements": movements, "paid_fen": paid, "refunded_fen": refunded,
        "balance_fen": paid - refunded}),
    ))
}

async fn requests(State(house): State<Arc<House>>) -> Json<Value> {
    Json(json!(house.recent_calls()))
}

async fn reset(State(house): State<Arc<House>>) -> Answer {
    house.reset().map_err(failed)?;
    Ok(Json(json!({})))
}

async fn options(State(house): State<Arc<House>>) -> Json<Value> {
    let options = house.options();
    Json(json!({"keys": if options.honour_keys { "honour" } else { "ignore" },
        "charset": options.charset.name(), "lock_minutes": options.lock_minutes,
        "callback_soap": options.callback_soap, "callback_mllp": options.callback_mllp}))
}

async fn set_options(State(house): State<Arc<House>>, Json(asked): Json<Value>) -> Answer {
    let text = |name: &str| asked.get(name).and_then(Value::as_str);
    let charset = match text("charset") {
        Some(name) => Some(Charset::named(name).ok_or_else(|| failed("unknown charset"))?),
        None => None,
    };
    house.set_options(|options| {
        if let Some(keys) = text("keys") {
            options.honour_keys = keys == "honour";
        }
        if let Some(charset) = charset {
            options.charset = charset;
        }
        if let Some(minutes) = asked.get("lock_minutes").and_then(Value::as_i64) {
            options.lock_minutes = minutes;
        }
        if let Some(url) = asked.get("callback_soap") {
            options.callback_soap = url.as_str().map(Into::into);
        }
        if let Some(peer) = asked.get("callback_mllp") {
            options.callback_mllp = peer.as_str().map(Into::into);
        }
    });
    Ok(self::options(State(house)).await)
}

async fn clock(State(house): State<Arc<House>>) -> Json<Value> {
    Json(json!({"now": house.clock.moment(), "offset_s": house.clock.offset()}))
}

async fn set_clock(State(house): State<Arc<House>>, Json(asked): Json<Value>) -> Json<Value> {
    if let Some(seconds) = asked.get("offset_s").and_then(Value::as_i64) {
        house.clock.set_offset(seconds);
    }
    if let Some(seconds) = asked.get("advance_s").and_then(Value::as_i64) {
        house.clock.advance(seconds);
    }
    clock(State(house)).await
}

async fn stop_clinic(State(house): State<Arc<House>>, Json(asked): Json<Value>) -> Answer {
    notice::stop(&house, &asked).map(Json).map_err(failed)
}

async fn visit(State(house): State<Arc<House>>, Path(his_ord): Path<String>, Json(asked): Json<Value>) -> Answer {
    let status = asked.get("status").and_then(Value::as_i64).unwrap_or(5);
    if !(5..=6).contains(&status) {
        return Err(failed("status is 5 or 6"));
    }
    change(
        &house,
        "UPDATE reg SET status = ?2 WHERE his_ord = ?1 AND status IN (2, 5)",
        &his_ord,
        status,
    )
}

async fn walk_in(State(house): State<Arc<House>>, Json(asked): Json<Value>) -> Answer {
    let text = |name: &str| asked.get(name).and_then(Value::as_str).unwrap_or("").to_owned();
    let (patient, doctor) = (text("patId"), text("doctorCode"));
    let made = house.within(Keep::Yes, |call| queue::walk_in(call, &patient, &doctor));
    Ok(Json(json!({"hisOrdNum": made.map_err(failed)?})))
}

async fn voucher(State(house): State<Arc<House>>, Json(asked): Json<Value>) -> Answer {
    let patient = asked.get("patId").and_then(Value::as_str).unwrap_or("").to_owned();
    let seconds = asked.get("seconds").and_then(Value::as_i64).unwrap_or(60);
    let made = house.within(Keep::Yes, |call| queue::voucher(call, &patient, seconds));
    Ok(Json(json!({"token": made.map_err(failed)?})))
}

async fn dispense(State(house): State<Arc<House>>, Path(fee): Path<String>) -> Answer {
    change(
        &house,
        "UPDATE recipe SET status = ?2 WHERE fee_id = ?1 AND status = 5",
        &fee,
        6,
    )
}

async fn apply(State(house): State<Arc<House>>, Path(number): Path<String>, Json(asked): Json<Value>) -> Answer {
    let status = asked.get("status").and_then(Value::as_i64).unwrap_or(2);
    if !(2..=3).contains(&status) {
        return Err(failed("status is 2 or 3"));
    }
    change(
        &house,
        "UPDATE apply SET status = ?2 WHERE id = ?1 AND status IN (1, 2)",
        &number,
        status,
    )
}

async fn price(State(house): State<Arc<House>>, Json(asked): Json<Value>) -> Answer {
    let text = |name: &str| asked.get(name).and_then(Value::as_str).unwrap_or("").to_owned();
    let number = |name: &str| asked.get(name).and_then(Value::as_i64);
    if let Some(price) = number("price") {
        return change(
            &house,
            "UPDATE drug SET price = ?2 WHERE code = ?1",
            &text("drugCode"),
            price,
        );
    }
    let work = text("workId");
    for (field, sql) in [
        ("regFee", "UPDATE session SET reg_fee = ?2 WHERE work_id = ?1"),
        ("treatFee", "UPDATE session SET treat_fee = ?2 WHERE work_id = ?1"),
        // What is already locked changes too: the trap of a price between lock and payment.
        (
            "regFee",
            "UPDATE reg SET reg_fee = ?2 WHERE work_id = ?1 AND status = 1",
        ),
        (
            "treatFee",
            "UPDATE reg SET treat_fee = ?2 WHERE work_id = ?1 AND status = 1",
        ),
    ] {
        if let Some(fee) = number(field) {
            house.db().execute(sql, params![work, fee]).map_err(failed)?;
        }
    }
    Ok(Json(json!({})))
}

async fn stock(State(house): State<Arc<House>>, Json(asked): Json<Value>) -> Answer {
    let code = asked.get("drugCode").and_then(Value::as_str).unwrap_or("").to_owned();
    let quantity = asked.get("quantity").and_then(Value::as_i64).unwrap_or(0);
    let table = if code.starts_with('H') { "herb" } else { "drug" };
    change(
        &house,
        &format!("UPDATE {table} SET stock = ?2 WHERE code = ?1"),
        &code,
        quantity,
    )
}

fn change(house: &House, sql: &str, key: &str, value: i64) -> Answer {
    let changed = house
        .within(Keep::Yes, |call| Ok(call.tx.execute(sql, params![key, value])?))
        .map_err(|e: OpError| failed(e))?;
    if changed == 0 {
        return Err(failed(format!("nothing to change for {key}")));
    }
    Ok(Json(json!({"changed": changed})))
}
