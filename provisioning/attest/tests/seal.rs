//! What a sealed secret survives, and what it does not.

use attest::{Sealed, Tpm, TpmError};
use kit::swtpm::SoftTpm;

const PCRS: &[u8] = &[0, 7];

#[test]
fn a_sealed_secret_comes_back_after_a_power_cut() {
    let dir = tempfile::tempdir().expect("dir");
    let mut chip = SoftTpm::start(dir.path());
    let tpm = Tpm::new(&chip.tcti()).expect("name");
    let sealed = Sealed::new(&tpm, b"the key of keys", PCRS).expect("sealed");
    assert_eq!(sealed.open(&tpm).expect("opened").as_slice(), b"the key of keys");
    chip.power_off();
    assert!(
        matches!(sealed.open(&tpm), Err(TpmError::Absent(_))),
        "an absent chip is called absent"
    );
    chip.power_on();
    assert_eq!(sealed.open(&tpm).expect("opened").as_slice(), b"the key of keys");
}

#[test]
fn a_changed_boot_or_another_chip_gives_nothing() {
    let dir = tempfile::tempdir().expect("dir");
    let chip = SoftTpm::start(&dir.path().join("one"));
    let tpm = Tpm::new(&chip.tcti()).expect("name");
    let sealed = Sealed::new(&tpm, b"the key of keys", PCRS).expect("sealed");

    let other = SoftTpm::start(&dir.path().join("two"));
    let other = Tpm::new(&other.tcti()).map(|t| (t, other)).expect("name");
    assert!(
        matches!(sealed.open(&other.0), Err(TpmError::Replaced)),
        "{:?}",
        sealed.open(&other.0)
    );

    chip.extend(7);
    assert!(
        matches!(sealed.open(&tpm), Err(TpmError::StateChanged)),
        "{:?}",
        sealed.open(&tpm)
    );
}

#[test]
fn the_measured_state_is_the_same_until_it_changes_and_an_absent_chip_tells_none() {
    let dir = tempfile::tempdir().expect("dir");
    let mut chip = SoftTpm::start(dir.path());
    let tpm = Tpm::new(&chip.tcti()).expect("name");
    for pcrs in [PCRS, &[7, 7], &[0, 1, 2, 3, 4, 5, 6, 8, 9, 7]] {
        let sealed = Sealed::new(&tpm, b"secret", pcrs).expect("sealed");
        let before = sealed.measured(&tpm).expect("measured");
        chip.extend(16);
        assert_eq!(
            sealed.measured(&tpm).expect("measured"),
            before,
            "another PCR says nothing"
        );
        chip.extend(7);
        assert_ne!(sealed.measured(&tpm).expect("measured"), before);
        chip.power_off();
        assert!(matches!(sealed.measured(&tpm), Err(TpmError::Absent(_))));
        chip.power_on();
    }
}

#[test]
fn many_acts_and_two_users_leave_no_handle_behind() {
    let dir = tempfile::tempdir().expect("dir");
    let chip = SoftTpm::start(dir.path());
    let tcti = chip.tcti();
    let sealed = Sealed::new(&Tpm::new(&tcti).expect("name"), b"secret", PCRS).expect("sealed");
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let tpm = Tpm::new(&tcti).expect("name");
                for _ in 0..10 {
                    sealed.open(&tpm).expect("opened");
                }
            });
        }
    });
}
