//! What a hospital calls at the appliance.

use serde::Deserialize;

use crate::mapping::Fields;

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
