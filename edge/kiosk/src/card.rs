//! The hospital's own card (就诊卡). Its number is printed on it and on every bill, and anybody may photograph or type it: it
//! tells whose business it is, not who stands there. So by itself it opens only what harms nobody (a number in the queue,
//! the sum of a bill); reports, prescriptions, the lines of a bill and receipts ask for a second thing that the card does
//! not carry, and that the hospital's system knows.

use std::fmt;

use records::his::HisPatient;
use serde::{Deserialize, Serialize};

use crate::session::Task;

/// Characters of the second thing.
pub(crate) const LETTERS: usize = 4;

/// A number shorter than this would be told by half with its last four.
const SHORTEST: usize = 8;

/// What is asked of the bearer of a card.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Second {
    /// The last four of the identity document the hospital has of them.
    #[default]
    IdNumber,
    /// The last four of the phone number the hospital has of them.
    Phone,
    /// Either of the two: for hospitals many of whose patients have but one on record.
    Either,
    /// Nothing typed will do: an identity card, a patient code or an insurance code is shown instead.
    None,
}

/// `[kiosk.card]`: what a hospital card does at a terminal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CardRules {
    /// What its number alone opens; never reports or prescriptions.
    pub alone: Vec<Task>,
    /// What is asked for the rest.
    pub second: Second,
    /// Wrong answers after which no more are taken for a card.
    pub tries: u32,
    /// Minutes a card is then locked; twice as long after each further wrong answer, at most a day.
    pub lock_min: u32,
    /// Wrong answers within an hour, whichever cards they are for, after which a terminal takes none.
    pub terminal_tries: u32,
}

impl Default for CardRules {
    fn default() -> Self {
        Self {
            alone: vec![Task::CheckIn, Task::Fees],
            second: Second::default(),
            tries: 3,
            lock_min: 30,
            terminal_tries: 10,
        }
    }
}

impl CardRules {
    /// Whether a card's number alone is enough for this.
    pub fn opens(&self, task: Task) -> bool {
        !task.is_private() && self.alone.contains(&task)
    }

    /// What would be right for this patient; empty when the hospital has nothing to compare with.
    pub(crate) fn expected(&self, patient: &HisPatient) -> Vec<Tail> {
        let numbers: &[&str] = match self.second {
            Second::IdNumber => &[&patient.id_number],
            Second::Phone => &[&patient.phone],
            Second::Either => &[&patient.id_number, &patient.phone],
            Second::None => &[],
        };
        numbers.iter().filter_map(|number| Tail::of(number)).collect()
    }
}

/// The last four of a number, as somebody typed them. `Debug` shows nothing of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Tail([u8; LETTERS]);

impl fmt::Debug for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tail(…)")
    }
}

impl Tail {
    /// Three digits, and a digit or X.
    pub fn parse(text: &str) -> Option<Self> {
        let mut letters: [u8; LETTERS] = text.as_bytes().try_into().ok()?;
        letters.make_ascii_uppercase();
        let [digits @ .., last] = &letters;
        let plain = digits.iter().all(u8::is_ascii_digit) && (last.is_ascii_digit() || *last == b'X');
        plain.then_some(Self(letters))
    }

    /// Of a number on record; none when it is too short, or cannot be typed at a terminal.
    pub(crate) fn of(number: &str) -> Option<Self> {
        let number = number.trim();
        if number.len() < SHORTEST {
            return None;
        }
        Self::parse(number.get(number.len() - LETTERS..)?)
    }
}

#[cfg(test)]
mod tests {
    use records::LocalDate;

    use super::*;

    fn patient(id_number: &str, phone: &str) -> HisPatient {
        HisPatient {
            his_patient_id: "P000001".to_owned(),
            name: "张建三".to_owned(),
            sex: "M".to_owned(),
            birth_date: LocalDate::parse("1949-12-31").unwrap(),
            id_number: id_number.to_owned(),
            phone: phone.to_owned(),
            card_number: "8000000001".to_owned(),
        }
    }

    #[test]
    fn what_is_right_depends_on_what_the_hospital_asks_and_has() {
        let by = |second| CardRules {
            second,
            ..CardRules::default()
        };
        let typed = |text| Tail::parse(text).unwrap();
        let both = patient("11010519491231002x", "138****4567");
        assert_eq!(by(Second::IdNumber).expected(&both), [typed("002X")]);
        assert_eq!(by(Second::Phone).expected(&both), [typed("4567")]);
        assert_eq!(by(Second::Either).expected(&both), [typed("002x"), typed("4567")]);
        assert_eq!(by(Second::None).expected(&both), []);
        // A number of which four is too much, none at all, and letters no key has: nothing is right.
        for number in ["1234", "", "护照无号", "E1234ABCD", "110105194912310一二三四"] {
            assert_eq!(by(Second::IdNumber).expected(&patient(number, "")), [], "{number}");
        }
        for none in ["", "123", "12345", "12X4", "12 4", "abcd", "一二"] {
            assert_eq!(Tail::parse(none), None, "{none}");
        }
        assert!(!format!("{:?}", typed("4567")).contains('4'));
    }

    #[test]
    fn no_setting_opens_reports_with_a_bare_number() {
        let all = CardRules {
            alone: Task::ALL.to_vec(),
            ..CardRules::default()
        };
        let opened = |rules: &CardRules| Task::ALL.map(|task| rules.opens(task));
        assert_eq!(opened(&all), [true, false, false, true]);
        assert_eq!(opened(&CardRules::default()), [true, false, false, true]);
    }
}
