//! The state machine under simulated time: a world with a true time, a wall clock that drifts and is set, a steady clock
//! that drifts, and measurements that err as much as they say.

use std::time::Duration;

use proptest::prelude::*;
use records::Timestamp;

use super::{Measurement, TrustedClock};
use crate::policy::{Policy, Source};
use crate::reading::Reading;
use crate::state::{Failure, Jump, Outcome, Reason, State};

const START_US: i64 = 1_795_000_000_000_000;

fn policy() -> Policy {
    Policy {
        enabled: true,
        sources: vec![Source {
            host: "a.cn".to_owned(),
            port: None,
            nts: false,
        }],
        ..Policy::default()
    }
}

/// The world at one moment; all in microseconds.
#[derive(Clone, Copy)]
struct World {
    truth: i64,
    wall: i64,
    steady: i64,
}

impl World {
    /// The machine's clock behind (negative: ahead of) the truth.
    fn new(behind_us: i64) -> Self {
        Self {
            truth: START_US,
            wall: START_US - behind_us,
            steady: 1_000_000_000_000,
        }
    }

    fn pass(&mut self, time: Duration, wall_ppm: i64, steady_ppm: i64) {
        let us = i64::try_from(time.as_micros()).unwrap();
        self.truth += us;
        self.wall += us + us * wall_ppm / 1_000_000;
        self.steady += us + us * steady_ppm / 1_000_000;
    }

    fn wait_s(&mut self, seconds: u64) {
        self.pass(Duration::from_secs(seconds), 0, 0);
    }

    fn read(&self) -> Reading {
        Reading {
            wall: Timestamp::from_micros(self.wall),
            steady: Duration::from_micros(u64::try_from(self.steady).unwrap()),
        }
    }

    fn measure(&self, wrong_us: i64, error_us: u64) -> Measurement {
        Measurement {
            at: self.read(),
            offset_us: self.truth - self.wall + wrong_us,
            error_us,
            delay_us: 2_000,
            stratum: 2,
            agreeing: 1,
        }
    }
}

fn measured(world: &World) -> TrustedClock {
    let mut clock = TrustedClock::new(policy());
    clock.polled(world.read(), Ok(world.measure(0, 5_000)));
    clock
}

fn untrusted(clock: &TrustedClock, world: &World) -> Reason {
    match clock.state(world.read()) {
        State::Untrusted { reason } => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn nothing_is_believed_before_the_first_measurement() {
    let world = World::new(0);
    let mut clock = TrustedClock::new(policy());
    assert_eq!(clock.state(world.read()), State::Unsynchronised { failure: None });
    let refused = clock.believed(world.read()).unwrap_err();
    assert_eq!(refused.to_string(), "服务器时间不可信：尚未完成首次校时，请稍候");
    clock.polled(world.read(), Err(Failure::NoAnswer));
    let refused = clock.believed(world.read()).unwrap_err();
    assert_eq!(refused.to_string(), "服务器时间不可信：所有时间源都没有可用的应答");
}

#[test]
fn switched_off_the_machine_is_believed_and_says_so() {
    let world = World::new(3_000_000);
    let clock = TrustedClock::new(Policy::default());
    assert_eq!(clock.state(world.read()), State::Off);
    let believed = clock.believed(world.read()).unwrap();
    assert_eq!((believed.at, believed.error_us), (world.read().wall, None));
}

#[test]
fn a_measured_clock_gives_the_true_time_until_the_measurement_is_too_old() {
    let mut world = World::new(2_500_000);
    let mut clock = measured(&world);
    let believed = clock.believed(world.read()).unwrap();
    assert_eq!((believed.at.as_micros(), believed.error_us), (world.truth, Some(5_000)));
    world.wait_s(300);
    assert!(
        matches!(clock.state(world.read()), State::Trusted(known) if known.error_us == 20_000 && known.age_s == 300)
    );
    world.wait_s(91);
    assert!(
        matches!(clock.state(world.read()), State::Holdover(_)),
        "the next poll is overdue"
    );
    clock.polled(world.read(), Ok(world.measure(0, 5_000)));
    assert!(matches!(clock.state(world.read()), State::Trusted(_)));
    clock.polled(world.read(), Err(Failure::Disagree));
    assert!(
        matches!(clock.state(world.read()), State::Holdover(_)),
        "the last poll failed"
    );
    world.wait_s(86_400);
    assert!(matches!(clock.state(world.read()), State::Holdover(_)));
    world.wait_s(1);
    assert_eq!(untrusted(&clock, &world), Reason::TooOld { age_s: 86_401 });
    clock.polled(world.read(), Ok(world.measure(0, 5_000)));
    assert!(matches!(clock.state(world.read()), State::Trusted(_)));
}

#[test]
fn an_error_beyond_the_bound_ends_the_trust() {
    let mut world = World::new(0);
    let mut clock = TrustedClock::new(policy());
    clock.polled(world.read(), Ok(world.measure(0, 4_900_000)));
    assert!(clock.believed(world.read()).is_ok());
    // 50 ppm for 2000 s make up the last tenth of a second.
    world.wait_s(2_001);
    assert_eq!(untrusted(&clock, &world), Reason::ErrorTooLarge { error_us: 5_000_050 });
}

#[test]
fn an_offset_of_years_is_not_corrected_but_refused() {
    let world = World::new(-3 * 365 * 86_400 * 1_000_000);
    let mut clock = TrustedClock::new(policy());
    clock.polled(world.read(), Ok(world.measure(0, 5_000)));
    let offset_us = -94_608_000_000_000;
    assert_eq!(untrusted(&clock, &world), Reason::OffsetTooLarge { offset_us });
    let text = clock.believed(world.read()).unwrap_err().to_string();
    assert!(text.contains("相差 -94608000.000 秒"), "{text}");
    let point = clock.history().last().unwrap();
    assert!(matches!(point.outcome, Outcome::Measured { accepted: false, .. }));
}

#[test]
fn a_small_step_is_noticed_and_taken_out_again() {
    let mut world = World::new(0);
    let mut clock = measured(&world);
    assert_eq!(clock.notice(world.read()), None);
    world.wait_s(1);
    assert_eq!(clock.notice(world.read()), None);
    world.wall += 2_000_000;
    world.wait_s(1);
    let jump = clock.notice(world.read()).unwrap();
    assert_eq!((jump.by_us, jump.step), (2_000_000, true));
    let believed = clock.believed(world.read()).unwrap();
    assert_eq!(believed.at.as_micros(), world.truth);
    assert_eq!(believed.error_us, Some(2_005_000));
    world.wait_s(1);
    assert_eq!(clock.notice(world.read()), None, "told once");
    assert_eq!(clock.jumps().count(), 1);
}

#[test]
fn a_step_beyond_the_bound_ends_the_trust_at_once_without_anybody_looking() {
    for by_s in [6, -6, 86_400 * 365, -86_400 * 365] {
        let mut world = World::new(0);
        let mut clock = measured(&world);
        world.wall += by_s * 1_000_000;
        assert_eq!(
            untrusted(&clock, &world),
            Reason::ClockSet {
                by_us: by_s * 1_000_000
            }
        );
        clock.polled(world.read(), Ok(world.measure(0, 5_000)));
        let state = clock.state(world.read());
        assert_eq!(matches!(state, State::Trusted(_)), by_s.abs() < 60, "{state:?}");
    }
}

#[test]
fn a_slew_is_noticed_once_per_measurement() {
    let mut world = World::new(0);
    let mut clock = measured(&world);
    let mut jumps: Vec<Jump> = Vec::new();
    // 500 ppm, the most the kernel does by itself: 0.5 ms in a second is no step.
    for _ in 0..600 {
        world.pass(Duration::from_secs(1), 500, 0);
        jumps.extend(clock.notice(world.read()));
    }
    assert_eq!(jumps.len(), 1);
    assert!(
        !jumps[0].step && (100_000..125_000).contains(&jumps[0].by_us),
        "{jumps:?}"
    );
    assert_eq!(clock.believed(world.read()).unwrap().at.as_micros(), world.truth);
}

#[test]
fn a_changed_policy_counts_at_once_and_other_sources_begin_anew() {
    let mut world = World::new(0);
    let mut clock = TrustedClock::new(policy());
    clock.polled(world.read(), Ok(world.measure(0, 300_000)));
    clock.set_policy(Policy {
        untrusted_beyond_ms: 200,
        ..policy()
    });
    assert_eq!(untrusted(&clock, &world), Reason::ErrorTooLarge { error_us: 300_000 });
    clock.set_policy(policy());
    assert!(clock.believed(world.read()).is_ok());
    let mut other = policy();
    other.sources[0].nts = true;
    clock.set_policy(other.clone());
    assert_eq!(clock.state(world.read()), State::Unsynchronised { failure: None });
    clock.polled(world.read(), Ok(world.measure(0, 5_000)));
    clock.set_policy(Policy {
        enabled: false,
        ..other.clone()
    });
    assert_eq!(clock.state(world.read()), State::Off);
    world.wait_s(3_600);
    clock.set_policy(other);
    assert_eq!(clock.state(world.read()), State::Unsynchronised { failure: None });
}

#[test]
fn the_history_is_bounded_and_keeps_the_latest() {
    let mut world = World::new(0);
    let mut clock = TrustedClock::new(policy());
    for n in 0..5_000 {
        world.wait_s(300);
        let result = if n % 7 == 0 {
            Err(Failure::NoAnswer)
        } else {
            Ok(world.measure(n, 5_000))
        };
        clock.polled(world.read(), result);
    }
    assert_eq!(clock.history().count(), 4_096);
    assert_eq!(clock.history().last().unwrap().at, world.read().wall);
}

#[derive(Debug, Clone)]
enum Event {
    Pass(u64),
    Measure { wrong_us: i64, spare_us: u64 },
    Fail,
    SetWall(i64),
    Freeze(u64),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let one = prop_oneof![
        4 => (1_u64..900).prop_map(Event::Pass),
        1 => (900_u64..40_000).prop_map(Event::Pass),
        3 => (-400_000_i64..400_000, 0_u64..100_000)
            .prop_map(|(wrong_us, spare_us)| Event::Measure { wrong_us, spare_us }),
        1 => Just(Event::Fail),
        1 => (-8_000_000_i64..8_000_000).prop_map(Event::SetWall),
        1 => any::<i32>().prop_map(|s| Event::SetWall(i64::from(s) * 1_000_000)),
    ];
    prop::collection::vec(one, 1..60)
}

/// Replays a life and holds the promise at each step: what is believed is true within its error, and the error is within
/// the bound.
fn live(behind_us: i64, wall_ppm: i64, steady_ppm: i64, life: &[Event]) -> Result<(), TestCaseError> {
    let mut world = World::new(behind_us);
    let mut clock = TrustedClock::new(policy());
    for event in life {
        match event {
            Event::Pass(seconds) => world.pass(Duration::from_secs(*seconds), wall_ppm, steady_ppm),
            Event::Measure { wrong_us, spare_us } => {
                let measured = world.measure(*wrong_us, wrong_us.unsigned_abs() + spare_us);
                clock.polled(world.read(), Ok(measured));
            }
            Event::Fail => clock.polled(world.read(), Err(Failure::TooFew { answered: 0, needed: 1 })),
            Event::SetWall(by) => world.wall += by,
            Event::Freeze(seconds) => {
                // The machine sleeps: its steady clock stands still, its wall clock does not.
                let steady = world.steady;
                world.pass(Duration::from_secs(*seconds), wall_ppm, 0);
                world.steady = steady;
            }
        }
        clock.notice(world.read());
        if let Ok(believed) = clock.believed(world.read()) {
            let error_us = believed.error_us.unwrap();
            let wrong_us = believed.at.as_micros().abs_diff(world.truth);
            prop_assert!(
                wrong_us <= error_us + 2,
                "{event:?}: wrong by {wrong_us}, claims {error_us}"
            );
            prop_assert!(error_us <= 5_000_000);
        }
    }
    Ok(())
}

proptest! {
    /// Whoever sets the wall clock, and however it drifts: the steady clock keeps to 50 ppm.
    #[test]
    fn what_is_believed_is_true_within_its_error(
        behind_us in -50_000_000_i64..50_000_000,
        wall_ppm in -500_i64..500,
        steady_ppm in -49_i64..49,
        life in events(),
    ) {
        live(behind_us, wall_ppm, steady_ppm, &life)?;
    }

    /// The other way round: the machine sleeps now and then, and nobody touches its wall clock.
    #[test]
    fn a_sleeping_machine_is_not_wrong_either(
        behind_us in -50_000_000_i64..50_000_000,
        naps in prop::collection::vec((1_u64..900, 1_u64..20), 1..30),
    ) {
        let mut life = vec![Event::Measure { wrong_us: 0, spare_us: 1_000 }];
        for (awake, asleep) in naps {
            life.extend([Event::Pass(awake), Event::Freeze(asleep)]);
        }
        live(behind_us, 0, 0, &life)?;
    }
}

/// A day with a poll every five minutes, two hours without any source, and somebody who sets the clock twice.
#[test]
fn a_day_in_a_moment() {
    let mut world = World::new(700_000);
    let mut clock = TrustedClock::new(policy());
    let (mut trusted, mut holdover, mut refused) = (0, 0, 0);
    for second in 0..86_400_u64 {
        world.pass(Duration::from_secs(1), 20, -10);
        if second % 300 == 0 {
            let away = (36_000..43_200).contains(&second);
            let result = if away {
                Err(Failure::NoAnswer)
            } else {
                Ok(world.measure(1_000, 3_000))
            };
            clock.polled(world.read(), result);
        }
        match second {
            20_010 => world.wall -= 3_000_000,
            60_010 => world.wall += 30_000_000,
            _ => {}
        }
        if clock.notice(world.read()).is_some() && second < 60_000 {
            clock.polled(world.read(), Ok(world.measure(-1_000, 3_000)));
        }
        match clock.state(world.read()) {
            State::Trusted(_) => trusted += 1,
            State::Holdover(_) => holdover += 1,
            _ => refused += 1,
        }
        if let Ok(believed) = clock.believed(world.read()) {
            assert!(believed.at.as_micros().abs_diff(world.truth) <= believed.error_us.unwrap());
        }
    }
    assert_eq!(holdover, 7_200, "two hours without sources");
    assert_eq!(refused, 60_300 - 60_010, "set by half a minute, until the next poll");
    assert_eq!(trusted + holdover + refused, 86_400);
    assert_eq!(clock.jumps().count(), 2);
}
