//! ESC/POS without I/O: a job's bytes, the questions asked around it, and what the answers mean.
//!
//! ```text
//! ask DLE EOT 1,2,4 ─▶ not ready: not printed
//!        │ ready
//!        ▼
//! bands (GS v 0), status watched ─▶ cut ─▶ fence GS r 1 ─▶ ask again ─▶ printed
//!        └──── line lost, silence or error after the first band: unknown
//! ```

use std::collections::VecDeque;

use crate::raster::Raster;

/// Rows sent as one picture command; small buffers take this.
const BAND_ROWS: usize = 128;

/// What the printer says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Status {
    /// Refuses data.
    pub offline: bool,
    /// Cover open.
    pub cover_open: bool,
    /// No paper.
    pub paper_end: bool,
    /// Paper soon ends.
    pub paper_low: bool,
    /// Cutter, head or mechanics.
    pub error: bool,
}

impl Status {
    /// `ready`, `out_of_paper`, `cover_open`, `error` or `offline`.
    pub const fn word(self) -> &'static str {
        if self.paper_end {
            "out_of_paper"
        } else if self.cover_open {
            "cover_open"
        } else if self.error {
            "error"
        } else if self.offline {
            "offline"
        } else {
            "ready"
        }
    }

    /// Whether a job may be sent.
    pub const fn ready(self) -> bool {
        !(self.offline || self.cover_open || self.paper_end || self.error)
    }

    fn take(&mut self, question: u8, byte: u8) {
        let bit = |n: u8| byte & (1 << n) != 0;
        match question {
            1 => self.offline = bit(3),
            2 => {
                self.cover_open = bit(2);
                self.paper_end |= bit(5);
                self.error |= bit(6);
            }
            3 => self.error |= bit(3) || bit(5),
            _ => {
                self.paper_low = bit(2) || bit(3);
                self.paper_end |= bit(5) || bit(6);
            }
        }
    }
}

/// What became of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// On paper, confirmed after everything was processed.
    Printed,
    /// Nothing of it is on paper.
    NotPrinted(Status),
    /// Nobody answered before anything was sent.
    Unreachable,
    /// May be on paper, wholly or partly.
    Unknown(&'static str),
}

/// Asks for the status without printing.
pub const QUESTIONS: [u8; 3] = [1, 2, 4];

/// `DLE EOT n`.
pub const fn question(n: u8) -> [u8; 3] {
    [0x10, 0x04, n]
}

/// Reads answers to [`QUESTIONS`], in order; `None` while some are missing. Bytes that are no real-time status are
/// passed over.
pub fn status(answers: &[u8]) -> Option<Status> {
    let bytes: Vec<u8> = answers.iter().copied().filter(|b| is_realtime(*b)).collect();
    let mut status = Status::default();
    for (question, byte) in QUESTIONS.iter().zip(bytes.iter()) {
        status.take(*question, *byte);
    }
    (bytes.len() >= QUESTIONS.len()).then_some(status)
}

const fn is_realtime(byte: u8) -> bool {
    byte & 0b1001_0011 == 0b0001_0010
}

const fn is_fence(byte: u8) -> bool {
    byte & 0b1001_0000 == 0
}

/// A picture as commands: initialise, bands, feed, cut.
pub fn encode(raster: &Raster) -> Vec<Vec<u8>> {
    let mut parts = vec![vec![0x1B, 0x40]];
    let [wide_low, wide_high, ..] = u32::try_from(raster.stride()).unwrap_or(0).to_le_bytes();
    for band in raster.bands(BAND_ROWS) {
        let rows = band.len().checked_div(raster.stride()).unwrap_or(0);
        let [low, high, ..] = u32::try_from(rows).unwrap_or(0).to_le_bytes();
        let mut part = vec![0x1D, 0x76, 0x30, 0x00, wide_low, wide_high, low, high];
        part.extend_from_slice(band);
        parts.push(part);
    }
    parts.push(vec![0x1B, 0x64, 0x04, 0x1D, 0x56, 0x42, 0x00]);
    parts
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Before,
    Sending,
    Fence,
    After,
}

/// One job's conversation.
#[derive(Debug)]
pub struct Session {
    phase: Phase,
    parts: VecDeque<Vec<u8>>,
    asked: VecDeque<u8>,
    status: Status,
    out: VecDeque<Vec<u8>>,
    touched: bool,
    over: Option<Outcome>,
}

impl Session {
    /// A conversation that prints these parts (see [`encode`]).
    pub fn new(parts: Vec<Vec<u8>>) -> Self {
        let mut session = Self {
            phase: Phase::Before,
            parts: parts.into(),
            asked: VecDeque::new(),
            status: Status::default(),
            out: VecDeque::new(),
            touched: false,
            over: None,
        };
        session.ask();
        session
    }

    fn ask(&mut self) {
        self.status = Status::default();
        for n in QUESTIONS {
            self.asked.push_back(n);
            self.out.push_back(question(n).to_vec());
        }
    }

    /// The next bytes to write.
    pub fn next_write(&mut self) -> Option<Vec<u8>> {
        if self.over.is_some() {
            return None;
        }
        if let Some(bytes) = self.out.pop_front() {
            return Some(bytes);
        }
        if self.phase != Phase::Sending {
            return None;
        }
        match self.parts.pop_front() {
            Some(part) => {
                self.touched = true;
                Some(part)
            }
            None => {
                self.phase = Phase::Fence;
                Some(vec![0x1D, 0x72, 0x01])
            }
        }
    }

    /// Bytes from the printer.
    pub fn receive(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if self.over.is_some() {
                return;
            }
            self.one(*byte);
        }
    }

    fn one(&mut self, byte: u8) {
        if is_realtime(byte)
            && let Some(question) = self.asked.pop_front()
        {
            self.status.take(question, byte);
            if self.asked.is_empty() {
                self.answered();
            }
        } else if self.phase == Phase::Fence && is_fence(byte) {
            self.phase = Phase::After;
            self.ask();
        }
    }

    fn answered(&mut self) {
        match (self.phase, self.status.ready()) {
            (Phase::Before, true) => self.phase = Phase::Sending,
            (Phase::Before, false) => self.over = Some(Outcome::NotPrinted(self.status)),
            (Phase::After, _) if self.status.paper_end || self.status.error || self.status.cover_open => {
                self.over = Some(Outcome::Unknown("the printer reports a fault after the job"));
            }
            (Phase::After, _) => self.over = Some(Outcome::Printed),
            (Phase::Sending | Phase::Fence, _) => {}
        }
    }

    /// The line is lost.
    pub fn closed(&mut self) {
        self.lost("the line was lost while printing");
    }

    /// Nothing came for too long.
    pub fn silent(&mut self) {
        self.lost("the printer fell silent while printing");
    }

    fn lost(&mut self, words: &'static str) {
        let outcome = if self.touched {
            Outcome::Unknown(words)
        } else {
            Outcome::Unreachable
        };
        self.over.get_or_insert(outcome);
    }

    /// Whether anything of the job may be in the printer.
    pub const fn touched(&self) -> bool {
        self.touched
    }

    /// The outcome, once there is one.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.over.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READY: [u8; 3] = [0x12, 0x12, 0x12];
    const PAPER_OUT: [u8; 3] = [0x1A, 0x32, 0x72];

    fn session() -> Session {
        let mut raster = Raster::new(576, 300);
        raster.set(0, 0);
        Session::new(encode(&raster))
    }

    fn drain(session: &mut Session) -> Vec<u8> {
        std::iter::from_fn(|| session.next_write()).flatten().collect()
    }

    #[test]
    fn a_job_is_printed_only_when_the_fence_and_the_status_say_so() {
        let mut s = session();
        assert_eq!(drain(&mut s), [question(1), question(2), question(4)].concat());
        s.receive(&READY);
        let sent = drain(&mut s);
        assert_eq!(&sent[..10], [0x1B, 0x40, 0x1D, 0x76, 0x30, 0x00, 72, 0, 128, 0]);
        assert_eq!(&sent[sent.len() - 3..], [0x1D, 0x72, 0x01]);
        assert_eq!(
            sent.iter().filter(|b| **b == 0x80).count(),
            3,
            "one dot and two band heights of 128 rows"
        );
        assert!(s.outcome().is_none());
        s.receive(&[0x00]);
        assert_eq!(drain(&mut s).len(), 9);
        s.receive(&READY);
        assert_eq!(s.outcome(), Some(&Outcome::Printed));
    }

    #[test]
    fn a_printer_that_is_not_ready_gets_nothing() {
        let mut s = session();
        drain(&mut s);
        s.receive(&PAPER_OUT);
        let Some(Outcome::NotPrinted(status)) = s.outcome() else {
            panic!("{:?}", s.outcome())
        };
        assert_eq!(status.word(), "out_of_paper");
        assert!(drain(&mut s).is_empty() && !s.touched());
    }

    #[test]
    fn whatever_ends_a_job_midway_leaves_it_unknown() {
        type Ending = (&'static str, fn(&mut Session), bool);
        let table: [Ending; 5] = [
            ("lost before the status", |s| s.closed(), false),
            (
                "lost after the first band",
                |s| {
                    s.receive(&READY);
                    s.next_write();
                    s.closed()
                },
                true,
            ),
            (
                "silent before the fence",
                |s| {
                    s.receive(&READY);
                    drain(s);
                    s.silent()
                },
                true,
            ),
            (
                "paper out after the fence",
                |s| {
                    s.receive(&READY);
                    drain(s);
                    s.receive(&[0]);
                    drain(s);
                    s.receive(&PAPER_OUT)
                },
                true,
            ),
            (
                "lost after the fence",
                |s| {
                    s.receive(&READY);
                    drain(s);
                    s.receive(&[0]);
                    drain(s);
                    s.closed()
                },
                true,
            ),
        ];
        for (name, end, unknown) in table {
            let mut s = session();
            drain(&mut s);
            end(&mut s);
            let is_unknown = matches!(s.outcome(), Some(Outcome::Unknown(_)));
            assert_eq!(
                (is_unknown, s.outcome().is_some()),
                (unknown, true),
                "{name}: {:?}",
                s.outcome()
            );
        }
    }

    #[test]
    fn status_bytes_have_their_meaning() {
        for (bytes, word) in [
            ([0x12, 0x12, 0x12], "ready"),
            ([0x1A, 0x16, 0x12], "cover_open"),
            ([0x1A, 0x52, 0x12], "error"),
            ([0x12, 0x12, 0x72], "out_of_paper"),
            ([0x1A, 0x12, 0x12], "offline"),
        ] {
            assert_eq!(status(&bytes).unwrap().word(), word);
        }
        assert_eq!(status(&[0x12, 0x12]), None);
    }
}
