//! States of a docking and of a clip, and the steps between them. Pure; everything else asks here.

use std::str::FromStr;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }
        impl $name {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];
            /// Its word.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }
        impl FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                Self::ALL.iter().copied().find(|s| s.as_str() == text).ok_or_else(|| format!("no such word: {text}"))
            }
        }
    };
}

words! {
    /// Where a docking stands.
    DockingState {
        /// It was seen; who it is is being found out.
        Arrived = "arrived",
        /// Nothing is done with it: unknown, retired, twice there, unreadable. A person decides.
        Held = "held",
        /// Its files are copied.
        Copying = "copying",
        /// All are copied; the cloud has not confirmed all yet.
        Waiting = "waiting",
        /// Confirmed files are deleted from it.
        Clearing = "clearing",
        /// Empty, its clock set: to be issued.
        Ready = "ready",
        /// Something stays on it that could not be taken. A person decides.
        Kept = "kept",
        /// It was pulled before it was ready.
        Pulled = "pulled",
        /// We ended while it was there.
        Interrupted = "interrupted",
        /// It was taken when it was ready.
        Left = "left",
    }
}

words! {
    /// What happens to a docking.
    DockingStep {
        /// It may be read.
        Admit = "admit",
        /// It may not.
        Hold = "hold",
        /// What held it is over.
        Release = "release",
        /// All files are copied and verified.
        Taken = "taken",
        /// There are new files.
        More = "more",
        /// Every file is confirmed, or cannot be taken: deleting begins.
        Clear = "clear",
        /// Nothing of it is left but its own files.
        Finish = "finish",
        /// Something is left.
        Keep = "keep",
        /// It is gone.
        Pull = "pull",
        /// We stop, or stopped.
        Interrupt = "interrupt",
    }
}

words! {
    /// Where a clip stands.
    ClipState {
        /// On the recorder, not here.
        Found = "found",
        /// Being copied.
        Copying = "copying",
        /// Here, durable, with its hashes.
        Copied = "copied",
        /// Read back and equal.
        Verified = "verified",
        /// Its custody entry has its place in the chain and waits for its signature.
        Sealing = "sealing",
        /// Signed.
        Sealed = "sealed",
        /// The cloud has the bytes and the entry is on its way.
        Uploaded = "uploaded",
        /// The cloud keeps it.
        Confirmed = "confirmed",
        /// Deleted from the recorder.
        Cleared = "cleared",
        /// It cannot be read from the recorder, where it stays.
        Unreadable = "unreadable",
        /// The cloud refused it; it stays on the recorder. A person decides.
        Refused = "refused",
        /// It was on the recorder and was gone before it was copied.
        Lost = "lost",
        /// The cloud does not have it any more and our copy was removed by the storage plan: it cannot be sent again. Only the
        /// recorder may still have it.
        Missing = "missing",
    }
}

words! {
    /// What happens to a clip.
    ClipStep {
        /// Copying begins.
        Begin = "begin",
        /// Copying broke off.
        Fail = "fail",
        /// The copy is durable.
        Copy = "copy",
        /// It was read back.
        Verify = "verify",
        /// The copy is not what it should be: take it again.
        Spoil = "spoil",
        /// Its entry has its place in the chain.
        Draft = "draft",
        /// The entry is signed.
        Seal = "seal",
        /// The bytes are up.
        Upload = "upload",
        /// The cloud does not have the bytes any more.
        SendAgain = "send_again",
        /// The cloud does not have the bytes any more, and neither have we.
        Miss = "miss",
        /// The cloud keeps it.
        Confirm = "confirm",
        /// The cloud refused it.
        Refuse = "refuse",
        /// It was deleted from the recorder.
        Clear = "clear",
        /// It could not be read, repeatedly.
        GiveUp = "give_up",
        /// It is tried again.
        Retry = "retry",
        /// It is not on the recorder any more.
        Vanish = "vanish",
    }
}

store::text_value!(DockingState, DockingStep, ClipState, ClipStep);

/// A step that does not fit the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{step} does not fit {state}")]
pub struct Refusal {
    /// The state.
    pub state: &'static str,
    /// The step.
    pub step: &'static str,
}

impl DockingState {
    /// The state after a step.
    ///
    /// # Errors
    /// [`Refusal`] when the step does not fit.
    pub const fn after(self, step: DockingStep) -> Result<Self, Refusal> {
        use DockingStep as T;
        match (self, step) {
            (Self::Arrived, T::Admit) | (Self::Waiting | Self::Clearing | Self::Ready | Self::Kept, T::More) => {
                Ok(Self::Copying)
            }
            (Self::Arrived | Self::Copying | Self::Waiting | Self::Ready | Self::Kept, T::Hold) => Ok(Self::Held),
            (Self::Held, T::Release) => Ok(Self::Arrived),
            (Self::Copying, T::Taken) => Ok(Self::Waiting),
            (Self::Waiting, T::Clear) => Ok(Self::Clearing),
            (Self::Clearing, T::Finish) => Ok(Self::Ready),
            (Self::Clearing, T::Keep) => Ok(Self::Kept),
            (Self::Ready, T::Pull) => Ok(Self::Left),
            (Self::Arrived | Self::Held | Self::Copying | Self::Waiting | Self::Clearing | Self::Kept, T::Pull) => {
                Ok(Self::Pulled)
            }
            (state, T::Interrupt) if state.is_open() => Ok(Self::Interrupted),
            (state, step) => Err(Refusal {
                state: state.as_str(),
                step: step.as_str(),
            }),
        }
    }

    /// Whether the recorder is there, as far as we know.
    pub const fn is_open(self) -> bool {
        !matches!(self, Self::Pulled | Self::Interrupted | Self::Left)
    }
}

impl ClipState {
    /// The state after a step.
    ///
    /// # Errors
    /// [`Refusal`] when the step does not fit.
    pub const fn after(self, step: ClipStep) -> Result<Self, Refusal> {
        use ClipStep as T;
        match (self, step) {
            (Self::Found, T::Begin) => Ok(Self::Copying),
            (Self::Copying, T::Fail)
            | (Self::Copied | Self::Verified | Self::Sealing | Self::Sealed | Self::Uploaded, T::Spoil)
            | (Self::Unreadable | Self::Lost | Self::Missing, T::Retry) => Ok(Self::Found),
            (Self::Copying, T::Copy) => Ok(Self::Copied),
            (Self::Copied, T::Verify) => Ok(Self::Verified),
            (Self::Verified, T::Draft) => Ok(Self::Sealing),
            (Self::Sealing, T::Seal) | (Self::Uploaded | Self::Confirmed | Self::Cleared, T::SendAgain) => {
                Ok(Self::Sealed)
            }
            (Self::Confirmed | Self::Cleared, T::Miss) => Ok(Self::Missing),
            (Self::Sealed, T::Upload) => Ok(Self::Uploaded),
            (Self::Uploaded, T::Confirm) => Ok(Self::Confirmed),
            (Self::Uploaded, T::Refuse) => Ok(Self::Refused),
            (Self::Confirmed, T::Clear) => Ok(Self::Cleared),
            (Self::Found | Self::Copying | Self::Copied, T::GiveUp) => Ok(Self::Unreadable),
            (Self::Found | Self::Unreadable, T::Vanish) => Ok(Self::Lost),
            (state, step) => Err(Refusal {
                state: state.as_str(),
                step: step.as_str(),
            }),
        }
    }

    /// Whether it moves on without a person.
    pub const fn is_moving(self) -> bool {
        matches!(
            self,
            Self::Found | Self::Copying | Self::Copied | Self::Verified | Self::Sealing | Self::Sealed | Self::Uploaded
        )
    }

    /// Whether the cloud keeps it.
    pub const fn is_through(self) -> bool {
        matches!(self, Self::Confirmed | Self::Cleared)
    }

    /// Whether it must still be read from the recorder.
    pub const fn is_wanted(self) -> bool {
        matches!(self, Self::Found | Self::Copying)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_in_every_state_of_a_docking_is_as_the_operator_expects() {
        let mut table = String::new();
        for state in DockingState::ALL {
            for step in DockingStep::ALL {
                if let Ok(next) = state.after(*step) {
                    table.push_str(&format!(
                        "| {} | {} | {} |\n",
                        state.as_str(),
                        step.as_str(),
                        next.as_str()
                    ));
                }
            }
        }
        assert_eq!(table, include_str!("docking_states.md"), "{table}");
    }

    #[test]
    fn every_step_in_every_state_of_a_clip_is_as_the_operator_expects() {
        let mut table = String::new();
        for state in ClipState::ALL {
            for step in ClipStep::ALL {
                if let Ok(next) = state.after(*step) {
                    table.push_str(&format!(
                        "| {} | {} | {} |\n",
                        state.as_str(),
                        step.as_str(),
                        next.as_str()
                    ));
                }
            }
        }
        assert_eq!(table, include_str!("clip_states.md"), "{table}");
    }

    #[test]
    fn nothing_but_a_confirmation_leads_to_clearing() {
        for state in ClipState::ALL {
            for step in ClipStep::ALL {
                match state.after(*step) {
                    Ok(ClipState::Cleared) => assert_eq!(*state, ClipState::Confirmed),
                    Ok(ClipState::Confirmed) => assert_eq!((*state, *step), (ClipState::Uploaded, ClipStep::Confirm)),
                    _ => {}
                }
            }
        }
    }
}
