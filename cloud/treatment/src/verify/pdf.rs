//! Reads the seal of a PDF: the newest signature of the file must cover every byte of it ([`gm::pdf`] accepts one shape only),
//! lead to the hospital's root, and carry a time stamp that holds where it carries one. Whether its certificate was
//! revoked is judged at the stamped time by the lists in the file and those of the hospital's authority.

use gm::pdf::{self, Finding, Found, Verdict};
use gm::stamp::Unsigned;
use gm::trust::Stapled;
use gm::{Refused, Trust};
use records::Timestamp;

use super::revocation::{self, Asked, Revocation, State, Whose};

/// What a file says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seal {
    /// The hospital's seal holds over every byte.
    Valid {
        /// The time that its time stamp proves; older files have none.
        stamped_at: Option<Timestamp>,
        /// Whether its certificates were revoked, as far as anybody says.
        revocation: State,
    },
    /// There is a seal, and it does not hold: for a person.
    Broken(String),
    /// Its certificate was revoked.
    Revoked(State),
    /// No seal of our shape.
    Absent,
}

impl Seal {
    /// Whether its certificate was revoked; none where there is no seal to ask about.
    pub(crate) fn revocation(&self) -> Option<Revocation> {
        match self {
            Self::Valid { revocation, .. } | Self::Revoked(revocation) => Some(revocation.told(Whose::Seal)),
            Self::Broken(_) | Self::Absent => None,
        }
    }
}

/// Checks the seal of a file. `lists`: of the hospital's authorities, besides those in the file.
pub(crate) fn check(file: &[u8], trust: &Trust, lists: &Stapled, now: Timestamp) -> Seal {
    let newest = match pdf::verify(file, trust, trust, now.offset()) {
        Ok(all) => all.into_iter().next_back(),
        Err(refused) => return Seal::Broken(refused.person().to_owned()),
    };
    let Some(newest) = newest else {
        return Seal::Absent;
    };
    for finding in &newest.findings {
        match finding {
            Finding::UpdatedAfter(_) | Finding::CoveredByLater => {
                return Seal::Broken("文件在盖章之后被修改过".to_owned());
            }
            Finding::StampRefused(reason) => {
                return Seal::Broken(format!("签章的时间戳无效：{}", reason.person()));
            }
            Finding::NotStamped => {}
        }
    }
    let (signature, at, stamp) = match newest.verdict {
        Ok(Verdict::Signed { signature, at, stamp }) => (signature, at, stamp),
        Ok(Verdict::Stamped(_)) => return Seal::Absent,
        Err(reason) => return Seal::Broken(reason.person().to_owned()),
    };
    let evidence = match evidence(newest.found.as_ref(), lists) {
        Ok(evidence) => evidence,
        Err(reason) => return Seal::Broken(reason.person().to_owned()),
    };
    let stamped_at = stamp.as_deref().map(|stamp| Timestamp::from_offset(stamp.info.at));
    let asked = Asked {
        path: &signature.path,
        said: at.map(Timestamp::from_offset),
        stamp: stamp.as_deref(),
        evidence: &evidence,
    };
    match revocation::judge(&asked, (trust, trust), now) {
        Ok(revoked @ State::Revoked { .. }) => Seal::Revoked(revoked),
        Ok(revocation) => Seal::Valid { stamped_at, revocation },
        Err(reason) => Seal::Broken(reason.person().to_owned()),
    }
}

/// What was put beside the signature, and what the hospital's authority says.
fn evidence(found: Option<&Found>, lists: &Stapled) -> Result<Stapled, Refused> {
    let beside = found.map(|found| Unsigned::read(&found.message)).transpose()?;
    let mut evidence = beside.and_then(|beside| beside.evidence).unwrap_or_default();
    evidence.crls.extend(lists.crls.iter().cloned());
    evidence.answers.extend(lists.answers.iter().cloned());
    Ok(evidence)
}
