//! SQL of patients. Nothing that names a person is stored in clear, but what is shown masked.

use records::id::{AccountId, PatientId};
use records::{LocalDate, Timestamp};
use store::{Migration, StoreError, Tx};

use super::{Binding, Relation};
use crate::CareError;

store::id_value!(Relation);

pub(crate) const NAME: &str = "patient.name";
pub(crate) const ID_NUMBER: &str = "patient.id_number";
pub(crate) const PHONE: &str = "patient.phone";
pub(crate) const GUARDIAN: &str = "patient.guardian";

pub(crate) const MIGRATION: Migration = Migration {
    name: "care/0001_patients",
    sql: "
CREATE TABLE care_patient (
  tenant_id TEXT NOT NULL, id TEXT NOT NULL, account_id TEXT NOT NULL, relation TEXT NOT NULL,
  name_sealed BLOB NOT NULL, name_index TEXT NOT NULL, name_masked TEXT NOT NULL,
  id_number_sealed BLOB NOT NULL, id_number_index TEXT NOT NULL, id_number_masked TEXT NOT NULL,
  phone_sealed BLOB NOT NULL, phone_masked TEXT NOT NULL,
  guardian_sealed BLOB,
  sex TEXT NOT NULL CHECK (sex IN ('M','F')), birth_date TEXT NOT NULL,
  his_state TEXT NOT NULL CHECK (his_state IN ('pending','matched','created','refused')),
  his_patient_id TEXT, his_message TEXT, tries BIGINT NOT NULL DEFAULT 0, look_at BIGINT,
  created_at BIGINT NOT NULL, removed_at BIGINT,
  PRIMARY KEY (tenant_id, id),
  CHECK (his_state NOT IN ('matched','created') OR his_patient_id IS NOT NULL)
);
CREATE INDEX care_patient_by_account ON care_patient (tenant_id, account_id);
CREATE INDEX care_patient_by_name ON care_patient (tenant_id, name_index);
CREATE INDEX care_patient_by_look ON care_patient (tenant_id, look_at);
",
};

store::row! {
    /// A patient as stored.
    #[derive(Clone, Debug)]
    pub struct PatientRow {
        /// Id.
        pub id: PatientId,
        /// Account that entered them.
        pub account_id: AccountId,
        /// Relation to the account holder.
        pub relation: Relation,
        pub(crate) name_sealed: Vec<u8>,
        pub(crate) name_index: String,
        /// Name with the middle hidden.
        pub name_masked: String,
        pub(crate) id_number_sealed: Vec<u8>,
        pub(crate) id_number_index: String,
        /// Identity card number with the middle hidden.
        pub id_number_masked: String,
        pub(crate) phone_sealed: Vec<u8>,
        /// Phone with the middle hidden.
        pub phone_masked: String,
        pub(crate) guardian_sealed: Option<Vec<u8>>,
        /// `M` or `F`.
        pub sex: String,
        /// Day of birth.
        pub birth_date: LocalDate,
        pub(crate) his_state: String,
        /// Patient in the HIS, when bound.
        pub his_patient_id: Option<String>,
        /// What the HIS said.
        pub his_message: Option<String>,
        pub(crate) tries: i64,
        /// When they were entered.
        pub created_at: Timestamp,
        /// When they were taken off the list.
        pub removed_at: Option<Timestamp>,
    }
}

impl PatientRow {
    /// How the binding stands.
    pub fn binding(&self) -> Binding {
        let id = || self.his_patient_id.clone().unwrap_or_default();
        match self.his_state.as_str() {
            "matched" => Binding::Matched(id()),
            "created" => Binding::Created(id()),
            "refused" => Binding::Refused(self.his_message.clone().unwrap_or_default()),
            _ => Binding::Pending,
        }
    }
}

const COLUMNS: &str = PatientRow::COLUMNS;

pub(crate) async fn insert(tx: &mut Tx<'_>, p: &PatientRow) -> Result<(), StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    tx.exec(
        "INSERT INTO care_patient (tenant_id, id, account_id, relation, name_sealed, name_index, name_masked, \
         id_number_sealed, id_number_index, id_number_masked, phone_sealed, phone_masked, guardian_sealed, sex, \
         birth_date, his_state, look_at, created_at) \
         VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,'pending',$16,$16)",
        &[
            &tenant,
            &p.id,
            &p.account_id,
            &p.relation,
            &p.name_sealed,
            &p.name_index,
            &p.name_masked,
            &p.id_number_sealed,
            &p.id_number_index,
            &p.id_number_masked,
            &p.phone_sealed,
            &p.phone_masked,
            &p.guardian_sealed,
            &p.sex,
            &p.birth_date,
            &now,
        ],
    )
    .await?;
    Ok(())
}

pub(crate) async fn find(tx: &mut Tx<'_>, id: &PatientId) -> Result<Option<PatientRow>, StoreError> {
    let tenant = tx.tenant().clone();
    tx.opt(
        &format!("SELECT {COLUMNS} FROM care_patient WHERE tenant_id = $1 AND id = $2"),
        &[&tenant, id],
    )
    .await
}

pub(crate) async fn get(tx: &mut Tx<'_>, id: &PatientId) -> Result<PatientRow, CareError> {
    find(tx, id).await?.ok_or(CareError::Absent)
}

/// A patient on the list of this account.
pub(crate) async fn own(tx: &mut Tx<'_>, account: &AccountId, id: &PatientId) -> Result<PatientRow, CareError> {
    find(tx, id)
        .await?
        .filter(|p| p.account_id == *account && p.removed_at.is_none())
        .ok_or(CareError::Absent)
}

/// The list of an account, oldest first.
pub(crate) async fn list(tx: &mut Tx<'_>, account: &AccountId) -> Result<Vec<PatientRow>, StoreError> {
    let tenant = tx.tenant().clone();
    tx.all(
        &format!(
            "SELECT {COLUMNS} FROM care_patient WHERE tenant_id = $1 AND account_id = $2 AND removed_at IS NULL \
             ORDER BY created_at, id"
        ),
        &[&tenant, account],
    )
    .await
}

/// Writes how the binding stands, and when it is to be looked at again.
pub(crate) async fn bind(
    tx: &mut Tx<'_>,
    id: &PatientId,
    binding: &Binding,
    message: Option<&str>,
    tries: i64,
    look_at: Option<Timestamp>,
) -> Result<(), StoreError> {
    let tenant = tx.tenant().clone();
    let his = binding.his_patient_id();
    tx.exec(
        "UPDATE care_patient SET his_state = $3, his_patient_id = $4, his_message = $5, tries = $6, look_at = $7 \
         WHERE tenant_id = $1 AND id = $2",
        &[&tenant, id, &binding.as_str(), &his, &message, &tries, &look_at],
    )
    .await?;
    Ok(())
}

/// Takes a patient off the account's list; visits keep them.
pub(crate) async fn remove(tx: &mut Tx<'_>, id: &PatientId) -> Result<(), StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    tx.exec(
        "UPDATE care_patient SET removed_at = $3, look_at = NULL WHERE tenant_id = $1 AND id = $2",
        &[&tenant, id, &now],
    )
    .await?;
    Ok(())
}

/// Visits of the patient that are not over.
pub(crate) async fn living_visits(tx: &mut Tx<'_>, id: &PatientId) -> Result<i64, StoreError> {
    let tenant = tx.tenant().clone();
    let (count,): (i64,) = tx
        .one(
            "SELECT COUNT(*) FROM care_visit WHERE tenant_id = $1 AND patient_id = $2 AND state IN \
             ('locking','lock_unknown','awaiting_payment','confirming','waiting','checked_in','in_progress','manual')",
            &[&tenant, id],
        )
        .await?;
    Ok(count)
}

/// Takes patients whose binding is due, and puts their next turn off.
pub(crate) async fn claim_due(tx: &mut Tx<'_>, most: i64) -> Result<Vec<PatientRow>, StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    let due: Vec<PatientRow> = tx
        .all(
            &format!(
                "SELECT {COLUMNS} FROM care_patient WHERE tenant_id = $1 AND look_at <= $2 AND his_state = 'pending' \
                 ORDER BY look_at LIMIT $3"
            ),
            &[&tenant, &now, &most],
        )
        .await?;
    for patient in &due {
        let next = now.plus(std::time::Duration::from_secs(15));
        tx.exec(
            "UPDATE care_patient SET look_at = $3 WHERE tenant_id = $1 AND id = $2",
            &[&tenant, &patient.id, &next],
        )
        .await?;
    }
    Ok(due)
}
