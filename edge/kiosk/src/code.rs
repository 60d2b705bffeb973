//! Patient codes (就诊码), judged here without the cloud: signature, hospital, time, and that each is taken once by this
//! appliance, whichever of its terminals it is held against. See [`records::patient_code`] for what protects.

use std::sync::Arc;

use block::Gcm;
use gm::PublicKey;
use gm::key::{Algorithm, Kind};
use records::patient_code::{Bearer, LIFE, PatientCode, PatientCodeKey, SKEW, TAG};
use records::{Clock, TenantId, Timestamp};
use store::{Migration, Scope, Store, StoreError, Tx};

/// Tables of the terminals.
pub const MIGRATIONS: &[Migration] = &[
    Migration {
        name: "kiosk/0001_patient_code",
        sql: "
CREATE TABLE kiosk_code_key (
  tenant_id TEXT NOT NULL, point TEXT NOT NULL, seal TEXT NOT NULL, changed_at BIGINT NOT NULL, PRIMARY KEY (tenant_id)
);
CREATE TABLE kiosk_code_used (
  tenant_id TEXT NOT NULL, nonce BLOB NOT NULL, until BIGINT NOT NULL, PRIMARY KEY (tenant_id, nonce)
);
",
    },
    crate::prescription::MIGRATION,
    crate::tries::MIGRATION,
];

/// Takes the key that codes are judged with from now on, in the unit that moves the inbox cursor.
///
/// # Errors
/// Of the database.
pub async fn accept_key(tx: &mut Tx<'_>, key: &PatientCodeKey) -> Result<(), StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    tx.exec(
        "INSERT INTO kiosk_code_key (tenant_id, point, seal, changed_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (tenant_id) DO UPDATE SET point = $2, seal = $3, changed_at = $4",
        &[&tenant, &key.point, &key.seal, &now],
    )
    .await
    .map(drop)
}

/// Why a code was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Its time is over.
    #[error("就诊码已过期，请在手机上刷新后再扫")]
    Expired,
    /// It was shown before.
    #[error("这个就诊码已经用过，请在手机上刷新后再扫")]
    Used,
    /// Its time has not come: the clocks disagree.
    #[error("本机时间不准，暂不能扫就诊码，请使用身份证或就诊卡")]
    Clock,
    /// Made by somebody else, for another hospital, or changed.
    #[error("这不是本院的就诊码，请在本院患者端重新打开")]
    Foreign,
    /// No key has come yet.
    #[error("本院自助机尚未开通就诊码，请使用身份证或就诊卡")]
    NoKey,
    /// Nothing can be looked up now.
    #[error("暂时不能核对就诊码，请稍后再扫")]
    Busy,
}

/// Judges codes; cheap to clone.
#[derive(Clone)]
pub(crate) struct Codes {
    pub(crate) store: Store,
    pub(crate) scope: Scope,
    pub(crate) hospital: TenantId,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Codes {
    /// Who shows this code; it is used up by that.
    pub(crate) async fn take(&self, text: &str) -> Result<Bearer, Refused> {
        let code = PatientCode::parse(text).ok_or(Refused::Foreign)?;
        let busy = |error: StoreError| {
            tracing::error!(%error, "a patient code was not judged");
            Refused::Busy
        };
        let key = self.key().await.map_err(busy)?.ok_or(Refused::NoKey)?;
        let bearer = judge(&code, &key, &self.hospital, self.clock.now())?;
        match self.use_up(&code).await.map_err(busy)? {
            true => Ok(bearer),
            false => Err(Refused::Used),
        }
    }

    async fn key(&self) -> Result<Option<PatientCodeKey>, StoreError> {
        let row = self.store.read(&self.scope, |tx| {
            Box::pin(async move {
                let tenant = tx.tenant().clone();
                let sql = "SELECT point, seal FROM kiosk_code_key WHERE tenant_id = $1";
                tx.opt::<(String, String)>(sql, &[&tenant]).await
            })
        });
        let row = row.await?;
        Ok(row.map(|(point, seal)| PatientCodeKey { point, seal }))
    }

    /// Whether it is the first time; durable, so that a restart forgets nothing. What is long over is forgotten.
    async fn use_up(&self, code: &PatientCode) -> Result<bool, StoreError> {
        let (nonce, until) = (code.nonce.to_vec(), code.expires_at.plus(SKEW));
        let written = self.store.write(&self.scope, move |tx| {
            let nonce = nonce.clone();
            Box::pin(async move {
                let (tenant, now) = (tx.tenant().clone(), tx.now());
                tx.exec(
                    "DELETE FROM kiosk_code_used WHERE tenant_id = $1 AND until < $2",
                    &[&tenant, &now],
                )
                .await?;
                let added = tx
                    .exec(
                        "INSERT INTO kiosk_code_used (tenant_id, nonce, until) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                        &[&tenant, &nonce, &until],
                    )
                    .await?;
                Ok::<_, StoreError>(added > 0)
            })
        });
        written.await
    }
}

/// Whether the hospital's cloud made this code and it is its time.
fn judge(code: &PatientCode, key: &PatientCodeKey, hospital: &TenantId, now: Timestamp) -> Result<Bearer, Refused> {
    let read = |text: &str| hex::decode(text).map_err(|_| Refused::NoKey);
    let point = PublicKey::from_point(Kind::Sm2, &read(&key.point)?).map_err(|_| Refused::NoKey)?;
    let seal: [u8; 16] = read(&key.seal)?.try_into().map_err(|_| Refused::NoKey)?;
    point
        .verify(Algorithm::Sm2, &code.signed(hospital), &code.signature)
        .map_err(|_| Refused::Foreign)?;
    if now >= code.expires_at.plus(SKEW) {
        return Err(Refused::Expired);
    }
    if now.plus(LIFE).plus(SKEW) < code.expires_at {
        return Err(Refused::Clock);
    }
    let (text, tag) = code.sealed.split_last_chunk::<TAG>().ok_or(Refused::Foreign)?;
    let mut plain = text.to_vec();
    Gcm::new(&seal)
        .open_in_place(
            &code.nonce,
            &PatientCode::bound(hospital, code.expires_at),
            &mut plain,
            tag,
        )
        .map_err(|_| Refused::Foreign)?;
    Bearer::from_bytes(&plain).ok_or(Refused::Foreign)
}

#[cfg(test)]
mod tests {
    use gm::Sm2Key;
    use gm::key::Signer;

    use super::*;

    const SEAL: [u8; 16] = [5; 16];

    fn hospital(name: &str) -> TenantId {
        TenantId::parse(name).unwrap()
    }

    fn made(signer: &Sm2Key, of: &str, expires_at: Timestamp) -> PatientCode {
        let bearer = Bearer {
            his_patient_id: "P000001".to_owned(),
            name: "张建三".to_owned(),
            task: "reports".to_owned(),
        };
        let mut sealed = bearer.to_bytes();
        let bound = PatientCode::bound(&hospital(of), expires_at);
        let tag = Gcm::new(&SEAL).seal_in_place(&[1; 12], &bound, &mut sealed);
        sealed.extend_from_slice(&tag);
        let mut code = PatientCode {
            expires_at,
            nonce: [1; 12],
            sealed,
            signature: Vec::new(),
        };
        code.signature = signer.sign(&code.signed(&hospital(of))).unwrap();
        code
    }

    fn key(signer: &Sm2Key) -> PatientCodeKey {
        PatientCodeKey {
            point: hex::encode(signer.public_key().bytes()),
            seal: hex::encode(SEAL),
        }
    }

    #[test]
    fn only_the_hospitals_own_code_is_one_and_only_in_its_time() {
        let signer = Sm2Key::from_secret([7; 32].into()).unwrap();
        let stranger = Sm2Key::from_secret([8; 32].into()).unwrap();
        let now = Timestamp::from_seconds(1_795_000_000);
        let ends = now.plus(LIFE);
        let told = |code: &PatientCode, at: Timestamp| judge(code, &key(&signer), &hospital("hos_a"), at);
        let good = made(&signer, "hos_a", ends);
        assert_eq!(told(&good, now).unwrap().his_patient_id, "P000001");
        // Clocks a minute apart are borne, both ways.
        assert!(told(&good, ends.plus(SKEW - std::time::Duration::from_secs(1))).is_ok());
        assert!(told(&good, now.minus(SKEW)).is_ok());
        assert_eq!(told(&good, ends.plus(SKEW)), Err(Refused::Expired));
        assert_eq!(told(&good, now.minus(2 * SKEW)), Err(Refused::Clock));
        assert_eq!(told(&made(&stranger, "hos_a", ends), now), Err(Refused::Foreign));
        assert_eq!(told(&made(&signer, "hos_b", ends), now), Err(Refused::Foreign));
        let mut changed = good.clone();
        changed.expires_at = ends.plus(LIFE);
        assert_eq!(told(&changed, now), Err(Refused::Foreign));
        let mut changed = good.clone();
        changed.sealed[0] ^= 1;
        assert_eq!(told(&changed, now), Err(Refused::Foreign));
        let none = PatientCodeKey {
            point: "04".to_owned(),
            seal: String::new(),
        };
        assert_eq!(judge(&good, &none, &hospital("hos_a"), now), Err(Refused::NoKey));
    }
}
