//! The one place where this crate looks at a visit: what it needs of [`care`], and nothing more.

use base::{ApiError, Vault};
use care::consultation::{ConsultationSettings, PartiesOfVisit, VisitState};
use records::id::VisitId;
use store::Tx;

/// The visit of the doctor who asks; anybody else finds nothing.
pub(crate) async fn of_doctor(
    tx: &mut Tx<'_>,
    vault: &Vault,
    id: &VisitId,
    doctor_code: &str,
) -> Result<PartiesOfVisit, ApiError> {
    let found = care::consultation::for_doctor(tx, vault, id, doctor_code).await?;
    found.ok_or_else(ApiError::not_found)
}

/// The visit, for whoever has a right to what hangs on it.
pub(crate) async fn of(tx: &mut Tx<'_>, vault: &Vault, id: &VisitId) -> Result<PartiesOfVisit, ApiError> {
    let found = care::consultation::parties(tx, vault, id).await?;
    found.ok_or_else(ApiError::not_found)
}

/// Records are written and prescriptions begun only while the doctor is seeing the patient.
pub(crate) fn in_progress(parties: &PartiesOfVisit) -> Result<(), ApiError> {
    match parties.visit.state {
        VisitState::InProgress => Ok(()),
        VisitState::Finished => Err(ApiError::conflict(
            "visit_finished",
            "问诊已结束，病历不能再修改，也不能再开处方",
        )),
        _ => Err(ApiError::conflict("visit_state", "请先接诊")),
    }
}

/// Booking refuses patients the hospital has not seen within the period, for both purposes there are.
pub(crate) fn is_follow_up(parties: &PartiesOfVisit) -> bool {
    matches!(parties.visit.purpose.as_str(), "follow_up" | "renew_prescription")
}

/// A child below the age of the rule cannot be entered without guardian while the hospital's own limit is not lower.
pub(crate) async fn children_have_guardians(tx: &mut Tx<'_>) -> Result<bool, ApiError> {
    let settings: ConsultationSettings = base::settings::get(tx).await?;
    Ok(i64::from(settings.guardian_below_years) >= crate::prescribing::policy::CHILD_YEARS)
}

/// `陈*兰`, `李*`.
pub(crate) fn masked(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    match letters.as_slice() {
        [] => String::new(),
        [one] => one.to_string(),
        [first, _] => format!("{first}*"),
        [first, middle @ .., last] => format!("{first}{}{last}", "*".repeat(middle.len())),
    }
}
