//! Plays the mechanics of the bays at the board's second serial line: switches, bolts that follow their drive, currents
//! that follow the power gate, serial numbers over the contacts, button, supply.

use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::mpsc;

/// Current of a charging recorder in milliamperes.
const CHARGING_MA: u16 = 500;
const BAYS: usize = 10;

/// A bay as it stands on the bench.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Bay {
    /// A recorder is in.
    pub(crate) present: bool,
    /// Number that it tells over the contacts.
    pub(crate) serial: Option<String>,
    /// The bolt is closed.
    pub(crate) bolt_closed: bool,
    /// The bolt does not move.
    pub(crate) jammed: bool,
    /// Current it draws when it has power.
    pub(crate) draws_ma: u16,
    /// As the board drives it: lock, power, green, red.
    pub(crate) driven: [bool; 4],
}

/// Everything outside of the board.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct World {
    pub(crate) bays: Vec<Bay>,
    pub(crate) supply_mv: u16,
    pub(crate) button: bool,
    pub(crate) buzzer: bool,
    /// How often the board asked for everything, which it does when it starts.
    pub(crate) starts: u64,
}

impl World {
    pub(crate) fn new() -> Self {
        let bay = Bay {
            draws_ma: CHARGING_MA,
            ..Bay::default()
        };
        Self {
            bays: vec![bay; BAYS],
            supply_mv: 5_000,
            button: false,
            buzzer: false,
            starts: 0,
        }
    }
}

/// The world, shared, and the way to tell the board of changes.
#[derive(Clone)]
pub(crate) struct Player {
    world: Arc<Mutex<World>>,
    to_board: Arc<Mutex<Option<mpsc::UnboundedSender<String>>>>,
}

impl Player {
    pub(crate) fn new() -> Self {
        Self {
            world: Arc::new(Mutex::new(World::new())),
            to_board: Arc::default(),
        }
    }

    pub(crate) fn world(&self) -> World {
        self.world.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes the world and tells the board what that changes.
    pub(crate) fn change(&self, act: impl FnOnce(&mut World)) {
        act(&mut self.world.lock().unwrap_or_else(PoisonError::into_inner));
        self.tell_all();
    }

    /// A line as it is, for what is no state: panic, hang.
    pub(crate) fn say(&self, line: String) {
        if let Some(to) = self.to_board.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            let _ = to.send(line);
        }
    }

    fn tell_all(&self) {
        let world = self.world();
        for (n, bay) in world.bays.iter().enumerate() {
            self.tell_bay(n, bay);
        }
        self.say(format!("v={}", world.supply_mv));
        self.say(format!("b{}", u8::from(world.button)));
        self.say(".".to_owned());
    }

    fn tell_bay(&self, n: usize, bay: &Bay) {
        let [_, power, ..] = bay.driven;
        let current = if bay.present && power { bay.draws_ma } else { 0 };
        self.say(format!("s{n}={}", u8::from(bay.present)));
        self.say(format!("l{n}={}", u8::from(bay.bolt_closed)));
        self.say(format!("c{n}={current}"));
        if let (true, Some(serial)) = (bay.present, &bay.serial) {
            self.say(format!("i{n}={serial}"));
        }
    }

    /// Plays at a line until the board is gone.
    pub(crate) async fn play(&self, from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) {
        let (tell, mut told) = mpsc::unbounded_channel::<String>();
        *self.to_board.lock().unwrap_or_else(PoisonError::into_inner) = Some(tell);
        // The board may have asked before anybody listened.
        self.tell_all();
        let mut lines = BufReader::new(from).lines();
        loop {
            tokio::select! {
                line = lines.next_line() => match line {
                    Ok(Some(line)) => self.hear(line.trim()),
                    Ok(None) | Err(_) => return,
                },
                Some(line) = told.recv() => {
                    if to.write_all(format!("{line}\n").as_bytes()).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    fn hear(&self, line: &str) {
        if line == "?" {
            self.world.lock().unwrap_or_else(PoisonError::into_inner).starts += 1;
            self.tell_all();
            return;
        }
        if let Some(on) = line.strip_prefix('z') {
            self.world.lock().unwrap_or_else(PoisonError::into_inner).buzzer = on == "1";
            return;
        }
        let Some((n, bits)) = line.strip_prefix('o').and_then(|l| l.split_once('=')) else {
            return;
        };
        let Ok(n) = n.parse::<usize>() else { return };
        let driven: Vec<bool> = bits.chars().map(|c| c == '1').collect();
        let Ok(driven) = <[bool; 4]>::try_from(driven) else {
            return;
        };
        let bay = {
            let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(bay) = world.bays.get_mut(n) else { return };
            let [close, power, ..] = driven;
            let moved = (!bay.jammed && bay.bolt_closed != close) || bay.driven.get(1) != Some(&power);
            if !bay.jammed {
                bay.bolt_closed = close;
            }
            bay.driven = driven;
            moved.then(|| bay.clone())
        };
        if let Some(bay) = bay {
            self.tell_bay(n, &bay);
        }
    }
}
