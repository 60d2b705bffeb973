//! Reads the seal of a PDF: the newest signature of the file must cover every byte of it ([`gm::pdf`] accepts one shape only),
//! lead to the hospital's root, and carry a time stamp that holds where it carries one. Whether its certificate was
//! revoked is judged at the stamped time by the lists in the file and those of the hospital's authority.

use gm::evidence::Moment;
use gm::pdf::{self, Finding, Found, Verdict};
use gm::stamp::{Stamped, Unsigned};
use gm::trust::{self, By, Failure, Rule, Stapled};
use gm::{Certificate, Refused, Trust};
use records::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// What a file says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seal {
    /// The hospital's seal holds over every byte.
    Valid {
        /// The time that its time stamp proves; older files have none.
        stamped_at: Option<Timestamp>,
        /// Whether its certificates were revoked, as far as anybody says.
        revocation: Revocation,
    },
    /// There is a seal, and it does not hold: for a person.
    Broken(String),
    /// Its certificate was revoked: for a person.
    Revoked(String),
    /// No seal of our shape.
    Absent,
}

/// What lists and answers say of a seal that is not revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Revocation {
    /// Not revoked, by evidence of this time (the oldest that was needed).
    Good(Timestamp),
    /// Nobody says anything that would do.
    Unproven,
}

/// Whether the seal's certificate was revoked, and what was looked at.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct SealRevocation {
    /// `good`, `revoked` or `unproven`.
    pub(crate) state: String,
    /// The same in words.
    pub(crate) text: String,
}

impl SealRevocation {
    /// Of a seal; none where there is no seal to ask about.
    pub(crate) fn of(seal: &Seal) -> Option<Self> {
        let (state, text) = match seal {
            Seal::Valid { revocation, .. } => match revocation {
                Revocation::Good(at) => {
                    let text = format!("已核对吊销列表：签章证书没有被吊销（列表签发于{}）", at.local_text());
                    ("good", text)
                }
                Revocation::Unproven => {
                    let text = "没有可用的吊销列表：未能核对签章证书是否已被吊销，签章和时间戳本身有效";
                    ("unproven", text.to_owned())
                }
            },
            Seal::Revoked(text) => ("revoked", text.clone()),
            Seal::Broken(_) | Seal::Absent => return None,
        };
        Some(Self {
            state: state.to_owned(),
            text,
        })
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
    let proven = stamp.as_deref().map(Stamped::latest);
    let moment = Moment {
        at: proven.or(at).unwrap_or(now.offset()),
        now: now.offset(),
    };
    let mut states = vec![judge(trust, &signature.path, &evidence, moment)];
    states.extend(
        stamp
            .as_deref()
            .map(|stamp| judge(trust, &stamp.path, &evidence, moment)),
    );
    let mut oldest = None;
    for (state, whose) in states.into_iter().zip(["签章证书", "签章的时间戳证书"]) {
        match state {
            Ok(Some(at)) => oldest = Some(oldest.map_or(at, |known: Timestamp| known.min(at))),
            Ok(None) => {
                return Seal::Valid {
                    stamped_at: stamp.map(|stamp| Timestamp::from_offset(stamp.info.at)),
                    revocation: Revocation::Unproven,
                };
            }
            Err(Refused::Revoked { since, .. }) => {
                let since = Timestamp::from_offset(since).local_text();
                return Seal::Revoked(format!("{whose}已于{since}被吊销，签章不再可信"));
            }
            Err(reason) => return Seal::Broken(reason.person().to_owned()),
        }
    }
    Seal::Valid {
        stamped_at: stamp.map(|stamp| Timestamp::from_offset(stamp.info.at)),
        revocation: oldest.map_or(Revocation::Unproven, Revocation::Good),
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

/// When the evidence was issued by which no certificate of a path is revoked; `None` where one has none that would do.
///
/// # Errors
/// One is revoked.
fn judge(
    trust: &Trust,
    path: &[Certificate],
    evidence: &Stapled,
    moment: Moment,
) -> Result<Option<Timestamp>, Refused> {
    let rule = Rule {
        by: By::Either,
        failure: Failure::Soft,
    };
    let judged = trust.judge_stapled(path, rule, evidence, moment);
    judged.verdict?;
    let mut oldest: Option<Timestamp> = None;
    for one in judged.checked {
        let issued = match one.finding {
            trust::Finding::Good(trust::Source::Crl { this_update, .. }) => this_update,
            trust::Finding::Good(trust::Source::Ocsp { produced_at, .. }) => produced_at,
            trust::Finding::NotAsked => continue,
            _ => return Ok(None),
        };
        let issued = Timestamp::from_offset(issued);
        oldest = Some(oldest.map_or(issued, |known| known.min(issued)));
    }
    Ok(oldest)
}
