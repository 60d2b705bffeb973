//! Messages in the consulting room (诊间): text, pictures, voice, and words of the system, numbered per visit.
//!
//! Only the two sides of the visit write, and only while the visit is 问诊中. A message is named by its writer
//! (`client_id`), so that a repeated send adds nothing. Words are sealed.

pub(crate) mod routes;
pub(crate) mod store;
#[cfg(test)]
mod tests;
mod voice;

use ::store::Tx;
use base::Vault;
use records::id::VisitId;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::CareError;
pub use store::Message;

/// Kinds of messages a person may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = MessageKind)]
pub enum Kind {
    /// Words.
    Text,
    /// A picture.
    Image,
    /// A voice message.
    Voice,
}

impl Kind {
    /// Word in the database and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Image => "image",
            Self::Voice => "voice",
        }
    }
}

/// A message to be sent.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[schema(as = MessageDraft)]
pub struct Draft {
    /// The writer's own name of the message; a repeat adds nothing.
    pub client_id: String,
    /// Kind.
    pub kind: Kind,
    /// Words, for a text.
    #[serde(default)]
    pub text: Option<String>,
    /// File, for a picture or voice message.
    #[serde(default)]
    pub blob_id: Option<String>,
    /// Length of a voice message.
    #[serde(default)]
    pub duration_s: Option<u32>,
}

/// Longest text.
pub const LONGEST_TEXT: usize = 2000;
/// Longest voice message in seconds.
pub const LONGEST_VOICE_S: u32 = 60;

/// What is wrong with a draft: field and words.
pub type Fault = (&'static str, &'static str);

impl Draft {
    /// Checks the shape.
    ///
    /// # Errors
    /// With the field that is wrong.
    pub fn check(&self) -> Result<(), Fault> {
        let named = !self.client_id.is_empty()
            && self.client_id.len() <= 64
            && self
                .client_id
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if !named {
            return Err(("client_id", "消息编号不正确"));
        }
        match self.kind {
            Kind::Text => {
                let length = self.text.as_deref().unwrap_or_default().trim().chars().count();
                if length == 0 {
                    return Err(("text", "请输入内容"));
                }
                if length > LONGEST_TEXT {
                    return Err(("text", "内容过长，请分几条发送"));
                }
            }
            Kind::Image => {
                if self.blob_id.is_none() {
                    return Err(("blob_id", "请选择图片"));
                }
            }
            Kind::Voice => {
                if self.blob_id.is_none() {
                    return Err(("blob_id", "没有录到语音"));
                }
                if !(1..=LONGEST_VOICE_S).contains(&self.duration_s.unwrap_or(0)) {
                    return Err(("duration_s", "语音应在1到60秒之间"));
                }
            }
        }
        Ok(())
    }
}

/// Adds words of the system (e.g. 医生已接诊) to a visit. Answers the message's number.
///
/// # Errors
/// When the database fails.
pub async fn post_system(tx: &mut Tx<'_>, vault: &Vault, visit: &VisitId, text: &str) -> Result<u64, CareError> {
    store::append(tx, vault, visit, &store::New::system(text)).await
}

/// Most messages of a visit that are read at once by another context.
const MOST_READ: u32 = 500;

/// What was said in a visit, in order, for a context that lets somebody else read it.
///
/// # Errors
/// When the database fails or a sealed text does not open.
pub async fn of_visit(tx: &mut Tx<'_>, vault: &Vault, visit: &VisitId) -> Result<Vec<Message>, CareError> {
    store::after(tx, vault, visit, 0, MOST_READ).await
}
