//! Enrolment end to end: a software TPM, the real fleet service over TLS, mutual TLS with the key inside the TPM.

#![expect(clippy::expect_used, reason = "what a test cannot set up fails the test")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use agent::{Agent, AgentError, Enrolled, Settings, Trust, factory_record};
use attest::Tpm;
use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::get;
use ca::Ca;
use evidence::ClaimCode;
use fleet::Fleet;
use kit::swtpm::SoftTpm;
use link::https::HttpsListener;
use link::tls::{ClientCertificate, Offer, Own, Show, roots, server_config};
use records::id::{EdgeId, Entropy};
use records::{Actor, Clock, Ids, ManualClock, SystemClock, TenantId, Timestamp};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use store::{SqliteOptions, Store};
use tempfile::TempDir;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

struct System;

impl Entropy for System {
    fn fill(&self, buffer: &mut [u8]) {
        getrandom::fill(buffer).expect("random source");
    }
}

/// Loses the line at one message: before the service sees it, or after it has done its work.
#[derive(Default)]
struct Cut {
    seen: AtomicUsize,
    at: AtomicUsize,
    after: std::sync::atomic::AtomicBool,
    happened: Notify,
}

async fn cut(State(cut): State<Arc<Cut>>, request: Request, next: Next) -> Response {
    let here = cut.seen.fetch_add(1, Ordering::SeqCst) + 1 == cut.at.load(Ordering::SeqCst);
    if here && !cut.after.load(Ordering::SeqCst) {
        cut.happened.notify_one();
        return std::future::pending().await;
    }
    let answer = next.run(request).await;
    if here {
        cut.happened.notify_one();
        return std::future::pending().await;
    }
    answer
}

async fn whoami(
    State(fleet): State<Fleet>,
    ConnectInfo(peer): ConnectInfo<link::https::Peer>,
) -> Result<String, (StatusCode, String)> {
    let certificate = peer.certificate.ok_or((StatusCode::UNAUTHORIZED, String::new()))?;
    match fleet.peer(&certificate).await {
        Ok(peer) => Ok(format!("{} {}", peer.edge_id, peer.hospital)),
        Err(error) => Err((StatusCode::FORBIDDEN, error.to_string())),
    }
}

/// The vendor's side.
struct Cloud {
    dir: TempDir,
    fleet: Fleet,
    clock: Arc<ManualClock>,
    cut: Arc<Cut>,
    url: String,
    root: CertificateDer<'static>,
    task: JoinHandle<()>,
}

impl Drop for Cloud {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn cloud() -> Cloud {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let dir = tempfile::tempdir().expect("dir");
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let store = Store::open_sqlite(&dir.path().join("fleet.db"), SqliteOptions::default(), clock.clone()).await;
    let store = store.expect("store");
    store.migrate(fleet::MIGRATIONS).await.expect("migrated");
    let ca = Arc::new(Ca::open_or_create(&dir.path().join("ca"), clock.now()).expect("ca"));
    let fleet = Fleet::new(store, ca.clone(), Arc::new(Ids::new(System)));

    let server = ca
        .issue_server(&["127.0.0.1", "localhost"], clock.now())
        .expect("server certificate");
    let key = PrivateKeyDer::from_pem_slice(server.key_pem.as_bytes()).expect("key");
    let clients = roots([ca.root()]).expect("roots");
    let tls = server_config(
        Show::Classic(Own {
            chain: server.chain,
            key,
        }),
        clients,
        ClientCertificate::Optional,
    )
    .expect("tls");
    let listener = HttpsListener::bind(([127, 0, 0, 1], 0).into(), Arc::new(tls))
        .await
        .expect("listener");
    let url = format!("https://{}", listener.address());
    let cut_at = Arc::new(Cut::default());
    let router: Router = fleet::routes(fleet.clone())
        .layer(from_fn_with_state(cut_at.clone(), cut))
        .route("/whoami", get(whoami).with_state(fleet.clone()));
    let task = tokio::spawn(async move {
        let _ = listener.serve(router, Default::default()).await;
    });
    Cloud {
        root: ca.root().clone(),
        dir,
        fleet,
        clock,
        cut: cut_at,
        url,
        task,
    }
}

/// An appliance in its box.
struct Box {
    chip: SoftTpm,
    dir: PathBuf,
    tpm: Arc<Tpm>,
    serial: String,
}

impl Box {
    fn new(dir: &Path, serial: &str) -> Self {
        let chip = SoftTpm::start(&dir.join(format!("{serial}-tpm")));
        let tpm = Arc::new(Tpm::new(&chip.tcti()).expect("name"));
        Self {
            chip,
            dir: dir.join(format!("{serial}-state")),
            tpm,
            serial: serial.to_owned(),
        }
    }

    fn agent_with(&self, cloud: &Cloud, clock: Arc<dyn Clock>) -> Agent {
        let settings = Settings {
            dir: self.dir.clone(),
            serial: self.serial.clone(),
            url: cloud.url.clone(),
            trust: Trust::new([cloud.root.clone()], Offer::Classic).expect("trust"),
        };
        Agent::open(settings, self.tpm.clone(), clock).expect("agent")
    }

    fn agent(&self, cloud: &Cloud) -> Agent {
        self.agent_with(cloud, cloud.clock.clone())
    }
}

fn hospital() -> TenantId {
    TenantId::parse("hos_yongzhou").expect("id")
}

async fn make_and_claim(cloud: &Cloud, machine: &Box) -> EdgeId {
    let label = factory_record(&machine.tpm, &machine.dir, &machine.serial, "bench", &Ids::new(System));
    let label = label.expect("label");
    let edge = cloud
        .fleet
        .import(&label.record, Actor::System)
        .await
        .expect("imported");
    let code = ClaimCode::typed(&label.claim_code.to_lowercase()).expect("code");
    cloud
        .fleet
        .claim(&code, hospital(), Actor::System)
        .await
        .expect("claimed");
    edge
}

async fn ask(agent: &Agent, enrolled: &Enrolled, cloud: &Cloud) -> Result<(u16, String), reqwest::Error> {
    let tls = agent.client_config(enrolled).expect("tls");
    let http = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .build()
        .expect("client");
    let answer = http.get(format!("{}/whoami", cloud.url)).send().await?;
    Ok((answer.status().as_u16(), answer.text().await?))
}

fn refused(result: Result<Enrolled, AgentError>) -> String {
    match result {
        Err(AgentError::Refused { code, .. }) => code,
        other => panic!("not refused: {other:?}"),
    }
}

fn state(listed: &[fleet::Listed]) -> Vec<&'static str> {
    listed.iter().map(|l| l.appliance.state.name()).collect()
}

#[tokio::test]
async fn a_claimed_machine_enrols_and_connects_with_a_key_that_never_left_its_tpm() {
    let cloud = cloud().await;
    let machine = Box::new(cloud.dir.path(), "YQ-0001");
    let agent = machine.agent(&cloud);
    assert_eq!(refused(agent.ensure().await), "not_claimed", "no factory record");
    let label = factory_record(&machine.tpm, &machine.dir, "YQ-0001", "bench", &Ids::new(System)).expect("label");
    let edge = cloud
        .fleet
        .import(&label.record, Actor::System)
        .await
        .expect("imported");
    assert_eq!(
        cloud.fleet.import(&label.record, Actor::System).await.expect("again"),
        edge
    );
    assert_eq!(refused(agent.ensure().await), "not_claimed", "in the box, not claimed");

    let code = ClaimCode::typed(&label.claim_code).expect("code");
    let wrong = ClaimCode::new(&[3; 25]);
    assert!(cloud.fleet.claim(&wrong, hospital(), Actor::System).await.is_err());
    cloud
        .fleet
        .claim(&code, hospital(), Actor::System)
        .await
        .expect("claimed");
    let other = TenantId::parse("hos_other").expect("id");
    assert!(
        cloud.fleet.claim(&code, other, Actor::System).await.is_err(),
        "claimed already"
    );

    let enrolled = agent.ensure().await.expect("enrolled");
    assert_eq!((&enrolled.edge_id, &enrolled.hospital), (&edge, &hospital()));
    assert_eq!(
        state(&cloud.fleet.list(Some(&hospital())).await.expect("list")),
        ["attested"]
    );
    let answer = ask(&agent, &enrolled, &cloud).await.expect("connected");
    assert_eq!(answer, (200, format!("{edge} hos_yongzhou")));
    assert_eq!(state(&cloud.fleet.list(None).await.expect("list")), ["active"]);
    assert_eq!(
        agent.ensure().await.expect("again"),
        enrolled,
        "a good certificate is kept"
    );
    let after_restart = machine.agent(&cloud).ensure().await.expect("again");
    assert_eq!(after_restart, enrolled, "also across a restart");
}

#[tokio::test]
async fn killed_after_any_message_the_machine_still_comes_in_and_is_one_appliance() {
    let cloud = cloud().await;
    let machine = Box::new(cloud.dir.path(), "YQ-0002");
    make_and_claim(&cloud, &machine).await;
    for (message, after) in [(1, false), (1, true), (2, false), (2, true)] {
        cloud.cut.seen.store(0, Ordering::SeqCst);
        cloud.cut.at.store(message, Ordering::SeqCst);
        cloud.cut.after.store(after, Ordering::SeqCst);
        let agent = machine.agent(&cloud);
        let enrolling = tokio::spawn(async move { agent.enrol().await.map(|_| ()) });
        let happened = tokio::time::timeout(Duration::from_secs(120), cloud.cut.happened.notified()).await;
        happened.expect("the cut came");
        enrolling.abort();
        let _ = enrolling.await;
        assert_eq!(
            machine.agent(&cloud).enrolled(),
            None,
            "nothing half-kept after message {message}"
        );
    }
    cloud.cut.at.store(0, Ordering::SeqCst);
    let agent = machine.agent(&cloud);
    let enrolled = agent.ensure().await.expect("enrolled");
    assert_eq!(ask(&agent, &enrolled, &cloud).await.expect("connected").0, 200);
    assert_eq!(cloud.fleet.list(None).await.expect("list").len(), 1);
}

#[tokio::test]
async fn foreign_machines_copied_disks_and_foreign_authorities_stay_out() {
    let cloud = cloud().await;
    let machine = Box::new(cloud.dir.path(), "YQ-0003");
    make_and_claim(&cloud, &machine).await;
    let agent = machine.agent(&cloud);
    let enrolled = agent.ensure().await.expect("enrolled");

    // another chip that says it is this appliance
    let mut thief = Box::new(cloud.dir.path(), "YQ-0004");
    thief.serial = "YQ-0003".to_owned();
    assert_eq!(refused(thief.agent(&cloud).ensure().await), "not_claimed");

    // the appliance's disk beside another chip: the certificate is not used, and there is no key for it
    for file in ["certificate.json", "tpm-keys.json"] {
        std::fs::copy(machine.dir.join(file), thief.dir.join(file)).expect("copied");
    }
    let copied = thief.agent(&cloud);
    assert_eq!(copied.enrolled(), None);
    assert!(
        ask(&copied, &enrolled, &cloud).await.is_err(),
        "the stolen certificate without its key"
    );

    // a certificate of another authority with the right name in it
    let other = Ca::create(&cloud.dir.path().join("other-ca"), cloud.clock.now()).expect("ca");
    let forged_key = rcgen_key();
    let forged = other
        .issue_device(&forged_key.0, &forged_key.1, &enrolled.edge_id, cloud.clock.now())
        .expect("issued by the stranger");
    let trusted = roots([&cloud.root]).expect("roots");
    let key = PrivateKeyDer::from_pem_slice(forged_key.2.as_bytes()).expect("key");
    let tls = link::tls::client_config_with_key(Offer::Classic, trusted, forged.chain, key).expect("tls");
    let http = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .build()
        .expect("client");
    assert!(http.get(format!("{}/whoami", cloud.url)).send().await.is_err());

    // a fleet service of another authority is not spoken to
    let settings = Settings {
        dir: machine.dir.clone(),
        serial: machine.serial.clone(),
        url: cloud.url.clone(),
        trust: Trust::new([other.root().clone()], Offer::Classic).expect("trust"),
    };
    let elsewhere = Agent::open(settings, machine.tpm.clone(), cloud.clock.clone()).expect("agent");
    assert!(matches!(elsewhere.enrol().await, Err(AgentError::Unreachable(_))));
    assert_eq!(
        ask(&agent, &enrolled, &cloud).await.expect("connected").0,
        200,
        "the right one is still in"
    );
}

/// Request, point and PEM of a key in a file.
fn rcgen_key() -> (Vec<u8>, [u8; 65], String) {
    use rcgen::PublicKeyData;
    let key = rcgen::KeyPair::generate().expect("key");
    let request = rcgen::CertificateParams::default()
        .serialize_request(&key)
        .expect("request");
    (
        request.der().to_vec(),
        key.der_bytes().try_into().expect("point"),
        key.serialize_pem(),
    )
}

#[tokio::test]
async fn a_suspended_machine_waits_and_a_revoked_one_is_out_for_ever() {
    let cloud = cloud().await;
    let machine = Box::new(cloud.dir.path(), "YQ-0005");
    let edge = make_and_claim(&cloud, &machine).await;
    let agent = machine.agent(&cloud);
    let enrolled = agent.ensure().await.expect("enrolled");
    assert_eq!(ask(&agent, &enrolled, &cloud).await.expect("connected").0, 200);
    cloud
        .fleet
        .suspend(&edge, Actor::System, "rent unpaid")
        .await
        .expect("suspended");
    assert_eq!(ask(&agent, &enrolled, &cloud).await.expect("answered").0, 403);
    assert_eq!(refused(agent.enrol().await), "not_claimed");
    cloud.fleet.resume(&edge, Actor::System, "").await.expect("resumed");
    assert_eq!(ask(&agent, &enrolled, &cloud).await.expect("connected").0, 200);
    cloud
        .fleet
        .revoke(&edge, Actor::System, "stolen")
        .await
        .expect("revoked");
    let (status, reason) = ask(&agent, &enrolled, &cloud).await.expect("answered");
    assert_eq!((status, reason.as_str()), (403, "unknown certificate"));
    assert_eq!(refused(agent.enrol().await), "not_claimed");
    assert!(cloud.fleet.resume(&edge, Actor::System, "").await.is_err());
}

#[tokio::test]
async fn a_certificate_is_renewed_at_two_thirds_and_even_after_its_end() {
    let cloud = cloud().await;
    let machine = Box::new(cloud.dir.path(), "YQ-0006");
    make_and_claim(&cloud, &machine).await;
    let agent = machine.agent(&cloud);
    let first = agent.ensure().await.expect("enrolled");
    let day = Duration::from_secs(24 * 3600);
    cloud.clock.advance(day * 59);
    assert_eq!(agent.ensure().await.expect("kept"), first);
    cloud.clock.advance(day * 2);
    let second = agent.ensure().await.expect("renewed");
    assert!(second.not_after > first.not_after && second.edge_id == first.edge_id);
    cloud.clock.advance(day * 100);
    assert!(!second.is_good(cloud.clock.now()));
    let third = agent.ensure().await.expect("renewed after its end");
    assert!(third.is_good(cloud.clock.now()));
    assert_eq!(cloud.fleet.list(None).await.expect("list").len(), 1);
}

#[tokio::test]
async fn a_flat_clock_battery_does_not_cut_the_line() {
    let cloud = cloud().await;
    let machine = Box::new(cloud.dir.path(), "YQ-0007");
    make_and_claim(&cloud, &machine).await;
    let enrolled = machine.agent(&cloud).ensure().await.expect("enrolled");
    let stopped: Arc<dyn Clock> = Arc::new(ManualClock::new(Timestamp::from_seconds(0)));
    let agent = machine.agent_with(&cloud, stopped);
    assert_eq!(ask(&agent, &enrolled, &cloud).await.expect("connected").0, 200);
}

#[tokio::test]
async fn without_its_chip_the_machine_says_so_and_recovers() {
    let cloud = cloud().await;
    let mut machine = Box::new(cloud.dir.path(), "YQ-0008");
    make_and_claim(&cloud, &machine).await;
    let agent = machine.agent(&cloud);
    let enrolled = agent.ensure().await.expect("enrolled");
    machine.chip.power_off();
    assert!(ask(&agent, &enrolled, &cloud).await.is_err());
    assert!(matches!(
        agent.enrol().await,
        Err(AgentError::Tpm(attest::TpmError::Absent(_)))
    ));
    machine.chip.power_on();
    assert_eq!(ask(&agent, &enrolled, &cloud).await.expect("connected").0, 200);
}
