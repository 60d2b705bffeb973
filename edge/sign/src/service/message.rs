//! Signed messages: PKCS#7/CMS with or without their content (GB/T 35275, RFC 5652).

use std::sync::Arc;
use std::time::Duration;

use gm::cms::{Message, Profile, Sound, Unsigned};
use gm::key::Family;
use gm::stamp::{self, Imprint, Token};
use gm::trust::Stapled;
use gm::{Algorithm, Certificate};
use records::Timestamp;

use super::choice::{Choice, Hand};
use super::data::{Over, bounded};
use super::judge::{Level, refused};
use super::{Caller, Desk, Service, Tool};
use crate::application::{Format, KeyIndex};
use crate::fault::{Code, Fault};
use crate::revocation::States;

/// Clocks of signer and time-stamp unit may differ by this much.
const SKEW: Duration = Duration::from_secs(300);

/// What a message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Carries its content.
    Attached,
    /// Does not.
    Detached,
    /// Goes into the gap of a PDF: detached, over the digest of the byte range.
    Pdf,
}

impl Kind {
    fn format(self) -> Format {
        match self {
            Self::Attached => Format::Pkcs7Attached,
            Self::Detached => Format::Pkcs7Detached,
            Self::Pdf => Format::Pdf,
        }
    }
}

/// A message to be made.
#[derive(Debug)]
pub struct SignMessage {
    /// The key.
    pub with: Choice,
    /// What it is for.
    pub kind: Kind,
    /// The content; its digest will do where the message does not carry it.
    pub over: Over,
    /// With the certificates above the signer's own.
    pub chain: bool,
}

/// A message that was made.
#[derive(Debug)]
pub struct SignedMessage {
    /// DER.
    pub message: Vec<u8>,
    /// The key it was made with.
    pub key: KeyIndex,
    /// Serial number of the signer's certificate, in hexadecimal.
    pub serial: String,
    /// When it was signed; in the message itself, but for PDF.
    pub signed_at: Timestamp,
}

/// A message to be verified.
#[derive(Debug)]
pub struct VerifyMessage {
    /// DER.
    pub message: Vec<u8>,
    /// The content, where the message does not hold it.
    pub data: Option<Vec<u8>>,
    /// The signer's certificate, where the message does not hold it.
    pub certificate: Option<Vec<u8>>,
    /// How much of the certificates is looked at.
    pub level: Level,
}

/// One signer of a message that holds.
#[derive(Debug)]
pub struct Signatory {
    /// The signer.
    pub certificate: Certificate,
    /// From the signer to the root.
    pub path: Vec<Certificate>,
    /// With what was signed.
    pub algorithm: Algorithm,
    /// When the signer says it was signed, where he says so.
    pub signed_at: Option<Timestamp>,
    /// When a time stamp proves that it was there, where it has one.
    pub stamped_at: Option<Timestamp>,
    /// The states on the path, as far as they were asked.
    pub(crate) states: States,
}

/// A message that holds.
#[derive(Debug)]
pub struct VerifiedMessage {
    /// All its signers; at least one.
    pub signers: Vec<Signatory>,
    /// The content, where the message carried it.
    pub content: Option<Vec<u8>>,
}

impl Service {
    /// Signs a message.
    pub async fn sign_message(self: &Arc<Self>, caller: &Caller, asked: SignMessage) -> Result<SignedMessage, Fault> {
        let bytes = asked.over.bytes().len();
        let format = asked.kind.format();
        let tool = Tool::Key(asked.with.key);
        self.perform_with(caller, "message.signed", Some(format), bytes, tool, move |desk| {
            bounded(bytes)?;
            let key = desk.key(asked.with.key, asked.with.access_code.as_deref())?;
            let hand = key.hand(asked.with.algorithm, desk.now)?;
            let content = match (&asked.over, asked.kind) {
                (Over::Data(data), Kind::Attached) => Some(data.as_slice()),
                (Over::Digest(_), Kind::Attached) => {
                    return Err(Fault::new(Code::DataFormat, "带原文的签名需要原文，不能只给摘要"));
                }
                (_, Kind::Detached | Kind::Pdf) => None,
            };
            let digest = match &asked.over {
                Over::Data(data) => hand.algorithm.hash().digest(data),
                Over::Digest(digest) => digest.clone(),
            };
            // PAdES wants the time in the file and not in the message (ETSI EN 319 142-1 6.3).
            let timed = asked.kind != Kind::Pdf || hand.algorithm.family() == Family::Gm;
            let time = timed.then_some(desk.now);
            let message = write(&hand, content, &digest, time, asked.chain)?;
            let serial = hand.own.serial_hex();
            let detail = format!("key {} serial {serial} digest {}", key.index.0, hex::encode(digest));
            let signed = SignedMessage {
                message,
                key: key.index,
                serial,
                signed_at: desk.now,
            };
            Ok((signed, detail))
        })
        .await
    }

    /// Verifies a message and its signers' certificates: every signature must hold.
    pub async fn verify_message(
        self: &Arc<Self>,
        caller: &Caller,
        asked: VerifyMessage,
    ) -> Result<VerifiedMessage, Fault> {
        let bytes = asked.data.as_ref().map_or(0, Vec::len) + asked.message.len();
        let format = match asked.data {
            Some(_) => Format::Pkcs7Detached,
            None => Format::Pkcs7Attached,
        };
        self.perform(caller, "message.verified", Some(format), bytes, move |desk| {
            bounded(bytes)?;
            let verified = verify(desk, &asked)?;
            let serials: Vec<String> = verified.signers.iter().map(|s| s.certificate.serial_hex()).collect();
            Ok((verified, format!("serial {}", serials.join(","))))
        })
        .await
    }
}

/// Writes the message over content or its digest.
pub(super) fn write(
    hand: &Hand<'_>,
    content: Option<&[u8]>,
    digest: &[u8],
    signing_time: Option<Timestamp>,
    whole_chain: bool,
) -> Result<Vec<u8>, Fault> {
    let shown = if whole_chain { hand.chain.len() } else { 1 };
    let chain = hand.chain.get(..shown).unwrap_or_default();
    let time = signing_time.map(Timestamp::offset);
    let unsigned = match content {
        Some(content) => Unsigned::attached(hand.algorithm, content, time, chain),
        None => Unsigned::over_digest(hand.algorithm, digest, time, chain),
    }
    .map_err(refused)?;
    let signature = hand.sign_data(unsigned.to_be_signed(), None)?;
    unsigned.finish(&signature).map_err(refused)
}

fn verify(desk: &Desk, asked: &VerifyMessage) -> Result<VerifiedMessage, Fault> {
    let message = Message::read(&asked.message, Profile::default()).map_err(refused)?;
    let mut others = Vec::new();
    if let Some(der) = &asked.certificate {
        others.push(Certificate::parse(der).map_err(|reason| Fault::new(Code::CertificateDecode, reason.to_string()))?);
    }
    // Our own messages may come back without certificates.
    others.extend(
        desk.state
            .keys
            .values()
            .filter_map(|key| Some(key.certificate()?.chain.first()?.clone())),
    );
    let outcomes = match (message.content, &asked.data) {
        (Some(content), Some(given)) if content != given.as_slice() => {
            return Err(Fault::new(Code::SignatureInvalid, "给出的原文与签名中的原文不同"));
        }
        (Some(_), _) => message.check_attached(&others).map_err(refused)?,
        (None, Some(data)) => {
            let mut checking = message.check_detached(&others).map_err(refused)?;
            checking.update(data);
            checking.finish()
        }
        (None, None) => return Err(Fault::new(Code::DataFormat, "签名不带原文，请同时给出原文")),
    };
    // What was put beside the signature of one signer; of several nobody knows whose it is.
    let beside = match outcomes.len() {
        1 => desk.beside(&asked.message)?,
        _ => Beside::default(),
    };
    let mut signers = Vec::with_capacity(outcomes.len());
    for outcome in outcomes {
        let sound = outcome.result.map_err(refused)?;
        signers.push(desk.believe(sound, &message.certificates, asked.level, &beside)?);
    }
    Ok(VerifiedMessage {
        signers,
        content: message.content.map(<[u8]>::to_vec),
    })
}

/// What stands beside a signature: its proven time, and evidence about its certificates.
#[derive(Debug, Default)]
pub(super) struct Beside {
    stamped: Option<stamp::Stamped>,
    evidence: Option<Arc<Stapled>>,
}

impl Desk {
    /// Reads what stands beside the signature of a message; a time stamp that is there must hold.
    fn beside(&self, message: &[u8]) -> Result<Beside, Fault> {
        let unsigned = stamp::Unsigned::read(message).map_err(refused)?;
        let mut stamped: Option<stamp::Stamped> = None;
        for token in &unsigned.stamps {
            let checked = Token::read(token).and_then(|token| {
                let imprint = Imprint::of(token.info.imprint.hash, &unsigned.signature);
                token.verify(&imprint, &self.trust(), self.now.offset())
            });
            let checked = checked.map_err(|reason| Fault::new(Code::StampInvalid, reason.to_string()))?;
            // The earliest proves most.
            if stamped.as_ref().is_none_or(|known| checked.latest() < known.latest()) {
                stamped = Some(checked);
            }
        }
        Ok(Beside {
            stamped,
            evidence: unsigned.evidence.map(Arc::new),
        })
    }

    /// The signer of a sound signature, judged at the time he states; the states of his path at the time that is proven.
    pub(super) fn believe(
        &self,
        sound: Sound<'_>,
        carried: &[Certificate],
        level: Level,
        beside: &Beside,
    ) -> Result<Signatory, Fault> {
        let (path, states) = if level == Level::Time {
            let at = sound.signing_time.map_or(self.now, Timestamp::from_offset);
            self.judge(&sound.certificate, carried, at, level)?
        } else {
            let trusted = sound.trusted(&self.trust(), carried, self.now.offset());
            let path = trusted.map_err(refused)?.path;
            let proven = beside
                .stamped
                .as_ref()
                .map(|stamped| Timestamp::from_offset(stamped.latest()));
            if let Some((stated, proven)) = sound.signing_time.zip(proven)
                && Timestamp::from_offset(stated) > proven.plus(SKEW)
            {
                return Err(Fault::new(Code::StampInvalid, "签名时间晚于时间戳"));
            }
            let states = self.unrevoked_at(&path, level, proven, beside.evidence.clone())?;
            (path, states)
        };
        Ok(Signatory {
            certificate: sound.certificate,
            path,
            algorithm: sound.algorithm,
            signed_at: sound.signing_time.map(Timestamp::from_offset),
            stamped_at: beside
                .stamped
                .as_ref()
                .map(|stamped| Timestamp::from_offset(stamped.info.at)),
            states,
        })
    }
}
