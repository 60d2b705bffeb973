//! What this server is called in requests that are signed with a key.
//!
//! Paired servers know the same request keys, and each remembers for itself what it has accepted: what somebody took down on
//! its way to one of them would be accepted by the other as well. So a signed request says for which server it is, and no
//! other one accepts it (`other_server`).
//!
//! **Its own name**, `srv_` and 16 hexadecimal digits, is made at random at the first start and belongs to this server
//! alone: it travels neither to followers nor in backups. It is told by `/ready` (header `server-name`), by the refusal
//! (header `sign-for`) and on the management page; being told a wrong one gains nobody anything, for one request names one
//! server, and is accepted by that one, once.
//!
//! **The common name** ([`crate::config::ServiceConfig::common_name`]) is for applications that reach the servers through a
//! balancer and cannot know which one will answer. What is signed for it is accepted once *by each* server that has it.

use records::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::vault::{Unit, Vault};
use crate::{Refusal, wrap};

/// Own names begin so; common ones do not.
const OWN: &str = "srv_";
/// Random bytes of an own name.
const BYTES: usize = 8;
/// Letters of a common name at most: a host name's.
const MOST: usize = 253;
/// The setting that keeps the own name.
const SETTING: &str = "server_name";

/// A server's name in signed requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct ServerName(String);

impl ServerName {
    /// A name that several servers share: a host name's letters, and nobody's own name.
    pub fn common(text: &str) -> Result<Self, Refusal> {
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        let fits = (1..=MOST).contains(&text.len()) && text.bytes().all(letter) && !text.starts_with(OWN);
        if !fits {
            let text = format!(
                "service.common_name 应为 1 至 {MOST} 个字母、数字、“.”、“-”或“_”，且不以 {OWN} 开头，例如 sign.hospital.cn。"
            );
            return Err(Refusal::no("common_name", text));
        }
        Ok(Self(text.to_owned()))
    }

    fn make() -> Result<Self, Refusal> {
        Ok(Self(format!("{OWN}{}", hex::encode(wrap::random::<BYTES>()?))))
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for ServerName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The names for which requests are accepted here.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    /// This server's alone.
    pub(crate) own: ServerName,
    /// Shared with others behind a balancer.
    pub(crate) common: Option<ServerName>,
}

impl Names {
    /// As they are kept; the first start makes the own name.
    pub(crate) fn load(vault: &Vault, common: Option<ServerName>, now: Timestamp) -> Result<Self, Refusal> {
        let kept = vault.read(|unit| unit.setting(SETTING))?;
        let own = match kept {
            Some(name) => ServerName(name),
            None => vault.write(|unit| first(unit, now))?,
        };
        Ok(Self { own, common })
    }

    /// Whether a request that is signed for this name is for this server.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.own.0 == name || self.common.as_ref().is_some_and(|common| common.0 == name)
    }
}

fn first(unit: &Unit<'_>, now: Timestamp) -> Result<ServerName, Refusal> {
    let name = ServerName::make()?;
    unit.put_setting(SETTING, &name.0, now)?;
    unit.log(now, "server.named", "signd", &name.0)?;
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_795_000_000);

    #[test]
    fn a_server_keeps_its_name_and_no_other_has_it() {
        let dir = tempfile::tempdir().expect("dir");
        let open = |name: &str| Vault::open(&dir.path().join(name)).expect("vault");
        let load = |vault: &Vault| Names::load(vault, None, NOW).expect("names").own;
        let (one, other) = (open("one.db"), open("other.db"));
        let name = load(&one);
        assert_eq!(load(&one), name);
        drop(one);
        assert_eq!(load(&open("one.db")), name, "after a restart");
        assert_ne!(load(&other), name);
        assert!(
            !crate::settings::CARRIED.contains(&SETTING),
            "a backup does not carry it"
        );
    }

    #[test]
    fn a_common_name_is_a_host_name_and_nobodys_own() {
        let dir = tempfile::tempdir().expect("dir");
        let vault = Vault::open(&dir.path().join("signd.db")).expect("vault");
        let common = ServerName::common("sign.hospital.cn").expect("name");
        let names = Names::load(&vault, Some(common), NOW).expect("names");
        assert!(names.has("sign.hospital.cn") && names.has(names.own.as_str()));
        assert!(!names.has("") && !names.has("sign.other.cn"));
        for wrong in ["", "a b", "签名", "a,b", "a\nb", names.own.as_str(), &"a".repeat(254)] {
            assert!(ServerName::common(wrong).is_err(), "{wrong}");
        }
    }
}
