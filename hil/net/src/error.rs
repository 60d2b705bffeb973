use std::io;

/// Why a peer cannot run.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// A port could not be listened on or failed.
    #[error("port: {0}")]
    Port(#[from] io::Error),
    /// A given value cannot be used.
    #[error("{0}")]
    Setting(String),
}
