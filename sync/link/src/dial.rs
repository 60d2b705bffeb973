//! MQTT connections to a broker: made, kept, and made anew after any error, with jitter.
//!
//! The client library is trusted with nothing but bytes: clean start, QoS 0, a new event loop for every connection
//! (its pending queue has lost messages in the field), every poll under a deadline, Nagle off.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use engine::MAX_FRAME_BYTES;
use records::Ids;
use rumqttc::mqttbytes::QoS;
use rumqttc::{
    AsyncClient, Broker, ConnectionError, DisconnectReasonCode, Event, EventLoop, MqttOptions, NetworkOptions, Packet,
    PublishOptions, StateError, SubscribeReasonCode, TlsConfiguration, Transport,
};
use rustls::ClientConfig;
use rustls::crypto::CryptoProvider;
use tokio::time::timeout;

use crate::LinkError;
use crate::tls::why;

const KEEP_ALIVE_S: u16 = 10;
const CONNECT: Duration = Duration::from_secs(10);
const QUEUE: usize = 1024;

/// Where a broker is.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Address {
    /// Reads `mqtts://host:port`.
    pub(crate) fn parse(url: &str) -> Result<Self, LinkError> {
        let wrong = || LinkError::Address(url.to_owned());
        let rest = url.strip_prefix("mqtts://").ok_or_else(wrong)?.trim_end_matches('/');
        let (host, port) = rest.rsplit_once(':').ok_or_else(wrong)?;
        let port = port.parse().map_err(|_| wrong())?;
        if host.is_empty() {
            return Err(wrong());
        }
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port,
        })
    }
}

/// Why a connection ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// Another connection under our name has taken our place.
    TakenOver,
    /// Anything else.
    Broken(String),
}

/// A connection that stands: connected and subscribed.
pub(crate) struct Connection {
    pub(crate) client: AsyncClient,
    events: EventLoop,
}

/// Connects and subscribes.
pub(crate) async fn connect(
    at: &Address,
    tls: Arc<ClientConfig>,
    client_id: &str,
    filter: &str,
) -> Result<Connection, String> {
    let mut options = MqttOptions::new(client_id, Broker::tcp(at.host.clone(), at.port));
    let provider = Arc::clone(tls.crypto_provider());
    options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(tls)));
    options.set_keep_alive(KEEP_ALIVE_S);
    options.set_clean_start(true);
    options.set_connect_timeout(CONNECT);
    let max = u32::try_from(MAX_FRAME_BYTES).unwrap_or(u32::MAX).saturating_add(1024);
    options.set_max_packet_size(Some(max));
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    network.set_connection_timeout(CONNECT.as_secs());
    options.set_network_options(network);
    let (client, events) = AsyncClient::builder(options)
        .capacity(QUEUE)
        .try_build()
        .map_err(|e| e.to_string())?;
    let mut connection = Connection { client, events };
    timeout(CONNECT, connection.greet(filter, &provider))
        .await
        .map_err(|_| "the broker did not answer in time".to_owned())??;
    Ok(connection)
}

impl Connection {
    async fn greet(&mut self, filter: &str, provider: &CryptoProvider) -> Result<(), String> {
        loop {
            match self.events.poll().await.map_err(|e| why(&e, provider))? {
                Event::Incoming(Packet::ConnAck(_)) => {
                    self.client
                        .try_subscribe(filter, QoS::AtMostOnce)
                        .map_err(|e| e.to_string())?;
                }
                Event::Incoming(Packet::SubAck(ack)) => {
                    let granted = ack
                        .return_codes
                        .iter()
                        .all(|code| matches!(code, SubscribeReasonCode::Success(_)));
                    return if granted {
                        Ok(())
                    } else {
                        Err(format!("the broker refused the subscription to {filter}"))
                    };
                }
                _ => {}
            }
        }
    }

    /// Hands every message to `to` until the connection fails; answers why.
    pub(crate) async fn pump<F, Fut>(mut self, mut to: F) -> Ended
    where
        F: FnMut(String, Vec<u8>) -> Fut,
        Fut: Future<Output = ()>,
    {
        let patience = Duration::from_secs(u64::from(KEEP_ALIVE_S) * 2);
        loop {
            match timeout(patience, self.events.poll()).await {
                Err(_) => return Ended::Broken("the broker is silent".to_owned()),
                Ok(Err(ConnectionError::MqttState(StateError::ServerDisconnect { reason_code, .. }))) => {
                    return ended(reason_code);
                }
                Ok(Err(e)) => return Ended::Broken(e.to_string()),
                Ok(Ok(Event::Incoming(Packet::Publish(p)))) => {
                    if let Ok(topic) = String::from_utf8(p.topic.to_vec()) {
                        to(topic, p.payload.to_vec()).await;
                    }
                }
                Ok(Ok(Event::Incoming(Packet::Disconnect(d)))) => return ended(d.reason_code),
                Ok(Ok(_)) => {}
            }
        }
    }
}

fn ended(reason: DisconnectReasonCode) -> Ended {
    match reason {
        DisconnectReasonCode::SessionTakenOver => Ended::TakenOver,
        other => Ended::Broken(format!("the broker hung up: {other:?}")),
    }
}

/// Queues a message; `false` when the queue is full or the connection gone.
pub(crate) fn publish(client: &AsyncClient, topic: &str, payload: Vec<u8>) -> bool {
    client
        .try_publish(topic, payload, PublishOptions::new(QoS::AtMostOnce))
        .is_ok()
}

/// The wait before the next attempt: full jitter, growing to 30 seconds.
pub(crate) fn backoff(ids: &Ids, failures: u32) -> Duration {
    let ceiling = Duration::from_millis(500)
        .saturating_mul(2u32.saturating_pow(failures.min(6)))
        .min(Duration::from_secs(30));
    ceiling.mul_f64(dice(ids)).max(Duration::from_millis(50))
}

/// The wait of one whose place another took: `least` to twice that. Of two with one identity (a cloned disk) each has two
/// connections, and may have taken one of the other's; were their waits alike, they would meet so again and again.
pub(crate) fn rest(ids: &Ids, least: Duration) -> Duration {
    least.mul_f64(1.0 + dice(ids))
}

/// 0 to 1.
fn dice(ids: &Ids) -> f64 {
    f64::from(u16::from_le_bytes(ids.random::<2>())) / 65_536.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tls_addresses_are_taken() {
        assert_eq!(Address::parse("mqtts://cloud.example:8883").unwrap().port, 8883);
        assert_eq!(Address::parse("mqtts://[::1]:8883/").unwrap().host, "::1");
        for wrong in ["mqtt://cloud:1883", "mqtts://cloud", "cloud:8883", "mqtts://:8883"] {
            assert!(Address::parse(wrong).is_err(), "{wrong}");
        }
    }
}
