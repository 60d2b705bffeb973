//! Attestation and activation: the server's half of the enrolment described in `evidence`.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use evidence::{ActivateRequest, Activated, AttestRequest, Certified, Challenge, TpmKey, make_credential, sha256_hex};
use records::{Actor, Timestamp};
use store::{StoreError, Tx};

use crate::registry::{find, keep};
use crate::{Fleet, FleetError};

/// A challenge is good for this long: a slow chip needs a second or two.
const GOOD_FOR: Duration = Duration::from_secs(5 * 60);
/// Challenges at a time for one appliance.
const AT_ONCE: i64 = 8;

#[derive(Clone)]
struct Kept {
    id: String,
    serial: String,
    secret_sha256: String,
    nonce: Vec<u8>,
    ak: Vec<u8>,
    device_key: Vec<u8>,
    expires_at: Timestamp,
}

type Row = (String, String, Vec<u8>, Vec<u8>, Vec<u8>, Timestamp);

impl Fleet {
    /// First message: judges the keys and makes a challenge only the claimed machine can answer.
    pub async fn attest(&self, asked: &AttestRequest) -> Result<Challenge, FleetError> {
        let ek = TpmKey::parse(&asked.ek, "endorsement key")?;
        let ak = TpmKey::parse(&asked.ak, "attestation key")?;
        let device_key = TpmKey::parse(&asked.device_key, "device key")?;
        ek.is_endorsement()?;
        ak.is_attestation()?;
        device_key.is_device()?;

        let (secret, nonce) = (self.ids.random::<32>(), self.ids.random::<32>());
        let credential = make_credential(&ek, ak.name(), &secret)?;
        let now = self.store.clock().now();
        let kept = Kept {
            id: self.ids.next("chl", now),
            serial: asked.serial.clone(),
            secret_sha256: sha256_hex(&secret),
            nonce: nonce.to_vec(),
            ak: asked.ak.clone(),
            device_key: asked.device_key.clone(),
            expires_at: now.plus(GOOD_FOR),
        };
        let challenge = Challenge {
            challenge_id: kept.id.clone(),
            credential: credential.blob,
            secret: credential.secret,
            nonce: kept.nonce.clone(),
            now,
        };
        let ek_sha256 = sha256_hex(&asked.ek);
        self.store
            .write(&Self::scope(), move |tx| {
                let (kept, ek_sha256) = (kept.clone(), ek_sha256.clone());
                Box::pin(async move { remember(tx, kept, &ek_sha256).await })
            })
            .await?;
        Ok(challenge)
    }

    /// Second message: the secret, the certification and the request; answered with the certificate.
    pub async fn activate(&self, asked: &ActivateRequest) -> Result<Activated, FleetError> {
        let id = asked.challenge_id.clone();
        // The challenge is used up by the first answer, right or wrong: there is nothing to guess at.
        let kept = self
            .store
            .write(&Self::scope(), move |tx| {
                let id = id.clone();
                Box::pin(async move { take(tx, id).await })
            })
            .await?;
        // Digests of a secret that is good for one answer: comparing them tells a stopwatch nothing.
        if sha256_hex(&asked.answer) != kept.secret_sha256 {
            return Err(FleetError::Unanswered);
        }
        let ak = TpmKey::parse(&kept.ak, "attestation key")?;
        let device_key = TpmKey::parse(&kept.device_key, "device key")?;
        Certified::check(&asked.certified, &asked.signature, &ak, &device_key, &kept.nonce)?;

        let serial = kept.serial.clone();
        let appliance = self
            .store
            .read(&Self::scope(), move |tx| {
                let serial = serial.clone();
                Box::pin(async move {
                    find(tx, "serial", &serial)
                        .await?
                        .ok_or(FleetError::Unknown("appliance"))
                })
            })
            .await?;
        let now = self.store.clock().now();
        let issued = self
            .ca
            .issue_device(&asked.csr, device_key.point(), &appliance.edge_id, now)?;
        let kept_certificate = issued.clone();
        let appliance = self
            .store
            .write(&Self::scope(), move |tx| {
                let (serial, issued) = (appliance.serial.clone(), kept_certificate.clone());
                Box::pin(async move {
                    // Read again: it may have been suspended or revoked meanwhile.
                    let appliance = find(tx, "serial", &serial)
                        .await?
                        .ok_or(FleetError::Unknown("appliance"))?;
                    let by = Actor::Edge(appliance.edge_id.clone());
                    let stepped = appliance.attest(tx.now(), by)?;
                    let appliance = keep(tx, stepped, &issued.serial).await?;
                    certify(tx, &serial, &issued).await?;
                    Ok::<_, FleetError>(appliance)
                })
            })
            .await?;
        let hospital = appliance.state.hospital().ok_or(FleetError::Unknown("hospital"))?;
        Ok(Activated {
            edge_id: appliance.edge_id.to_string(),
            hospital: hospital.to_string(),
            chain: issued.chain.iter().map(|der| STANDARD.encode(der)).collect(),
            not_before: issued.not_before,
            not_after: issued.not_after,
        })
    }
}

async fn remember(tx: &mut Tx<'_>, kept: Kept, ek_sha256: &str) -> Result<(), FleetError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    // Serial number and chip must be of one appliance; which of them was wrong is not told.
    let by_chip = find(tx, "ek_sha256", ek_sha256).await?;
    let appliance = by_chip
        .filter(|a| a.serial == kept.serial)
        .ok_or(FleetError::Unknown("appliance"))?;
    appliance.attest(now, Actor::System)?; // would it be allowed at all
    tx.exec(
        "DELETE FROM fleet_challenge WHERE tenant_id = $1 AND expires_at < $2",
        &[&tenant, &now],
    )
    .await?;
    let (waiting,): (i64,) = tx
        .one(
            "SELECT count(*) FROM fleet_challenge WHERE tenant_id = $1 AND serial = $2",
            &[&tenant, &kept.serial],
        )
        .await?;
    if waiting >= AT_ONCE {
        return Err(FleetError::TooMany);
    }
    tx.exec(
        "INSERT INTO fleet_challenge (tenant_id, id, serial, secret_sha256, nonce, ak, device_key, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        &[
            &tenant,
            &kept.id,
            &kept.serial,
            &kept.secret_sha256,
            &kept.nonce,
            &kept.ak,
            &kept.device_key,
            &kept.expires_at,
        ],
    )
    .await?;
    Ok(())
}

async fn take(tx: &mut Tx<'_>, id: String) -> Result<Kept, FleetError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    let row: Option<Row> = tx
        .opt(
            "SELECT serial, secret_sha256, nonce, ak, device_key, expires_at FROM fleet_challenge \
             WHERE tenant_id = $1 AND id = $2",
            &[&tenant, &id],
        )
        .await?;
    let Some((serial, secret_sha256, nonce, ak, device_key, expires_at)) = row else {
        return Err(FleetError::Expired);
    };
    if expires_at < now {
        return Err(FleetError::Expired);
    }
    tx.exec(
        "DELETE FROM fleet_challenge WHERE tenant_id = $1 AND id = $2",
        &[&tenant, &id],
    )
    .await?;
    Ok(Kept {
        id,
        serial,
        secret_sha256,
        nonce,
        ak,
        device_key,
        expires_at,
    })
}

async fn certify(tx: &mut Tx<'_>, serial: &str, issued: &ca::Issued) -> Result<(), StoreError> {
    let tenant = tx.tenant().clone();
    tx.exec(
        "INSERT INTO fleet_certificate (tenant_id, fingerprint, certificate_serial, serial, not_before, not_after) \
         VALUES ($1, $2, $3, $4, $5, $6)",
        &[
            &tenant,
            &issued.fingerprint,
            &issued.serial,
            &serial,
            &issued.not_before,
            &issued.not_after,
        ],
    )
    .await?;
    Ok(())
}
