//! Footage over HTTP, for the administrator: found by nurse, patient, order, recorder and time, played, and proven. Every view
//! is written to the audit.

mod content;
mod proof;
mod search;

use base::{ApiError, Ctx};
use records::Timestamp;
use records::footage::ClipId;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) use self::content::file_name;
use super::store::Clip;

/// A clip.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct ClipView {
    /// Id.
    id: String,
    /// Serial number of the recorder.
    serial: String,
    /// Who had it: staff id.
    holder: String,
    /// Name.
    holder_name: String,
    /// Order number.
    order: String,
    /// Whom it was for, masked; empty when nobody was named.
    patient_masked: String,
    /// Path on the recorder.
    file: String,
    /// Bytes.
    size: u64,
    /// `mp4`, `ts`, `avi`, `wav`, `jpeg`, `other`.
    container: String,
    /// `complete`, `truncated`, `damaged`, `unknown`.
    condition: String,
    /// When the recording began, by the hospital's time; when it was docked where that cannot be told.
    #[schema(value_type = String, format = DateTime)]
    began_at: Timestamp,
    /// Length in milliseconds.
    duration_ms: Option<u64>,
    /// Length of what can be played, where it is known: of what was rescued of a damaged one.
    pub(super) playable_ms: Option<u64>,
    /// `received`, `missing`, `confirmed`, `refused`.
    state: String,
    /// Plain words.
    note: String,
    /// When it was confirmed.
    #[schema(value_type = Option<String>, format = DateTime)]
    confirmed_at: Option<Timestamp>,
    /// When it was cleared from its recorder.
    #[schema(value_type = Option<String>, format = DateTime)]
    cleared_at: Option<Timestamp>,
}

impl From<&Clip> for ClipView {
    fn from(c: &Clip) -> Self {
        Self {
            id: c.id.to_string(),
            serial: c.serial.clone(),
            holder: c.holder.clone(),
            holder_name: c.holder_name.clone(),
            order: c.order_no.clone(),
            patient_masked: c.patient_masked.clone(),
            file: c.file.clone(),
            size: c.size,
            container: c.container.clone(),
            condition: c.condition.clone(),
            began_at: c.began_at,
            duration_ms: c.duration_ms,
            playable_ms: c.duration_ms,
            state: c.state.as_str().to_owned(),
            note: c.note.clone(),
            confirmed_at: c.confirmed_at,
            cleared_at: c.cleared_at,
        }
    }
}

pub(super) fn clip_id(text: &str) -> Result<ClipId, ApiError> {
    ClipId::parse(text).ok_or_else(ApiError::not_found)
}

pub(crate) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new()
        .routes(routes!(search::list))
        .routes(routes!(proof::show))
        .routes(routes!(proof::verify))
        .routes(routes!(content::content))
        .routes(routes!(content::original))
        .merge(super::derived::routes())
}
