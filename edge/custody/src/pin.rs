//! The PIN of a device, and whether the device refused it. A device locks after a few wrong ones, so one that was refused is
//! never shown to it again.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
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
        let text = read(file)?;
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

/// Reads a file that only root or this user can change and not everyone can read. The group may: the file systemd makes of a
/// credential shows the mask of its access list there.
fn read(path: &Path) -> Result<Zeroizing<String>, Fault> {
    let mut file = File::open(path).map_err(|_| Fault::PinMissing)?;
    let about = file.metadata().map_err(|_| Fault::PinMissing)?;
    if !about.is_file() {
        return Err(Fault::PinFile("不是普通文件"));
    }
    if about.mode() & 0o027 != 0 {
        return Err(Fault::PinFile("权限过宽，应为 0600 或 0400"));
    }
    if about.uid() != 0 && about.uid() != rustix::process::geteuid().as_raw() {
        return Err(Fault::PinFile("所有者不是运行本服务的用户"));
    }
    // Of a size to begin with, so that no copy is left behind as it grows.
    let mut bytes = Zeroizing::new([0; 2 * LONGEST]);
    let mut length = 0;
    while let Some(room) = bytes.get_mut(length..).filter(|room| !room.is_empty()) {
        match file.read(room) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(_) => return Err(Fault::PinMissing),
        }
    }
    let text = std::str::from_utf8(bytes.get(..length).unwrap_or_default());
    text.map(|text| Zeroizing::new(text.to_owned()))
        .map_err(|_| Fault::PinFile("不是文本"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

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
        let allow = |mode| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode));
        for wide in [0o604, 0o620, 0o644, 0o666] {
            allow(wide)?;
            assert!(matches!(tried(&pin), Err(Fault::PinFile(_))), "{wide:o}");
        }
        allow(0o600)?;
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
