//! The merchant's API: every request's signature is verified, every reply signed.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use rig::Fired;
use serde_json::{Value, json};

use crate::books::{Refund, Trade, refunded};
use crate::channel::Channel;

const CLOCK_TOLERANCE_S: i64 = 300;

/// A failed call: HTTP status, code, words.
#[derive(Debug)]
pub(crate) struct Refusal(u16, String, String);

fn refuse<T>(status: u16, code: &str, words: &str) -> Result<T, Refusal> {
    Err(Refusal(status, code.into(), words.into()))
}

impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Self {
        tracing::error!("{error}");
        Refusal(500, "SYSTEM_ERROR".into(), "系统异常，请用相同参数重新调用".into())
    }
}

type Answer = Result<(u16, Option<Value>), Refusal>;

pub(crate) fn routes(channel: Arc<Channel>) -> Router {
    Router::new()
        .route("/v3/{*rest}", axum::routing::any(serve))
        .with_state(channel)
}

struct Asked<'a> {
    channel: &'a Channel,
    mchid: String,
    body: Value,
    fired: Option<Fired>,
}

async fn serve(
    State(channel): State<Arc<Channel>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path: Vec<&str> = uri.path().split('/').skip(2).collect();
    let op = operation(&method, &path);
    let fired = channel
        .faults
        .next_of(op, &channel.clock, |kind| !kind.starts_with("notify_"));
    let kind = fired.as_ref().map_or("", |f| f.kind.as_str()).to_owned();
    let number = |name: &str, default: u64| fired.as_ref().map_or(default, |f| f.number(name, default));
    if kind == "delay" {
        tokio::time::sleep(Duration::from_millis(number("ms", 1000))).await;
    }
    let answer = if kind == "error" || kind == "hang_before" {
        told(fired.as_ref())
    } else {
        let checked = check(&channel, &method, &uri, &headers, &body);
        checked.and_then(|mchid| {
            let body = if body.is_empty() {
                Value::Null
            } else {
                serde_json::from_slice(&body).or_else(|_| refuse(400, "PARAM_ERROR", "请求体不是合法的JSON"))?
            };
            let asked = Asked {
                channel: &channel,
                mchid,
                body,
                fired: fired.clone(),
            };
            act(&asked, op, &path, &uri)
        })
    };
    let answer = if kind == "error_after" {
        told(fired.as_ref())
    } else {
        answer
    };
    if kind.starts_with("hang") {
        tokio::time::sleep(Duration::from_millis(number("ms", 60_000))).await;
        return StatusCode::GATEWAY_TIMEOUT.into_response();
    }
    let status = match &answer {
        Ok((status, _)) | Err(Refusal(status, ..)) => *status,
    };
    tracing::info!(pay.op = op, pay.status = status, pay.fault = %kind, "call");
    signed(&channel, answer, kind == "bad_signature")
}

fn told(fired: Option<&Fired>) -> Answer {
    let text = |name: &str, default: &str| fired.map_or(default.into(), |f| f.text(name, default));
    let status = fired.map_or(500, |f| f.number("status", 500));
    Err(Refusal(
        u16::try_from(status).unwrap_or(500),
        text("code", "SYSTEM_ERROR"),
        text("message", "系统异常，请用相同参数重新调用"),
    ))
}

fn operation(method: &Method, path: &[&str]) -> &'static str {
    match (method.as_str(), path) {
        ("POST", ["pay", "transactions", "h5"]) => "h5",
        ("GET", ["pay", "transactions", "out-trade-no" | "id", _]) => "query",
        ("POST", ["pay", "transactions", "out-trade-no", _, "close"]) => "close",
        ("POST", ["refund", "domestic", "refunds"]) => "refund",
        ("GET", ["refund", "domestic", "refunds", _]) => "refund_query",
        ("GET", ["certificates"]) => "certificates",
        _ => "unknown",
    }
}

fn act(asked: &Asked<'_>, op: &str, path: &[&str], uri: &Uri) -> Answer {
    asked.channel.ripen_refunds()?;
    let last = path.last().copied().unwrap_or("");
    match op {
        "h5" => prepay(asked),
        "query" => query(asked, path.get(2).copied().unwrap_or(""), last, uri),
        "close" => close(asked, path.get(3).copied().unwrap_or("")),
        "refund" => refund(asked),
        "refund_query" => {
            let found = Refund::find(&asked.channel.db(), &asked.mchid, last)?;
            match found {
                Some(refund) => Ok((200, Some(refund.object()))),
                None => refuse(404, "RESOURCE_NOT_EXISTS", "退款单不存在"),
            }
        }
        "certificates" => refuse(
            404,
            "RESOURCE_NOT_EXISTS",
            "无可用的平台证书，请在商户平台-API安全申请使用微信支付公钥",
        ),
        _ => refuse(404, "NOT_FOUND", "请求的地址不存在"),
    }
}

/// Verifies the request and answers the merchant's number.
fn check(channel: &Channel, method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Result<String, Refusal> {
    let header = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or("");
    if header("accept").is_empty() || header("user-agent").is_empty() {
        return refuse(400, "PARAM_ERROR", "Http头缺少Accept或User-Agent");
    }
    if method == Method::POST && !body.is_empty() && !header("content-type").starts_with("application/json") {
        return refuse(400, "PARAM_ERROR", "Content-Type应为application/json");
    }
    let Some(fields) = header("authorization").strip_prefix("WECHATPAY2-SHA256-RSA2048 ") else {
        return refuse(401, "SIGN_ERROR", "Http头Authorization值格式错误");
    };
    let field = |name: &str| {
        fields
            .split(',')
            .find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix("=\"")?.strip_suffix('"'))
            .unwrap_or("")
    };
    let Some(merchant) = channel.keys.merchant(field("mchid")) else {
        return refuse(401, "SIGN_ERROR", "商户号不存在");
    };
    if field("serial_no") != merchant.serial_no {
        return refuse(401, "SIGN_ERROR", "商户证书序列号有误");
    }
    let timestamp: i64 = field("timestamp").parse().unwrap_or(0);
    if (timestamp - channel.clock.unix()).abs() > CLOCK_TOLERANCE_S {
        return refuse(
            401,
            "SIGN_ERROR",
            "Http头Authorization中的timestamp与发起请求的时间不得超过5分钟",
        );
    }
    let platform = header("wechatpay-serial");
    if !platform.is_empty() && platform != channel.keys.platform_id {
        return refuse(400, "PARAM_ERROR", "Wechatpay-Serial不是可用的微信支付公钥ID");
    }
    let target = uri.path_and_query().map_or("", |p| p.as_str());
    let body = std::str::from_utf8(body).or_else(|_| refuse(400, "PARAM_ERROR", "请求体不是UTF-8"))?;
    let nonce = field("nonce_str");
    let text = format!("{method}\n{target}\n{timestamp}\n{nonce}\n{body}\n");
    if nonce.is_empty() || !channel.keys.verifies(merchant, &text, field("signature")) {
        return refuse(401, "SIGN_ERROR", "错误的签名，验签失败");
    }
    Ok(field("mchid").to_owned())
}

fn signed(channel: &Channel, answer: Answer, forged: bool) -> Response {
    let (status, body) = match answer {
        Ok((status, body)) => (status, body.map(|b| b.to_string()).unwrap_or_default()),
        Err(Refusal(status, code, message)) => (status, json!({"code": code, "message": message}).to_string()),
    };
    let code = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (code, body.clone()).into_response();
    let headers = response.headers_mut();
    let mut set = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    set("content-type", "application/json; charset=utf-8");
    set("request-id", &channel.keys.hex(16));
    if status != 401 {
        let (timestamp, nonce) = (channel.clock.unix().to_string(), channel.keys.hex(16));
        let signature = channel.keys.sign(&format!("{timestamp}\n{nonce}\n{body}\n"), forged);
        set("wechatpay-timestamp", &timestamp);
        set("wechatpay-nonce", &nonce);
        set("wechatpay-signature", &signature);
        set("wechatpay-signature-type", "WECHATPAY2-SHA256-RSA2048");
        set("wechatpay-serial", &channel.keys.platform_id);
    }
    response
}

impl Asked<'_> {
    fn text(&self, pointer: &str) -> &str {
        self.body.pointer(pointer).and_then(Value::as_str).unwrap_or("")
    }

    fn need(&self, pointer: &str) -> Result<&str, Refusal> {
        match self.text(pointer) {
            "" => refuse(400, "PARAM_ERROR", &format!("缺少参数{pointer}")),
            text => Ok(text),
        }
    }

    fn amount(&self, pointer: &str) -> Result<i64, Refusal> {
        match self.body.pointer(pointer).and_then(Value::as_i64) {
            Some(amount) if amount > 0 => Ok(amount),
            _ => refuse(400, "PARAM_ERROR", &format!("{pointer}应为大于0的整数，单位分")),
        }
    }
}

fn prepay(asked: &Asked<'_>) -> Answer {
    if asked.need("/mchid")? != asked.mchid {
        return refuse(400, "MCH_NOT_EXISTS", "商户号与签名不一致");
    }
    let out_trade_no = asked.need("/out_trade_no")?;
    let fits = |c: char| c.is_ascii_alphanumeric() || "_-|*".contains(c);
    if !(6..=32).contains(&out_trade_no.len()) || !out_trade_no.chars().all(fits) {
        return refuse(400, "PARAM_ERROR", "out_trade_no应为6至32位字母数字_-|*");
    }
    asked.need("/scene_info/payer_client_ip")?;
    asked.need("/scene_info/h5_info/type")?;
    let currency = asked.text("/amount/currency");
    if !matches!(currency, "" | "CNY") {
        return refuse(400, "PARAM_ERROR", "currency仅支持CNY");
    }
    let channel = asked.channel;
    let trade = Trade {
        mchid: asked.mchid.clone(),
        out_trade_no: out_trade_no.into(),
        prepay_id: format!("wx{}", channel.number("")),
        asked: asked.body.to_string(),
        appid: asked.need("/appid")?.into(),
        description: asked.need("/description")?.into(),
        attach: asked.text("/attach").into(),
        notify_url: asked.need("/notify_url")?.into(),
        total: asked.amount("/amount/total")?,
        time_expire: asked.text("/time_expire").into(),
        state: "NOTPAY".into(),
        transaction_id: String::new(),
        success_time: String::new(),
    };
    let db = channel.db();
    let prepay_id = match Trade::find(&db, &trade.mchid, &trade.out_trade_no)? {
        None => {
            trade.insert(&db, &channel.moment())?;
            trade.prepay_id
        }
        Some(known) if known.state == "CLOSED" => return refuse(400, "ORDER_CLOSED", "订单已关闭"),
        Some(known) if known.state != "NOTPAY" => return refuse(400, "ORDERPAID", "该订单已支付"),
        Some(known) if known.asked == trade.asked => known.prepay_id,
        Some(_) => {
            return refuse(400, "INVALID_REQUEST", "请求重入时，参数与首次请求时不一致");
        }
    };
    let url = format!(
        "{}/h5/checkmweb?prepay_id={prepay_id}&package={}",
        channel.base,
        channel.keys.hex(4)
    );
    Ok((200, Some(json!({"h5_url": url}))))
}

fn query(asked: &Asked<'_>, by: &str, number: &str, uri: &Uri) -> Answer {
    let given = uri
        .query()
        .unwrap_or("")
        .split('&')
        .find_map(|pair| pair.strip_prefix("mchid="));
    if given != Some(asked.mchid.as_str()) {
        return refuse(400, "PARAM_ERROR", "缺少参数mchid或与签名不一致");
    }
    let db = asked.channel.db();
    let found = if by == "id" {
        Trade::find_any(&db, number)?.filter(|t| t.mchid == asked.mchid && t.transaction_id == number)
    } else {
        Trade::find(&db, &asked.mchid, number)?
    };
    match found {
        Some(trade) => Ok((200, Some(trade.object()))),
        None => refuse(404, "ORDER_NOT_EXIST", "订单不存在"),
    }
}

fn close(asked: &Asked<'_>, number: &str) -> Answer {
    let db = asked.channel.db();
    let Some(trade) = Trade::find(&db, &asked.mchid, number)? else {
        return refuse(404, "ORDER_NOT_EXIST", "订单不存在");
    };
    match trade.state.as_str() {
        "NOTPAY" => {
            db.execute(
                "UPDATE trade SET state = 'CLOSED' WHERE mchid = ?1 AND out_trade_no = ?2",
                [&asked.mchid, &trade.out_trade_no],
            )?;
            Ok((204, None))
        }
        "CLOSED" => Ok((204, None)),
        _ => refuse(400, "ORDERPAID", "该订单已支付，不能关闭"),
    }
}

fn refund(asked: &Asked<'_>) -> Answer {
    let channel = asked.channel;
    let number = asked.need("/out_refund_no")?;
    let (amount, total) = (asked.amount("/amount/refund")?, asked.amount("/amount/total")?);
    let order = match asked.text("/transaction_id") {
        "" => asked.need("/out_trade_no")?,
        id => id,
    };
    let db = channel.db();
    let Some(trade) = Trade::find_any(&db, order)?.filter(|t| t.mchid == asked.mchid) else {
        return refuse(404, "RESOURCE_NOT_EXISTS", "订单不存在");
    };
    if let Some(known) = Refund::find(&db, &asked.mchid, number)? {
        return if known.amount == amount && known.out_trade_no == trade.out_trade_no {
            Ok((200, Some(known.object())))
        } else {
            refuse(
                400,
                "INVALID_REQUEST",
                "订单金额或退款金额与之前请求不一致，请核实后再试",
            )
        };
    }
    if trade.transaction_id.is_empty() {
        return refuse(400, "INVALID_REQUEST", "订单未支付，不能退款");
    }
    if total != trade.total {
        return refuse(400, "PARAM_ERROR", "原订单金额与实际不一致");
    }
    if refunded(&db, &trade)? + amount > trade.total {
        return refuse(400, "INVALID_REQUEST", "申请退款金额超过订单剩余可退金额");
    }
    let fired = asked.fired.as_ref();
    let ends_as = match fired.map_or("", |f| f.kind.as_str()) {
        "refund_abnormal" => "ABNORMAL",
        "refund_closed" => "CLOSED",
        _ => "SUCCESS",
    };
    let wait = match fired {
        Some(f) if f.kind == "refund_processing" => f.number("ms", 3_600_000),
        _ => channel.refund_ms,
    };
    let made = Refund {
        mchid: asked.mchid.clone(),
        out_refund_no: number.into(),
        refund_id: channel.number("50300"),
        out_trade_no: trade.out_trade_no,
        transaction_id: trade.transaction_id,
        amount,
        total,
        notify_url: asked.text("/notify_url").into(),
        status: "PROCESSING".into(),
        ends_as: ends_as.into(),
        created_at: channel.moment(),
        success_time: String::new(),
    };
    let due = channel.millis().saturating_add(i64::try_from(wait).unwrap_or(i64::MAX));
    made.insert(&db, asked.text("/reason"), due)?;
    Ok((200, Some(made.object())))
}
