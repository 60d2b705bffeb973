//! Keys in devices 密码设备: PKCS#11 tokens and SDF devices (GM/T 0018), as the settings name them.
//!
//! A device may be absent when the server starts, be pulled out, hang or be reset: its own keys then answer
//! [`Code::DeviceAbsent`](crate::fault::Code::DeviceAbsent), everything else goes on. A thread of each device opens it,
//! looks after it and tries it again ([`held`]); requests never wait for that.
//!
//! Which libraries are loaded stands in the settings file alone: whoever may set a library's path runs code in here.

mod act;
mod held;
mod signer;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use records::{Clock, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Refusal;
use crate::config::DeviceConfig;
use crate::fault::{Code, Fault};

pub(crate) use act::attempt;
pub use act::{AdoptKey, DeviceKey};
pub(crate) use held::Held;
pub(crate) use signer::{DeviceSigner, refusal};

/// How a device is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum DeviceKind {
    /// A PKCS#11 module.
    Pkcs11,
    /// A library of GM/T 0018.
    Sdf,
}

/// How a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum DeviceState {
    /// Being opened for the first time.
    Opening,
    /// It answers.
    Ready,
    /// Absent, silent or reset; it is tried again.
    Down,
}

/// What went wrong with a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Trouble {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The stable name: `device_silent`, `device_pin_wrong`, ….
    pub code: &'static str,
    /// What happened and what to do, in plain words.
    pub text: String,
}

impl Trouble {
    /// The device answers, but its PIN is missing, wrong or locked: nobody uses its keys until a person gives another.
    pub(crate) fn of_pin(&self) -> bool {
        self.code.starts_with("device_pin")
    }
}

/// A device as it is now, without asking it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = KeyDeviceView)]
pub struct DeviceView {
    /// Its name in the settings.
    pub name: String,
    /// How it is spoken to.
    pub kind: DeviceKind,
    /// How it is.
    pub state: DeviceState,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// Maker, as it last said; empty until it answered once. So are model, serial and label.
    pub maker: String,
    /// Model.
    pub model: String,
    /// Serial number.
    pub serial: String,
    /// Label of the token; empty for SDF.
    pub label: String,
    /// Algorithms it offers, e.g. `SM2`, `SM1`, `RSA-PSS`.
    pub algorithms: Vec<&'static str>,
    /// It makes keys on request; otherwise its maker's tool does.
    pub generates: bool,
    /// The last thing that went wrong, also when all is well again.
    pub trouble: Option<Trouble>,
}

/// The devices of the settings. Closed on drop.
#[derive(Default)]
pub(crate) struct Devices(BTreeMap<String, Arc<Held>>);

impl Devices {
    /// Begins to open them. The device itself need not be there; what is wrong with the settings is an error.
    pub(crate) fn start(configs: &[DeviceConfig], clock: &Arc<dyn Clock>) -> Result<Self, Refusal> {
        let mut devices = BTreeMap::new();
        for config in configs {
            config.check()?;
            let held = Held::start(config, Arc::clone(clock));
            let held = held.map_err(|_| Refusal::no("device_thread", "无法为密码设备启动线程。"))?;
            if devices.insert(config.name.clone(), held).is_some() {
                let text = format!("配置中有两个名为 {} 的密码设备。", config.name);
                return Err(Refusal::no("device_name", text));
            }
        }
        Ok(Self(devices))
    }

    /// The one with this name.
    pub(crate) fn get(&self, name: &str) -> Option<&Arc<Held>> {
        self.0.get(name)
    }

    /// The one with this name, or that there is none.
    pub(crate) fn named(&self, name: &str) -> Result<&Arc<Held>, Refusal> {
        let unknown = || Refusal::no("device_unknown", format!("配置中没有名为 {name} 的密码设备。"));
        self.get(name).ok_or_else(unknown)
    }

    /// All of them.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Held>> {
        self.0.values()
    }

    /// One that reports this cipher, rather one that is ready.
    pub(crate) fn offering(&self, cipher: custody::Cipher) -> Option<&Arc<Held>> {
        let mut offering: Vec<_> = self.all().filter(|held| held.offers(cipher)).collect();
        offering.sort_by_key(|held| !held.is_ready());
        offering.first().copied()
    }

    /// Waits until each has been opened or has failed, at most this long all together.
    pub(crate) fn settle(&self, patience: Duration) {
        let until = std::time::Instant::now() + patience;
        for held in self.all() {
            held.settle(until);
        }
    }
}

impl Drop for Devices {
    fn drop(&mut self) {
        self.all().for_each(|held| held.close());
    }
}

/// The answer for what a device, or gm on its behalf, did not do: `code` is [`custody::Fault::code`].
pub(crate) fn fault(code: &str, text: impl Into<String>) -> Fault {
    let code = match code {
        "device_library" | "device_absent" | "device_gone" | "device_silent" | "device_withheld" => Code::DeviceAbsent,
        "device_busy" => Code::Busy,
        "device_input" | "device_ciphertext" => Code::DataFormat,
        "device_not_offered" => Code::AlgorithmAbsent,
        _ => Code::DeviceRefused,
    };
    Fault::new(code, text)
}
