//! Certificate chains 证书链 and kept certificates 证书存储.

mod act;
mod settings;

pub use settings::ChainSettings;
