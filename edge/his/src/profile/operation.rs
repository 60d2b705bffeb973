//! How each canonical operation is carried, and how an unknown outcome of it is found out.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::mapping::Fields;

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
