//! What of certificates is believed, and the code for what is not.

use std::sync::Arc;

use gm::stamp::{Imprint, Token};
use gm::{Certificate, Refused, Trust};
use records::Timestamp;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{Caller, Desk, Service};
use crate::fault::{Code, Fault};
use crate::keys::device;

/// How much of a certificate is looked at (GB/T 38629 `verifyLevel`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Its time alone (level 0).
    Time,
    /// And the signatures up to a root of the application's chains (level 1).
    Chain,
    /// And that nothing on the path is revoked (level 2).
    Revocation,
    /// What the application's policy asks for.
    #[default]
    Policy,
}

impl Level {
    /// By the standard's number.
    #[must_use]
    pub fn numbered(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::Time),
            1 => Some(Self::Chain),
            2 => Some(Self::Revocation),
            _ => None,
        }
    }
}

impl Service {
    /// Verifies a time stamp that a request carries, under the application's chains.
    pub(crate) fn check_stamp(&self, caller: &Caller, token: &[u8], over: &[u8]) -> Result<(), Fault> {
        let now = self.engine.trusted_now()?;
        let trust = self
            .state()
            .trusts
            .get(&caller.application.id)
            .cloned()
            .unwrap_or_default();
        let checked = Token::read(token).and_then(|token| {
            let imprint = Imprint::of(token.info.imprint.hash, over);
            token.verify(&imprint, &trust, now.offset())
        });
        checked
            .map(|_| ())
            .map_err(|reason| Fault::new(Code::StampInvalid, reason.to_string()))
    }
}

impl Desk {
    /// The chains that the policy names.
    pub(super) fn trust(&self) -> Arc<Trust> {
        let own = self.state.trusts.get(&self.application.id);
        own.map(Arc::clone).unwrap_or_default()
    }

    /// The path of a certificate that holds at this level; of one whose time alone is looked at, itself.
    pub(super) fn judge(
        &self,
        certificate: &Certificate,
        others: &[Certificate],
        at: Timestamp,
        level: Level,
    ) -> Result<Vec<Certificate>, Fault> {
        certificate.is_valid_at(at.offset()).map_err(refused)?;
        if level == Level::Time {
            return Ok(vec![certificate.clone()]);
        }
        let path = self.trust().path(certificate, others, at.offset()).map_err(refused)?;
        self.unrevoked(&path, level)?;
        Ok(path)
    }

    /// Nothing on a path is revoked, as far as the level asks.
    pub(super) fn unrevoked(&self, path: &[Certificate], level: Level) -> Result<(), Fault> {
        let known = path.first().map(Certificate::serial_hex).unwrap_or_default();
        match level {
            // Without a list or an answer nothing is proven; who asks for proof is told so.
            Level::Revocation => Err(Fault::new(
                Code::RevocationUnreachable,
                format!("证书 {known} 没有可用的吊销列表"),
            )),
            Level::Time | Level::Chain | Level::Policy => Ok(()),
        }
    }
}

/// The code for what the formats' crate refused.
pub(super) fn refused(refused: Refused) -> Fault {
    if let Refused::Device { code, text } = &refused {
        return device::fault(code, text);
    }
    let code = match &refused {
        Refused::Expired { .. } => Code::CertificateExpired,
        Refused::NotYetValid { .. } => Code::CertificateNotYetValid,
        Refused::Revoked { .. } => Code::CertificateRevoked,
        Refused::StatusUnknown { .. } | Refused::StatusUnproven { .. } | Refused::Evidence(_) => {
            Code::RevocationUnreachable
        }
        Refused::Untrusted | Refused::CertificateSignature { .. } | Refused::NotAnAuthority { .. } => {
            Code::ChainUnknown
        }
        Refused::WrongUsage => Code::WrongUsage,
        Refused::SignedInFuture => Code::SignedInFuture,
        Refused::SignatureInvalid | Refused::DigestMismatch => Code::SignatureInvalid,
        Refused::SignerCertificateMissing => Code::Certificate,
        Refused::UnknownSignature(_)
        | Refused::UnknownDigest(_)
        | Refused::UnknownKey(_)
        | Refused::WrongAlgorithm
        | Refused::MixedAlgorithms
        | Refused::DigestOnly => Code::SignMethod,
        Refused::TooLarge { .. } => Code::TooLarge,
        Refused::Randomness => Code::Internal,
        _ => Code::DataFormat,
    };
    Fault::new(code, refused.to_string())
}

/// The code for what the XML crate refused.
pub(super) fn xml_refused(reason: xmldsig::Refused) -> Fault {
    use xmldsig::Refused as Xml;
    let code = match reason {
        Xml::Key(inner) => return refused(inner),
        Xml::TooLarge(_) => Code::TooLarge,
        Xml::Algorithm(_) => Code::SignMethod,
        Xml::DigestMismatch(_) | Xml::SignatureInvalid => Code::SignatureInvalid,
        Xml::CertificateMissing | Xml::CertificateAmbiguous | Xml::OtherCertificate => Code::Certificate,
        _ => Code::DataFormat,
    };
    Fault::new(code, reason.to_string())
}
