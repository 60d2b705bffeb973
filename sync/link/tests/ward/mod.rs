//! A small hospital for tests of the line: certificates, both ends with their stores, a proxy that breaks the line.

#![expect(dead_code, reason = "each test file uses its part")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use link::cloud::{BrokerChoice, CloudLink, Registry};
use link::edge::EdgeLink;
use link::{ApplyError, Call, Calls, Inbox, LinkStatus, Tuning, tls};
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType};
use records::id::EdgeId;
use records::{Clock, Entropy, Ids, Lane, Outcome, PeerId, SystemClock, TenantId};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use store::{Entry, Migration, Scope, SqliteOptions, Store, StoreError, Tx};

pub(crate) mod proxy;

/// Randomness of the machine, for connection names.
pub(crate) struct MachineEntropy;

impl Entropy for MachineEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        rand::fill(buffer);
    }
}

pub(crate) fn ids() -> Arc<Ids> {
    Arc::new(Ids::new(MachineEntropy))
}

pub(crate) fn edge_id(n: u32) -> EdgeId {
    EdgeId::parse(&format!("edg_{n}")).unwrap()
}

pub(crate) fn tenant() -> TenantId {
    TenantId::parse("hos_1").unwrap()
}

/// Times short enough for a test, long enough for a busy machine.
pub(crate) fn tuning() -> Tuning {
    Tuning {
        ping: Duration::from_millis(500),
        dead: Duration::from_secs(3),
        greet: Duration::from_millis(500),
        rest: Duration::from_secs(2),
        look: Duration::from_millis(300),
        patience: Duration::from_secs(2),
        ..Tuning::default()
    }
}

/// A certificate authority.
pub(crate) struct Authority {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

pub(crate) type Papers = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self {
            certificate: certificate.der().clone(),
            pem: certificate.pem(),
            issuer: Issuer::new(params, key),
        }
    }

    fn issue(&self, mut params: CertificateParams, name: &str) -> (rcgen::Certificate, KeyPair) {
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    fn edge_params(edge: &EdgeId) -> CertificateParams {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params
            .subject_alt_names
            .push(SanType::URI(format!("{}{edge}", tls::EDGE_URN).try_into().unwrap()));
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
        params
    }

    pub(crate) fn edge(&self, edge: &EdgeId) -> Papers {
        papers(&self.issue(Self::edge_params(edge), edge.as_str()))
    }

    /// As PEM files for other people's software.
    pub(crate) fn edge_pem(&self, edge: &EdgeId) -> (String, String) {
        let (certificate, key) = self.issue(Self::edge_params(edge), edge.as_str());
        (certificate.pem(), key.serialize_pem())
    }

    /// A client that is no appliance.
    pub(crate) fn named(&self, name: &str) -> Papers {
        papers(&self.issue(CertificateParams::new(Vec::new()).unwrap(), name))
    }

    fn server_params() -> CertificateParams {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params
            .subject_alt_names
            .push(SanType::IpAddress("127.0.0.1".parse().unwrap()));
        params
    }

    pub(crate) fn server(&self) -> Papers {
        papers(&self.issue(Self::server_params(), "cloud"))
    }

    pub(crate) fn server_pem(&self) -> (String, String) {
        let (certificate, key) = self.issue(Self::server_params(), "cloud");
        (certificate.pem(), key.serialize_pem())
    }

    pub(crate) fn roots(&self) -> rustls::RootCertStore {
        tls::roots([&self.certificate]).unwrap()
    }

    pub(crate) fn client(&self, (chain, key): Papers) -> Arc<rustls::ClientConfig> {
        Arc::new(tls::client_config_with_key(tls::Offer::Classic, self.roots(), chain, key).unwrap())
    }

    pub(crate) fn listener(&self) -> Arc<rustls::ServerConfig> {
        let (chain, key) = self.server();
        Arc::new(
            tls::server_config(
                tls::Show::Classic(tls::Own { chain, key }),
                self.roots(),
                tls::ClientCertificate::Required,
            )
            .unwrap(),
        )
    }
}

fn papers((certificate, key): &(rcgen::Certificate, KeyPair)) -> Papers {
    (
        vec![certificate.der().clone()],
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
    )
}

/// Knows the appliances 1 to 9.
pub(crate) struct Fleet;

#[async_trait]
impl Registry for Fleet {
    async fn hospital(&self, edge: &EdgeId) -> Option<TenantId> {
        (edge.as_str().len() == "edg_1".len()).then(tenant)
    }
}

const SEEN: &[Migration] = &[Migration {
    name: "test/0001_seen",
    sql: "CREATE TABLE test_seen(tenant_id TEXT NOT NULL, place BIGINT NOT NULL, peer TEXT NOT NULL, number BIGINT NOT NULL,
          PRIMARY KEY (tenant_id, place));",
}];

/// Writes down every entry it is given: a repetition would be seen as such.
pub(crate) struct Counting;

#[async_trait]
impl Inbox for Counting {
    async fn apply(&self, tx: &mut Tx<'_>, from: &PeerId, entry: &Entry) -> Result<(), ApplyError> {
        let body: Value = serde_json::from_str(&entry.body).map_err(|e| ApplyError::Park(e.to_string()))?;
        match entry.kind.as_str() {
            "test.number" => {
                let number = body["number"]
                    .as_i64()
                    .ok_or_else(|| ApplyError::Park("no number".into()))?;
                let tenant = tx.tenant().clone();
                tx.exec(
                    "INSERT INTO test_seen(tenant_id, place, peer, number)
                     SELECT $1, COALESCE(MAX(place), 0) + 1, $2, $3 FROM test_seen WHERE tenant_id = $1",
                    &[&tenant, from, &number],
                )
                .await?;
                Ok(())
            }
            "test.word" => {
                let (tenant, word) = (tx.tenant().clone(), body["word"].as_str().unwrap().to_owned());
                tx.exec(
                    "INSERT INTO test_seen(tenant_id, place, peer, number) VALUES ($1, -2, $2, -2)",
                    &[&tenant, &word],
                )
                .await?;
                Ok(())
            }
            "test.poison" => {
                let tenant = tx.tenant().clone();
                tx.exec(
                    "INSERT INTO test_seen(tenant_id, place, peer, number) VALUES ($1, -1, $2, -1)",
                    &[&tenant, from],
                )
                .await?;
                Err(ApplyError::Park("cannot be digested".into()))
            }
            other => Err(ApplyError::unknown_kind(other)),
        }
    }
}

/// Answers calls: `echo`, `held` (waits until the file `until` exists; a file in the folder `running` tells that it
/// runs), `large`, `panic`.
pub(crate) struct Echo;

#[async_trait]
impl Calls for Echo {
    async fn handle(&self, call: Call) -> Outcome<Value> {
        match call.method.as_str() {
            "echo" => Outcome::Done(json!({ "said": call.body, "key": call.key })),
            "held" => {
                let path = |name: &str| Path::new(call.body[name].as_str().unwrap()).to_owned();
                let number = std::fs::read_dir(path("running")).unwrap().count();
                let running = tempfile::NamedTempFile::with_prefix_in(number.to_string(), path("running")).unwrap();
                while !path("until").exists() {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                drop(running);
                Outcome::Done(json!("at last"))
            }
            "large" => Outcome::Done(json!("x".repeat(call.body["bytes"].as_u64().unwrap_or(0) as usize))),
            "panic" => panic!("a mistake in a handler"),
            _ => Outcome::refused("unknown_method", "不支持的操作"),
        }
    }
}

pub(crate) async fn open_store(path: &Path) -> Store {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store = Store::open_sqlite(path, SqliteOptions::default(), clock).await.unwrap();
    store.migrate(SEEN).await.unwrap();
    store
}

pub(crate) async fn open_postgres(url: &str) -> Store {
    let store = Store::open_postgres(url, Arc::new(SystemClock)).await.unwrap();
    store.migrate(SEEN).await.unwrap();
    store
}

/// Appends numbers `range` for a peer, one unit each when `apart`, else all in one.
pub(crate) async fn append(store: &Store, to: &PeerId, range: std::ops::Range<i64>) {
    append_kind(store, to, "test.number", range).await;
}

pub(crate) async fn append_kind(store: &Store, to: &PeerId, kind: &'static str, range: std::ops::Range<i64>) {
    let to = to.clone();
    store
        .write(&Scope::system(tenant()), move |tx| {
            let (to, range) = (to.clone(), range.clone());
            Box::pin(async move {
                for number in range {
                    tx.append(&to, Lane::Clinical, kind, "e", &json!({ "number": number }))
                        .await?;
                }
                Ok::<_, StoreError>(())
            })
        })
        .await
        .unwrap();
}

/// The numbers applied here, in the order they were applied.
pub(crate) async fn seen(store: &Store) -> Vec<i64> {
    let rows: Vec<(i64,)> = store
        .read(&Scope::system(tenant()), |tx| {
            Box::pin(async move {
                let tenant = tx.tenant().clone();
                tx.all::<(i64,)>(
                    "SELECT number FROM test_seen WHERE tenant_id = $1 ORDER BY place",
                    &[&tenant],
                )
                .await
            })
        })
        .await
        .unwrap();
    rows.into_iter().map(|(n,)| n).collect()
}

/// Waits until `count` numbers were applied; says what there is when they do not come.
pub(crate) async fn wait_seen(store: &Store, count: usize) -> Vec<i64> {
    let end = Instant::now() + PATIENCE;
    loop {
        let now = seen(store).await;
        if now.len() >= count {
            return now;
        }
        assert!(
            Instant::now() < end,
            "only {} of {count} entries were applied",
            now.len()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub(crate) fn numbers(range: std::ops::Range<i64>) -> Vec<i64> {
    range.collect()
}

pub(crate) async fn wait_status(
    status: &mut tokio::sync::watch::Receiver<LinkStatus>,
    what: &str,
    fits: impl FnMut(&LinkStatus) -> bool,
) -> LinkStatus {
    let found = tokio::time::timeout(PATIENCE, status.wait_for(fits)).await;
    found
        .unwrap_or_else(|_| panic!("the line never was {what}"))
        .unwrap()
        .clone()
}

/// How long the machine may be busy with something else.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until something holds that another task brings about.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < end, "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub(crate) async fn wait_online(cloud: &CloudLink, edge: &EdgeId) {
    until("the appliance is online", async || cloud.online(edge)).await;
}

pub(crate) async fn start_cloud(store: &Store, authority: &Authority, listen: std::net::SocketAddr) -> CloudLink {
    start_cloud_with(
        store,
        BrokerChoice::Embedded {
            listen,
            tls: authority.listener(),
        },
    )
    .await
}

pub(crate) async fn start_cloud_with(store: &Store, broker: BrokerChoice) -> CloudLink {
    let options = link::cloud::Options {
        broker,
        registry: Arc::new(Fleet),
        ids: ids(),
        tuning: tuning(),
    };
    CloudLink::start(store.clone(), options, Arc::new(Counting))
        .await
        .unwrap()
}

pub(crate) fn edge_options(edge: &EdgeId, port: u16, tls: Arc<rustls::ClientConfig>) -> link::edge::Options {
    link::edge::Options {
        edge: edge.clone(),
        tenant: tenant(),
        broker: format!("mqtts://localhost:{port}"),
        tls,
        ids: ids(),
        tuning: tuning(),
    }
}

pub(crate) async fn start_edge(store: &Store, authority: &Authority, edge: &EdgeId, port: u16) -> EdgeLink {
    let tls = authority.client(authority.edge(edge));
    EdgeLink::start(
        store.clone(),
        edge_options(edge, port, tls),
        Arc::new(Echo),
        Arc::new(Counting),
    )
    .await
    .unwrap()
}

pub(crate) const LOCAL: std::net::SocketAddr =
    std::net::SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);
