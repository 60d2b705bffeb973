//! Calls of the hospital that were not taken (未受理的院方来电).

use axum::extract::State;
use axum::response::Html;

use super::page::{Page, escape, when};
use super::{Answer, Console, site};

/// The page.
pub(super) async fn rejected(State(console): State<Console>) -> Answer {
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
