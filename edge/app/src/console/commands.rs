//! Commands (院内指令): the journal's rows, one with its trail, and what a person decides about it.

use std::collections::HashMap;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Form, Query, State};
use axum::response::{Html, Redirect};
use serde::Deserialize;
use store::StoreError;

use super::failure::Failure;
use super::page::{self, Page, escape, when};
use super::words::journal_word;
use super::{Answer, Console, Sent, checked, hidden, site};

#[derive(Deserialize)]
pub(super) struct Listing {
    #[serde(default)]
    open: Option<String>,
    #[serde(default)]
    q: String,
}

pub(super) async fn commands(
    State(console): State<Console>,
    listing: Result<Query<Listing>, QueryRejection>,
) -> Answer {
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

pub(super) async fn command(State(console): State<Console>, Query(query): Query<HashMap<String, String>>) -> Answer {
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

pub(super) async fn act_command(State(console): State<Console>, form: Sent) -> Result<Redirect, Failure> {
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
