//! The state of every certificate on a path, by the rule of an application and the evidence at hand.

use std::sync::Arc;

use time::OffsetDateTime;

use super::Trust;
use crate::crl::{Crl, Number};
use crate::evidence::{Kind, Moment, Revoked, Status, Unfit};
use crate::ocsp::Answer;
use crate::{Certificate, Identity, Refused};

/// What must prove that a certificate is not revoked (验证策略).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum By {
    /// Nothing: states are not asked.
    #[default]
    Nothing,
    /// A CRL.
    Crl,
    /// An OCSP answer.
    Ocsp,
    /// Either of them.
    Either,
}

/// What happens when the state of a certificate cannot be proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Failure {
    /// The signature is refused.
    #[default]
    Hard,
    /// It is accepted, and the finding says that the state is not proven.
    Soft,
}

/// The revocation rule of an application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rule {
    /// What is asked for.
    pub by: By,
    /// What happens without it.
    pub failure: Failure,
}

/// What is at hand: lists and answers, verified already.
#[derive(Debug, Clone, Default)]
pub struct Evidence<'a> {
    /// Lists of any authorities.
    pub crls: &'a [Arc<Crl>],
    /// Answers of any responders.
    pub answers: &'a [Answer],
}

/// Where a state was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A CRL.
    Crl {
        /// Its number.
        number: Option<Number>,
        /// When it was issued.
        this_update: OffsetDateTime,
    },
    /// An OCSP answer.
    Ocsp {
        /// Who answered.
        responder: String,
        /// When it was signed.
        produced_at: OffsetDateTime,
    },
}

/// The state of one certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// A root, or a rule that asks for nothing.
    NotAsked,
    /// Not revoked.
    Good(Source),
    /// Revoked.
    Revoked(Revoked, Source),
    /// The responder does not know the certificate.
    Unknown(Source),
    /// No evidence that would do; why each piece that was tried would not.
    Unproven(Vec<Refused>),
}

/// What was seen of one certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Serial number in hexadecimal.
    pub serial: String,
    /// Whose certificate.
    pub subject: Identity,
    /// Its state.
    pub finding: Finding,
}

/// The states of a path, signer first, and what follows from them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// Certificate by certificate.
    pub checked: Vec<Checked>,
    /// Accepted, or the first reason against it.
    pub verdict: Result<(), Refused>,
}

impl Trust {
    /// Judges the states of a path (signer first, root last) at a moment.
    ///
    /// A list counts when the certificate's issuer signed it, or an authority of the same name that leads to the same root
    /// (an authority that renewed its key goes on listing what it signed with the old one). The root is the same by its key:
    /// two trusted roots may carry one name, and neither speaks for what the other issued (RFC 5280 6.3.3 (f)).
    #[must_use]
    pub fn judge(&self, path: &[Certificate], rule: Rule, evidence: &Evidence<'_>, moment: Moment) -> Judged {
        let mut verdict = Ok(());
        let mut checked = Vec::with_capacity(path.len());
        for place in 0..path.len() {
            let Some((one, said)) = self.judge_at(path, place, rule, evidence, moment) else {
                continue;
            };
            if verdict.is_ok() {
                verdict = said;
            }
            checked.push(one);
        }
        Judged { checked, verdict }
    }

    /// Judges the certificate at one place of a path, for who asks by another rule or for other evidence at each; `None`
    /// beyond its end.
    #[must_use]
    pub fn judge_at(
        &self,
        path: &[Certificate],
        place: usize,
        rule: Rule,
        evidence: &Evidence<'_>,
        moment: Moment,
    ) -> Option<(Checked, Result<(), Refused>)> {
        let (certificate, root) = (path.get(place)?, path.last()?);
        let finding = match path.get(place + 1) {
            Some(issuer) if rule.by != By::Nothing => self.find(certificate, (issuer, root), rule.by, evidence, moment),
            _ => Finding::NotAsked,
        };
        let serial = certificate.serial_hex();
        let verdict = verdict_of(&finding, &serial, rule.failure);
        let checked = Checked {
            serial,
            subject: certificate.subject.clone(),
            finding,
        };
        Some((checked, verdict))
    }

    fn find(
        &self,
        certificate: &Certificate,
        (issuer, root): (&Certificate, &Certificate),
        by: By,
        evidence: &Evidence<'_>,
        moment: Moment,
    ) -> Finding {
        let mut all = Vec::new();
        if matches!(by, By::Crl | By::Either) {
            let ours = evidence
                .crls
                .iter()
                .filter(|crl| crl.head().issuer_der == certificate.issuer_der);
            all.extend(ours.map(|crl| {
                let source = Source::Crl {
                    number: crl.head().number.clone(),
                    this_update: crl.head().this_update,
                };
                (source, self.by_list(certificate, (issuer, root), crl, moment))
            }));
        }
        if matches!(by, By::Ocsp | By::Either) {
            let ours = evidence.answers.iter().filter(|answer| answer.is_of(issuer));
            all.extend(ours.map(|answer| {
                let source = Source::Ocsp {
                    responder: answer.responder.subject.common_name.clone(),
                    produced_at: answer.produced_at,
                };
                (source, answer.status(certificate, moment))
            }));
        }
        weigh(all)
    }

    fn by_list(
        &self,
        certificate: &Certificate,
        (issuer, root): (&Certificate, &Certificate),
        crl: &Crl,
        moment: Moment,
    ) -> Result<Status, Refused> {
        let signer = crl.issuer();
        if signer.public_key != issuer.public_key && !self.is_renewal(signer, root, moment.at) {
            return Err(Unfit::WrongIssuer { what: Kind::Crl }.into());
        }
        crl.status(certificate, moment)
    }

    /// Whether an authority's key leads to this root, under whichever of its certificates: a root that renewed its key has
    /// one of itself and one that the old key signed.
    fn is_renewal(&self, signer: &Certificate, root: &Certificate, at: OffsetDateTime) -> bool {
        let same = |other: &&Certificate| {
            other.subject_der == signer.subject_der && other.public_key == signer.public_key && other.der != signer.der
        };
        let known = self.authorities().iter().filter(same).take(8);
        let roots = std::slice::from_ref(root);
        std::iter::once(signer)
            .chain(known)
            .any(|signer| self.path_to(roots, signer, &[], at).is_ok())
    }
}

/// A revocation outweighs everything; otherwise the newest evidence that does speaks, whatever else would not do.
fn weigh(all: Vec<(Source, Result<Status, Refused>)>) -> Finding {
    let (mut good, mut unknown, mut reasons) = (None, None, Vec::new());
    for (source, status) in all {
        match status {
            Ok(Status::Revoked(revoked)) => return Finding::Revoked(revoked, source),
            Ok(Status::Good) => {
                if good.as_ref().is_none_or(|known| issued(known) < issued(&source)) {
                    good = Some(source);
                }
            }
            Ok(Status::Unknown) => unknown = Some(source),
            Err(reason) => reasons.push(reason),
        }
    }
    match (good, unknown) {
        (Some(source), _) => Finding::Good(source),
        (None, Some(source)) => Finding::Unknown(source),
        (None, None) => Finding::Unproven(reasons),
    }
}

fn issued(source: &Source) -> OffsetDateTime {
    match source {
        Source::Crl { this_update, .. } => *this_update,
        Source::Ocsp { produced_at, .. } => *produced_at,
    }
}

fn verdict_of(finding: &Finding, serial: &str, failure: Failure) -> Result<(), Refused> {
    match finding {
        Finding::NotAsked | Finding::Good(_) => Ok(()),
        Finding::Revoked(revoked, _) => Err(Refused::Revoked {
            serial: serial.to_owned(),
            since: revoked.at,
        }),
        // Not knowing a certificate that the responder's own authority is said to have issued is no accident.
        Finding::Unknown(_) => Err(Refused::StatusUnknown {
            serial: serial.to_owned(),
        }),
        Finding::Unproven(_) if failure == Failure::Soft => Ok(()),
        Finding::Unproven(reasons) => Err(match reasons.first() {
            Some(reason) => reason.clone(),
            None => Refused::StatusUnproven {
                serial: serial.to_owned(),
            },
        }),
    }
}
