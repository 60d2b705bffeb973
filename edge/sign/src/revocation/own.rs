//! What the hospital's own authority revokes: certificates of doctors, pharmacists and server keys. Its lists are full,
//! issued daily and at each revocation, and served without sign-in.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gm::crl::{Draft, Entry, Head, Number};
use gm::evidence::{Reason, Revoked};
use gm::key::{P256Key, Signer};
use gm::{Certificate, Sm2Key};
use records::{Timestamp, sign as ops};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::LISTS;
use super::store::Store;
use crate::Refusal;
use crate::engine::{Engine, authority_owner, open_key, seal_stamp, sm2_key};
use crate::service::Service;
use crate::vault::{OwnListRow, RevokedRow, Unit};

/// The path under which lists are served.
pub(crate) const OWN_LISTS: &str = "/crl/{name}";
/// A new list is issued so long after the last.
const DAILY: Duration = Duration::from_secs(24 * 3600);
/// The next one is promised by then: a server that is down over a weekend does not make every signature unproven.
const PROMISE: Duration = Duration::from_secs(4 * 24 * 3600);
/// Bytes of lists told at once to who verifies elsewhere: Base64 of them passes the line in one answer.
const TOLD: usize = 512 << 10;
/// Whether one is due is looked at so often.
const LOOK: Duration = Duration::from_secs(60);

/// Why a certificate of our own is revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Revoking {
    /// Not said.
    Unspecified,
    /// The private key may be known to others: nothing it signed is believed any more, whatever its date.
    KeyCompromise,
    /// Name or department changed.
    AffiliationChanged,
    /// Replaced.
    Superseded,
    /// The person left, the server is out of use.
    CessationOfOperation,
    /// The right to sign was taken away.
    PrivilegeWithdrawn,
}

impl Revoking {
    fn reason(self) -> Reason {
        match self {
            Self::Unspecified => Reason::Unspecified,
            Self::KeyCompromise => Reason::KeyCompromise,
            Self::AffiliationChanged => Reason::AffiliationChanged,
            Self::Superseded => Reason::Superseded,
            Self::CessationOfOperation => Reason::CessationOfOperation,
            Self::PrivilegeWithdrawn => Reason::PrivilegeWithdrawn,
        }
    }

    fn of(code: u8) -> Self {
        match Reason::from_code(code) {
            Some(Reason::KeyCompromise) => Self::KeyCompromise,
            Some(Reason::AffiliationChanged) => Self::AffiliationChanged,
            Some(Reason::Superseded) => Self::Superseded,
            Some(Reason::CessationOfOperation) => Self::CessationOfOperation,
            Some(Reason::PrivilegeWithdrawn) => Self::PrivilegeWithdrawn,
            _ => Self::Unspecified,
        }
    }
}

/// A certificate of our own authority.
#[derive(Debug, Clone)]
pub(crate) struct Own {
    pub(crate) serial: String,
    pub(crate) subject: String,
    pub(crate) not_after: Option<Timestamp>,
    /// Since when, why, by whom.
    pub(crate) revoked: Option<(Timestamp, Revoking, String)>,
}

/// One of our issuers.
struct Issuer {
    certificate: Certificate,
    part: &'static str,
    organisation: String,
    wrapped: Vec<u8>,
    /// The name its list is served under.
    name: String,
}

impl Issuer {
    fn id(&self) -> Vec<u8> {
        gm::key::sha256(&self.certificate.der).to_vec()
    }

    fn key(&self, kek: &[u8]) -> Result<Box<dyn Signer>, Refusal> {
        let owner = authority_owner(self.part, &self.organisation);
        let secret = open_key(kek, &self.wrapped, &owner, "authority's key")?;
        Ok(match self.part {
            "seal root" => Box::new(P256Key::from_pkcs8(&secret)?),
            _ => Box::<Sm2Key>::new(sm2_key(&secret)?),
        })
    }
}

/// All issuers of all organisations; the first organisation's have the plain names.
fn issuers(unit: &Unit<'_>) -> Result<Vec<Issuer>, Refusal> {
    let mut all = Vec::new();
    for (place, organisation) in unit.organisations()?.into_iter().enumerate() {
        let row = unit.authority(&organisation)?.ok_or(Refusal::Damaged("authority"))?;
        let after = if place == 0 {
            String::new()
        } else {
            format!("-{}", place + 1)
        };
        for (part, certificate, wrapped, name) in [
            ("issuing", &row.issuing, &row.issuing_key, "own"),
            ("root", &row.root, &row.root_key, "own-root"),
            ("seal root", &row.seal_root, &row.seal_root_key, "own-seal"),
        ] {
            all.push(Issuer {
                certificate: Certificate::parse(certificate)?,
                part,
                organisation: organisation.clone(),
                wrapped: wrapped.clone(),
                name: format!("{name}{after}.crl"),
            });
        }
    }
    Ok(all)
}

impl Engine {
    /// The newest lists of our own with who issued them; first issues those that are due, when the time is believed and
    /// the TPM answers.
    fn own_lists(&self) -> Result<Vec<(Vec<u8>, Certificate)>, Refusal> {
        let now = self.trusted_now();
        let (issuers, due) = self.vault.read(|unit| {
            let (issuers, revoked) = (issuers(unit)?, unit.revoked()?);
            let mut due = false;
            for issuer in &issuers {
                due |= match (&now, unit.own_list(&issuer.id())?) {
                    (Err(_), _) => false,
                    (Ok(_), None) => true,
                    (Ok(now), Some(row)) => is_due(&row, &revoked, *now),
                };
            }
            Ok((issuers, due))
        })?;
        if due {
            let (now, kek) = (now?, self.kek()?);
            self.vault.write(|unit| {
                let revoked = unit.revoked()?;
                for issuer in &issuers {
                    let before = unit.own_list(&issuer.id())?;
                    if before.as_ref().is_none_or(|row| is_due(row, &revoked, now)) {
                        let row = issue(issuer, &kek, before.as_ref(), &revoked, now)?;
                        unit.put_own_list(&row)?;
                        let detail = format!("{} number {}", row.name, row.number);
                        unit.log(now, "crl.issued", &issuer.organisation, &detail)?;
                    }
                }
                Ok(())
            })?;
        }
        self.vault.read(|unit| {
            let mut lists = Vec::new();
            for issuer in issuers {
                lists.extend(unit.own_list(&issuer.id())?.map(|row| (row.list, issuer.certificate)));
            }
            Ok(lists)
        })
    }

    /// The newest list by its name, or by its issuer: `own.crl`, or the SHA-256 of the issuer's certificate in hexadecimal,
    /// as certificates name it.
    pub(crate) fn own_list(&self, name: &str) -> Result<Option<Vec<u8>>, Refusal> {
        let issuer = name.strip_suffix(".crl").and_then(|print| hex::decode(print).ok());
        self.vault.read(|unit| match issuer.filter(|print| print.len() == 32) {
            Some(issuer) => Ok(unit.own_list(&issuer)?.map(|row| row.list)),
            None => unit.own_list_named(name),
        })
    }

    /// The newest lists of all our authorities, for who verifies elsewhere, and behind them those of the authorities of
    /// signers at outside servers. Ours that are due are issued for it; without the TPM the last ones are told.
    pub(crate) fn newest_lists(&self) -> Result<ops::Lists, Refusal> {
        let own: Vec<Vec<u8>> = match self.own_lists() {
            Ok(lists) => lists.into_iter().map(|(list, _)| list).collect(),
            Err(_) => self.vault.read(|unit| {
                let mut lists = Vec::new();
                for issuer in issuers(unit)? {
                    lists.extend(unit.own_list(&issuer.id())?.map(|row| row.list));
                }
                Ok(lists)
            })?,
        };
        let outside = self.outside_lists(TOLD.saturating_sub(own.iter().map(Vec::len).sum()))?;
        let lists = own.iter().chain(&outside).map(|list| STANDARD.encode(list));
        Ok(ops::Lists { lists: lists.collect() })
    }

    /// The kept lists of the authorities of signers at outside servers, as long as there is room for them.
    fn outside_lists(&self, mut room: usize) -> Result<Vec<Vec<u8>>, Refusal> {
        let issuers = self.outside_issuers()?;
        let mut lists = Vec::new();
        if issuers.is_empty() {
            return Ok(lists);
        }
        for (id, list, _) in Store::new(self.dir.join(LISTS)).all() {
            let theirs =
                Head::read(&list).is_ok_and(|head| issuers.iter().any(|one| one.subject_der == head.issuer_der));
            if !theirs {
                continue;
            }
            match room.checked_sub(list.len()) {
                Some(left) => room = left,
                None => {
                    tracing::warn!(%id, bytes = list.len(), "a list is too long to be told to who verifies elsewhere");
                    continue;
                }
            }
            lists.push(list);
        }
        Ok(lists)
    }

    /// Certificates of our own authority that are in use, and all that were revoked.
    pub(crate) fn own_certificates(&self) -> Result<Vec<Own>, Refusal> {
        self.vault.read(|unit| {
            let revoked = unit.revoked()?;
            let mut all: Vec<Own> = Vec::new();
            for (certificate, _) in issued(unit)? {
                let print = gm::key::sha256(&certificate.der);
                if revoked.iter().all(|row| row.fingerprint != print) {
                    all.push(Own {
                        serial: certificate.serial_hex(),
                        subject: certificate.subject.common_name.clone(),
                        not_after: Some(Timestamp::from_offset(certificate.not_after)),
                        revoked: None,
                    });
                }
            }
            all.extend(revoked.into_iter().map(|row| Own {
                serial: row.serial,
                subject: row.subject,
                not_after: None,
                revoked: Some((row.revoked_at, Revoking::of(row.reason), row.by)),
            }));
            Ok(all)
        })
    }

    /// Revokes a certificate of our own authority for good. `confirm`: its holder's name.
    pub(crate) fn revoke_own(&self, by: &str, serial: &str, why: Revoking, confirm: &str) -> Result<(), Refusal> {
        let now = self.trusted_now()?;
        self.vault.write(|unit| {
            let found = issued(unit)?
                .into_iter()
                .find(|(one, _)| one.serial_hex().eq_ignore_ascii_case(serial.trim()));
            let none = || Refusal::no("certificate_unknown", "本院没有签发过这个序列号的证书。");
            let (certificate, issuer) = found.ok_or_else(none)?;
            let subject = &certificate.subject.common_name;
            if subject != confirm.trim() {
                return Err(Refusal::no("confirm", "输入的姓名或名称与证书不一致，未吊销。"));
            }
            let row = RevokedRow {
                fingerprint: gm::key::sha256(&certificate.der).to_vec(),
                issuer,
                serial: certificate.serial_hex(),
                subject: subject.clone(),
                reason: why.reason() as u8,
                revoked_at: now,
                by: by.to_owned(),
            };
            if !unit.put_revoked(&row)? {
                return Err(Refusal::no("revoked_already", "该证书已经吊销。"));
            }
            let detail = format!("{} {} {why:?}", row.serial, row.subject);
            unit.log(now, "certificate.revoked", by, &detail)
        })
    }
}

fn is_due(row: &OwnListRow, revoked: &[RevokedRow], now: Timestamp) -> bool {
    let ours = revoked.iter().filter(|one| one.issuer == row.issuer).count() as u64;
    now >= row.issued_at.plus(DAILY) || ours != row.entries
}

fn issue(
    issuer: &Issuer,
    kek: &[u8],
    before: Option<&OwnListRow>,
    revoked: &[RevokedRow],
    now: Timestamp,
) -> Result<OwnListRow, Refusal> {
    let id = issuer.id();
    let entries = revoked.iter().filter(|row| row.issuer == id).map(|row| {
        Ok(Entry {
            serial: hex::decode(&row.serial).map_err(|_| Refusal::Damaged("revoked certificate"))?,
            revoked: Revoked {
                at: row.revoked_at.offset(),
                reason: Reason::from_code(row.reason).unwrap_or_default(),
            },
        })
    });
    let entries = entries.collect::<Result<Vec<_>, Refusal>>()?;
    let number = before.map_or(0, |row| row.number) + 1;
    let draft = Draft {
        this_update: now.offset(),
        next_update: now.plus(PROMISE).offset(),
        number: Number::from(number),
        base: None,
        entries: &entries,
        address: None,
    };
    let key = issuer.key(kek)?;
    Ok(OwnListRow {
        issuer: id,
        name: issuer.name.clone(),
        number,
        issued_at: now,
        list: draft.issue(&issuer.certificate, key.as_ref())?,
        entries: entries.len() as u64,
    })
}

/// Certificates that our issuers gave out and that are known here, with the SHA-256 of the issuer's.
fn issued(unit: &Unit<'_>) -> Result<Vec<(Certificate, Vec<u8>)>, Refusal> {
    let issuers = issuers(unit)?;
    let mut ders = unit.signer_certificates()?;
    ders.extend(unit.key_certificates()?.into_iter().map(|row| row.certificate));
    for organisation in unit.organisations()? {
        ders.extend(unit.authority(&organisation)?.map(|row| row.seal));
        ders.extend(seal_stamp::certificate(unit, &organisation)?.map(|unit| unit.der));
    }
    let mut found: Vec<(Certificate, Vec<u8>)> = Vec::new();
    for der in ders {
        let certificate = Certificate::parse(&der)?;
        let ours = issuers
            .iter()
            .find(|issuer| certificate.is_issued_by(&issuer.certificate).is_ok());
        if let Some(issuer) = ours
            && found.iter().all(|(known, _)| known.der != der)
        {
            found.push((certificate, issuer.id()));
        }
    }
    Ok(found)
}

impl Service {
    /// Puts our own lists into force; those that are due are issued first. Blocks.
    pub(crate) fn put_own_lists(&self) -> Result<(), Refusal> {
        for (list, issuer) in self.engine.own_lists()? {
            self.revocation.put_own(&list, &issuer)?;
        }
        Ok(())
    }

    /// The same from the task that keeps lists; answers when to look again.
    pub(super) async fn renew_own_lists(self: &Arc<Self>) -> Duration {
        let service = Arc::clone(self);
        let renewed = tokio::task::spawn_blocking(move || service.put_own_lists()).await;
        if let Ok(Err(refusal)) = renewed {
            tracing::warn!(sign.refusal = %refusal, "our own revocation lists could not be renewed");
        }
        LOOK
    }
}
