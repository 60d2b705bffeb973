//! The dock as one: messages, measurements and time in; messages and drive out.

use dock_link::{
    Alive, Answer, Board, BoardHello, BoardStatus, Command, Down, FirmwareVersion, Frames, MAX_BAYS, Refusal, Reset,
    Setting, Slot, Trial, Up, VERSION,
};
use embedded_storage_async::nor_flash::NorFlash;

use crate::bays::{Bays, Drive, Sense};
use crate::events::Events;
use crate::session::{Session, Step};
use crate::settings::{Settings, counted_start};
use crate::slots::{BootRecord, Layout};
use crate::update::{Place, Updating};

/// Between two signs of life.
const ALIVE_MS: u64 = 1_000;
/// An image on trial that nobody confirms for so long starts anew, and so uses up its tries.
const TRIAL_MS: u64 = 180_000;

/// What the board knows of this start.
#[derive(Clone, Debug)]
pub struct Start {
    /// Kind of board.
    pub board: Board,
    /// Version of the running image.
    pub firmware: FirmwareVersion,
    /// Slot it runs from.
    pub slot: Slot,
    /// Why it started.
    pub reset: Reset,
    /// Where things lie in flash.
    pub layout: Layout,
}

/// What has to be said now.
pub type Said = Option<Up>;

/// The dock.
pub struct Machine<F, const N: usize> {
    flash: F,
    place: Place,
    reset: Reset,
    boot: u32,
    trial: Trial,
    settings: Settings,
    bays: Bays<N>,
    events: Events,
    session: Session,
    updating: Updating,
    alive_at: u64,
    restart: bool,
}

impl<F: NorFlash, const N: usize> Machine<F, N> {
    /// Reads the flash and begins.
    pub async fn start(mut flash: F, start: Start) -> Self {
        const { assert!(N <= MAX_BAYS, "the line carries 16 bays at most") };
        let Start {
            board,
            firmware,
            slot,
            reset,
            layout,
        } = start;
        let boot = counted_start(&mut flash, layout.settings.clone()).await;
        let settings = Settings::load(&mut flash, layout.settings.clone()).await;
        let trial = BootRecord::load(&mut flash, &layout).await.trial(slot);
        let key = layout.key_of(&mut flash).await;
        Self {
            place: Place {
                layout,
                board,
                running: slot,
                firmware,
                key,
            },
            flash,
            reset,
            boot,
            trial,
            settings,
            bays: Bays::new(),
            events: Events::new(),
            session: Session::new(),
            updating: Updating::new(),
            alive_at: 0,
            restart: false,
        }
    }

    /// Takes what is measured now, and says how to drive.
    pub fn sense(&mut self, sense: &Sense<N>, now_ms: u64) -> Drive<N> {
        self.bays.sense(sense, now_ms, &self.settings, &mut self.events);
        if self.trial == Trial::Running && now_ms >= TRIAL_MS {
            self.restart = true;
        }
        self.bays.drive(now_ms, &self.settings)
    }

    /// A recorder told its number over the contacts of its bay.
    pub fn identified(&mut self, bay: u8, serial: &str, now_ms: u64) {
        self.bays.identified(bay, serial, now_ms, &mut self.events);
    }

    /// Takes a message; what comes back has to be sent.
    pub async fn take(&mut self, message: Down, frames: Frames, now_ms: u64) -> Said {
        match self.session.take(message) {
            Step::Greet => Some(Up::Hello(self.hello())),
            Step::Answer(seq, answer) => Some(Up::Answer { seq, answer }),
            Step::Perform(seq, command) => {
                let answer = self.perform(command, frames, now_ms).await;
                self.session.answered(seq, answer.clone());
                Some(Up::Answer { seq, answer })
            }
            Step::Acknowledge(event) => {
                self.events.acknowledge(event);
                None
            }
            Step::Replay(after) => {
                self.events.replay(after);
                None
            }
        }
    }

    /// The next message that the board sends by itself; to be called until there is none.
    pub fn next_to_say(&mut self, frames: Frames, now_ms: u64) -> Said {
        if now_ms >= self.alive_at {
            self.alive_at = now_ms.saturating_add(ALIVE_MS);
            return Some(Up::Alive(Alive {
                boot: self.boot,
                session: self.session.id(),
                frames: frames.into(),
                oldest_event: self.events.oldest(),
                last_event: self.events.last(),
            }));
        }
        if self.session.id() == 0 {
            // Nobody listens yet: the events wait for the greeting.
            return None;
        }
        let next = self.events.next_to_tell()?;
        Some(Up::Event {
            number: next.number,
            at_ms: next.at_ms,
            event: next.event,
        })
    }

    /// When to look again at the latest: soon while something settles or blinks, else at the next sign of life.
    pub fn look_again(&self, now_ms: u64) -> u64 {
        self.bays.look_again(now_ms).min(self.alive_at)
    }

    /// Whether the board has to start anew, after what was said has gone out.
    pub fn wants_restart(&self) -> bool {
        self.restart
    }

    /// Who answers a greeting, also one of another version.
    pub fn hello(&self) -> BoardHello {
        BoardHello {
            version: VERSION,
            session: self.session.id(),
            boot: self.boot,
            bays: N as u8,
            board: self.place.board,
            firmware: self.place.firmware,
            trial: self.trial,
            reset: self.reset,
        }
    }

    /// The bays, to look at.
    pub fn bays(&self) -> &Bays<N> {
        &self.bays
    }

    /// The flash, for what else lies in it.
    pub fn flash(&mut self) -> &mut F {
        &mut self.flash
    }

    async fn perform(&mut self, command: Command, frames: Frames, now_ms: u64) -> Answer {
        if let Some(done) = self.bays.perform(&command, now_ms, &self.settings, &mut self.events) {
            return answer(done);
        }
        match command {
            Command::Bay { bay } => self
                .bays
                .bay(bay)
                .map_or(Answer::Refused(Refusal::NoSuchBay), |b| Answer::Bay(b.clone())),
            Command::Board => Answer::Board(self.status(frames, now_ms)),
            Command::Setting(setting) => Answer::Setting(self.settings.get(setting)),
            Command::SetSetting { setting, value } => answer(self.set(setting, value).await),
            Command::Update(dock_link::Update::Status) => {
                Answer::Update(self.updating.status(&mut self.flash, &self.place).await)
            }
            Command::Update(step) => {
                let done = self.updating.step(&mut self.flash, &self.place, step).await;
                let record = BootRecord::load(&mut self.flash, &self.place.layout).await;
                self.trial = record.trial(self.place.running);
                answer(done)
            }
            Command::Restart => {
                self.restart = true;
                Answer::Done
            }
            // The bays have taken theirs.
            _ => Answer::Refused(Refusal::Order),
        }
    }

    async fn set(&mut self, setting: Setting, value: u16) -> Result<(), Refusal> {
        let range = self.place.layout.settings.clone();
        self.settings.change(&mut self.flash, range, setting, value).await
    }

    fn status(&self, frames: Frames, now_ms: u64) -> BoardStatus {
        let (supply_mv, supply_low) = self.bays.supply();
        BoardStatus {
            uptime_ms: now_ms,
            reset: self.reset,
            supply_mv,
            supply_low,
            frames: frames.into(),
        }
    }
}

fn answer(done: Result<(), Refusal>) -> Answer {
    match done {
        Ok(()) => Answer::Done,
        Err(refusal) => Answer::Refused(refusal),
    }
}
