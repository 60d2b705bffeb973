//! Pictures that the appliance fetches in the hospital and sends up as blobs, when a doctor wants to see one.

use serde::{Deserialize, Serialize};

use crate::his::{Operation, ReportQuestion};

/// `picture.exam`: the picture of an examination (检查影像) is fetched in the hospital and sent up; the answer names the
/// blob, which is there when the answer is.
#[derive(Debug, Clone, Copy)]
pub enum ExamPicture {}

impl Operation for ExamPicture {
    const METHOD: &'static str = "picture.exam";
    const WRITES: bool = false;
    type Request = ReportQuestion;
    type Response = Picture;
}

/// A picture that was sent up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picture {
    /// The blob: `sha256:` and 64 hexadecimal digits.
    pub digest: String,
    /// `image/png` or `image/jpeg`, by its first bytes.
    pub media_type: String,
}
