//! The runner against time servers over genuine sockets: Debian's chronyd, and one that lies on command.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "helpers of tests may panic"
)]

mod chrony;
mod keeping;
mod lies;
mod nts;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bench_time::{Server, Settings};
use records::Timestamp;
use serde_json::json;
use timesource::{
    Clocks, MachineClocks, Pace, Policy, Reading, Row, Runner, Source, State, Status, TimeKeeper, time_keeper,
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The machine's clocks, of which the test sets the wall clock.
#[derive(Default)]
pub(crate) struct Machine(AtomicI64);

impl Machine {
    pub(crate) fn ahead(us: i64) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(us)))
    }

    pub(crate) fn set_by(&self, us: i64) {
        self.0.fetch_add(us, Ordering::SeqCst);
    }
}

impl Clocks for Machine {
    fn read(&self) -> Reading {
        let now = MachineClocks.read();
        let wall = now.wall.as_micros() + self.0.load(Ordering::SeqCst);
        Reading {
            wall: Timestamp::from_micros(wall),
            ..now
        }
    }
}

/// A keeper whose runner runs.
pub(crate) struct Running {
    pub(crate) keeper: TimeKeeper,
    pub(crate) stop: CancellationToken,
    pub(crate) task: JoinHandle<()>,
}

impl Running {
    pub(crate) fn start(policy: Policy, machine: &Arc<Machine>) -> Self {
        Self::paced(policy, machine, pace())
    }

    pub(crate) fn paced(policy: Policy, machine: &Arc<Machine>, pace: Pace) -> Self {
        let clocks: Arc<dyn Clocks> = Arc::clone(machine) as _;
        let (keeper, runner): (TimeKeeper, Runner) = time_keeper(policy, clocks, pace).unwrap();
        let stop = CancellationToken::new();
        let task = tokio::spawn(runner.run(stop.clone()));
        Self { keeper, stop, task }
    }

    /// The result of the first poll, which nobody asked for.
    pub(crate) async fn first(&self) -> Status {
        until("the first poll", || !self.keeper.history().is_empty()).await;
        self.keeper.status()
    }

    pub(crate) async fn polled(&self) -> Status {
        self.keeper.poll_now().await.unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// For sources that answer, however busy the machine is.
pub(crate) fn pace() -> Pace {
    Pace {
        between_samples: Duration::from_millis(5),
        answer: Duration::from_secs(20),
        preparation: Duration::from_secs(20),
        unplanned: Duration::ZERO,
    }
}

/// For sources of which some answers never come: each of those is waited for.
pub(crate) fn brief() -> Pace {
    Pace {
        answer: Duration::from_secs(4),
        ..pace()
    }
}

pub(crate) async fn until(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..6_000 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what} did not come");
}

pub(crate) async fn server() -> Server {
    Server::start(Settings::default()).await.unwrap()
}

/// A server that acts out `rule` every time.
pub(crate) async fn liar(rule: serde_json::Value) -> Server {
    let server = server().await;
    always(&server, rule);
    server
}

pub(crate) fn always(server: &Server, mut rule: serde_json::Value) {
    rule["times"] = json!(100_000);
    server.fault(&rule).unwrap();
}

pub(crate) fn plain(server: &Server) -> Source {
    Source {
        host: server.ntp.ip().to_string(),
        port: Some(server.ntp.port()),
        nts: false,
    }
}

pub(crate) fn policy(sources: Vec<Source>) -> Policy {
    Policy {
        enabled: true,
        sources,
        samples: 2,
        ..Policy::default()
    }
}

pub(crate) fn is_trusted(status: &Status) -> bool {
    matches!(status.state, State::Trusted(_))
}

/// The only row.
pub(crate) fn row(status: &Status) -> &Row {
    let [row] = status.sources.as_slice() else {
        panic!("{:?}", status.sources)
    };
    row
}
