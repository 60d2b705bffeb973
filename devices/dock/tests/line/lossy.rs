//! Over a line that loses, doubles and garbles, with resets in between: each command is answered, each event arrives once
//! and in order, and both ends agree in the end.

use std::collections::BTreeSet;
use std::time::Duration;

use dock::{Conversation, DockState, Happening, Heard, Light};
use dock_link::{Answer, Command, Down};
use proptest::prelude::*;

use crate::board::{Board, frame};

#[derive(Clone, Copy, Debug)]
enum Act {
    Switch(u8, bool),
    Ask(u8, bool),
    Reset,
    Wait(u64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0u8..10, any::<bool>()).prop_map(|(bay, on)| Act::Switch(bay, on)),
        3 => (0u8..11, any::<bool>()).prop_map(|(bay, on)| Act::Ask(bay, on)),
        1 => Just(Act::Reset),
        4 => (1u64..200).prop_map(Act::Wait),
    ]
}

struct Line {
    chance: u64,
    /// Of 100 frames so many are spoilt.
    bad: u64,
}

impl Line {
    fn next(&mut self) -> u64 {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        self.chance >> 16
    }

    fn carry(&mut self, frame: &[u8], to: &mut Vec<u8>) {
        let mut bytes = frame.to_vec();
        if self.next() % 100 < self.bad {
            let at = self.next() as usize % bytes.len();
            match self.next() % 4 {
                0 => return,
                1 => bytes[at] ^= 1 << (self.next() % 8),
                2 => bytes.extend_from_slice(frame),
                _ => bytes.truncate(at),
            }
        }
        to.extend(bytes);
    }
}

struct World {
    board: Board,
    talk: Conversation,
    line: Line,
    up: Vec<u8>,
    down: Vec<u8>,
    now: u64,
    lost: u32,
    /// Numbers of events by start of the board.
    heard: Vec<(u32, u32)>,
    answered: Vec<dock::Ticket>,
}

impl World {
    fn moment(&mut self) {
        self.now += 10;
        let now = Duration::from_millis(self.now);
        let down = std::mem::take(&mut self.down);
        for frame in self.board.moment(&down, self.now) {
            self.line.carry(&frame, &mut self.up);
        }
        let up = std::mem::take(&mut self.up);
        if self.talk.take(&up, now).is_err() || self.talk.tick(now).is_err() {
            // As the driver does after a lost line.
            self.lost += 1;
            let (known, last) = (self.talk.state().clone(), self.talk.last_event());
            self.talk = Conversation::new(self.talk.session() + 100, known, last, now);
        }
        while let Some(message) = self.talk.next_to_send() {
            self.line.carry(&frame::<Down>(&message), &mut self.down);
        }
        while let Some(heard) = self.talk.next_news() {
            match heard {
                Heard::Event(event) if event.number > 0 => self.heard.push((event.boot, event.number)),
                Heard::Event(event) => assert_ne!(event.what, Happening::Missed, "few events are never given up"),
                Heard::Answered(ticket, answer) => {
                    assert!(matches!(answer, Answer::Done | Answer::Refused(_)), "{answer:?}");
                    self.answered.push(ticket);
                }
                Heard::Changed => {}
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn both_ends_agree_after_a_bad_line(
        acts in proptest::collection::vec(act(), 1..60), chance in 1u64..u64::MAX, bad in 0u64..60,
    ) {
        let mut world = World {
            board: Board::new(),
            talk: Conversation::new(1, DockState::default(), 0, Duration::ZERO),
            line: Line { chance, bad },
            up: Vec::new(),
            down: Vec::new(),
            now: 0,
            lost: 0,
            heard: Vec::new(),
            answered: Vec::new(),
        };
        let mut asked = Vec::new();
        for act in acts {
            match act {
                Act::Switch(bay, on) => world.board.sense.bays[usize::from(bay)].switch = on,
                Act::Ask(bay, on) => {
                    let now = Duration::from_millis(world.now);
                    let light = if on { Light::TakeMe } else { Light::Off };
                    asked.push(world.talk.ask(Command::SetLight { bay, light }, now));
                }
                Act::Reset => world.board.reset(world.now),
                Act::Wait(moments) => (0..moments).for_each(|_| world.moment()),
            }
        }
        world.line.bad = 0;
        (0..3_000).for_each(|_| world.moment());
        prop_assert!(world.talk.state().online, "{:?}", world.talk.state());
        prop_assert_eq!(&world.talk.state().bays, &world.board.told());
        let once: BTreeSet<_> = world.heard.iter().collect();
        prop_assert_eq!(once.len(), world.heard.len(), "an event came twice: {:?}", world.heard);
        prop_assert!(world.heard.is_sorted(), "{:?}", world.heard);
        let newest = world.heard.last().copied().unwrap_or_default();
        let of_newest = world.heard.iter().filter(|(boot, _)| *boot == newest.0).count();
        prop_assert_eq!(of_newest as u32, newest.1, "an event is missing: {:?}", world.heard);
        if world.lost == 0 {
            prop_assert_eq!(world.answered, asked);
        }
    }
}
