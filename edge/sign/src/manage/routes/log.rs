//! The log.

use axum::Json;
use axum::body::Body;
use axum::extract::{Query as Asked, State};
use axum::http::header;
use axum::response::IntoResponse;
use records::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::gate::Signed;
use super::{Answer, Door};
use crate::Refusal;
use crate::manage::failure::{Failure, Refused};
use crate::manage::log::{self, Progress};
use crate::vault::{Logged, Query};

/// Entries of one page at most.
const PAGE: u32 = 500;

/// Checkpoints shown.
const CHECKPOINTS: u32 = 24;

/// What to look for; what is absent matches everything.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Find {
    /// Not before (RFC 3339).
    #[serde(default)]
    from: Option<String>,
    /// Before (RFC 3339).
    #[serde(default)]
    until: Option<String>,
    /// Acts beginning so: `key.` or `key.generated`.
    #[serde(default)]
    act: String,
    /// Exactly this application, signer or account.
    #[serde(default)]
    subject: String,
    /// Occurs in the particulars.
    #[serde(default)]
    text: String,
    /// Only entries with a smaller number: `next` of the page before.
    #[serde(default)]
    before: Option<i64>,
    /// Entries to show, 500 at most; 100 when absent.
    #[serde(default)]
    most: Option<u32>,
}

impl Find {
    fn query(&self) -> Result<Query, Refusal> {
        let time = |text: &Option<String>| match text.as_deref().filter(|text| !text.is_empty()) {
            None => Ok(None),
            Some(text) => Timestamp::parse(text).map(Some).map_err(|_| {
                Refusal::no(
                    "bad_request",
                    "时间应为 RFC 3339 格式，例如 2026-11-21T08:00:00+08:00。",
                )
            }),
        };
        Ok(Query {
            from: time(&self.from)?,
            until: time(&self.until)?,
            act: self.act.clone(),
            subject: self.subject.clone(),
            text: self.text.clone(),
            before: self.before,
            after: None,
        })
    }
}

/// An entry.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EntryView {
    /// Its number, from 1 without gaps.
    seq: i64,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// What was done.
    act: String,
    /// By or to whom.
    subject: String,
    /// The particulars.
    detail: String,
    /// SM3 over the hash before and this entry, hexadecimal.
    hash: String,
}

impl EntryView {
    fn of(entry: Logged) -> Self {
        Self {
            seq: entry.seq,
            at: entry.at,
            act: entry.act,
            subject: entry.subject,
            detail: entry.detail,
            hash: hex::encode(entry.hash),
        }
    }
}

/// A page of entries, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Page {
    entries: Vec<EntryView>,
    /// `before` of the next page; absent on the last.
    next: Option<i64>,
}

/// Searches the log.
#[utoipa::path(get, path = "/manage/v1/log", tag = "log", params(Find), responses((status = 200, body = Page)))]
pub(super) async fn find(State(door): State<Door>, Asked(asked): Asked<Find>) -> Answer<Page> {
    let page = door.act(move |manage| {
        let most = asked.most.unwrap_or(100).clamp(1, PAGE);
        let query = asked.query()?;
        let mut found = manage.engine().vault.read(|unit| unit.find_log(&query, most + 1))?;
        let more = found.len() > most as usize;
        found.truncate(most as usize);
        let next = found.last().filter(|_| more).map(|entry| entry.seq);
        let entries = found.into_iter().map(EntryView::of).collect();
        Ok(Page { entries, next })
    });
    Ok(Json(page.await?))
}

/// The matching entries as a table (CSV, UTF-8 with BOM), oldest first. A transfer that breaks off is incomplete.
#[utoipa::path(get, path = "/manage/v1/log.csv", tag = "log", params(Find),
    responses((status = 200, body = String, content_type = "text/csv"), (status = 422, body = Refused)))]
pub(super) async fn export(
    State(door): State<Door>,
    signed: Signed,
    Asked(asked): Asked<Find>,
) -> Result<impl IntoResponse, Failure> {
    let mut query = asked.query()?;
    query.before = None;
    let name = signed.who.name;
    let end = door
        .act(move |manage| log::begin_export(manage.engine(), &name))
        .await?;
    let rows = log::export(door, query, end);
    let kind = (header::CONTENT_TYPE, "text/csv; charset=utf-8");
    let disposition = (header::CONTENT_DISPOSITION, "attachment; filename=\"signd-log.csv\"");
    Ok(([kind, disposition], Body::from_stream(rows)))
}

/// A checkpoint: from here on nobody can cut the log off unnoticed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CheckpointView {
    /// The TPM's number.
    number: u64,
    /// The log's newest entry then.
    seq: i64,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
}

/// The newest checkpoints, and where the log begins.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Checkpoints {
    checkpoints: Vec<CheckpointView>,
    /// The first entry that is kept.
    first: i64,
}

/// The newest checkpoints of the log.
#[utoipa::path(get, path = "/manage/v1/log/checkpoints", tag = "log", responses((status = 200, body = Checkpoints)))]
pub(super) async fn checkpoints(State(door): State<Door>) -> Answer<Checkpoints> {
    let found = door.act(|manage| {
        manage.engine().vault.read(|unit| {
            let rows = unit.checkpoints(CHECKPOINTS)?;
            let checkpoints = rows.into_iter().filter(|row| row.settled).map(|row| CheckpointView {
                number: row.number,
                seq: row.seq,
                at: row.at,
            });
            Ok(Checkpoints {
                checkpoints: checkpoints.collect(),
                first: unit.first_kept()?,
            })
        })
    });
    Ok(Json(found.await?))
}

/// How far the check has come.
#[utoipa::path(get, path = "/manage/v1/log/check", tag = "log", responses((status = 200, body = Progress)))]
pub(super) async fn progress(State(door): State<Door>) -> Answer<Progress> {
    Ok(Json(door.log_check.progress()))
}

/// Begins to check the chain from its first entry, unless that is under way.
#[utoipa::path(post, path = "/manage/v1/log/check", tag = "log", responses((status = 200, body = Progress)))]
pub(super) async fn check(State(door): State<Door>, signed: Signed) -> Answer<Progress> {
    log::begin_check(&door, signed.who.name);
    Ok(Json(door.log_check.progress()))
}
