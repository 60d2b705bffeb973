//! A doctor signs at the follower.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use records::{Outcome, sign as ops};

use super::{Appliance, pair, until_fresh};
use crate::site::{HOSPITAL, file};

/// A doctor at an appliance's socket.
struct Desk(sign::Client);

impl Desk {
    fn at(appliance: &Appliance) -> Self {
        let client = sign::Client::new(&appliance.site.state().join("signd.sock"));
        Self(client.patience(Duration::from_secs(120)))
    }

    /// Signs with a PIN: the message, or the refusal's code.
    async fn sign(&self, key: &str, pin: &str) -> Result<Vec<u8>, String> {
        let asked = ops::SignRequest {
            signer_id: "sta_1".to_owned(),
            pin: ops::Pin(pin.to_owned()),
            document: file("处方"),
        };
        match self.0.call::<ops::SignDocument>(Some(key), &asked).await {
            Outcome::Done(signed) => Ok(STANDARD.decode(signed.cms).expect("Base64")),
            Outcome::Refused { code, .. } => Err(code),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_doctor_signs_at_the_follower_with_the_same_pin() {
    let (source, follower) = (Appliance::new("一号机", "").await, Appliance::new("二号机", "").await);
    let (here, there) = (Desk::at(&source), Desk::at(&follower));
    let enrol = ops::EnrolRequest {
        signer_id: "sta_1".to_owned(),
        name: "王医生".to_owned(),
        role: "doctor".to_owned(),
        organisation: HOSPITAL.to_owned(),
        pin: ops::Pin("202611".to_owned()),
    };
    here.0
        .call::<ops::Enrol>(Some("e1"), &enrol)
        .await
        .done()
        .expect("enrolled");
    assert_eq!(there.sign("rx_1", "202611").await.expect_err("unknown"), "not_enrolled");
    pair(&source, &follower, true).await;
    until_fresh(&source).await;

    let trust = here
        .0
        .call::<ops::TrustRoots>(None, &ops::TrustRequest {})
        .await
        .done()
        .expect("roots");
    let roots = trust.signers.iter().map(|root| STANDARD.decode(root).expect("Base64"));
    let trust = gm::Trust::new(roots).expect("trust");
    let holds = |cms: &[u8]| {
        let now = time::OffsetDateTime::now_utc();
        let seen = gm::cms::verify(cms, gm::cms::Content::Bytes("处方".as_bytes()), &trust, now).expect("holds");
        seen.signer.serial_hex()
    };
    let at_follower = holds(&there.sign("rx_1", "202611").await.expect("signed"));
    assert_eq!(
        at_follower,
        holds(&here.sign("rx_1", "202611").await.expect("signed")),
        "the same certificate"
    );
    assert_eq!(there.sign("rx_2", "918273").await.expect_err("wrong"), "pin_wrong");

    // Another PIN at the source is another PIN at the follower.
    let change = ops::ChangePinRequest {
        signer_id: "sta_1".to_owned(),
        pin: ops::Pin("202611".to_owned()),
        new_pin: ops::Pin("740392".to_owned()),
    };
    here.0
        .call::<ops::ChangePin>(None, &change)
        .await
        .done()
        .expect("changed");
    until_fresh(&source).await;
    holds(&there.sign("rx_3", "740392").await.expect("signed"));
    assert_eq!(there.sign("rx_99", "202611").await.expect_err("old"), "pin_wrong");
}
