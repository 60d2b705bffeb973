//! Bays under simulated time: what is measured in, what is driven and told out.

use dock_link::{Charge, Command, Event, Fault, Light, Lock, Power, Press, Refusal, Serial, Setting};
use dock_logic::{BayDrive, Bays, Drive, Events, Sense, Settings};
use proptest::prelude::*;

const N: usize = 10;

/// A dock with mechanics around it: bolts follow their drive, currents follow the gates.
struct World {
    bays: Bays<N>,
    settings: Settings,
    events: Events,
    sense: Sense<N>,
    drive: Drive<N>,
    draws_ma: [u16; N],
    jammed: bool,
    now: u64,
    told: Vec<Event>,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            bays: Bays::new(),
            settings: Settings::new(),
            events: Events::new(),
            sense: Sense {
                bays: [Default::default(); N],
                button: false,
                supply_mv: 5_000,
            },
            drive: Drive {
                bays: [BayDrive::default(); N],
                buzzer: false,
            },
            draws_ma: [500; N],
            jammed: false,
            now: 0,
            told: Vec::new(),
        };
        world.pass(100);
        world
    }

    fn pass(&mut self, ms: u64) {
        for _ in 0..ms.div_ceil(10) {
            self.now += 10;
            for ((sense, drive), draws) in self.sense.bays.iter_mut().zip(self.drive.bays).zip(self.draws_ma) {
                sense.current_ma = if drive.power && sense.switch { draws } else { 0 };
                if !self.jammed {
                    sense.bolt_closed = drive.close;
                }
            }
            self.bays.sense(&self.sense, self.now, &self.settings, &mut self.events);
            self.drive = self.bays.drive(self.now, &self.settings);
            while let Some(event) = self.events.next_to_tell() {
                self.told.push(event.event);
            }
            self.events.acknowledge(self.events.last());
        }
    }

    fn put(&mut self, bay: usize, present: bool) {
        self.sense.bays[bay].switch = present;
    }

    fn ask(&mut self, command: Command) -> Result<(), Refusal> {
        self.bays
            .perform(&command, self.now, &self.settings, &mut self.events)
            .unwrap()
    }

    fn bay(&self, bay: u8) -> &dock_link::Bay {
        self.bays.bay(bay).unwrap()
    }

    fn told(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.told)
    }
}

#[test]
fn a_bouncing_switch_is_one_recorder() {
    let mut world = World::new();
    for n in 0..20 {
        world.put(2, n % 2 == 0);
        world.pass(20);
    }
    assert!(world.told().is_empty());
    world.put(2, true);
    world.pass(300);
    let told = world.told();
    assert_eq!(told[0], Event::Inserted { bay: 2 });
    assert!(told.contains(&Event::Lock {
        bay: 2,
        lock: Lock::Closed
    }));
    assert!(told.contains(&Event::Charge {
        bay: 2,
        charge: Charge::Charging
    }));
    // With the moment in which it waits for its turn of power.
    assert_eq!(told.len(), 4, "{told:?}");
}

#[test]
fn a_recorder_put_in_while_the_board_is_starting_is_held() {
    let mut world = World::new();
    world.bays = Bays::new();
    world.pass(10);
    world.put(4, true);
    world.pass(400);
    let told = world.told();
    assert_eq!(told[0], Event::Inserted { bay: 4 });
    assert_eq!(world.bay(4).lock, Lock::Closed);
}

#[test]
fn what_was_found_at_the_start_is_told_and_no_lock_moves() {
    let mut world = World::new();
    world.bays = Bays::new();
    world.jammed = true;
    for (bay, closed) in [(1, true), (2, false)] {
        world.put(bay, true);
        world.sense.bays[bay].bolt_closed = closed;
    }
    world.pass(3_000);
    assert_eq!((world.bay(1).lock, world.bay(2).lock), (Lock::Closed, Lock::Open));
    assert_eq!((world.drive.bays[1].close, world.drive.bays[2].close), (true, false));
    let told = world.told();
    assert!(told.contains(&Event::Inserted { bay: 1 }) && told.contains(&Event::Inserted { bay: 2 }));
    assert!(!told.iter().any(|e| matches!(e, Event::Fault { .. })), "{told:?}");
}

#[test]
fn gates_open_one_after_the_other() {
    let mut world = World::new();
    (0..N).for_each(|bay| world.put(bay, true));
    let mut open_at = Vec::new();
    for _ in 0..300 {
        world.pass(10);
        let open = world.drive.bays.iter().filter(|b| b.power).count();
        if open > open_at.len() {
            assert_eq!(open, open_at.len() + 1, "one at a time");
            open_at.push(world.now);
        }
    }
    assert_eq!(open_at.len(), N);
    assert!(open_at.windows(2).all(|pair| pair[1] - pair[0] >= 200), "{open_at:?}");
}

#[test]
fn a_released_recorder_that_nobody_takes_is_held_again() {
    let mut world = World::new();
    assert_eq!(world.ask(Command::Release { bay: 0, seconds: 5 }), Err(Refusal::Empty));
    world.put(0, true);
    world.pass(1_000);
    assert_eq!(world.ask(Command::Release { bay: 0, seconds: 5 }), Ok(()));
    world.pass(1_000);
    assert_eq!((world.bay(0).lock, world.bay(0).light), (Lock::Open, Light::TakeMe));
    let green: Vec<bool> = (0..50)
        .map(|_| {
            world.pass(10);
            world.drive.bays[0].green
        })
        .collect();
    assert!(green.contains(&true) && green.contains(&false), "it blinks");
    world.pass(5_000);
    assert_eq!((world.bay(0).lock, world.bay(0).light), (Lock::Closed, Light::Auto));
    // Taken in time: the bay stays open for the next one.
    world.ask(Command::Release { bay: 0, seconds: 5 }).unwrap();
    world.pass(500);
    world.told();
    world.put(0, false);
    world.pass(10_000);
    let told = world.told();
    assert!(told.contains(&Event::Removed { bay: 0, forced: false }), "{told:?}");
    assert_eq!(world.bay(0).lock, Lock::Open);
}

#[test]
fn a_recorder_torn_out_of_its_lock_is_an_alarm() {
    let mut world = World::new();
    world.put(4, true);
    world.pass(1_000);
    world.told();
    world.put(4, false);
    world.pass(1_000);
    let told = world.told();
    assert!(told.contains(&Event::Removed { bay: 4, forced: true }), "{told:?}");
    assert_eq!(world.bay(4).fault, Some(Fault::Forced));
    world.put(4, true);
    world.pass(1_000);
    assert_eq!(world.bay(4).fault, None);
}

#[test]
fn too_much_current_closes_the_gate_until_asked() {
    let mut world = World::new();
    world.draws_ma[3] = 3_000;
    world.put(3, true);
    world.pass(1_000);
    assert_eq!((world.bay(3).power, world.bay(3).charge), (Power::Shed, Charge::Fault));
    assert_eq!(world.bay(3).fault, Some(Fault::OverCurrent));
    world.pass(60_000);
    assert!(!world.drive.bays[3].power, "it is not tried by itself");
    world.draws_ma[3] = 500;
    world.ask(Command::SetPower { bay: 3, on: true }).unwrap();
    world.pass(1_000);
    assert_eq!((world.bay(3).charge, world.bay(3).fault), (Charge::Charging, None));
}

#[test]
fn a_recorder_is_full_after_a_minute_of_little_current() {
    let mut world = World::new();
    world.put(3, true);
    world.pass(1_000);
    world.draws_ma[3] = 20;
    world.pass(59_000);
    assert_eq!(world.bay(3).charge, Charge::Charging);
    world.pass(2_000);
    assert_eq!(world.bay(3).charge, Charge::Full);
    assert_eq!((world.drive.bays[3].green, world.drive.bays[3].red), (true, false));
    world.draws_ma[3] = 500;
    world.pass(1_000);
    world.draws_ma[3] = 20;
    world.pass(1_000);
    assert_eq!(world.bay(3).charge, Charge::Full, "a short draw is none");
}

#[test]
fn a_low_supply_sheds_all_power_holds_all_locks_and_comes_back_in_turn() {
    let mut world = World::new();
    (0..N).for_each(|bay| world.put(bay, true));
    world.pass(5_000);
    world.told();
    world.sense.supply_mv = 4_400;
    world.pass(10);
    assert!(world.drive.bays.iter().all(|b| b.power), "a dip is none");
    world.pass(50);
    assert!(world.drive.bays.iter().all(|b| !b.power && b.close));
    assert!(world.told().contains(&Event::Supply { low: true, mv: 4_400 }));
    world.sense.supply_mv = 4_560;
    world.pass(5_000);
    assert!(world.drive.bays.iter().all(|b| !b.power), "not until it is well above");
    world.sense.supply_mv = 4_900;
    world.pass(1_100);
    assert!(world.drive.bays.iter().filter(|b| b.power).count() <= 2);
    world.pass(3_000);
    assert!(world.drive.bays.iter().all(|b| b.power));
}

#[test]
fn the_button_the_buzzer_and_a_stuck_bolt() {
    let mut world = World::new();
    world.sense.button = true;
    world.pass(200);
    world.sense.button = false;
    world.pass(200);
    world.sense.button = true;
    world.pass(2_100);
    assert_eq!(world.told(), [Event::Button(Press::Short), Event::Button(Press::Long)]);
    world.sense.button = false;
    world.pass(500);
    assert!(world.told().is_empty(), "a long press is told once");
    world.ask(Command::Buzz(dock_link::Buzz::Alarm)).unwrap();
    let beats: Vec<bool> = (0..150)
        .map(|_| {
            world.pass(10);
            world.drive.buzzer
        })
        .collect();
    assert_eq!(beats.windows(2).filter(|w| w[0] && !w[1]).count(), 3);
    world.put(5, true);
    world.pass(1_000);
    world.jammed = true;
    world.ask(Command::SetLock { bay: 5, closed: false }).unwrap();
    world.pass(1_000);
    assert_eq!(world.bay(5).fault, None);
    world.pass(1_000);
    assert_eq!(world.bay(5).fault, Some(Fault::LockStuck));
    world.jammed = false;
    world.pass(100);
    assert_eq!((world.bay(5).fault, world.bay(5).lock), (None, Lock::Open));
}

#[test]
fn a_serial_number_belongs_to_the_recorder_and_goes_with_it() {
    let mut world = World::new();
    let named = |serial: &str| Command::SetSerial {
        bay: 6,
        serial: Serial::try_from(serial).unwrap(),
    };
    assert_eq!(world.ask(named("X")), Err(Refusal::Empty));
    world.put(6, true);
    world.pass(500);
    world.bays.identified(6, "ZF-0007", world.now, &mut world.events);
    world.bays.identified(6, "ZF-0007", world.now, &mut world.events);
    world.pass(10);
    let told = world
        .told()
        .into_iter()
        .filter(|e| matches!(e, Event::Identified { .. }));
    assert_eq!(told.count(), 1);
    world.ask(named("ZF-0008")).unwrap();
    assert_eq!(world.bay(6).serial, "ZF-0008");
    world.ask(Command::Release { bay: 6, seconds: 60 }).unwrap();
    world.pass(100);
    world.put(6, false);
    world.pass(500);
    assert!(world.bay(6).serial.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever hands, commands and supply do: presence is told in turn, no gate is open on an empty bay, two gates never
    /// open within the pause, and a closed lock opens only by a command.
    #[test]
    fn invariants_hold_whatever_happens(acts in proptest::collection::vec((0u8..8, 0u8..10, any::<bool>(), 1u64..900), 1..120)) {
        let mut world = World::new();
        let mut present = [false; N];
        let mut opened: Option<u64> = None;
        let mut asked_open = [false; N];
        let mut before = world.drive;
        for (kind, bay, flag, ms) in acts {
            let at = usize::from(bay);
            match kind {
                0 | 1 => world.put(at, flag),
                2 => { asked_open[at] |= world.ask(Command::SetLock { bay, closed: flag }).is_ok() && !flag; }
                3 => { asked_open[at] |= world.ask(Command::Release { bay, seconds: 2 }).is_ok(); }
                4 => { let _ = world.ask(Command::SetPower { bay, on: flag }); }
                5 => world.sense.supply_mv = if flag { 5_000 } else { 4_000 },
                6 => world.draws_ma[at] = if flag { 500 } else { 3_000 },
                _ => { let _ = world.ask(Command::SetLight { bay, light: Light::TakeMe }); }
            }
            for _ in 0..ms.div_ceil(10) {
                world.pass(10);
                for (n, (was, is)) in before.bays.iter().zip(world.drive.bays).enumerate() {
                    let told = world.bay(n as u8);
                    prop_assert!(!is.power || told.present);
                    if is.power && !was.power {
                        prop_assert!(opened.is_none_or(|o| world.now - o >= world.settings.ms(Setting::StaggerMs)));
                        opened = Some(world.now);
                    }
                    if was.close && !is.close {
                        prop_assert!(asked_open[n] || !told.present, "bay {} opened by itself", n);
                    }
                    if is.close {
                        asked_open[n] = false;
                    }
                }
                before = world.drive;
                for event in world.told() {
                    match event {
                        Event::Inserted { bay } => { prop_assert!(!present[usize::from(bay)]); present[usize::from(bay)] = true; }
                        Event::Removed { bay, .. } => { prop_assert!(present[usize::from(bay)]); present[usize::from(bay)] = false; }
                        _ => {}
                    }
                }
            }
        }
    }
}
