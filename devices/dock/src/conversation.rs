//! The talk with the board, without the line: bytes in, messages out.

use std::collections::VecDeque;

use dock_link::{Bay, Deframer, Down, Event, Request, Response, Up, VERSION};

/// The board cannot be talked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silent {
    /// It was reset or never answered the greeting.
    Dead,
    /// It speaks another version.
    Version(u8),
}

/// Where the talk stands.
#[derive(Debug)]
pub struct Conversation {
    deframer: Deframer,
    outgoing: VecDeque<Down>,
    seq: u16,
    greeted: bool,
    boot: Option<u32>,
    last_event: u32,
    bays: Vec<Bay>,
    /// Bay that each outstanding question is about.
    asked: VecDeque<(u16, u8)>,
}

impl Default for Conversation {
    fn default() -> Self {
        Self::new()
    }
}

impl Conversation {
    /// Begins with a greeting.
    pub fn new() -> Self {
        let mut conversation = Self {
            deframer: Deframer::new(),
            outgoing: VecDeque::new(),
            seq: 0,
            greeted: false,
            boot: None,
            last_event: 0,
            bays: Vec::new(),
            asked: VecDeque::new(),
        };
        conversation.ask(Request::Hello { version: VERSION });
        conversation
    }

    /// The bays as last told.
    pub fn bays(&self) -> &[Bay] {
        &self.bays
    }

    /// What has to go out now.
    pub fn next_to_send(&mut self) -> Option<Down> {
        self.outgoing.pop_front()
    }

    fn ask(&mut self, request: Request) -> u16 {
        self.seq = self.seq.wrapping_add(1);
        self.outgoing.push_back(Down::Request { seq: self.seq, request });
        self.seq
    }

    fn ask_bay(&mut self, bay: u8) {
        let seq = self.ask(Request::Bay { bay });
        self.asked.push_back((seq, bay));
    }

    /// Takes bytes from the board; `true` when something about the bays became known.
    pub fn take(&mut self, bytes: &[u8]) -> Result<bool, Silent> {
        let mut news = false;
        for byte in bytes {
            if let Some(Ok(message)) = self.deframer.push::<Up>(*byte) {
                news |= self.hear(message)?;
            }
        }
        Ok(news)
    }

    fn hear(&mut self, message: Up) -> Result<bool, Silent> {
        match message {
            Up::Response {
                response: Response::Hello { version, bays, boot },
                ..
            } => self.greeted(version, bays, boot),
            Up::Response {
                seq,
                response: Response::Bay(bay),
            } => Ok(self.learned(seq, bay)),
            Up::Response {
                response: Response::Refused(dock_link::Refusal::Version),
                ..
            } => Err(Silent::Version(0)),
            Up::Response { .. } => Ok(false),
            Up::Event { number, event, .. } => self.happened(number, event),
        }
    }

    fn greeted(&mut self, version: u8, bays: u8, boot: u32) -> Result<bool, Silent> {
        if version != VERSION {
            return Err(Silent::Version(version));
        }
        if self.boot.is_some_and(|b| b != boot) {
            self.last_event = 0;
        }
        self.boot = Some(boot);
        self.greeted = true;
        self.bays.resize(usize::from(bays), Bay::default());
        (0..bays).for_each(|bay| self.ask_bay(bay));
        self.ask(Request::EventsAfter { event: self.last_event });
        Ok(true)
    }

    fn learned(&mut self, seq: u16, bay: Bay) -> bool {
        // A question whose answer was lost in noise is passed over.
        while let Some((asked, number)) = self.asked.pop_front() {
            if asked == seq {
                if let Some(place) = self.bays.get_mut(usize::from(number)) {
                    *place = bay;
                }
                return true;
            }
        }
        false
    }

    fn happened(&mut self, number: u32, event: Event) -> Result<bool, Silent> {
        match event {
            // The greeting was lost in noise, or the board began anew: greet again.
            Event::Alive { good: 0, .. } if self.greeted => Err(Silent::Dead),
            Event::Alive { .. } if !self.greeted => {
                self.ask(Request::Hello { version: VERSION });
                Ok(false)
            }
            Event::Alive { .. } => Ok(false),
            Event::Inserted { bay } | Event::Removed { bay } => {
                if number > self.last_event {
                    self.last_event = number;
                }
                self.outgoing.push_back(Down::Acknowledge { event: number });
                if self.greeted {
                    self.ask_bay(bay);
                }
                Ok(false)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dock_link::{Led, MAX_FRAME};

    fn bytes(message: Up) -> Vec<u8> {
        let mut frame = [0u8; MAX_FRAME];
        let length = dock_link::encode(&message, &mut frame).unwrap();
        frame[..length].to_vec()
    }

    fn sent(conversation: &mut Conversation) -> Vec<Down> {
        std::iter::from_fn(|| conversation.next_to_send()).collect()
    }

    fn hello(boot: u32) -> Vec<u8> {
        bytes(Up::Response {
            seq: 1,
            response: Response::Hello {
                version: VERSION,
                bays: 2,
                boot,
            },
        })
    }

    #[test]
    fn a_recorder_put_in_is_known_after_the_board_was_asked() {
        let mut talk = Conversation::new();
        assert_eq!(sent(&mut talk).len(), 1, "the greeting");
        assert_eq!(talk.take(&hello(7)), Ok(true));
        assert_eq!(sent(&mut talk).len(), 3, "two bays and the missed events");
        talk.take(&bytes(Up::Event {
            number: 1,
            at_ms: 5,
            event: Event::Inserted { bay: 1 },
        }))
        .unwrap();
        let asked = sent(&mut talk);
        assert_eq!(asked.first(), Some(&Down::Acknowledge { event: 1 }));
        let Some(Down::Request { seq, .. }) = asked.last().copied() else {
            panic!("asks for the bay")
        };
        let bay = Bay {
            present: true,
            locked: true,
            led: Led::Steady,
            charge_ma: 500,
        };
        assert_eq!(
            talk.take(&bytes(Up::Response {
                seq,
                response: Response::Bay(bay)
            })),
            Ok(true)
        );
        assert!(talk.bays()[1].present && !talk.bays()[0].present);
    }

    #[test]
    fn noise_before_the_greeting_only_costs_a_second() {
        let mut talk = Conversation::new();
        sent(&mut talk);
        assert_eq!(talk.take(&[0x55; 700]), Ok(false));
        talk.take(&[0]).unwrap();
        talk.take(&bytes(Up::Event {
            number: 0,
            at_ms: 1000,
            event: Event::Alive { good: 0, bad: 1 },
        }))
        .unwrap();
        assert_eq!(sent(&mut talk).len(), 1, "greets again");
        assert_eq!(talk.take(&hello(7)), Ok(true));
    }

    #[test]
    fn a_reset_board_and_a_foreign_version_end_the_talk() {
        let mut talk = Conversation::new();
        talk.take(&hello(7)).unwrap();
        let alive = bytes(Up::Event {
            number: 0,
            at_ms: 1,
            event: Event::Alive { good: 0, bad: 0 },
        });
        assert_eq!(talk.take(&alive), Err(Silent::Dead));
        let mut talk = Conversation::new();
        let foreign = bytes(Up::Response {
            seq: 1,
            response: Response::Hello {
                version: 9,
                bays: 1,
                boot: 1,
            },
        });
        assert_eq!(talk.take(&foreign), Err(Silent::Version(9)));
    }
}
