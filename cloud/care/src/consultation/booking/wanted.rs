//! What the patient's app asks for when it books, and whether it is complete.

use base::ApiError;
use records::LocalDate;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::consultation::Statement;

/// A visit to be booked.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub(crate) struct NewVisit {
    /// The app's own name of the booking; a repeat books nothing.
    pub key: String,
    /// For whom.
    pub patient_id: String,
    /// `follow_up` or `renew_prescription`.
    pub purpose: String,
    /// Department.
    pub department_code: String,
    /// Doctor.
    pub doctor_code: String,
    /// Slot.
    pub slot: WantedSlot,
    /// Consent accepted.
    pub consent: AcceptedConsent,
    /// The patient's words.
    pub statement: Statement,
    /// Photos, as uploaded files.
    #[serde(default)]
    pub photo_ids: Vec<String>,
}

/// The slot chosen.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub(crate) struct WantedSlot {
    /// Shift.
    pub work_id: String,
    /// Day, `YYYY-MM-DD`.
    pub date: String,
    /// Begin, `HH:MM`.
    pub begin: String,
    /// End, `HH:MM`.
    pub end: String,
}

/// The consent accepted.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub(crate) struct AcceptedConsent {
    /// Id.
    pub id: String,
    /// Version.
    pub version: u32,
}

const MOST_PHOTOS: usize = 9;

fn text(field: &'static str, words: &str, most: usize) -> Result<(), ApiError> {
    if words.chars().count() > most {
        return Err(ApiError::field(field, format!("内容过长，最多{most}字")));
    }
    Ok(())
}

impl NewVisit {
    pub(super) fn check(&self) -> Result<LocalDate, ApiError> {
        if self.key.is_empty() || self.key.len() > 64 {
            return Err(ApiError::field("key", "预约编号不正确"));
        }
        if !matches!(self.purpose.as_str(), "follow_up" | "renew_prescription") {
            return Err(ApiError::field("purpose", "请选择问诊目的"));
        }
        if self.statement.complaint.trim().is_empty() {
            return Err(ApiError::field("statement.complaint", "请描述病情"));
        }
        text("statement.complaint", &self.statement.complaint, 500)?;
        text("statement.duration", &self.statement.duration, 100)?;
        text("statement.history", &self.statement.history, 1000)?;
        text("statement.allergies", &self.statement.allergies, 500)?;
        text("statement.medications", &self.statement.medications, 1000)?;
        if self.photo_ids.len() > MOST_PHOTOS {
            return Err(ApiError::field("photo_ids", format!("最多上传{MOST_PHOTOS}张图片")));
        }
        LocalDate::parse(&self.slot.date).map_err(|_| ApiError::field("slot.date", "日期应为YYYY-MM-DD"))
    }
}
