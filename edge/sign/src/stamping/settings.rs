//! Which keys stamp, and under which policy.

use gm::certificate::Purpose;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::may_stamp;
use crate::Refusal;
use crate::application::KeyIndex;
use crate::engine::Engine;
use crate::keys::{KeyCertificate, ServerKey};
use crate::state::State;
use crate::vault::Unit;

/// Its name among the settings.
pub(crate) const SETTING: &str = "stamping";

/// The time-stamp unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StampSettings {
    /// Keys with a certificate for time stamps; the first stamps when a request names none.
    pub keys: Vec<KeyIndex>,
    /// The policy that stamps are issued under, dotted.
    pub policy: String,
    /// The bound within which the clock is known to be right, milliseconds; not said when 0.
    pub accuracy_ms: u32,
}

impl Default for StampSettings {
    fn default() -> Self {
        Self {
            keys: Vec::new(),
            // Any policy (RFC 5280 4.2.1.4): a hospital that has one of its own names it here.
            policy: "2.5.29.32.0".to_owned(),
            accuracy_ms: 1_000,
        }
    }
}

impl StampSettings {
    pub(crate) fn load(unit: &Unit<'_>) -> Result<Self, Refusal> {
        let Some(text) = unit.setting(SETTING)? else {
            return Ok(Self::default());
        };
        serde_json::from_str(&text).map_err(|_| Refusal::Damaged("setting"))
    }

    /// The policy as object identifier content.
    pub(crate) fn policy_der(&self) -> Result<Vec<u8>, Refusal> {
        identifier(&self.policy).ok_or_else(|| Refusal::no("policy", "时间戳策略应为对象标识符，如 1.2.3.4.1。"))
    }

    pub(crate) fn accuracy(&self) -> Option<time::Duration> {
        (self.accuracy_ms > 0).then(|| time::Duration::milliseconds(i64::from(self.accuracy_ms)))
    }
}

/// The content of an object identifier from its dotted text (X.690 8.19).
fn identifier(text: &str) -> Option<Vec<u8>> {
    let arcs: Vec<u32> = text.split('.').map(|arc| arc.parse().ok()).collect::<Option<_>>()?;
    let [first, second, rest @ ..] = arcs.as_slice() else {
        return None;
    };
    let fits = *first < 2 && *second < 40 || *first == 2 && *second <= 999;
    if !fits || arcs.len() > 32 {
        return None;
    }
    let mut out = Vec::new();
    for arc in std::iter::once(first * 40 + second).chain(rest.iter().copied()) {
        let groups = (1..5).rev().filter(|group| arc >> (7 * group) != 0);
        out.extend(groups.map(|group| 0x80 | (arc >> (7 * group) & 0x7f) as u8));
        out.push((arc & 0x7f) as u8);
    }
    Some(out)
}

impl Engine {
    /// Designates the keys that stamp. Each must have a certificate for time stamps.
    pub(crate) fn set_stamping(&self, by: &str, settings: &StampSettings, state: &State) -> Result<(), Refusal> {
        settings.policy_der()?;
        if settings.accuracy_ms > 60_000 {
            return Err(Refusal::no("accuracy_ms", "时间精度应不大于 60000 毫秒。"));
        }
        let now = self.clock.now();
        for index in &settings.keys {
            let own = state
                .keys
                .get(index)
                .map(AsRef::as_ref)
                .and_then(ServerKey::certificate);
            let own = own.and_then(|own: &KeyCertificate| own.chain.first());
            let none = || Refusal::no("key_unknown", format!("密钥 {} 不存在或没有证书。", index.0));
            may_stamp(own.ok_or_else(none)?, now)?;
        }
        let text = serde_json::to_string(settings).map_err(|_| Refusal::Damaged("setting"))?;
        self.vault.write(|unit| {
            unit.put_setting(SETTING, &text, now)?;
            unit.log(now, "setting.stamping", by, &text)
        })
    }

    /// Certifies a key for time stamps under the hospital's own authority.
    pub(crate) fn certify_stamp_key(
        &self,
        by: &str,
        key: &ServerKey,
        organisation: &str,
        name: &str,
    ) -> Result<(), Refusal> {
        let now = self.trusted_now()?;
        let kek = self.kek()?;
        let authority = self.authority(&kek, organisation, now)?;
        let public_key = gm::PublicKey::read_spki(&mut gm::der::Reader::new(&key.public_key, "public key"))?;
        let subject = gm::Identity {
            country: "CN".to_owned(),
            organization: organisation.to_owned(),
            unit: "time stamps".to_owned(),
            common_name: name.to_owned(),
            serial_number: format!("key {}", key.index.0),
        };
        let own = authority.issue(&kek, organisation, &subject, &public_key, now, Purpose::TimeStamping)?;
        self.certify_key(by, key.index, &[own, authority.issuing, authority.root])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_read_as_it_is_written() {
        for text in [
            "1.2.3.4.1",
            "2.5.29.32.0",
            "1.2.156.10197.1.501",
            "2.999.4294967295",
            "0.39",
        ] {
            assert_eq!(gm::oid::dotted(&identifier(text).unwrap_or_default()), text);
        }
        for text in ["", "1", "3.1", "1.40", "1.2.", "1.-2", "1.2.4294967296", "a.b"] {
            assert_eq!(identifier(text), None, "{text}");
        }
    }
}
