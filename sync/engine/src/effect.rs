//! What a session says to its driver, and what it is told about times and limits.

use std::time::Duration;

use records::Lane;

use crate::call::{Answer, IncomingCall};
use crate::incoming::Item;

/// Which of the two connections a frame takes: batches must not delay calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Channel {
    /// Calls, acknowledgements, everything small.
    Ctl,
    /// Log batches, limited by the receiver's credit.
    Bulk,
}

/// Which end this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Dials and greets.
    Edge,
    /// Answers.
    Cloud,
}

/// Why a session is not up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DownReason {
    /// The connection broke.
    Disconnected,
    /// Nothing was heard for too long.
    Silent,
    /// A newer connection of the same appliance took over.
    Fenced,
    /// The other end refused us: another identity or no common version.
    Refused,
    /// The other end is stopping or has forgotten us; it will be greeted again.
    PeerRestarted,
}

/// Something an operator must see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Alarm {
    /// Our numbers were already used for other entries: this end's disk was rolled back or cloned.
    RolledBack {
        /// Lane of the stream.
        lane: Lane,
        /// First number that is not the same entry at both ends.
        ours: u64,
        /// What the receiver had applied.
        theirs: u64,
    },
    /// Two live processes claim to be this appliance.
    Cloned,
    /// We were fenced by another connection of this appliance.
    Fenced,
    /// A greeting named another appliance than the connection's certificate.
    WrongIdentity {
        /// What it claimed.
        claimed: String,
    },
    /// No common protocol version.
    Version,
    /// The peer's clock differs by more than two seconds (microseconds, theirs minus ours).
    ClockOffset(i64),
}

/// What the driver has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Send bytes to the peer.
    Send(Channel, Vec<u8>),
    /// The line is up.
    Up,
    /// The line is down.
    Down(DownReason),
    /// Drop the connection and make a new one, then call [`Session::connected`].
    Reconnect,
    /// Read the state of all our outgoing streams, answer with [`Session::streams`].
    LoadStreams {
        /// To be returned.
        ticket: u64,
    },
    /// Read entries after a number, answer with [`Session::loaded`].
    Read {
        /// Lane of the stream.
        lane: Lane,
        /// Entries with greater numbers.
        after: u64,
        /// Stop after so many bytes, but read at least one entry.
        max_bytes: u64,
        /// To be returned.
        ticket: u64,
    },
    /// Everything up to a number is committed at the receiver.
    Acked {
        /// Lane of the stream.
        lane: Lane,
        /// Epoch of the stream.
        epoch: u64,
        /// Last committed number.
        upto: u64,
    },
    /// Read the marks of our own entries after `after` up to `upto`, answer with [`Session::recalled`].
    Recall {
        /// Lane of the stream.
        lane: Lane,
        /// Entries with greater numbers.
        after: u64,
        /// Last number.
        upto: u64,
        /// To be returned.
        ticket: u64,
    },
    /// The receiver's cursor agrees with our history: forget durably which entries were suspect, answer with
    /// [`Session::verified`].
    Verified {
        /// Lane of the stream.
        lane: Lane,
    },
    /// Begin a new epoch whose base is `after`, answer with [`Session::rebased`].
    Rebase {
        /// Lane of the stream.
        lane: Lane,
        /// Last entry of the shared history.
        after: u64,
    },
    /// Read the cursor of a peer's stream (`base` when there is none, or how far any epoch of it got when that is less:
    /// this end was restored from a backup), and the marks that are still known: beyond `settled`, or beyond `base` when
    /// the cursor is below `settled`. Answer with [`Session::cursor`].
    LoadCursor {
        /// Lane of the stream.
        lane: Lane,
        /// Epoch of the stream.
        epoch: u64,
        /// Where an unknown epoch starts.
        base: u64,
        /// What the sender knows to be committed.
        settled: u64,
        /// To be returned.
        ticket: u64,
    },
    /// Apply items, move the cursor and keep the marks in one transaction, answer with [`Session::applied`],
    /// [`Session::apply_failed`], or [`Session::out_of_step`] when the stored cursor is of another epoch, before the
    /// items, or beyond them with other marks. Items at or below the stored cursor are skipped.
    Apply {
        /// Lane of the stream.
        lane: Lane,
        /// Epoch of the stream.
        epoch: u64,
        /// In order, without holes.
        items: Vec<Item>,
        /// To be returned.
        ticket: u64,
    },
    /// Run a call, answer with [`Session::reply`].
    Run(IncomingCall),
    /// Stop a running reading call; nobody waits for it.
    Abort {
        /// Its id.
        rid: [u8; 16],
    },
    /// An outgoing call is settled.
    Answered {
        /// Its id.
        rid: [u8; 16],
        /// What became of it.
        answer: Answer,
    },
    /// A round trip was measured.
    RoundTrip(Duration),
    /// Tell the operator.
    Alarm(Alarm),
}

/// Times and limits.
#[derive(Clone, Copy, Debug)]
pub struct Tuning {
    /// The appliance pings this often.
    pub ping: Duration,
    /// A line without any frame for this long is dead.
    pub dead: Duration,
    /// A greeting without an answer is repeated after this long.
    pub greet: Duration,
    /// A fenced or refused appliance rests this long.
    pub rest: Duration,
    /// The store is looked at this often although nobody said that something was appended.
    pub look: Duration,
    /// Unacknowledged entries are asked after when nothing moved for this long.
    pub patience: Duration,
    /// Bytes a sender may have unacknowledged per lane, at most; it keeps to twice what the line holds.
    pub credit: u64,
    /// Bytes per batch, before compression.
    pub batch_bytes: u64,
    /// Calls under way per peer.
    pub calls_running: usize,
    /// Calls waiting per peer.
    pub calls_queued: usize,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            ping: Duration::from_secs(5),
            dead: Duration::from_secs(15),
            greet: Duration::from_secs(2),
            rest: Duration::from_secs(30),
            look: Duration::from_secs(1),
            patience: Duration::from_secs(3),
            credit: 1024 * 1024,
            batch_bytes: 16 * 1024,
            calls_running: 32,
            calls_queued: 64,
        }
    }
}
