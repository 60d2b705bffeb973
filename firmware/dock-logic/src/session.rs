//! Commands that act once: each has a number within a session, and a repeated one gets the answer of before.

use dock_link::{Answer, Command, Down, Refusal, VERSION};

/// What is to be done with a message.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Say who the board is.
    Greet,
    /// Say this answer.
    Answer(u32, Answer),
    /// Do this, then call [`Session::answered`].
    Perform(u32, Command),
    /// Forget events.
    Acknowledge(u32),
    /// Send events again.
    Replay(u32),
}

/// The session with the appliance.
#[derive(Debug, Default)]
pub struct Session {
    id: u32,
    last: Option<(u32, Answer)>,
}

impl Session {
    /// None yet.
    pub const fn new() -> Self {
        Self { id: 0, last: None }
    }

    /// Its number; 0 before the first greeting.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Takes a message.
    pub fn take(&mut self, message: Down) -> Step {
        match message {
            Down::Hello { version, session } => {
                // Only the session's beginning forgets: a greeting repeated in a running session must not.
                if version == VERSION && session != self.id {
                    (self.id, self.last) = (session, None);
                }
                Step::Greet
            }
            Down::Command { seq, command } => self.command(seq, command),
            Down::Acknowledge { event } => Step::Acknowledge(event),
            Down::Replay { after } => Step::Replay(after),
        }
    }

    fn command(&mut self, seq: u32, command: Command) -> Step {
        if self.id == 0 {
            return Step::Answer(seq, Answer::Refused(Refusal::NoSession));
        }
        match &self.last {
            Some((last, answer)) if *last == seq => Step::Answer(seq, answer.clone()),
            Some((last, _)) if *last > seq => Step::Answer(seq, Answer::Refused(Refusal::Stale)),
            _ => Step::Perform(seq, command),
        }
    }

    /// A command was performed.
    pub fn answered(&mut self, seq: u32, answer: Answer) {
        self.last = Some((seq, answer));
    }
}
