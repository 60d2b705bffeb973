//! Informed consent (知情同意书), in versions. A visit keeps which version its patient accepted, and the SM3 of that text.
//!
//! Each version is a new row; the newest in force is the current one. An accepted version that is no longer current, or
//! whose text is not the one that was shown, is refused: the patient reads again.

pub(crate) mod routes;
pub(crate) mod store;
#[cfg(test)]
mod tests;

use records::Timestamp;
use sm3::{Digest, Sm3};

/// A version of the consent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consent {
    /// Id of this version.
    pub id: String,
    /// Version, from 1.
    pub version: u32,
    /// Title.
    pub title: String,
    /// Text.
    pub text: String,
    /// From when it is in force.
    pub valid_from: Timestamp,
    /// Until when, if it ends.
    pub valid_until: Option<Timestamp>,
}

/// Why an acceptance is not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAccepted {
    /// There is a newer version.
    #[error("知情同意书已更新，请重新阅读并同意")]
    Superseded,
    /// Its time is over.
    #[error("知情同意书已过期，请重新阅读并同意")]
    Expired,
    /// There is none, or no such version.
    #[error("请阅读并同意知情同意书")]
    Missing,
}

impl NotAccepted {
    /// Stable word.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Superseded => "consent_superseded",
            Self::Expired => "consent_expired",
            Self::Missing => "consent_missing",
        }
    }
}

impl Consent {
    /// SM3 of title and text, hexadecimal.
    pub fn sm3(&self) -> String {
        let mut hash = Sm3::new();
        hash.update(self.title.as_bytes());
        hash.update(b"\n");
        hash.update(self.text.as_bytes());
        hex::encode(hash.finalize())
    }

    /// Whether it is in force.
    pub fn in_force(&self, now: Timestamp) -> bool {
        self.valid_from <= now && self.valid_until.is_none_or(|until| now < until)
    }
}

/// Judges an acceptance of `id` at `version` against the versions of the hospital.
///
/// # Errors
/// When it is not the version in force.
pub fn judge<'a>(versions: &'a [Consent], id: &str, version: u32, now: Timestamp) -> Result<&'a Consent, NotAccepted> {
    let accepted = versions
        .iter()
        .find(|c| c.id == id && c.version == version)
        .ok_or(NotAccepted::Missing)?;
    let newest = current(versions, now);
    if newest.is_some_and(|newest| newest.version > accepted.version) {
        return Err(NotAccepted::Superseded);
    }
    if !accepted.in_force(now) {
        return Err(NotAccepted::Expired);
    }
    Ok(accepted)
}

/// The newest version in force.
pub fn current(versions: &[Consent], now: Timestamp) -> Option<&Consent> {
    versions.iter().filter(|c| c.in_force(now)).max_by_key(|c| c.version)
}

/// The consent a hospital starts with.
pub const FIRST_TITLE: &str = "互联网诊疗知情同意书";
/// Its text (互联网诊疗管理办法（试行）, 互联网诊疗监管细则（试行）).
pub const FIRST_TEXT: &str = "\
一、互联网诊疗仅适用于常见病、慢性病的复诊。首次就诊或病情变化较大时，请到医院当面就诊。
二、请如实填写病情、既往史、过敏史和用药情况。信息不实可能影响诊疗质量并由填写人承担相应后果。
三、线上问诊受条件所限，医生可能无法进行体格检查和必要的检验检查。医生认为不适宜线上诊疗时，会建议您到医院就诊，可退还问诊费。
四、处方由接诊医生本人开具并经药师审核。麻醉药品、精神药品、医疗用毒性药品等不在线上开具。
五、问诊过程（文字、图片、语音、视频）将被加密保存，用于诊疗质量管理和监管，保存期限按国家规定执行。
六、急危重症请立即拨打120或前往就近医院急诊。
七、本院依法保护您的个人信息，仅用于本次诊疗、配药、缴费及监管要求。";
