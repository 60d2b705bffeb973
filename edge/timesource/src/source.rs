//! One source: where it is, its keys, what it did lately.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use records::Timestamp;
use rustls::ClientConfig;
use serde::Serialize;
use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use utoipa::ToSchema;

use crate::error::SourceError;
use crate::nts::{self, Session, ke};
use crate::packet::Header;
use crate::policy::Source;
use crate::reading::{Clocks, Reading};
use crate::sample::{Asked, Sample, Verdict, best, judge};
use crate::stamp::Stamp;

/// Longest pause after a source asked for one.
const LONGEST_PAUSE: Duration = Duration::from_secs(36 * 3_600);

/// Datagrams looked at while waiting for one answer.
const DATAGRAMS: usize = 256;

/// How quickly a poll goes. The defaults suit servers across the country.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// From one question to the next one to the same source.
    pub between_samples: Duration,
    /// How long an answer is waited for.
    pub answer: Duration,
    /// How long a name and the agreement of keys may take.
    pub preparation: Duration,
    /// A poll nobody planned (asked for, or after a jump of the clock) does not begin sooner after the last one.
    pub unplanned: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            between_samples: Duration::from_millis(500),
            answer: Duration::from_secs(2),
            preparation: Duration::from_secs(5),
            unplanned: Duration::from_secs(5),
        }
    }
}

/// A row of the page's table of sources.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Row {
    /// As configured.
    pub host: String,
    /// As configured, or the protocol's.
    pub port: u16,
    /// Whether it is asked under NTS.
    pub nts: bool,
    /// Where time was asked last.
    #[schema(value_type = Option<String>)]
    pub address: Option<SocketAddr>,
    /// Of the last usable answer.
    pub stratum: Option<u8>,
    /// Likewise, microseconds.
    pub offset_us: Option<i64>,
    /// Likewise, microseconds.
    pub delay_us: Option<u64>,
    /// Likewise, microseconds.
    pub error_us: Option<u64>,
    /// A bit for each of the last eight polls, the latest lowest; 1 is a usable answer (RFC 5905, 13).
    pub reach: u8,
    /// When it last gave a usable answer, by the machine's clock.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub answered_at: Option<Timestamp>,
    /// Whether the last selection counted it among those that tell the truth; absent when it gave nothing.
    pub agrees: Option<bool>,
    /// What the last poll failed of, in plain words.
    pub error: Option<String>,
}

/// What polls need from outside.
pub(crate) struct Tools {
    pub(crate) clocks: Arc<dyn Clocks>,
    pub(crate) tls: Option<Arc<ClientConfig>>,
    pub(crate) pace: Pace,
}

pub(crate) struct Station {
    source: Source,
    row: Row,
    session: Option<Session>,
    /// Which of the addresses of its name is asked; moves on when one stays silent.
    turn: usize,
    /// It denied service: not asked again under this policy.
    denied: Option<SourceError>,
    /// It asked for a pause: until when, by the steady clock, and how long the pause is.
    pause: Option<(Duration, Duration)>,
}

impl Station {
    pub(crate) fn new(source: Source) -> Self {
        let row = Row {
            host: source.host.clone(),
            port: source.port(),
            nts: source.nts,
            address: None,
            stratum: None,
            offset_us: None,
            delay_us: None,
            error_us: None,
            reach: 0,
            answered_at: None,
            agrees: None,
            error: None,
        };
        Self {
            source,
            row,
            session: None,
            turn: 0,
            denied: None,
            pause: None,
        }
    }

    pub(crate) const fn source(&self) -> &Source {
        &self.source
    }

    /// Under a changed policy a source that denied service is tried again.
    pub(crate) fn forgiven(mut self) -> Self {
        self.denied = None;
        self
    }

    /// Its answer may be wrong by more than the policy bears.
    pub(crate) fn too_vague(&mut self, error_us: u64) {
        let error_ms = error_us / 1_000;
        self.row.error = Some(SourceError::TooVague { error_ms }.to_string());
    }

    pub(crate) const fn row(&self) -> &Row {
        &self.row
    }

    /// Whether the last selection found it among those that agree.
    pub(crate) const fn judged(&mut self, agrees: bool) {
        self.row.agrees = Some(agrees);
    }

    /// Asks for the time, several times, and keeps the book. Done within a bounded time.
    pub(crate) async fn poll(&mut self, tools: &Tools, samples: u8, interval: Duration) -> Option<Sample> {
        self.row.agrees = None;
        let now = tools.clocks.read();
        if let Some(error) = &self.denied {
            self.row.error = Some(error.to_string());
            return None;
        }
        if self.pause.is_some_and(|(until, _)| now.steady < until) {
            self.row.error = Some(SourceError::TooOften.to_string());
            return None;
        }
        let (found, error) = self.samples(tools, samples).await;
        let best = best(&found);
        self.row.reach = (self.row.reach << 1) | u8::from(best.is_some());
        if let Some(sample) = &best {
            self.row.stratum = Some(sample.stratum);
            self.row.offset_us = Some(sample.offset_us);
            self.row.delay_us = Some(sample.delay_us);
            self.row.error_us = Some(sample.error_us);
            self.row.answered_at = Some(sample.at.wall);
        } else {
            self.turn = self.turn.wrapping_add(1);
        }
        match &error {
            Some(SourceError::TooOften) => {
                let last = self.pause.map_or(interval, |(_, length)| length);
                let length = last.saturating_mul(2).min(LONGEST_PAUSE);
                self.pause = Some((tools.clocks.read().steady.saturating_add(length), length));
            }
            Some(denied @ SourceError::Denied { .. }) => self.denied = Some(denied.clone()),
            _ => self.pause = None,
        }
        // One lost question among several is no news, but what the server itself said always is.
        let told = matches!(error, Some(SourceError::TooOften | SourceError::Denied { .. }));
        self.row.error = error.filter(|_| told || best.is_none()).map(|e| e.to_string());
        best
    }

    async fn samples(&mut self, tools: &Tools, samples: u8) -> (Vec<Sample>, Option<SourceError>) {
        let mut found = Vec::new();
        let mut last_error = None;
        let mut agreed_anew = false;
        for n in 0..samples {
            if n > 0 {
                sleep(tools.pace.between_samples).await;
            }
            match self.sample(tools, &mut agreed_anew).await {
                Ok(sample) => found.push(sample),
                Err(SourceError::Nak) if !agreed_anew => {
                    // The keys are gone at the server; ours go too, and the next question agrees new ones.
                    self.session = None;
                    last_error = Some(SourceError::Nak);
                    if n + 1 == samples {
                        // It was the last question of this poll: one more.
                        match self.sample(tools, &mut agreed_anew).await {
                            Ok(sample) => found.push(sample),
                            Err(error) => last_error = Some(error),
                        }
                    }
                }
                Err(error) => {
                    let lost = matches!(
                        error,
                        SourceError::Silent | SourceError::OnlyInvalid(_) | SourceError::ClockMoved
                    );
                    last_error = Some(error);
                    // Only a lost datagram is worth another question now. Silence twice is silence.
                    if !lost || (n >= 1 && found.is_empty()) {
                        break;
                    }
                }
            }
        }
        (found, last_error)
    }

    /// One question and its answer. Keys are agreed at most once per poll.
    async fn sample(&mut self, tools: &Tools, agreed_anew: &mut bool) -> Result<Sample, SourceError> {
        let pace = tools.pace;
        let (host, port) = if self.source.nts {
            if !self.session.as_ref().is_some_and(Session::has_cookie) {
                self.session = None;
                if std::mem::replace(agreed_anew, true) {
                    return Err(SourceError::KeyExchangeAnswer("凭据用尽，服务器没有补充"));
                }
                self.session = Some(self.agree(tools).await?);
            }
            let session = self.session.as_ref();
            (
                session
                    .and_then(|s| s.host.clone())
                    .unwrap_or_else(|| self.source.host.clone()),
                session.map_or(0, |s| s.port),
            )
        } else {
            (self.source.host.clone(), self.source.port())
        };
        let addresses = resolve(&host, port, pace.preparation).await?;
        let address = pick(&addresses, self.turn).ok_or(SourceError::Name { host })?;
        self.row.address = Some(address);
        self.ask(tools, address).await
    }

    async fn agree(&self, tools: &Tools) -> Result<Session, SourceError> {
        let tls = tools.tls.clone().ok_or(SourceError::KeyExchangeAnswer("TLS 不可用"))?;
        let host = &self.source.host;
        let addresses = resolve(host, self.source.port(), tools.pace.preparation).await?;
        timeout(tools.pace.preparation, ke::agree(host, &addresses, tls))
            .await
            .unwrap_or_else(|_| Err(SourceError::KeyExchange("超时".to_owned())))
    }

    async fn ask(&mut self, tools: &Tools, address: SocketAddr) -> Result<Sample, SourceError> {
        // A socket for each question: its port is chosen anew by the operating system (RFC 9109), and connected, so that
        // only the server's address gets through and a closed port is heard of.
        let any: IpAddr = match address {
            SocketAddr::V4(_) => IpAddr::from([0; 4]),
            SocketAddr::V6(_) => IpAddr::from([0_u16; 8]),
        };
        let socket = UdpSocket::bind((any, 0)).await.map_err(|e| SourceError::network(&e))?;
        socket.connect(address).await.map_err(|e| SourceError::network(&e))?;
        let mut origin = [0; 8];
        getrandom::fill(&mut origin).map_err(|_| SourceError::NoRandom)?;
        let origin = Stamp(u64::from_be_bytes(origin));
        let header = Header::question(origin);
        let (question, protection) = match self.session.as_mut().filter(|_| self.source.nts) {
            None => (header.to_bytes(), None),
            Some(session) => {
                let (bytes, expected) = session.protect(&header)?.ok_or(SourceError::Nak)?;
                (bytes, Some(expected))
            }
        };
        let until = Instant::now() + tools.pace.answer;
        let sent = tools.clocks.read();
        socket.send(&question).await.map_err(|e| SourceError::network(&e))?;
        let asked = Asked {
            origin,
            sent,
            protection,
        };
        let (sample, cookies) = answer(&socket, &asked, until, tools.clocks.as_ref()).await?;
        if let Some(session) = &mut self.session {
            session.keep(cookies);
        }
        Ok(sample)
    }
}

/// Waits for the answer, throwing away what is none.
async fn answer(
    socket: &UdpSocket,
    asked: &Asked,
    until: Instant,
    clocks: &dyn Clocks,
) -> Result<(Sample, Vec<nts::Cookie>), SourceError> {
    let mut datagram = [0; 2_048];
    let mut instead = SourceError::Silent;
    for _ in 0..DATAGRAMS {
        let length = match timeout_at(until, socket.recv(&mut datagram)).await {
            Err(_) => break,
            Ok(Err(error)) => return Err(SourceError::network(&error)),
            Ok(Ok(length)) => length,
        };
        let received: Reading = clocks.read();
        match judge(asked, datagram.get(..length).unwrap_or_default(), received) {
            Verdict::Answered(sample, cookies) => return sample.map(|sample| (sample, cookies)),
            Verdict::Nak => instead = SourceError::Nak,
            Verdict::Ignored(invalid) => {
                if instead != SourceError::Nak {
                    instead = SourceError::OnlyInvalid(invalid);
                }
            }
        }
    }
    Err(instead)
}

async fn resolve(host: &str, port: u16, within: Duration) -> Result<Vec<SocketAddr>, SourceError> {
    let unknown = || SourceError::Name { host: host.to_owned() };
    let found = timeout(within, tokio::net::lookup_host((host, port))).await;
    let addresses: Vec<SocketAddr> = found.map_err(|_| unknown())?.map_err(|_| unknown())?.collect();
    if addresses.is_empty() {
        return Err(unknown());
    }
    Ok(addresses)
}

fn pick(addresses: &[SocketAddr], turn: usize) -> Option<SocketAddr> {
    addresses.get(turn.checked_rem(addresses.len())?).copied()
}
