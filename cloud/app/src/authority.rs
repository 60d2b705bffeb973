//! The device authorities, and how we present ourselves to appliances: which algorithms, under which certificates.

use std::sync::Arc;

use anyhow::{Context, Result};
use ca::{Ca, ServerIdentity, SmCa};
use link::tls::{self, ClientCertificate, Offer, Own, Show};
use records::Timestamp;
use rustls::ServerConfig;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;

use crate::config::Edge;

/// The authorities of `[edge] ca`.
pub(crate) struct Authorities {
    /// Of the appliances, and of our classic certificates.
    pub(crate) classic: Arc<Ca>,
    /// Of our SM certificates; there when SM is offered.
    sm: Option<SmCa>,
    offer: Offer,
    names: Vec<String>,
}

impl Authorities {
    /// Opens them; made if there are none.
    pub(crate) fn open(edge: &Edge, now: Timestamp) -> Result<Self> {
        let offer = edge.offer()?;
        let classic = Ca::open_or_create(&edge.ca, now).context("opening the certificate authority")?;
        let sm = offer
            .has_sm()
            .then(|| SmCa::open_or_create(&edge.ca, now).context("opening the SM certificate authority"))
            .transpose()?;
        Ok(Self {
            classic: Arc::new(classic),
            sm,
            offer,
            names: edge.names.clone(),
        })
    }

    /// A listener's TLS with new certificates of ours, issued at every start.
    pub(crate) fn server_tls(&self, now: Timestamp, demand: ClientCertificate) -> Result<Arc<ServerConfig>> {
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        let classic = || {
            own(self
                .classic
                .issue_server(&names, now)
                .context("issuing our certificate")?)
        };
        let show = match &self.sm {
            None => Show::Classic(classic()?),
            Some(authority) => {
                let sm = own(authority
                    .issue_server(&names, now)
                    .context("issuing our SM certificate")?)?;
                if self.offer.has_classic() {
                    Show::Both {
                        sm,
                        classic: classic()?,
                    }
                } else {
                    Show::Sm(sm)
                }
            }
        };
        let clients = tls::roots([self.classic.root()])?;
        Ok(Arc::new(tls::server_config(show, clients, demand)?))
    }
}

fn own(identity: ServerIdentity) -> Result<Own> {
    Ok(Own {
        key: PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes()).context("reading our key")?,
        chain: identity.chain,
    })
}
