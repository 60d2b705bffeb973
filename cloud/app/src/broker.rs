//! The broker of the line: the embedded one, or one of others.
//!
//! # A broker of others
//! Any MQTT 5 broker that asks for client certificates and binds topics to their names. It carries frames and keeps nothing;
//! order, repetition and durability are ours. Who may speak for whom is *its* duty then: with a wrong access list one
//! appliance could speak for another. The list says: appliance `X` (common name of its certificate) publishes to
//! `yq/v1/X/up/#` and hears `yq/v1/X/dn/#`; `cloud` hears all `up` and publishes to all `dn`; nobody else anything.
//! It speaks classic TLS: no broker of others that we know of speaks SM (RFC 8998), so `[edge] tls` must be `classic` with it.
//! A suspended or revoked appliance may still connect there; what it says is not listened to here.
//!
//! `cloud broker papers --name HOST --out FOLDER` writes the broker's certificate of our device authority (appliances trust
//! no other), the authority, and [`MOSQUITTO`] and [`ACCESS`] ready to run: `mosquitto -c FOLDER/mosquitto.conf`. Repeat it
//! before the certificate's year is over. Then in `cloud.toml`:
//!
//! ```toml
//! [broker]
//! kind = "external"
//! address = "mqtts://HOST:8883"
//! ```
//!
//! and at the appliances `[cloud] broker = "mqtts://HOST:8883"`.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use base::Ctx;
use ca::Ca;
use clap::Subcommand;
use link::cloud::BrokerChoice;
use link::tls::{self, ClientCertificate};
use records::{Clock, SystemClock};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::authority::Authorities;
use crate::config::{Broker, Config};

/// What our certificate is called at a broker of others.
const OWN_NAME: &str = "cloud";

/// Mosquitto with client certificates of our device authority; `{…}` are filled in by `cloud broker papers`.
pub(crate) const MOSQUITTO: &str = "\
# Carries the line between appliances and the cloud; keeps nothing.
per_listener_settings false
allow_anonymous false
persistence false
log_dest stderr
acl_file {folder}/access
listener {port}
cafile {folder}/ca.pem
certfile {folder}/broker.pem
keyfile {folder}/broker.key
require_certificate true
use_identity_as_username true
tls_version tlsv1.3
set_tcp_nodelay true
max_packet_size 5242880
";

/// Who may speak and hear; `%u` is the common name of the client's certificate.
pub(crate) const ACCESS: &str = "\
user cloud
topic read yq/v1/+/up/+
topic write yq/v1/+/dn/+
pattern write yq/v1/%u/up/+
pattern read yq/v1/%u/dn/+
";

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Writes certificates and configuration for a broker of others.
    Papers {
        /// Configuration file of the cloud.
        #[arg(long)]
        config: PathBuf,
        /// Host name or address under which appliances and we reach the broker; may be given again.
        #[arg(long = "name", required = true)]
        names: Vec<String>,
        /// Port of the broker.
        #[arg(long, default_value_t = 8883)]
        port: u16,
        /// Folder to write to.
        #[arg(long)]
        out: PathBuf,
    },
}

pub(crate) fn run(command: Command) -> Result<()> {
    let Command::Papers {
        config,
        names,
        port,
        out,
    } = command;
    let config = Config::read(&config)?;
    let now = SystemClock.now();
    let ca = Ca::open_or_create(&config.edge.ca, now).context("opening the certificate authority")?;
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let issued = ca
        .issue_server(&names, now)
        .context("issuing the broker's certificate")?;
    std::fs::create_dir_all(&out).with_context(|| format!("making {}", out.display()))?;
    let out = out.canonicalize()?;
    let chain: String = issued.chain.iter().map(pem).collect();
    let place = out.display().to_string();
    let filled = MOSQUITTO
        .replace("{folder}", &place)
        .replace("{port}", &port.to_string());
    for (name, text, mode) in [
        ("ca.pem", pem(ca.root()), 0o644),
        ("broker.pem", chain, 0o644),
        ("broker.key", issued.key_pem, 0o600),
        ("access", ACCESS.to_owned(), 0o600),
        ("mosquitto.conf", filled, 0o644),
    ] {
        write(&out.join(name), &text, mode)?;
    }
    Ok(())
}

fn write(path: &Path, text: &str, mode: u32) -> Result<()> {
    let options = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(path);
    let written = options.and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()));
    written.with_context(|| format!("writing {}", path.display()))
}

fn pem(certificate: &CertificateDer<'static>) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(certificate);
    let lines: Vec<String> = text
        .as_bytes()
        .chunks(64)
        .map(|line| String::from_utf8_lossy(line).into_owned())
        .collect();
    format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        lines.join("\n")
    )
}

/// The broker as configured, with our papers for it.
pub(crate) fn choice(config: &Config, ctx: &Ctx, authorities: &Authorities) -> Result<BrokerChoice> {
    let own = &authorities.classic;
    let (address, authority, papers, client_id) = match &config.broker {
        Broker::Embedded => {
            return Ok(BrokerChoice::Embedded {
                listen: config.edge.mqtt.context("[edge] needs `mqtt`")?,
                tls: authorities.server_tls(ctx.now(), ClientCertificate::Required)?,
            });
        }
        Broker::External {
            address,
            ca,
            papers,
            client_id,
        } => (address, ca, papers, client_id),
    };
    let authority = match authority {
        Some(path) => CertificateDer::from_pem_file(path).with_context(|| format!("reading {}", path.display()))?,
        None => own.root().clone(),
    };
    let (chain, key) = match papers {
        Some(papers) => {
            let chain = CertificateDer::pem_file_iter(&papers.certificate)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .with_context(|| format!("reading {}", papers.certificate.display()))?;
            let key = PrivateKeyDer::from_pem_file(&papers.key)
                .with_context(|| format!("reading {}", papers.key.display()))?;
            (chain, key)
        }
        None => {
            let issued = own
                .issue_client(OWN_NAME, ctx.now())
                .context("issuing our certificate for the broker")?;
            let key = PrivateKeyDer::from_pem_slice(issued.key_pem.as_bytes()).context("reading our key")?;
            (issued.chain, key)
        }
    };
    tracing::info!(broker.address = address, "the line goes over a broker of others");
    Ok(BrokerChoice::External {
        url: address.clone(),
        tls: Arc::new(tls::client_config_with_key(
            tls::Offer::Classic,
            tls::roots([&authority])?,
            chain,
            key,
        )?),
        client_id: client_id.clone(),
    })
}
