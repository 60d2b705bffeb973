//! The client: which server, and what after a try.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::attempt::{Outcome, Sending, ask_name};
use crate::authorization::random_hex;
use crate::server::{Server, Standing, choose};
use crate::{Error, Settings};

/// Pause after all servers were tried, at first; doubled up to [`PAUSE_MOST`].
const PAUSE: Duration = Duration::from_millis(20);
const PAUSE_MOST: Duration = Duration::from_secs(1);

/// An answer, and whose.
#[derive(Debug, Clone)]
pub struct Answered<A> {
    /// What was answered.
    pub answer: A,
    /// Host and port of the server that answered; the act is in its log.
    pub server: String,
    /// Tries that were needed.
    pub tries: u32,
}

/// A client of one or more signature servers. Cheap to clone; clones share connections.
#[derive(Debug, Clone)]
pub struct Client(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    servers: Vec<Server>,
    http: reqwest::Client,
    settings: Settings,
    turn: AtomicUsize,
}

impl Client {
    /// Begins to ask the servers whether they are ready, and goes on while the client lives. To be called within a Tokio
    /// runtime.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        let servers = settings.addresses()?.into_iter().map(Server::new).collect();
        let shared = Arc::new(Shared {
            servers,
            http: settings.connections()?,
            settings,
            turn: AtomicUsize::new(0),
        });
        let here = tokio::runtime::Handle::try_current()
            .map_err(|_| Error::Settings("客户端须在 Tokio 运行时中创建".to_owned()))?;
        for index in 0..shared.servers.len() {
            here.spawn(probe(Arc::downgrade(&shared), index));
        }
        Ok(Self(shared))
    }

    /// Each server and how it stands.
    #[must_use]
    pub fn servers(&self) -> Vec<(String, Standing)> {
        let servers = self.0.servers.iter();
        servers.map(|server| (server.name.clone(), server.standing())).collect()
    }

    /// Asks for an act of the JSON interface: `/v1/data/sign`.
    pub async fn call<Q: Serialize, A: DeserializeOwned>(&self, path: &str, asked: &Q) -> Result<Answered<A>, Error> {
        self.call_once(&random_hex()?, path, asked).await
    }

    /// As [`Self::call`], under the caller's own idempotency key: 8 to 64 letters, digits, `-` or `_`. A caller that
    /// dies in between and asks again within ten minutes under the same key gets the same signature from the same server.
    pub async fn call_once<Q: Serialize, A: DeserializeOwned>(
        &self,
        key: &str,
        path: &str,
        asked: &Q,
    ) -> Result<Answered<A>, Error> {
        let body = serde_json::to_vec(asked).map_err(|error| Error::Request(error.to_string()))?;
        let (bytes, server, tries) = self.0.ask(key, path, &body).await?;
        let answer = serde_json::from_slice(&bytes).map_err(|error| Error::Answer {
            server: server.clone(),
            reason: error.to_string(),
        })?;
        Ok(Answered { answer, server, tries })
    }
}

impl Shared {
    async fn ask(&self, key: &str, path: &str, body: &[u8]) -> Result<(Vec<u8>, String, u32), Error> {
        let until = Instant::now() + self.settings.deadline;
        let sending = Sending {
            http: &self.http,
            identity: &self.settings.identity,
            common_name: self.settings.common_name.as_deref(),
            clock: self.settings.clock.as_ref(),
            path,
            key,
            body,
        };
        let (mut tried, mut tries, mut pause) = (Vec::new(), 0, PAUSE);
        // Once a try's outcome is unknown, the call's is, until an answer comes.
        let (mut perhaps_done, mut last) = (false, String::new());
        let mut again = None;
        let mut not_known = None;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(if perhaps_done {
                    Error::Unknown(last)
                } else {
                    Error::NotDone(last)
                });
            }
            let turn = self.turn.fetch_add(1, Ordering::Relaxed);
            let same = again.take().and_then(|index| Some((index, self.servers.get(index)?)));
            let first = same.is_none();
            let Some((index, server)) = same.or_else(|| choose(&self.servers, turn, &tried)) else {
                if let Some(refused) = not_known.take() {
                    return Err(refused);
                }
                tried.clear();
                tokio::time::sleep(pause.min(left)).await;
                pause = (pause * 2).min(PAUSE_MOST);
                continue;
            };
            tries += 1;
            let patience = self.settings.patience.min(left);
            let server_name = || server.name.clone();
            match sending.attempt(server, patience).await? {
                Outcome::Done(bytes) => return Ok((bytes, server_name(), tries)),
                Outcome::Refused(refusal) => {
                    let server = server_name();
                    return Err(Error::Refused { server, refusal });
                }
                Outcome::NotKnownHere(refusal) => {
                    tried.push(index);
                    let server = server_name();
                    not_known = Some(Error::Refused { server, refusal });
                }
                Outcome::NotDone(why) => {
                    tried.push(index);
                    last = format!("{}：{why}", server.name);
                }
                Outcome::SignAnew(_) => {
                    last = format!("{}：请求须重新签名", server.name);
                    // Once, at once: it says for which time, or which name.
                    if first {
                        again = Some(index);
                    } else {
                        tried.push(index);
                    }
                }
                Outcome::Broken(why) => {
                    perhaps_done = true;
                    last = format!("{}：{why}", server.name);
                    // If it lives, it knows what it did; if not, the next connection is refused at once.
                    if first {
                        again = Some(index);
                    } else {
                        tried.push(index);
                    }
                }
                Outcome::Silent => {
                    perhaps_done = true;
                    tried.push(index);
                    last = format!("{}：没有应答", server.name);
                }
            }
        }
    }
}

/// Asks a server again and again whether it is ready, while there is a client.
async fn probe(shared: Weak<Shared>, index: usize) {
    loop {
        let pause = {
            let Some(shared) = shared.upgrade() else { return };
            let Some(server) = shared.servers.get(index) else {
                return;
            };
            let patience = shared.settings.connect * 2;
            server.stands(ask_name(&shared.http, server, patience).await);
            shared.settings.probe_every
        };
        tokio::time::sleep(pause).await;
    }
}
