//! What the hospital calls at the appliance: stop-clinic notices, by SOAP or HL7. A notice is on disk, and in the
//! outbox to the cloud, before it is acknowledged; the same notice again is acknowledged as accepted before; what is
//! not understood is answered with a clear error, kept for the operator, and changes nothing.

mod mllp;
mod soap;

use records::his::StopClinic;
use records::line::kind;
use records::{Lane, PeerId, Timestamp};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use store::{StoreError, Tx};

use crate::bridge::Bridge;
use crate::convert::Direction;
use crate::mapping::{Context, Fields};
use crate::source::Source;

/// Rejected calls that are kept.
const REJECTED_KEPT: u32 = 500;

/// The hospital side's servers.
#[derive(Clone)]
pub struct Callbacks {
    bridge: Bridge,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Received {
    New,
    Before,
}

/// A call that was not understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Number.
    pub id: String,
    /// `soap` or `mllp`.
    pub via: String,
    /// Why.
    pub reason: String,
    /// Its beginning.
    pub excerpt: String,
    /// When.
    pub received_at: Timestamp,
}

impl Callbacks {
    /// The servers of this bridge's profile.
    pub const fn new(bridge: Bridge) -> Self {
        Self { bridge }
    }

    /// Maps a notice; the error is for the hospital's operator.
    fn notice(&self, fields: &Fields, source: Source<'_>, orders: &str) -> Result<StopClinic, String> {
        let profile = &self.bridge.hospital().profile;
        let nothing = Value::Null;
        let context = Context {
            habits: &profile.habits,
            codes: &profile.codes,
            request: &nothing,
            now: self.bridge.clock().now(),
            way: Direction::In,
            index: 0,
        };
        let mut mapped: Map<String, Value> = context.fill(fields, source).map_err(|e| e.to_string())?;
        let orders = source.text(orders).unwrap_or_default();
        let orders = orders
            .split(',')
            .map(str::trim)
            .filter(|o| !o.is_empty())
            .map(|o| Value::String(o.to_owned()));
        mapped.insert("order_numbers".to_owned(), Value::Array(orders.collect()));
        serde_json::from_value(Value::Object(mapped)).map_err(|e| e.to_string())
    }

    /// Keeps a notice and passes it on, in one unit.
    async fn receive(&self, key: String, via: &'static str, notice: &StopClinic) -> Result<Received, StoreError> {
        let body = serde_json::to_value(notice).unwrap_or_default();
        let entity = notice.work_id.clone().unwrap_or_else(|| notice.doctor_code.clone());
        let received = self.bridge.store().write(self.bridge.scope(), move |tx| {
            let (key, body, entity) = (key.clone(), body.clone(), entity.clone());
            Box::pin(async move { keep(tx, &key, via, &entity, &body).await })
        });
        received.await
    }

    async fn reject(&self, via: &'static str, reason: &str, raw: &[u8]) {
        tracing::warn!(
            callback.via = via,
            callback.bytes = raw.len(),
            reason,
            "call of the hospital rejected"
        );
        let id = self.bridge.ids().next("rej", self.bridge.clock().now());
        let excerpt: String = String::from_utf8_lossy(raw)
            .chars()
            .filter(|c| *c != '\0')
            .take(2_000)
            .collect();
        let reason = reason.to_owned();
        let kept = self.bridge.store().write(self.bridge.scope(), move |tx| {
            let (id, reason, excerpt) = (id.clone(), reason.clone(), excerpt.clone());
            Box::pin(async move {
                let (tenant, now) = (tx.tenant().clone(), tx.now());
                tx.exec(
                    "INSERT INTO his_rejected (tenant_id, id, via, reason, excerpt, received_at) VALUES ($1, $2, $3, $4, $5, $6)",
                    &[&tenant, &id, &via, &reason, &excerpt, &now],
                )
                .await?;
                tx.exec(
                    "DELETE FROM his_rejected WHERE tenant_id = $1 AND id NOT IN
                       (SELECT id FROM his_rejected WHERE tenant_id = $1 ORDER BY received_at DESC, id DESC LIMIT $2)",
                    &[&tenant, &REJECTED_KEPT],
                )
                .await
            })
        });
        if let Err(error) = kept.await {
            let error: StoreError = error;
            tracing::error!(%error, "rejected call could not be kept");
        }
    }

    /// Calls that were not understood, newest first.
    ///
    /// # Errors
    /// Of the database.
    pub async fn rejected(&self, limit: usize) -> Result<Vec<Rejected>, StoreError> {
        let read = self.bridge.store().read(self.bridge.scope(), move |tx| {
            Box::pin(async move {
                let tenant = tx.tenant().clone();
                let sql = "SELECT id, via, reason, excerpt, received_at FROM his_rejected WHERE tenant_id = $1
                           ORDER BY received_at DESC, id DESC LIMIT $2";
                tx.all::<(String, String, String, String, Timestamp)>(sql, &[&tenant, &limit])
                    .await
            })
        });
        let rows: Vec<_> = read.await?;
        let rejected = rows.into_iter();
        Ok(rejected
            .map(|(id, via, reason, excerpt, received_at)| Rejected {
                id,
                via,
                reason,
                excerpt,
                received_at,
            })
            .collect())
    }
}

async fn keep(tx: &mut Tx<'_>, key: &str, via: &str, entity: &str, body: &Value) -> Result<Received, StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    let again = "UPDATE his_notice SET times = times + 1 WHERE tenant_id = $1 AND key = $2";
    if tx.exec(again, &[&tenant, &key]).await? > 0 {
        return Ok(Received::Before);
    }
    tx.exec(
        "INSERT INTO his_notice (tenant_id, key, via, body, received_at, times) VALUES ($1, $2, $3, $4, $5, 1)",
        &[&tenant, &key, &via, body, &now],
    )
    .await?;
    tx.append(&PeerId::cloud(), Lane::Clinical, kind::HIS_STOP_CLINIC, entity, body)
        .await?;
    Ok(Received::New)
}

/// A notice number used for other content is another notice.
fn content_key(via: &str, number: &str, notice: &StopClinic) -> String {
    let body = serde_json::to_vec(notice).unwrap_or_default();
    let digest = hex::encode(Sha256::digest(body).get(..8).unwrap_or_default());
    format!("{via}:{number}:{digest}")
}
