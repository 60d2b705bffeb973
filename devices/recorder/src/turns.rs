//! Whose turn it is when many recorders want to be read at once.
//!
//! A controller (a USB root port and everything behind it) gives so much in all, so that only few recorders are read there
//! at the same time. A turn is one file. Each recorder has a share: who was given least for its weight goes next, so none
//! starves. More weight has one that is wanted again soon, and one whose battery is nearly empty: it may die at any moment.

/// A recorder that wants to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Who.
    pub recorder: String,
    /// What it shares with others.
    pub controller: String,
    /// Bytes it was given already in this stay.
    pub given: u64,
    /// Its charge in percent, if known.
    pub battery: Option<u8>,
    /// Somebody waits for it.
    pub wanted: bool,
}

impl Wish {
    /// Its share beside others.
    pub const fn weight(&self) -> u64 {
        let low = match self.battery {
            Some(0..=10) => 4,
            Some(11..=25) => 2,
            _ => 1,
        };
        if self.wanted { low * 3 } else { low }
    }
}

/// The wish to fulfil next, where `running` says how many are read per controller and in all, and `limits` how many may be.
pub fn next(wishes: &[Wish], running: impl Fn(&str) -> usize, limits: Limits) -> Option<usize> {
    if running("") >= limits.in_all {
        return None;
    }
    let fits = |wish: &Wish| running(&wish.controller) < limits.per_controller;
    let candidates = wishes.iter().enumerate().filter(|(_, wish)| fits(wish));
    candidates
        .min_by_key(|(_, wish)| (wish.given / wish.weight(), std::cmp::Reverse(wish.weight())))
        .map(|(at, _)| at)
}

/// How many are read at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Behind one controller.
    pub per_controller: usize,
    /// In all.
    pub in_all: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(recorder: &str, controller: &str, battery: u8, wanted: bool) -> Wish {
        Wish {
            recorder: recorder.to_owned(),
            controller: controller.to_owned(),
            given: 0,
            battery: Some(battery),
            wanted,
        }
    }

    /// Gives turns of 100 MB until `turns` are over; answers how many each had.
    fn day(wishes: &mut [Wish], turns: usize) -> Vec<usize> {
        let mut had = vec![0; wishes.len()];
        for _ in 0..turns {
            let at = next(
                wishes,
                |_| 0,
                Limits {
                    per_controller: 1,
                    in_all: 1,
                },
            )
            .unwrap();
            wishes[at].given += 100_000_000;
            had[at] += 1;
        }
        had
    }

    #[test]
    fn ten_recorders_are_given_the_same_and_the_needy_more_and_none_nothing() {
        let mut equal: Vec<_> = (0..10).map(|n| wish(&n.to_string(), "usb1", 80, false)).collect();
        assert_eq!(day(&mut equal, 100), [10; 10]);
        let mut mixed = [
            wish("full", "usb1", 90, false),
            wish("empty", "usb1", 5, false),
            wish("wanted", "usb1", 90, true),
        ];
        let had = day(&mut mixed, 80);
        assert_eq!(had, [10, 40, 30]);
    }

    #[test]
    fn a_controller_is_not_asked_for_more_than_it_gives() {
        let wishes = [wish("a", "usb1", 80, false), wish("b", "usb2", 80, false)];
        let limits = Limits {
            per_controller: 2,
            in_all: 3,
        };
        let running = |usb1: usize, usb2: usize| {
            move |which: &str| match which {
                "usb1" => usb1,
                "usb2" => usb2,
                _ => usb1 + usb2,
            }
        };
        assert_eq!(next(&wishes, running(0, 0), limits), Some(0));
        assert_eq!(next(&wishes, running(2, 0), limits), Some(1));
        assert_eq!(next(&wishes, running(2, 1), limits), None);
        assert_eq!(next(&[], running(0, 0), limits), None);
    }
}
