//! What a two-colour light shows at a moment.

use dock_link::{Bay, Charge, Colour, Light};

/// Half a period of blinking.
const BLINK_MS: u64 = 500;
/// Half a period of "take me".
const TAKE_ME_MS: u64 = 125;

/// Green and red of a bay's light now. All bays blink in step.
pub fn lamp(bay: &Bay, now_ms: u64) -> (bool, bool) {
    let on = |half: u64| (now_ms / half).is_multiple_of(2);
    match bay.light {
        Light::Off => (false, false),
        Light::Steady(colour) => lit(colour),
        Light::Blink(colour) if on(BLINK_MS) => lit(colour),
        Light::TakeMe => (on(TAKE_ME_MS), false),
        Light::Blink(_) => (false, false),
        Light::Auto => match (bay.fault, bay.charge) {
            (Some(_), _) | (None, Charge::Fault) => (false, on(BLINK_MS)),
            (None, Charge::Absent) => (false, false),
            (None, Charge::Idle) => lit(Colour::Amber),
            (None, Charge::Charging) => lit(Colour::Red),
            (None, Charge::Full) => lit(Colour::Green),
        },
    }
}

/// Whether its light changes by itself.
pub(crate) fn blinks(bay: &Bay) -> bool {
    match bay.light {
        Light::Blink(_) | Light::TakeMe => true,
        Light::Auto => bay.fault.is_some() || bay.charge == Charge::Fault,
        Light::Off | Light::Steady(_) => false,
    }
}

/// When the next light may change by itself.
pub(crate) fn next_turn(now_ms: u64) -> u64 {
    (now_ms / TAKE_ME_MS).saturating_add(1).saturating_mul(TAKE_ME_MS)
}

fn lit(colour: Colour) -> (bool, bool) {
    match colour {
        Colour::Green => (true, false),
        Colour::Red => (false, true),
        Colour::Amber => (true, true),
    }
}
