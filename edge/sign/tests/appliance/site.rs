//! A hospital's appliance for the tests: a software TPM and a `signd` process with its own state.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gm::Trust;
use kit::process::Process;
use kit::swtpm::SoftTpm;
use records::Outcome;
use records::sign::{
    Enrol, EnrolRequest, Pin, SignDocument, SignRequest, Signature, SignerStatus, Status, StatusRequest, TrustRequest,
    TrustRoots,
};
use sign::Client;
use tempfile::TempDir;

pub(crate) const HOSPITAL: &str = "永州市中心医院";
pub(crate) const PIN: &str = "202611";
/// For a start and for an answer, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(120);

/// One appliance.
pub(crate) struct Site {
    pub(crate) dir: TempDir,
    pub(crate) tpm: SoftTpm,
    pub(crate) signd: Process,
    pub(crate) client: Client,
}

/// Starts `signd` on a state directory and a TPM.
pub(crate) fn start(state: &Path, tcti: &str) -> (Process, Client) {
    start_with(state, tcti, "")
}

fn start_with(state: &Path, tcti: &str, settings: &str) -> (Process, Client) {
    std::fs::create_dir_all(state).expect("directory");
    let socket = state.join("signd.sock");
    let config = state.join("signd.toml");
    let text = format!("state_dir = {state:?}\nsocket = {socket:?}\ntpm = {tcti:?}\n{settings}");
    std::fs::write(&config, text).expect("settings");
    let config = config.to_string_lossy().into_owned();
    let signd = Process::start(env!("CARGO_BIN_EXE_signd"), &["--config", &config]).ready(PATIENCE);
    (signd, Client::new(&socket).patience(PATIENCE))
}

impl Site {
    pub(crate) fn new() -> Self {
        Self::with("")
    }

    /// With further settings.
    pub(crate) fn with(settings: &str) -> Self {
        let dir = tempfile::tempdir().expect("dir");
        let tpm = SoftTpm::start(&dir.path().join("tpm"));
        let (signd, client) = start_with(&dir.path().join("state"), &tpm.tcti(), settings);
        Self {
            dir,
            tpm,
            signd,
            client,
        }
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// The power goes, and comes back.
    pub(crate) fn power_cut(&mut self) {
        self.signd.kill();
        (self.signd, self.client) = start(&self.state(), &self.tpm.tcti());
    }

    /// The same, with other settings from then on.
    pub(crate) fn restart_with(&mut self, settings: &str) {
        self.signd.kill();
        (self.signd, self.client) = start_with(&self.state(), &self.tpm.tcti(), settings);
    }

    pub(crate) async fn enrol(&self, id: &str, name: &str) -> Outcome<SignerStatus> {
        self.enrol_with(id, name, PIN).await
    }

    pub(crate) async fn enrol_with(&self, id: &str, name: &str, pin: &str) -> Outcome<SignerStatus> {
        let asked = EnrolRequest {
            signer_id: id.to_owned(),
            name: name.to_owned(),
            role: "doctor".to_owned(),
            organisation: HOSPITAL.to_owned(),
            pin: Pin(pin.to_owned()),
        };
        self.client.call::<Enrol>(Some(id), &asked).await
    }

    pub(crate) async fn sign(&self, key: &str, id: &str, pin: &str, document: &[u8]) -> Outcome<Signature> {
        sign(&self.client, key, id, pin, document).await
    }

    pub(crate) async fn status(&self, id: &str) -> SignerStatus {
        let asked = StatusRequest {
            signer_id: id.to_owned(),
        };
        self.client.call::<Status>(None, &asked).await.done().expect("status")
    }

    pub(crate) async fn trust(&self) -> Trust {
        let roots = self
            .client
            .call::<TrustRoots>(None, &TrustRequest {})
            .await
            .done()
            .expect("roots");
        Trust::new(roots.signers.iter().map(|r| STANDARD.decode(r).expect("base64"))).expect("roots")
    }
}

pub(crate) async fn sign(client: &Client, key: &str, id: &str, pin: &str, document: &[u8]) -> Outcome<Signature> {
    let asked = SignRequest {
        signer_id: id.to_owned(),
        pin: Pin(pin.to_owned()),
        document: STANDARD.encode(document),
    };
    client.call::<SignDocument>(Some(key), &asked).await
}

/// The code of a refusal.
pub(crate) fn code<T: std::fmt::Debug>(outcome: Outcome<T>) -> String {
    match outcome {
        Outcome::Refused { code, .. } => code,
        other => panic!("not refused: {other:?}"),
    }
}
