//! The task that asks sources by the policy, and the handle others hold.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use records::Timestamp;
use rustls::ClientConfig;
use serde::Serialize;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use crate::clock::{Measurement, TrustedClock};
use crate::nts::tls;
use crate::policy::{Policy, PolicyFault, Source};
use crate::reading::{Clocks, Reading};
use crate::sample::Sample;
use crate::select::{Disagreement, agree};
use crate::source::{Pace, Row, Station, Tools};
use crate::state::{Believed, Failure, Jump, NotBelieved, Point, State};

/// How often the machine's clock is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// After a poll without result the next one comes sooner: after this, and twice as long each time,
const RETRY: Duration = Duration::from_secs(16);
/// up to this.
const LONGEST_RETRY: Duration = Duration::from_secs(900);

/// People waiting for a poll at once.
const DEMANDS: usize = 16;

/// Everything the page shows.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Status {
    /// Where the clock stands.
    #[serde(flatten)]
    pub state: State,
    /// The same in plain words, when the time may not be signed with.
    pub refusal: Option<String>,
    /// The machine's clock.
    #[schema(value_type = String, format = DateTime)]
    pub machine: Timestamp,
    /// The time to sign with, unless it is not believed.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub time: Option<Timestamp>,
    /// Row per source, in the order of the policy.
    pub sources: Vec<Row>,
    /// Changes of the machine's clock noticed since the start, oldest first.
    pub jumps: Vec<Jump>,
}

/// Why a poll on demand did not take place; for the person at the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PollRefused {
    /// Synchronisation is off.
    #[error("时间同步已关闭，请先在策略中开启")]
    Off,
    /// Many wait already.
    #[error("校时请求过多，请稍后再试")]
    Busy,
    /// The runner has ended, or synchronisation was switched off meanwhile.
    #[error("校时被中断（时间同步被关闭或服务正在停止）")]
    Interrupted,
}

struct Shared {
    clocks: Arc<dyn Clocks>,
    book: Mutex<Book>,
    changed: Notify,
}

struct Book {
    clock: TrustedClock,
    rows: Vec<Row>,
}

impl Shared {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The time of the appliance, as far as it may be believed. Cheap to clone; all answers are immediate but a poll.
#[derive(Clone)]
pub struct TimeKeeper {
    shared: Arc<Shared>,
    demands: mpsc::Sender<oneshot::Sender<()>>,
}

/// Asks the sources; to be driven by [`Runner::run`].
pub struct Runner {
    shared: Arc<Shared>,
    demands: mpsc::Receiver<oneshot::Sender<()>>,
    pace: Pace,
    stations: Vec<Station>,
    /// Who asked for a poll. They outlast a change of the policy: who saves one and then asks means the new one.
    waiting: Vec<oneshot::Sender<()>>,
}

/// A keeper and its runner, by a policy.
///
/// # Errors
/// When the policy is not sound.
pub fn time_keeper(
    policy: Policy,
    clocks: Arc<dyn Clocks>,
    pace: Pace,
) -> Result<(TimeKeeper, Runner), Vec<PolicyFault>> {
    policy.check()?;
    let shared = Arc::new(Shared {
        clocks,
        book: Mutex::new(Book {
            clock: TrustedClock::new(policy),
            rows: Vec::new(),
        }),
        changed: Notify::new(),
    });
    let (demands, demanded) = mpsc::channel(DEMANDS);
    let keeper = TimeKeeper {
        shared: Arc::clone(&shared),
        demands,
    };
    let runner = Runner {
        shared,
        demands: demanded,
        pace,
        stations: Vec::new(),
        waiting: Vec::new(),
    };
    Ok((keeper, runner))
}

impl TimeKeeper {
    /// The time to sign with.
    ///
    /// # Errors
    /// When it is not to be believed; the text says why and what to do.
    pub fn now(&self) -> Result<Believed, NotBelieved> {
        let book = self.shared.book();
        book.clock.believed(self.shared.clocks.read())
    }

    /// Everything the page shows but the graph.
    pub fn status(&self) -> Status {
        let book = self.shared.book();
        let now = self.shared.clocks.read();
        let believed = book.clock.believed(now);
        Status {
            state: book.clock.state(now),
            machine: now.wall,
            time: believed.as_ref().ok().map(|believed| believed.at),
            refusal: believed.err().map(|refused| refused.to_string()),
            sources: book.rows.clone(),
            jumps: book.clock.jumps().copied().collect(),
        }
    }

    /// The graph's points, oldest first.
    pub fn history(&self) -> Vec<Point> {
        self.shared.book().clock.history().copied().collect()
    }

    /// The policy in force.
    pub fn policy(&self) -> Policy {
        self.shared.book().clock.policy().clone()
    }

    /// Puts a policy in force, at once. Sources that stay keep their keys and their record.
    ///
    /// # Errors
    /// When it is not sound; the old one stays.
    pub fn set_policy(&self, policy: Policy) -> Result<(), Vec<PolicyFault>> {
        policy.check()?;
        self.shared.book().clock.set_policy(policy);
        self.shared.changed.notify_one();
        Ok(())
    }

    /// Asks all sources now (立即校时) and waits for the result. Those who ask during a poll share the next one.
    ///
    /// # Errors
    /// When no poll took place.
    pub async fn poll_now(&self) -> Result<Status, PollRefused> {
        if !self.shared.book().clock.policy().enabled {
            return Err(PollRefused::Off);
        }
        let (done, waited) = oneshot::channel();
        self.demands.try_send(done).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => PollRefused::Busy,
            mpsc::error::TrySendError::Closed(_) => PollRefused::Interrupted,
        })?;
        waited.await.map_err(|_| PollRefused::Interrupted)?;
        Ok(self.status())
    }
}

impl Runner {
    /// Polls by the policy until told to stop. Nothing is left running afterwards.
    pub async fn run(mut self, stop: CancellationToken) {
        let shared = Arc::clone(&self.shared);
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let policy = shared.book().clock.policy().clone();
            let tls = self.tls(&policy);
            self.station(&policy);
            let by_policy = async {
                if policy.enabled {
                    self.by(&policy, tls, &mut look).await;
                } else {
                    // Nobody is asked, and those who wait are told so.
                    self.waiting.clear();
                    while let Some(waiting) = self.demands.recv().await {
                        drop(waiting);
                    }
                }
            };
            tokio::select! {
                // A policy that was changed asks nobody any more.
                biased;
                () = stop.cancelled() => return,
                () = shared.changed.notified() => {}
                () = by_policy => return,
            }
        }
    }

    /// One station per source; those that were there before stay as they are.
    fn station(&mut self, policy: &Policy) {
        let mut before: HashMap<Source, Station> = self
            .stations
            .drain(..)
            .map(|station| (station.source().clone(), station))
            .collect();
        self.stations = policy
            .sources
            .iter()
            .map(|source| {
                let kept = before.remove(source);
                kept.map_or_else(|| Station::new(source.clone()), Station::forgiven)
            })
            .collect();
        self.shared.book().rows = self.rows();
    }

    fn tls(&self, policy: &Policy) -> Option<Arc<ClientConfig>> {
        if !policy.sources.iter().any(|source| source.nts) {
            return None;
        }
        let roots = match policy.nts_ca_pem.as_deref() {
            Some(pem) => tls::certificates(pem)?,
            None => tls::machine_roots(),
        };
        let config = tls::config(roots, Arc::clone(&self.shared.clocks));
        config
            .inspect_err(|error| tracing::error!(%error, "no TLS for NTS"))
            .ok()
    }

    fn rows(&self) -> Vec<Row> {
        self.stations.iter().map(|station| station.row().clone()).collect()
    }

    /// Polls at once, then by the schedule, on demand, and when the machine's clock jumps. Never ends by itself, unless
    /// nobody holds a keeper any more.
    async fn by(&mut self, policy: &Policy, tls: Option<Arc<ClientConfig>>, look: &mut tokio::time::Interval) {
        let tools = Tools {
            clocks: Arc::clone(&self.shared.clocks),
            tls,
            pace: self.pace,
        };
        let mut next = Instant::now();
        let mut earliest = next;
        let mut failures = 0;
        loop {
            tokio::select! {
                () = sleep_until(next) => {
                    // Whoever asked before the poll began has its result.
                    while let Ok(more) = self.demands.try_recv() {
                        self.waiting.push(more);
                    }
                    failures = if self.poll(policy, &tools).await { 0 } else { failures + 1 };
                    for one in self.waiting.drain(..) {
                        let _gone = one.send(());
                    }
                    earliest = Instant::now() + self.pace.unplanned;
                    next = Instant::now() + self.wait(policy, failures);
                }
                demand = self.demands.recv() => {
                    let Some(demand) = demand else { return };
                    self.waiting.push(demand);
                    next = next.min(earliest.max(Instant::now()));
                }
                _ = look.tick() => {
                    let jump = self.shared.book().clock.notice(tools.clocks.read());
                    if let Some(jump) = jump {
                        tracing::warn!(clock.by_us = jump.by_us, clock.step = jump.step, "the machine's clock was set");
                        next = next.min(earliest.max(Instant::now()));
                    }
                }
            }
        }
    }

    fn wait(&self, policy: &Policy, failures: u32) -> Duration {
        let mut chance = [0; 4];
        // Without random numbers the spread is lost, not the poll.
        let _unspread = getrandom::fill(&mut chance);
        let book = self.shared.book();
        let now = self.shared.clocks.read();
        let now = book.clock.believed(now).map_or(now.wall, |believed| believed.at);
        let wait = policy.schedule.wait(now, u32::from_be_bytes(chance));
        match failures {
            0 => wait,
            _ => wait.min(
                RETRY
                    .saturating_mul(1 << failures.min(7))
                    .div_f64(2.0)
                    .min(LONGEST_RETRY),
            ),
        }
    }

    /// Whether it gave a measurement.
    async fn poll(&mut self, policy: &Policy, tools: &Tools) -> bool {
        let longest = policy.schedule.longest();
        let polls = self
            .stations
            .iter_mut()
            .map(|station| station.poll(tools, policy.samples, longest));
        let samples = join_all(polls).await;
        let at = tools.clocks.read();
        let result = self.judge(policy, &samples, at);
        if let Err(failure) = &result {
            tracing::warn!(time.failure = ?failure, "no time from the sources");
        }
        // The result and the rows that led to it are seen together.
        let rows = self.rows();
        let mut book = self.shared.book();
        book.clock.polled(at, result);
        book.rows = rows;
        drop(book);
        result.is_ok()
    }

    fn judge(&mut self, policy: &Policy, samples: &[Option<Sample>], at: Reading) -> Result<Measurement, Failure> {
        let (mut stations, mut usable) = (Vec::new(), Vec::new());
        for (station, sample) in self.stations.iter_mut().zip(samples) {
            let Some(sample) = sample.map(|sample| sample.carried_to(at)) else {
                continue;
            };
            if sample.error_us > policy.bound_us() {
                station.too_vague(sample.error_us);
                continue;
            }
            stations.push(station);
            usable.push(sample);
        }
        let needed = usize::from(policy.fewest_agreeing);
        let (agreed, chimers) = match agree(&usable, needed) {
            Ok(found) => found,
            Err(Disagreement::TooFew) if usable.is_empty() => return Err(Failure::NoAnswer),
            Err(Disagreement::TooFew) => {
                return Err(Failure::TooFew {
                    answered: usable.len(),
                    needed,
                });
            }
            Err(Disagreement::NoMajority) => {
                for station in stations {
                    station.judged(false);
                }
                return Err(Failure::Disagree);
            }
        };
        for (station, agrees) in stations.into_iter().zip(&chimers) {
            station.judged(*agrees);
        }
        let chosen = || {
            usable
                .iter()
                .zip(&chimers)
                .filter_map(|(sample, yes)| yes.then_some(sample))
        };
        Ok(Measurement {
            at,
            offset_us: agreed.offset_us,
            error_us: agreed.error_us,
            delay_us: chosen().map(|sample| sample.delay_us).min().unwrap_or_default(),
            stratum: chosen().map(|sample| sample.stratum).min().unwrap_or_default(),
            agreeing: chosen().count(),
        })
    }
}
