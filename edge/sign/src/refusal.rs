use attest::TpmError;
use records::Outcome;

/// Why something was not signed.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The request cannot be granted.
    #[error("{code}")]
    No {
        /// Stable name.
        code: &'static str,
        /// Plain words for the person.
        text: String,
    },
    /// The TPM does not give the key of keys.
    #[error("tpm: {0}")]
    Tpm(#[from] TpmError),
    /// The state file cannot be read or written (disk full, damaged).
    #[error("state file: {0}")]
    Storage(#[from] rusqlite::Error),
    /// The log could not be written: what was done is not answered.
    #[error("the log could not be written")]
    LogUnwritten,
    /// Bytes in the state file are not what was written there.
    #[error("state file: {0} is damaged")]
    Damaged(&'static str),
    /// A key or certificate could not be made.
    #[error("cryptography: {0}")]
    Crypto(#[from] gm::Refused),
}

impl Refusal {
    /// A named refusal.
    pub(crate) fn no(code: &'static str, text: impl Into<String>) -> Self {
        Self::No {
            code,
            text: text.into(),
        }
    }

    /// As it is answered over the socket.
    #[must_use]
    pub fn into_outcome<T>(self) -> Outcome<T> {
        match self {
            Self::No { code, text } => Outcome::refused(code, text),
            Self::Tpm(error) => Outcome::refused(format!("tpm_{}", error.code()), error.person()),
            // Nothing was answered, so nothing happened: it may be asked again when the disk has room.
            Self::Storage(_) | Self::LogUnwritten => Outcome::Later { after_ms: 1000 },
            Self::Damaged(_) => Outcome::refused("state_damaged", "签名服务器的存储已损坏，请联系管理员。"),
            Self::Crypto(gm::Refused::Device { code, text }) => Outcome::refused(code, text),
            Self::Crypto(_) => Outcome::refused("crypto_failed", "签名运算失败，请重试或联系管理员。"),
        }
    }
}
