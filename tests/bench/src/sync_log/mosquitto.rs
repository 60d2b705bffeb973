//! Debian's Mosquitto as the peer: QoS 1 from one client through the broker to another, mutual TLS 1.3, same bodies.
//! Nothing of it is durable, at neither end.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use kit::process::Process;
use rumqttc::mqttbytes::QoS;
use rumqttc::{
    AsyncClient, Broker, ConnectionError, Event, EventLoop, MqttOptions, NetworkOptions, Packet, PublishOptions,
    TlsConfiguration, Transport,
};
use tokio::sync::mpsc;

use super::ends::body;
use crate::papers;
use crate::timing::Samples;

const TOPIC: &str = "bench/entries";
const PATIENCE: Duration = Duration::from_secs(120);

/// A broker with a sender and a receiver.
pub(super) struct Mosquitto {
    sender: AsyncClient,
    arrivals: mpsc::UnboundedReceiver<Instant>,
    next: u64,
    _receiver: AsyncClient,
    _broker: Process,
}

impl Mosquitto {
    pub(super) async fn start(folder: &Path) -> Result<Self> {
        let port = kit::ports::free_port();
        let broker = start(folder, port)?;
        let (sender, events) = client(folder, "sender", port)?;
        let (sender_up, up) = mpsc::unbounded_channel();
        tokio::spawn(pump(events, mpsc::unbounded_channel().0, sender_up));
        expect(up).await.context("sender")?;
        let (receiver, events) = client(folder, "receiver", port)?;
        let (arrivals_in, arrivals) = mpsc::unbounded_channel();
        let (receiver_up, mut up) = mpsc::unbounded_channel();
        tokio::spawn(pump(events, arrivals_in, receiver_up));
        tokio::time::timeout(PATIENCE, up.recv()).await?;
        receiver.subscribe(TOPIC, QoS::AtLeastOnce).await?;
        // The second word is the subscription's.
        expect(up).await.context("receiver")?;
        Ok(Self {
            sender,
            arrivals,
            next: 1,
            _receiver: receiver,
            _broker: broker,
        })
    }

    async fn send(&mut self) -> Result<()> {
        let payload = body(self.next, false).to_string();
        self.next += 1;
        let options = PublishOptions::new(QoS::AtLeastOnce);
        self.sender.publish(TOPIC, payload, options).await?;
        Ok(())
    }

    async fn arrival(&mut self) -> Result<Instant> {
        tokio::time::timeout(PATIENCE, self.arrivals.recv())
            .await
            .context("a message did not arrive through Mosquitto")?
            .context("the receiver's connection broke")
    }

    /// Sends `count` messages as fast as the client takes them; answers the time until the last has arrived.
    pub(super) async fn burst(&mut self, count: u64) -> Result<Duration> {
        let begun = Instant::now();
        let mut last = begun;
        let mut arrived = 0;
        for _ in 0..count {
            self.send().await?;
            while let Ok(at) = self.arrivals.try_recv() {
                (arrived, last) = (arrived + 1, at);
            }
        }
        while arrived < count {
            (arrived, last) = (arrived + 1, self.arrival().await?);
        }
        ensure!(self.arrivals.is_empty(), "Mosquitto delivered more than was sent");
        Ok(last - begun)
    }

    /// Sends single messages on an idle line; answers the time of each from sending to arrival.
    pub(super) async fn singles(&mut self, count: u64) -> Result<Samples> {
        let mut times = Samples::default();
        for _ in 0..count {
            let begun = Instant::now();
            self.send().await?;
            times.push(self.arrival().await? - begun);
        }
        Ok(times)
    }
}

async fn expect(mut up: mpsc::UnboundedReceiver<()>) -> Result<()> {
    tokio::time::timeout(PATIENCE, up.recv())
        .await
        .context("Mosquitto did not answer")?
        .context("Mosquitto hung up")
}

/// Drives a connection: tells of the connection and of the subscription, then hands on arrivals.
async fn pump(mut events: EventLoop, arrivals: mpsc::UnboundedSender<Instant>, up: mpsc::UnboundedSender<()>) {
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_) | Packet::SubAck(_))) => {
                let _ = up.send(());
            }
            Ok(Event::Incoming(Packet::Publish(_))) => {
                let _ = arrivals.send(Instant::now());
            }
            Ok(_) => {}
            // The client was dropped.
            Err(ConnectionError::RequestsDone) => return,
            Err(error) => {
                eprintln!("connection to Mosquitto: {error}");
                return;
            }
        }
    }
}

fn client(folder: &Path, name: &str, port: u16) -> Result<(AsyncClient, EventLoop)> {
    let tls = papers::client(folder, name)?;
    let mut options = MqttOptions::new(name, Broker::tcp("localhost", port));
    options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(Arc::clone(&tls))));
    options.set_keep_alive(60u16);
    options.set_clean_start(true);
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    options.set_network_options(network);
    AsyncClient::builder(options)
        .capacity(1024)
        .try_build()
        .map_err(|e| anyhow!("client of Mosquitto: {e}"))
}

fn start(folder: &Path, port: u16) -> Result<Process> {
    let at = folder.display();
    let user = String::from_utf8(Command::new("id").arg("-un").output()?.stdout)?;
    let config = format!(
        "user {}\nallow_anonymous false\npersistence false\nlog_dest stderr\nlog_type notice\nlog_type information\n\
         listener {port} 127.0.0.1\ncafile {at}/ca.pem\ncertfile {at}/cloud.pem\nkeyfile {at}/cloud.key\n\
         require_certificate true\nuse_identity_as_username true\ntls_version tlsv1.3\nset_tcp_nodelay true\n\
         max_inflight_messages 1000\nmax_queued_messages 0\n",
        user.trim()
    );
    let path = folder.join("mosquitto.conf");
    std::fs::write(&path, config)?;
    let process = Process::start("mosquitto", &["-c", &path.to_string_lossy()]);
    let patience = Duration::from_secs(10);
    let up = process.stderr.wait_for(patience, |line| line.contains("running"));
    ensure!(up.is_some(), "mosquitto did not start: {:?}", process.stderr.all());
    Ok(process)
}
