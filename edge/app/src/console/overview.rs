//! The first page: the appliance, its line, the hospital's systems, printers and the dock at a glance.

use axum::extract::State;
use axum::response::Html;

use super::page::{Page, escape, when};
use super::words::{alarm_word, outage_word, state_word};
use super::{Answer, Console, site};

/// The page.
pub(super) async fn overview(State(console): State<Console>) -> Answer {
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
            escape(&link.reason.as_ref().map(outage_word).unwrap_or_default())
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
        rows.push(("线路告警", format!("<b class=bad>{}</b>", escape(&alarm_word(alarm)))));
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
