//! The device's half against the server's half, with a software TPM.

#![expect(clippy::expect_used, reason = "what a test cannot set up fails the test")]

use std::sync::Arc;

use attest::Tpm;
use attest::identity::{Identity, endorsement_key};
use evidence::{Certified, Quoted, Refused, TpmKey, ecdsa_der, make_credential};
use kit::swtpm::SoftTpm;

const SECRET: [u8; 32] = [0x5e; 32];

struct Machine {
    chip: SoftTpm,
    _dir: tempfile::TempDir,
    tpm: Arc<Tpm>,
    identity: Identity,
}

fn machine() -> Machine {
    let dir = tempfile::tempdir().expect("dir");
    let chip = SoftTpm::start(&dir.path().join("tpm"));
    let tpm = Arc::new(Tpm::new(&chip.tcti()).expect("name"));
    let identity = Identity::open(tpm.clone(), dir.path()).expect("identity");
    Machine {
        chip,
        _dir: dir,
        tpm,
        identity,
    }
}

fn keys(machine: &Machine) -> (TpmKey, TpmKey, TpmKey) {
    let ek = TpmKey::parse(&endorsement_key(&machine.tpm).expect("ek"), "EK").expect("ek");
    let ak = TpmKey::parse(machine.identity.attestation_key(), "AK").expect("ak");
    let device = TpmKey::parse(machine.identity.device_key(), "device key").expect("device key");
    (ek, ak, device)
}

#[test]
fn the_right_machine_opens_its_credential_and_certifies_its_key() {
    let machine = machine();
    let (ek, ak, device) = keys(&machine);
    ek.is_endorsement().expect("ek");
    ak.is_attestation().expect("ak");
    device.is_device().expect("device key");
    assert_eq!(
        ak.is_device(),
        Err(Refused::Attributes("device key")),
        "a restricted key is not a device key"
    );

    let credential = make_credential(&ek, ak.name(), &SECRET).expect("credential");
    let answer = machine
        .identity
        .answer(&credential.blob, &credential.secret, b"nonce")
        .expect("answer");
    assert_eq!(answer.secret, SECRET);
    let signature = ecdsa_der(&answer.signature.r, &answer.signature.s);
    Certified::check(&answer.certified, &signature, &ak, &device, b"nonce").expect("certified");
    let another_nonce = Certified::check(&answer.certified, &signature, &ak, &device, b"other");
    assert_eq!(another_nonce, Err(Refused::Certification("another nonce")));
    let another_key = Certified::check(&answer.certified, &signature, &ak, &ak, b"nonce");
    assert_eq!(another_key, Err(Refused::Certification("another key")));
    let mut bent = answer.certified.clone();
    bent[20] ^= 1;
    let bent = Certified::check(&bent, &signature, &ak, &device, b"nonce");
    assert_eq!(bent, Err(Refused::Certification("signature")));
}

#[test]
fn a_credential_for_another_name_or_another_machine_does_not_open() {
    let (one, two) = (machine(), machine());
    let (ek, ak, device) = keys(&one);
    let wrong_name = make_credential(&ek, device.name(), &SECRET).expect("credential");
    assert!(one.identity.answer(&wrong_name.blob, &wrong_name.secret, b"n").is_err());
    let right = make_credential(&ek, ak.name(), &SECRET).expect("credential");
    assert!(two.identity.answer(&right.blob, &right.secret, b"n").is_err());
}

#[test]
fn keys_survive_a_restart_and_copied_keys_are_useless_elsewhere() {
    let (one, two) = (machine(), machine());
    let again = Identity::open(one.tpm.clone(), one._dir.path()).expect("identity");
    assert_eq!(again.device_key(), one.identity.device_key());
    let copied = one._dir.path().join("tpm-keys.json");
    std::fs::copy(copied, two._dir.path().join("tpm-keys.json")).expect("copied");
    let fresh = Identity::open(two.tpm.clone(), two._dir.path()).expect("identity");
    assert_ne!(
        fresh.device_key(),
        one.identity.device_key(),
        "another chip makes its own keys"
    );
    one.identity.sign(&[1; 32]).expect("the first still signs");
}

#[test]
fn the_measured_state_is_quoted_and_judged_without_a_tpm() {
    let machine = machine();
    let (_, ak, device) = keys(&machine);
    let before = machine.identity.quote(&[0, 7], b"nonce").expect("quote");
    let signature = ecdsa_der(&before.signature.r, &before.signature.s);
    let quoted = Quoted::check(&before.attest, &signature, &ak, b"nonce").expect("quoted");
    assert_eq!(quoted.pcrs, [0, 7]);
    assert_eq!(
        Quoted::check(&before.attest, &signature, &ak, b"other"),
        Err(Refused::Certification("another nonce"))
    );
    let mut changed = before.attest.clone();
    if let Some(last) = changed.last_mut() {
        *last ^= 1;
    }
    assert_eq!(
        Quoted::check(&changed, &signature, &ak, b"nonce"),
        Err(Refused::Certification("signature"))
    );
    let stated = machine.identity.certify_device_key(b"nonce").expect("certified");
    let signed = ecdsa_der(&stated.signature.r, &stated.signature.s);
    Certified::check(&stated.attest, &signed, &ak, &device, b"nonce").expect("certified");
    assert_eq!(
        Quoted::check(&stated.attest, &signed, &ak, b"nonce"),
        Err(Refused::Certification("not about the measured state"))
    );

    machine.chip.extend(7);
    let after = machine.identity.quote(&[0, 7], b"nonce").expect("quote");
    let signature = ecdsa_der(&after.signature.r, &after.signature.s);
    let after = Quoted::check(&after.attest, &signature, &ak, b"nonce").expect("quoted");
    assert_ne!(after.digest, quoted.digest, "another state");
}

#[test]
fn a_secret_is_opened_by_the_machine_it_was_made_for_and_by_no_other() {
    let (right, other) = (machine(), machine());
    let (ek, ak, _) = keys(&right);
    let credential = make_credential(&ek, ak.name(), &SECRET).expect("credential");
    let opened = right.identity.open_secret(&credential.blob, &credential.secret);
    assert_eq!(opened.expect("opened").as_slice(), SECRET);
    assert!(
        other
            .identity
            .open_secret(&credential.blob, &credential.secret)
            .is_err()
    );
}
