//! The mechanics of the bays, played by whoever holds the other end of UART1. Lines of text:
//!
//! ```text
//! from the player                     to the player
//!   s3=1    switch of bay 3             ?        the board started: tell all again
//!   l3=1    its bolt is closed          o3=lpgr  drive of bay 3: lock, power, green, red as 0 or 1
//!   c3=500  current in mA               z1       buzzer
//!   i3=TEXT serial number told
//!   b1      button      v=5000  supply in mV
//!   .       that was all
//!   !       panic       h       hang, so that the watchdog bites
//! ```

use core::cell::RefCell;
use core::fmt::Write as _;

use critical_section::Mutex;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::channel::Channel;
use embassy_sync::signal::Signal;
use mps2::dock::Hardware;
use mps2::dock::link::Serial;
use mps2::dock::logic::{BAYS, BaySense, Drive, Sense};
use mps2::uart::PLAYER;
use mps2::{clock, words};

/// What the player last told.
static MEASURED: Mutex<RefCell<Sense<BAYS>>> = Mutex::new(RefCell::new(Sense {
    bays: [BaySense {
        switch: false,
        bolt_closed: false,
        current_ma: 0,
    }; BAYS],
    button: false,
    supply_mv: 5_000,
}));
static CHANGED: Signal<CriticalSectionRawMutex, ()> = Signal::new();
static ALL: Signal<CriticalSectionRawMutex, ()> = Signal::new();
static TOLD: Channel<CriticalSectionRawMutex, (u8, Serial), 16> = Channel::new();
static DRIVEN: Channel<CriticalSectionRawMutex, Text, 32> = Channel::new();

const PLAYER_MS: embassy_time::Duration = embassy_time::Duration::from_secs(3);

type Text = heapless::String<24>;

/// The board's hardware.
pub struct Mechanics {
    driven: Option<Drive<BAYS>>,
}

impl Mechanics {
    /// Asks the player for everything, as pins are there from the first moment on, and starts the watchdog.
    pub async fn start() -> Self {
        say("?");
        // Without a player the bays are empty.
        let _ = embassy_time::with_timeout(PLAYER_MS, ALL.wait()).await;
        clock::start_watchdog();
        Self { driven: None }
    }
}

fn say(text: &str) {
    if let Ok(text) = Text::try_from(text) {
        // A player that does not listen misses what it does not hear.
        let _ = DRIVEN.try_send(text);
    }
}

impl Hardware<BAYS> for Mechanics {
    fn sense(&mut self) -> Sense<BAYS> {
        critical_section::with(|cs| *MEASURED.borrow_ref(cs))
    }

    fn drive(&mut self, drive: &Drive<BAYS>) {
        let before = self.driven.replace(*drive);
        for (bay, now) in drive.bays.iter().enumerate() {
            if before.is_none_or(|before| before.bays.get(bay) != Some(now)) {
                let mut text = Text::new();
                let bits = [now.close, now.power, now.green, now.red].map(u8::from);
                let [lock, power, green, red] = bits;
                if write!(text, "o{bay}={lock}{power}{green}{red}").is_ok() {
                    let _ = DRIVEN.try_send(text);
                }
            }
        }
        if before.is_none_or(|before| before.buzzer != drive.buzzer) {
            say(if drive.buzzer { "z1" } else { "z0" });
        }
    }

    fn told(&mut self) -> Option<(u8, Serial)> {
        TOLD.try_receive().ok()
    }

    async fn changed(&mut self) {
        CHANGED.wait().await;
    }

    fn feed(&mut self) {
        clock::feed_watchdog();
    }

    fn restart(&mut self) -> ! {
        words::with(|words| words.asked());
        cortex_m::peripheral::SCB::sys_reset()
    }
}

/// Listens to the player and tells it.
#[embassy_executor::task]
pub async fn listen() {
    let mut line = heapless::Vec::<u8, 48>::new();
    let mut byte = [0u8; 1];
    loop {
        match embassy_futures::select::select(PLAYER.read(&mut byte), DRIVEN.receive()).await {
            embassy_futures::select::Either::First(_) if byte[0] == b'\n' => {
                if let Ok(text) = core::str::from_utf8(&line) {
                    heard(text).await;
                }
                line.clear();
            }
            embassy_futures::select::Either::First(_) => {
                let _ = line.push(byte[0]);
            }
            embassy_futures::select::Either::Second(text) => {
                PLAYER.write(text.as_bytes()).await;
                PLAYER.write(b"\n").await;
            }
        }
    }
}

async fn heard(text: &str) {
    match text {
        "." => ALL.signal(()),
        "!" => panic!("the player wants it"),
        // With interrupts off nothing runs any more, and nothing feeds the watchdog.
        "h" => critical_section::with(|_| loop {}),
        _ => {}
    }
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    let Some((kind, bay)) = name.split_at_checked(1) else {
        return;
    };
    let bay = bay.parse::<u8>().ok().filter(|b| usize::from(*b) < BAYS);
    let number = value.parse::<u16>().ok();
    if let ("i", Some(bay), Ok(serial)) = (kind, bay, Serial::try_from(value)) {
        TOLD.send((bay, serial)).await;
    } else {
        critical_section::with(|cs| {
            let mut measured = MEASURED.borrow_ref_mut(cs);
            let place = bay.and_then(|b| measured.bays.get_mut(usize::from(b)));
            match (kind, place, number) {
                ("s", Some(place), Some(n)) => place.switch = n == 1,
                ("l", Some(place), Some(n)) => place.bolt_closed = n == 1,
                ("c", Some(place), Some(n)) => place.current_ma = n,
                ("b", _, _) => measured.button = name == "b1",
                ("v", _, Some(n)) => measured.supply_mv = n,
                _ => {}
            }
        });
    }
    CHANGED.signal(());
}
