//! Stored files: content-addressed on disk per hospital, a row beside each.
//!
//! On disk: `{root}/{hospital}/{first two of digest}/{digest}`, written to a temporary name, synced, renamed, folder
//! synced, and only then the row; a file without a row is garbage, a row without a file does not happen.
//! Who may read one: its owner, whom it was granted to ([`grant`]), and staff whose work it is. Some have a door of their own
//! ([`GUARDED`]), where each look is written down; here nobody gets them.

mod adopt;
mod kind;

use std::path::{Path as FilePath, PathBuf};

use axum::extract::{DefaultBodyLimit, Multipart, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use records::id::BlobId;
use records::{TenantId, Timestamp};
use serde::Serialize;
use sm3::{Digest, Sm3};
use store::{Scope, StoreError, Tx};
use tokio::io::AsyncWriteExt;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use adopt::Adopted;
pub use kind::{Kind, sniff};

use kind::whole;

use crate::permission::Permission;
use crate::{ApiError, Ctx, Json, Path, Session, Who};

/// Purposes whose files are had only through the routes of their context, which write each look to the audit.
pub const GUARDED: [&str; 2] = ["footage", "footage_derived"];

/// Largest upload by a person.
const UPLOAD_LIMIT: usize = 12 << 20;

/// What one person may upload in a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Quota {
    files: u64,
    bytes: u64,
}

/// A visit takes nine photos and a chat a few more.
const OF_PATIENT: Quota = Quota {
    files: 100,
    bytes: 200 << 20,
};
/// Staff answer many patients.
const OF_STAFF: Quota = Quota {
    files: 1000,
    bytes: 2 << 30,
};

impl Quota {
    const fn of(session: &Session) -> Self {
        match session.who {
            Who::Patient(_) => OF_PATIENT,
            Who::Staff(_) => OF_STAFF,
        }
    }

    /// Refuses what would go beyond it. Days are local.
    async fn check(self, tx: &mut Tx<'_>, owner: &str, more: u64) -> Result<(), ApiError> {
        let (tenant, today) = (tx.tenant().clone(), tx.now().local_date().start());
        let (files, bytes): (u64, i64) = tx
            .one(
                "SELECT COUNT(*), CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM base_blob
                 WHERE tenant_id = $1 AND owner = $2 AND created_at >= $3",
                &[&tenant, &owner, &today],
            )
            .await?;
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        if files < self.files && bytes.saturating_add(more) <= self.bytes {
            return Ok(());
        }
        let words = format!(
            "今天上传的文件已达上限（{}个或{}MB），请明天再传",
            self.files,
            self.bytes >> 20
        );
        Err(ApiError::new(StatusCode::TOO_MANY_REQUESTS, "upload_quota", words))
    }
}

/// A stored file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// Id.
    pub id: BlobId,
    /// SM3 of the content, hexadecimal.
    pub digest: String,
    /// MIME type, sniffed.
    pub mime: String,
    /// Bytes.
    pub size: u64,
    /// What it is for, e.g. `statement_photo`.
    pub purpose: String,
    /// Who put it there (an id).
    pub owner: String,
    /// When.
    pub created_at: Timestamp,
}

impl store::FromRow for Blob {
    fn from_row(row: &store::Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.get(0)?,
            digest: row.get(1)?,
            mime: row.get(2)?,
            size: row.get(3)?,
            purpose: row.get(4)?,
            owner: row.get(5)?,
            created_at: row.get(6)?,
        })
    }
}

/// The folder of all files.
#[derive(Debug)]
pub struct BlobStore {
    root: PathBuf,
}

impl BlobStore {
    /// Files under `root`, which is made if needed.
    pub async fn open(root: &FilePath) -> std::io::Result<Self> {
        tokio::fs::create_dir_all(root).await?;
        Ok(Self { root: root.to_owned() })
    }

    fn folder(&self, tenant: &TenantId, digest: &str) -> PathBuf {
        self.root.join(tenant.as_str()).join(digest.get(..2).unwrap_or("xx"))
    }

    /// Where a file lies.
    pub fn path(&self, tenant: &TenantId, blob: &Blob) -> PathBuf {
        self.folder(tenant, &blob.digest).join(&blob.digest)
    }

    /// Writes a file durably; answers its digest. Writing it again changes nothing.
    pub async fn write(&self, tenant: &TenantId, temporary: &str, bytes: &[u8]) -> std::io::Result<String> {
        let digest = hex::encode(Sm3::digest(bytes));
        let folder = self.folder(tenant, &digest);
        let path = folder.join(&digest);
        if tokio::fs::try_exists(&path).await? {
            return Ok(digest);
        }
        tokio::fs::create_dir_all(&folder).await?;
        let unfinished = folder.join(format!("{temporary}.part"));
        let mut file = tokio::fs::File::create(&unfinished).await?;
        file.write_all(bytes).await?;
        file.sync_all().await?;
        tokio::fs::rename(&unfinished, &path).await?;
        tokio::fs::File::open(&folder).await?.sync_all().await?;
        Ok(digest)
    }

    /// Reads a whole file.
    pub async fn read(&self, tenant: &TenantId, blob: &Blob) -> std::io::Result<Bytes> {
        tokio::fs::read(self.path(tenant, blob)).await.map(Bytes::from)
    }
}

/// Stores a file and its row. `purpose` is a word of the context; the owner is the scope's actor.
pub async fn put(ctx: &Ctx, scope: &Scope, purpose: &str, bytes: &[u8]) -> Result<Blob, ApiError> {
    let kind = sniff(bytes).ok_or_else(|| ApiError::field("file", "不支持这种文件"))?;
    if !whole(kind, bytes) {
        return Err(ApiError::field("file", "文件不完整或已损坏，请重新选择"));
    }
    if bytes.len() > kind.limit {
        return Err(too_large());
    }
    let now = ctx.now();
    let id = BlobId::generate(&ctx.ids, now);
    let digest = ctx
        .blobs
        .write(&scope.tenant, id.as_str(), bytes)
        .await
        .map_err(ApiError::internal)?;
    let blob = Blob {
        id,
        digest,
        mime: kind.mime.to_owned(),
        size: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        purpose: purpose.to_owned(),
        owner: scope.actor.to_string(),
        created_at: now,
    };
    let row = blob.clone();
    ctx.store
        .write(scope, move |tx| {
            let row = row.clone();
            Box::pin(async move { insert(tx, &row).await })
        })
        .await?;
    Ok(blob)
}

/// Writes the row of a file that [`BlobStore::write`] has stored, for contexts that do both in their own unit.
pub async fn insert(tx: &mut Tx<'_>, blob: &Blob) -> Result<(), StoreError> {
    let tenant = tx.tenant().clone();
    tx.exec(
        "INSERT INTO base_blob(tenant_id, id, digest, mime, size, purpose, owner, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        &[
            &tenant,
            &blob.id,
            &blob.digest,
            &blob.mime,
            &blob.size,
            &blob.purpose,
            &blob.owner,
            &blob.created_at,
        ],
    )
    .await
    .map(drop)
}

/// The row of a file.
pub async fn get(tx: &mut Tx<'_>, id: &BlobId) -> Result<Option<Blob>, StoreError> {
    let tenant = tx.tenant().clone();
    tx.opt(
        "SELECT id, digest, mime, size, purpose, owner, created_at FROM base_blob WHERE tenant_id = $1 AND id = $2",
        &[&tenant, id],
    )
    .await
}

/// Lets a person (account or staff id) read a file: the other side of a conversation, say.
pub async fn grant(tx: &mut Tx<'_>, id: &BlobId, reader: &str) -> Result<(), StoreError> {
    let tenant = tx.tenant().clone();
    tx.exec(
        "INSERT INTO base_blob_reader(tenant_id, blob_id, reader) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        &[&tenant, id, &reader],
    )
    .await
    .map(drop)
}

/// The file, if this person may read it.
pub async fn readable(tx: &mut Tx<'_>, session: &Session, id: &BlobId) -> Result<Option<Blob>, StoreError> {
    let Some(blob) = get(tx, id).await?.filter(|b| !GUARDED.contains(&b.purpose.as_str())) else {
        return Ok(None);
    };
    let overseer = matches!(&session.who, Who::Staff(member) if member.may(Permission::Oversee));
    if overseer || blob.owner == session.subject() {
        return Ok(Some(blob));
    }
    let (tenant, reader) = (tx.tenant().clone(), session.subject().to_owned());
    let granted: Option<(String,)> = tx
        .opt(
            "SELECT reader FROM base_blob_reader WHERE tenant_id = $1 AND blob_id = $2 AND reader = $3",
            &[&tenant, id, &reader],
        )
        .await?;
    Ok(granted.map(|_| blob))
}

fn too_large() -> ApiError {
    ApiError {
        field: Some("file".into()),
        ..ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "文件太大")
    }
}

/// A stored file.
#[derive(Debug, Serialize, ToSchema)]
struct Uploaded {
    /// Id.
    id: String,
    /// MIME type, as found.
    mime: String,
    /// Bytes.
    size: u64,
}

/// Multipart form.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the form for the API document")]
struct UploadForm {
    /// What it is for.
    purpose: String,
    /// The file.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
}

/// Stores a picture, voice message or document.
#[utoipa::path(post, path = "/uploads", tag = "files", request_body(content = UploadForm, content_type = "multipart/form-data"),
    responses((status = 200, body = Uploaded), (status = 413, body = crate::error::ErrorBody), (status = 422, body = crate::error::ErrorBody)))]
async fn upload(State(ctx): State<Ctx>, session: Session, mut form: Multipart) -> Result<Json<Uploaded>, ApiError> {
    let unreadable = |error: axum::extract::multipart::MultipartError| {
        if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
            return too_large();
        }
        ApiError::new(StatusCode::BAD_REQUEST, "invalid_body", "文件没有完整上传，请重试")
    };
    let (mut purpose, mut file) = ("upload".to_owned(), None);
    while let Some(field) = form.next_field().await.map_err(unreadable)? {
        match field.name() {
            Some("purpose") => purpose = field.text().await.map_err(unreadable)?,
            Some("file") => file = Some(field.bytes().await.map_err(unreadable)?),
            _ => {}
        }
    }
    let known =
        !purpose.is_empty() && purpose.len() <= 40 && purpose.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    if !known {
        return Err(ApiError::field("purpose", "用途有误"));
    }
    let file = file.ok_or_else(|| ApiError::field("file", "请选择文件"))?;
    let (quota, size) = (Quota::of(&session), u64::try_from(file.len()).unwrap_or(u64::MAX));
    let owner = session.scope().actor.to_string();
    // Counted before the file is written; what several requests at once may go beyond it is one file each.
    ctx.store
        .read(&session.scope(), move |tx| {
            let owner = owner.clone();
            Box::pin(async move { quota.check(tx, &owner, size).await })
        })
        .await?;
    let blob = put(&ctx, &session.scope(), &purpose, &file).await?;
    Ok(Json(Uploaded {
        id: blob.id.into_string(),
        mime: blob.mime,
        size: blob.size,
    }))
}

/// A stored file, with ranges.
#[utoipa::path(get, path = "/blobs/{id}", tag = "files", params(("id" = String, Path)),
    responses((status = 200, description = "the file"), (status = 404, body = crate::error::ErrorBody)))]
async fn download(
    State(ctx): State<Ctx>,
    session: Session,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let id = BlobId::parse(&id).ok_or_else(ApiError::not_found)?;
    let asking = session.clone();
    let blob = ctx
        .store
        .read(&session.scope(), move |tx| {
            let (id, asking) = (id.clone(), asking.clone());
            Box::pin(async move { readable(tx, &asking, &id).await })
        })
        .await?
        .ok_or_else(ApiError::not_found)?;
    serve(&ctx, &session.tenant, &blob, request).await
}

/// Answers a request with a file the person may see.
pub async fn serve(ctx: &Ctx, tenant: &TenantId, blob: &Blob, request: Request) -> Result<Response, ApiError> {
    let mime = blob.mime.parse().map_err(ApiError::internal)?;
    let served = tower_http::services::ServeFile::new_with_mime(ctx.blobs.path(tenant, blob), &mime)
        .try_call(request)
        .await
        .map_err(ApiError::internal)?;
    let mut response = served.into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("private, max-age=86400, immutable"),
    );
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(response)
}

pub(crate) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new()
        .routes(routes!(upload))
        .layer(DefaultBodyLimit::max(UPLOAD_LIMIT + (64 << 10)))
        .routes(routes!(download))
}
