//! Whether the certificates of a signature were revoked, and what the public is told of it: the same words for the hospital's
//! seal and for each person's signature.
//!
//! A signature is judged at the time it was made, as its time stamp proves or, without one, as it says itself: a
//! certificate that was revoked later leaves it valid, unless others may have had the key (RFC 5280 5.3.1).

use std::time::Duration;

use gm::cms::Verified;
use gm::evidence::{Moment, Unfit};
use gm::stamp::{Imprint, Stamped, Token, Unsigned};
use gm::trust::{self, By, Failure, Rule, Stapled};
use gm::{Certificate, Refused, Trust};
use records::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::signing::Anchors;

/// The clock of who stamps may go so much after that of who signs.
const SKEW: Duration = Duration::from_secs(300);

/// What is told of: the words differ by it, not what they say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// The hospital's seal.
    Seal,
    /// A doctor.
    Doctor,
    /// A pharmacist.
    Pharmacist,
}

impl Whose {
    /// By the role that a signature was kept with.
    pub(super) fn of(role: &str) -> Self {
        match role {
            "pharmacist" => Self::Pharmacist,
            _ => Self::Doctor,
        }
    }

    /// Who is meant.
    pub(super) const fn person(self) -> &'static str {
        match self {
            Self::Seal => "医院",
            Self::Doctor => "医师",
            Self::Pharmacist => "药师",
        }
    }

    const fn certificate(self) -> &'static str {
        match self {
            Self::Seal => "签章证书",
            Self::Doctor => "医师证书",
            Self::Pharmacist => "药师证书",
        }
    }

    const fn signature(self) -> &'static str {
        match self {
            Self::Seal => "签章",
            Self::Doctor | Self::Pharmacist => "签名",
        }
    }
}

/// What lists and answers say of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Not revoked, by evidence of this time (the oldest that was needed).
    Good(Timestamp),
    /// Revoked after the signature was made.
    Later {
        /// Since when.
        since: Timestamp,
        /// A time stamp proves that the signature was there before; else it only says so itself.
        proven: bool,
    },
    /// Nobody says anything that would do.
    Unproven {
        /// There is a list, and a newer one was due then.
        due: Option<Timestamp>,
    },
    /// Revoked: the signature does not count.
    Revoked {
        /// Since when.
        since: Timestamp,
        /// It was revoked when the signature was made; else later, for a key that others may have had.
        before: bool,
        /// Which certificate.
        link: Link,
    },
}

/// A certificate that a signature stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// The signer's own.
    Own,
    /// Of an authority above it.
    Authority,
    /// Of who stamped its time.
    Stamp,
}

/// Whether a signature's certificates were revoked, for the public.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = CertificateRevocation)]
pub(crate) struct Revocation {
    /// `good`, `revoked` or `unproven`.
    pub(crate) state: String,
    /// The same in words.
    pub(crate) text: String,
}

impl State {
    /// In words.
    pub(super) fn told(self, whose: Whose) -> Revocation {
        let (certificate, signature) = (whose.certificate(), whose.signature());
        let (state, text) = match self {
            Self::Good(by) => {
                let by = by.local_text();
                let text = format!("已核对吊销列表：{certificate}没有被吊销（列表签发于{by}）");
                ("good", text)
            }
            Self::Later { since, proven: true } => {
                let since = since.local_text();
                let text = format!("{certificate}后来于{since}被吊销；时间戳证明{signature}在此之前已经作出，仍然有效");
                ("good", text)
            }
            Self::Later { since, proven: false } => {
                let since = since.local_text();
                let text = format!(
                    "{certificate}后来于{since}被吊销；{signature}记载的时间在此之前，但没有时间戳证明，请向医院核实"
                );
                ("unproven", text)
            }
            Self::Unproven { due: None } => {
                let text = format!("没有可用的吊销列表：未能核对{certificate}是否已被吊销，{signature}本身有效");
                ("unproven", text)
            }
            Self::Unproven { due: Some(due) } => {
                let due = due.local_text();
                let text = format!(
                    "吊销列表已过期（应于{due}前更新）：未能核对{certificate}是否已被吊销，{signature}本身有效"
                );
                ("unproven", text)
            }
            Self::Revoked { since, before, link } => {
                let since = since.local_text();
                let which = match link {
                    Link::Own => certificate.to_owned(),
                    Link::Authority => format!("{certificate}的颁发机构证书"),
                    Link::Stamp => format!("{signature}的时间戳证书"),
                };
                let why = if before {
                    format!("早于{signature}时间")
                } else {
                    "密钥可能已被他人掌握".to_owned()
                };
                let text = format!("{which}已于{since}被吊销（{why}），{signature}不再可信");
                ("revoked", text)
            }
        };
        Revocation {
            state: state.to_owned(),
            text,
        }
    }
}

/// A signature whose revocation is asked about.
pub(super) struct Asked<'a> {
    /// From the signer to the root.
    pub(super) path: &'a [Certificate],
    /// When it says that it was made.
    pub(super) said: Option<Timestamp>,
    /// Its proven time.
    pub(super) stamp: Option<&'a Stamped>,
    /// Lists and answers, of the message and of the hospital's authorities.
    pub(super) evidence: &'a Stapled,
}

/// Judges a signature and its time stamp at the time it was made.
///
/// # Errors
/// When a responder says that it does not know a certificate.
pub(super) fn judge(asked: &Asked<'_>, (people, stampers): (&Trust, &Trust), now: Timestamp) -> Result<State, Refused> {
    let present = now.offset();
    let stamp = match asked.stamp {
        Some(stamp) => Some((stamp, look_at_stamp(stampers, stamp, asked.evidence, now)?)),
        None => None,
    };
    if let Some((_, State::Revoked { since, before, .. })) = stamp {
        let link = Link::Stamp;
        return Ok(State::Revoked { since, before, link });
    }
    let at = match stamp {
        Some((stamp, _)) => stamp.latest(),
        None => asked.said.map_or(present, Timestamp::offset),
    };
    let own = look(people, asked.path, asked.evidence, Moment { at, now: present })?;
    Ok(match (own, stamp.map(|(_, said)| said)) {
        (State::Later { since, .. }, stamp) => State::Later {
            since,
            proven: stamp.is_some(),
        },
        (State::Good(own), Some(State::Good(stamp))) => State::Good(own.min(stamp)),
        (State::Good(_), Some(State::Unproven { due })) => State::Unproven { due },
        (own, _) => own,
    })
}

/// What is known of who stamped a time.
fn look_at_stamp(stampers: &Trust, stamp: &Stamped, evidence: &Stapled, now: Timestamp) -> Result<State, Refused> {
    let moment = Moment {
        at: stamp.latest(),
        now: now.offset(),
    };
    look(stampers, &stamp.path, evidence, moment)
}

/// What is known of a path at a moment, and whether a certificate of it was revoked since.
fn look(trust: &Trust, path: &[Certificate], evidence: &Stapled, moment: Moment) -> Result<State, Refused> {
    let rule = Rule {
        by: By::Either,
        failure: Failure::Soft,
    };
    let opened = evidence.open(path, trust.authorities());
    let then = trust.judge(path, rule, &opened.evidence(), moment);
    let mut oldest: Option<Timestamp> = None;
    let mut missing = None;
    for (place, one) in then.checked.iter().enumerate() {
        match &one.finding {
            trust::Finding::Revoked(revoked, _) => {
                return Ok(State::Revoked {
                    since: Timestamp::from_offset(revoked.at),
                    before: revoked.at <= moment.at,
                    link: if place == 0 { Link::Own } else { Link::Authority },
                });
            }
            trust::Finding::Good(
                trust::Source::Crl { this_update: at, .. } | trust::Source::Ocsp { produced_at: at, .. },
            ) => {
                let at = Timestamp::from_offset(*at);
                oldest = Some(oldest.map_or(at, |known| known.min(at)));
            }
            trust::Finding::Unproven(reasons) => {
                missing.get_or_insert_with(|| due(reasons));
            }
            trust::Finding::NotAsked | trust::Finding::Unknown(_) => {}
        }
    }
    then.verdict?;
    if let Some(due) = missing {
        return Ok(State::Unproven { due });
    }
    let since = later(trust, path, &opened.evidence(), (rule, moment));
    Ok(match (since, oldest) {
        (Some(since), _) => State::Later { since, proven: false },
        (None, Some(oldest)) => State::Good(oldest),
        (None, None) => State::Unproven { due: None },
    })
}

/// Since when a certificate of a path is revoked that was not at the moment.
fn later(
    trust: &Trust,
    path: &[Certificate],
    evidence: &trust::Evidence<'_>,
    (rule, moment): (Rule, Moment),
) -> Option<Timestamp> {
    let present = Moment::present(moment.now);
    let judged = trust.judge(path, rule, evidence, present);
    judged.checked.into_iter().find_map(|one| match one.finding {
        trust::Finding::Revoked(revoked, _) => Some(Timestamp::from_offset(revoked.at)),
        _ => None,
    })
}

/// When the newest of the lists that are too old should have been replaced.
fn due(reasons: &[Refused]) -> Option<Timestamp> {
    let stale = reasons.iter().filter_map(|reason| match reason {
        Refused::Evidence(Unfit::Stale { since, .. }) => Some(Timestamp::from_offset(*since)),
        _ => None,
    });
    stale.max()
}

/// What is known of a person's signature besides that it holds.
pub(super) struct Known {
    /// The time that its time stamp proves.
    pub(super) stamped_at: Option<Timestamp>,
    /// Whether its certificates were revoked.
    pub(super) state: Result<State, Refused>,
}

/// Looks at a signature that holds. A stamp that does not hold proves nothing and spoils nothing: anybody could put it there.
pub(super) fn of_person(message: &[u8], seen: &Verified, anchors: &Anchors, lists: &Stapled, now: Timestamp) -> Known {
    let said = Timestamp::from_offset(seen.signing_time);
    let (signature, tokens, beside) = match Unsigned::read(message) {
        Ok(unsigned) => (unsigned.signature, unsigned.stamps, unsigned.evidence),
        Err(_) => Default::default(),
    };
    let mut evidence = beside.unwrap_or_default();
    evidence.crls.extend(lists.crls.iter().cloned());
    evidence.answers.extend(lists.answers.iter().cloned());
    let held = tokens.iter().filter_map(|token| {
        let token = Token::read(token).ok()?;
        let imprint = Imprint::of(token.info.imprint.hash, &signature);
        let stamp = token.verify(&imprint, &anchors.seals, now.offset()).ok()?;
        // Others may have the key of who stamped it.
        let revoked = look_at_stamp(&anchors.seals, &stamp, &evidence, now);
        (!matches!(revoked, Ok(State::Revoked { .. }) | Err(_))).then_some(stamp)
    });
    // The earliest proves most.
    let earliest = held.min_by_key(Stamped::latest);
    let stamp = earliest.filter(|stamp| said <= Timestamp::from_offset(stamp.latest()).plus(SKEW));
    let asked = Asked {
        path: &seen.path,
        said: Some(said),
        stamp: stamp.as_ref(),
        evidence: &evidence,
    };
    Known {
        state: judge(&asked, (&anchors.signers, &anchors.seals), now),
        stamped_at: stamp.as_ref().map(|stamp| Timestamp::from_offset(stamp.info.at)),
    }
}
