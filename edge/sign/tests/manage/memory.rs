//! The lock of the memory is lost while the server runs.

use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kit::process::Process;
use records::Outcome;
use records::sign::{Enrol, EnrolRequest, Pin, SignDocument, SignRequest, Signature};
use serde_json::Value;

use crate::site::{Browser, HOSPITAL, Site};

/// Bytes that may be locked, to begin with.
const ENOUGH: u64 = 1 << 32;

/// A rush of connections leaves free pages behind, which are unlocked to be given back. The limit is then passed: nothing
/// is signed until it is raised.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_signed_while_memory_cannot_be_locked_again() {
    let swaps = std::fs::read_to_string("/proc/swaps").expect("areas");
    if swaps.lines().count() > 1 {
        return; // On a machine that swaps no page is ever unlocked.
    }
    let mut site = Site::new();
    site.signd.kill();
    // Without the capability that makes the limit void.
    let config = site.state().join("signd.toml");
    let mut command = Command::new("prlimit");
    command.arg(format!("--memlock={ENOUGH}:{ENOUGH}"));
    command.args(["setpriv", "--bounding-set=-ipc_lock", "--inh-caps=-ipc_lock", "--"]);
    command.arg(env!("CARGO_BIN_EXE_signd")).arg("--config").arg(config);
    site.signd = Process::spawn(command).ready(Duration::from_secs(30));
    let admin = site.administrator().await.browser;
    let signs = Doctor::enrolled(&site).await;
    let seen = until(&admin, |seen| seen["self_test"]["passed"] == true).await;
    assert_eq!(seen["memory_locked"], true, "{seen}");
    signs.once().await.done().expect("signed");

    // The program's code is unlocked by now: between what is locked and what there is lies the new limit.
    let (locked, whole) = (held(&site, "VmLck:"), held(&site, "VmSize:"));
    assert!(locked < whole, "{locked} of {whole} bytes are locked");
    limit(&site, u64::midpoint(locked, whole));
    let rush: Vec<TcpStream> = (0..96)
        .map(|_| TcpStream::connect(("127.0.0.1", site.port)).expect("connected"))
        .collect();
    // Answered after all of them were accepted.
    admin.get("session").await.done();
    drop(rush);
    let seen = until(&admin, |seen| seen["self_test"]["passed"] == false).await;
    assert_eq!(seen["memory_locked"], false, "{seen}");
    let items = seen["self_test"]["items"].as_array().expect("items");
    let failed: Vec<&Value> = items.iter().filter(|item| item["passed"] == false).collect();
    assert_eq!((failed.len(), &failed[0]["name"]), (1, &Value::from("memory-lock")), "{seen}");
    let Outcome::Refused { code, .. } = signs.once().await else {
        panic!("signed with memory that may be in swap");
    };
    assert_eq!(code, "self_test");
    let told = site.signd.stderr.all();
    assert!(told.iter().any(|line| line.contains("signing is stopped")), "{told:?}");

    limit(&site, ENOUGH);
    let seen = until(&admin, |seen| seen["self_test"]["passed"] == true).await;
    assert_eq!(seen["memory_locked"], true, "{seen}");
    signs.once().await.done().expect("signed");
}

/// A doctor at the appliance's socket.
struct Doctor(sign::Client);

impl Doctor {
    async fn enrolled(site: &Site) -> Self {
        let client = sign::Client::new(&site.state().join("signd.sock"));
        let enrol = EnrolRequest {
            signer_id: "stf_wang".to_owned(),
            name: "王医生".to_owned(),
            role: "doctor".to_owned(),
            organisation: HOSPITAL.to_owned(),
            pin: Pin("135790".to_owned()),
        };
        let enrolled = client.call::<Enrol>(Some("stf_wang"), &enrol).await;
        enrolled.done().expect("enrolled");
        Self(client)
    }

    async fn once(&self) -> Outcome<Signature> {
        let mut fresh = [0; 8];
        getrandom::fill(&mut fresh).expect("random");
        let asked = SignRequest {
            signer_id: "stf_wang".to_owned(),
            pin: Pin("135790".to_owned()),
            document: STANDARD.encode(fresh),
        };
        self.0.call::<SignDocument>(Some(&hex::encode(fresh)), &asked).await
    }
}

/// Bytes of the server's memory, by a line of its `status`.
fn held(site: &Site, line: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", site.signd.id())).expect("status");
    let kib = status.lines().find_map(|one| one.strip_prefix(line)).expect("line");
    let kib: u64 = kib.trim().trim_end_matches(" kB").parse().expect("a number");
    kib * 1024
}

/// Lets the running server lock so many bytes from now on.
fn limit(site: &Site, bytes: u64) {
    let set = Command::new("prlimit")
        .args(["--pid", &site.signd.id().to_string(), &format!("--memlock={bytes}:{ENOUGH}")])
        .status();
    assert!(set.is_ok_and(|set| set.success()), "the limit cannot be set");
}

async fn until(admin: &Browser, wanted: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..300 {
        let seen = admin.get("overview").await.done();
        if wanted(&seen) {
            return seen;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("not within half a minute: {}", admin.get("overview").await.done());
}
