//! Where a hospital's systems listen, on which wire, and what protects them.

use serde::Deserialize;

use crate::charset::Charset;

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

fn text_xml() -> String {
    "text/xml".to_owned()
}
fn version() -> String {
    "2.5".to_owned()
}
