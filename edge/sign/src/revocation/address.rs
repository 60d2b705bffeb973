//! Where verifiers find the lists of our own authority.

use std::sync::{PoisonError, RwLock};

use gm::{Certificate, Particulars};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Revocation;
use crate::Refusal;

/// Characters of an address, at most: it stands in every certificate.
const LONGEST: usize = 200;

/// Publishing what our own authority revokes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnLists {
    /// Where verifiers reach the lists, without `/crl/…`: goes as distribution point into every certificate issued from
    /// then on (RFC 5280 4.2.1.13). Without it, what the settings of the start say.
    #[serde(default)]
    #[schema(example = "http://sign.hospital.cn:8480", max_length = 200)]
    pub address: Option<String>,
}

impl OwnLists {
    /// As it is kept: an address of the web without a slash at its end, or none.
    pub(crate) fn checked(&self) -> Result<Self, Refusal> {
        let Some(address) = self.address.as_deref().map(str::trim).filter(|text| !text.is_empty()) else {
            return Ok(Self::default());
        };
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"?#\"<>@\\".contains(&byte);
        let url = reqwest::Url::parse(address)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host() && url.username().is_empty());
        if url.is_none() || address.len() > LONGEST || !address.bytes().all(plain) {
            let text = "吊销列表的发布地址应为 http:// 或 https:// 开头的地址，不含空格和参数，最长 200 个字符。";
            return Err(Refusal::no("revocation_address", text));
        }
        Ok(Self {
            address: Some(address.trim_end_matches('/').to_owned()),
        })
    }
}

/// The address in force: what an administrator said, else what the settings of the start say.
#[derive(Debug, Default)]
pub(crate) struct ListAddress {
    of_start: Option<String>,
    said: RwLock<Option<String>>,
}

impl ListAddress {
    pub(crate) fn starting_with(of_start: Option<String>) -> Self {
        Self {
            of_start,
            said: RwLock::default(),
        }
    }

    /// Takes what an administrator said into force.
    pub(crate) fn put(&self, said: &OwnLists) {
        self.said
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .clone_from(&said.address);
    }

    /// An administrator said it.
    pub(crate) fn is_said(&self) -> bool {
        self.said.read().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    pub(crate) fn in_force(&self) -> Option<String> {
        let said = self.said.read().unwrap_or_else(PoisonError::into_inner);
        said.clone().or_else(|| self.of_start.clone())
    }
}

impl Revocation {
    /// Addresses of lists and deltas in a certificate; not those of our own lists, which lie here whatever address they
    /// were published under when the certificate was issued.
    pub(super) fn addresses(&self, certificate: &Certificate) -> Vec<String> {
        let Ok(particulars) = Particulars::of(certificate) else {
            return Vec::new();
        };
        let mut all = [particulars.crls, particulars.delta_crls].concat();
        let lists = self.lists();
        all.retain(|address| match named(address) {
            None => true,
            Some(issuer) => lists
                .all()
                .filter(|kept| kept.own.is_some())
                .all(|own| gm::key::sha256(&own.crl.issuer().der) != issuer),
        });
        all
    }
}

/// The issuer that an address of a list of ours names.
fn named(address: &str) -> Option<[u8; 32]> {
    let (_, name) = address.rsplit_once("/crl/")?;
    let mut issuer = [0; 32];
    hex::decode_to_slice(name.strip_suffix(".crl")?, &mut issuer).ok()?;
    Some(issuer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(address: &str) -> Result<Option<String>, Refusal> {
        let said = OwnLists {
            address: Some(address.to_owned()),
        };
        said.checked().map(|said| said.address)
    }

    #[test]
    fn only_plain_addresses_of_the_web_are_published() {
        for (address, kept) in [
            ("http://sign.hospital.cn:8480", "http://sign.hospital.cn:8480"),
            (" https://[2001:db8::7]/lists/ ", "https://[2001:db8::7]/lists"),
            ("http://10.0.0.7//", "http://10.0.0.7"),
        ] {
            assert_eq!(checked(address).expect(address).as_deref(), Some(kept));
        }
        assert_eq!(checked("  ").expect("none"), None);
        let long = format!("http://{}.cn", "a".repeat(200));
        for address in [
            "http://",
            "http:///",
            "ftp://a.cn",
            "a.cn",
            "http://a.cn/?x",
            "http://a.cn/#x",
            "http://a b.cn",
            "http://名.cn",
            "http://user:word@a.cn",
            "http://a\".cn",
            "http://a.cn:99999",
            &long,
        ] {
            assert!(checked(address).is_err(), "{address}");
        }
    }

    #[test]
    fn said_here_goes_before_the_settings_of_the_start() {
        let address = ListAddress::starting_with(Some("http://file".to_owned()));
        assert_eq!(address.in_force().as_deref(), Some("http://file"));
        address.put(&OwnLists {
            address: Some("http://page".to_owned()),
        });
        assert_eq!(address.in_force().as_deref(), Some("http://page"));
        address.put(&OwnLists::default());
        assert_eq!(address.in_force().as_deref(), Some("http://file"));
    }
}
