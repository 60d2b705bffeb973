//! The talk with the board, without the line and without a clock: bytes and time in, messages and news out.
//!
//! One command is under way at a time and is repeated until answered; the board acts once on each number. A board that
//! began anew, or that forgot the session, is greeted again, and the command under way is asked again in the new session:
//! every command sets a state, so that does no harm.

mod hearing;

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use dock_link::{Answer, Command, Deframer, Down, FrameError, Up, VERSION};

use crate::state::{DockEvent, DockState, Happening};

/// A living board speaks once a second; after this much silence it is taken for dead.
const SILENCE: Duration = Duration::from_secs(4);
/// A command without an answer is repeated.
const REPEAT: Duration = Duration::from_millis(400);
/// A board that lives but leaves a command without an answer for so long is half dead.
const DEAF: Duration = Duration::from_secs(6);
/// Between two requests to repeat events.
const REPLAY: Duration = Duration::from_millis(300);

/// Why the talk ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// Nothing comes from the board.
    #[error("采集坞没有应答，请检查数据线和电源")]
    Silent,
    /// It lives and does not do what it is told.
    #[error("采集坞不执行指令，请断电后重新上电")]
    Deaf,
    /// It speaks another version.
    #[error("采集坞固件协议版本为{0}，与本机不一致，请升级采集坞固件")]
    Version(u8),
}

/// Names a command of the caller until it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ticket(u64);

/// News of the talk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A command was answered.
    Answered(Ticket, Answer),
    /// Something happened.
    Event(DockEvent),
    /// The state changed.
    Changed,
}

/// Whose a command is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    Caller(Ticket),
    Bay(u8),
    Board,
}

#[derive(Debug)]
struct UnderWay {
    owner: Owner,
    command: Command,
    seq: u32,
    since: Duration,
    sent: Duration,
}

#[derive(Debug, PartialEq, Eq)]
enum Phase {
    /// The greeting went out then.
    Greeting { sent: Duration },
    /// Greeted; the bays are being read.
    Reading,
    /// Everything is known.
    Open,
}

/// Where the talk stands.
#[derive(Debug)]
pub struct Conversation {
    deframer: Deframer,
    session: u32,
    phase: Phase,
    state: DockState,
    seq: u32,
    under_way: Option<UnderWay>,
    asked: VecDeque<(Ticket, Command)>,
    to_read: BTreeSet<u8>,
    read_board: bool,
    next_poll: u8,
    tickets: u64,
    last_event: u32,
    replayed: Duration,
    heard_at: Duration,
    outgoing: VecDeque<Down>,
    news: VecDeque<Heard>,
}

impl Conversation {
    /// Begins with a greeting. `known` is the state of before; `session` must differ from that of any talk before, also
    /// of another process. `last_event` is the number of the last event taken in `known`'s start of the board.
    pub fn new(session: u32, known: DockState, last_event: u32, now: Duration) -> Self {
        let mut conversation = Self {
            deframer: Deframer::new(),
            session: session.max(1),
            phase: Phase::Greeting { sent: now },
            state: DockState { online: false, ..known },
            seq: 0,
            under_way: None,
            asked: VecDeque::new(),
            to_read: BTreeSet::new(),
            read_board: false,
            next_poll: 0,
            tickets: 0,
            last_event,
            replayed: Duration::ZERO,
            heard_at: now,
            outgoing: VecDeque::new(),
            news: VecDeque::new(),
        };
        conversation.greet(now);
        conversation
    }

    /// What is known.
    pub fn state(&self) -> &DockState {
        &self.state
    }

    /// Number of the last event taken since the board's start.
    pub fn last_event(&self) -> u32 {
        self.last_event
    }

    /// Session number in use.
    pub fn session(&self) -> u32 {
        self.session
    }

    /// What has to go out now.
    pub fn next_to_send(&mut self) -> Option<Down> {
        self.outgoing.pop_front()
    }

    /// What became known.
    pub fn next_news(&mut self) -> Option<Heard> {
        self.news.pop_front()
    }

    /// Asks the board something; the answer comes as [`Heard::Answered`].
    pub fn ask(&mut self, command: Command, now: Duration) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.asked.push_back((ticket, command));
        self.advance(now);
        ticket
    }

    /// Whether a command of the caller has gone out and has no answer yet.
    pub fn may_have_happened(&self, ticket: Ticket) -> bool {
        self.under_way
            .as_ref()
            .is_some_and(|u| u.owner == Owner::Caller(ticket))
    }

    /// Takes bytes from the board.
    ///
    /// # Errors
    /// [`Lost::Version`] when the board greets in another version.
    pub fn take(&mut self, bytes: &[u8], now: Duration) -> Result<(), Lost> {
        for byte in bytes {
            match self.deframer.push::<Up>(*byte) {
                Some(Ok(message)) => {
                    self.heard_at = now;
                    self.hear(message, now);
                }
                Some(Err(FrameError::Version(version))) => return Err(Lost::Version(version)),
                Some(Err(_)) | None => {}
            }
        }
        self.advance(now);
        Ok(())
    }

    /// Lets time pass; to be called a few times a second.
    ///
    /// # Errors
    /// [`Lost::Silent`] when nothing was heard for too long, [`Lost::Deaf`] when a command stays without an answer.
    pub fn tick(&mut self, now: Duration) -> Result<(), Lost> {
        if now.saturating_sub(self.heard_at) >= SILENCE {
            return Err(Lost::Silent);
        }
        if let Phase::Greeting { sent } = self.phase
            && now.saturating_sub(sent) >= REPEAT
        {
            self.greet(now);
        }
        if let Some(under_way) = &mut self.under_way {
            if now.saturating_sub(under_way.since) >= DEAF {
                return Err(Lost::Deaf);
            }
            if now.saturating_sub(under_way.sent) >= REPEAT && !matches!(self.phase, Phase::Greeting { .. }) {
                under_way.sent = now;
                self.outgoing.push_back(Down::Command {
                    seq: under_way.seq,
                    command: under_way.command.clone(),
                });
            }
        }
        self.advance(now);
        Ok(())
    }

    fn greet(&mut self, now: Duration) {
        self.phase = Phase::Greeting { sent: now };
        self.outgoing.push_back(Down::Hello {
            version: VERSION,
            session: self.session,
        });
    }

    /// Another session: the board does not know this one.
    fn begin_anew(&mut self, now: Duration) {
        self.session = self.session.wrapping_add(1).max(1);
        self.greet(now);
    }

    fn next_seq(&mut self) -> u32 {
        self.seq = self.seq.wrapping_add(1);
        self.seq
    }

    /// Sends the next command when none is under way.
    fn advance(&mut self, now: Duration) {
        if matches!(self.phase, Phase::Greeting { .. }) || self.under_way.is_some() {
            return;
        }
        let next = if let Some((ticket, command)) = self.asked.pop_front() {
            (Owner::Caller(ticket), command)
        } else if let Some(bay) = self.to_read.pop_first() {
            (Owner::Bay(bay), Command::Bay { bay })
        } else if std::mem::take(&mut self.read_board) {
            (Owner::Board, Command::Board)
        } else {
            if self.phase == Phase::Reading {
                self.phase = Phase::Open;
                self.state.online = true;
                self.state.trouble.clear();
                self.tell(0, 0, Happening::Online);
                self.changed();
            }
            return;
        };
        let seq = self.next_seq();
        self.outgoing.push_back(Down::Command {
            seq,
            command: next.1.clone(),
        });
        self.under_way = Some(UnderWay {
            owner: next.0,
            command: next.1,
            seq,
            since: now,
            sent: now,
        });
    }
}
