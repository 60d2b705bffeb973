//! What a client is told: where the servers are, whom to trust, who asks, how long to wait.

use std::sync::Arc;
use std::time::Duration;

use records::{Clock, SystemClock};
use reqwest::Url;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use zeroize::Zeroizing;

use crate::Error;
use crate::server::is_name;

/// A connection that was idle for so long is not used again: servers close theirs after a minute, perhaps just then, and
/// nobody could say whether that request was done.
const IDLE: Duration = Duration::from_secs(45);

/// How the application proves who it is.
#[derive(Clone)]
pub enum Identity {
    /// By its client certificate: certificate, those above it and private key, PEM.
    Certificate(Zeroizing<String>),
    /// By its request key: HMAC-SM3 over each request.
    RequestKey {
        /// The application's id: `app_his`.
        application: String,
        /// The key as the management page gave it, decoded.
        key: Zeroizing<Vec<u8>>,
    },
}

impl Identity {
    /// By certificate and key, PEM.
    #[must_use]
    pub fn certificate(pem: impl Into<String>) -> Self {
        Self::Certificate(Zeroizing::new(pem.into()))
    }

    /// By request key.
    #[must_use]
    pub fn request_key(application: impl Into<String>, key: impl Into<Vec<u8>>) -> Self {
        Self::RequestKey {
            application: application.into(),
            key: Zeroizing::new(key.into()),
        }
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Certificate(_) => f.write_str("Certificate(…)"),
            Self::RequestKey { application, .. } => write!(f, "RequestKey({application}, …)"),
        }
    }
}

/// A client's settings.
#[derive(Clone)]
pub struct Settings {
    /// The servers: `https://sign1.hospital.local:8443`. Their keys are the same (one replicates the other).
    pub servers: Vec<String>,
    /// Who vouches for the servers: authorities' certificates, or the servers' own, PEM. Nobody else is trusted.
    pub trust_pem: String,
    /// Who asks.
    pub identity: Identity,
    /// The common name for which requests are signed with a request key where `servers` is a balancer's address: as it is
    /// configured on each server behind it (`common_name`). When absent each request is signed for the one server it goes to,
    /// and no other accepts it; a request signed for the common name is accepted once by each of them. So it is for balancers
    /// alone.
    pub common_name: Option<String>,
    /// A call ends within this time, all its tries included.
    pub deadline: Duration,
    /// One try ends within this time.
    pub patience: Duration,
    /// A server that does not accept a connection within this time is away.
    pub connect: Duration,
    /// Servers are asked so often whether they are ready.
    pub probe_every: Duration,
    /// Idle connections kept to each server.
    pub idle_connections: usize,
    /// What TLS is made of; `ring` when absent. `smtls` gives one with the national algorithms (RFC 8998).
    pub tls: Option<Arc<CryptoProvider>>,
    /// The time, for signed requests.
    pub clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("servers", &self.servers)
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

impl Settings {
    /// With the usual times.
    pub fn new<S: Into<String>>(servers: impl IntoIterator<Item = S>, identity: Identity) -> Self {
        Self {
            servers: servers.into_iter().map(Into::into).collect(),
            trust_pem: String::new(),
            identity,
            common_name: None,
            deadline: Duration::from_secs(10),
            patience: Duration::from_secs(3),
            connect: Duration::from_secs(1),
            probe_every: Duration::from_secs(1),
            idle_connections: 64,
            tls: None,
            clock: Arc::new(SystemClock),
        }
    }

    /// The servers' addresses, when they and their common name can be such.
    pub(crate) fn addresses(&self) -> Result<Vec<Url>, Error> {
        if self.common_name.as_deref().is_some_and(|name| !is_name(name)) {
            let text = "公共名称应与各台服务器的 service.common_name 相同，例如 sign.hospital.cn";
            return Err(Error::Settings(text.to_owned()));
        }
        if self.servers.is_empty() {
            return Err(Error::Settings("至少要有一台签名服务器的地址".to_owned()));
        }
        let read = |text: &String| {
            let url = Url::parse(text)
                .ok()
                .filter(|url| url.scheme() == "https" && url.host().is_some());
            url.ok_or_else(|| Error::Settings(format!("服务器地址 {text} 不正确，应以 https:// 开头")))
        };
        self.servers.iter().map(read).collect()
    }

    /// The HTTP client: one pool of connections for all servers.
    pub(crate) fn connections(&self) -> Result<reqwest::Client, Error> {
        let built = reqwest::Client::builder()
            .tls_backend_preconfigured(self.tls()?)
            .http1_only()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .tcp_nodelay(true)
            .connect_timeout(self.connect)
            .pool_max_idle_per_host(self.idle_connections)
            .pool_idle_timeout(IDLE)
            .build();
        built.map_err(|error| Error::Settings(error.to_string()))
    }

    fn tls(&self) -> Result<ClientConfig, Error> {
        let wrong = |what: &str| Error::Settings(format!("{what}不是有效的 PEM"));
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(self.trust_pem.as_bytes()) {
            let certificate = certificate.map_err(|_| wrong("信任的证书"))?;
            roots.add(certificate).map_err(|_| wrong("信任的证书"))?;
        }
        if roots.is_empty() {
            return Err(Error::Settings(
                "没有信任的证书：请给出签名服务器的证书或其 CA 证书".to_owned(),
            ));
        }
        let provider = self.tls.clone();
        let provider = provider.unwrap_or_else(|| Arc::new(rustls::crypto::ring::default_provider()));
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::Settings(error.to_string()))?
            .with_root_certificates(roots);
        let Identity::Certificate(pem) = &self.identity else {
            return Ok(config.with_no_client_auth());
        };
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
        let chain = chain.map_err(|_| wrong("客户端证书"))?;
        let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| wrong("客户端私钥"))?;
        config
            .with_client_auth_cert(chain, key)
            .map_err(|_| Error::Settings("客户端证书与私钥不匹配".to_owned()))
    }
}
