//! Video calls: the room server, our relay to it, and relays of others.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use base::Ctx;
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use video::engine::{self, RoomServer};
use video::turn::{TurnConfig, TurnServer, TurnTls};
use video::{Relay, Video};

use crate::config::{self, Config};

/// Opens the room server and the relays to it.
pub(crate) async fn open(config: &Config, ctx: &Ctx) -> Result<(Video, Option<TurnServer>)> {
    let server = RoomServer::start(engine::ServerConfig {
        bind: config.video.listen,
        announce: config.video.announce,
        recordings: config.files.folder.join("recordings"),
    });
    let server = server
        .await
        .with_context(|| format!("opening the video port {}", config.video.listen))?;
    tracing::info!(video.address = %server.address(), "video calls");
    let turn = match &config.video.turn {
        Some(turn) => relay(turn, &server, ctx).await?,
        None => None,
    };
    let mut relays: Vec<Relay> = turn.iter().map(TurnServer::relay).collect();
    for relay in &config.video.relays {
        let secret = match &relay.secret_file {
            Some(path) => {
                let secret = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
                Some(secret.trim().to_owned())
            }
            None => None,
        };
        let urls = relay.urls.clone();
        relays.push(Relay { urls, secret });
    }
    Ok((Video::new(ctx, Arc::new(server), relays), turn))
}

/// Our relay. When its port is taken calls still work wherever UDP does, so everything else goes on.
async fn relay(turn: &config::Turn, server: &RoomServer, ctx: &Ctx) -> Result<Option<TurnServer>> {
    let tls = match &turn.tls {
        Some(tls) => Some(TurnTls {
            listen: tls.listen,
            public: tls.public.clone(),
            config: Arc::new(certificate(&tls.certificate, &tls.key)?),
        }),
        None => None,
    };
    let secret: String = ctx.ids.random::<32>().iter().map(|b| format!("{b:02x}")).collect();
    let settings = TurnConfig {
        listen: turn.listen,
        public: turn.public.clone(),
        tls,
        peer: server.address(),
        peer_here: server.bound(),
        realm: "yiqiao".to_owned(),
        secret,
        per_user: turn.per_user,
        in_total: turn.in_total,
    };
    match TurnServer::start(settings, ctx.clock.clone()).await {
        Ok(started) => {
            tracing::info!(video.relay = %started.address(), "relay for video calls");
            Ok(Some(started))
        }
        Err(error) => {
            tracing::error!(
                video.relay = %turn.listen, %error,
                "the relay's port cannot be opened: callers behind networks without UDP cannot join; free the port or change [video.turn]"
            );
            Ok(None)
        }
    }
}

fn certificate(chain: &Path, key: &Path) -> Result<ServerConfig> {
    let read = || -> Result<ServerConfig> {
        let chain = CertificateDer::pem_file_iter(chain)?.collect::<Result<Vec<_>, _>>()?;
        let key = PrivateKeyDer::from_pem_file(key)?;
        Ok(ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(chain, key)?)
    };
    read().with_context(|| format!("the relay's certificate {} and key {}", chain.display(), key.display()))
}
