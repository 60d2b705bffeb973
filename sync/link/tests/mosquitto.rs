//! The same line over Debian's Mosquitto instead of the embedded broker: nothing but configuration differs.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod ward;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use kit::process::Process;
use link::cloud::{BrokerChoice, CloudLink};
use records::{Outcome, PeerId};
use rumqttc::mqttbytes::QoS;
use rumqttc::{AsyncClient, Broker, Event, MqttOptions, Packet, PublishOptions, TlsConfiguration, Transport};
use serde_json::json;
use ward::*;

/// The access list a hospital's own broker needs: appliances by certificate name, the cloud by its own.
const ACCESS: &str = "
user cloud
topic read yq/v1/+/up/+
topic write yq/v1/+/dn/+
pattern write yq/v1/%u/up/+
pattern read yq/v1/%u/dn/+
";

struct Site {
    folder: tempfile::TempDir,
    authority: Authority,
    port: u16,
    mosquitto: Process,
    here: store::Store,
    there: store::Store,
}

impl Site {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new("Device CA");
        let port = kit::ports::free_port();
        configure(folder.path(), &authority, port);
        let mosquitto = start(folder.path()).await;
        let here = open_store(&folder.path().join("edge.db")).await;
        let there = open_store(&folder.path().join("cloud.db")).await;
        Self {
            folder,
            authority,
            port,
            mosquitto,
            here,
            there,
        }
    }

    async fn cloud(&self) -> CloudLink {
        let broker = BrokerChoice::External {
            url: format!("mqtts://localhost:{}", self.port),
            tls: self.authority.client(self.authority.named("cloud")),
            client_id: "cloud".to_owned(),
        };
        start_cloud_with(&self.there, broker).await
    }
}

fn configure(folder: &Path, authority: &Authority, port: u16) {
    let (certificate, key) = authority.server_pem();
    for (name, text) in [
        ("ca.pem", authority.pem.as_str()),
        ("server.pem", &certificate),
        ("server.key", &key),
        ("access", ACCESS),
    ] {
        std::fs::write(folder.join(name), text).unwrap();
    }
    let at = folder.display();
    let user = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
    let config = format!(
        "user {}\nper_listener_settings false\nallow_anonymous false\npersistence false\nacl_file {at}/access\n\
         log_dest stderr\nlog_type all\nlistener {port} 127.0.0.1\ncafile {at}/ca.pem\ncertfile {at}/server.pem\n\
         keyfile {at}/server.key\nrequire_certificate true\nuse_identity_as_username true\ntls_version tlsv1.3\n\
         set_tcp_nodelay true\nmax_packet_size 5242880\n",
        user.trim()
    );
    std::fs::write(folder.join("mosquitto.conf"), config).unwrap();
}

async fn start(folder: &Path) -> Process {
    let config = folder.join("mosquitto.conf");
    let process = Process::start("mosquitto", &["-c", config.to_str().unwrap()]);
    let up = process.stderr.wait_for(PATIENCE, |line| line.contains("running"));
    assert!(up.is_some(), "mosquitto did not start: {:?}", process.stderr.all());
    process
}

/// Rows: YZ-N-009
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn log_and_call_cross_mosquitto_and_its_death_loses_nothing() {
    let mut site = Site::open().await;
    let cloud = site.cloud().await;
    let edge = edge_id(1);
    let appliance = start_edge(&site.here, &site.authority, &edge, site.port).await;
    append(&site.here, &PeerId::cloud(), 0..100).await;
    append(&site.there, &PeerId::edge(&edge), 0..100).await;
    assert_eq!(wait_seen(&site.there, 100).await, numbers(0..100));
    assert_eq!(wait_seen(&site.here, 100).await, numbers(0..100));
    let answer = cloud.call(&edge, "echo", None, PATIENCE, &json!("挂号")).await;
    assert_eq!(answer, Outcome::Done(json!({"said": "挂号", "key": null})));

    site.mosquitto.kill();
    wait_status(&mut appliance.status(), "offline", |s| !s.online).await;
    append(&site.here, &PeerId::cloud(), 100..300).await;
    append(&site.there, &PeerId::edge(&edge), 100..150).await;
    site.mosquitto = start(site.folder.path()).await;
    assert_eq!(wait_seen(&site.there, 300).await, numbers(0..300));
    assert_eq!(wait_seen(&site.here, 150).await, numbers(0..150));
    appliance.stop().await;
    cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mosquitto_with_our_access_list_lets_nobody_speak_or_hear_for_another_appliance() {
    let site = Site::open().await;
    let cloud = site.cloud().await;
    let (one, two) = (edge_id(1), edge_id(2));

    let mut options = MqttOptions::new("edg_2:probe", Broker::tcp("localhost", site.port));
    let tls = site.authority.client(site.authority.edge(&two));
    options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(tls)));
    options.set_clean_start(true);
    let (intruder, mut events) = AsyncClient::builder(options).capacity(64).build();
    for filter in ["yq/v1/edg_1/dn/#", "yq/v1/edg_1/up/#", "yq/v1/edg_2/dn/#"] {
        intruder.try_subscribe(filter, QoS::AtMostOnce).unwrap();
    }
    let mut speaker = engine::Session::new(engine::Role::Edge, one.as_str(), 7, engine::Tuning::default());
    speaker.connected(Duration::from_secs(1), records::Timestamp::from_seconds(0));
    let Some(engine::Effect::Send(_, hello)) = speaker.poll_effect() else {
        panic!("no greeting")
    };
    let mut own = engine::Session::new(engine::Role::Edge, two.as_str(), 7, engine::Tuning::default());
    own.connected(Duration::from_secs(1), records::Timestamp::from_seconds(0));
    let Some(engine::Effect::Send(_, own_hello)) = own.poll_effect() else {
        panic!("no greeting")
    };

    let heard = Arc::new(std::sync::Mutex::new(Vec::new()));
    let ears = heard.clone();
    let mut listening = tokio::task::JoinSet::new();
    listening.spawn(async move {
        let mut granted = 0;
        // The cloud may subscribe later than we speak, and the broker keeps nothing: said until it is heard.
        let mut again = tokio::time::interval(Duration::from_millis(300));
        loop {
            tokio::select! {
                event = events.poll() => match event {
                    Ok(Event::Incoming(Packet::SubAck(_))) => granted += 1,
                    Ok(Event::Incoming(Packet::Publish(p))) => {
                        ears.lock().unwrap().push(String::from_utf8(p.topic.to_vec()).unwrap());
                    }
                    Ok(_) => {}
                    Err(_) => break,
                },
                _ = again.tick(), if granted == 3 => {
                    // First in another's name, then in its own: what arrives last shows that the first could have.
                    for (topic, frame) in [("yq/v1/edg_1/up/ctl", &hello), ("yq/v1/edg_2/up/ctl", &own_hello)] {
                        intruder
                            .try_publish(topic, frame.clone(), PublishOptions::new(QoS::AtMostOnce))
                            .unwrap();
                    }
                }
            }
        }
    });
    wait_online(&cloud, &two).await;
    assert!(
        cloud.status(&one).is_none(),
        "appliance 2 could not greet as appliance 1"
    );

    let appliance = start_edge(&site.here, &site.authority, &one, site.port).await;
    wait_online(&cloud, &one).await;
    append(&site.there, &PeerId::edge(&one), 0..20).await;
    wait_seen(&site.here, 20).await;
    until("it hears its own answer", async || !heard.lock().unwrap().is_empty()).await;
    let heard = heard.lock().unwrap().clone();
    assert!(heard.iter().all(|topic| topic == "yq/v1/edg_2/dn/ctl"), "{heard:?}");
    let denied = site
        .mosquitto
        .stderr
        .wait_for(PATIENCE, |line| line.contains("Denied PUBLISH"));
    assert!(denied.is_some(), "mosquitto says that it refused");
    appliance.stop().await;
    cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mosquitto_refuses_a_certificate_of_a_foreign_authority() {
    let site = Site::open().await;
    let foreign = Authority::new("Somebody else's CA");
    let (chain, key) = foreign.edge(&edge_id(1));
    let tls = link::tls::client_config_with_key(link::tls::Offer::Classic, site.authority.roots(), chain, key).unwrap();
    let mut options = MqttOptions::new("edg_1:ctl", Broker::tcp("localhost", site.port));
    options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(Arc::new(tls))));
    let (_client, mut events) = AsyncClient::builder(options).capacity(4).build();
    let ended = tokio::time::timeout(PATIENCE, async {
        loop {
            match events.poll().await {
                Err(e) => return e.to_string(),
                Ok(Event::Incoming(packet)) => panic!("let in: {packet:?}"),
                Ok(_) => {}
            }
        }
    });
    let reason = ended.await.unwrap();
    assert!(
        reason.contains("UnknownCA") || reason.contains("alert") || reason.contains("ertificate"),
        "{reason}"
    );
}
