//! What was seen of certificates, by what.

use gm::trust::{Finding, Source, Stapled};
use records::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::{No, encode};
use crate::http::door::Door;
use crate::revocation::{Checked, States};

/// The state of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum StateName {
    /// A root, or nobody asked.
    NotAsked,
    /// Not revoked.
    Good,
    /// Revoked.
    Revoked,
    /// The responder does not know it.
    Unknown,
    /// Nothing proves it; accepted because the policy forgives that.
    Unproven,
}

/// What was seen of one certificate of the path.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StateView {
    /// Its serial number, in hexadecimal.
    serial: String,
    /// Name of its holder.
    subject: String,
    state: StateName,
    /// By what: `crl` or `ocsp`.
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<&'static str>,
    /// The list's number, or who answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    /// When the list or the answer was issued.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_at: Option<Timestamp>,
    /// Why there is no better evidence.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    troubles: Vec<String>,
}

impl From<&Checked> for StateView {
    fn from(checked: &Checked) -> Self {
        let (state, source) = match &checked.finding {
            Finding::NotAsked => (StateName::NotAsked, None),
            Finding::Good(source) => (StateName::Good, Some(source)),
            Finding::Revoked(_, source) => (StateName::Revoked, Some(source)),
            Finding::Unknown(source) => (StateName::Unknown, Some(source)),
            Finding::Unproven(_) => (StateName::Unproven, None),
        };
        let (by, name, issued_at) = match source {
            None => (None, None, None),
            Some(Source::Crl { number, this_update }) => (
                Some("crl"),
                number.as_ref().map(ToString::to_string),
                Some(*this_update),
            ),
            Some(Source::Ocsp { responder, produced_at }) => {
                (Some("ocsp"), Some(responder.clone()), Some(*produced_at))
            }
        };
        Self {
            serial: checked.serial.clone(),
            subject: checked.subject.clone(),
            state,
            by,
            source: name,
            issued_at: issued_at.map(Timestamp::from_offset),
            troubles: checked.troubles.clone(),
        }
    }
}

/// The states of a path.
pub(super) fn views(states: &States) -> Vec<StateView> {
    states.checked().iter().map(StateView::from).collect()
}

/// Evidence to be kept beside the signature (`RevocationValues` of CAdES, DER, Base64), where it is wanted.
pub(super) async fn evidence(door: &Door, all: &[States], wanted: bool) -> Result<Option<String>, No> {
    if !wanted {
        return Ok(None);
    }
    let mut stapled = Stapled::default();
    for states in all {
        let one = door.service.evidence(states).await.map_err(No::Act)?;
        stapled.crls.extend(one.crls);
        stapled.answers.extend(one.answers);
    }
    stapled.crls.dedup();
    let der = stapled
        .to_der()
        .map_err(|reason| No::Act(crate::service::refused(reason)))?;
    Ok(Some(encode(&der)))
}
