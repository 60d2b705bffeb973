//! Where the keys are: who may use which, how often each was asked for, and lies on command.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use rig::{Clock, ControlError, Faults, Fired};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::message::{self, Request, SM2_WITH_SM3, code};
use crate::authority::{Authority, CaError};
use crate::der::element;
use crate::site::{answered, bent};

/// How it can misbehave: on the line, then in what it says.
const KINDS: &[&str] = &[
    "delay",
    "slow",
    "half",
    "huge",
    "garbage",
    "error",
    "wrong_signature",
    "other_key",
    "other_certificate",
    "refuse",
];

/// A key in the room; its files are the authority's.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Key {
    index: u32,
    /// By which name its certificate is exported, and its files.
    name: String,
    password: String,
    /// Requests for a signature that reached it with any password.
    asked: u64,
    /// Signatures made.
    signed: u64,
}

/// The room.
#[derive(Debug)]
pub(super) struct Room {
    authority: Authority,
    faults: Arc<Faults>,
    clock: Clock,
    away: AtomicBool,
    keys: Mutex<BTreeMap<u32, Key>>,
    file: PathBuf,
}

type Answered = (Result<Vec<u8>, CaError>, Option<Fired>);

impl Room {
    pub(super) fn open(authority: Authority, folder: &Path) -> Result<Self, CaError> {
        let file = folder.join("keys.json");
        let keys: Vec<Key> = match std::fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| CaError::Asked(error.to_string()))?,
            Err(_) => Vec::new(),
        };
        Ok(Self {
            authority,
            faults: Arc::new(Faults::new(KINDS)),
            clock: Clock::default(),
            away: AtomicBool::new(false),
            keys: Mutex::new(keys.into_iter().map(|key| (key.index, key)).collect()),
            file,
        })
    }

    pub(super) fn is_away(&self) -> bool {
        self.away.load(Ordering::SeqCst)
    }

    fn keys(&self) -> MutexGuard<'_, BTreeMap<u32, Key>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn save(&self) -> Result<(), CaError> {
        let keys: Vec<Key> = self.keys().values().cloned().collect();
        let bytes = serde_json::to_vec(&keys).map_err(|error| CaError::Asked(error.to_string()))?;
        Ok(std::fs::write(&self.file, bytes)?)
    }

    /// The answer to a request, and how badly it is to be sent.
    pub(super) async fn answer(&self, bytes: &[u8]) -> Answered {
        let Some((request, wrapped)) = message::read(bytes) else {
            tracing::warn!(request = hex::encode(bytes), "not a request of annex A");
            let answer = message::write(0, &Err(code::DATA_FORMAT), false, &self.clock);
            return (Ok(answer), None);
        };
        let (kind, op) = match request {
            Request::ExportCert { .. } => (0, "export"),
            Request::SignData { .. } => (3, "sign"),
        };
        let fired = self.faults.next(op, &self.clock);
        let lie = fired.as_ref().map_or("", |fired| fired.kind.as_str());
        let done = match request {
            _ if lie == "refuse" => {
                let number = fired.as_ref().map(|fired| fired.number("code", code::INTERNAL.into()));
                Ok(Err(number
                    .and_then(|n| u32::try_from(n).ok())
                    .unwrap_or(code::INTERNAL)))
            }
            Request::ExportCert { identification } => self.export(identification, lie).await,
            Request::SignData {
                method,
                index,
                password,
                data,
            } => match self.grant(method, index, password) {
                Ok(name) => self.sign(index, &name, data, lie).await,
                Err(number) => Ok(Err(number)),
            },
        };
        let answer = done.map(|answer| message::write(kind, &answer, wrapped, &self.clock));
        (answer, fired)
    }

    async fn export(&self, identification: &[u8], lie: &str) -> Result<Result<Vec<u8>, u32>, CaError> {
        let known = self.keys().values().any(|key| key.name.as_bytes() == identification);
        let name = if lie == "other_certificate" {
            "bystander"
        } else {
            std::str::from_utf8(identification).unwrap_or_default()
        };
        if !known {
            return Ok(Err(code::NO_SUCH_CERTIFICATE));
        }
        Ok(Ok(self.authority.turn().await.certificate(name).await?))
    }

    /// The name of the key that may be used.
    fn grant(&self, method: u32, index: u32, password: &[u8]) -> Result<String, u32> {
        let mut keys = self.keys();
        let key = keys.get_mut(&index).ok_or(code::KEY_INDEX)?;
        key.asked += 1;
        if key.password.as_bytes() != password {
            return Err(code::KEY_VALUE);
        }
        if method != SM2_WITH_SM3 {
            return Err(code::SIGN_METHOD);
        }
        Ok(key.name.clone())
    }

    async fn sign(&self, index: u32, name: &str, data: &[u8], lie: &str) -> Result<Result<Vec<u8>, u32>, CaError> {
        let name = if lie == "other_key" { "stranger" } else { name };
        let signature = self.authority.turn().await.sign(name, data).await?;
        let signature = match lie {
            "wrong_signature" => bent(signature),
            _ => signature,
        };
        if let Some(key) = self.keys().get_mut(&index) {
            key.signed += 1;
        }
        self.save()?;
        Ok(Ok(element(4, &signature)))
    }
}

pub(super) fn routes(room: Arc<Room>) -> Router {
    let faults = Arc::clone(&room.faults);
    Router::new()
        .route("/control/keys", get(list).post(make))
        .route("/control/renew", post(renew))
        .route("/control/away", post(away))
        .route("/control/revoke", post(revoke))
        .route(
            "/ca.cer",
            get(async |room: State<Arc<Room>>| published(room, "ca.cer").await),
        )
        .route(
            "/full.crl",
            get(async |room: State<Arc<Room>>| published(room, "full.crl").await),
        )
        .route(
            "/delta.crl",
            get(async |room: State<Arc<Room>>| published(room, "delta.crl").await),
        )
        .with_state(room)
        .merge(rig::fault_routes(faults))
}

type Told = Result<Json<Value>, ControlError>;

async fn list(State(room): State<Arc<Room>>) -> Json<Value> {
    Json(json!(room.keys().values().collect::<Vec<_>>()))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Make {
    index: u32,
    name: String,
    /// As openssl takes it: `/C=CN/O=…/CN=…`.
    subject: String,
    password: String,
}

async fn make(State(room): State<Arc<Room>>, Json(asked): Json<Make>) -> Told {
    let turn = room.authority.turn().await;
    turn.issue(&asked.name, &asked.subject, "person", None).await?;
    let certificate = turn.text(&format!("{}.pem", asked.name)).map_err(CaError::from)?;
    drop(turn);
    let key = Key {
        index: asked.index,
        name: asked.name,
        password: asked.password,
        asked: 0,
        signed: 0,
    };
    room.keys().insert(key.index, key);
    room.save()?;
    Ok(Json(json!({"certificate": certificate})))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Renew {
    name: String,
    subject: String,
}

/// A new key and certificate in the place of a name's.
async fn renew(State(room): State<Arc<Room>>, Json(asked): Json<Renew>) -> Told {
    let turn = room.authority.turn().await;
    turn.issue(&asked.name, &asked.subject, "person", None).await?;
    Ok(Json(json!({})))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Away {
    away: bool,
}

/// While it is away every connection is dropped before its handshake.
async fn away(State(room): State<Arc<Room>>, Json(asked): Json<Away>) -> Json<Value> {
    room.away.store(asked.away, Ordering::SeqCst);
    Json(json!({}))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Revoke {
    name: String,
    reason: String,
}

/// Revokes a name's certificate and publishes the lists that say so.
async fn revoke(State(room): State<Arc<Room>>, Json(asked): Json<Revoke>) -> Told {
    let turn = room.authority.turn().await;
    let serial = turn.serial_of(&asked.name).await?;
    turn.revoke(&serial, &asked.reason)?;
    turn.publish(true).await?;
    turn.publish(false).await?;
    Ok(Json(json!({"serial": serial})))
}

async fn published(State(room): State<Arc<Room>>, name: &'static str) -> Response {
    let body = room.authority.turn().await.get(name).map_err(CaError::from);
    answered("application/octet-stream", body, None).await
}
