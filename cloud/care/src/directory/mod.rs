//! Departments and doctors that the hospital shows online. They come from the HIS's dictionaries and are kept here, so
//! that the list is there when the line is not; what a hospital does not show online is left out.

pub(crate) mod routes;
pub(crate) mod store;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use store::{department, doctor};

/// A kept list older than this is fetched again.
pub(crate) const FRESH: Duration = Duration::from_secs(5 * 60);
