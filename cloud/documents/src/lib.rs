//! The prescription (处方笺) as a PDF that proves itself: laid out from the signed document, sealed by the hospital over
//! its byte range (ISO 32000-1 12.8, detached CMS with SHA-256), made once and then only copied.

pub mod issue;
pub mod paper;
pub mod press;
pub mod seal;
pub mod sheet;

pub use issue::tick;
pub use press::{FontFiles, Press};

#[cfg(test)]
mod tests;
