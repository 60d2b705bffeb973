//! The strict way: one signer, signed attributes with a time, a document at hand.

use time::{Duration, OffsetDateTime};

use super::check::{Checking, Sound};
use super::message::{Message, Profile};
use crate::key::{Algorithm, Family};
use crate::{Certificate, Refused, Trust};

/// Larger detached messages are not read.
pub const MAX_MESSAGE: usize = 256 * 1024;
/// Clocks of two machines may differ by this much.
pub(super) const CLOCK_SKEW: Duration = Duration::minutes(5);

/// What was signed.
#[derive(Debug, Clone, Copy)]
pub enum Content<'a> {
    /// The document.
    Bytes(&'a [u8]),
    /// Its digest, by the algorithm the signer used.
    Digest(&'a [u8]),
}

/// A signature that holds, by a signer who is trusted.
#[derive(Debug, Clone)]
pub struct Verified {
    /// The signer's certificate.
    pub signer: Certificate,
    /// From the signer to the trusted root.
    pub path: Vec<Certificate>,
    /// When the signer says it was signed: in the message, or beside it ([`verify_stated`]).
    pub signing_time: OffsetDateTime,
    /// GM or classic.
    pub family: Family,
    /// What was signed with.
    pub algorithm: Algorithm,
}

/// Verifies a detached message over `content`: structure, digest, signature, certificate path, usage and times.
pub fn verify(message: &[u8], content: Content<'_>, trust: &Trust, now: OffsetDateTime) -> Result<Verified, Refused> {
    if message.len() > MAX_MESSAGE {
        return Err(Refused::TooLarge { at: "signed message" });
    }
    let message = Message::read(message, Profile::default())?;
    let checking = message.check_detached(&[])?;
    the_one_attributed(&message)?;
    let sound = the_sound(checking, content)?;
    timed(&sound)?.trusted(trust, &message.certificates, now)
}

/// The same for a message that need not say when it was signed: PAdES has its time beside it, in the file (ETSI EN 319
/// 142-1 6.3 forbids the attribute). Where the message itself says a time, that one counts; else `stated`; else the
/// certificate is judged at the present. Answered with the time that is said.
pub fn verify_stated(
    message: &[u8],
    content: Content<'_>,
    stated: Option<OffsetDateTime>,
    trust: &Trust,
    now: OffsetDateTime,
) -> Result<(Verified, Option<OffsetDateTime>), Refused> {
    if message.len() > MAX_MESSAGE {
        return Err(Refused::TooLarge { at: "signed message" });
    }
    let message = Message::read(message, Profile::default())?;
    let checking = message.check_detached(&[])?;
    the_one_attributed(&message)?;
    let mut sound = the_sound(checking, content)?;
    sound.signing_time = sound.signing_time.or(stated);
    Ok((sound.trusted(trust, &message.certificates, now)?, sound.signing_time))
}

fn the_sound<'a>(mut checking: Checking<'_, 'a>, content: Content<'_>) -> Result<Sound<'a>, Refused> {
    let mut results = match content {
        Content::Bytes(bytes) => {
            checking.update(bytes);
            checking.finish().into_iter().map(|outcome| outcome.result).collect()
        }
        Content::Digest(digest) => checking.finish_with(digest),
    };
    results.pop().ok_or(Refused::NoSigner)?
}

/// The same for a message that carries its content, which is answered too.
pub fn verify_attached<'a>(
    message: &'a [u8],
    trust: &Trust,
    now: OffsetDateTime,
) -> Result<(Verified, &'a [u8]), Refused> {
    let message = Message::read(message, Profile::default())?;
    let content = message.content.ok_or(Refused::Detached)?;
    let mut outcomes = message.check_attached(&[])?;
    the_one_attributed(&message)?;
    let sound = outcomes.pop().ok_or(Refused::NoSigner)?.result?;
    let verified = timed(&sound)?.trusted(trust, &message.certificates, now)?;
    Ok((verified, content))
}

fn the_one_attributed(message: &Message<'_>) -> Result<(), Refused> {
    match message.signers.as_slice() {
        [] => Err(Refused::NoSigner),
        [one] if one.attributes.is_none() => Err(Refused::Attribute("signedAttrs")),
        [_] => Ok(()),
        _ => Err(Refused::ManySigners),
    }
}

fn timed<'s, 'a>(sound: &'s Sound<'a>) -> Result<&'s Sound<'a>, Refused> {
    match sound.signing_time {
        Some(_) => Ok(sound),
        None => Err(Refused::Attribute("signingTime")),
    }
}
