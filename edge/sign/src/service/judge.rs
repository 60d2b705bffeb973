//! What of certificates is believed, and the code for what is not.

use std::sync::Arc;

use gm::evidence::Moment;

use gm::stamp::{Imprint, Token};
use gm::trust::Stapled;
use gm::{Certificate, Refused, Trust};
use records::Timestamp;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{Caller, Desk, Service};
use crate::application::KeyIndex;
use crate::fault::{Code, Fault};
use crate::keys::device;
use crate::revocation::{Look, States, rule};

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
    /// Judges the certificate of a key here, so that its evidence can be kept with a signature.
    pub(crate) async fn judge_own(self: &Arc<Self>, caller: &Caller, key: KeyIndex) -> Result<States, Fault> {
        self.perform(caller, "certificate.judged", None, 0, move |desk| {
            let states = desk.own_states(key)?;
            Ok((states, format!("key {}", key.0)))
        })
        .await
    }

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
    pub(crate) fn trust(&self) -> Arc<Trust> {
        let own = self.state.trusts.get(&self.application.id);
        own.map(Arc::clone).unwrap_or_default()
    }

    /// The path of a certificate that holds at this level; of one whose time alone is looked at, itself. States are those
    /// of now: a date that nobody proves is no reason to forgive a revocation.
    pub(super) fn judge(
        &self,
        certificate: &Certificate,
        others: &[Certificate],
        at: Timestamp,
        level: Level,
    ) -> Result<(Vec<Certificate>, States), Fault> {
        certificate.is_valid_at(at.offset()).map_err(refused)?;
        if level == Level::Time {
            return Ok((vec![certificate.clone()], States::default()));
        }
        let path = self.trust().path(certificate, others, at.offset()).map_err(refused)?;
        let states = self.unrevoked(&path, level)?;
        Ok((path, states))
    }

    /// Nothing on a path is revoked now, as far as the level asks.
    pub(crate) fn unrevoked(&self, path: &[Certificate], level: Level) -> Result<States, Fault> {
        self.unrevoked_at(path, level, None, None)
    }

    /// The same at a proven time, by evidence that came with the signature, too.
    pub(super) fn unrevoked_at(
        &self,
        path: &[Certificate],
        level: Level,
        proven: Option<Timestamp>,
        stapled: Option<Arc<Stapled>>,
    ) -> Result<States, Fault> {
        let look = Look {
            path: path.to_vec(),
            trust: self.trust(),
            rule: rule(&self.application.policy, level),
            moment: Moment {
                at: proven.unwrap_or(self.now).offset(),
                now: self.now.offset(),
            },
            stapled,
        };
        self.revocation
            .judge_at_hand(&self.state, look, &self.lists, &self.open)
    }

    /// The states of our own certificate's path, whatever the application's chains.
    fn own_states(&self, index: KeyIndex) -> Result<States, Fault> {
        let key = self.state.keys.get(&index).ok_or(Code::KeyIndex)?;
        let chain = &key.certificate().ok_or(Code::Certificate)?.chain;
        let (own, above) = chain.split_first().ok_or(Code::Certificate)?;
        let roots = above.iter().filter(|one| one.is_self_issued()).map(|one| &one.der);
        let trust = Trust::new(roots).map_err(refused)?;
        let path = trust.path(own, above, self.now.offset()).map_err(refused)?;
        let look = Look {
            path,
            trust: Arc::new(trust),
            rule: rule(&self.application.policy, Level::Revocation),
            moment: Moment::present(self.now.offset()),
            stapled: None,
        };
        self.revocation
            .judge_at_hand(&self.state, look, &self.lists, &self.open)
    }
}

/// The code for what the formats' crate refused.
pub(crate) fn refused(refused: Refused) -> Fault {
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
