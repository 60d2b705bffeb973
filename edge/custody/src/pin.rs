//! The PIN of a device, and whether the device refused it. A device locks after a few wrong ones, so one that was refused is
//! never shown to it again.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use zeroize::Zeroizing;

use crate::Fault;

/// Where a PIN comes from and what became of it.
pub struct Pin {
    file: Option<PathBuf>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    given: Option<Zeroizing<String>>,
    refused: Option<Zeroizing<String>>,
    locked: bool,
}

/// A PIN to try.
pub(crate) struct Offered {
    pub(crate) pin: Zeroizing<String>,
    /// A person gave it just for this, so even the last try is theirs to make.
    pub(crate) by_person: bool,
}

/// Longer ones are no PINs but wrong files.
const LONGEST: usize = 256;

impl Pin {
    /// From a file with the PIN as its only line, or to be given at run time.
    #[must_use]
    pub fn new(file: Option<PathBuf>) -> Self {
        Self {
            file,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The PIN to try now, if one may be tried.
    pub(crate) fn offer(&self) -> Result<Offered, Fault> {
        let state = self.state();
        if state.locked {
            return Err(Fault::PinLocked);
        }
        let (pin, by_person) = match &state.given {
            Some(pin) => (pin.clone(), true),
            None => (self.read()?, false),
        };
        if state.refused.as_ref() == Some(&pin) {
            return Err(Fault::PinWrong);
        }
        Ok(Offered { pin, by_person })
    }

    fn read(&self) -> Result<Zeroizing<String>, Fault> {
        let file = self.file.as_ref().ok_or(Fault::PinMissing)?;
        let text = Zeroizing::new(std::fs::read_to_string(file).map_err(|_| Fault::PinMissing)?);
        let pin = text.trim_end_matches(['\r', '\n']);
        if pin.is_empty() || pin.len() > LONGEST {
            return Err(Fault::PinMissing);
        }
        Ok(Zeroizing::new(pin.to_owned()))
    }

    /// The device refused it.
    pub(crate) fn refuse(&self, pin: &Zeroizing<String>) {
        let mut state = self.state();
        state.given = None;
        state.refused = Some(pin.clone());
    }

    /// The device is locked.
    pub(crate) fn lock(&self) {
        self.state().locked = true;
    }

    /// A person gives one. Whatever was refused before, this one is tried.
    pub(crate) fn give(&self, pin: Zeroizing<String>) {
        *self.state() = State {
            given: Some(pin),
            refused: None,
            locked: false,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::Pin;
    use crate::Fault;

    fn tried(pin: &Pin) -> Result<String, Fault> {
        pin.offer().map(|offered| offered.pin.to_string())
    }

    #[test]
    fn a_refused_pin_is_not_offered_again_until_it_changes() -> std::io::Result<()> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("pin");
        let pin = Pin::new(Some(file.clone()));
        assert_eq!(tried(&pin), Err(Fault::PinMissing));
        std::fs::write(&file, "1234\n")?;
        assert_eq!(tried(&pin), Ok("1234".into()));
        pin.refuse(&"1234".to_owned().into());
        assert_eq!(tried(&pin), Err(Fault::PinWrong));
        std::fs::write(&file, "12345\n")?;
        assert_eq!(
            tried(&pin),
            Ok("12345".into()),
            "another PIN in the file is another try"
        );
        pin.give("1234".to_owned().into());
        assert_eq!(tried(&pin), Ok("1234".into()), "a person may insist");
        pin.lock();
        assert_eq!(tried(&pin), Err(Fault::PinLocked));
        Ok(())
    }
}
