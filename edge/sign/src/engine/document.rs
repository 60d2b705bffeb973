//! Signatures over documents and PDF digests, each with its time stamp.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gm::cms::{self, Content, Unsigned};
use gm::evidence::{Reason, Revoked};
use gm::key::Signer;
use gm::stamp::attach_evidence;
use gm::trust::Stapled;
use gm::{Algorithm, Certificate, Refused, Trust};
use records::{Timestamp, sign as ops};

use super::outside::Key;
use super::signer::Opened;
use super::{Engine, caller_key, decode};
use crate::Refusal;
use crate::outside::{self, OutsideSigner, Server};
use crate::vault::{JournalRow, RevokedRow};

/// Larger documents are not signed.
const MAX_DOCUMENT: usize = 1024 * 1024;
/// A longer list is not put beside a seal.
const MAX_STAPLED: usize = 2 * 1024;
const DOCUMENT: &str = "document";
const SEAL: &str = "seal";

/// A signature, or one that an outside server must be asked for.
pub(super) enum Signing {
    Made(ops::Signature),
    Outside(Box<Waiting>),
}

/// Everything for a signature but the outside server's part. The PIN was right.
pub(crate) struct Waiting {
    key: String,
    document: Vec<u8>,
    now: Timestamp,
    opened: Opened,
}

impl Engine {
    pub(super) fn sign_document(&self, key: Option<&str>, mut asked: ops::SignRequest) -> Result<Signing, Refusal> {
        let key = caller_key(key)?;
        let document = decode(&asked.document, "document")?;
        if document.is_empty() || document.len() > MAX_DOCUMENT {
            return Err(Refusal::no("document_size", "待签文件为空或超过 1 MB。"));
        }
        let digest = gm::sm3(&document);
        if let Some(made) = self.already(key, DOCUMENT, &asked.signer_id, &digest)? {
            return Ok(Signing::Made(signature(&made)));
        }
        let now = self.trusted_now()?;
        let kek = self.kek()?;
        let opened = self.open_to_sign(&kek, &asked.signer_id, &mut asked.pin, now)?;
        if let Key::Outside(_) = opened.key {
            return Ok(Signing::Outside(Box::new(Waiting {
                key: key.to_owned(),
                document,
                now,
                opened,
            })));
        }
        let signer = Certificate::parse(&opened.row.certificate)?;
        if signer.is_valid_at(now.offset()).is_err() {
            self.vault.write(|unit| opened.give_back(unit))?;
            return Err(Refusal::no(
                "certificate_expired",
                "签名证书已过期，请重新登记电子签名。",
            ));
        }
        if self.vault.read(|unit| unit.is_revoked(&gm::key::sha256(&signer.der)))? {
            self.vault.write(|unit| opened.give_back(unit))?;
            return Err(Refusal::no(
                "certificate_revoked",
                "签名证书已被吊销，请重新登记电子签名。",
            ));
        }
        let organisation = &opened.row.organisation;
        let authority = self.authority(&kek, organisation, now)?;
        let serial = signer.serial_hex();
        let trust = Trust::new([&authority.root.der])?;
        let chain = [signer, authority.issuing.clone(), authority.root.clone()];
        let cms = Unsigned::new(&digest, now.offset(), &chain)?.sign(opened.key.here()?)?;
        // What does not verify is never answered (faulty memory, damaged certificate).
        cms::verify(&cms, Content::Bytes(&document), &trust, now.offset())?;
        let cms = self.stamped(&kek, organisation, &authority, &cms, now)?;
        drop(kek);
        let made = JournalRow {
            act: DOCUMENT.to_owned(),
            signer: asked.signer_id.clone(),
            digest: digest.to_vec(),
            cms,
            serial,
            signed_at: now,
        };
        let made = self.vault.write(|unit| {
            opened.give_back(unit)?;
            unit.log(
                now,
                "document.signed",
                &asked.signer_id,
                &format!("{key} {}", hex::encode(digest)),
            )?;
            unit.journal(key, made)
        })?;
        same(&made, DOCUMENT, &asked.signer_id, &digest)?;
        Ok(Signing::Made(signature(&made)))
    }

    /// Signs with a key at an outside server. What it is given are the signed attributes; the document stays here.
    pub(super) fn sign_outside(&self, waiting: Waiting) -> Result<ops::Signature, Refusal> {
        let Waiting {
            key,
            document,
            now,
            opened,
        } = waiting;
        let signer_id = opened.row.id.clone();
        let digest = gm::sm3(&document);
        let made = self.signed_outside(&key, &document, &digest, now, &opened);
        let (cms, serial, server) = match made {
            Ok(made) => made,
            Err(refusal) => {
                // The PIN was right, whatever the server elsewhere does.
                self.vault.write(|unit| opened.give_back(unit))?;
                return Err(refusal);
            }
        };
        let made = JournalRow {
            act: DOCUMENT.to_owned(),
            signer: signer_id.clone(),
            digest: digest.to_vec(),
            cms,
            serial,
            signed_at: now,
        };
        let made = self.vault.write(|unit| {
            opened.give_back(unit)?;
            server.made(unit, self.clock.now())?;
            let detail = format!("{key} {} outside {}", hex::encode(digest), server.name);
            unit.log(now, "document.signed", &signer_id, &detail)?;
            unit.journal(&key, made)
        })?;
        same(&made, DOCUMENT, &signer_id, &digest)?;
        Ok(signature(&made))
    }

    fn signed_outside(
        &self,
        key: &str,
        document: &[u8],
        digest: &[u8; 32],
        now: Timestamp,
        opened: &Opened,
    ) -> Result<(Vec<u8>, String, Arc<Server>), Refusal> {
        let (binding, server) = self.outside_of(opened)?;
        let organisation = &opened.row.organisation;
        // Whatever could fail here fails before the server elsewhere is asked and counts. No authority is made for the stamp
        // alone: another device of the hospital may be the one that makes it.
        let stamping = match self.existing_authority(organisation)? {
            Some(authority) => Some((self.kek()?, authority)),
            None => None,
        };
        let chain = outside::chain(&binding)?;
        let own = chain.first().ok_or(Refusal::Damaged("certificate"))?;
        let expired = "外部签名证书已过期，请联系管理员更换后重新设置电子签名。";
        own.is_valid_at(now.offset())
            .map_err(|_| Refusal::no("certificate_expired", expired))?;
        let lists = self.revocation.get().map(|revocation| revocation.lists());
        if lists.is_some_and(|lists| chain.iter().any(|certificate| lists.revoke(certificate, now))) {
            let revoked = "外部签名证书已被其签发机构吊销，请联系管理员更换后重新设置电子签名。";
            return Err(Refusal::no("certificate_revoked", revoked));
        }
        let root = chain.last().ok_or(Refusal::Damaged("certificate"))?;
        let (serial, trust) = (own.serial_hex(), Trust::new([&root.der])?);
        let what = format!("{key} {}", hex::encode(digest));
        let signer = OutsideSigner {
            server: &server,
            binding: &binding,
            public: own.public_key.clone(),
            password: opened.key.secret(),
            what: &what,
        };
        let cms = Unsigned::new(digest, now.offset(), &chain)?.sign(&signer)?;
        cms::verify(&cms, Content::Bytes(document), &trust, now.offset())?;
        let cms = match &stamping {
            Some((kek, authority)) => self.stamped(kek, organisation, authority, &cms, now)?,
            None => cms,
        };
        Ok((cms, serial, server))
    }

    pub(super) fn seal_pdf(&self, key: Option<&str>, asked: ops::SealRequest) -> Result<ops::Seal, Refusal> {
        let key = caller_key(key)?;
        let digest: [u8; 32] = hex::decode(&asked.digest_sha256)
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| Refusal::no("digest", "摘要应为 SHA-256 的十六进制。"))?;
        if let Some(made) = self.already(key, SEAL, &asked.organisation, &digest)? {
            return Ok(seal(&made));
        }
        let now = self.trusted_now()?;
        let kek = self.kek()?;
        let authority = self.authority(&kek, &asked.organisation, now)?;
        if authority.seal.is_valid_at(now.offset()).is_err() {
            return Err(Refusal::no(
                "certificate_expired",
                "医院电子印章证书已过期，请联系管理员。",
            ));
        }
        if self
            .vault
            .read(|unit| unit.is_revoked(&gm::key::sha256(&authority.seal.der)))?
        {
            return Err(Refusal::no(
                "certificate_revoked",
                "医院电子印章证书已被吊销，请联系管理员。",
            ));
        }
        let seal_key = authority.seal_key(&kek, &asked.organisation)?;
        let serial = authority.seal.serial_hex();
        let trust = Trust::new([&authority.seal_root.der])?;
        let chain = [authority.seal.clone(), authority.seal_root.clone()];
        // Without a signing time: PAdES has it in the file (ETSI EN 319 142-1 6.3), and the time stamp proves it.
        let algorithm = Algorithm::default_of(seal_key.public_key().kind());
        let cms = Unsigned::over_digest(algorithm, &digest, None, &chain)?.sign(&seal_key)?;
        cms::verify_stated(&cms, Content::Digest(&digest), Some(now.offset()), &trust, now.offset())?;
        let cms = self.stamped(&kek, &asked.organisation, &authority, &cms, now)?;
        drop(kek);
        let cms = self.with_list(cms, &authority.seal_root)?;
        let made = JournalRow {
            act: SEAL.to_owned(),
            signer: asked.organisation.clone(),
            digest: digest.to_vec(),
            cms,
            serial,
            signed_at: now,
        };
        let made = self.vault.write(|unit| {
            unit.log(
                now,
                "pdf.sealed",
                &asked.organisation,
                &format!("{key} {}", asked.digest_sha256),
            )?;
            unit.journal(key, made)
        })?;
        same(&made, SEAL, &asked.organisation, &digest)?;
        Ok(seal(&made))
    }

    /// The message with its issuer's list of the moment beside it, for a verifier who finds nobody to ask years later. A
    /// list that has grown long stays away: the gap in the file has its bounds.
    fn with_list(&self, cms: Vec<u8>, issuer: &Certificate) -> Result<Vec<u8>, Refusal> {
        let name = format!("{}.crl", hex::encode(gm::key::sha256(&issuer.der)));
        match self.own_list(&name)? {
            Some(list) if list.len() <= MAX_STAPLED => {
                let stapled = Stapled {
                    crls: vec![list],
                    answers: Vec::new(),
                };
                Ok(attach_evidence(&cms, &stapled)?)
            }
            _ => Ok(cms),
        }
    }

    pub(super) fn verify(&self, asked: &ops::VerifyRequest) -> Result<ops::Verification, Refusal> {
        let (cms, document) = (decode(&asked.cms, "cms")?, decode(&asked.document, "document")?);
        let (roots, outside, revoked) = self
            .vault
            .read(|unit| Ok((unit.roots()?, unit.outside_roots()?, unit.revoked()?)))?;
        let trust = Trust::new(roots.iter().flat_map(|(a, b)| [a, b]).chain(&outside))?;
        let found = cms::verify(&cms, Content::Bytes(&document), &trust, self.clock.now().offset());
        let found = found.and_then(|seen| not_revoked(&seen, &revoked).map(|()| seen));
        Ok(match found {
            Ok(seen) => ops::Verification {
                valid: true,
                reason: None,
                text: None,
                signer: Some(seen.signer.subject.common_name.clone()),
                certificate_serial: Some(seen.signer.serial_hex()),
                signed_at: Some(Timestamp::from_offset(seen.signing_time)),
            },
            Err(refused) => ops::Verification {
                valid: false,
                reason: Some(refused.code().to_owned()),
                text: Some(refused.person().to_owned()),
                signer: None,
                certificate_serial: None,
                signed_at: None,
            },
        })
    }

    /// What was made for this key before, if it was for the same.
    fn already(&self, key: &str, act: &str, signer: &str, digest: &[u8; 32]) -> Result<Option<JournalRow>, Refusal> {
        let made = self.vault.write(|unit| unit.journaled(key))?;
        if let Some(made) = &made {
            same(made, act, signer, digest)?;
        }
        Ok(made)
    }
}

/// Whether our own authority had revoked none of the certificates when it was signed; one whose key is compromised never
/// counts (RFC 5280 5.3.1).
fn not_revoked(seen: &cms::Verified, revoked: &[RevokedRow]) -> Result<(), Refused> {
    for certificate in &seen.path {
        let print = gm::key::sha256(&certificate.der);
        let Some(row) = revoked.iter().find(|row| row.fingerprint == print) else {
            continue;
        };
        let entry = Revoked {
            at: row.revoked_at.offset(),
            reason: Reason::from_code(row.reason).unwrap_or_default(),
        };
        if entry.stands(seen.signing_time) {
            return Err(Refused::Revoked {
                serial: certificate.serial_hex(),
                since: entry.at,
            });
        }
    }
    Ok(())
}

fn same(made: &JournalRow, act: &str, signer: &str, digest: &[u8; 32]) -> Result<(), Refusal> {
    if made.act == act && made.signer == signer && made.digest == digest {
        Ok(())
    } else {
        Err(Refusal::no("key_reused", "该请求编号已用于另一份文件的签名。"))
    }
}

fn signature(made: &JournalRow) -> ops::Signature {
    ops::Signature {
        cms: STANDARD.encode(&made.cms),
        document_sm3: hex::encode(&made.digest),
        certificate_serial: made.serial.clone(),
        signed_at: made.signed_at,
    }
}

fn seal(made: &JournalRow) -> ops::Seal {
    ops::Seal {
        cms: STANDARD.encode(&made.cms),
        certificate_serial: made.serial.clone(),
    }
}
