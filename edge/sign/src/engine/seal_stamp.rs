//! The time of the hospital's seal and of people's signatures, proven (PAdES-B-T): a time-stamp unit of its own under the
//! seal's root, P-256 because PDF readers know no SM2. What a doctor signed stays signed when the certificate is revoked
//! later; without a proven time only the signature itself would say that it came before. Made at first need and again when its certificate ends or is revoked. It lies among the settings, and a
//! backup does not carry it: another device makes one of its own under the same root.

use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gm::certificate::Purpose;
use gm::key::{P256Key, Signer};
use gm::stamp::{Imprint, Unit as StampUnit, Unsigned, attach};
use gm::{Certificate, Hash, Identity};
use records::Timestamp;
use serde::{Deserialize, Serialize};

use super::Engine;
use super::authority::{Authority, SIGNER_DAYS, draft, owner};
use crate::Refusal;
use crate::stamping::{StampSettings, stamp_number};
use crate::vault::Unit;
use crate::wrap::Wrapping;

const PART: &str = "seal time";
/// Serial numbers reserved in the state file at a time; those left at a restart are never used.
const RESERVED: u32 = 100;

/// The next serial number of a stamp, and how many are reserved from it on.
#[derive(Debug, Default)]
pub(crate) struct Numbers(Mutex<(u64, u32)>);

/// As it lies among the settings; Base64.
#[derive(Serialize, Deserialize)]
struct Kept {
    certificate: String,
    wrapped_key: String,
}

fn name(organisation: &str) -> String {
    format!("seal_time {organisation}")
}

/// The certificate of the seal's time-stamp unit of an organisation.
pub(crate) fn certificate(unit: &Unit<'_>, organisation: &str) -> Result<Option<Certificate>, Refusal> {
    let kept = kept(unit, organisation)?;
    kept.map(|kept| Ok(Certificate::parse(&bytes(&kept.certificate)?)?))
        .transpose()
}

fn kept(unit: &Unit<'_>, organisation: &str) -> Result<Option<Kept>, Refusal> {
    let text = unit.setting(&name(organisation))?;
    let read = |text: String| serde_json::from_str(&text).map_err(|_| Refusal::Damaged("seal's time-stamp unit"));
    text.map(read).transpose()
}

fn bytes(text: &str) -> Result<Vec<u8>, Refusal> {
    STANDARD
        .decode(text)
        .map_err(|_| Refusal::Damaged("seal's time-stamp unit"))
}

impl Engine {
    /// A message with a time stamp over its signature.
    pub(super) fn stamped(
        &self,
        kek: &[u8],
        organisation: &str,
        authority: &Authority,
        message: &[u8],
        now: Timestamp,
    ) -> Result<Vec<u8>, Refusal> {
        let (certificate, key) = self.seal_unit(kek, organisation, authority, now)?;
        let settings = self.vault.read(StampSettings::load)?;
        let number = self.next_stamp_number()?;
        let chain = [certificate, authority.seal_root.clone()];
        let policy = settings.policy_der()?;
        let unit = StampUnit::new(&key, &chain, &policy, settings.accuracy())?;
        let imprint = Imprint::of(Hash::Sha256, &Unsigned::read(message)?.signature);
        let token = unit.stamp(&imprint, &stamp_number(number)?, now.offset())?;
        Ok(attach(message, &token)?)
    }

    /// A number that is given away before it is used, and never again.
    fn next_stamp_number(&self) -> Result<u64, Refusal> {
        let mut numbers = self.stamp_numbers.0.lock().unwrap_or_else(PoisonError::into_inner);
        if numbers.1 == 0 {
            *numbers = (self.vault.write(|unit| unit.reserve_stamp_serials(RESERVED))?, RESERVED);
        }
        let number = numbers.0;
        *numbers = (number + 1, numbers.1 - 1);
        Ok(number)
    }

    fn seal_unit(
        &self,
        kek: &[u8],
        organisation: &str,
        authority: &Authority,
        now: Timestamp,
    ) -> Result<(Certificate, P256Key), Refusal> {
        let owner = owner(PART, organisation);
        let kept = self.vault.read(|unit| {
            let Some(kept) = kept(unit, organisation)? else {
                return Ok(None);
            };
            let certificate = Certificate::parse(&bytes(&kept.certificate)?)?;
            let good = certificate.is_valid_at(now.offset()).is_ok()
                && certificate.is_issued_by(&authority.seal_root).is_ok()
                && !unit.is_revoked(&gm::key::sha256(&certificate.der))?;
            Ok(good.then_some((certificate, kept.wrapped_key)))
        })?;
        let wrapping = Wrapping::derive(kek, None, &owner)?;
        // One wrapped under another key of keys was this device's before it was restored from a backup.
        if let Some((certificate, wrapped)) = kept
            && let Some(secret) = wrapping.unwrap(&bytes(&wrapped)?, &owner)?
        {
            return Ok((certificate, P256Key::from_pkcs8(&secret)?));
        }
        let secret = P256Key::generate()?;
        let key = P256Key::from_pkcs8(&secret)?;
        let subject = Identity {
            country: "CN".to_owned(),
            organization: organisation.to_owned(),
            unit: "time stamps".to_owned(),
            common_name: "电子印章时间戳".to_owned(),
            ..Identity::default()
        };
        let certificate = draft(&subject, key.public_key(), Purpose::TimeStamping, now, SIGNER_DAYS)?.issue_with(
            Some(&authority.seal_root),
            &authority.seal_root_key(kek, organisation)?,
            &authority.seal_points(),
        )?;
        let made = Kept {
            certificate: STANDARD.encode(&certificate.der),
            wrapped_key: STANDARD.encode(wrapping.wrap(&secret, &owner)?),
        };
        let text = serde_json::to_string(&made).map_err(|_| Refusal::Damaged("seal's time-stamp unit"))?;
        self.vault.write(|unit| {
            unit.put_setting(&name(organisation), &text, now)?;
            unit.log(now, "seal.time_unit", organisation, &certificate.serial_hex())
        })?;
        Ok((certificate, key))
    }
}
