//! Stop-clinic: the session is stopped in the books, the platform is told until it has accepted.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::{OptionalExtension, params};
use serde_json::{Value, json};

use crate::hl7;
use crate::house::{Call, House, Keep, OpError, refuse};
use crate::soap::NAMESPACE;
use crate::wire::{Node, escape};

const MOST_TRIES: i64 = 20;
const PATIENCE: Duration = Duration::from_secs(10);
const TICK: Duration = Duration::from_millis(200);

/// What a notice says, read fresh from the books for each attempt.
#[derive(Debug, Clone)]
pub(crate) struct Stopped {
    pub(crate) notice: String,
    pub(crate) work_id: String,
    pub(crate) reason: String,
    pub(crate) date: String,
    pub(crate) flag: i64,
    pub(crate) begin: String,
    pub(crate) end: String,
    pub(crate) doctor: (String, String),
    pub(crate) dept: (String, String),
    pub(crate) orders: Vec<StoppedOrder>,
}

/// An order hit by a stopped session.
#[derive(Debug, Clone)]
pub(crate) struct StoppedOrder {
    pub(crate) his_ord: String,
    pub(crate) ps_ord: String,
    pub(crate) patient: String,
    pub(crate) name: String,
}

/// Stops a session, or sends an old notice once more.
pub(crate) fn stop(house: &House, asked: &Value) -> Result<Value, OpError> {
    let text = |name: &str| asked.get(name).and_then(Value::as_str).unwrap_or("").to_owned();
    let options = house.options();
    let state = |target: &Option<String>| if target.is_some() { "due" } else { "none" };
    let (soap, mllp) = (state(&options.callback_soap), state(&options.callback_mllp));
    house.within(Keep::Yes, |call| {
        let again = text("again");
        if !again.is_empty() {
            let changed = call.tx.execute(
                "UPDATE notice SET soap_state = ?2, mllp_state = ?3, soap_tries = 0, mllp_tries = 0 WHERE id = ?1",
                params![again, soap, mllp],
            )?;
            return if changed == 1 {
                Ok(json!({"noticeId": again}))
            } else {
                refuse("unknown notice")
            };
        }
        let flag = asked
            .get("timeFlag")
            .map_or(String::new(), |f| f.as_str().map_or_else(|| f.to_string(), Into::into));
        let work: Option<String> = call
            .tx
            .query_row(
                "SELECT work_id FROM session WHERE work_id = ?1 OR (doctor = ?2 AND date = ?3 AND flag = ?4)",
                params![text("workId"), text("doctorCode"), text("date"), flag],
                |r| r.get(0),
            )
            .optional()?;
        let Some(work) = work else {
            return refuse("no such session");
        };
        let reason = match text("reason") {
            reason if reason.is_empty() => "医生临时停诊".to_owned(),
            reason => reason,
        };
        call.tx
            .execute("UPDATE session SET stopped = 1 WHERE work_id = ?1", [&work])?;
        let mut affected = call
            .tx
            .prepare("SELECT his_ord FROM reg WHERE work_id = ?1 AND status IN (1, 2) AND released = 0")?;
        let orders: Vec<String> = affected.query_map([&work], |r| r.get(0))?.collect::<Result<_, _>>()?;
        let id = format!("T{:06}", call.number("notice")?);
        call.tx.execute(
            "INSERT INTO notice VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6, 0, ?7)",
            params![id, work, reason, orders.join(","), soap, mllp, call.moment()],
        )?;
        Ok(json!({"noticeId": id, "workId": work, "orders": orders}))
    })
}

fn read(call: &Call<'_>, id: &str) -> Result<Stopped, OpError> {
    let mut stopped = call.tx.query_row(
        "SELECT n.id, n.work_id, n.reason, s.date, s.flag, min(t.begin), max(t.finish), p.code, p.name, d.code, d.name
           FROM notice n JOIN session s ON s.work_id = n.work_id JOIN slot t ON t.work_id = n.work_id
           JOIN doctor p ON p.code = s.doctor JOIN dept d ON d.code = s.dept WHERE n.id = ?1",
        [id],
        |r| {
            Ok(Stopped {
                notice: r.get(0)?,
                work_id: r.get(1)?,
                reason: r.get(2)?,
                date: r.get(3)?,
                flag: r.get(4)?,
                begin: r.get(5)?,
                end: r.get(6)?,
                doctor: (r.get(7)?, r.get(8)?),
                dept: (r.get(9)?, r.get(10)?),
                orders: Vec::new(),
            })
        },
    )?;
    let mut orders = call.tx.prepare(
        "SELECT r.his_ord, r.ps_ord, p.id, p.name FROM reg r JOIN patient p ON p.id = r.patient
          WHERE instr(',' || (SELECT orders FROM notice WHERE id = ?1) || ',', ',' || r.his_ord || ',') > 0
          ORDER BY r.rowid",
    )?;
    stopped.orders = orders
        .query_map([id], |r| {
            Ok(StoppedOrder {
                his_ord: r.get(0)?,
                ps_ord: r.get(1)?,
                patient: r.get(2)?,
                name: r.get(3)?,
            })
        })?
        .collect::<Result<_, _>>()?;
    Ok(stopped)
}

/// Sends due notices for as long as the process lives.
pub(crate) async fn deliver(house: Arc<House>) -> std::io::Result<()> {
    for transport in ["soap", "mllp"] {
        let house = Arc::clone(&house);
        tokio::spawn(async move { deliver_over(&house, transport).await });
    }
    std::future::pending().await
}

async fn deliver_over(house: &House, transport: &'static str) {
    loop {
        tokio::time::sleep(TICK).await;
        let Some((id, tries)) = due(house, transport) else {
            continue;
        };
        let Ok(stopped) = house.within(Keep::Yes, |call| read(call, &id)) else {
            continue;
        };
        let options = house.options();
        let target = if transport == "soap" {
            options.callback_soap
        } else {
            options.callback_mllp
        };
        let Some(target) = target else {
            continue;
        };
        let sent = if transport == "soap" {
            tokio::time::timeout(PATIENCE, send_soap(&target, &stopped)).await
        } else {
            tokio::time::timeout(PATIENCE, hl7::announce(house, &target, &stopped)).await
        };
        let result = sent.unwrap_or_else(|_| Err("no answer in time".into()));
        settle(house, transport, &id, tries + 1, &result);
        if result.is_err() && tries + 1 < MOST_TRIES {
            let wait = 1_u64 << u64::try_from(tries.clamp(0, 6)).unwrap_or(0);
            tokio::time::sleep(Duration::from_secs(wait.min(60))).await;
        }
    }
}

fn due(house: &House, transport: &str) -> Option<(String, i64)> {
    let sql =
        format!("SELECT id, {transport}_tries FROM notice WHERE {transport}_state = 'due' ORDER BY rowid LIMIT 1");
    house.db().query_row(&sql, [], |r| Ok((r.get(0)?, r.get(1)?))).ok()
}

fn settle(house: &House, transport: &str, id: &str, tries: i64, result: &Result<String, String>) {
    let state = match result {
        Ok(_) => "accepted",
        Err(_) if tries >= MOST_TRIES => "given_up",
        Err(_) => "due",
    };
    let (Ok(note) | Err(note)) = result;
    house.note_call(&format!("{transport}-out"), "stopReg", id, note, None);
    let sql = format!("UPDATE notice SET {transport}_state = ?2, {transport}_tries = ?3 WHERE id = ?1");
    if let Err(error) = house.db().execute(&sql, params![id, state, tries]) {
        tracing::error!("{error}");
    }
}

async fn send_soap(url: &str, stopped: &Stopped) -> Result<String, String> {
    let action = format!("\"{NAMESPACE}stopReg\"");
    let headers = [
        ("Content-Type", "text/xml; charset=utf-8"),
        ("SOAPAction", action.as_str()),
    ];
    let (status, reply) = rig::post(url, &headers, stop_request(stopped).as_bytes())
        .await
        .map_err(|e| e.to_string())?;
    if status != 200 {
        return Err(format!("HTTP {status}"));
    }
    let text = String::from_utf8_lossy(&reply);
    let envelope = Node::parse(&text).map_err(|e| format!("reply: {e}"))?;
    let result = envelope
        .child("Body")
        .and_then(|b| b.children.first())
        .and_then(|r| r.children.first())
        .ok_or("no result in the reply")?;
    let code = Node::parse(&result.text)?.get("resultCode").to_owned();
    match code.as_str() {
        "0" | "1" => Ok(code),
        other => Err(format!("resultCode {other}")),
    }
}

fn stop_request(stopped: &Stopped) -> String {
    let join = |get: fn(&StoppedOrder) -> &str| stopped.orders.iter().map(get).collect::<Vec<_>>().join(",");
    let mut params = String::new();
    for (name, value) in [
        ("appId", "HIS"),
        ("noticeId", &stopped.notice),
        ("deptCode", &stopped.dept.0),
        ("deptName", &stopped.dept.1),
        ("doctorCode", &stopped.doctor.0),
        ("doctorName", &stopped.doctor.1),
        ("workId", &stopped.work_id),
        ("scheduleDate", &stopped.date),
        ("timeFlag", &stopped.flag.to_string()),
        ("begin", &format!("{} {}:00", stopped.date, stopped.begin)),
        ("end", &format!("{} {}:00", stopped.date, stopped.end)),
        ("reason", &stopped.reason),
        ("type", "1"),
        ("orderList", &join(|o| &o.ps_ord)),
        ("hisOrdList", &join(|o| &o.his_ord)),
    ] {
        params += &format!("<{name}>{}</{name}>", escape(value));
    }
    let inner = escape(&format!("<request><params>{params}</params></request>"));
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\"><soap:Body><stopReg xmlns=\"{NAMESPACE}\"><requestXml>{inner}</requestXml></stopReg></soap:Body></soap:Envelope>"
    )
}
