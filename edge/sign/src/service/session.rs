//! Long data, signed and verified by parts: begun, fed, finished. A session holds a digest in progress and nothing of the
//! data, belongs to the application that began it, and lapses when it is not fed for five minutes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use gm::cms::{self, Content};
use gm::der::Reader;
use gm::key::Hashing;
use gm::{Algorithm, PublicKey, USER_ID};
use records::Timestamp;

use super::choice::Choice;
use super::data::{Judged, SignedData, bounded};
use super::judge::{Level, refused};
use super::message::{Signatory, SignedMessage, VerifiedMessage, write};
use super::{Caller, Desk, Service, Tool, Whose};
use crate::application::{ApplicationId, Format};
use crate::fault::{Code, Fault};
use crate::wrap;

/// A session that is not fed ends after this.
const IDLE: Duration = Duration::from_secs(300);
/// Sessions of one application at a time.
pub const SESSIONS: usize = 64;
/// Sessions of all applications.
const ALL: usize = 4096;

/// What a session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A raw signature.
    SignData,
    /// Verifying one.
    VerifyData,
    /// A message without its content.
    SignMessage,
    /// Verifying one.
    VerifyMessage,
}

impl Purpose {
    fn format(self) -> Format {
        match self {
            Self::SignData | Self::VerifyData => Format::Pkcs1,
            Self::SignMessage | Self::VerifyMessage => Format::Pkcs7Detached,
        }
    }
}

/// A session to begin.
#[derive(Debug)]
pub struct Begin {
    /// What it is for.
    pub purpose: Purpose,
    /// The algorithm; the key's usual one when absent.
    pub algorithm: Option<Algorithm>,
    /// The signer's public key (`SubjectPublicKeyInfo`, or the point of an SM2 key); when absent, of the chosen key.
    pub public_key: Option<Vec<u8>>,
    /// Whose certificate has the public key; instead of `public_key`.
    pub signer: Option<Whose>,
    /// The key, where neither is given.
    pub with: Choice,
    /// SM2's user id, where it is not the usual one.
    pub signer_id: Option<Vec<u8>>,
    /// The first part of the data.
    pub data: Vec<u8>,
}

/// A digest in progress.
struct Progress {
    purpose: Purpose,
    algorithm: Algorithm,
    public_key: PublicKey,
    hashing: Hashing,
    bytes: u64,
}

struct Slot {
    owner: ApplicationId,
    last: Instant,
    /// Absent while a part is being taken in.
    progress: Option<Box<Progress>>,
}

/// Sessions that were begun.
#[derive(Default)]
pub(super) struct Sessions(Mutex<HashMap<String, Slot>>);

impl Sessions {
    fn open(&self, owner: &ApplicationId, progress: Progress) -> Result<String, Fault> {
        let id = hex::encode(wrap::random::<16>()?);
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        slots.retain(|_, slot| now.duration_since(slot.last) < IDLE);
        let own = slots.values().filter(|slot| slot.owner == *owner).count();
        if own >= SESSIONS || slots.len() >= ALL {
            return Err(Fault::new(
                Code::TooManySessions,
                format!("每个应用系统最多 {SESSIONS} 个"),
            ));
        }
        let slot = Slot {
            owner: owner.clone(),
            last: now,
            progress: Some(Box::new(progress)),
        };
        slots.insert(id.clone(), slot);
        Ok(id)
    }

    /// Takes the digest out for one act. Another application's session is as unknown as one there is not.
    fn take(&self, id: &str, owner: &ApplicationId, purpose: Purpose) -> Result<Box<Progress>, Fault> {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = slots
            .get_mut(id)
            .filter(|slot| slot.owner == *owner && slot.last.elapsed() < IDLE);
        let slot = slot.ok_or(Code::SessionUnknown)?;
        slot.last = Instant::now();
        match slot.progress.take() {
            Some(progress) if progress.purpose == purpose => Ok(progress),
            Some(other) => {
                slot.progress = Some(other);
                Err(Fault::new(Code::SessionUnknown, "会话用于另一种操作"))
            }
            None => Err(Fault::new(Code::Busy, "会话的上一段数据还在处理")),
        }
    }

    fn put_back(&self, id: &str, progress: Box<Progress>) {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get_mut(id) {
            slot.progress = Some(progress);
        }
    }

    /// Takes the digest out for good.
    fn close(&self, id: &str, owner: &ApplicationId, purpose: Purpose) -> Result<Box<Progress>, Fault> {
        let progress = self.take(id, owner, purpose)?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
        Ok(progress)
    }
}

impl Service {
    /// Begins a session; answers its id.
    pub async fn begin(self: &Arc<Self>, caller: &Caller, begin: Begin) -> Result<String, Fault> {
        let (bytes, format) = (begin.data.len(), begin.purpose.format());
        let service = Arc::clone(self);
        self.perform(caller, "session.begun", Some(format), bytes, move |desk| {
            bounded(bytes)?;
            let public_key = service.public_key(desk, &begin)?;
            let algorithm = begin
                .algorithm
                .unwrap_or_else(|| Algorithm::default_of(public_key.kind()));
            public_key.fits(algorithm).map_err(refused)?;
            if begin.purpose == Purpose::SignData && algorithm != Algorithm::Sm2 {
                let text = "RSA 与 ECDSA 密钥对长数据请用 PKCS#7 消息签名";
                return Err(Fault::new(Code::SignMethod, text));
            }
            if begin.signer_id.is_some() && algorithm != Algorithm::Sm2 {
                return Err(Fault::new(Code::SignMethod, "只有 SM2 签名带用户标识"));
            }
            let mut hashing = match begin.purpose {
                Purpose::SignData | Purpose::VerifyData => {
                    let id = begin.signer_id.as_deref().unwrap_or(USER_ID.as_bytes());
                    public_key.hashing(algorithm, id).map_err(refused)?
                }
                Purpose::SignMessage | Purpose::VerifyMessage => algorithm.hash().start(),
            };
            hashing.update(&begin.data);
            let progress = Progress {
                purpose: begin.purpose,
                algorithm,
                public_key,
                hashing,
                bytes: bytes as u64,
            };
            let id = service.sessions.open(&desk.application.id, progress)?;
            let detail = format!("{id} {:?}", begin.purpose);
            Ok((id, detail))
        })
        .await
    }

    /// Takes more data in; answers how much it has been.
    pub async fn feed(
        self: &Arc<Self>,
        caller: &Caller,
        purpose: Purpose,
        id: String,
        data: Vec<u8>,
    ) -> Result<u64, Fault> {
        let bytes = data.len();
        let service = Arc::clone(self);
        self.perform(caller, "session.fed", Some(purpose.format()), bytes, move |desk| {
            bounded(bytes)?;
            let mut progress = service.sessions.take(&id, &desk.application.id, purpose)?;
            progress.hashing.update(&data);
            progress.bytes += bytes as u64;
            let total = progress.bytes;
            service.sessions.put_back(&id, progress);
            Ok((total, format!("{id} {bytes} bytes")))
        })
        .await
    }

    /// Signs what was fed.
    pub async fn finish_signing(
        self: &Arc<Self>,
        caller: &Caller,
        id: String,
        with: Choice,
    ) -> Result<SignedData, Fault> {
        let service = Arc::clone(self);
        let tool = Tool::Key(with.key);
        self.perform_with(caller, "data.signed", Some(Format::Pkcs1), 0, tool, move |desk| {
            let key = desk.key(with.key, with.access_code.as_deref())?;
            let progress = service.sessions.close(&id, &desk.application.id, Purpose::SignData)?;
            let hand = key.hand(Some(progress.algorithm), desk.now)?;
            if hand.own.public_key != progress.public_key {
                return Err(Fault::new(Code::KeyIndex, "不是会话开始时的密钥"));
            }
            let bytes = progress.bytes;
            let digest = progress.hashing.finish();
            let signature = hand.sign_digest(&digest)?;
            let (index, serial) = (key.index, hand.own.serial_hex());
            let detail = format!(
                "key {} serial {serial} {bytes} bytes digest {}",
                index.0,
                hex::encode(digest)
            );
            let signed = SignedData {
                signature,
                key: index,
                algorithm: hand.algorithm,
                certificate: hand.own.clone(),
            };
            Ok((signed, detail))
        })
        .await
    }

    /// Verifies a signature over what was fed.
    pub async fn finish_verifying(
        self: &Arc<Self>,
        caller: &Caller,
        id: String,
        signer: Whose,
        signature: Vec<u8>,
        level: Level,
    ) -> Result<Judged, Fault> {
        let service = Arc::clone(self);
        self.perform(caller, "data.verified", Some(Format::Pkcs1), 0, move |desk| {
            let certificate = service.whose(desk, &signer)?;
            let progress = service.sessions.close(&id, &desk.application.id, Purpose::VerifyData)?;
            let (algorithm, bytes) = (progress.algorithm, progress.bytes);
            if certificate.public_key != progress.public_key {
                return Err(Fault::new(Code::Certificate, "不是会话开始时的公钥"));
            }
            let digest = progress.hashing.finish();
            let held = certificate.public_key.verify_digest(algorithm, &digest, &signature);
            held.map_err(refused)?;
            if level != Level::Time {
                certificate.may_sign_documents().map_err(refused)?;
            }
            let (path, states) = desk.judge(&certificate, &[], desk.now, level)?;
            let detail = format!("serial {} {bytes} bytes", certificate.serial_hex());
            let judged = Judged {
                certificate,
                path,
                states,
            };
            Ok((judged, detail))
        })
        .await
    }

    /// Signs what was fed as a message without its content.
    pub async fn finish_message(
        self: &Arc<Self>,
        caller: &Caller,
        id: String,
        with: Choice,
        chain: bool,
    ) -> Result<SignedMessage, Fault> {
        let service = Arc::clone(self);
        let tool = Tool::Key(with.key);
        self.perform_with(
            caller,
            "message.signed",
            Some(Format::Pkcs7Detached),
            0,
            tool,
            move |desk| {
                let key = desk.key(with.key, with.access_code.as_deref())?;
                let progress = service
                    .sessions
                    .close(&id, &desk.application.id, Purpose::SignMessage)?;
                let hand = key.hand(Some(progress.algorithm), desk.now)?;
                let bytes = progress.bytes;
                let digest = progress.hashing.finish();
                let message = write(&hand, None, &digest, Some(desk.now), chain)?;
                let (index, serial) = (key.index, hand.own.serial_hex());
                let detail = format!(
                    "key {} serial {serial} {bytes} bytes digest {}",
                    index.0,
                    hex::encode(digest)
                );
                let signed = SignedMessage {
                    message,
                    key: index,
                    serial,
                    signed_at: desk.now,
                };
                Ok((signed, detail))
            },
        )
        .await
    }

    /// Verifies a message over what was fed.
    pub async fn finish_verifying_message(
        self: &Arc<Self>,
        caller: &Caller,
        id: String,
        message: Vec<u8>,
    ) -> Result<VerifiedMessage, Fault> {
        let service = Arc::clone(self);
        let bytes = message.len();
        self.perform(
            caller,
            "message.verified",
            Some(Format::Pkcs7Detached),
            bytes,
            move |desk| {
                let progress = service
                    .sessions
                    .close(&id, &desk.application.id, Purpose::VerifyMessage)?;
                let digest: [u8; 32] = progress.hashing.finish().try_into().map_err(|_| Code::SignMethod)?;
                let seen = cms::verify(&message, Content::Digest(&digest), &desk.trust(), desk.now.offset());
                let seen = seen.map_err(refused)?;
                let states = desk.unrevoked(&seen.path, Level::Policy)?;
                let detail = format!("serial {} {} bytes", seen.signer.serial_hex(), progress.bytes);
                let signatory = Signatory {
                    certificate: seen.signer,
                    path: seen.path,
                    algorithm: seen.algorithm,
                    signed_at: Some(Timestamp::from_offset(seen.signing_time)),
                    stamped_at: None,
                    states,
                };
                let verified = VerifiedMessage {
                    signers: vec![signatory],
                    content: None,
                };
                Ok((verified, detail))
            },
        )
        .await
    }

    /// The public key that a session is bound to.
    fn public_key(&self, desk: &Desk, begin: &Begin) -> Result<PublicKey, Fault> {
        if let Some(signer) = &begin.signer {
            return Ok(self.whose(desk, signer)?.public_key);
        }
        let bad = || Fault::new(Code::DataFormat, "公钥格式错误");
        match begin.public_key.as_deref() {
            Some(point @ [4, ..]) if point.len() == 65 => {
                PublicKey::from_point(gm::key::Kind::Sm2, point).map_err(|_| bad())
            }
            Some(spki) => PublicKey::read_spki(&mut Reader::new(spki, "public key")).map_err(|_| bad()),
            None => {
                // The public half alone: the access code is asked for when the key is used.
                let key = desk.granted(begin.with.key)?;
                let own = key.certificate().and_then(|certificate| certificate.chain.first());
                Ok(own.ok_or(Code::Certificate)?.public_key.clone())
            }
        }
    }
}
