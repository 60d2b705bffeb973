//! The lock of the memory is lost while the server runs: in a process of its own, under a limit of the kernel.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kit::swtpm::SoftTpm;
use records::his::Operation;
use records::sign::{Enrol, EnrolRequest, Pin, SignDocument, SignRequest};
use records::{Outcome, SystemClock};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
use serde::Serialize;
use serde_json::Value;
use sign::Engine;
use sign::engine::Rules;
use sign::guard::{self, MemoryLock};
use sign::selftest::Report;
use sign::service::Service;
use sign::wire::Request;
use tokio_util::sync::CancellationToken;

use crate::site::HOSPITAL;

/// Where the child keeps its state; only the child has it.
const CHILD: &str = "MEMORY_CHILD";
/// Bytes that may be locked: less than any process has.
const LIMIT: u64 = 1 << 20;

/// Free pages of the heap are unlocked to be given back. When they cannot be locked again nothing is signed, until they
/// are.
#[test]
fn nothing_is_signed_while_memory_cannot_be_locked_again() {
    if let Ok(folder) = std::env::var(CHILD) {
        return in_a_child(Path::new(&folder));
    }
    let swaps = std::fs::read_to_string("/proc/swaps").expect("areas");
    if swaps.lines().count() > 1 {
        return; // On a machine that swaps no page is ever unlocked.
    }
    let dir = tempfile::tempdir().expect("dir");
    let name = "memory::nothing_is_signed_while_memory_cannot_be_locked_again";
    let done = Command::new(std::env::current_exe().expect("this test"))
        .args([name, "--exact", "--nocapture", "--test-threads", "1"])
        .env(CHILD, dir.path())
        .output()
        .expect("a child");
    let said = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
    assert!(done.status.success() && said.contains("1 passed"), "{said}");
}

fn in_a_child(folder: &Path) {
    // Threads of a runtime would have capabilities of their own: there is this one.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("runtime").block_on(stops_and_goes_on(folder));
}

async fn stops_and_goes_on(folder: &Path) {
    let chip = SoftTpm::start(&folder.join("tpm"));
    let limit = Rlimit {
        current: Some(LIMIT),
        maximum: getrlimit(Resource::Memlock).maximum,
    };
    setrlimit(Resource::Memlock, limit).expect("a limit");
    let guarded = guard::harden();
    assert!(guarded.memory_locked, "this test needs the capability to lock memory");
    let rules = Rules {
        pcrs: vec![0, 7],
        pin_min: 4,
        guarded,
    };
    let tpm = attest::Tpm::new(&chip.tcti()).expect("name");
    let engine = Arc::new(Engine::open(folder, tpm, rules, Arc::new(SystemClock)).expect("engine"));
    let service = Arc::new(Service::start(Arc::clone(&engine), None).expect("service"));
    service.self_test("test").expect("tested");
    let stop = CancellationToken::new();
    let looking = tokio::spawn(Arc::clone(&service).keep_memory_locked(stop.clone()));
    enrol(&engine);
    sign(&engine).done().expect("signed");

    // The limit holds for the moment of giving back.
    let all = capabilities(None).expect("capabilities");
    let mut fewer = all;
    fewer.effective.remove(CapabilitySet::IPC_LOCK);
    set_capabilities(None, fewer).expect("fewer");
    let given = sign::memory::give_back();
    set_capabilities(None, all).expect("all again");
    assert!(given.is_err() && guard::memory_lock() == MemoryLock::Lost, "{given:?}");
    let Outcome::Refused { code, .. } = sign(&engine) else {
        panic!("signed with memory that may be in swap");
    };
    assert_eq!(code, "self_test");

    let report = until(&service, |report| !report.passed).await;
    let failed: Vec<&str> = report
        .items
        .iter()
        .filter(|item| !item.passed)
        .map(|item| item.name)
        .collect();
    assert_eq!(failed, ["memory-lock"]);
    // It is locked again as soon as it can be, and a test that passes lets signing go on.
    until(&service, |report| report.passed).await;
    assert_eq!(guard::memory_lock(), MemoryLock::Holds);
    sign(&engine).done().expect("signed");
    stop.cancel();
    looking.await.expect("looked");
}

async fn until(service: &Service, wanted: impl Fn(&Report) -> bool) -> Arc<Report> {
    for _ in 0..1_200 {
        if let Some(report) = service.tested().filter(|report| wanted(report)) {
            return report;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("not within two minutes: {:?}", service.tested());
}

fn ask<O: Operation>(engine: &Engine, key: &str, body: &impl Serialize) -> Outcome<Value> {
    engine.answer(Request {
        method: O::METHOD.to_owned(),
        key: Some(key.to_owned()),
        body: serde_json::to_value(body).expect("JSON"),
    })
}

fn enrol(engine: &Engine) {
    let asked = EnrolRequest {
        signer_id: "stf_wang".to_owned(),
        name: "王医生".to_owned(),
        role: "doctor".to_owned(),
        organisation: HOSPITAL.to_owned(),
        pin: Pin("135790".to_owned()),
    };
    ask::<Enrol>(engine, "stf_wang", &asked).done().expect("enrolled");
}

fn sign(engine: &Engine) -> Outcome<Value> {
    let mut fresh = [0; 8];
    getrandom::fill(&mut fresh).expect("random");
    let asked = SignRequest {
        signer_id: "stf_wang".to_owned(),
        pin: Pin("135790".to_owned()),
        document: STANDARD.encode(fresh),
    };
    ask::<SignDocument>(engine, &hex::encode(fresh), &asked)
}
