//! The prescription (处方笺) and the medical record (病历) as PDFs that prove themselves: laid out from the signed document,
//! sealed by the hospital over their byte range (ISO 32000-1 12.8, detached CMS with SHA-256), made once and then only
//! copied.

pub mod chart;
pub mod issue;
pub mod paper;
pub mod press;
pub mod seal;
pub mod sheet;

pub use issue::tick;
pub use press::{FontFiles, Press};

#[cfg(test)]
mod tests;
