//! What the test wants the device to do.

use std::collections::HashMap;
use std::time::Duration;

/// How a reply is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lie {
    Flip,
    Garbage,
    Short,
    Overrun(usize),
    Count(u32),
}

#[derive(Clone, Default)]
pub(crate) struct Control {
    text: String,
    pub(crate) password: Option<String>,
    pub(crate) sessions: Option<usize>,
    pub(crate) sm1: bool,
    pub(crate) lite: bool,
    pub(crate) short_decrypt: bool,
    pub(crate) old_cipher: bool,
    pub(crate) deny: Option<u32>,
    pub(crate) reset: u64,
    pub(crate) lapse: u64,
    pub(crate) fuzz: Option<u64>,
    fail: HashMap<String, (u32, Option<u32>)>,
    hang: Vec<String>,
    slow: HashMap<String, u32>,
    lie: HashMap<String, Lie>,
}

/// `12` or `0x0C`.
fn number(word: &str) -> u32 {
    word.strip_prefix("0x")
        .map_or_else(|| word.parse(), |hex| u32::from_str_radix(hex, 16))
        .unwrap_or(0)
}

impl Control {
    /// Takes over the file when it changed.
    pub(crate) fn refresh(&mut self) {
        let text = super::books::read("control").unwrap_or_default();
        if text != self.text {
            *self = Self::parse(text);
        }
    }

    fn parse(text: String) -> Self {
        let mut control = Self::default();
        for line in text.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                ["password", word] => control.password = Some((*word).to_owned()),
                ["sessions", count] => control.sessions = Some(number(count) as usize),
                ["sm1"] => control.sm1 = true,
                ["coordinates", "32"] => control.lite = true,
                ["decrypt", "short"] => control.short_decrypt = true,
                ["cipher", "old"] => control.old_cipher = true,
                ["deny", code] => control.deny = Some(number(code)),
                ["reset", count] => control.reset = u64::from(number(count)),
                ["lapse", count] => control.lapse = u64::from(number(count)),
                ["slow", function, ms] => {
                    control.slow.insert((*function).to_owned(), number(ms));
                }
                ["fuzz", seed] => control.fuzz = Some(u64::from(number(seed))),
                ["hang", function] => control.hang.push((*function).to_owned()),
                ["fail", function, code] => {
                    control.fail.insert((*function).to_owned(), (number(code), None));
                }
                ["fail", function, code, times] => {
                    let fault = (number(code), Some(number(times)));
                    control.fail.insert((*function).to_owned(), fault);
                }
                ["lie", function, how @ ..] => {
                    let lie = match how {
                        ["garbage"] => Lie::Garbage,
                        ["short"] => Lie::Short,
                        ["overrun", count] => Lie::Overrun(number(count) as usize),
                        ["count", count] => Lie::Count(number(count)),
                        _ => Lie::Flip,
                    };
                    control.lie.insert((*function).to_owned(), lie);
                }
                _ => {}
            }
        }
        control.text = text;
        control
    }

    /// The failure asked for, counted down.
    pub(crate) fn failure(&mut self, function: &str) -> Option<u32> {
        let (code, left) = self.fail.get_mut(function)?;
        match left {
            None => Some(*code),
            Some(0) => None,
            Some(left) => {
                *left -= 1;
                Some(*code)
            }
        }
    }

    pub(crate) fn lie(&self, function: &str) -> Option<Lie> {
        self.lie.get(function).copied()
    }

    pub(crate) fn hangs(&self, function: &str) -> bool {
        self.hang.iter().any(|name| name == function)
    }
}

/// Returns when the control file no longer says that this function hangs, after the time it is told to take.
pub(crate) fn hang(function: &str) {
    loop {
        let mut control = Control::default();
        control.refresh();
        if !control.hangs(function) {
            let ms = control.slow.get(function).copied().unwrap_or(0);
            return std::thread::sleep(Duration::from_millis(ms.into()));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
