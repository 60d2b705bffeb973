//! Who is turned away, and that it is told why.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod ward;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use link::edge::EdgeLink;
use records::id::EdgeId;
use records::{Outcome, PeerId};
use rumqttc::mqttbytes::QoS;
use rumqttc::{
    AsyncClient, Broker, ConnectReturnCode, ConnectionError, DisconnectReasonCode, Event, EventLoop, MqttOptions,
    Packet, PublishOptions, StateError, SubscribeReasonCode, TlsConfiguration, Transport,
};
use rustls::client::ResolvesClientCert;
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::{CertifiedKey, Signer, SigningKey};
use rustls::{SignatureAlgorithm, SignatureScheme};
use serde_json::json;
use ward::*;

struct Place {
    _folder: tempfile::TempDir,
    there: store::Store,
    authority: Authority,
    cloud: link::cloud::CloudLink,
    port: u16,
}

async fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let there = open_store(&folder.path().join("cloud.db")).await;
    let authority = Authority::new("Device CA");
    let cloud = start_cloud(&there, &authority, LOCAL).await;
    let port = cloud.broker_address().unwrap().port();
    Place {
        _folder: folder,
        there,
        authority,
        cloud,
        port,
    }
}

/// A plain MQTT client, as an intruder would use one.
fn client(port: u16, client_id: &str, tls: Arc<rustls::ClientConfig>) -> (AsyncClient, EventLoop) {
    let mut options = MqttOptions::new(client_id, Broker::tcp("localhost", port));
    options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(tls)));
    options.set_clean_start(true);
    AsyncClient::builder(options).capacity(16).build()
}

async fn heard<T>(events: &mut EventLoop, mut pick: impl FnMut(Result<Event, ConnectionError>) -> Option<T>) -> T {
    let looked = async {
        loop {
            if let Some(found) = pick(events.poll().await) {
                return found;
            }
        }
    };
    tokio::time::timeout(PATIENCE, looked)
        .await
        .expect("the broker answered in time")
}

async fn connect(events: &mut EventLoop) -> ConnectReturnCode {
    heard(events, |event| match event {
        Ok(Event::Incoming(Packet::ConnAck(ack))) => Some(ack.code),
        Err(ConnectionError::ConnectionRefused(code)) => Some(code),
        Err(e) => panic!("{e}"),
        Ok(_) => None,
    })
    .await
}

async fn hung_up(events: &mut EventLoop) -> DisconnectReasonCode {
    heard(events, |event| match event {
        Ok(Event::Incoming(Packet::Disconnect(d))) => Some(d.reason_code),
        Err(ConnectionError::MqttState(StateError::ServerDisconnect { reason_code, .. })) => Some(reason_code),
        Err(e) => panic!("ended without a word: {e}"),
        Ok(_) => None,
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_certificate_or_with_one_of_a_foreign_authority_there_is_no_connection() {
    let place = place().await;
    let nobody = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(place.authority.roots())
        .with_no_client_auth();
    let foreign = Authority::new("Somebody else's CA");
    let (chain, key) = foreign.edge(&edge_id(1));
    let foreign =
        link::tls::client_config_with_key(link::tls::Offer::Classic, place.authority.roots(), chain, key).unwrap();
    for tls in [nobody, foreign] {
        let (_client, mut events) = client(place.port, "edg_1:ctl", Arc::new(tls));
        let refused = heard(&mut events, |event| match event {
            Err(e) => Some(e.to_string()),
            Ok(Event::Incoming(packet)) => panic!("let in: {packet:?}"),
            Ok(_) => None,
        })
        .await;
        assert!(
            refused.contains("ertificate") || refused.contains("alert") || refused.contains("UnknownCA"),
            "{refused}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_older_than_1_3_is_refused() {
    let place = place().await;
    let (chain, key) = place.authority.edge(&edge_id(1));
    let old = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(place.authority.roots())
        .with_client_auth_cert(chain, key)
        .unwrap();
    let (_client, mut events) = client(place.port, "edg_1:ctl", Arc::new(old));
    let refused = heard(&mut events, |event| event.err().map(|e| e.to_string())).await;
    assert!(
        refused.contains("ProtocolVersion") || refused.contains("protocol version"),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_appliance_may_neither_hear_nor_speak_under_another_ones_topics() {
    let place = place().await;
    let tls = place.authority.client(place.authority.edge(&edge_id(1)));

    let (hearing, mut events) = client(place.port, "edg_1:probe", tls.clone());
    assert_eq!(connect(&mut events).await, ConnectReturnCode::Success);
    for filter in ["yq/v1/edg_2/dn/ctl", "yq/v1/+/dn/ctl", "#", "yq/v1/edg_1/up/ctl"] {
        hearing.try_subscribe(filter, QoS::AtMostOnce).unwrap();
        let code = heard(&mut events, |event| match event {
            Ok(Event::Incoming(Packet::SubAck(ack))) => Some(ack.return_codes),
            Err(e) => panic!("{e}"),
            Ok(_) => None,
        })
        .await;
        assert_eq!(code, [SubscribeReasonCode::NotAuthorized], "{filter}");
    }

    for topic in ["yq/v1/edg_2/up/ctl", "yq/v1/edg_1/dn/ctl", "anything"] {
        let (speaking, mut events) = client(place.port, "edg_1:probe", tls.clone());
        assert_eq!(connect(&mut events).await, ConnectReturnCode::Success);
        speaking
            .try_publish(topic, b"x".to_vec(), PublishOptions::new(QoS::AtMostOnce))
            .unwrap();
        assert_eq!(
            hung_up(&mut events).await,
            DisconnectReasonCode::NotAuthorized,
            "{topic}"
        );
    }
    assert!(
        place.cloud.status(&edge_id(2)).is_none(),
        "nothing reached the cloud in the name of another appliance"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_name_of_another_appliance_and_an_appliance_unknown_to_the_fleet_are_refused() {
    let place = place().await;
    let tls = place.authority.client(place.authority.edge(&edge_id(1)));
    let (_client, mut events) = client(place.port, "edg_2:ctl", tls);
    assert_eq!(connect(&mut events).await, ConnectReturnCode::ClientIdentifierNotValid);

    let unknown = EdgeId::parse("edg_1234").unwrap();
    let tls = place.authority.client(place.authority.edge(&unknown));
    let (_client, mut events) = client(place.port, "edg_1234:ctl", tls);
    assert_eq!(connect(&mut events).await, ConnectReturnCode::NotAuthorized);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_greeting_in_another_name_than_the_certificates_is_refused_and_has_no_effect() {
    let place = place().await;
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (edge_id(1), edge_id(2));
    // Speaks under the topics of appliance 1, as its certificate says, but greets as appliance 2.
    let tls = place.authority.client(place.authority.edge(&one));
    let (speaking, mut events) = client(place.port, "edg_1:ctl", tls);
    assert_eq!(connect(&mut events).await, ConnectReturnCode::Success);
    speaking.try_subscribe("yq/v1/edg_1/dn/#", QoS::AtMostOnce).unwrap();
    heard(&mut events, |event| {
        matches!(event, Ok(Event::Incoming(Packet::SubAck(_)))).then_some(())
    })
    .await;
    let mut liar = engine::Session::new(engine::Role::Edge, two.as_str(), 7, engine::Tuning::default());
    liar.connected(Duration::from_secs(1), records::Timestamp::from_seconds(0));
    let Some(engine::Effect::Send(_, hello)) = liar.poll_effect() else {
        panic!("no greeting")
    };
    speaking
        .try_publish("yq/v1/edg_1/up/ctl", hello, PublishOptions::new(QoS::AtMostOnce))
        .unwrap();
    let answer = heard(&mut events, |event| match event {
        Ok(Event::Incoming(Packet::Publish(p))) => Some(p.payload.to_vec()),
        Err(e) => panic!("{e}"),
        Ok(_) => None,
    })
    .await;
    liar.receive(&answer, Duration::from_secs(2), records::Timestamp::from_seconds(1))
        .unwrap();
    assert!(!liar.is_up());
    let claimed = || link::Alarm::WrongIdentity {
        claimed: "edg_2".into(),
    };
    until("the cloud raises the alarm", async || {
        place.cloud.status(&one).and_then(|s| s.alarm) == Some(claimed())
    })
    .await;
    assert!(!place.cloud.online(&one) && !place.cloud.online(&two));
    drop((folder, place.there));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_packet_ends_only_its_own_connection() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let place = place().await;
    let folder = tempfile::tempdir().unwrap();
    let here = open_store(&folder.path().join("edge.db")).await;
    let appliance = start_edge(&here, &place.authority, &edge_id(1), place.port).await;
    wait_online(&place.cloud, &edge_id(1)).await;

    let connector = tokio_rustls::TlsConnector::from(place.authority.client(place.authority.edge(&edge_id(2))));
    for rubbish in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0x10, 0xff, 0xff, 0xff, 0x7f][..],
        &[0xff; 64][..],
    ] {
        let tcp = tokio::net::TcpStream::connect(("127.0.0.1", place.port)).await.unwrap();
        let mut tls = connector.connect("localhost".try_into().unwrap(), tcp).await.unwrap();
        tls.write_all(rubbish).await.unwrap();
        // What looks like the beginning of a packet is waited for, but not after the end; a broker that hung up before
        // we could say so is as good.
        let _ = tls.shutdown().await;
        let mut end = Vec::new();
        let closed = tokio::time::timeout(PATIENCE, tls.read_to_end(&mut end)).await;
        assert!(closed.is_ok(), "the broker waits for more rubbish");
    }
    append(&here, &PeerId::cloud(), 0..3).await;
    wait_seen(&place.there, 3).await;
    assert!(appliance.status().borrow().online);
    appliance.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expelled_appliance_is_cut_off_at_once() {
    let place = place().await;
    let folder = tempfile::tempdir().unwrap();
    let here = open_store(&folder.path().join("edge.db")).await;
    let appliance = start_edge(&here, &place.authority, &edge_id(1), place.port).await;
    wait_online(&place.cloud, &edge_id(1)).await;
    place.cloud.expel(&edge_id(1));
    wait_status(&mut appliance.status(), "cut off", |s| !s.online).await;
    appliance.stop().await;
}

/// A key that is not in memory, as a TPM's: it can only be asked to sign.
#[derive(Debug)]
struct Elsewhere {
    inner: Arc<dyn SigningKey>,
    asked: Arc<AtomicU32>,
}

impl SigningKey for Elsewhere {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.inner.choose_scheme(offered)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.inner.algorithm()
    }
}

#[derive(Debug)]
struct Resolver(Arc<CertifiedKey>);

impl ResolvesClientCert for Resolver {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_appliance_whose_key_only_signs_connects_and_is_asked_for_every_connection() {
    let place = place().await;
    let folder = tempfile::tempdir().unwrap();
    let here = open_store(&folder.path().join("edge.db")).await;
    let (chain, key): (_, PrivateKeyDer<'static>) = place.authority.edge(&edge_id(1));
    let asked = Arc::new(AtomicU32::new(0));
    let inner = rustls::crypto::ring::sign::any_supported_type(&key).unwrap();
    let key = Elsewhere {
        inner,
        asked: asked.clone(),
    };
    let resolver = Resolver(Arc::new(CertifiedKey::new(chain, Arc::new(key))));
    let tls = link::tls::client_config(link::tls::Offer::Classic, place.authority.roots(), Arc::new(resolver)).unwrap();
    let options = edge_options(&edge_id(1), place.port, Arc::new(tls));
    let appliance = EdgeLink::start(here, options, Arc::new(Echo), Arc::new(Counting))
        .await
        .unwrap();
    wait_online(&place.cloud, &edge_id(1)).await;
    until("asked for ctl and bulk", async || asked.load(Ordering::SeqCst) >= 2).await;
    let answer = place.cloud.call(&edge_id(1), "echo", None, PATIENCE, &json!(1)).await;
    assert!(matches!(answer, Outcome::Done(_)), "{answer:?}");
    appliance.stop().await;
}
