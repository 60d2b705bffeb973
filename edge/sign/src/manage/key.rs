//! Requests with which an authority certifies a server key (PKCS#10, RFC 2986).

use gm::Identity;
use gm::certificate::{Extras, Purpose};
use gm::csr::Request;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::Refusal;
use crate::application::KeyIndex;
use crate::engine::Engine;
use crate::keys::{KeyAlgorithm, KeyState, open};

/// Who the certificate is to be for.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Subject {
    /// The hospital.
    organization: String,
    /// The department; may be empty.
    #[serde(default)]
    unit: String,
    /// The name.
    common_name: String,
}

impl Engine {
    /// A request signed by the key itself.
    pub(crate) fn key_request(&self, by: &str, index: KeyIndex, subject: &Subject) -> Result<Request, Refusal> {
        let subject = identity(subject)?;
        let row = self.vault.read(|unit| {
            let row = unit.keys()?.into_iter().find(|row| row.index == index.0);
            row.ok_or_else(|| Refusal::no("key_unknown", format!("没有索引为 {} 的密钥。", index.0)))
        })?;
        if KeyState::named(&row.state) == Some(KeyState::Destroyed) {
            return Err(Refusal::no("key_state", "密钥已销毁。"));
        }
        if row.wrapped.is_none() {
            return Err(Refusal::no(
                "key_custody",
                "密钥在密码设备中，请用设备的工具生成证书请求。",
            ));
        }
        let algorithm = KeyAlgorithm::named(&row.algorithm).ok_or(Refusal::Damaged("key algorithm"))?;
        let signer = open(&row, algorithm, &self.kek()?)?;
        let request = Request::make(&subject, &*signer, Purpose::Documents, &Extras::default())?;
        let now = self.clock.now();
        let detail = format!("key {} {}", index.0, subject.common_name);
        self.vault.write(|unit| unit.log(now, "key.requested", by, &detail))?;
        Ok(request)
    }
}

fn identity(subject: &Subject) -> Result<Identity, Refusal> {
    let fits =
        |text: &str, least: usize| (least..=64).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if !(fits(&subject.organization, 1) && fits(&subject.unit, 0) && fits(&subject.common_name, 1)) {
        return Err(Refusal::no(
            "subject",
            "单位和名称应为 1 至 64 个字，部门最多 64 个字。",
        ));
    }
    Ok(Identity {
        country: "CN".to_owned(),
        organization: subject.organization.clone(),
        unit: subject.unit.clone(),
        common_name: subject.common_name.clone(),
        ..Identity::default()
    })
}
