//! A run: everything started in order, with its data in one folder; a second start finds the data and is quick.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use smtls::Offer;

use crate::leftovers::{self, Claim};
use crate::ports::{Ports, Service};
use crate::processes::Processes;
use crate::{Addresses, bench, demo, product};

/// How a run is made.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where everything listens.
    pub ports: Ports,
    /// Minutes for which the hospital and we hold an unpaid slot.
    pub lock_minutes: u32,
    /// Run the cloud on this PostgreSQL database instead of SQLite.
    pub postgres: Option<String>,
    /// Carry the line over Debian's Mosquitto instead of the embedded broker.
    pub mosquitto: bool,
    /// TLS algorithms of the line, of enrolment and of files.
    pub tls: Offer,
    /// Bind the signature server to one of others (GB/T 38629), in whose keeping signers' keys may be.
    pub outside: bool,
    /// Told as each part comes up.
    pub progress: fn(&str),
}

impl Options {
    /// Ports nobody uses, everything else as by default.
    ///
    /// # Errors
    /// When no ports are free.
    pub fn free_ports() -> Result<Self> {
        Ok(Self::at(Ports::free()?))
    }

    /// These ports, everything else as by default.
    pub fn at(ports: Ports) -> Self {
        Self {
            ports,
            lock_minutes: 15,
            postgres: None,
            mosquitto: false,
            tls: Offer::Classic,
            outside: false,
            progress: |_| {},
        }
    }
}

/// Where things lie.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    /// Data of the run.
    pub(crate) data: PathBuf,
    /// Built programs.
    programs: PathBuf,
    /// The project.
    pub(crate) project: PathBuf,
}

impl Layout {
    fn new(data: &Path) -> Result<Self> {
        std::fs::create_dir_all(data).with_context(|| format!("making {}", data.display()))?;
        let data = data.canonicalize()?;
        for folder in ["bench", "cloud", "edge", "signd", "logs"] {
            std::fs::create_dir_all(data.join(folder))?;
        }
        let programs = programs()?;
        let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
        Ok(Self {
            data,
            programs,
            project,
        })
    }

    /// A built program.
    pub(crate) fn binary(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    /// Keys of the merchant account.
    pub(crate) fn merchant_keys(&self) -> PathBuf {
        self.data.join("bench/pay-keys")
    }

    /// The dock's firmware image; lies in the target folder whatever the profile.
    pub(crate) fn firmware(&self) -> PathBuf {
        let target = self.programs.parent().unwrap_or(&self.programs);
        target.join("firmware/thumbv7em-none-eabihf/release/board-mps2")
    }

    /// Folder of the outside signature server.
    pub(crate) fn outside(&self) -> PathBuf {
        self.data.join("bench/outside")
    }

    /// Serial line of the dock.
    pub(crate) fn dock_tty(&self) -> PathBuf {
        self.data.join("edge/dock.tty")
    }
}

/// A running site.
#[derive(Debug)]
pub struct Site {
    processes: Processes,
    addresses: Addresses,
    _claim: Claim,
}

/// The folder of the built programs: ours, or for a test binary the one above it.
fn programs() -> Result<PathBuf> {
    let own = std::env::current_exe().context("own path")?;
    let beside = own.parent().context("own folder")?;
    let folder = match beside.parent() {
        Some(above) if beside.ends_with("deps") => above,
        _ => beside,
    };
    Ok(folder.to_path_buf())
}

/// Has to be called once before anything here: one TLS provider for the process.
pub fn prepare() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Where a built program lies, e.g. `cloud`.
///
/// # Errors
/// When our own place cannot be found.
pub fn program(name: &str) -> Result<PathBuf> {
    Ok(programs()?.join(name))
}

impl Site {
    /// Starts everything, with its data in `folder`.
    ///
    /// # Errors
    /// When a port is taken or a part does not come up; the end of its log is in the message.
    pub async fn start(folder: &Path, options: Options) -> Result<Self> {
        Self::start_in(Claim::take(folder)?, options).await
    }

    /// Starts everything, with its data in a folder that was claimed before.
    ///
    /// # Errors
    /// See [`Self::start`].
    pub async fn start_in(claim: Claim, options: Options) -> Result<Self> {
        let ports = options.ports;
        let layout = Layout::new(claim.data())?;
        let left = leftovers::end(&layout.data).await?;
        if left > 0 {
            (options.progress)(&format!("{left} processes of a run that was killed are stopped"));
        }
        if let Some(port) = ports.taken() {
            bail!("port {port} is in use: stop what listens there, or choose another first port with --port");
        }
        let mut processes = Processes::new(&layout.data)?;
        let his = start_bench(&mut processes, &layout, &options).await?;
        product::start(&mut processes, &layout, &options, &his).await?;
        let addresses = Addresses {
            web: format!("http://localhost:{}", ports.of(Service::Web)),
            console: ports.http(Service::Console),
            signd: format!("https://{}", ports.address(Service::SignManage)),
            his: ports.http(Service::HisControl),
            pay: ports.http(Service::PayControl),
            sms: ports.http(Service::SmsControl),
            printer: ports.http(Service::PrinterControl),
            line: ports.http(Service::LineControl),
            dock: ports.http(Service::DockControl),
            kiosk: ports.http(Service::Kiosk),
            kiosk_printer: ports.http(Service::KioskPrinterControl),
            reader: ports.http(Service::ReaderControl),
            phone: ports.http(Service::Sms),
            paper: ports.http(Service::PrinterControl),
            data: layout.data.clone(),
            demo: demo::people(&his)?,
        };
        Ok(Self {
            processes,
            addresses,
            _claim: claim,
        })
    }

    /// Where everything is.
    pub const fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// The daemons, to kill and restart.
    pub const fn processes(&mut self) -> &mut Processes {
        &mut self.processes
    }

    /// Stops everything in order; names what had to be killed.
    pub async fn stop(&mut self) -> Vec<&'static str> {
        self.processes.stop().await
    }
}

/// Starts the peers; answers what the bench hospital tells of its people.
async fn start_bench(processes: &mut Processes, layout: &Layout, options: &Options) -> Result<Value> {
    let ports = options.ports;
    (options.progress)("software TPM, hospital, payment channel, SMS gateway, printers, dock, card reader");
    processes.start(bench::tpm(layout, ports)).await?;
    processes.start(bench::his(layout, ports, options.lock_minutes)).await?;
    processes.start(bench::pay(layout, ports)).await?;
    processes.start(bench::sms(layout, ports)?).await?;
    processes.start(bench::printer(layout, ports)).await?;
    processes.start(bench::line(layout, ports)).await?;
    processes.start(bench::dock(layout, ports)).await?;
    processes.start(bench::kiosk_printer(layout, ports)).await?;
    processes.start(bench::reader(layout, ports)).await?;
    if options.outside {
        processes.start(bench::outside(layout, ports)).await?;
    }
    let url = format!("{}/control/demo", ports.http(Service::HisControl));
    reqwest::get(&url)
        .await?
        .json()
        .await
        .context("people of the bench hospital")
}
