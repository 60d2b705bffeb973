//! A kept signature verified as a whole: its document, its time stamp, its path and the states on it, at the stamped time.

use time::OffsetDateTime;

use super::{Judged, Rule, Stapled, Trust};
use crate::cms::{self, Content, Verified};
use crate::evidence::{CLOCK_SKEW, Kind, Moment, Unfit};
use crate::stamp::{self, Imprint, Stamped, Token, Unsigned};
use crate::{Certificate, Refused};

/// A kept signature that holds.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Who signed what.
    pub verified: Verified,
    /// Its proven time. Without one the signer's word is all there is.
    pub stamp: Option<Stamped>,
    /// From the signer to the root, at that time.
    pub path: Vec<Certificate>,
    /// The states on the path at that time, certificate by certificate, and what follows from them.
    pub judged: Judged,
    /// The moment everything was judged at.
    pub moment: Moment,
}

impl Kept {
    /// Itself when the states on its path are as the rule demands.
    ///
    /// # Errors
    /// The first reason against it.
    pub fn accepted(self) -> Result<Self, Refused> {
        match &self.judged.verdict {
            Ok(()) => Ok(self),
            Err(reason) => Err(reason.clone()),
        }
    }
}

/// Verifies a detached message of one signer with what was kept beside its signature and, in `beside`, elsewhere. Units are
/// trusted by `stampers`.
///
/// A time stamp decides the moment: the signer's path and the states on it are judged then, however late it is now, and the
/// time the signer claims may not lie after it. A stamp that is there must hold.
///
/// # Errors
/// When the signature, its stamp or its path does not hold. What the states say is in [`Kept::judged`]: see
/// [`Kept::accepted`].
pub fn verify_kept(
    message: &[u8],
    content: Content<'_>,
    (people, stampers): (&Trust, &Trust),
    rule: Rule,
    beside: Option<&Stapled>,
    now: OffsetDateTime,
) -> Result<Kept, Refused> {
    let verified = cms::verify(&stamp::bare(message)?, content, people, now)?;
    let unsigned = Unsigned::read(message)?;
    let mut stamp: Option<Stamped> = None;
    for token in &unsigned.stamps {
        let token = Token::read(token)?;
        let imprint = Imprint::of(token.info.imprint.hash, &unsigned.signature);
        let seen = token.verify(&imprint, stampers, now)?;
        // The earliest proves most.
        if stamp.as_ref().is_none_or(|known| seen.latest() < known.latest()) {
            stamp = Some(seen);
        }
    }
    let at = stamp.as_ref().map_or(verified.signing_time, Stamped::latest);
    if verified.signing_time > at + CLOCK_SKEW {
        return Err(Unfit::FromFuture { what: Kind::Stamp }.into());
    }
    let moment = Moment { at, now };
    let path = people.path(&verified.signer, &verified.path, at)?;
    let mut evidence = unsigned.evidence.unwrap_or_default();
    if let Some(beside) = beside {
        evidence.crls.extend(beside.crls.iter().cloned());
        evidence.answers.extend(beside.answers.iter().cloned());
    }
    let judged = people.judge_stapled(&path, rule, &evidence, moment);
    Ok(Kept {
        verified,
        stamp,
        path,
        judged,
        moment,
    })
}
