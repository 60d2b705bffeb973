//! What everyone sees first.

use std::time::Duration;

use axum::Json;
use axum::extract::{Query, State};
use records::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::gate::Signed;
use super::{Answer, Door, outside_notices};
use crate::application::KeyIndex;
use crate::keys::KeyState;
use crate::keys::device::{DeviceState, DeviceView};
use crate::manage::Manage;
use crate::outside::ServerView;
use crate::selftest::Report;
use crate::service::Second;
use crate::{Refusal, ServerName, manage};

/// Certificates are warned of so long before they end.
pub(super) const WARN_DAYS: i64 = 30;

/// Connections that were turned away are told of for so long.
const TURNED_AWAY: Duration = Duration::from_secs(3600);

/// How grave it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Severity {
    /// Something does not work now.
    Error,
    /// Something will not work soon, or is weaker than it should be.
    Warning,
}

/// What somebody should look at.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Notice {
    severity: Severity,
    /// The stable name: `key_expires`, `clock_untrusted`, `log_broken`, ….
    code: &'static str,
    /// Plain words.
    text: String,
}

/// A server key in short.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct KeyBrief {
    index: KeyIndex,
    label: String,
    state: KeyState,
    /// Its private half is at hand.
    open: bool,
    /// End of its certificate.
    #[schema(value_type = Option<String>, format = DateTime)]
    not_after: Option<Timestamp>,
}

/// The clock.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ClockView {
    /// This server's time.
    #[schema(value_type = String, format = DateTime)]
    now: Timestamp,
    /// Signatures are made by it.
    trusted: bool,
    /// Time sources are asked.
    source_enabled: bool,
}

/// The log.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LogView {
    entries: u64,
    /// Everything that has been checked so far fits.
    intact: bool,
    /// Number of the first entry that does not fit.
    broken_at: Option<i64>,
}

/// The server at this moment.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Overview {
    version: &'static str,
    /// This server's name: applications with a request key sign their requests to it for this.
    server: ServerName,
    /// The name it shares with others behind a balancer: what is signed for that is accepted once by each of them.
    common_name: Option<ServerName>,
    uptime_s: u64,
    /// The TPM: `ok`, `new`, `absent`, `replaced`, ….
    tpm: String,
    /// Memory is never written to disk.
    memory_locked: bool,
    clock: ClockView,
    log: LogView,
    keys: Vec<KeyBrief>,
    /// Devices that keep keys.
    devices: Vec<DeviceView>,
    /// Signature servers of others that keep signers' keys.
    outside: Vec<ServerView>,
    /// Applications, and those of them that are served.
    applications: u32,
    applications_enabled: u32,
    chains: u32,
    /// Kept certificates.
    certificates: u32,
    /// Signers with a PIN, and those of them that are locked.
    signers: u32,
    signers_locked: u32,
    /// The web service answers.
    web_service: bool,
    /// The log is sent on.
    syslog: bool,
    /// The last self-test; absent while the first is under way.
    self_test: Option<Report>,
    /// What somebody should look at, the gravest first.
    notices: Vec<Notice>,
}

/// The server at this moment.
#[utoipa::path(get, path = "/manage/v1/overview", tag = "overview", responses((status = 200, body = Overview)))]
pub(super) async fn overview(State(door): State<Door>) -> Answer<Overview> {
    Ok(Json(door.act(look).await?))
}

fn look(manage: &Manage) -> Result<Overview, Refusal> {
    let engine = manage.engine();
    let state = manage.service.state();
    let now = engine.clock.now();
    let health = engine.health()?;
    let check = engine.check_log()?;
    let settings = engine.settings()?;
    let certificates = engine.vault.read(|unit| unit.find_certificates("", 1, 0))?.1;
    let keys = state.keys.values().map(|key| KeyBrief {
        index: key.index,
        label: key.label.clone(),
        state: key.state,
        open: key.at_hand(),
        not_after: key
            .certificate()
            .and_then(|certificate| certificate.chain.first())
            .map(|own| Timestamp::from_offset(own.not_after)),
    });
    let mut overview = Overview {
        version: env!("CARGO_PKG_VERSION"),
        server: manage.service.names.own.clone(),
        common_name: manage.service.names.common.clone(),
        uptime_s: manage.started.elapsed().as_secs(),
        tpm: health.tpm,
        memory_locked: health.memory_locked,
        clock: ClockView {
            now,
            trusted: health.clock == "ok",
            source_enabled: settings.time.enabled,
        },
        log: LogView {
            entries: health.log_entries,
            intact: health.log_intact,
            broken_at: check.broken_at,
        },
        keys: keys.collect(),
        devices: manage.service.devices(),
        outside: engine.outside_servers()?,
        applications: count(state.applications.len()),
        applications_enabled: count(state.applications.values().filter(|a| a.enabled).count()),
        chains: count(state.chains.len()),
        certificates,
        signers: health.signers,
        signers_locked: health.locked,
        web_service: settings.web_service.enabled,
        syslog: settings.syslog.enabled,
        self_test: manage.service.tested().map(|report| (*report).clone()),
        notices: Vec::new(),
    };
    overview.notices = notices(&overview, manage, now)?;
    Ok(overview)
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn notices(overview: &Overview, manage: &Manage, now: Timestamp) -> Result<Vec<Notice>, Refusal> {
    let mut found = Vec::new();
    let mut say = |severity, code, text: String| found.push(Notice { severity, code, text });
    if !matches!(overview.tpm.as_str(), "ok" | "new") {
        let text = format!("可信芯片（TPM）不可用（{}），密钥无法打开。", overview.tpm);
        say(Severity::Error, "tpm", text);
    }
    if overview.self_test.as_ref().is_some_and(|report| !report.passed) {
        say(Severity::Error, "self_test", "自检未通过，已停止签名。".to_owned());
    }
    if !overview.clock.trusted {
        say(
            Severity::Error,
            "clock_untrusted",
            "设备时钟不可信，已暂停签名，请校时。".to_owned(),
        );
    }
    if let Some(entry) = overview.log.broken_at {
        say(
            Severity::Error,
            "log_broken",
            format!("签名日志自第 {entry} 条起不完整，可能被改动。"),
        );
    }
    for device in &overview.devices {
        if device.state == DeviceState::Ready {
            // It answers, and lets nobody use its keys.
            let locked = device.trouble.as_ref().filter(|trouble| trouble.of_pin());
            if let Some(trouble) = locked {
                let text = format!("密码设备 {}：{}", device.name, trouble.text);
                say(Severity::Error, "device_down", text);
            }
            continue;
        }
        let why = device
            .trouble
            .as_ref()
            .map_or("正在打开。", |trouble| trouble.text.as_str());
        say(
            Severity::Error,
            "device_down",
            format!("密码设备 {} 不可用：{why}", device.name),
        );
    }
    for server in &overview.outside {
        for (severity, code, text) in outside_notices::notices(manage, server, now)? {
            say(severity, code, text);
        }
    }
    for key in overview.keys.iter().filter(|key| key.state == KeyState::Active) {
        if !key.open {
            say(
                Severity::Error,
                "key_shut",
                format!("密钥 {}（{}）无法打开。", key.index.0, key.label),
            );
        }
        if let Some((severity, words)) = key.not_after.and_then(|end| ends(end, now)) {
            let text = format!("密钥 {}（{}）的证书{words}。", key.index.0, key.label);
            say(severity, "key_expires", text);
        }
    }
    let (state, lists) = (manage.service.state(), manage.service.revocation.lists());
    for key in state.keys.values().filter(|key| key.state == KeyState::Active) {
        let own = key.certificate().and_then(|certificate| certificate.chain.first());
        if let Some(since) = own.and_then(|own| lists.revoked(own, now)) {
            let text = format!(
                "密钥 {}（{}）的证书自 {} 起已被吊销，不能再签名：请停用，或换上新证书。",
                key.index.0,
                key.label,
                since.local_text()
            );
            say(Severity::Error, "key_revoked", text);
        }
    }
    for chain in state.chains.values() {
        for certificate in &chain.certificates {
            if let Some((severity, words)) = ends(Timestamp::from_offset(certificate.not_after), now) {
                let name = &certificate.subject.common_name;
                say(
                    severity,
                    "chain_expires",
                    format!("证书链“{}”中的 {name} {words}。", chain.name),
                );
            }
        }
    }
    for text in manage.service.revocation.notices(now) {
        say(Severity::Warning, "revocation", text);
    }
    for (name, end) in manage::tls::ends(manage)? {
        if let Some((severity, words)) = ends(end, now) {
            say(severity, "tls_expires", format!("{name}的 HTTPS 证书{words}。"));
        }
    }
    if !overview.memory_locked {
        let text = "内存未能锁定（LimitMEMLOCK 过低），密钥可能被写入交换分区。";
        say(Severity::Warning, "memory_unlocked", text.to_owned());
    }
    if let Some((count, from)) = manage.service.turned_away.within(TURNED_AWAY) {
        let text = format!(
            "启动以来有 {count} 个连接因来源地址的连接数已满而被关闭，最近一个来自 {from}；若该地址是负载均衡器，请在配置中列为 balancers。"
        );
        say(Severity::Warning, "connections_full", text);
    }
    if overview.signers_locked > 0 {
        let text = format!("{} 位签名人的签名密码已锁定。", overview.signers_locked);
        say(Severity::Warning, "signers_locked", text);
    }
    found.sort_by_key(|notice| notice.severity != Severity::Error);
    Ok(found)
}

/// Whether an end lies before now or soon after, in words.
fn ends(end: Timestamp, now: Timestamp) -> Option<(Severity, String)> {
    let left = (end.as_seconds() - now.as_seconds()).div_euclid(24 * 3600);
    match left {
        ..0 => Some((Severity::Error, "已过期".to_owned())),
        0..=WARN_DAYS => Some((Severity::Warning, format!("将在 {left} 天后过期"))),
        _ => None,
    }
}

/// Tests the server now; a failure stops signing until a test passes.
#[utoipa::path(post, path = "/manage/v1/self-test", tag = "overview", responses((status = 200, body = Report)))]
pub(super) async fn self_test(State(door): State<Door>, signed: Signed) -> Answer<Report> {
    let report = door
        .act(move |manage| manage.service.self_test(&signed.who.name))
        .await?;
    Ok(Json((*report).clone()))
}

/// Where to go on.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct After {
    /// The last second that was seen (seconds since 1970); 0 for all of the last ten minutes.
    #[serde(default)]
    after: i64,
}

/// Rate and latency of the last minutes, second by second; to be polled.
#[utoipa::path(get, path = "/manage/v1/meter", tag = "overview", params(After),
    responses((status = 200, body = Vec<Second>)))]
pub(super) async fn meter(State(door): State<Door>, Query(asked): Query<After>) -> Answer<Vec<Second>> {
    Ok(Json(door.service.meter.seconds(asked.after)))
}
