#![no_std]
//! Bays of the dock as plain states: edges of the bay switches in, lights and events out. No I/O, no time but what is
//! handed in, so that a day passes in a test within milliseconds.

use dock_link::{Bay, Event, Led, Refusal, Request, Response, VERSION};
use heapless::Deque;

/// Bays of a dock.
pub const BAYS: usize = 10;
/// Events kept for an appliance that is away; the oldest goes first.
pub const KEPT_EVENTS: usize = 32;

/// An event with its number and time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbered {
    /// From 1.
    pub number: u32,
    /// Milliseconds since start.
    pub at_ms: u64,
    /// What happened.
    pub event: Event,
}

/// The dock.
#[derive(Debug)]
pub struct Dock {
    bays: [Bay; BAYS],
    kept: Deque<Numbered, KEPT_EVENTS>,
    next: u32,
    boot: u32,
}

impl Dock {
    /// All bays empty; `boot` differs at each start.
    pub const fn new(boot: u32) -> Self {
        const EMPTY: Bay = Bay {
            present: false,
            locked: false,
            led: Led::Off,
            charge_ma: 0,
        };
        Self {
            bays: [EMPTY; BAYS],
            kept: Deque::new(),
            next: 1,
            boot,
        }
    }

    /// A bay as it is.
    pub fn bay(&self, bay: u8) -> Option<Bay> {
        self.bays.get(usize::from(bay)).copied()
    }

    /// The debounced switch of a bay changed. Answers the event, unless nothing changed or there is no such bay.
    pub fn switch(&mut self, bay: u8, present: bool, at_ms: u64) -> Option<Numbered> {
        let place = self.bays.get_mut(usize::from(bay))?;
        if place.present == present {
            return None;
        }
        place.present = present;
        place.led = if present { Led::Steady } else { Led::Off };
        place.locked = present;
        let event = if present {
            Event::Inserted { bay }
        } else {
            Event::Removed { bay }
        };
        let numbered = Numbered {
            number: self.next,
            at_ms,
            event,
        };
        self.next = self.next.wrapping_add(1).max(1);
        if self.kept.is_full() {
            self.kept.pop_front();
        }
        // There is room: one was just given up.
        let _ = self.kept.push_back(numbered);
        Some(numbered)
    }

    /// The measured charge current of a bay.
    pub fn charge(&mut self, bay: u8, milliamperes: u16) {
        if let Some(place) = self.bays.get_mut(usize::from(bay)) {
            place.charge_ma = milliamperes;
        }
    }

    /// Answers a request of the appliance.
    pub fn answer(&mut self, request: Request) -> Response {
        match request {
            Request::Hello { version } if version != VERSION => Response::Refused(Refusal::Version),
            Request::Hello { .. } => Response::Hello {
                version: VERSION,
                bays: BAYS as u8,
                boot: self.boot,
            },
            Request::EventsAfter { .. } => Response::Done,
            Request::Bay { bay } => self
                .bay(bay)
                .map_or(Response::Refused(Refusal::NoSuchBay), Response::Bay),
            Request::SetLed { bay, led } => self.change(bay, |place| place.led = led),
            Request::SetLock { bay, locked } => self.change(bay, |place| place.locked = locked),
        }
    }

    fn change(&mut self, bay: u8, change: impl FnOnce(&mut Bay)) -> Response {
        match self.bays.get_mut(usize::from(bay)) {
            Some(place) => {
                change(place);
                Response::Done
            }
            None => Response::Refused(Refusal::NoSuchBay),
        }
    }

    /// Events after a number that are still kept.
    pub fn events_after(&self, event: u32) -> impl Iterator<Item = Numbered> + '_ {
        self.kept.iter().copied().filter(move |e| e.number > event)
    }

    /// The appliance has kept events up to this number.
    pub fn acknowledge(&mut self, event: u32) {
        while self.kept.front().is_some_and(|e| e.number <= event) {
            self.kept.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    #[test]
    fn a_recorder_put_in_while_the_appliance_is_away_is_told_afterwards() {
        let mut dock = Dock::new(7);
        assert_eq!(dock.switch(3, true, 1000).map(|e| e.number), Some(1));
        assert_eq!(dock.switch(3, true, 1001), None, "the switch did not change");
        dock.switch(3, false, 2000);
        let told: Vec<_> = dock.events_after(0).map(|e| e.event).collect();
        assert_eq!(told, [Event::Inserted { bay: 3 }, Event::Removed { bay: 3 }]);
        dock.acknowledge(1);
        assert_eq!(dock.events_after(0).count(), 1);
    }

    #[test]
    fn a_dock_full_of_events_gives_up_the_oldest() {
        let mut dock = Dock::new(7);
        for n in 0..100u64 {
            dock.switch(0, n % 2 == 0, n);
        }
        let numbers: Vec<_> = dock.events_after(0).map(|e| e.number).collect();
        assert_eq!((numbers.len(), numbers.last()), (KEPT_EVENTS, Some(&100)));
    }

    #[test]
    fn what_does_not_exist_is_refused() {
        let mut dock = Dock::new(7);
        assert_eq!(
            dock.answer(Request::Bay { bay: 10 }),
            Response::Refused(Refusal::NoSuchBay)
        );
        assert_eq!(
            dock.answer(Request::Hello { version: 9 }),
            Response::Refused(Refusal::Version)
        );
        assert_eq!(dock.switch(200, true, 0), None);
    }
}
