//! A number that only grows.

use attest::{Counter, Tpm, TpmError};
use kit::swtpm::SoftTpm;

#[test]
fn a_counter_grows_over_power_cuts_and_beside_others() {
    let dir = tempfile::tempdir().expect("dir");
    let mut chip = SoftTpm::start(dir.path());
    let tpm = Tpm::new(&chip.tcti()).expect("name");
    let (one, other) = (Counter::numbered(7), Counter::numbered(6));
    assert_eq!(one.read(&tpm).expect("read"), None, "never advanced");
    let first = one.advance(&tpm).expect("advanced");
    assert_eq!(
        other.read(&tpm).expect("read"),
        None,
        "the next one is not taken for it"
    );
    assert_eq!(one.advance(&tpm).expect("advanced"), first + 1);
    other.advance(&tpm).expect("advanced");
    chip.power_off();
    assert!(
        matches!(one.read(&tpm), Err(TpmError::Absent(_))),
        "an absent chip says nothing"
    );
    chip.power_on();
    assert_eq!(one.read(&tpm).expect("read"), Some(first + 1));
    assert_eq!(one.advance(&tpm).expect("advanced"), first + 2);
}
