//! The configuration of `cloud`: one TOML file, unknown keys refused, paths relative to it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use link::tls::Offer;
use serde::{Deserialize, Serialize};

/// The file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) web: Web,
    pub(crate) store: Store,
    pub(crate) files: Files,
    pub(crate) vault: Vault,
    pub(crate) edge: Edge,
    #[serde(default)]
    pub(crate) broker: Broker,
    #[serde(default)]
    pub(crate) sms: Option<Sms>,
    #[serde(default)]
    pub(crate) documents: Documents,
    #[serde(default)]
    pub(crate) video: Video,
    #[serde(default)]
    pub(crate) media: Media,
}

/// People's side.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Web {
    /// Where the API and the apps are served, in clear: a proxy terminates HTTPS in front of it.
    pub(crate) listen: SocketAddr,
    /// Where people reach it.
    pub(crate) public_url: String,
    /// Folder with `patient`, `doctor`, `admin` and `verify`.
    pub(crate) apps: PathBuf,
    /// Cookies for HTTPS only.
    #[serde(default = "yes")]
    pub(crate) secure_cookies: bool,
}

const fn yes() -> bool {
    true
}

/// The database: one of the two.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Store {
    /// File, when alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sqlite: Option<PathBuf>,
    /// `postgres://user:secret@host/database`, for several replicas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) postgres: Option<String>,
}

/// Stored files.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Files {
    /// Their folder.
    pub(crate) folder: PathBuf,
    /// Hours after which an appliance's half-finished upload is forgotten, counted from its last part.
    #[serde(default = "unfinished_hours")]
    pub(crate) unfinished_hours: u32,
}

/// An appliance without a line comes back within a weekend.
const fn unfinished_hours() -> u32 {
    96
}

/// Encryption of personal data.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Vault {
    /// File with the master key, 64 hexadecimal characters. Made at the first start; keep a copy apart from the
    /// database: without it names and numbers are lost.
    pub(crate) key_file: PathBuf,
}

/// Appliances' side.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Edge {
    /// Enrolment and files, HTTPS.
    pub(crate) https: SocketAddr,
    /// The line, MQTT over mutual TLS: where the embedded broker listens. None with a broker of others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mqtt: Option<SocketAddr>,
    /// Names and addresses by which appliances reach us, for the certificate.
    pub(crate) names: Vec<String>,
    /// Folder of the device certificate authority; made if there is none.
    pub(crate) ca: PathBuf,
    /// Algorithms towards appliances, of the line and of enrolment and files: `classic`; `sm`, RFC 8998 alone; `sm-first`,
    /// `classic-first`, both, where the appliance's order decides. With SM, appliances trust `roots.pem` of the folder `ca`.
    #[serde(default = "classic")]
    pub(crate) tls: String,
}

fn classic() -> String {
    Offer::Classic.name().to_owned()
}

impl Edge {
    /// `tls`, read.
    pub(crate) fn offer(&self) -> Result<Offer> {
        self.tls.parse().context("[edge] tls")
    }
}

/// Which MQTT 5 broker carries the line.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Broker {
    /// The one in this process, at `[edge] mqtt`.
    #[default]
    Embedded,
    /// One of others, with our access list; see [`crate::broker`]. `cloud broker papers` writes what it needs.
    External {
        /// `mqtts://host:port`.
        address: String,
        /// The authority of its certificate, PEM; our device authority's root unless said otherwise.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ca: Option<PathBuf>,
        /// Our certificate there, whose common name the access list calls `cloud`. Our device authority issues one at each
        /// start unless said otherwise.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        papers: Option<Papers>,
        /// Our client identifier; one for each replica.
        #[serde(default = "client_id")]
        client_id: String,
    },
}

fn client_id() -> String {
    "cloud".to_owned()
}

/// A certificate and its key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Papers {
    /// Chain, PEM.
    pub(crate) certificate: PathBuf,
    /// Key, PEM.
    pub(crate) key: PathBuf,
}

/// Letters for the PDFs of prescriptions; Noto Sans CJK of the system unless said otherwise.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Documents {
    /// Regular face.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) regular: Option<PathBuf>,
    /// Bold face.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) bold: Option<PathBuf>,
    /// Face within a collection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) face: Option<u32>,
}

/// What is made of footage: pictures, playable copies, rescued files, exports. The letters of watermarks are those of
/// `[documents] regular`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Media {
    /// The program `media-worker`; beside this one unless said otherwise. It needs GStreamer 1.22 with its base, good, bad,
    /// ugly, libav and x plugins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) worker: Option<PathBuf>,
    /// Jobs at once; 0 makes nothing here, for replicas that serve people only.
    #[serde(default = "media_jobs")]
    pub(crate) jobs: u32,
    /// Threads of an encoder.
    #[serde(default = "media_threads")]
    pub(crate) threads: u32,
    /// Address space of a job.
    #[serde(default = "media_memory_mb")]
    pub(crate) memory_mb: u64,
}

/// One for what every recording gets, one for what people ask for.
const fn media_jobs() -> u32 {
    2
}

const fn media_threads() -> u32 {
    2
}

const fn media_memory_mb() -> u64 {
    3072
}

impl Default for Media {
    fn default() -> Self {
        Self {
            worker: None,
            jobs: media_jobs(),
            threads: media_threads(),
            memory_mb: media_memory_mb(),
        }
    }
}

/// The room server of video calls.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Video {
    /// Where it listens, UDP. On this machine only unless said otherwise.
    #[serde(default = "this_machine")]
    pub(crate) listen: SocketAddr,
    /// Where browsers reach that, when it is another address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) announce: Option<SocketAddr>,
    /// Our own TURN relay, for browsers whose network lets no UDP out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) turn: Option<Turn>,
    /// STUN and TURN servers of others, beside or instead of ours.
    #[serde(default)]
    pub(crate) relays: Vec<Relay>,
}

/// The TURN relay in this process. It relays to the room server only.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Turn {
    /// Where it listens, UDP and TCP, usually port 3478.
    pub(crate) listen: SocketAddr,
    /// `host:port` under which browsers reach it, when that is not the announced address of the rooms with our port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) public: Option<String>,
    /// TLS as well (`turns:`), for networks that let only that out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tls: Option<TurnTls>,
    /// Relayed calls of one party of a visit at once: a browser has one for each way in.
    #[serde(default = "per_user")]
    pub(crate) per_user: usize,
    /// Relayed calls at once.
    #[serde(default = "in_total")]
    pub(crate) in_total: usize,
}

const fn per_user() -> usize {
    8
}

const fn in_total() -> usize {
    512
}

/// TLS of the relay.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TurnTls {
    /// Where it listens (TCP), usually port 5349 or 443.
    pub(crate) listen: SocketAddr,
    /// `name:port` under which browsers reach it; the name must be the certificate's.
    pub(crate) public: String,
    /// Certificate chain, PEM, issued by an authority that browsers trust.
    pub(crate) certificate: PathBuf,
    /// Its key, PEM.
    pub(crate) key: PathBuf,
}

const fn this_machine() -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0)
}

impl Default for Video {
    fn default() -> Self {
        Self {
            listen: this_machine(),
            announce: None,
            turn: None,
            relays: Vec::new(),
        }
    }
}

/// A relay, as coturn's `use-auth-secret` has it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Relay {
    /// E.g. `turn:hospital.example:3478?transport=udp`.
    pub(crate) urls: Vec<String>,
    /// File with the shared secret; none for plain STUN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) secret_file: Option<PathBuf>,
}

/// Text messages through Tencent Cloud.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sms {
    /// Address of the API.
    pub(crate) base_url: String,
    /// Region of the service.
    #[serde(default = "region")]
    pub(crate) region: String,
    /// Application of the SMS service.
    pub(crate) app_id: String,
    /// Signature shown before the text.
    pub(crate) signature: String,
    /// `SecretId`.
    pub(crate) secret_id: String,
    /// File with the `SecretKey`.
    pub(crate) secret_key_file: PathBuf,
    /// Our template names and the provider's numbers.
    pub(crate) templates: std::collections::BTreeMap<String, String>,
}

fn region() -> String {
    "ap-guangzhou".to_owned()
}

impl std::fmt::Debug for Sms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sms")
            .field("base_url", &self.base_url)
            .finish_non_exhaustive()
    }
}

impl Config {
    /// Reads the file.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        let mut config: Self = toml::from_str(&text).with_context(|| format!("in {}", path.display()))?;
        if config.store.sqlite.is_some() == config.store.postgres.is_some() {
            bail!("in {}: [store] needs either `sqlite` or `postgres`", path.display());
        }
        if config.video.listen.ip().is_unspecified() && config.video.announce.is_none() {
            bail!(
                "in {}: [video] listens everywhere, so it needs `announce`",
                path.display()
            );
        }
        let offer = config.edge.offer().with_context(|| format!("in {}", path.display()))?;
        if offer.has_sm() && !matches!(config.broker, Broker::Embedded) {
            bail!(
                "in {}: [edge] tls = \"{offer}\" needs the embedded broker: brokers of others do not speak SM (RFC 8998); take \
                 [broker] out, or set [edge] tls = \"classic\"",
                path.display()
            );
        }
        if matches!(config.broker, Broker::Embedded) && config.edge.mqtt.is_none() {
            bail!(
                "in {}: [edge] needs `mqtt`, or [broker] the address of another broker",
                path.display()
            );
        }
        let base = path.parent().unwrap_or(Path::new(".")).to_owned();
        let mut paths = vec![
            &mut config.web.apps,
            &mut config.files.folder,
            &mut config.vault.key_file,
            &mut config.edge.ca,
        ];
        paths.extend(config.store.sqlite.as_mut());
        paths.extend(config.sms.as_mut().map(|sms| &mut sms.secret_key_file));
        let relays = &mut config.video.relays;
        paths.extend(relays.iter_mut().filter_map(|relay| relay.secret_file.as_mut()));
        if let Broker::External { ca, papers: own, .. } = &mut config.broker {
            paths.extend(ca.as_mut());
            paths.extend(own.iter_mut().flat_map(|own| [&mut own.certificate, &mut own.key]));
        }
        let tls = config.video.turn.as_mut().and_then(|turn| turn.tls.as_mut());
        paths.extend(tls.into_iter().flat_map(|tls| [&mut tls.certificate, &mut tls.key]));
        paths.extend(config.documents.regular.as_mut());
        paths.extend(config.documents.bold.as_mut());
        paths.extend(config.media.worker.as_mut());
        for path in paths {
            *path = base.join(&path);
        }
        config.web.public_url = config.web.public_url.trim_end_matches('/').to_owned();
        Ok(config)
    }
}
