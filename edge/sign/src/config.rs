//! Settings of `signd`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use gate::{CONNECTIONS, PER_ADDRESS};
use serde::{Deserialize, Serialize};

use crate::http::Bounds;
use crate::outside::OutsideConfig;
use crate::settings::OwnLists;
use crate::{Refusal, ServerName};

/// One TOML file; unknown keys are refused.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the state file lives.
    pub state_dir: PathBuf,
    /// The Unix socket to serve on.
    pub socket: PathBuf,
    /// `device:/dev/tpmrm0`, or `swtpm:host=127.0.0.1,port=2321`.
    #[serde(default = "default_tpm")]
    pub tpm: String,
    /// PCRs of the sha256 bank to which the key of keys is sealed.
    #[serde(default = "default_pcrs")]
    pub pcrs: Vec<u8>,
    /// Fewest digits of a signer's PIN, 4 to 12; five wrong ones lock it, whatever their length.
    #[serde(default = "default_pin_min")]
    pub pin_min: usize,
    /// Seconds for which a right PIN need not be stretched again, 0 to 900: it is asked for at each signature all the same.
    /// 0 stretches it every time.
    #[serde(default = "default_pin_remembered_s")]
    pub pin_remembered_s: u32,
    /// The HTTPS interface for applications; none when absent.
    #[serde(default)]
    pub service: Option<ServiceConfig>,
    /// The HTTPS interface for management; none when absent.
    #[serde(default)]
    pub manage: Option<ManageConfig>,
    /// Other appliances with the same keys.
    #[serde(default)]
    pub replica: ReplicaConfig,
    /// Where the lists of our own authority are published.
    #[serde(default)]
    pub revocation: RevocationConfig,
    /// States of the machine that its maker approves; none when absent.
    #[serde(default)]
    pub approval: Option<ApprovalConfig>,
    /// 3DES decrypts old data for applications; it never encrypts.
    #[serde(default)]
    pub decrypt_triple_des: bool,
    /// Devices that keep keys.
    #[serde(default)]
    pub device: Vec<DeviceConfig>,
    /// Signature servers of others that keep signers' keys.
    #[serde(default)]
    pub outside: Vec<OutsideConfig>,
    /// Users that may call besides the one `signd` runs as.
    #[serde(default)]
    pub allowed_uids: Vec<u32>,
}

/// The HTTPS interface for applications.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceConfig {
    /// Where to listen: `[::]:8443` for IPv4 and IPv6.
    pub listen: SocketAddr,
    /// The server's certificate and those above it, PEM. Without it and the key `signd` makes them itself, or takes what
    /// an administrator imports.
    #[serde(default)]
    pub certificate: Option<PathBuf>,
    /// Its private key, PEM.
    #[serde(default)]
    pub key: Option<PathBuf>,
    /// What is spoken: `classic`, `sm` (TLS 1.3 with SM2, SM3 and SM4, RFC 8998), or both: `sm-first`, `classic-first`.
    #[serde(default = "default_tls")]
    pub tls: String,
    /// Names and addresses for the certificate that `signd` makes.
    #[serde(default)]
    pub names: Vec<String>,
    /// A name that this server shares with others behind a balancer, the same on each: `sign.hospital.cn`. Applications
    /// that reach them through the balancer sign their requests for it, as they cannot know which server will answer.
    ///
    /// **The risk**: each server remembers only what it has accepted itself. A request signed for the common name that
    /// somebody takes down (at a balancer that ends TLS, in a proxy's log) can be sent once more to each of the other servers
    /// within five minutes, and is done there again; the log of each shows it. Without a common name that is refused
    /// (`other_server`). So it is left out where applications know the servers one by one, as our client does, or sign in by
    /// certificate.
    #[serde(default)]
    pub common_name: Option<String>,
    /// Connections that one address may have at a time, of 2048 in all: 1 to 2048. More are closed at once.
    #[serde(default = "default_per_address")]
    pub connections_per_address: usize,
    /// Addresses of balancers, which have everybody's connections: they are not bounded.
    #[serde(default)]
    pub balancers: Vec<IpAddr>,
}

impl ServiceConfig {
    /// The name it shares with others.
    pub fn common(&self) -> Result<Option<ServerName>, Refusal> {
        self.common_name.as_deref().map(ServerName::common).transpose()
    }

    /// What one address may have.
    pub fn bounds(&self) -> Result<Bounds, Refusal> {
        if !(1..=CONNECTIONS).contains(&self.connections_per_address) {
            let text = format!("service.connections_per_address 应为 1 至 {CONNECTIONS}。");
            return Err(Refusal::no("connections_per_address", text));
        }
        Ok(Bounds {
            per_address: self.connections_per_address,
            balancers: self.balancers.clone(),
        })
    }
}

/// The HTTPS interface for management.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManageConfig {
    /// Where to listen: `127.0.0.1:8444`.
    pub listen: SocketAddr,
    /// The folder of the built page; without it only the interface is served.
    #[serde(default)]
    pub web: Option<PathBuf>,
    /// Names and addresses for the certificate that `signd` makes.
    #[serde(default)]
    pub names: Vec<String>,
    /// Seconds without a request after which a session ends.
    #[serde(default = "default_idle_s")]
    pub idle_s: u32,
    /// Seconds after which a session ends however busy.
    #[serde(default = "default_longest_s")]
    pub longest_s: u32,
}

/// Replication to other appliances, or from one.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplicaConfig {
    /// This appliance's name, for people; the host's when absent.
    #[serde(default)]
    pub name: Option<String>,
    /// Certificates (PEM) of the makers of TPMs. With them another appliance's endorsement key is believed only by its
    /// maker's certificate; without, two administrators compare its fingerprint.
    #[serde(default)]
    pub endorsement_roots: Option<PathBuf>,
}

/// Publishing what our own authority revokes, as in
/// ```toml
/// [revocation]
/// address = "http://sign.hospital.cn:8480"
/// listen = "[::]:8480"
/// ```
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevocationConfig {
    /// Where verifiers reach the lists, without `/crl/…`: goes as distribution point into every certificate issued from
    /// then on (RFC 5280 4.2.1.13). The management page may say another; none when neither does.
    #[serde(default)]
    pub address: Option<String>,
    /// Serves the lists, and nothing else, by plain HTTP: they prove themselves by their signature, and a verifier that
    /// needed TLS to judge TLS would turn in a circle. The applications' interface serves them as well.
    #[serde(default)]
    pub listen: Option<SocketAddr>,
}

impl RevocationConfig {
    /// The address without a slash at its end.
    pub fn published(&self) -> Result<Option<String>, Refusal> {
        let said = OwnLists {
            address: self.address.clone(),
        };
        Ok(said.checked()?.address)
    }
}

/// Whose approvals open the key of keys after an update, and where they lie, as in
/// ```toml
/// [approval]
/// authority = "/usr/share/signd/maker.pem"
/// states = "/usr/share/signd/states"
/// ```
/// Each file there (`*.json`) is `{"pcrs": [0, 7], "policy": "…", "signature": "…"}`: see [`attest::approval`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalConfig {
    /// The maker's public key on P-256, PEM.
    pub authority: PathBuf,
    /// The folder of approvals; an update brings its own.
    pub states: PathBuf,
}

/// A device that keeps keys, as in
/// ```toml
/// [[device]]
/// name = "hsm1"
/// kind = "pkcs11"                # or "sdf", with library and password_file
/// module = "/usr/lib/softhsm/libsofthsm2.so"
/// token = "hospital"
/// pin_file = "/run/credentials/signd.service/hsm1.pin"
/// ```
/// What else may be set: [`custody::pkcs11::Config`], [`custody::sdf::Config`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeviceConfig {
    /// Its name: 1 to 32 small letters, digits and `-`. Keys are known by it; it never changes.
    pub name: String,
    /// Milliseconds within which it answers, 100 to 60,000.
    #[serde(default = "default_answer_ms")]
    pub answer_ms: u64,
    /// What it is.
    #[serde(flatten)]
    pub custody: custody::Config,
}

impl DeviceConfig {
    /// Whether it can be used.
    pub fn check(&self) -> Result<(), Refusal> {
        let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let named = (1..=32).contains(&self.name.len()) && self.name.bytes().all(letter);
        if !named || self.name == crate::keys::TPM {
            let text = "密码设备名称应为 1 至 32 个小写字母、数字或连字符，且不能是 tpm。";
            return Err(Refusal::no("device_name", text));
        }
        if !(100..=60_000).contains(&self.answer_ms) {
            let text = format!("密码设备 {} 的 answer_ms 应为 100 至 60000。", self.name);
            return Err(Refusal::no("device_answer", text));
        }
        let library = match &self.custody {
            custody::Config::Pkcs11(config) => &config.module,
            custody::Config::Sdf(config) => &config.library,
        };
        if !library.is_absolute() {
            let text = format!("密码设备 {} 的接口库应写绝对路径。", self.name);
            return Err(Refusal::no("device_library", text));
        }
        Ok(())
    }
}

fn default_answer_ms() -> u64 {
    5_000
}

fn default_idle_s() -> u32 {
    15 * 60
}

fn default_longest_s() -> u32 {
    8 * 3600
}

fn default_per_address() -> usize {
    PER_ADDRESS
}

fn default_tls() -> String {
    smtls::Offer::Classic.name().to_owned()
}

fn default_tpm() -> String {
    "device:/dev/tpmrm0".to_owned()
}

fn default_pin_min() -> usize {
    4
}

fn default_pin_remembered_s() -> u32 {
    300
}

fn default_pcrs() -> Vec<u8> {
    vec![0, 7]
}
