//! A hospital as data: where its systems listen, how they write, and how each canonical operation is carried.

mod callback;
mod check;
mod endpoint;
mod operation;

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use crate::convert::Habits;
use crate::mapping::Codes;

pub use callback::{Callbacks, MllpCallback, SoapCallback};
pub use endpoint::{EndpointProfile, Limits, MllpWire, SoapWire, Wire};
pub use operation::{Class, Detail, Hl7Binding, OperationProfile, Pages, Settle, Shape, SoapBinding};

/// A hospital's profile.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Name of the hospital this was agreed with.
    pub hospital: String,
    /// Money unit, date patterns, zone.
    #[serde(default)]
    pub habits: Habits,
    /// Endpoints by name.
    pub endpoints: BTreeMap<String, EndpointProfile>,
    /// Meaning of result codes.
    pub results: Results,
    /// Stable refusal codes by words that occur in the hospital's refusals.
    #[serde(default)]
    pub refusals: BTreeMap<String, Vec<String>>,
    /// Code maps.
    #[serde(default)]
    pub codes: Codes,
    /// Patience.
    #[serde(default)]
    pub retry: Retry,
    /// Operations.
    pub operations: BTreeMap<String, OperationProfile>,
    /// What the hospital calls at the appliance.
    #[serde(default)]
    pub callbacks: Callbacks,
}

/// Meaning of result codes; a code in no list is unknown and has to be asked about.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Results {
    /// Done.
    pub done: Vec<String>,
    /// Done, nothing found.
    pub empty: Vec<String>,
    /// Refused by a rule; the words are fit for the person.
    pub refused: Vec<String>,
    /// Did not happen; may be asked again.
    #[serde(default)]
    pub later: Vec<String>,
}

/// Patience of the command queue.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// First pause; doubles.
    pub first_ms: u64,
    /// Longest pause.
    pub cap_ms: u64,
    /// A command that could not be delivered for this long needs a hand.
    pub undelivered_s: u64,
    /// An outcome that could not be found out for this long needs a hand.
    pub unknown_s: u64,
    /// Times an effect may be tried again after the query proved that it is not there.
    pub resends: u32,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            first_ms: 1_000,
            cap_ms: 60_000,
            undelivered_s: 86_400,
            unknown_s: 1_800,
            resends: 5,
        }
    }
}

/// Why a profile cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// Not readable.
    #[error("cannot read profile {path}: {source}")]
    Read {
        /// File.
        path: String,
        /// Cause.
        source: std::io::Error,
    },
    /// Not in the form of a profile.
    #[error("profile: {0}")]
    Form(#[from] toml::de::Error),
    /// Contradicts itself.
    #[error("profile: {0}")]
    Content(String),
}

impl Profile {
    /// Reads and checks a profile file.
    ///
    /// # Errors
    /// See [`ProfileError`].
    pub fn load(path: &Path) -> Result<Self, ProfileError> {
        let text = std::fs::read_to_string(path).map_err(|source| ProfileError::Read {
            path: path.display().to_string(),
            source,
        })?;
        Self::parse(&text)
    }

    /// Reads and checks a profile.
    ///
    /// # Errors
    /// See [`ProfileError`].
    pub fn parse(text: &str) -> Result<Self, ProfileError> {
        let profile: Self = toml::from_str(text)?;
        profile.check().map_err(ProfileError::Content)?;
        Ok(profile)
    }

    /// Puts addresses of this site in place of the profile's, and routes operations to other endpoints.
    ///
    /// # Errors
    /// When an endpoint or operation is not in the profile, or a route leads to a wire the operation is not described for.
    pub fn at_site(
        mut self,
        addresses: &BTreeMap<String, String>,
        routes: &BTreeMap<String, String>,
    ) -> Result<Self, ProfileError> {
        for (name, address) in addresses {
            let endpoint = self
                .endpoints
                .get_mut(name)
                .ok_or_else(|| ProfileError::Content(format!("no endpoint {name} in this profile")))?;
            match &mut endpoint.wire {
                Wire::Soap(soap) => soap.url.clone_from(address),
                Wire::Mllp(mllp) => mllp.address.clone_from(address),
            }
        }
        for (name, via) in routes {
            let operation = self
                .operations
                .get_mut(name)
                .ok_or_else(|| ProfileError::Content(format!("no operation {name} in this profile")))?;
            operation.via.clone_from(via);
        }
        self.check().map_err(ProfileError::Content)?;
        Ok(self)
    }
}
