use std::time::Duration;

use proptest::prelude::*;
use records::Timestamp;

use super::{Asked, Sample, Verdict, best, judge};
use crate::error::{Invalid, SourceError};
use crate::packet::{Header, Leap};
use crate::reading::Reading;
use crate::stamp::Stamp;

const ORIGIN: Stamp = Stamp(0x1234_5678_9abc_def0);

fn reading(us: i64) -> Reading {
    Reading {
        wall: Timestamp::from_micros(1_795_000_000_000_000 + us),
        steady: Duration::from_micros(u64::try_from(5_000_000 + us).unwrap()),
    }
}

fn asked() -> Asked {
    Asked {
        origin: ORIGIN,
        sent: reading(0),
        protection: None,
    }
}

/// An answer of a server `ahead_us` ahead, `out_us` away, taking 100 µs.
fn answer(ahead_us: i64, out_us: i64) -> Header {
    let at = |us| Stamp::of(Timestamp::from_micros(reading(0).wall.as_micros() + us));
    Header {
        leap: Leap::None,
        version: 4,
        mode: 4,
        stratum: 2,
        poll: 6,
        precision: -23,
        root_delay_us: 2_000,
        root_dispersion_us: 500,
        reference_id: [127, 0, 0, 1],
        reference: at(ahead_us - 10_000_000),
        origin: ORIGIN,
        receive: at(ahead_us + out_us),
        transmit: at(ahead_us + out_us + 100),
    }
}

fn judged(header: &Header) -> Verdict {
    judge(&asked(), &header.to_bytes(), reading(10_100))
}

fn refused(change: impl FnOnce(&mut Header)) -> SourceError {
    let mut header = answer(0, 5_000);
    change(&mut header);
    match judged(&header) {
        Verdict::Answered(Err(error), _) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn four_timestamps_give_offset_and_delay() {
    let Verdict::Answered(Ok(sample), _) = judged(&answer(2_500_000, 5_000)) else {
        panic!()
    };
    assert!((sample.offset_us - 2_500_000).abs() <= 1, "{sample:?}");
    assert!(sample.delay_us.abs_diff(10_000) <= 1, "{sample:?}");
    assert!((6_500..6_700).contains(&sample.error_us), "{sample:?}");
}

#[test]
fn a_lame_way_back_shows_in_the_error_not_beyond_it() {
    // Out in 0.1 ms, back in 9.9 ms: the offset is wrong by 4.9 ms, and says so.
    let Verdict::Answered(Ok(sample), _) = judged(&answer(0, 100)) else {
        panic!()
    };
    assert!((4_800..5_000).contains(&sample.offset_us.abs()), "{sample:?}");
    assert!(sample.error_us > sample.offset_us.unsigned_abs());
}

#[test]
fn who_does_not_know_the_time_is_not_believed() {
    assert_eq!(refused(|h| h.stratum = 16), SourceError::Unsynchronised { stratum: 16 });
    assert_eq!(
        refused(|h| h.stratum = 255),
        SourceError::Unsynchronised { stratum: 255 }
    );
    assert_eq!(
        refused(|h| h.leap = Leap::Unknown),
        SourceError::Unsynchronised { stratum: 2 }
    );
    assert_eq!(refused(|h| h.receive = Stamp::ZERO), SourceError::Inconsistent);
    assert_eq!(refused(|h| h.transmit = Stamp::ZERO), SourceError::Inconsistent);
    assert_eq!(
        refused(|h| h.transmit = Stamp(h.receive.0 - (1 << 32))),
        SourceError::Inconsistent
    );
    // It held the question longer than we waited.
    assert_eq!(
        refused(|h| h.receive = Stamp(h.receive.0 - (1 << 32))),
        SourceError::Inconsistent
    );
    assert_eq!(
        refused(|h| h.reference = Stamp(h.transmit.0 + (1 << 40))),
        SourceError::Inconsistent
    );
    assert_eq!(
        refused(|h| h.root_dispersion_us = 20_000_000),
        SourceError::TooVague { error_ms: 20_000 }
    );
}

#[test]
fn kisses_are_honoured_and_bring_no_time() {
    let kiss = |code: &[u8; 4]| {
        refused(|h| {
            h.stratum = 0;
            h.reference_id = *code;
        })
    };
    assert_eq!(kiss(b"RATE"), SourceError::TooOften);
    assert_eq!(kiss(b"DENY"), SourceError::Denied { code: "DENY" });
    assert_eq!(kiss(b"RSTR"), SourceError::Denied { code: "RSTR" });
    assert_eq!(kiss(b"IN\xffT"), SourceError::Kiss("IN\\xffT".to_owned()));
}

#[test]
fn what_does_not_answer_the_question_is_ignored() {
    let ignored = |change: fn(&mut Header)| {
        let mut header = answer(0, 5_000);
        change(&mut header);
        judged(&header)
    };
    assert_eq!(ignored(|h| h.origin = Stamp(1)), Verdict::Ignored(Invalid::WrongOrigin));
    assert_eq!(ignored(|h| h.mode = 3), Verdict::Ignored(Invalid::NotAnAnswer));
    assert_eq!(ignored(|h| h.mode = 5), Verdict::Ignored(Invalid::NotAnAnswer));
    assert_eq!(ignored(|h| h.version = 2), Verdict::Ignored(Invalid::NotAnAnswer));
    // A kiss that does not answer the question is somebody's wish to silence a source.
    assert_eq!(
        ignored(|h| {
            h.stratum = 0;
            h.reference_id = *b"DENY";
            h.origin = Stamp(2);
        }),
        Verdict::Ignored(Invalid::WrongOrigin)
    );
    assert_eq!(
        judge(&asked(), &[0x24; 47], reading(10_000)),
        Verdict::Ignored(Invalid::Truncated)
    );
}

#[test]
fn a_clock_set_during_the_exchange_spoils_it() {
    let mut received = reading(10_100);
    received.wall = received.wall.plus(Duration::from_millis(11));
    let verdict = judge(&asked(), &answer(0, 5_000).to_bytes(), received);
    assert_eq!(verdict, Verdict::Answered(Err(SourceError::ClockMoved), Vec::new()));
}

#[test]
fn the_era_may_roll_over_between_question_and_answer() {
    let rollover = Timestamp::parse("2036-02-07T06:28:16Z").unwrap();
    let at = |us: i64| Timestamp::from_micros(rollover.as_micros() - 5_000 + us);
    let reading = |us: i64| Reading {
        wall: at(us),
        steady: Duration::from_micros(us.unsigned_abs()),
    };
    let asked = Asked {
        origin: ORIGIN,
        sent: reading(0),
        protection: None,
    };
    let mut header = answer(0, 0);
    (header.reference, header.receive, header.transmit) =
        (Stamp::of(at(-1_000_000)), Stamp::of(at(4_950)), Stamp::of(at(5_050)));
    let Verdict::Answered(Ok(sample), _) = judge(&asked, &header.to_bytes(), reading(10_000)) else {
        panic!()
    };
    assert!(sample.offset_us.abs() <= 1, "{sample:?}");
}

#[test]
fn the_shortest_round_trip_wins_and_the_spread_counts_as_error() {
    let sample = |offset_us, delay_us| Sample {
        at: reading(0),
        offset_us,
        delay_us,
        error_us: 100 + delay_us / 2,
        stratum: 2,
        leap: Leap::None,
    };
    let best = best(&[sample(900, 2_000), sample(100, 300), sample(500, 900)]).unwrap();
    assert_eq!((best.offset_us, best.delay_us), (100, 300));
    // sqrt((800² + 400²) / 2)
    assert_eq!(best.error_us, 100 + 150 + 632);
    assert_eq!(super::best(&[]), None);
}

proptest! {
    #[test]
    fn any_datagram_is_judged(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let verdict = judge(&asked(), &bytes, reading(10_000));
        prop_assert!(matches!(verdict, Verdict::Ignored(_)), "{verdict:?}");
    }

    /// Bytes that do answer the question: whatever else they say, the sample is sound.
    #[test]
    fn any_answer_is_judged(mut bytes in prop::collection::vec(any::<u8>(), 48..300), sane in any::<bool>()) {
        bytes[0] = 0x24;
        bytes[24..32].copy_from_slice(&ORIGIN.0.to_be_bytes());
        if sane {
            let good = answer(0, 5_000).to_bytes();
            bytes[1] = 1 + bytes[1] % 15;
            bytes[4..12].copy_from_slice(&good[4..12]);
            bytes[16..24].copy_from_slice(&[0; 8]);
            // The same era and second for both, any fraction.
            bytes[40..44].copy_from_slice(&good[40..44]);
            bytes[32..36].copy_from_slice(&good[32..36]);
        }
        if let Verdict::Answered(Ok(sample), cookies) = judge(&asked(), &bytes, reading(10_000)) {
            prop_assert!(cookies.is_empty());
            prop_assert!((1..16).contains(&sample.stratum));
            prop_assert!(sample.error_us >= sample.delay_us / 2);
        }
    }

    /// The truth always lies within the error, however the way is divided.
    #[test]
    fn the_truth_lies_within_the_error(ahead in -60_000_000_i64..60_000_000, out in 0_i64..10_000) {
        let Verdict::Answered(Ok(sample), _) = judged(&answer(ahead, out)) else { panic!() };
        prop_assert!(sample.offset_us.abs_diff(ahead) <= sample.error_us);
    }
}
