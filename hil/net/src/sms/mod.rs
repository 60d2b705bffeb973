//! The SMS gateway in the shape of Tencent Cloud `SendSms` (TC3-HMAC-SHA256), and the phone it delivers to.

mod phone;
mod tc3;
mod totp;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use rig::{Clock, ControlError, Faults};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::NetError;

const KINDS: &[&str] = &[
    "delay",
    "hang_before",
    "hang_after",
    "error",
    "error_after",
    "drop",
    "limit",
];

/// Where and how the gateway runs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The vendor's API and the demo phone.
    pub api: SocketAddr,
    /// Control.
    pub control: SocketAddr,
    /// The account's SecretId.
    pub secret_id: String,
    /// The account's SecretKey.
    pub secret_key: String,
    /// JSON object login → base32 secret, read at each request.
    pub totp: Option<PathBuf>,
}

/// A message that reached a phone.
#[derive(Debug, Clone, Serialize)]
struct Message {
    serial: String,
    at: String,
    phone: String,
    sign: String,
    template: String,
    params: Vec<String>,
    text: String,
}

#[derive(Debug)]
struct Gateway {
    settings: Settings,
    clock: Clock,
    faults: Arc<Faults>,
    messages: Mutex<Vec<Message>>,
}

impl Gateway {
    fn messages(&self) -> MutexGuard<'_, Vec<Message>> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves until a port fails; `serving` learns the API and control addresses.
pub async fn run(settings: Settings, serving: impl FnOnce(SocketAddr, SocketAddr)) -> Result<(), NetError> {
    let api = TcpListener::bind(settings.api).await?;
    let control = TcpListener::bind(settings.control).await?;
    let addresses = (api.local_addr()?, control.local_addr()?);
    let gateway = Arc::new(Gateway {
        settings,
        clock: Clock::default(),
        faults: Arc::new(Faults::new(KINDS)),
        messages: Mutex::default(),
    });
    let public = Router::new()
        .route("/", post(call).get(phone::page))
        .route("/phone", get(phone::page))
        .with_state(Arc::clone(&gateway));
    let private = Router::new()
        .route("/control/messages", get(messages).delete(forget))
        .route("/control/totp/{login}", get(code))
        .route("/control/clock", post(set_clock))
        .with_state(Arc::clone(&gateway))
        .merge(rig::fault_routes(Arc::clone(&gateway.faults)));
    serving(addresses.0, addresses.1);
    tokio::try_join!(
        async { axum::serve(api, public).await },
        rig::serve_control(control, private),
    )?;
    Ok(())
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SendSms {
    phone_number_set: Vec<String>,
    sms_sdk_app_id: String,
    template_id: String,
    #[serde(default)]
    sign_name: String,
    #[serde(default)]
    template_param_set: Vec<String>,
}

async fn call(State(gateway): State<Arc<Gateway>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let fired = gateway.faults.next("SendSms", &gateway.clock);
    let kind = fired.as_ref().map_or("", |f| f.kind.as_str());
    let wait = Duration::from_millis(fired.as_ref().map_or(0, |f| f.number("ms", 1_000)));
    if matches!(kind, "delay" | "hang_before") {
        tokio::time::sleep(wait).await;
    }
    if kind == "hang_before" {
        return StatusCode::GATEWAY_TIMEOUT.into_response();
    }
    let answer = if kind == "error" {
        Err(("InternalError".to_owned(), "内部错误".to_owned()))
    } else {
        accept(&gateway, &uri, &headers, &body, kind)
    };
    if kind == "hang_after" {
        tokio::time::sleep(wait).await;
        return StatusCode::GATEWAY_TIMEOUT.into_response();
    }
    let request_id = format!("{:08x}-bench", gateway.clock.unix());
    let inner = match answer {
        Ok(_) | Err(_) if kind == "error_after" => {
            json!({"Error": {"Code": "InternalError", "Message": "内部错误"}, "RequestId": request_id})
        }
        Ok(set) => json!({"SendStatusSet": set, "RequestId": request_id}),
        Err((code, message)) => json!({"Error": {"Code": code, "Message": message}, "RequestId": request_id}),
    };
    Json(json!({"Response": inner})).into_response()
}

/// Checks the call and delivers; answers the status per number.
fn accept(
    gateway: &Gateway,
    uri: &Uri,
    headers: &HeaderMap,
    body: &[u8],
    kind: &str,
) -> Result<Vec<Value>, (String, String)> {
    let fail = |code: &str, words: &str| Err((code.to_owned(), words.to_owned()));
    let header = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or("");
    let account = (
        gateway.settings.secret_id.as_str(),
        gateway.settings.secret_key.as_str(),
    );
    tc3::check(account, gateway.clock.unix(), uri, &header, body)?;
    if header("x-tc-action") != "SendSms" {
        return fail("InvalidAction", "接口不存在");
    }
    if header("x-tc-version") != "2021-01-11" {
        return fail("NoSuchVersion", "接口版本不存在");
    }
    let Ok(asked) = serde_json::from_slice::<SendSms>(body) else {
        return fail("InvalidParameter", "参数错误");
    };
    if asked.sms_sdk_app_id.is_empty() || asked.template_id.is_empty() {
        return fail("MissingParameter", "缺少SmsSdkAppId或TemplateId");
    }
    let mut set = Vec::new();
    for number in &asked.phone_number_set {
        let phone = number.strip_prefix("+86").unwrap_or(number);
        let valid = phone.len() == 11 && phone.starts_with('1') && phone.bytes().all(|b| b.is_ascii_digit());
        let (code, words) = match kind {
            _ if !valid => ("InvalidParameterValue.IncorrectPhoneNumber", "incorrect phone number"),
            "limit" => ("LimitExceeded.PhoneNumberThirtySecondLimit", "30秒内只能发送一条"),
            _ => ("Ok", "send success"),
        };
        let mut messages = gateway.messages();
        let serial = format!("4001:{:010}", messages.len() + 1);
        if code == "Ok" && kind != "drop" {
            messages.push(Message {
                serial: serial.clone(),
                at: gateway.clock.moment(),
                phone: phone.to_owned(),
                sign: asked.sign_name.clone(),
                template: asked.template_id.clone(),
                params: asked.template_param_set.clone(),
                text: text_of(&asked),
            });
        }
        set.push(
            json!({"SerialNo": serial, "PhoneNumber": number, "Fee": u8::from(code == "Ok"),
            "SessionContext": "", "Code": code, "Message": words, "IsoCode": "CN"}),
        );
    }
    Ok(set)
}

fn text_of(asked: &SendSms) -> String {
    let sign = if asked.sign_name.is_empty() {
        "医院"
    } else {
        &asked.sign_name
    };
    format!("【{sign}】{}", asked.template_param_set.join("，"))
}

#[derive(Debug, Deserialize)]
struct Wanted {
    #[serde(default)]
    phone: String,
}

async fn messages(State(gateway): State<Arc<Gateway>>, Query(wanted): Query<Wanted>) -> Json<Value> {
    let messages = gateway.messages();
    let found: Vec<&Message> = messages
        .iter()
        .filter(|m| wanted.phone.is_empty() || m.phone == wanted.phone)
        .collect();
    Json(json!(found))
}

async fn forget(State(gateway): State<Arc<Gateway>>) -> Json<Value> {
    gateway.messages().clear();
    Json(json!({}))
}

async fn code(State(gateway): State<Arc<Gateway>>, Path(login): Path<String>) -> Result<Json<Value>, ControlError> {
    let secrets = totp::secrets(gateway.settings.totp.as_deref()).map_err(ControlError)?;
    let found = secrets.iter().find(|(name, _)| *name == login);
    let (_, secret) = found.ok_or_else(|| ControlError(format!("no secret for {login}")))?;
    let now = gateway.clock.unix();
    let code = totp::code(secret, now).ok_or_else(|| ControlError("the secret is not base32".into()))?;
    Ok(Json(json!({"login": login, "code": code, "valid_s": totp::left(now)})))
}

async fn set_clock(State(gateway): State<Arc<Gateway>>, Json(asked): Json<Value>) -> Json<Value> {
    if let Some(seconds) = asked.get("offset_s").and_then(Value::as_i64) {
        gateway.clock.set_offset(seconds);
    }
    Json(json!({"now": gateway.clock.moment()}))
}
