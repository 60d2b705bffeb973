//! A hospital as data: where its systems listen, how they write, and how each canonical operation is carried.

mod check;

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::charset::Charset;
use crate::convert::Habits;
use crate::mapping::{Codes, Fields};

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

/// One endpoint of the hospital.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointProfile {
    /// Name for people.
    pub name: String,
    /// Wire.
    pub wire: Wire,
    /// Protection.
    #[serde(default)]
    pub limits: Limits,
}

/// The wire of an endpoint.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum Wire {
    /// XML in a string inside SOAP over HTTP.
    Soap(SoapWire),
    /// HL7 version 2 over MLLP.
    Mllp(MllpWire),
}

/// SOAP shape A.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SoapWire {
    /// Address.
    pub url: String,
    /// Charset of requests.
    #[serde(default)]
    pub charset: Charset,
    /// `Content-Type` without charset.
    #[serde(default = "text_xml")]
    pub content_type: String,
    /// `SOAPAction` with `{method}`.
    pub action: String,
    /// Envelope with `{charset}`, `{method}` and `{payload}` (escaped).
    pub envelope: String,
    /// The inner document with `{fields}`.
    pub payload: String,
    /// Element that holds the reply string, with `{method}`.
    pub reply_element: String,
    /// Path of the result code within the inner reply.
    pub code: String,
    /// Path of the words.
    pub words: String,
    /// Path of the items.
    pub items: String,
}

/// HL7 over MLLP.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MllpWire {
    /// `host:port`.
    pub address: String,
    /// Charset.
    #[serde(default)]
    pub charset: Charset,
    /// MSH-12.
    #[serde(default = "version")]
    pub version: String,
    /// MSH-3 and MSH-4.
    pub sender: (String, String),
    /// MSH-5 and MSH-6.
    pub receiver: (String, String),
    /// Enhanced mode: ask for a commit acknowledgement first.
    #[serde(default)]
    pub enhanced: bool,
}

/// Protection of an endpoint.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Requests at the same time.
    pub concurrency: usize,
    /// Requests that may wait; more are turned away.
    pub queue: usize,
    /// Requests per second (safety threshold); more are turned away.
    pub per_second: u32,
    /// Deadline of one exchange.
    pub timeout_ms: u64,
    /// Deadline of connecting.
    pub connect_ms: u64,
    /// Slower than this on average is shown as slow.
    pub slow_ms: u64,
    /// Failures in a row that open the breaker.
    pub failures: u32,
    /// First pause of an open breaker; doubles up to eight times itself.
    pub pause_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            concurrency: 4,
            queue: 64,
            per_second: 50,
            timeout_ms: 8_000,
            connect_ms: 2_000,
            slow_ms: 1_500,
            failures: 5,
            pause_ms: 5_000,
        }
    }
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

/// How one operation is carried.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperationProfile {
    /// Endpoint.
    pub via: String,
    /// Whether and how it may be sent again.
    pub class: Class,
    /// Deadline of one exchange, when it differs from the endpoint's.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
    /// Answers stay good for this long (dictionaries).
    #[serde(default)]
    pub cache_s: Option<u64>,
    /// Carried by SOAP.
    #[serde(default)]
    pub soap: Option<SoapBinding>,
    /// Carried by HL7.
    #[serde(default)]
    pub hl7: Option<Hl7Binding>,
    /// How an unknown outcome is found out.
    #[serde(default)]
    pub settle: Option<Settle>,
    /// Success is believed only after the settling query confirms it.
    #[serde(default)]
    pub verify: bool,
}

/// Whether and how an operation may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Changes nothing.
    Read,
    /// May be sent again with the same key until a definite answer (可重发, or a state that is set).
    Resend,
    /// Must be asked about before it may be sent again.
    QueryFirst,
}

/// Shape of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// One object.
    #[default]
    One,
    /// One object or null.
    Optional,
    /// A list.
    List,
    /// Nothing to tell.
    Nothing,
}

/// An operation over SOAP.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SoapBinding {
    /// Method name.
    pub method: String,
    /// Request fields.
    #[serde(default)]
    pub request: Fields,
    /// Shape of the answer.
    #[serde(default)]
    pub reply: Shape,
    /// Response fields from one item.
    #[serde(default)]
    pub response: Fields,
    /// Answer when the hospital says that nothing was found.
    #[serde(default)]
    pub empty: Option<Value>,
    /// Refusal when the hospital says that nothing was found: code and words.
    #[serde(default)]
    pub empty_refusal: Option<(String, String)>,
    /// Items are kept only with these values.
    #[serde(default)]
    pub keep: BTreeMap<String, Vec<String>>,
    /// Items are kept only when this wire field equals that field of the request, where the request has it.
    #[serde(default)]
    pub matching: BTreeMap<String, String>,
    /// Pages to be fetched one after another.
    #[serde(default)]
    pub pages: Option<Pages>,
    /// For catalogues: an item that does not fit (a price finer than the canonical unit) is left out and named in the
    /// log, the others stand. Without it one such item makes the whole answer unclear.
    #[serde(default)]
    pub leave_out_misfits: bool,
    /// A second call for each item.
    #[serde(default)]
    pub detail: Option<Detail>,
}

/// Paging.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pages {
    /// Field of the page number, from 1.
    pub number: String,
    /// Field of the page size.
    pub size: String,
    /// Page size.
    pub of: u32,
    /// Item field with the number of all items.
    pub total: String,
}

/// A second call for each item of a list.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Detail {
    /// Method.
    pub method: String,
    /// Request fields from the wire item; `^path` from the canonical request.
    pub request: Fields,
    /// Response fields from a detail item.
    pub response: Fields,
    /// Canonical field that takes the list of details; absent: the first detail's fields join the item's.
    #[serde(default)]
    pub into: Option<String>,
}

/// An operation over HL7.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hl7Binding {
    /// MSH-9.
    pub message: String,
    /// The segments after MSH, one a line, with `{placeholders}` and `@each` / `@if` / `@end` lines.
    pub body: String,
    /// Shape of the answer.
    #[serde(default)]
    pub reply: Shape,
    /// Segment each item begins with, for lists and optional answers.
    #[serde(default)]
    pub items: Option<String>,
    /// Response fields.
    #[serde(default)]
    pub response: Fields,
    /// Reading operation asked with the same request for the answer.
    #[serde(default)]
    pub then: Option<String>,
}

/// How an unknown outcome is found out: a query over SOAP.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settle {
    /// Endpoint.
    pub via: String,
    /// Method.
    pub method: String,
    /// Request fields from the writing operation's request.
    pub request: Fields,
    /// Item must carry these values of the request, else it does not count: wire field → path in the request.
    #[serde(default)]
    pub matching: BTreeMap<String, String>,
    /// Item field with the state; absent: an item found is a thing done.
    #[serde(default)]
    pub state: Option<String>,
    /// States that prove that it happened.
    #[serde(default)]
    pub done: Vec<String>,
    /// States that prove that it did not.
    #[serde(default)]
    pub absent: Vec<String>,
    /// States in which it cannot happen any more: state → words for the person.
    #[serde(default)]
    pub refused: BTreeMap<String, String>,
    /// Response fields from the item.
    #[serde(default)]
    pub response: Fields,
}

/// What the hospital calls at the appliance.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Callbacks {
    /// Stop-clinic by SOAP.
    pub soap: Option<SoapCallback>,
    /// Stop-clinic by HL7.
    pub mllp: Option<MllpCallback>,
}

/// Stop-clinic by SOAP.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SoapCallback {
    /// Path, e.g. `/services/platform`.
    pub path: String,
    /// Namespace.
    pub namespace: String,
    /// Method.
    pub method: String,
    /// Name of the string argument.
    pub argument: String,
    /// Path of the fields within the inner document, below its root.
    pub fields: String,
    /// Fields of `records::his::StopClinic`.
    pub notice: Fields,
    /// Field with the comma list of order numbers.
    pub orders: String,
    /// Result codes we answer with: accepted, accepted before, not understood, try again.
    pub codes: (String, String, String, String),
}

/// Stop-clinic by HL7.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MllpCallback {
    /// Triggers of MSH-9 that stop a clinic, e.g. `SIU^S15`.
    pub triggers: Vec<String>,
    /// Versions of MSH-12 that are accepted.
    pub versions: Vec<String>,
    /// Fields of `records::his::StopClinic`; `notice_id` is MSH-10.
    pub notice: Fields,
    /// Path with the order number, when the message names one.
    pub order: String,
}

fn text_xml() -> String {
    "text/xml".to_owned()
}
fn version() -> String {
    "2.5".to_owned()
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
