//! Long data, signed and verified by parts: begun, fed, finished. A session holds a digest in progress and nothing of the
//! data, belongs to the application that began it, and lapses when it is not fed for five minutes.
//!
//! What is signed in the end is the digest, with any algorithm of any key: SM2, ECDSA, RSA by PKCS#1 v1.5 or PSS. SM2 takes
//! the signer's public key into the digest first (Z), so its session is bound to a key from the beginning; with the others it
//! is where one was named.

use std::sync::Arc;

use gm::cms::{self, Content};
use gm::der::Reader;
use gm::{Algorithm, PublicKey, USER_ID};
use records::Timestamp;

use super::choice::Choice;
use super::data::{Judged, SignedData, bounded};
use super::judge::{Level, refused};
use super::message::{Signatory, SignedMessage, VerifiedMessage, write};
use super::progress::Progress;
use super::{Caller, Desk, Service, Tool, Whose};
use crate::application::Format;
use crate::fault::{Code, Fault};

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
    /// The key, where neither is given; where none is named here either, the policy's first for SM2, and with another
    /// algorithm whichever is named in the end.
    pub with: Choice,
    /// SM2's user id, where it is not the usual one.
    pub signer_id: Option<Vec<u8>>,
    /// The first part of the data.
    pub data: Vec<u8>,
}

impl Service {
    /// Begins a session; answers its id.
    pub async fn begin(self: &Arc<Self>, caller: &Caller, begin: Begin) -> Result<String, Fault> {
        let (bytes, format) = (begin.data.len(), begin.purpose.format());
        let service = Arc::clone(self);
        self.perform(caller, "session.begun", Some(format), bytes, move |desk| {
            bounded(bytes)?;
            let (public_key, algorithm) = service.bound_to(desk, &begin)?;
            if begin.signer_id.is_some() && algorithm != Algorithm::Sm2 {
                return Err(Fault::new(Code::SignMethod, "只有 SM2 签名带用户标识"));
            }
            let mut hashing = match (begin.purpose, &public_key) {
                (Purpose::SignData | Purpose::VerifyData, Some(public_key)) => {
                    let id = begin.signer_id.as_deref().unwrap_or(USER_ID.as_bytes());
                    public_key.hashing(algorithm, id).map_err(refused)?
                }
                _ => algorithm.hash().start(),
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
            if !progress.is_for(&hand.own.public_key) {
                return Err(Fault::new(Code::KeyIndex, "不是会话开始时的密钥"));
            }
            let bytes = progress.bytes;
            let digest = progress.hashing.finish();
            let signature = hand.sign_digest(&digest)?;
            let (index, serial) = (key.index, hand.own.serial_hex());
            let detail = format!(
                "key {} serial {serial} {} {bytes} bytes digest {}",
                index.0,
                hand.algorithm.name(),
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
            if !progress.is_for(&certificate.public_key) {
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
                let digest = progress.hashing.finish();
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

    /// The key that a session is bound to, if any, and its algorithm.
    fn bound_to(&self, desk: &Desk, begin: &Begin) -> Result<(Option<PublicKey>, Algorithm), Fault> {
        let named = begin.signer.is_some() || begin.public_key.is_some() || begin.with.key.is_some();
        if let (false, Some(algorithm)) = (named, begin.algorithm)
            && algorithm != Algorithm::Sm2
        {
            return Ok((None, algorithm));
        }
        let key = self.public_key(desk, begin)?;
        let algorithm = begin.algorithm.unwrap_or_else(|| Algorithm::default_of(key.kind()));
        key.fits(algorithm).map_err(refused)?;
        Ok((Some(key), algorithm))
    }

    /// The public key that is named, or the policy's first.
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
