//! The local console: pages in Chinese for the hospital's own staff, on the loopback address only. Rows show keys,
//! states and reasons, never what a request says about a patient.

mod docking;
mod failure;
mod page;

use std::collections::HashMap;
use std::net::SocketAddr;

use axum::Router;
use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{Form, Query, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use hub::Step;
use records::Ids;
use serde::Deserialize;
use store::StoreError;

use crate::site::{Shown, Site};
use failure::Failure;
use page::{Page, cell, escape, when};

#[derive(Clone)]
struct Console {
    shown: Shown,
    /// Every form carries it, so that no other page in the same browser can act here.
    token: String,
    hosts: [String; 2],
}

/// The console's pages.
pub(crate) fn router(shown: Shown, ids: &Ids, listen: SocketAddr) -> Router {
    let console = Console {
        shown,
        token: hex::encode(ids.random::<16>()),
        hosts: [listen.to_string(), format!("localhost:{}", listen.port())],
    };
    Router::new()
        .route("/", get(overview))
        .route("/commands", get(commands))
        .route("/commands/one", get(command))
        .route("/commands/act", post(act_command))
        .route("/printing", get(printing))
        .route("/printing/act", post(act_print))
        .route("/docking", get(docking::show))
        .route("/docking/firmware", post(docking::renew))
        .route("/docking/act", post(docking::act))
        .route("/rejected", get(rejected))
        .fallback(async || Failure::new(StatusCode::NOT_FOUND, "没有这个页面"))
        .method_not_allowed_fallback(async || Failure::new(StatusCode::METHOD_NOT_ALLOWED, "不支持这种操作"))
        .layer(middleware::from_fn_with_state(console.clone(), guard))
        .with_state(console)
}

/// Only under the console's own name, so that a name pointed at the loopback address cannot reach it.
async fn guard(State(console): State<Console>, request: Request, next: Next) -> Response {
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|h| h.to_str().ok())
        .unwrap_or_default();
    if !console.hosts.iter().any(|h| h == host) {
        return (StatusCode::FORBIDDEN, "只能从本机地址访问").into_response();
    }
    let mut answer = next.run(request).await;
    let policy = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'";
    answer
        .headers_mut()
        .insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    answer
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

type Answer = Result<Html<String>, Failure>;

fn site(console: &Console) -> Result<&Site, Failure> {
    console
        .shown
        .site
        .get()
        .ok_or_else(|| Failure::conflict("本机尚未入网，院内业务尚未启用".to_owned()))
}

async fn overview(State(console): State<Console>) -> Answer {
    let standing = console.shown.standing.borrow().clone();
    let mut page = Page::new("医桥前置机").heading("本机");
    let mut rows = vec![
        ("序列号", escape(&console.shown.serial)),
        ("入网", escape(&standing.words)),
        ("安全芯片（TPM）", state_word(&standing.tpm)),
        ("证书到期", standing.not_after.map_or_else(|| "—".to_owned(), when)),
    ];
    let Ok(site) = site(&console) else {
        return Ok(Html(page.facts(&rows).finish(true)));
    };
    let link = site.link.borrow().clone();
    let health = site.health.take().await;
    let line = if link.online {
        format!("<b class=ok>已连接</b>（自 {}）", when(link.since))
    } else {
        format!(
            "<b class=bad>已断开</b>（自 {}）{}",
            when(link.since),
            escape(link.reason.as_deref().unwrap_or_default())
        )
    };
    rows.push(("设备编号", escape(site.identity.edge.as_str())));
    rows.push(("云端线路", line));
    rows.push(("待上送条数", link.buffer_depth.to_string()));
    rows.push(("签名服务", state_word(&health.signd)));
    rows.push((
        "未办结院内指令",
        format!("<a href=/commands?open=1>{}</a>", health.commands_open),
    ));
    rows.push(("磁盘剩余", format!("{} GB", health.disk_free_bytes >> 30)));
    if let Some(alarm) = &link.alarm {
        rows.push((
            "线路告警",
            format!("<b class=bad>{}</b>", escape(&format!("{alarm:?}"))),
        ));
    }
    page = page.facts(&rows).heading("院内系统");
    let endpoints = site.bridge.endpoints();
    let endpoints = endpoints
        .iter()
        .map(|(name, state, ms, busy)| vec![escape(name), state_word(state), format!("{ms} 毫秒"), busy.to_string()]);
    page = page
        .table(&["接口", "状态", "近期平均耗时", "进行中"], endpoints.collect())
        .heading("字典缓存");
    let dictionaries = site.bridge.dictionaries().await?;
    let dictionaries = dictionaries.iter().map(|d| {
        let note = if d.stale {
            "<b class=bad>已过期</b>"
        } else {
            "有效"
        };
        vec![escape(&d.method), when(d.fetched_at), note.to_owned()]
    });
    page = page
        .table(&["字典", "取得时间", "状态"], dictionaries.collect())
        .heading("打印机");
    let printers = health.printers.iter();
    let printers = printers.map(|p| vec![escape(&p.name), state_word(&p.state), p.waiting.to_string()]);
    page = page.table(&["打印机", "状态", "排队"], printers.collect());
    if let Some(docking) = &health.docking {
        let told = health.dock.iter().flat_map(|d| &d.warnings);
        let warnings: Vec<&str> = told.chain(&docking.warnings).map(String::as_str).collect();
        let board = health.dock.as_ref().map(|d| state_word(&d.state));
        page = page.heading("记录仪采集站").facts(&[
            ("控制板", board.unwrap_or_else(|| "未配置".to_owned())),
            (
                "在坞记录仪",
                format!("<a href=/docking>{} 台</a>", docking.recorders.len()),
            ),
            ("待上传、待处理", format!("{} 个片段", docking.waiting_clips)),
            ("存储空间", format!("已用 {}%", docking.taken_percent)),
            ("提醒", escape(&warnings.join("；"))),
        ]);
    }
    let restarts = console.shown.supervisor.restarts();
    if !restarts.is_empty() {
        let restarts = restarts
            .iter()
            .map(|(name, count)| vec![escape(name), count.to_string()]);
        page = page
            .heading("重启过的任务")
            .table(&["任务", "次数"], restarts.collect());
    }
    Ok(Html(page.finish(true)))
}

/// Charging of a recorder in its bay.
fn charge_word(charge: &str) -> &'static str {
    match charge {
        "idle" => "未充电",
        "charging" => "充电中",
        "full" => "已充满",
        "fault" => "故障",
        _ => "",
    }
}

fn state_word(state: &str) -> String {
    let (class, word) = match state {
        "ok" => ("ok", "正常"),
        "ready" => ("ok", "就绪"),
        "slow" => ("warn", "缓慢"),
        "open" => ("bad", "已熔断"),
        "half_open" => ("warn", "试探中"),
        "paper_low" => ("warn", "纸将用尽"),
        "printing" => ("ok", "打印中"),
        "head_hot" => ("warn", "打印头过热"),
        "cutter" => ("bad", "切刀卡住"),
        "unknown" => ("bad", "应答无法识别"),
        "out_of_paper" => ("bad", "缺纸"),
        "cover_open" => ("bad", "上盖未合"),
        "offline" => ("bad", "未联机"),
        "error" => ("bad", "故障"),
        other => ("bad", other),
    };
    format!("<b class={class}>{}</b>", escape(word))
}

fn journal_word(state: his::journal::State) -> &'static str {
    use his::journal::State;
    match state {
        State::Queued => "待发送",
        State::Sending => "发送中",
        State::Waiting => "待重发",
        State::Unknown => "结果核实中",
        State::Done => "已办理",
        State::Refused => "院方未予办理",
        State::NeedsHand => "需人工处理",
    }
}

#[derive(Deserialize)]
struct Listing {
    #[serde(default)]
    open: Option<String>,
    #[serde(default)]
    q: String,
}

async fn commands(State(console): State<Console>, listing: Result<Query<Listing>, QueryRejection>) -> Answer {
    let site = site(&console)?;
    let Query(listing) = listing?;
    let (only_open, q) = (listing.open.is_some(), listing.q.clone());
    let rows = site.store.read(&site.scope, move |tx| {
        let q = q.clone();
        Box::pin(async move { his::journal::latest(tx, only_open, &q, 200).await })
    });
    let rows: Vec<his::journal::Entry> = rows.await.map_err(|e: StoreError| e)?;
    let form = format!(
        "<form><input name=q value=\"{}\" placeholder=\"编号、业务或接口名\"> <label><input type=checkbox name=open value=1 {}> 只看未办结</label> <button>查询</button></form>",
        escape(&listing.q),
        if only_open { "checked" } else { "" }
    );
    let rows = rows.into_iter().map(|e| {
        vec![
            format!(
                "<a href=\"/commands/one?key={}\">{}</a>",
                page::encode(&e.key),
                escape(&e.key)
            ),
            escape(&e.method),
            escape(&e.subject),
            journal_word(e.work.state).to_owned(),
            e.work.sent.to_string(),
            escape(&e.work.reason),
            when(e.changed_at),
        ]
    });
    let page = Page::new("院内指令").raw(&form);
    let page = page.table(
        &["编号", "接口", "业务", "状态", "发送次数", "原因", "最近变化"],
        rows.collect(),
    );
    Ok(Html(page.finish(false)))
}

async fn command(State(console): State<Console>, Query(query): Query<HashMap<String, String>>) -> Answer {
    let site = site(&console)?;
    let key = query.get("key").cloned().unwrap_or_default();
    let found = site.store.read(&site.scope, move |tx| {
        let key = key.clone();
        Box::pin(async move {
            Ok((
                his::journal::by_key(tx, &key).await?,
                his::journal::trail(tx, &key).await?,
            ))
        })
    });
    let (entry, trail) = found.await.map_err(|e: StoreError| e)?;
    let entry = entry.ok_or_else(|| Failure::conflict("没有这条指令".to_owned()))?;
    let mut page = Page::new("院内指令").facts(&[
        ("编号", escape(&entry.key)),
        ("接口", escape(&entry.method)),
        ("业务", escape(&entry.subject)),
        ("状态", journal_word(entry.work.state).to_owned()),
        ("发送次数", entry.work.sent.to_string()),
        ("原因", escape(&entry.work.reason)),
        ("到达时间", when(entry.work.created_at)),
    ]);
    if entry.work.state == his::journal::State::NeedsHand {
        let field = |act: &str, words: &str| {
            format!(
                "<form method=post action=/commands/act>{}<input name=note required placeholder=\"核实经过\"> <button name=act value={act}>{words}</button></form>",
                hidden(&console.token, &entry.key)
            )
        };
        page = page
            .heading("人工处理")
            .raw(&field("retry", "先核实再重办"))
            .raw(&field("refused", "经核实院方未办理"));
    }
    let steps = trail.into_iter().map(|t| {
        vec![
            when(t.at),
            journal_word(t.state).to_owned(),
            escape(&t.actor),
            escape(&t.note),
        ]
    });
    Ok(Html(
        page.heading("经过")
            .table(&["时间", "状态", "操作者", "说明"], steps.collect())
            .finish(false),
    ))
}

fn hidden(token: &str, key: &str) -> String {
    format!(
        "<input type=hidden name=token value={token}><input type=hidden name=key value=\"{}\">",
        escape(key)
    )
}

#[derive(Deserialize)]
struct Act {
    token: String,
    key: String,
    act: String,
    #[serde(default)]
    note: String,
}

type Sent = Result<Form<Act>, FormRejection>;

fn checked(console: &Console, form: &Act) -> Result<(), Failure> {
    if form.token == console.token {
        Ok(())
    } else {
        Err(Failure::conflict("页面已过期，请刷新后重试".to_owned()))
    }
}

async fn act_command(State(console): State<Console>, form: Sent) -> Result<Redirect, Failure> {
    let site = site(&console)?;
    let Form(form) = form?;
    checked(&console, &form)?;
    let note: String = form.note.chars().take(200).collect();
    let done = match form.act.as_str() {
        "retry" => site.bridge.retry(&form.key, &note).await?,
        "refused" => site.bridge.settle_refused(&form.key, &note).await?,
        _ => return Err(Failure::conflict("没有这项操作".to_owned())),
    };
    done.map_err(|refusal| Failure::conflict(format!("当前状态是“{}”，不能这样处理", journal_word(refusal.state))))?;
    Ok(Redirect::to(&format!("/commands/one?key={}", page::encode(&form.key))))
}

async fn printing(State(console): State<Console>) -> Answer {
    let site = site(&console)?;
    let rows = site.hub.jobs(200).await?.into_iter().map(|job| {
        let button = |act: &str, words: &str| format!("<button name=act value={act}>{words}</button> ");
        let (word, buttons) = match job.state {
            hub::State::Waiting => ("排队", button("cancel", "取消")),
            hub::State::Printing => ("打印中", String::new()),
            hub::State::Printed => ("已打印", button("reprint", "补打")),
            hub::State::Unknown => (
                "<b class=bad>不确定，请核对纸张</b>",
                button("printed", "已出纸") + &button("reprint", "补打") + &button("cancel", "取消"),
            ),
            hub::State::Failed => ("已取消", button("reprint", "补打")),
        };
        let form = if buttons.is_empty() {
            String::new()
        } else {
            format!(
                "<form method=post action=/printing/act>{}{buttons}</form>",
                hidden(&console.token, &job.key)
            )
        };
        vec![
            escape(&job.key),
            escape(&job.printer),
            word.to_owned(),
            format!("第 {} 份", job.copy),
            cell(&job.note),
            when(job.changed_at),
            form,
        ]
    });
    let page = Page::new("打印").table(
        &["编号", "打印机", "状态", "份", "说明", "最近变化", "处理"],
        rows.collect(),
    );
    Ok(Html(page.finish(false)))
}

async fn act_print(State(console): State<Console>, form: Sent) -> Result<Redirect, Failure> {
    let site = site(&console)?;
    let Form(form) = form?;
    checked(&console, &form)?;
    let step = match form.act.as_str() {
        "printed" => Step::MarkPrinted,
        "reprint" => Step::Reprint,
        "cancel" => Step::Cancel,
        _ => return Err(Failure::conflict("没有这项操作".to_owned())),
    };
    site.hub
        .decide(&form.key, step)
        .await?
        .map_err(|_| Failure::conflict("打印任务的状态已变化，请刷新后重试".to_owned()))?;
    Ok(Redirect::to("/printing"))
}

async fn rejected(State(console): State<Console>) -> Answer {
    let site = site(&console)?;
    let rows = site.callbacks.rejected(200).await?.into_iter();
    let rows = rows.map(|r| {
        vec![
            when(r.received_at),
            escape(&r.via),
            escape(&r.reason),
            format!("<pre>{}</pre>", escape(&r.excerpt)),
        ]
    });
    let page = Page::new("未受理的院方来电").table(&["时间", "方式", "原因", "报文开头"], rows.collect());
    Ok(Html(page.finish(false)))
}
