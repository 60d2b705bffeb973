//! Requests with which an authority certifies a server key (PKCS#10, RFC 2986), signed by the key itself wherever it is kept.

use gm::Identity;
use gm::certificate::{Extras, Purpose};
use gm::csr::Request;
use serde::Deserialize;
use utoipa::ToSchema;

use super::device::DeviceSigner;
use super::{KeyAlgorithm, KeyPurpose, KeyState, SharedSigner, TPM, open};
use crate::Refusal;
use crate::application::KeyIndex;
use crate::engine::Engine;
use crate::vault::KeyRow;

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
        let row = self.key_row(index)?;
        if KeyState::named(&row.state) == Some(KeyState::Destroyed) {
            return Err(Refusal::no("key_state", "密钥已销毁。"));
        }
        if KeyPurpose::named(&row.purpose) == Some(KeyPurpose::Encrypt) {
            let text = "加密密钥不能签名，其证书随密钥由 CA 签发，或由本机构 CA 签发。";
            return Err(Refusal::no("key_purpose", text));
        }
        let signer = self.opened(&row)?;
        let request = Request::make(&subject, &*signer, Purpose::Documents, &Extras::default())?;
        let now = self.clock.now();
        let detail = format!("key {} {}", index.0, subject.common_name);
        self.vault.write(|unit| unit.log(now, "key.requested", by, &detail))?;
        Ok(request)
    }

    pub(super) fn key_row(&self, index: KeyIndex) -> Result<KeyRow, Refusal> {
        self.vault.read(|unit| {
            let row = unit.keys()?.into_iter().find(|row| row.index == index.0);
            row.ok_or_else(|| super::act::unknown(index))
        })
    }

    /// The private half of a key, wherever it is kept.
    pub(super) fn opened(&self, row: &KeyRow) -> Result<SharedSigner, Refusal> {
        if row.custody == TPM {
            let algorithm = KeyAlgorithm::named(&row.algorithm).ok_or(Refusal::Damaged("key algorithm"))?;
            return open(row, algorithm, &self.kek()?);
        }
        let held = self.devices.named(&row.custody)?;
        Ok(std::sync::Arc::new(DeviceSigner::new(
            held,
            &row.reference,
            &row.public_key,
        )?))
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
