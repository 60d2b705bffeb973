//! Loading modules and finding tokens.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::MechanismType;
use cryptoki::mechanism::vendor_defined::CKM_VENDOR_DEFINED;
use cryptoki::slot::Slot;

use super::Config;
use crate::Fault;

/// A module and its lock: one that hangs while it is initialised holds up nobody else.
type Place = Arc<Mutex<Option<Pkcs11>>>;

/// A module is initialised once for the whole process, and stays: finalising it would pull it away under other tokens.
static LOADED: Mutex<Option<HashMap<PathBuf, Place>>> = Mutex::new(None);

pub(super) fn load(path: &Path) -> Result<Pkcs11, Fault> {
    if !path.is_absolute() {
        return Err(Fault::Library("the path must be absolute".into()));
    }
    let place = {
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(loaded.get_or_insert_default().entry(path.to_owned()).or_default())
    };
    let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
    let module = match place.as_ref() {
        Some(module) => module.clone(),
        None => Pkcs11::new(path).map_err(|error| Fault::Library(error.to_string()))?,
    };
    initialize(&module)?;
    *place = Some(module.clone());
    Ok(module)
}

/// Initialises a module unless it is.
pub(super) fn initialize(module: &Pkcs11) -> Result<(), Fault> {
    match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(()),
        Err(error) => Err(Fault::Library(error.to_string())),
    }
}

/// The one token the configuration means.
pub(super) fn find(module: &Pkcs11, config: &Config) -> Result<Slot, Fault> {
    let absent = |error: Error| Fault::Absent(error.to_string());
    let mut found = None;
    for slot in module.get_slots_with_token().map_err(absent)? {
        let Ok(token) = module.get_token_info(slot) else {
            continue;
        };
        let fits = |wanted: &Option<String>, is: &str| wanted.as_ref().is_none_or(|wanted| wanted == is);
        let fits = token.token_initialized()
            && fits(&config.token, token.label())
            && fits(&config.serial, token.serial_number());
        if fits && found.replace(slot).is_some() {
            return Err(Fault::Absent("several tokens fit; name the serial number".into()));
        }
    }
    found.ok_or_else(|| Fault::Absent("no token with this label and serial number".into()))
}

/// A mechanism by number, the vendor's or the standard's.
pub(super) fn mechanism(number: u64) -> Option<MechanismType> {
    if number >= CKM_VENDOR_DEFINED {
        MechanismType::new_vendor_defined(number).ok()
    } else {
        MechanismType::try_from(number).ok()
    }
}
