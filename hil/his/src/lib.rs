//! The bench hospital: a HIS with its own books that speaks SOAP and HL7 v2 and misbehaves on command.
//! Its wire is documented in `README.md`, as a vendor would. It shares no code with the product.

mod charset;
mod control;
mod desk;
mod hl7;
mod house;
mod http;
mod idnumber;
mod notice;
mod ops;
mod picture;
mod seed;
mod soap;
mod wire;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::TcpListener;

pub use charset::Charset;
pub use house::Options;
pub use seed::demo;

/// Where and how the hospital runs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The SQLite file.
    pub db: PathBuf,
    /// The seed of a new file.
    pub seed: u64,
    /// The SOAP port.
    pub soap: SocketAddr,
    /// The MLLP port.
    pub mllp: SocketAddr,
    /// The control port.
    pub control: SocketAddr,
    /// What may change later.
    pub options: Options,
}

/// Why the hospital cannot open.
#[derive(Debug, thiserror::Error)]
pub enum HisError {
    /// A port could not be listened on or failed.
    #[error("port: {0}")]
    Port(#[from] io::Error),
    /// The file could not be opened or filled.
    #[error("books: {0}")]
    Books(String),
}

/// The addresses a running hospital listens on.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    /// SOAP and report files.
    pub soap: SocketAddr,
    /// HL7 over MLLP.
    pub mllp: SocketAddr,
    /// Control.
    pub control: SocketAddr,
}

/// Opens the hospital, calls `serving` with its addresses, and serves until a port fails.
pub async fn run(settings: Settings, serving: impl FnOnce(Addresses)) -> Result<(), HisError> {
    let soap = TcpListener::bind(settings.soap).await?;
    let mllp = TcpListener::bind(settings.mllp).await?;
    let control = TcpListener::bind(settings.control).await?;
    let addresses = Addresses {
        soap: soap.local_addr()?,
        mllp: mllp.local_addr()?,
        control: control.local_addr()?,
    };
    let mut options = settings.options;
    if options.public_base.is_empty() {
        options.public_base = format!("http://{}", addresses.soap);
    }
    let house = house::House::open(&settings.db, settings.seed, options).map_err(|e| HisError::Books(e.to_string()))?;
    let house = Arc::new(house);
    let routes = control::routes(Arc::clone(&house)).merge(desk::routes(Arc::clone(&house)));
    serving(addresses);
    tokio::try_join!(
        soap::serve(Arc::clone(&house), soap),
        hl7::serve(Arc::clone(&house), mllp),
        rig::serve_control(control, routes),
        notice::deliver(Arc::clone(&house)),
    )?;
    Ok(())
}
