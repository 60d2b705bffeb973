//! Commands act once whatever the line does; events wait for their appliance.

use dock_link::{Answer, Command, Down, Refusal, VERSION};
use dock_link::{Event, Press};
use dock_logic::{Events, KEPT_EVENTS, Session, Step};
use proptest::prelude::*;

fn hello(session: u32) -> Down {
    Down::Hello {
        version: VERSION,
        session,
    }
}

fn command(seq: u32) -> Down {
    Down::Command {
        seq,
        command: Command::Release { bay: 1, seconds: 9 },
    }
}

proptest! {
    /// Repeated, doubled and late commands: each number acts at most once, and its repetition gets the same answer.
    #[test]
    fn a_number_acts_once(order in proptest::collection::vec(1u32..8, 1..60)) {
        let mut session = Session::new();
        prop_assert_eq!(session.take(command(1)), Step::Answer(1, Answer::Refused(Refusal::NoSession)));
        prop_assert_eq!(session.take(hello(3)), Step::Greet);
        let mut acted = Vec::new();
        for seq in order {
            if seq == 7 {
                // The greeting again, its answer was lost.
                session.take(hello(3));
                continue;
            }
            match session.take(command(seq)) {
                Step::Perform(seq, _) => {
                    prop_assert!(!acted.contains(&seq));
                    acted.push(seq);
                    session.answered(seq, Answer::Setting(seq as u16));
                }
                Step::Answer(seq, Answer::Setting(value)) => prop_assert_eq!(u32::from(value), seq),
                Step::Answer(seq, Answer::Refused(Refusal::Stale)) => prop_assert!(acted.iter().any(|a| *a > seq)),
                other => prop_assert!(false, "{:?}", other),
            }
        }
        prop_assert_eq!(session.take(hello(4)), Step::Greet);
        prop_assert!(matches!(session.take(command(1)), Step::Perform(1, _)), "numbers begin anew");
    }
}

#[test]
fn events_are_told_once_repeated_on_request_and_forgotten_when_taken() {
    let mut events = Events::new();
    for at in 0..5 {
        events.happened(Event::Button(Press::Short), at);
    }
    let told = |events: &mut Events| {
        std::iter::from_fn(|| events.next_to_tell())
            .map(|e| e.number)
            .collect::<Vec<_>>()
    };
    assert_eq!(told(&mut events), [1, 2, 3, 4, 5]);
    assert_eq!(told(&mut events), [0u32; 0]);
    events.acknowledge(2);
    events.replay(0);
    assert_eq!(told(&mut events), [3, 4, 5]);
    assert_eq!((events.oldest(), events.last()), (3, 5));
    for at in 0..200 {
        events.happened(Event::Button(Press::Long), at);
    }
    assert_eq!(events.last(), 205);
    assert_eq!(
        events.oldest() as usize,
        205 - KEPT_EVENTS + 1,
        "the oldest are given up, and that is seen"
    );
    events.acknowledge(u32::MAX);
    assert_eq!((events.oldest(), told(&mut events)), (206, vec![]));
}
