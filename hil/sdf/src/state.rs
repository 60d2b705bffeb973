//! Sessions, their rights, and keys.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sm3::Sm3;

use crate::asymmetric::Sm2Key;
use crate::books;
use crate::control::Control;

#[derive(Default)]
pub(crate) struct Session {
    pub(crate) rights: HashSet<u32>,
    pub(crate) hash: Option<Sm3>,
    pub(crate) keys: HashMap<usize, [u8; 16]>,
    pub(crate) broken: bool,
}

pub(crate) struct State {
    pub(crate) control: Control,
    pub(crate) devices: HashSet<usize>,
    pub(crate) sessions: HashMap<usize, Session>,
    /// By index and whether it is the pair for encryption.
    pub(crate) keys: HashMap<(u32, bool), Sm2Key>,
    next: usize,
    resets: u64,
    lapses: u64,
    pub(crate) calls: u64,
}

static STATE: Mutex<Option<State>> = Mutex::new(None);

/// The device, with the control file as it is now.
pub(crate) struct Held(MutexGuard<'static, Option<State>>);

impl Held {
    pub(crate) fn with<T>(&mut self, work: impl FnOnce(&mut State) -> T) -> T {
        work(self.0.get_or_insert_with(State::new))
    }
}

pub(crate) fn lock() -> Held {
    let mut held = Held(STATE.lock().unwrap_or_else(PoisonError::into_inner));
    held.with(|state| {
        state.control.refresh();
        state.calls += 1;
        if state.control.reset != state.resets {
            state.resets = state.control.reset;
            state.sessions.clear();
            state.devices.clear();
        }
        if state.control.lapse != state.lapses {
            state.lapses = state.control.lapse;
            state.sessions.values_mut().for_each(|session| session.rights.clear());
        }
    });
    held
}

impl State {
    fn new() -> Self {
        Self {
            control: Control::default(),
            devices: HashSet::new(),
            sessions: HashMap::new(),
            keys: keys(),
            next: 0x5DF0_0000,
            resets: 0,
            lapses: 0,
            calls: 0,
        }
    }

    /// A new handle: a number no pointer has.
    pub(crate) fn handle(&mut self) -> usize {
        self.next += 16;
        self.next
    }
}

/// The keys on disk, made when there are none: SM2 at 1 and 2, for signing and for encryption.
fn keys() -> HashMap<(u32, bool), Sm2Key> {
    let text = books::read("keys").unwrap_or_else(|| {
        let mut text = String::new();
        for index in 1..=2 {
            for usage in ["sign", "encrypt"] {
                let key = hex::encode(Sm2Key::generate().bytes());
                text.push_str(&format!("{index} {usage} {key}\n"));
            }
        }
        books::write("keys", &text);
        text
    });
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let index = words.next()?.parse().ok()?;
            let encrypt = words.next()? == "encrypt";
            Some(((index, encrypt), words.next()?.parse().ok()?))
        })
        .collect()
}
