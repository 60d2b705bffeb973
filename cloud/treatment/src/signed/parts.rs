//! Parts that signed documents have in common, and what is said when one may not be written.

use std::fmt::Display;

use axum::http::StatusCode;
use base::ApiError;
use base::session::Member;
use care::consultation::PartiesOfVisit;
use records::document::{DocumentPatient, DocumentPerson};
use records::his::Diagnosis;
use records::{LocalDate, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

/// A person on the prescription.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PersonView {
    /// Staff id.
    pub id: String,
    /// Name.
    pub name: String,
    /// Title.
    pub title: String,
}

/// The one who signs, as signed documents name them; `code` is theirs in the HIS.
pub(crate) fn signer(member: &Member, code: &str) -> DocumentPerson {
    DocumentPerson {
        id: member.id.to_string(),
        code: code.to_owned(),
        name: member.name.clone(),
        title: member.title.clone(),
    }
}

/// The patient as signed documents show them.
pub(crate) fn patient(parties: &PartiesOfVisit, at: Timestamp) -> DocumentPatient {
    let p = &parties.patient;
    DocumentPatient {
        his_patient_id: p.his_patient_id.clone(),
        name: p.name.clone(),
        sex: p.sex.clone(),
        age: p.age(at.local_date()),
        weight: String::new(),
    }
}

/// What a doctor wants signed, apart from the time: a new saving of the draft or of the record, or a new day, is another
/// document.
pub(crate) fn intent(edition: u32, diagnoses: &[Diagnosis], day: LocalDate) -> Result<String, ApiError> {
    let diagnoses = serde_json::to_vec(diagnoses).map_err(ApiError::internal)?;
    Ok(format!("{edition}/{}/{day}", hex::encode(gm::sm3(&diagnoses))))
}

/// All objections to a draft in one message; the field is that of the first line concerned.
pub(crate) fn objected<O: Display>(
    code: &'static str,
    objections: &[O],
    line: impl Fn(&O) -> Option<usize>,
) -> ApiError {
    let text: Vec<_> = objections.iter().map(ToString::to_string).collect();
    let field = objections.iter().find_map(line).map(|n| format!("items[{n}]"));
    ApiError {
        field: field.map(Into::into),
        ..ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, code, text.join("；"))
    }
}
