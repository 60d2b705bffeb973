//! `signd` with a state as a hospital has it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use gm::Certificate;
use kit::ports::free_ports;
use kit::process::{Process, binary};
use kit::swtpm::SoftTpm;
use records::SystemClock;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use sign::application::{ApplicationId, ChainId, Policy};
use sign::engine::Rules;
use sign::guard::Guarded;
use sign::keys::{KeyAlgorithm, KeyCommand, NewKey};
use sign::{Engine, Refusal};

const BY: &str = "bench";
const HOSPITAL: &str = "永州示范医院";
/// Signing keys; the applications share them.
pub(super) const KEYS: usize = 8;
/// Applications.
pub(super) const APPLICATIONS: usize = 30;

/// Where a server lives.
pub(super) struct Place {
    config: PathBuf,
    pub(super) socket: PathBuf,
    port: u16,
}

/// Keys in use, certified by the hospital's own authority, and applications that may use them; the first application has
/// the bench's certificate.
pub(super) fn prepare(folder: &Path, tpm: &SoftTpm) -> Result<Place> {
    let state = folder.join("state");
    std::fs::create_dir_all(&state)?;
    let rules = Rules {
        pcrs: vec![0, 7],
        pin_min: 4,
        guarded: Guarded {
            memory_locked: false,
            no_dumps: false,
        },
    };
    let engine = Engine::open(
        &state,
        attest::Tpm::new(&tpm.tcti())?,
        rules,
        std::sync::Arc::new(SystemClock),
    )?;
    let mut keys = Vec::new();
    for number in 0..KEYS {
        let new = NewKey {
            label: format!("处方签名 {number}"),
            algorithm: KeyAlgorithm::Sm2,
            access_code: None,
            device: None,
            purpose: Default::default(),
        };
        let key = engine.generate_key(BY, &new)?;
        engine.certify_key_here(BY, key, HOSPITAL, &format!("处方签名服务{number}"))?;
        engine.command_key(BY, key, KeyCommand::Activate)?;
        keys.push(key);
    }
    let chain = ChainId("chn_own".to_owned());
    engine.import_own_chain(BY, &chain, HOSPITAL)?;
    for (number, key) in (0..APPLICATIONS).zip(keys.iter().cycle()) {
        let policy = Policy {
            keys: vec![*key],
            chains: vec![chain.clone()],
            ..Policy::default()
        };
        let id = format!("app_{number}");
        engine.register_application(BY, &id, &format!("应用系统{number}"), &policy)?;
    }
    let pem = CertificateDer::from_pem_file(folder.join("sender.pem"))?;
    let der = Certificate::parse(&pem).context("the application's certificate")?;
    let added: Result<(), Refusal> = engine.add_application_certificate(BY, &ApplicationId("app_0".to_owned()), &der);
    added?;

    let [port] = free_ports::<1>();
    let (config, socket) = (state.join("signd.toml"), state.join("signd.sock"));
    let text = format!(
        "state_dir = {state:?}\nsocket = {socket:?}\ntpm = {:?}\n[service]\nlisten = \"127.0.0.1:{port}\"\n\
         certificate = {:?}\nkey = {:?}\n",
        tpm.tcti(),
        folder.join("cloud.pem"),
        folder.join("cloud.key"),
    );
    std::fs::write(&config, text)?;
    Ok(Place { config, socket, port })
}

/// A running server.
pub(super) struct Server {
    process: Process,
    pub(super) port: u16,
    pub(super) started: Instant,
}

/// What a process keeps in memory, in MiB.
#[derive(Debug, Clone, Copy)]
pub(super) struct Memory {
    pub(super) resident: f64,
    /// Of it its own, not the program's file.
    own: f64,
}

impl std::fmt::Display for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { resident, own } = self;
        write!(
            f,
            "{resident:.1} MiB, of which {:.1} are the program's file",
            resident - own
        )
    }
}

impl Server {
    /// Starts it without waiting for anything.
    pub(super) fn start(place: &Place) -> Self {
        let mut command = Command::new(binary("signd"));
        command.arg("--config").arg(&place.config);
        let started = Instant::now();
        Self {
            process: Process::spawn(command),
            port: place.port,
            started,
        }
    }

    /// Ends it in good order.
    pub(super) fn stop(&mut self) -> Result<()> {
        let ended = self.process.stop(Duration::from_secs(30));
        ensure!(
            ended.is_some_and(|status| status.success()),
            "signd ended badly: {ended:?}"
        );
        Ok(())
    }

    pub(super) fn memory(&self) -> Result<Memory> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let of = |name: &str| -> Result<f64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
            Ok(kib.context("memory of a process")?.parse::<f64>()? / 1024.0)
        };
        Ok(Memory {
            resident: of("VmRSS:")?,
            own: of("RssAnon:")?,
        })
    }

    /// Processor time since its start.
    pub(super) fn processor_time(&self) -> Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        // After the name in brackets: state, …; user and system time are the 14th and 15th field of all, in ticks of 10 ms.
        let (_, fields) = stat.rsplit_once(") ").context("a process's times")?;
        let ticks: Vec<u64> = fields
            .split(' ')
            .skip(11)
            .take(2)
            .map(str::parse)
            .collect::<Result<_, _>>()?;
        Ok(Duration::from_millis(ticks.iter().sum::<u64>() * 10))
    }
}
