//! A phone with the patients' app, and the cloud behind it.

use block::Gcm;
use gm::{Signer, Sm2Key};
use records::Timestamp;
use records::patient_code::{Bearer, LIFE, PatientCode, PatientCodeKey};

use crate::hall::Hall;

const SEAL: [u8; 16] = [9; 16];

pub(crate) struct Phone {
    signer: Sm2Key,
    bearer: Bearer,
}

impl Phone {
    pub(crate) fn of(his_patient_id: &str, name: &str) -> Self {
        Self {
            signer: Sm2Key::from_secret([7; 32].into()).unwrap(),
            bearer: Bearer {
                his_patient_id: his_patient_id.to_owned(),
                name: name.to_owned(),
                task: String::new(),
            },
        }
    }

    /// A code that is good now.
    pub(crate) fn code(&self, hall: &Hall, nonce: u8) -> String {
        let expires_at = Timestamp::from_seconds(hall.clock.now().plus(LIFE).as_seconds());
        let mut sealed = self.bearer.to_bytes();
        let bound = PatientCode::bound(&hall.scope.tenant, expires_at);
        let tag = Gcm::new(&SEAL).seal_in_place(&[nonce; 12], &bound, &mut sealed);
        sealed.extend_from_slice(&tag);
        let mut code = PatientCode {
            expires_at,
            nonce: [nonce; 12],
            sealed,
            signature: Vec::new(),
        };
        code.signature = self.signer.sign(&code.signed(&hall.scope.tenant)).unwrap();
        code.text()
    }

    /// The appliance is told what codes are judged with.
    pub(crate) async fn opens(&self, hall: &Hall) {
        let key = PatientCodeKey {
            point: hex::encode(self.signer.public_key().bytes()),
            seal: hex::encode(SEAL),
        };
        let told = hall.store.write(&hall.scope, move |tx| {
            let key = key.clone();
            Box::pin(async move { kiosk::accept_key(tx, &key).await })
        });
        told.await.unwrap();
    }
}
