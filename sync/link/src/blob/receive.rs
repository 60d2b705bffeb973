//! The receiving side: routes over a [`Sink`].

use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{head, post};
use engine::blob::PART_BYTES;
use records::id::EdgeId;
use serde_json::json;

use super::{CHECKSUM, COMPLETE, DIGEST, Digest, LENGTH, OFFSET};
use crate::https::Appliance;

/// How far a blob has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// So many bytes are durable.
    Partial {
        /// Durable bytes.
        offset: u64,
        /// Bytes in all.
        length: u64,
    },
    /// The whole is there and its digest was checked.
    Complete,
}

/// Why a sink did not take something.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// No such upload.
    #[error("no such upload")]
    Missing,
    /// The part does not begin where the durable bytes end.
    #[error("the upload stands at {offset}")]
    Conflict {
        /// Durable bytes.
        offset: u64,
    },
    /// The whole does not have the digest it was announced under; the upload was dropped.
    #[error("the content does not match its digest")]
    Mismatch,
    /// Too large, or no space.
    #[error("no space for this upload")]
    Full,
    /// The storage failed.
    #[error("storage failed: {0}")]
    Failed(String),
}

/// Where blobs are kept. All methods may be called at once for different blobs.
#[async_trait]
pub trait Sink: Send + Sync + 'static {
    /// Begins an upload, or tells how far an earlier one came.
    async fn begin(&self, from: &EdgeId, digest: &Digest, length: u64) -> Result<Progress, SinkError>;
    /// How far an upload has come.
    async fn progress(&self, from: &EdgeId, digest: &Digest) -> Result<Progress, SinkError>;
    /// Adds a part and answers when it is durable; the last part checks the whole.
    async fn append(&self, from: &EdgeId, digest: &Digest, offset: u64, part: Bytes) -> Result<Progress, SinkError>;
}

type Shared = State<Arc<dyn Sink>>;

/// `POST /blobs`, `HEAD` and `PATCH /blobs/{digest}`; to be served by an [`crate::https::HttpsListener`].
pub fn routes(sink: Arc<dyn Sink>) -> Router {
    let limit = usize::try_from(PART_BYTES).unwrap_or(usize::MAX);
    Router::new()
        .route("/blobs", post(begin))
        .route("/blobs/{digest}", head(tell).patch(append))
        .layer(DefaultBodyLimit::max(limit))
        .with_state(sink)
}

async fn begin(State(sink): Shared, Appliance(edge): Appliance, headers: HeaderMap) -> Response {
    let digest = headers
        .get(DIGEST)
        .and_then(|v| v.to_str().ok())
        .and_then(Digest::parse);
    let (Some(digest), Some(length)) = (digest, number(&headers, LENGTH)) else {
        return refusal(StatusCode::BAD_REQUEST, "malformed_upload", "上传请求缺少摘要或长度");
    };
    let new = match sink.begin(&edge, &digest, length).await {
        Ok(progress) => progress,
        Err(e) => return failed(&edge, &e),
    };
    let status = if new == Progress::Complete {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    answer(status, new)
}

async fn tell(State(sink): Shared, Appliance(edge): Appliance, Path(digest): Path<String>) -> Response {
    let Some(digest) = Digest::parse(&digest) else {
        return failed(&edge, &SinkError::Missing);
    };
    match sink.progress(&edge, &digest).await {
        Ok(progress) => answer(StatusCode::OK, progress),
        Err(e) => failed(&edge, &e),
    }
}

async fn append(
    State(sink): Shared,
    Appliance(edge): Appliance,
    Path(digest): Path<String>,
    headers: HeaderMap,
    part: Bytes,
) -> Response {
    let Some(digest) = Digest::parse(&digest) else {
        return failed(&edge, &SinkError::Missing);
    };
    let checksum = headers
        .get(CHECKSUM)
        .and_then(|v| v.to_str().ok())
        .and_then(Digest::parse);
    let (Some(offset), Some(checksum)) = (number(&headers, OFFSET), checksum) else {
        return refusal(StatusCode::BAD_REQUEST, "malformed_upload", "上传请求缺少位置或校验");
    };
    if Digest::of(&part) != checksum {
        return refusal(
            StatusCode::UNPROCESSABLE_ENTITY,
            "damaged_part",
            "数据在传输中损坏，请重传",
        );
    }
    match sink.append(&edge, &digest, offset, part).await {
        Ok(progress) => answer(StatusCode::NO_CONTENT, progress),
        Err(e) => failed(&edge, &e),
    }
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.parse().ok()
}

fn answer(status: StatusCode, progress: Progress) -> Response {
    match progress {
        Progress::Complete => (status, [(COMPLETE, "1".to_owned())]).into_response(),
        Progress::Partial { offset, length } => {
            (status, [(OFFSET, offset.to_string()), (LENGTH, length.to_string())]).into_response()
        }
    }
}

fn failed(edge: &EdgeId, e: &SinkError) -> Response {
    match e {
        SinkError::Missing => refusal(StatusCode::NOT_FOUND, "no_such_upload", "没有这个上传"),
        SinkError::Conflict { offset } => {
            let mut response = refusal(
                StatusCode::CONFLICT,
                "wrong_offset",
                "上传位置不一致，请从服务器位置继续",
            );
            response.headers_mut().insert(OFFSET, (*offset).into());
            response
        }
        SinkError::Mismatch => {
            tracing::warn!(blob.edge = %edge, "an upload did not match its digest and was dropped");
            refusal(
                StatusCode::UNPROCESSABLE_ENTITY,
                "digest_mismatch",
                "文件内容与摘要不符，请重新上传",
            )
        }
        SinkError::Full => refusal(StatusCode::INSUFFICIENT_STORAGE, "no_space", "存储空间不足"),
        SinkError::Failed(reason) => {
            tracing::error!(blob.edge = %edge, blob.error = reason, "storage failed");
            refusal(
                StatusCode::SERVICE_UNAVAILABLE,
                "storage_failed",
                "存储暂时不可用，请稍后重试",
            )
        }
    }
}

fn refusal(status: StatusCode, code: &str, message: &str) -> Response {
    (status, axum::Json(json!({ "code": code, "message": message }))).into_response()
}
