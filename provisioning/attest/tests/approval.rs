//! States that a maker approves with tpm2-tools and openssl, away from the appliance.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "what a test cannot set up fails the test"
)]

use std::path::Path;
use std::process::Command;

use attest::approval::REFERENCE;
use attest::{Approval, Authority, Sealed, Tpm, TpmError};
use kit::swtpm::SoftTpm;

const PCRS: &[u8] = &[0, 7];
const SECRET: &[u8] = b"the key of keys";

/// A maker with a key.
struct Maker<'d>(&'d Path);

impl<'d> Maker<'d> {
    fn new(folder: &'d Path) -> Self {
        let made = Self(folder);
        made.run(
            "openssl",
            &[
                "ecparam",
                "-name",
                "prime256v1",
                "-genkey",
                "-noout",
                "-out",
                "maker.key",
            ],
        );
        made
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Vec<u8> {
        let out = Command::new(program).args(arguments).current_dir(self.0).output();
        let out = out.expect(program);
        assert!(
            out.status.success(),
            "{program}: {}",
            String::from_utf8_lossy(&out.stderr)
        );
        out.stdout
    }

    fn authority(&self) -> Authority {
        let spki = self.run("openssl", &["pkey", "-in", "maker.key", "-pubout", "-outform", "DER"]);
        // The point ends it.
        let (rest, y) = spki.split_last_chunk::<32>().expect("y");
        let (_, x) = rest.split_last_chunk::<32>().expect("x");
        Authority::new(x, y)
    }

    /// Approves the state that this machine is in.
    fn approves(&self, like: &SoftTpm) -> Approval {
        let made = Command::new("tpm2_createpolicy")
            .env("TPM2TOOLS_TCTI", like.tcti())
            .args(["--policy-pcr", "-l", "sha256:0,7", "-L", "state.policy"])
            .current_dir(self.0)
            .output();
        assert!(made.is_ok_and(|made| made.status.success()), "tpm2_createpolicy");
        let policy = std::fs::read(self.0.join("state.policy")).expect("policy");
        std::fs::write(self.0.join("signed"), [&policy, REFERENCE].concat()).expect("written");
        let signature = self.run("openssl", &["dgst", "-sha256", "-sign", "maker.key", "signed"]);
        let [r, s] = halves(&signature);
        Approval {
            pcrs: PCRS.to_vec(),
            policy: policy.try_into().expect("a digest"),
            r,
            s,
        }
    }
}

/// `SEQUENCE { r, s }`, short form throughout.
fn halves(der: &[u8]) -> [[u8; 32]; 2] {
    let mut rest = &der[2..];
    std::array::from_fn(|_| {
        let (number, after) = rest[2..].split_at(usize::from(rest[1]));
        rest = after;
        let digits: Vec<u8> = number.iter().copied().skip_while(|byte| *byte == 0).collect();
        let mut half = [0; 32];
        half[32 - digits.len()..].copy_from_slice(&digits);
        half
    })
}

#[test]
fn an_approved_state_opens_and_no_other_does() {
    let dir = tempfile::tempdir().expect("dir");
    let maker = Maker::new(dir.path());
    let authority = maker.authority();
    let chip = SoftTpm::start(&dir.path().join("chip"));
    let tpm = Tpm::new(&chip.tcti()).expect("name");
    let sealed = Sealed::under(&tpm, SECRET, PCRS, Some(&authority)).expect("sealed");
    let open = |sealed: &Sealed| sealed.open(&tpm).map(|secret| secret.to_vec());
    assert_eq!(open(&sealed).expect("in its own state"), SECRET);

    // The maker's machine runs the new version.
    let lab = SoftTpm::start(&dir.path().join("lab"));
    lab.extend(7);
    let approval = maker.approves(&lab);
    let approved = |approval: &Approval| sealed.open_approved(&tpm, approval).map(|secret| secret.to_vec());
    assert!(
        matches!(approved(&approval), Err(TpmError::StateChanged)),
        "the machine is not in it"
    );

    // So does the appliance now.
    chip.extend(7);
    assert!(
        matches!(open(&sealed), Err(TpmError::StateChanged)),
        "{:?}",
        open(&sealed)
    );
    assert_eq!(approved(&approval).expect("approved"), SECRET);
    assert!(matches!(open(&sealed), Err(TpmError::StateChanged)), "not by itself");

    // What is not the maker's word, or is about something else, opens nothing.
    let mut forged = approval.clone();
    forged.s[31] ^= 1;
    let mut other = approval.clone();
    other.policy[0] ^= 1;
    let elsewhere = tempfile::tempdir().expect("dir");
    let stranger = Maker::new(elsewhere.path()).approves(&lab);
    let mut fewer = approval.clone();
    fewer.pcrs = vec![0];
    for wrong in [forged, other, stranger, fewer] {
        assert!(
            matches!(approved(&wrong), Err(TpmError::StateChanged)),
            "{:?}",
            approved(&wrong)
        );
    }
    let plain = Sealed::new(&tpm, SECRET, PCRS).expect("sealed");
    assert!(matches!(
        plain.open_approved(&tpm, &approval),
        Err(TpmError::StateChanged)
    ));

    // Sealed anew, it is bound to the new state; a power cut brings the old one back, and with it neither.
    let anew = Sealed::under(&tpm, SECRET, PCRS, Some(&authority)).expect("sealed");
    let kept = serde_json::to_string(&anew).expect("kept");
    let anew: Sealed = serde_json::from_str(&kept).expect("read");
    assert_eq!(open(&anew).expect("in the new state"), SECRET);
    assert_eq!(anew.authority(), Some(&authority));
    chip.extend(0);
    assert!(matches!(open(&anew), Err(TpmError::StateChanged)));
    assert!(matches!(
        anew.open_approved(&tpm, &approval),
        Err(TpmError::StateChanged)
    ));
}
