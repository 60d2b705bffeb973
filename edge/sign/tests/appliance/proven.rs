//! A PIN that was right a moment ago: it is asked for all the same, and nothing but the stretching is left out.

use records::sign::{ChangePin, ChangePinRequest, Health, HealthRequest, Pin, Unlock, UnlockRequest};

use crate::site::{PIN, Site, code};

const RX: &[u8] = "处方 CF202611210002".as_bytes();

/// Counts the tries that are taken, in the state file itself.
struct Tries(rusqlite::Connection);

impl Tries {
    fn of(site: &Site) -> Self {
        let db = rusqlite::Connection::open(site.state().join("signd.db")).expect("state file");
        db.execute_batch(
            "CREATE TABLE try_taken (signer TEXT);
             CREATE TRIGGER take_try AFTER UPDATE OF tries_left ON signer WHEN new.tries_left < old.tries_left
             BEGIN INSERT INTO try_taken VALUES (new.id); END;",
        )
        .expect("counted");
        Self(db)
    }

    fn taken(&self) -> u32 {
        let count = self.0.query_row("SELECT count(*) FROM try_taken", [], |row| row.get(0));
        count.expect("counted")
    }
}

/// Whether this machine lets memory be locked: where it does not, nothing is remembered.
async fn remembers(site: &Site) -> bool {
    let health = site.client.call::<Health>(None, &HealthRequest {}).await;
    health.done().expect("health").memory_locked
}

async fn enrolled(site: &Site) -> Tries {
    site.enrol("sta_1", "王医生").await.done().expect("enrolled");
    Tries::of(site)
}

#[tokio::test]
async fn the_second_signature_takes_no_try_and_every_wrong_pin_does() {
    let site = Site::new();
    let (tries, remembers) = (enrolled(&site).await, remembers(&site).await);
    let mut expected = 0;
    let mut sign = async |key: &str, pin: &str, takes_try: bool| {
        let outcome = site.sign(key, "sta_1", pin, RX).await;
        expected += u32::from(takes_try);
        assert_eq!(tries.taken(), expected, "{key}");
        outcome
    };
    sign("rx_1", PIN, true).await.done().expect("signed");
    sign("rx_2", PIN, !remembers).await.done().expect("signed");
    assert_eq!(code(sign("rx_3", "", false).await), "pin_shape", "no PIN, no signature");
    assert_eq!(code(sign("rx_3", "202612", true).await), "pin_wrong");
    assert_eq!(site.status("sta_1").await.tries_left, 4);
    sign("rx_3", PIN, true)
        .await
        .done()
        .expect("signed, and stretched anew after the wrong one");
    assert_eq!(site.status("sta_1").await.tries_left, 5);
    sign("rx_4", PIN, !remembers).await.done().expect("signed");

    site.enrol("sta_2", "李医生").await.done().expect("enrolled");
    let other = site.sign("rx_5", "sta_2", "202612", RX).await;
    assert_eq!(code(other), "pin_wrong", "what one remembers opens nobody else's key");
}

#[tokio::test]
async fn who_is_locked_stays_locked_however_lately_the_pin_was_right() {
    let site = Site::new();
    let tries = enrolled(&site).await;
    site.sign("rx_1", "sta_1", PIN, RX).await.done().expect("signed");
    for left in (0..5).rev() {
        let refused = code(site.sign("rx_2", "sta_1", "000000", RX).await);
        assert_eq!(refused, if left == 0 { "pin_locked" } else { "pin_wrong" });
    }
    assert_eq!(code(site.sign("rx_2", "sta_1", PIN, RX).await), "pin_locked");

    let unlock = UnlockRequest {
        signer_id: "sta_1".to_owned(),
        administrators: ["adm_1", "adm_2"].map(str::to_owned),
    };
    site.client
        .call::<Unlock>(Some("u"), &unlock)
        .await
        .done()
        .expect("unlocked");
    let before = tries.taken();
    site.sign("rx_2", "sta_1", PIN, RX).await.done().expect("signed");
    assert_eq!(tries.taken(), before + 1, "an unlocking forgets what was remembered");

    // However the lock came to be: what is remembered does not look past it.
    tries
        .0
        .execute("UPDATE signer SET tries_left = 0", [])
        .expect("locked by other means");
    assert_eq!(code(site.sign("rx_3", "sta_1", PIN, RX).await), "pin_locked");
    assert!(site.status("sta_1").await.locked);
}

#[tokio::test]
async fn a_changed_pin_ends_what_was_remembered_of_the_old_one() {
    let site = Site::new();
    let tries = enrolled(&site).await;
    site.sign("rx_1", "sta_1", PIN, RX).await.done().expect("signed");
    let asked = ChangePinRequest {
        signer_id: "sta_1".to_owned(),
        pin: Pin(PIN.to_owned()),
        new_pin: Pin("8866420".to_owned()),
    };
    let before = tries.taken();
    site.client
        .call::<ChangePin>(Some("c"), &asked)
        .await
        .done()
        .expect("changed");
    assert_eq!(tries.taken(), before + 1, "a PIN is changed only by one that was tried");
    assert_eq!(code(site.sign("rx_2", "sta_1", PIN, RX).await), "pin_wrong");
    site.sign("rx_2", "sta_1", "8866420", RX).await.done().expect("signed");
}

#[tokio::test]
async fn where_no_pin_shall_be_remembered_every_signature_takes_a_try() {
    let site = Site::with("pin_remembered_s = 0\n");
    let tries = enrolled(&site).await;
    for signature in 1..=3 {
        site.sign(&format!("rx_{signature}"), "sta_1", PIN, RX)
            .await
            .done()
            .expect("signed");
        assert_eq!(tries.taken(), signature);
    }
}

#[tokio::test]
async fn a_remembered_pin_signs_nothing_without_the_chip_or_after_a_changed_boot() {
    let mut site = Site::new();
    enrolled(&site).await;
    site.sign("rx_1", "sta_1", PIN, RX).await.done().expect("signed");
    site.tpm.power_off();
    assert_eq!(code(site.sign("rx_2", "sta_1", PIN, RX).await), "tpm_absent");
    site.tpm.power_on();
    site.sign("rx_2", "sta_1", PIN, RX)
        .await
        .done()
        .expect("signed as soon as it is back");
    site.tpm.extend(7);
    assert_eq!(code(site.sign("rx_3", "sta_1", PIN, RX).await), "tpm_state_changed");
}
