//! The registry on SQLite and on PostgreSQL.

#![expect(clippy::expect_used, reason = "what a test cannot set up fails the test")]

use std::sync::Arc;

use ca::Ca;
use evidence::{ClaimCode, FactoryRecord, sha256_hex};
use fleet::{Fleet, FleetError, Listed};
use records::id::EdgeId;
use records::{Actor, Clock, Ids, ManualClock, SeededEntropy, TenantId, Timestamp};
use store::{SqliteOptions, Store};

struct Bench {
    _dir: tempfile::TempDir,
    fleet: Fleet,
    ca: Arc<Ca>,
    clock: Arc<ManualClock>,
}

async fn bench(postgres: bool) -> Bench {
    let dir = tempfile::tempdir().expect("dir");
    let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(1_795_305_600)));
    let store = if postgres {
        let url = tokio::task::spawn_blocking(kit::postgres::database)
            .await
            .expect("database");
        Store::open_postgres(&url, clock.clone()).await
    } else {
        Store::open_sqlite(&dir.path().join("fleet.db"), SqliteOptions::default(), clock.clone()).await
    };
    let store = store.expect("store");
    store.migrate(fleet::MIGRATIONS).await.expect("migrated");
    let ca = Arc::new(Ca::create(&dir.path().join("ca"), clock.now()).expect("ca"));
    let fleet = Fleet::new(store, ca.clone(), Arc::new(Ids::new(SeededEntropy::new(7))));
    Bench {
        _dir: dir,
        fleet,
        ca,
        clock,
    }
}

fn record(serial: &str, code: &ClaimCode) -> FactoryRecord {
    FactoryRecord {
        serial: serial.to_owned(),
        board: "bench".to_owned(),
        ek_sha256: sha256_hex(serial.as_bytes()),
        ek_certificate: None,
        claim_sha256: code.sha256(),
    }
}

fn hospital(name: &str) -> TenantId {
    TenantId::parse(&format!("hos_{name}")).expect("id")
}

fn states(listed: &[Listed]) -> Vec<(&str, &str)> {
    listed
        .iter()
        .map(|l| (l.appliance.serial.as_str(), l.appliance.state.name()))
        .collect()
}

async fn story(postgres: bool) {
    let bench = bench(postgres).await;
    let fleet = &bench.fleet;
    let (one, two) = (ClaimCode::new(&[1; 25]), ClaimCode::new(&[2; 25]));
    let edge = fleet
        .import(&record("S1", &one), Actor::System)
        .await
        .expect("imported");
    assert_eq!(
        fleet.import(&record("S1", &one), Actor::System).await.expect("again"),
        edge
    );
    fleet
        .import(&record("S2", &two), Actor::System)
        .await
        .expect("imported");

    // the same serial number or chip with other contents
    let changed = fleet.import(&record("S1", &two), Actor::System).await;
    assert!(matches!(changed, Err(FleetError::Record(_))), "{changed:?}");
    let same_chip = FactoryRecord {
        serial: "S9".to_owned(),
        ..record("S1", &ClaimCode::new(&[9; 25]))
    };
    assert!(fleet.import(&same_chip, Actor::System).await.is_err());
    let named = |serial: &str, other: FactoryRecord| FactoryRecord {
        serial: serial.to_owned(),
        ..other
    };
    for mixed in [
        named("S1", record("S2", &two)),
        named("S2", record("S1", &one)),
        named("S9", record("S1", &one)),
    ] {
        let refused = fleet.import(&mixed, Actor::System).await;
        assert!(
            matches!(refused, Err(FleetError::Record(_))),
            "{}: {refused:?}",
            mixed.serial
        );
    }
    for bad in [
        FactoryRecord {
            serial: String::new(),
            ..record("S3", &one)
        },
        FactoryRecord {
            serial: "S3' OR 1=1 --\n".to_owned(),
            ..record("S3", &one)
        },
        FactoryRecord {
            ek_sha256: "00".to_owned(),
            ..record("S3", &one)
        },
    ] {
        assert!(matches!(
            fleet.import(&bad, Actor::System).await,
            Err(FleetError::Record(_))
        ));
    }

    // two hospitals type the same code at the same moment
    let (a, b) = (hospital("a"), hospital("b"));
    let (first, second) = tokio::join!(
        fleet.claim(&one, a.clone(), Actor::System),
        fleet.claim(&one, b.clone(), Actor::System)
    );
    assert!(first.is_ok() != second.is_ok(), "one wins: {first:?} {second:?}");
    let winner = if first.is_ok() { a } else { b };
    fleet
        .claim(&one, winner.clone(), Actor::System)
        .await
        .expect("saying it twice is once");
    let listed = fleet.list(Some(&winner)).await.expect("list");
    assert_eq!(states(&listed), [("S1", "claimed")]);
    let all = fleet.list(None).await.expect("list");
    assert_eq!(states(&all), [("S1", "claimed"), ("S2", "manufactured")]);

    let nobody = EdgeId::parse("edg_nobody").expect("id");
    assert!(matches!(
        fleet.revoke(&nobody, Actor::System, "").await,
        Err(FleetError::Unknown(_))
    ));
    assert!(matches!(
        fleet.suspend(&edge, Actor::System, "").await,
        Err(FleetError::Refusal(_))
    ));
    fleet.revoke(&edge, Actor::System, "lost").await.expect("revoked");
    assert!(fleet.claim(&one, winner, Actor::System).await.is_err());
}

#[tokio::test]
async fn appliances_are_imported_once_claimed_by_one_and_revoked_for_ever() {
    story(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_story_holds_on_postgresql() {
    story(true).await;
}

#[tokio::test]
async fn a_certificate_of_our_own_authority_that_the_registry_does_not_know_is_nobodys() {
    use rcgen::PublicKeyData;
    let bench = bench(false).await;
    let code = ClaimCode::new(&[1; 25]);
    let edge = bench
        .fleet
        .import(&record("S1", &code), Actor::System)
        .await
        .expect("imported");
    bench
        .fleet
        .claim(&code, hospital("a"), Actor::System)
        .await
        .expect("claimed");
    let key = rcgen::KeyPair::generate().expect("key");
    let request = rcgen::CertificateParams::default()
        .serialize_request(&key)
        .expect("request");
    let point = key.der_bytes().try_into().expect("point");
    let issued = bench
        .ca
        .issue_device(request.der(), &point, &edge, bench.clock.now())
        .expect("issued");
    let certificate = issued.chain.first().expect("certificate");
    assert_eq!(ca::edge_of(certificate), Some(edge.clone()));
    assert!(matches!(
        bench.fleet.peer(certificate).await,
        Err(FleetError::Unknown("certificate"))
    ));

    let other_point = [4; 65];
    let wrong = bench
        .ca
        .issue_device(request.der(), &other_point, &edge, bench.clock.now());
    assert!(matches!(wrong, Err(ca::CaError::OtherKey)));
    let mut bent = request.der().to_vec();
    if let Some(last) = bent.last_mut() {
        *last ^= 1;
    }
    assert!(bench.ca.issue_device(&bent, &point, &edge, bench.clock.now()).is_err());
}
