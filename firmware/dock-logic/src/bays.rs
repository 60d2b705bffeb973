//! All bays, with the supply, the button and the buzzer.

use dock_link::{Bay as Told, Buzz, Command, Event, Power, Press, Refusal, Setting};

use crate::bay::{Around, Bay, BayDrive, BaySense};
use crate::events::Events;
use crate::light::{blinks, next_turn};
use crate::settings::Settings;
use crate::steady::Steady;

/// How long the button must rest.
const BUTTON_MS: u64 = 30;
/// From here on a press is long.
const LONG_MS: u64 = 2_000;
/// How long the supply must be too low; shorter dips are the capacitors' matter.
const DIP_MS: u64 = 20;
/// How long it must be good again, and by how much.
const BACK_MS: u64 = 1_000;
const BACK_MV: u16 = 150;
/// Beats of the buzzer.
const BEAT_MS: u64 = 150;

/// Between two looks while something settles.
const LOOK_MS: u64 = 10;
/// Between two looks while nothing does.
const CALM_MS: u64 = 1_000;

/// What is measured of the dock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sense<const N: usize> {
    /// Its bays.
    pub bays: [BaySense; N],
    /// The button is pressed.
    pub button: bool,
    /// Supply in millivolts.
    pub supply_mv: u16,
}

/// How the dock is driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drive<const N: usize> {
    /// Its bays.
    pub bays: [BayDrive; N],
    /// The buzzer sounds.
    pub buzzer: bool,
}

/// The bays of a dock.
#[derive(Debug)]
pub struct Bays<const N: usize> {
    bays: [Bay; N],
    gate_opened: Option<u64>,
    button: Steady,
    pressed_since: Option<u64>,
    supply_bad: Steady,
    supply_low: bool,
    supply_mv: u16,
    buzz: (Buzz, u64),
}

impl<const N: usize> Default for Bays<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> Bays<N> {
    /// Nothing known yet: no event comes before a bay's switch has rested.
    pub const fn new() -> Self {
        Self {
            bays: [const { Bay::new() }; N],
            gate_opened: None,
            button: Steady::new(),
            pressed_since: None,
            supply_bad: Steady::new(),
            supply_low: false,
            supply_mv: 0,
            buzz: (Buzz::Silent, 0),
        }
    }

    /// A bay as it is told.
    pub fn bay(&self, bay: u8) -> Option<&Told> {
        self.bays.get(usize::from(bay)).map(|b| &b.told)
    }

    /// Supply in millivolts, and whether it is too low.
    pub fn supply(&self) -> (u16, bool) {
        (self.supply_mv, self.supply_low)
    }

    /// Takes what is measured now. To be called every few milliseconds; a call late only delays.
    pub fn sense(&mut self, sense: &Sense<N>, now: u64, settings: &Settings, events: &mut Events) {
        self.follow_supply(sense.supply_mv, now, settings, events);
        self.follow_button(sense.button, now, events);
        for ((index, bay), sense) in (0u8..).zip(&mut self.bays).zip(sense.bays) {
            let around = Around {
                bay: index,
                now,
                settings,
                supply_low: self.supply_low,
            };
            bay.sense(sense, &around, events);
        }
        self.open_next_gate(now, settings);
    }

    /// Inrush is spread: one gate after the other, the first bay first.
    fn open_next_gate(&mut self, now: u64, settings: &Settings) {
        let pause = settings.ms(Setting::StaggerMs);
        if self.gate_opened.is_some_and(|at| now.saturating_sub(at) < pause) {
            return;
        }
        if let Some(bay) = self.bays.iter_mut().find(|b| b.told.power == Power::Waiting) {
            bay.open_gate();
            self.gate_opened = Some(now);
        }
    }

    fn follow_supply(&mut self, mv: u16, now: u64, settings: &Settings, events: &mut Events) {
        self.supply_mv = mv;
        let limit = settings.get(Setting::SupplyLowMv);
        let (bad, rest) = if self.supply_low {
            (mv < limit.saturating_add(BACK_MV), BACK_MS)
        } else {
            (mv < limit, DIP_MS)
        };
        if let Some(low) = self.supply_bad.see(bad, now, rest)
            && low != self.supply_low
        {
            self.supply_low = low;
            events.happened(Event::Supply { low, mv }, now);
        }
    }

    fn follow_button(&mut self, pressed: bool, now: u64, events: &mut Events) {
        match self.button.see(pressed, now, BUTTON_MS) {
            Some(true) => self.pressed_since = Some(now),
            Some(false) if self.pressed_since.take().is_some() => {
                events.happened(Event::Button(Press::Short), now);
            }
            _ => {}
        }
        // A long press is told while it lasts, so that the finger knows.
        if self
            .pressed_since
            .is_some_and(|since| now.saturating_sub(since) >= LONG_MS)
        {
            self.pressed_since = None;
            events.happened(Event::Button(Press::Long), now);
        }
    }

    /// A recorder told its number over the contacts of its bay.
    pub fn identified(&mut self, bay: u8, serial: &str, now: u64, events: &mut Events) {
        if let Some(place) = self.bays.get_mut(usize::from(bay)) {
            place.identified(serial, bay, now, events);
        }
    }

    /// Does what concerns the bays; `None` for every other command.
    pub fn perform(
        &mut self,
        command: &Command,
        now: u64,
        settings: &Settings,
        events: &mut Events,
    ) -> Option<Result<(), Refusal>> {
        let supply_low = self.supply_low;
        let mut with = |bay: u8, act: &mut dyn FnMut(&mut Bay, &Around<'_>) -> Result<(), Refusal>| {
            let place = self.bays.get_mut(usize::from(bay)).ok_or(Refusal::NoSuchBay)?;
            let around = Around {
                bay,
                now,
                settings,
                supply_low,
            };
            act(place, &around)
        };
        Some(match command {
            Command::SetLight { bay, light } => with(*bay, &mut |place, _| {
                place.told.light = *light;
                Ok(())
            }),
            Command::SetLock { bay, closed } => with(*bay, &mut |place, _| place.set_lock(*closed)),
            Command::Release { bay, seconds } => with(*bay, &mut |place, _| place.release(*seconds, now)),
            Command::SetPower { bay, on } => with(*bay, &mut |place, around| place.set_power(*on, around, events)),
            Command::SetSerial { bay, serial } => with(*bay, &mut |place, _| place.set_serial(serial.clone())),
            Command::Buzz(buzz) => {
                self.buzz = (*buzz, now);
                Ok(())
            }
            _ => return None,
        })
    }

    /// How the dock is driven now.
    pub fn drive(&self, now: u64, settings: &Settings) -> Drive<N> {
        let beat = now.saturating_sub(self.buzz.1) / BEAT_MS;
        let sounds = match self.buzz.0 {
            Buzz::Silent => false,
            Buzz::Once => beat == 0,
            Buzz::Alarm => beat < 6 && beat.is_multiple_of(2),
        };
        Drive {
            bays: core::array::from_fn(|at| self.bays.get(at).map_or_else(BayDrive::default, |b| b.drive(now))),
            buzzer: sounds && settings.get(Setting::Sound) == 1,
        }
    }

    /// When to look again at the latest. What is measured once a second meanwhile is current and supply; switches, bolts
    /// and the button wake the board, and so does its supply watch.
    pub(crate) fn look_again(&self, now: u64) -> u64 {
        let beats = now.saturating_sub(self.buzz.1) / BEAT_MS;
        let restless = self.bays.iter().any(Bay::is_restless)
            || self.button.is_settling()
            || self.supply_bad.is_settling()
            || (self.buzz.0 != Buzz::Silent && beats < 6);
        let blinks = self.bays.iter().any(|b| blinks(&b.told));
        if restless {
            now.saturating_add(LOOK_MS)
        } else if blinks {
            next_turn(now)
        } else {
            now.saturating_add(CALM_MS)
        }
    }
}
