//! A signing day at the hospital, with the real server and a software TPM.

use crate::site::{PIN, Site, code};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gm::Refused;
use gm::cms::{self, Content};
use kit::process::Process;
use records::Outcome;
use records::sign::{
    ChangePin, ChangePinRequest, Health, HealthRequest, Pin, ServerHealth, Unlock, UnlockRequest, Verify, VerifyRequest,
};
use time::OffsetDateTime;

const RX: &[u8] = r#"{"number":"CF202611210001","items":[{"drug":"阿莫西林胶囊","dose":"0.5 g"}]}"#.as_bytes();

/// Rows: AP-223, AP-224, AP-245
#[tokio::test]
async fn a_doctors_prescription_is_signed_and_anyone_can_verify_it() {
    let site = Site::new();
    let status = site.enrol("sta_1", "王医生").await.done().expect("enrolled");
    assert!(status.enrolled && !status.locked && status.tries_left == 5);
    let signed = site.sign("rx_1", "sta_1", PIN, RX).await.done().expect("signed");
    assert_eq!(Some(&signed.certificate_serial), status.certificate_serial.as_ref());

    let cms = STANDARD.decode(&signed.cms).expect("base64");
    let trust = site.trust().await;
    let now = OffsetDateTime::now_utc();
    let seen = cms::verify(&cms, Content::Bytes(RX), &trust, now).expect("verifies");
    assert_eq!(seen.signer.subject.common_name, "王医生");
    assert_eq!(seen.signer.subject.organization, crate::site::HOSPITAL);
    assert_eq!(seen.signer.subject.serial_number, "sta_1");
    assert_eq!(seen.path.len(), 3);

    let changed = String::from_utf8_lossy(RX).replace("0.5 g", "5 g");
    assert_eq!(
        cms::verify(&cms, Content::Bytes(changed.as_bytes()), &trust, now).err(),
        Some(Refused::DigestMismatch)
    );
    let strangers = gm::Trust::default();
    assert_eq!(
        cms::verify(&cms, Content::Bytes(RX), &strangers, now).err(),
        Some(Refused::Untrusted)
    );
    let asked = VerifyRequest {
        cms: signed.cms,
        document: STANDARD.encode(changed),
    };
    let verified = site.client.call::<Verify>(None, &asked).await.done().expect("answered");
    assert_eq!(verified.reason.as_deref(), Some("document_changed"));
}

#[tokio::test]
async fn the_same_request_gets_the_same_signature_even_after_a_power_cut() {
    let mut site = Site::new();
    site.enrol("sta_1", "王医生").await.done().expect("enrolled");
    let first = site.sign("rx_1", "sta_1", PIN, RX).await.done().expect("signed");
    let again = site.sign("rx_1", "sta_1", PIN, RX).await.done().expect("signed");
    site.power_cut();
    let after = site.sign("rx_1", "sta_1", PIN, RX).await.done().expect("signed");
    assert_eq!((&first, &first), (&again, &after));
    assert_eq!(code(site.sign("rx_1", "sta_1", PIN, b"another").await), "key_reused");
    let other = site.sign("rx_2", "sta_1", PIN, RX).await.done().expect("signed");
    assert_ne!(first.cms, other.cms);
    let health = site
        .client
        .call::<Health>(None, &HealthRequest {})
        .await
        .done()
        .expect("health");
    let ServerHealth {
        tpm,
        clock,
        log_intact,
        signers,
        ..
    } = health;
    assert_eq!(
        (tpm.as_str(), clock.as_str(), log_intact, signers),
        ("ok", "ok", true, 1)
    );
}

#[tokio::test]
async fn two_requests_with_one_key_at_once_make_one_signature() {
    let site = Site::new();
    site.enrol("sta_1", "王医生").await.done().expect("enrolled");
    let (a, b, c) = tokio::join!(
        site.sign("rx_1", "sta_1", PIN, RX),
        site.sign("rx_1", "sta_1", PIN, RX),
        site.sign("rx_1", "sta_1", PIN, RX)
    );
    let a = a.done().expect("signed");
    assert_eq!((Some(a.clone()), Some(a)), (b.done(), c.done()));
}

#[tokio::test]
async fn killing_the_server_gives_no_free_guess_and_two_administrators_unlock() {
    let mut site = Site::new();
    site.enrol("sta_1", "王医生").await.done().expect("enrolled");
    for left in (0..5).rev() {
        let refused = code(site.sign("rx_1", "sta_1", "000000", RX).await);
        assert_eq!(refused, if left == 0 { "pin_locked" } else { "pin_wrong" });
        site.power_cut();
        assert_eq!(site.status("sta_1").await.tries_left, left);
    }
    assert!(site.status("sta_1").await.locked);
    assert_eq!(
        code(site.sign("rx_1", "sta_1", PIN, RX).await),
        "pin_locked",
        "the right PIN comes too late"
    );

    let unlock = |administrators: [&str; 2]| UnlockRequest {
        signer_id: "sta_1".to_owned(),
        administrators: administrators.map(str::to_owned),
    };
    for not_two in [["adm_1", "adm_1"], ["adm_1", ""], ["adm_1", "sta_1"]] {
        let refused = site.client.call::<Unlock>(Some("u"), &unlock(not_two)).await;
        assert_eq!(code(refused), "two_administrators");
    }
    let unlocked = site
        .client
        .call::<Unlock>(Some("u"), &unlock(["adm_1", "adm_2"]))
        .await
        .done();
    assert_eq!(unlocked.map(|s| s.tries_left), Some(5));
    site.sign("rx_1", "sta_1", PIN, RX).await.done().expect("signed");
}

#[tokio::test]
async fn four_digits_sign_what_anybody_tries_first_is_refused_and_no_pin_costs_no_try() {
    let site = Site::new();
    for (pin, refusal) in [
        ("", "pin_shape"),
        ("739", "pin_shape"),
        ("1111", "pin_guessable"),
        ("1234", "pin_guessable"),
        ("4321", "pin_guessable"),
    ] {
        assert_eq!(code(site.enrol_with("sta_1", "王医生", pin).await), refusal, "{pin}");
    }
    assert!(!site.status("sta_1").await.enrolled);
    site.enrol_with("sta_1", "王医生", "7392")
        .await
        .done()
        .expect("enrolled");
    for none in ["", "739", "739 2", "七三九二"] {
        assert_eq!(code(site.sign("rx_1", "sta_1", none, RX).await), "pin_shape", "{none}");
    }
    assert_eq!(site.status("sta_1").await.tries_left, 5);
    assert_eq!(code(site.sign("rx_1", "sta_1", "7391", RX).await), "pin_wrong");
    assert_eq!(site.status("sta_1").await.tries_left, 4);
    site.sign("rx_1", "sta_1", "7392", RX).await.done().expect("signed");
    let weak = ChangePinRequest {
        signer_id: "sta_1".to_owned(),
        pin: Pin("7392".to_owned()),
        new_pin: Pin("9876".to_owned()),
    };
    assert_eq!(
        code(site.client.call::<ChangePin>(Some("w"), &weak).await),
        "pin_guessable"
    );
}

/// The kill comes while the attempt is being worked on, not after its answer.
#[tokio::test]
async fn a_guess_cut_off_by_a_kill_still_counts() {
    let mut site = Site::new();
    site.enrol("sta_1", "王医生").await.done().expect("enrolled");
    let mut left = 5;
    for round in 0..4 {
        let client = site.client.clone();
        let guess = tokio::spawn(async move { crate::site::sign(&client, "rx_1", "sta_1", "000000", RX).await });
        // until the try is taken, durably, in the state file
        let state = site.state();
        let taken = tokio::task::spawn_blocking(move || {
            let db = rusqlite::Connection::open(state.join("signd.db")).expect("state file");
            loop {
                let now: u32 = db
                    .query_row("SELECT tries_left FROM signer", [], |r| r.get(0))
                    .expect("signer");
                if now < left {
                    return now;
                }
                std::thread::yield_now();
            }
        });
        left = taken.await.expect("taken");
        site.power_cut();
        let answer = guess.await.expect("joined");
        assert!(
            matches!(answer, Outcome::Unknown | Outcome::Refused { .. }),
            "round {round}: {answer:?}"
        );
        assert_eq!(site.status("sta_1").await.tries_left, left);
    }
    assert_eq!(left, 1);
}

#[tokio::test]
async fn a_changed_pin_signs_and_the_old_one_does_not() {
    let site = Site::new();
    site.enrol("sta_1", "王医生").await.done().expect("enrolled");
    let asked = ChangePinRequest {
        signer_id: "sta_1".to_owned(),
        pin: Pin(PIN.to_owned()),
        new_pin: Pin("8866420".to_owned()),
    };
    site.client
        .call::<ChangePin>(Some("c"), &asked)
        .await
        .done()
        .expect("changed");
    assert_eq!(code(site.sign("rx_1", "sta_1", PIN, RX).await), "pin_wrong");
    site.sign("rx_1", "sta_1", "8866420", RX).await.done().expect("signed");
    assert_eq!(
        site.status("sta_1").await.tries_left,
        5,
        "a right PIN gives the tries back"
    );
}

#[tokio::test]
async fn a_stolen_disk_signs_nothing_in_another_machine() {
    let mut site = Site::new();
    site.enrol("sta_1", "王医生").await.done().expect("enrolled");
    site.signd.kill();
    let stolen = site.dir.path().join("stolen");
    std::fs::create_dir(&stolen).expect("dir");
    for file in std::fs::read_dir(site.state()).expect("state").flatten() {
        if file.file_type().is_ok_and(|t| t.is_file()) {
            std::fs::copy(file.path(), stolen.join(file.file_name())).expect("copied");
        }
    }
    let other = kit::swtpm::SoftTpm::start(&site.dir.path().join("other-tpm"));
    let (_signd, client) = crate::site::start(&stolen, &other.tcti());
    assert_eq!(
        code(crate::site::sign(&client, "rx_1", "sta_1", PIN, RX).await),
        "tpm_replaced"
    );
    let health = client
        .call::<Health>(None, &HealthRequest {})
        .await
        .done()
        .expect("health");
    assert_eq!(health.tpm, "replaced");
}

#[tokio::test]
async fn an_absent_chip_or_a_changed_boot_signs_nothing_and_says_so() {
    let mut site = Site::new();
    site.enrol("sta_1", "王医生").await.done().expect("enrolled");
    site.tpm.power_off();
    assert_eq!(code(site.sign("rx_1", "sta_1", PIN, RX).await), "tpm_absent");
    site.tpm.power_on();
    assert_eq!(
        site.status("sta_1").await.tries_left,
        5,
        "no try is used when the chip is away"
    );
    site.sign("rx_1", "sta_1", PIN, RX)
        .await
        .done()
        .expect("signed as soon as it is back");
    site.tpm.extend(7);
    assert_eq!(code(site.sign("rx_2", "sta_1", PIN, RX).await), "tpm_state_changed");
    assert!(
        site.sign("rx_1", "sta_1", PIN, RX).await.done().is_some(),
        "what was signed before is still answered"
    );
}

#[tokio::test]
async fn hostile_requests_are_refused_by_name_and_leave_the_server_well() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let site = Site::new();
    let socket = site.state().join("signd.sock");
    let raw = |bytes: Vec<u8>| {
        let socket = socket.clone();
        async move {
            let mut stream = tokio::net::UnixStream::connect(&socket).await.expect("connected");
            stream.write_all(&bytes).await.expect("written");
            stream.shutdown().await.expect("shut");
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer).await;
            String::from_utf8_lossy(answer.get(4..).unwrap_or_default()).into_owned()
        }
    };
    let framed = |text: &str| [&(text.len() as u32).to_be_bytes()[..], text.as_bytes()].concat();
    assert_eq!(raw(vec![0xff; 64]).await, "", "an oversized frame is not read");
    for bad in ["", "{", "[]", r#"{"method":1}"#, &"[".repeat(100_000)] {
        assert!(raw(framed(bad)).await.contains("bad_request"), "{bad:.40}");
    }
    assert!(
        raw(framed(r#"{"method":"sign.export_keys","body":{}}"#))
            .await
            .contains("unknown_method")
    );
    assert!(
        raw(framed(r#"{"method":"sign.document","body":{}}"#))
            .await
            .contains("bad_request")
    );
    site.enrol("sta_1", "王医生").await.done().expect("enrolled");
    assert_eq!(code(site.sign("", "sta_1", PIN, RX).await), "key_missing");
    assert_eq!(code(site.sign("k", "sta_2", PIN, RX).await), "not_enrolled");
    assert_eq!(code(site.sign("k", "sta_1", PIN, b"").await), "document_size");
    site.sign("rx_1", "sta_1", PIN, RX).await.done().expect("signed");
}

#[tokio::test]
async fn the_server_dumps_no_core_swaps_no_key_and_serves_its_own_user_only() {
    use std::os::unix::fs::PermissionsExt;
    let site = Site::new();
    let of = |file: &str| std::fs::read_to_string(format!("/proc/{}/{file}", site.signd.id())).expect("proc");
    let limits = of("limits");
    let core = limits
        .lines()
        .find(|l| l.starts_with("Max core file size"))
        .expect("limit");
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"]);
    let health = site
        .client
        .call::<Health>(None, &HealthRequest {})
        .await
        .done()
        .expect("health");
    let locked = of("status")
        .lines()
        .any(|l| l.starts_with("VmLck:") && !l.contains(" 0 kB"));
    assert_eq!(locked, health.memory_locked, "what it says of itself is so");
    for given_up in ["Seccomp:\t2", "NoNewPrivs:\t1"] {
        assert!(of("status").lines().any(|l| l == given_up), "{given_up}");
    }
    let socket = std::fs::metadata(site.state().join("signd.sock")).expect("socket");
    assert_eq!(socket.permissions().mode() & 0o777, 0o600);
    let config = site.state().join("signd.toml");
    let mut second = Process::start(env!("CARGO_BIN_EXE_signd"), &["--config", &config.to_string_lossy()]);
    let ended = second
        .wait(std::time::Duration::from_secs(120))
        .expect("a second server ends at once");
    assert!(!ended.success());
}
