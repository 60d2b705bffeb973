//! What every subcommand starts with: the database, the keys, the context of the handlers.

use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use base::{BlobStore, Ctx, Events, Hospital, SmsSender, Vault};
use records::{Clock, Entropy, Ids, SystemClock};
use store::{SqliteOptions, Store};

use crate::config::Config;
use crate::contexts;

/// The operating system's randomness.
struct Kernel;

impl Entropy for Kernel {
    fn fill(&self, buffer: &mut [u8]) {
        // Without randomness no token and no nonce may be made: stop at once.
        if getrandom::fill(buffer).is_err() {
            std::process::abort();
        }
    }
}

/// New identifiers.
pub(crate) fn ids() -> Arc<Ids> {
    Arc::new(Ids::new(Kernel))
}

/// Opens the database and brings its schema up to date.
pub(crate) async fn store(config: &Config) -> Result<Store> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store = match (&config.store.sqlite, &config.store.postgres) {
        (Some(path), _) => {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
            }
            Store::open_sqlite(path, SqliteOptions::default(), clock).await?
        }
        (None, Some(url)) => Store::open_postgres(url, clock).await?,
        (None, None) => anyhow::bail!("no database configured"),
    };
    for set in contexts::migrations() {
        store.migrate(set).await?;
    }
    Ok(store)
}

/// The master key; made at the first start.
pub(crate) fn vault(config: &Config, ids: &Arc<Ids>) -> Result<Vault> {
    let path = &config.vault.key_file;
    if !path.exists() {
        make_key(path, ids).with_context(|| format!("making {}", path.display()))?;
        tracing::warn!(vault.key = %path.display(), "master key made; keep a copy apart from the database");
    }
    let key = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    Vault::new(&key, ids.clone()).with_context(|| format!("in {}", path.display()))
}

fn make_key(path: &Path, ids: &Ids) -> std::io::Result<()> {
    use std::io::Write;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let key: String = ids.random::<32>().iter().map(|b| format!("{b:02x}")).collect();
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(key.as_bytes())?;
    file.sync_all()
}

/// The context of handlers and timers.
pub(crate) async fn ctx(
    config: &Config,
    store: Store,
    hospital: Arc<dyn Hospital>,
    sms: Arc<dyn SmsSender>,
) -> Result<Ctx> {
    let ids = ids();
    let blobs = BlobStore::open(&config.files.folder)
        .await
        .with_context(|| format!("opening {}", config.files.folder.display()))?;
    Ok(Ctx {
        clock: store.clock().clone(),
        store,
        hospital,
        events: Events::default(),
        blobs: Arc::new(blobs),
        vault: Arc::new(vault(config, &ids)?),
        ids,
        sms,
        sessions: Arc::default(),
        site: Arc::new(base::Site {
            public_url: config.web.public_url.clone(),
            secure_cookies: config.web.secure_cookies,
        }),
    })
}
