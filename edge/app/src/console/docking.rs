//! The dock and its recorders (采集站): bays, what is plugged, footage that waits, room, and the board's firmware.

use axum::extract::multipart::MultipartRejection;
use axum::extract::{Multipart, State};
use axum::http::StatusCode;
use axum::response::{Html, Redirect};
use docking::{DockingState, Overview};
use records::dock::DockRenewal;
use records::line::DockHealth;

use super::failure::Failure;
use super::page::{Page, cell, escape, when};
use super::words::{charge_word, state_word};
use super::{Answer, Console, Sent, checked, hidden, site};
use crate::site::Site;

/// Renewals shown.
const RENEWALS: u32 = 10;
/// Who asks, in the trail.
const HERE: &str = "本机管理页";

/// The page.
pub(super) async fn show(State(console): State<Console>) -> Answer {
    let site = site(&console)?;
    let overview = site.docking.overview().await?;
    let dock = site.health.take().await.dock;
    let mut page = Page::new("采集站").facts(&facts(&overview, dock.as_ref()));
    if let Some(dock) = &dock {
        page = page
            .heading("卡位")
            .table(&["卡位", "记录仪", "采集", "充电", "锁", "故障"], bays(dock, &overview));
    }
    page = page.heading("记录仪").table(
        &["位置", "编号", "型号", "状态", "文件", "电量", "插入时间", "说明"],
        recorders(&overview),
    );
    page = page.heading("等待中的视音频").table(
        &["状态", "片段", "大小"],
        overview
            .states
            .iter()
            .filter(|s| !s.state.is_through())
            .map(|s| vec![clip_word(s.state).to_owned(), s.count.to_string(), size(s.bytes)])
            .collect(),
    );
    page = firmware(page, &console, site).await?;
    // A page that comes anew by itself would lose the file somebody has chosen.
    let renewing = site.renewals.as_ref().is_some_and(|renewals| {
        let seen = *renewals.progress().borrow();
        seen.is_some()
    });
    Ok(Html(page.finish(renewing)))
}

fn facts(overview: &Overview, dock: Option<&DockHealth>) -> Vec<(&'static str, String)> {
    let class = match overview.taken_percent {
        0..80 => "ok",
        80..95 => "warn",
        _ => "bad",
    };
    let room = format!(
        "<b class={class}>已用 {}%</b>（已存 {}，还可存 {}）",
        overview.taken_percent,
        size(overview.kept_bytes),
        size(overview.left_bytes)
    );
    let waiting = format!("{} 个片段，{}", overview.open_clips, size(overview.open_bytes));
    let board = dock.map_or_else(|| "未配置".to_owned(), |d| state_word(&d.state));
    let told = dock.map(|d| d.warnings.clone()).unwrap_or_default();
    let warnings: Vec<String> = told
        .iter()
        .chain(&overview.warnings)
        .map(|w| format!("<b class=bad>{}</b>", escape(w)))
        .collect();
    vec![
        ("控制板", board),
        ("存储空间", room),
        ("待上传、待处理", waiting),
        (
            "提醒",
            if warnings.is_empty() {
                "—".to_owned()
            } else {
                warnings.join("<br>")
            },
        ),
    ]
}

fn bays(dock: &DockHealth, overview: &Overview) -> Vec<Vec<String>> {
    let bays = dock.bays.iter().zip(&dock.details).enumerate();
    bays.map(|(n, (present, bay))| {
        let found = overview
            .dockings
            .iter()
            .find(|d| *present && d.state.is_open() && !d.serial.is_empty() && d.serial == bay.serial);
        let who = match (present, bay.serial.as_str()) {
            (false, _) => "空".to_owned(),
            (true, "") => "<b class=warn>在位，编号未读出</b>".to_owned(),
            (true, serial) => escape(serial),
        };
        vec![
            format!("{}号", n + 1),
            who,
            found.map(|d| docking_word(d.state)).unwrap_or_default(),
            charge_word(&bay.charge).to_owned(),
            if bay.locked { "已锁" } else { "开" }.to_owned(),
            escape(&bay.fault),
        ]
    })
    .collect()
}

fn recorders(overview: &Overview) -> Vec<Vec<String>> {
    let rows = overview.dockings.iter().map(|d| {
        let files = overview
            .progress
            .get(&d.id)
            .map(|(all, through)| format!("{through} / {all}"))
            .unwrap_or_default();
        vec![
            escape(&d.place),
            escape(&d.serial),
            escape(&d.model),
            docking_word(d.state),
            files,
            d.battery.map(|b| format!("{b}%")).unwrap_or_default(),
            when(d.arrived_at),
            cell(&d.note),
        ]
    });
    rows.collect()
}

async fn firmware(page: Page, console: &Console, site: &Site) -> Result<Page, Failure> {
    let Some(renewals) = &site.renewals else {
        return Ok(page);
    };
    let version = site.health.take().await.dock.map(|d| d.firmware).unwrap_or_default();
    let version = if version.is_empty() {
        "—".to_owned()
    } else {
        escape(&version)
    };
    let form = format!(
        "<form method=post action=/docking/firmware enctype=multipart/form-data><input type=hidden name=token value={}>\
         <input type=file name=package required> <button>升级固件</button></form>\
         <p>固件包由厂家签名，由控制板自行核验。升级期间记录仪保持锁定，充电短时中断；新固件不能启动时自动恢复原固件。</p>",
        console.token
    );
    let latest = crate::dock::latest(renewals, RENEWALS).await?;
    let rows = latest.iter().map(|one| {
        let button = if one.state == "asked" {
            format!(
                "<form method=post action=/docking/act>{}<button name=act value=cancel>取消</button></form>",
                hidden(&console.token, &one.id)
            )
        } else {
            String::new()
        };
        vec![
            escape(&one.version),
            renewal_word(one),
            cell(&one.note),
            escape(&one.asked_by),
            when(one.asked_at),
            when(one.changed_at),
            button,
        ]
    });
    Ok(page
        .heading("控制板固件")
        .facts(&[("当前版本", version)])
        .raw(&form)
        .table(
            &["版本", "状态", "说明", "发起", "发起时间", "最近变化", "处理"],
            rows.collect(),
        ))
}

/// Takes a firmware package. The token comes first in the form, so that nothing of a foreign form is read.
pub(super) async fn renew(
    State(console): State<Console>,
    form: Result<Multipart, MultipartRejection>,
) -> Result<Redirect, Failure> {
    let site = site(&console)?;
    let incomplete = || Failure::new(StatusCode::BAD_REQUEST, "提交的内容不完整，请选择固件包后重试");
    let mut form = form.map_err(|_| incomplete())?;
    let token = form
        .next_field()
        .await
        .map_err(|_| incomplete())?
        .ok_or_else(incomplete)?;
    if token.name() != Some("token") || token.text().await.ok().as_deref() != Some(console.token.as_str()) {
        return Err(Failure::conflict("页面已过期，请刷新后重试"));
    }
    let file = form
        .next_field()
        .await
        .map_err(|_| incomplete())?
        .ok_or_else(incomplete)?;
    let too_big = |_| Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "文件过大，这不是采集坞固件包");
    let package = file.bytes().await.map_err(too_big)?;
    let renewals = site
        .renewals
        .as_ref()
        .ok_or_else(|| Failure::conflict("本机没有配置采集坞"))?;
    renewals
        .ask(&package, HERE)
        .await?
        .map_err(|refused| Failure::conflict(refused.to_string()))?;
    Ok(Redirect::to("/docking"))
}

/// Takes a renewal back.
pub(super) async fn act(State(console): State<Console>, form: Sent) -> Result<Redirect, Failure> {
    let site = site(&console)?;
    let axum::Form(form) = form?;
    checked(&console, &form)?;
    let cancelled = match (&site.renewals, form.act.as_str()) {
        (Some(renewals), "cancel") => renewals.cancel(&form.key, HERE).await?,
        _ => return Err(Failure::conflict("没有这项操作")),
    };
    if cancelled {
        Ok(Redirect::to("/docking"))
    } else {
        Err(Failure::conflict("升级已经开始或已经结束，不能取消"))
    }
}

fn docking_word(state: DockingState) -> String {
    let (class, word) = match state {
        DockingState::Arrived => ("warn", "识别中"),
        DockingState::Held => ("bad", "已扣留，待处理"),
        DockingState::Copying => ("warn", "采集中，请勿取出"),
        DockingState::Waiting => ("warn", "等待云端确认"),
        DockingState::Clearing => ("warn", "清除中，请勿取出"),
        DockingState::Ready => ("ok", "已就绪，可领用"),
        DockingState::Kept => ("bad", "有文件未能采集"),
        DockingState::Pulled => ("warn", "采集完成前被取出"),
        DockingState::Interrupted => ("warn", "采集中断"),
        DockingState::Left => ("ok", "已取走"),
    };
    format!("<b class={class}>{word}</b>")
}

fn clip_word(state: docking::ClipState) -> &'static str {
    use docking::ClipState as S;
    match state {
        S::Found => "待采集",
        S::Copying => "采集中",
        S::Copied => "待复读",
        S::Verified | S::Sealing => "待签封",
        S::Sealed => "待上传",
        S::Uploaded => "已上传，待云端确认",
        S::Confirmed => "云端已确认",
        S::Cleared => "已清除",
        S::Unreadable => "无法读取，留在记录仪中",
        S::Refused => "云端拒收",
        S::Lost => "采集前消失",
        S::Missing => "云端缺失，无法补传",
    }
}

fn renewal_word(one: &DockRenewal) -> String {
    let (class, word) = match one.state.as_str() {
        "asked" => ("warn", "等待升级".to_owned()),
        "running" => (
            "warn",
            match one.percent {
                Some(100) => "试运行中".to_owned(),
                Some(percent) => format!("传输中 {percent}%"),
                None => "升级中".to_owned(),
            },
        ),
        "confirmed" => ("ok", "已升级".to_owned()),
        "given_up" => ("bad", "未能启动，已恢复原固件".to_owned()),
        "refused" => ("bad", "控制板不接受".to_owned()),
        "failed" => ("bad", "失败，请处理".to_owned()),
        _ => ("ok", "已取消".to_owned()),
    };
    format!("<b class={class}>{word}</b>")
}

/// Bytes for people.
fn size(bytes: u64) -> String {
    let gib = bytes as f64 / f64::from(1u32 << 30);
    match bytes {
        0 => "0".to_owned(),
        b if b < 1 << 20 => format!("{} KB", b.div_ceil(1024)),
        b if b < 1 << 30 => format!("{} MB", b >> 20),
        _ => format!("{gib:.1} GB"),
    }
}
