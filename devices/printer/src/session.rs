//! One job's conversation with a printer, without I/O.
//!
//! ```text
//! ask ─▶ not ready: not printed
//!  │ ready
//!  ▼
//! parts ─▶ fence ─▶ ask until idle ─▶ printed
//!  └──── line lost, silence or fault after the first part: unknown
//! ```

use std::collections::VecDeque;
use std::time::Duration;

use crate::language::Language;
use crate::status::{Outcome, Status};

/// Between two questions to a printer that is busy.
const PAUSE: Duration = Duration::from_millis(150);

/// Before an idle printer that has to say so twice is asked again: it only has to look at what it has taken in.
const AGAIN: Duration = Duration::from_millis(40);

/// Bytes of answers that make no sense before the printer is given up.
const MOST_NONSENSE: usize = 4_096;

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
    language: Language,
    tag: String,
    phase: Phase,
    parts: VecDeque<Vec<u8>>,
    out: VecDeque<Vec<u8>>,
    answer: Vec<u8>,
    /// What may still come of the answer to the fence.
    rest: &'static [u8],
    pause: Option<Duration>,
    /// Questions to a busy printer that may still be asked.
    patience: u32,
    idle: u8,
    touched: bool,
    over: Option<Outcome>,
}

impl Session {
    /// A conversation that prints these parts. `tag` tells this job's fence from an older one's: letters and digits.
    /// `busy_for` is how long a printer may be busy before and after the job.
    pub fn new(language: Language, parts: Vec<Vec<u8>>, tag: &str, busy_for: Duration) -> Self {
        let patience = busy_for.as_millis().div_ceil(PAUSE.as_millis());
        Self {
            language,
            tag: tag.chars().filter(char::is_ascii_alphanumeric).take(32).collect(),
            phase: Phase::Before,
            parts: parts.into(),
            out: VecDeque::from([language.question()]),
            answer: Vec::new(),
            rest: &[],
            pause: None,
            patience: u32::try_from(patience).unwrap_or(u32::MAX).max(1),
            idle: 0,
            touched: false,
            over: None,
        }
    }

    /// How long to wait before the next bytes are written; asked once before [`Session::next_write`].
    pub fn pause(&mut self) -> Option<Duration> {
        self.pause.take()
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
        if let Some(part) = self.parts.pop_front() {
            self.touched = true;
            return Some(part);
        }
        self.answer.clear();
        if let Some(fence) = self.language.fence(&self.tag) {
            self.phase = Phase::Fence;
            return Some(fence);
        }
        self.phase = Phase::After;
        Some(self.language.question())
    }

    /// Bytes from the printer.
    pub fn receive(&mut self, bytes: &[u8]) {
        if self.over.is_some() || self.phase == Phase::Sending {
            return;
        }
        self.answer.extend_from_slice(bytes);
        if self.phase == Phase::Fence {
            if let Some(found) = self.language.fenced(&self.answer, &self.tag) {
                let fence = self.answer.get(..found.used).unwrap_or_default();
                self.rest = self.language.fence_rest(fence);
                self.phase = Phase::After;
                self.answer.clear();
                self.out.push_back(self.language.question());
            }
        } else {
            self.pass_over_rest();
            if let Some(found) = self.language.status(&self.answer) {
                self.answer.clear();
                self.answered(found.value);
            }
        }
        if self.answer.len() > MOST_NONSENSE {
            self.over.get_or_insert(if self.touched {
                Outcome::Unknown("the printer answers nonsense")
            } else {
                Outcome::NotPrinted(Status::Unknown)
            });
        }
    }

    fn pass_over_rest(&mut self) {
        while let Some(byte) = self.answer.first().filter(|_| !self.rest.is_empty()) {
            match self.rest.iter().position(|b| b == byte) {
                Some(at) => {
                    self.rest = self.rest.get(at + 1..).unwrap_or_default();
                    self.answer.remove(0);
                }
                None => self.rest = &[],
            }
        }
    }

    fn answered(&mut self, status: Status) {
        match (self.phase, status) {
            (Phase::Before, Status::Ready | Status::PaperLow) => self.phase = Phase::Sending,
            (Phase::After, Status::Ready | Status::PaperLow) => {
                self.idle += 1;
                if self.idle >= self.language.idle_answers() {
                    self.over = Some(Outcome::Printed);
                } else {
                    self.ask_after(AGAIN);
                }
            }
            (Phase::Before | Phase::After, Status::Busy) if self.patience > 0 => {
                self.idle = 0;
                self.ask_after(PAUSE);
            }
            (Phase::Before, _) => self.over = Some(Outcome::NotPrinted(status)),
            (Phase::After, Status::Busy) => self.over = Some(Outcome::Unknown("the printer does not come to an end")),
            (Phase::After, _) => self.over = Some(Outcome::Unknown("the printer reports a fault after the job")),
            (Phase::Sending | Phase::Fence, _) => {}
        }
    }

    fn ask_after(&mut self, pause: Duration) {
        self.patience = self.patience.saturating_sub(1);
        self.pause = Some(pause);
        self.out.push_back(self.language.question());
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
        } else if self.answer.is_empty() {
            Outcome::Unreachable
        } else {
            Outcome::NotPrinted(Status::Unknown)
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
    use crate::raster::Raster;
    use crate::sheet::{Media, Sheet};

    const TAG: &str = "YQ7";

    struct Voice {
        language: Language,
        ready: Vec<u8>,
        no_paper: Vec<u8>,
        fence: Vec<u8>,
    }

    fn voices() -> [Voice; 3] {
        let hs = |paper: u8| {
            format!("\x02030,{paper},0,1245,000,0,0,0,000,0,0,0\x03\r\n\x02000,0,0,0,0,2,4,0,00000000,1,000\x03\r\n\x021234,0\x03\r\n")
                .into_bytes()
        };
        [
            Voice {
                language: Language::Escpos,
                ready: vec![0x12; 4],
                no_paper: vec![0x1A, 0x32, 0x12, 0x72],
                fence: vec![0],
            },
            Voice {
                language: Language::Tspl,
                ready: vec![0],
                no_paper: vec![4],
                fence: b"YQ7\r\n".to_vec(),
            },
            Voice {
                language: Language::Zpl,
                ready: hs(0),
                no_paper: hs(1),
                fence: hs(0),
            },
        ]
    }

    fn session(language: Language) -> Session {
        let mut page = Raster::new(576, 300);
        page.set(0, 0);
        let parts = language.encode(&[page], &Sheet::roll(Media::Mm80, 203));
        Session::new(language, parts, TAG, Duration::from_secs(1))
    }

    fn drain(session: &mut Session) -> Vec<u8> {
        std::iter::from_fn(|| session.next_write()).flatten().collect()
    }

    #[test]
    fn a_job_is_printed_only_when_the_fence_and_the_status_say_so() {
        for voice in voices() {
            let mut s = session(voice.language);
            assert_eq!(drain(&mut s), voice.language.question());
            s.receive(&voice.ready);
            let sent = drain(&mut s);
            assert!(sent.len() > 100 && s.touched() && s.outcome().is_none());
            s.receive(&voice.fence);
            assert!(s.outcome().is_none(), "{:?}", voice.language);
            assert_eq!(drain(&mut s), voice.language.question());
            s.receive(&voice.ready);
            assert_eq!(s.outcome(), Some(&Outcome::Printed), "{:?}", voice.language);
        }
    }

    /// A serial line hands answers over in any pieces, also with the end of a line for itself.
    #[test]
    fn answers_mean_the_same_in_any_pieces() {
        for voice in voices() {
            for size in 1..8 {
                let mut s = session(voice.language);
                for answer in [&voice.ready, &voice.fence, &voice.ready] {
                    drain(&mut s);
                    for piece in answer.chunks(size) {
                        s.receive(piece);
                        drain(&mut s);
                    }
                }
                assert_eq!(s.outcome(), Some(&Outcome::Printed), "{:?} by {size}", voice.language);
            }
        }
    }

    #[test]
    fn a_printer_that_is_not_ready_gets_nothing() {
        for voice in voices() {
            let mut s = session(voice.language);
            drain(&mut s);
            s.receive(&voice.no_paper);
            assert_eq!(s.outcome(), Some(&Outcome::NotPrinted(Status::PaperOut)));
            assert!(drain(&mut s).is_empty() && !s.touched());
        }
    }

    #[test]
    fn whatever_ends_a_job_midway_leaves_it_unknown() {
        type Ending = (&'static str, fn(&mut Session, &Voice), bool);
        let table: [Ending; 6] = [
            ("lost before the status", |s, _| s.closed(), false),
            ("nonsense before the status", |s, _| s.receive(&[0x41; 5_000]), false),
            (
                "lost after the first part",
                |s, v| {
                    s.receive(&v.ready);
                    s.next_write();
                    s.closed();
                },
                true,
            ),
            (
                "silent before the fence",
                |s, v| {
                    s.receive(&v.ready);
                    drain(s);
                    s.silent();
                },
                true,
            ),
            (
                "paper out after the fence",
                |s, v| {
                    s.receive(&v.ready);
                    drain(s);
                    s.receive(&v.fence);
                    drain(s);
                    s.receive(&v.no_paper);
                },
                true,
            ),
            (
                "lost after the fence",
                |s, v| {
                    s.receive(&v.ready);
                    drain(s);
                    s.receive(&v.fence);
                    drain(s);
                    s.closed();
                },
                true,
            ),
        ];
        for voice in voices() {
            for (name, end, unknown) in table {
                let mut s = session(voice.language);
                drain(&mut s);
                end(&mut s, &voice);
                let is_unknown = matches!(s.outcome(), Some(Outcome::Unknown(_)));
                assert_eq!(
                    (is_unknown, s.outcome().is_some()),
                    (unknown, true),
                    "{name}, {:?}: {:?}",
                    voice.language,
                    s.outcome()
                );
            }
        }
    }

    #[test]
    fn a_busy_printer_is_asked_again_and_not_for_ever() {
        let mut s = session(Language::Tspl);
        drain(&mut s);
        s.receive(&[0x20]);
        assert_eq!((s.pause(), drain(&mut s)), (Some(PAUSE), Language::Tspl.question()));
        s.receive(&[0x00]);
        drain(&mut s);
        s.receive(b"YQ7\r\n");
        for _ in 0..100 {
            drain(&mut s);
            s.receive(&[0x20]);
        }
        assert_eq!(
            s.outcome(),
            Some(&Outcome::Unknown("the printer does not come to an end"))
        );
    }
}
