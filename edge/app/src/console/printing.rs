//! The print spool (打印): jobs, and what a person decides about one.

use axum::extract::{Form, State};
use axum::response::{Html, Redirect};
use hub::Step;

use super::failure::Failure;
use super::page::{Page, cell, escape, when};
use super::{Answer, Console, Sent, checked, hidden, site};

pub(super) async fn printing(State(console): State<Console>) -> Answer {
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

pub(super) async fn act_print(State(console): State<Console>, form: Sent) -> Result<Redirect, Failure> {
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
