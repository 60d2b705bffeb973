//! Who meets in a visit, for the contexts that work on it.

use base::{Session, Vault};
use records::LocalDate;
use records::id::{PatientId, VisitId};
use store::{StoreError, Tx};

use super::store::find;
use super::{Side, Statement, Visit};
use crate::CareError;
use crate::patients;

/// The patient of a visit as the doctor and the HIS know them.
#[derive(Clone, PartialEq, Eq)]
pub struct PatientIdentity {
    /// Id.
    pub id: PatientId,
    /// Patient in the HIS.
    pub his_patient_id: String,
    /// Name.
    pub name: String,
    /// `M` or `F`.
    pub sex: String,
    /// Day of birth.
    pub birth_date: LocalDate,
    /// Phone.
    pub phone: String,
    /// Identity card number with the middle hidden.
    pub id_number_masked: String,
}

impl std::fmt::Debug for PatientIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PatientIdentity")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl PatientIdentity {
    /// Age in words on a day, e.g. `43岁`.
    pub fn age(&self, on: LocalDate) -> String {
        patients::identity_card::age_text(self.birth_date, on)
    }
}

/// Everything about the parties of a visit that other contexts need.
#[derive(Clone, Debug)]
pub struct PartiesOfVisit {
    /// The visit.
    pub visit: Visit,
    /// The patient.
    pub patient: PatientIdentity,
    /// The patient's words.
    pub statement: Statement,
}

/// The visit, its patient in clear and the patient's words; `None` when this hospital has no such visit.
///
/// # Errors
/// When the database fails or a sealed value does not open.
pub async fn parties(tx: &mut Tx<'_>, vault: &Vault, id: &VisitId) -> Result<Option<PartiesOfVisit>, CareError> {
    let Some(visit) = find(tx, id).await? else {
        return Ok(None);
    };
    let tenant = tx.tenant().clone();
    let patient = patients::store::get(tx, &visit.patient_id).await?;
    let statement = visit.statement(vault, &tenant)?;
    Ok(Some(PartiesOfVisit {
        patient: patients::identity(&patient, vault, &tenant)?,
        statement,
        visit,
    }))
}

/// Like [`parties`], but only for the doctor whose visit it is.
///
/// # Errors
/// When the database fails or a sealed value does not open.
pub async fn for_doctor(
    tx: &mut Tx<'_>,
    vault: &Vault,
    id: &VisitId,
    doctor_code: &str,
) -> Result<Option<PartiesOfVisit>, CareError> {
    Ok(parties(tx, vault, id)
        .await?
        .filter(|parties| parties.visit.doctor_code == doctor_code))
}

/// The visit with the side on which a session stands; `None` when it stands on none (or there is no such visit).
///
/// # Errors
/// When the database fails.
pub async fn participants(
    tx: &mut Tx<'_>,
    session: &Session,
    id: &VisitId,
) -> Result<Option<(Visit, Side)>, StoreError> {
    let found = find(tx, id).await?;
    Ok(found.and_then(|visit| visit.side_of(session).map(|side| (visit, side))))
}
