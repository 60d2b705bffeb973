//! The ports of a run: consecutive from a first one, each with its meaning.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

/// What listens at a port of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Service {
    Web,
    Mqtt,
    EdgeHttps,
    Console,
    CallbackSoap,
    CallbackMllp,
    HisSoap,
    HisMllp,
    HisControl,
    Pay,
    PayControl,
    Sms,
    SmsControl,
    Printer,
    PrinterControl,
    LineMqtt,
    LineHttps,
    LineControl,
    Tpm,
    TpmControl,
    DockControl,
    Turn,
    Media,
    Sign,
    SignManage,
    Kiosk,
    KioskPrinter,
    KioskPrinterControl,
    ReaderControl,
    Outside,
    OutsideControl,
}

/// Ports taken by a run.
const COUNT: u16 = 32;
/// Below the range from which the system takes ports for outgoing connections: there a free port may be gone a moment
/// later.
const FREE: std::ops::Range<u16> = 20_000..32_000;

/// The ports of a run.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Ports {
    /// The first of them: the web apps.
    pub first: u16,
}

impl Ports {
    /// The port of a service.
    pub const fn of(self, service: Service) -> u16 {
        self.first + service as u16
    }

    /// `127.0.0.1:PORT`.
    pub fn address(self, service: Service) -> String {
        format!("127.0.0.1:{}", self.of(service))
    }

    /// `http://127.0.0.1:PORT`.
    pub fn http(self, service: Service) -> String {
        format!("http://{}", self.address(service))
    }

    /// A range nobody listens on, for this process alone until it ends.
    ///
    /// # Errors
    /// When none is found.
    pub fn free() -> Result<Self> {
        for _ in 0..200 {
            let candidate = Self {
                first: rand::random_range(FREE),
            };
            if candidate.taken().is_none() && kit::ports::claim(candidate.first..candidate.first + COUNT) {
                return Ok(candidate);
            }
        }
        bail!("no free range of {COUNT} ports")
    }

    /// The first port of the range that somebody listens on.
    pub fn taken(self) -> Option<u16> {
        (self.first..self.first + COUNT).find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_err())
    }
}
