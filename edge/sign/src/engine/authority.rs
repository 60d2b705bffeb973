//! The hospital's own authorities: an SM2 root with an issuing authority for signers, and a P-256 root with the
//! hospital's seal. Made at first need; private keys wrapped under the key of keys.

use gm::certificate::{Draft, Extras, Purpose};
use gm::key::{P256Key, Signer};
use gm::{Certificate, Identity, PublicKey, Sm2Key};
use records::Timestamp;
use time::Duration;
use zeroize::Zeroizing;

use super::Engine;
use crate::Refusal;
use crate::vault::AuthorityRow;
use crate::wrap::{self, Wrapping};

const ROOT_DAYS: i64 = 20 * 365;
const ISSUING_DAYS: i64 = 10 * 365;
const SEAL_DAYS: i64 = 5 * 365;
/// Certificates begin a little earlier: a time server may set the clock back.
const EARLIER: Duration = Duration::minutes(10);
/// Signers' certificates.
pub(super) const SIGNER_DAYS: i64 = 3 * 365;

/// A hospital's authorities, with the keys that were asked for unwrapped.
pub(crate) struct Authority {
    pub(crate) root: Certificate,
    pub(crate) issuing: Certificate,
    pub(super) seal_root: Certificate,
    pub(super) seal: Certificate,
    row: AuthorityRow,
    published: Option<String>,
}

/// What a certificate says of where its issuer's list is. The list is named by its issuer, so that the name never changes.
fn points(published: Option<&str>, issuer: &Certificate) -> Extras {
    let print = hex::encode(gm::key::sha256(&issuer.der));
    Extras {
        crls: published.iter().map(|base| format!("{base}/crl/{print}.crl")).collect(),
        ..Extras::default()
    }
}

/// Owner names under which keys are wrapped.
pub(crate) fn owner(part: &str, organisation: &str) -> String {
    format!("authority {part} {organisation}")
}

pub(crate) fn open_key(
    kek: &[u8],
    wrapped: &[u8],
    owner: &str,
    what: &'static str,
) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    Wrapping::derive(kek, None, owner)?
        .unwrap(wrapped, owner)?
        .ok_or(Refusal::Damaged(what))
}

pub(crate) fn sm2_key(secret: &[u8]) -> Result<Sm2Key, Refusal> {
    let mut bytes = Zeroizing::new([0u8; 32]);
    if secret.len() != bytes.len() {
        return Err(Refusal::Damaged("SM2 key"));
    }
    bytes.copy_from_slice(secret);
    Ok(Sm2Key::from_secret(bytes)?)
}

impl Authority {
    fn read(row: AuthorityRow, published: Option<&str>) -> Result<Self, Refusal> {
        Ok(Self {
            published: published.map(str::to_owned),
            root: Certificate::parse(&row.root)?,
            issuing: Certificate::parse(&row.issuing)?,
            seal_root: Certificate::parse(&row.seal_root)?,
            seal: Certificate::parse(&row.seal)?,
            row,
        })
    }

    /// Issues a signer's certificate.
    pub(crate) fn issue(
        &self,
        kek: &[u8],
        organisation: &str,
        subject: &Identity,
        key: &PublicKey,
        now: Timestamp,
        purpose: Purpose,
    ) -> Result<Certificate, Refusal> {
        let owner = owner("issuing", organisation);
        let issuing = sm2_key(&open_key(kek, &self.row.issuing_key, &owner, "issuing key")?)?;
        let draft = draft(subject, key, purpose, now, SIGNER_DAYS)?;
        let extras = points(self.published.as_deref(), &self.issuing);
        Ok(draft.issue_with(Some(&self.issuing), &issuing, &extras)?)
    }

    /// What certificates under the seal's root say of its list.
    pub(super) fn seal_points(&self) -> Extras {
        points(self.published.as_deref(), &self.seal_root)
    }

    /// The key of the seal's root.
    pub(super) fn seal_root_key(&self, kek: &[u8], organisation: &str) -> Result<P256Key, Refusal> {
        let owner = owner("seal root", organisation);
        let secret = open_key(kek, &self.row.seal_root_key, &owner, "seal root key")?;
        Ok(P256Key::from_pkcs8(&secret)?)
    }

    /// The hospital's seal key.
    pub(super) fn seal_key(&self, kek: &[u8], organisation: &str) -> Result<P256Key, Refusal> {
        let owner = owner("seal", organisation);
        Ok(P256Key::from_pkcs8(&open_key(
            kek,
            &self.row.seal_key,
            &owner,
            "seal key",
        )?)?)
    }
}

pub(super) fn draft<'a>(
    subject: &'a Identity,
    public_key: &'a PublicKey,
    purpose: Purpose,
    now: Timestamp,
    days: i64,
) -> Result<Draft<'a>, Refusal> {
    let not_before = now.offset() - EARLIER;
    Ok(Draft {
        serial: wrap::random()?,
        subject,
        public_key,
        purpose,
        not_before,
        not_after: now.offset() + Duration::days(days),
    })
}

impl Engine {
    /// The authorities of an organisation; made when there are none.
    pub(crate) fn authority(&self, kek: &[u8], organisation: &str, now: Timestamp) -> Result<Authority, Refusal> {
        if organisation.is_empty() || organisation.chars().count() > 64 {
            return Err(Refusal::no("organisation", "医院名称应为 1 至 64 个字。"));
        }
        let published = self.published.in_force();
        let published = published.as_deref();
        if let Some(row) = self.vault.write(|unit| unit.authority(organisation))? {
            return Authority::read(row, published);
        }
        let made = make(kek, organisation, now, published)?;
        let row = self.vault.write(|unit| {
            if unit.authority(organisation)?.is_none() {
                unit.put_authority(organisation, &made, now)?;
                unit.log(now, "authority.made", organisation, "")?;
            }
            unit.authority(organisation)
        })?;
        Authority::read(row.ok_or(Refusal::Damaged("authority"))?, published)
    }

    /// The authorities of an organisation, where there are any already.
    pub(super) fn existing_authority(&self, organisation: &str) -> Result<Option<Authority>, Refusal> {
        let published = self.published.in_force();
        let row = self.vault.read(|unit| unit.authority(organisation))?;
        row.map(|row| Authority::read(row, published.as_deref())).transpose()
    }
}

fn make(kek: &[u8], organisation: &str, now: Timestamp, published: Option<&str>) -> Result<AuthorityRow, Refusal> {
    let named = |common_name: &str| Identity {
        country: "CN".to_owned(),
        organization: organisation.to_owned(),
        common_name: common_name.to_owned(),
        ..Identity::default()
    };
    let wrapped = |part: &str, secret: &[u8]| -> Result<Vec<u8>, Refusal> {
        let owner = owner(part, organisation);
        Wrapping::derive(kek, None, &owner)?.wrap(secret, &owner)
    };

    let (root_key, issuing_key) = (Sm2Key::generate()?, Sm2Key::generate()?);
    let root_name = named("电子签名根证书");
    let purpose = Purpose::Authority { path_length: 1 };
    let root = draft(&root_name, root_key.public_key(), purpose, now, ROOT_DAYS)?.issue(None, &root_key)?;
    let issuing_name = named("电子签名签发证书");
    let purpose = Purpose::Authority { path_length: 0 };
    let issuing = draft(&issuing_name, issuing_key.public_key(), purpose, now, ISSUING_DAYS)?.issue_with(
        Some(&root),
        &root_key,
        &points(published, &root),
    )?;

    let (seal_root_pkcs8, seal_pkcs8) = (P256Key::generate()?, P256Key::generate()?);
    let (seal_root_key, seal_key) = (
        P256Key::from_pkcs8(&seal_root_pkcs8)?,
        P256Key::from_pkcs8(&seal_pkcs8)?,
    );
    let seal_root_name = named("电子印章根证书");
    let purpose = Purpose::Authority { path_length: 0 };
    let seal_root =
        draft(&seal_root_name, seal_root_key.public_key(), purpose, now, ROOT_DAYS)?.issue(None, &seal_root_key)?;
    let seal_name = named(organisation);
    let seal = draft(&seal_name, seal_key.public_key(), Purpose::Documents, now, SEAL_DAYS)?.issue_with(
        Some(&seal_root),
        &seal_root_key,
        &points(published, &seal_root),
    )?;

    Ok(AuthorityRow {
        root: root.der,
        root_key: wrapped("root", root_key.secret())?,
        issuing: issuing.der,
        issuing_key: wrapped("issuing", issuing_key.secret())?,
        seal_root: seal_root.der,
        seal_root_key: wrapped("seal root", &seal_root_pkcs8)?,
        seal: seal.der,
        seal_key: wrapped("seal", &seal_pkcs8)?,
    })
}
