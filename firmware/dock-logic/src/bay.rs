//! One bay: presence, lock, charging, power.

use dock_link::{Charge, Event, Fault, Light, Lock, Power, Refusal, Serial, Setting};

use crate::events::Events;
use crate::settings::Settings;
use crate::steady::Steady;

/// How long a current must be too high before the gate is closed.
const OVER_MS: u64 = 50;
/// How long a full recorder must draw current again before it counts as charging.
const AGAIN_MS: u64 = 2_000;
/// A bolt reaches its end within this time.
const BOLT_MS: u64 = 1_500;

/// What is measured of a bay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BaySense {
    /// The switch is pressed by a recorder.
    pub switch: bool,
    /// The bolt is in its closed end.
    pub bolt_closed: bool,
    /// Current through the gate in milliamperes.
    pub current_ma: u16,
}

/// How a bay is driven.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BayDrive {
    /// Where the bolt has to be. At the start it is where it was found, so that nothing moves.
    pub close: bool,
    /// The power gate is open.
    pub power: bool,
    /// The green half of the light.
    pub green: bool,
    /// The red half.
    pub red: bool,
}

/// A bay. Its wire form is kept up to date as it goes.
#[derive(Debug, Default)]
pub(crate) struct Bay {
    pub(crate) told: dock_link::Bay,
    switch: Steady,
    /// Whether the switch was pressed at the first look.
    found_in: Option<bool>,
    bolt: Option<Bolt>,
    released_until: Option<u64>,
    power_wanted: bool,
    over_since: Option<u64>,
    low_since: Option<u64>,
    again_since: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Bolt {
    want_closed: bool,
    closed: bool,
    astray_since: Option<u64>,
}

/// What all bays share at a moment.
pub(crate) struct Around<'a> {
    pub(crate) bay: u8,
    pub(crate) now: u64,
    pub(crate) settings: &'a Settings,
    pub(crate) supply_low: bool,
}

impl Bay {
    pub(crate) const fn new() -> Self {
        Self {
            told: dock_link::Bay {
                present: false,
                serial: Serial::new(),
                lock: Lock::Open,
                charge: Charge::Absent,
                charge_ma: 0,
                power: Power::Off,
                light: Light::Auto,
                fault: None,
            },
            switch: Steady::new(),
            found_in: None,
            bolt: None,
            released_until: None,
            power_wanted: true,
            over_since: None,
            low_since: None,
            again_since: None,
        }
    }

    pub(crate) fn sense(&mut self, sense: BaySense, around: &Around<'_>, events: &mut Events) {
        let (bay, now) = (around.bay, around.now);
        let starting = self.switch.value().is_none();
        // Put in before the empty bay had rested, it was put in all the same, and is held.
        let found = *self.found_in.get_or_insert(sense.switch) && starting;
        let bolt = self.bolt.get_or_insert(Bolt {
            want_closed: sense.bolt_closed,
            closed: sense.bolt_closed,
            astray_since: None,
        });
        bolt.closed = sense.bolt_closed;
        match self
            .switch
            .see(sense.switch, now, around.settings.ms(Setting::DebounceMs))
        {
            Some(true) => self.put_in(found, around, events),
            Some(false) if !starting => self.taken_out(bay, now, events),
            _ => {}
        }
        if self.released_until.is_some_and(|until| now >= until) {
            self.hold();
        }
        self.follow_bolt(bay, now, events);
        self.follow_power(around);
        self.told.charge_ma = sense.current_ma;
        self.follow_current(sense.current_ma, around, events);
    }

    fn put_in(&mut self, found: bool, around: &Around<'_>, events: &mut Events) {
        self.told.present = true;
        self.power_wanted = true;
        if !found {
            self.set_fault(None, around.bay, around.now, events);
        }
        // One that was in already stays held or free, as it was found.
        if !found
            && around.settings.get(Setting::LockOnInsert) == 1
            && let Some(bolt) = &mut self.bolt
        {
            bolt.want_closed = true;
        }
        events.happened(Event::Inserted { bay: around.bay }, around.now);
    }

    fn taken_out(&mut self, bay: u8, now: u64, events: &mut Events) {
        let forced = self.bolt.is_some_and(|b| b.want_closed && b.closed);
        if let Some(bolt) = &mut self.bolt {
            bolt.want_closed = false;
        }
        self.released_until = None;
        self.power_wanted = true;
        self.told = dock_link::Bay {
            lock: self.told.lock,
            power: self.told.power,
            ..dock_link::Bay::default()
        };
        (self.over_since, self.low_since, self.again_since) = (None, None, None);
        events.happened(Event::Removed { bay, forced }, now);
        self.set_fault(forced.then_some(Fault::Forced), bay, now, events);
    }

    fn follow_bolt(&mut self, bay: u8, now: u64, events: &mut Events) {
        let Some(bolt) = &mut self.bolt else { return };
        let lock = if bolt.closed == bolt.want_closed {
            bolt.astray_since = None;
            if bolt.closed { Lock::Closed } else { Lock::Open }
        } else {
            bolt.astray_since.get_or_insert(now);
            Lock::Moving
        };
        let stuck = bolt
            .astray_since
            .is_some_and(|since| now.saturating_sub(since) >= BOLT_MS);
        // A move that succeeds at once is told once, by its end.
        if lock != self.told.lock && (lock != Lock::Moving || stuck) {
            self.told.lock = lock;
            events.happened(Event::Lock { bay, lock }, now);
        }
        match self.told.fault {
            None if stuck => self.set_fault(Some(Fault::LockStuck), bay, now, events),
            Some(Fault::LockStuck) if !stuck => self.set_fault(None, bay, now, events),
            _ => {}
        }
    }

    /// The gate closes at once; it is opened by [`Bay::open_gate`] when it is its turn.
    fn follow_power(&mut self, around: &Around<'_>) {
        let faulty = self.told.fault == Some(Fault::OverCurrent);
        self.told.power = match self.told.power {
            _ if !self.told.present => Power::Off,
            _ if around.supply_low || faulty => Power::Shed,
            _ if !self.power_wanted => Power::Off,
            Power::On => Power::On,
            _ => Power::Waiting,
        };
    }

    pub(crate) fn open_gate(&mut self) {
        self.told.power = Power::On;
        (self.over_since, self.low_since, self.again_since) = (None, None, None);
    }

    fn follow_current(&mut self, current: u16, around: &Around<'_>, events: &mut Events) {
        let (bay, now, settings) = (around.bay, around.now, around.settings);
        let on = self.told.power == Power::On;
        let lasting = |since: &mut Option<u64>, so: bool, ms: u64| {
            *since = so.then(|| since.unwrap_or(now));
            since.is_some_and(|since| now.saturating_sub(since) >= ms)
        };
        let low = current < settings.get(Setting::FullBelowMa);
        let full = lasting(&mut self.low_since, on && low, settings.ms(Setting::FullAfterS) * 1000);
        let again = lasting(&mut self.again_since, on && !low, AGAIN_MS);
        let over = lasting(
            &mut self.over_since,
            on && current > settings.get(Setting::OverCurrentMa),
            OVER_MS,
        );
        if over {
            self.told.power = Power::Shed;
            self.set_fault(Some(Fault::OverCurrent), bay, now, events);
        }
        let charge = match self.told.power {
            _ if !self.told.present => Charge::Absent,
            _ if self.told.fault == Some(Fault::OverCurrent) => Charge::Fault,
            Power::On if full => Charge::Full,
            Power::On if self.told.charge == Charge::Full && !again => Charge::Full,
            Power::On => Charge::Charging,
            _ => Charge::Idle,
        };
        if charge != self.told.charge {
            self.told.charge = charge;
            events.happened(Event::Charge { bay, charge }, now);
        }
    }

    fn set_fault(&mut self, fault: Option<Fault>, bay: u8, now: u64, events: &mut Events) {
        if self.told.fault != fault {
            self.told.fault = fault;
            events.happened(Event::Fault { bay, fault }, now);
        }
    }

    fn hold(&mut self) {
        self.released_until = None;
        if self.told.light == Light::TakeMe {
            self.told.light = Light::Auto;
        }
        if let Some(bolt) = &mut self.bolt {
            bolt.want_closed = true;
        }
    }

    pub(crate) fn set_lock(&mut self, closed: bool) -> Result<(), Refusal> {
        if closed {
            self.occupied()?;
        }
        self.hold();
        if let Some(bolt) = &mut self.bolt {
            bolt.want_closed = closed;
        }
        Ok(())
    }

    pub(crate) fn release(&mut self, seconds: u16, now: u64) -> Result<(), Refusal> {
        self.occupied()?;
        if seconds == 0 {
            if self.released_until.is_some() {
                self.hold();
            }
            return Ok(());
        }
        self.released_until = Some(now.saturating_add(u64::from(seconds) * 1000));
        self.told.light = Light::TakeMe;
        if let Some(bolt) = &mut self.bolt {
            bolt.want_closed = false;
        }
        Ok(())
    }

    pub(crate) fn set_power(&mut self, on: bool, around: &Around<'_>, events: &mut Events) -> Result<(), Refusal> {
        self.occupied()?;
        self.power_wanted = on;
        if on && self.told.fault == Some(Fault::OverCurrent) {
            self.set_fault(None, around.bay, around.now, events);
        }
        self.follow_power(around);
        Ok(())
    }

    pub(crate) fn set_serial(&mut self, serial: Serial) -> Result<(), Refusal> {
        self.occupied()?;
        self.told.serial = serial;
        Ok(())
    }

    /// The recorder told its number over the contacts of the bay.
    pub(crate) fn identified(&mut self, serial: &str, bay: u8, now: u64, events: &mut Events) {
        let Ok(serial) = Serial::try_from(serial) else { return };
        if self.told.present && self.told.serial != serial {
            self.told.serial = serial.clone();
            events.happened(Event::Identified { bay, serial }, now);
        }
    }

    fn occupied(&self) -> Result<(), Refusal> {
        if self.told.present { Ok(()) } else { Err(Refusal::Empty) }
    }

    /// Whether something here settles, moves or waits for its turn.
    pub(crate) fn is_restless(&self) -> bool {
        self.switch.is_settling()
            || self.bolt.is_some_and(|b| b.astray_since.is_some()) && self.told.fault != Some(Fault::LockStuck)
            || self.over_since.is_some()
            || self.told.power == Power::Waiting
    }

    pub(crate) fn drive(&self, now: u64) -> BayDrive {
        let (green, red) = crate::light::lamp(&self.told, now);
        BayDrive {
            close: self.bolt.is_some_and(|b| b.want_closed),
            power: self.told.power == Power::On,
            green,
            red,
        }
    }
}
