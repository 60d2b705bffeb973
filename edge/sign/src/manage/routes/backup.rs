//! Custodians, backup and restore.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::IntoResponse;
use records::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::gate::Signed;
use super::{Answer, Asked, Door, file};
use crate::manage::backup::{Preview, ShareText};
use crate::manage::failure::{Failure, Refused};

/// A custodian.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CustodianView {
    /// Their number, from 1.
    number: u8,
    name: String,
    /// When they took their share; absent while it waits for them.
    #[schema(value_type = Option<String>, format = DateTime)]
    taken_at: Option<Timestamp>,
}

/// The custodians in force.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CustodiansView {
    /// The group's id, as it stands on every share; absent when nobody is appointed.
    group: Option<String>,
    /// How many of them are needed.
    needed: u8,
    custodians: Vec<CustodianView>,
    #[schema(value_type = Option<String>, format = DateTime)]
    made_at: Option<Timestamp>,
}

/// The custodians in force.
#[utoipa::path(get, path = "/manage/v1/custodians", tag = "backup", responses((status = 200, body = CustodiansView)))]
pub(super) async fn custodians(State(door): State<Door>) -> Answer<CustodiansView> {
    let view = door.act(|manage| {
        manage.engine().vault.read(|unit| {
            let Some(group) = unit.custody_group()? else {
                return Ok(CustodiansView {
                    group: None,
                    needed: 0,
                    custodians: Vec::new(),
                    made_at: None,
                });
            };
            let custodians = unit.custodians(&group.id)?.into_iter().map(|row| CustodianView {
                number: row.number,
                name: row.name,
                taken_at: row.taken_at,
            });
            Ok(CustodiansView {
                group: Some(hex::encode(&group.id)),
                needed: group.needed,
                custodians: custodians.collect(),
                made_at: Some(group.made_at),
            })
        })
    });
    Ok(Json(view.await?))
}

/// New custodians.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Appoint {
    /// Their names, 2 to 16.
    names: Vec<String>,
    /// How many of them are needed to restore on another device, at least 2.
    needed: u8,
}

/// Appoints custodians in the place of all before: a new recovery key is made and split among them. Backups made before
/// still open with the shares of their time.
#[utoipa::path(post, path = "/manage/v1/custodians", tag = "backup", request_body = Appoint,
    responses((status = 200, body = super::Done), (status = 422, body = Refused)))]
pub(super) async fn appoint(
    State(door): State<Door>,
    signed: Signed,
    Asked(asked): Asked<Appoint>,
) -> Answer<super::Done> {
    door.act(move |manage| {
        manage
            .engine()
            .appoint_custodians(&signed.who.name, &asked.names, asked.needed)
    })
    .await?;
    Ok(Json(super::Done {}))
}

/// A custodian's share, given out once; this server forgets it.
#[utoipa::path(post, path = "/manage/v1/custodians/{number}/share", tag = "backup", params(("number" = u8, Path)),
    responses((status = 200, body = ShareText), (status = 409, body = Refused)))]
pub(super) async fn share(State(door): State<Door>, signed: Signed, Path(number): Path<u8>) -> Answer<ShareText> {
    let share = door
        .act(move |manage| manage.engine().take_share(&signed.who.name, number))
        .await?;
    Ok(Json(share))
}

/// The configuration as one encrypted file.
#[utoipa::path(post, path = "/manage/v1/backup", tag = "backup",
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream"),
    (status = 503, body = Refused)))]
pub(super) async fn backup(State(door): State<Door>, signed: Signed) -> Result<impl IntoResponse, Failure> {
    let (name, bytes) = door.act(move |manage| manage.engine().backup(&signed.who.name)).await?;
    let kind = (header::CONTENT_TYPE, "application/octet-stream".to_owned());
    let disposition = (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\""));
    Ok(([kind, disposition], bytes))
}

/// A backup to be restored.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Restore {
    /// The backup file, Base64.
    file: String,
    /// The custodians' shares as text; none are needed on the device that made the backup.
    #[serde(default)]
    shares: Vec<String>,
}

/// Opens a backup and says what restoring it would change; nothing changes yet.
#[utoipa::path(post, path = "/manage/v1/restore", tag = "backup", request_body = Restore,
    responses((status = 200, body = Preview), (status = 422, body = Refused)))]
pub(super) async fn preview(State(door): State<Door>, signed: Signed, Asked(asked): Asked<Restore>) -> Answer<Preview> {
    let preview = door.act(move |manage| manage.preview_restore(&signed.who, &file(&asked.file)?, &asked.shares));
    Ok(Json(preview.await?))
}

/// Restores what was previewed, whole or not at all; everyone signs in again.
#[utoipa::path(post, path = "/manage/v1/restore/{token}", tag = "backup", params(("token" = String, Path)),
    responses((status = 200, body = super::Done), (status = 404, body = Refused), (status = 409, body = Refused)))]
pub(super) async fn apply(State(door): State<Door>, signed: Signed, Path(token): Path<String>) -> Answer<super::Done> {
    door.change(move |manage| manage.apply_restore(&signed.who, &token))
        .await?;
    door.sessions.close_all();
    Ok(Json(super::Done {}))
}
