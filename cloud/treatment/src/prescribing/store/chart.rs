//! The row of a prescription, and what is read out of it.

use base::Vault;
use records::id::{AccountId, PatientId, PrescriptionId, StaffId, VisitId};
use records::{Fen, LocalDate, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::StoreError;
use utoipa::ToSchema;

use crate::prescribing::{Herbal, Kind, Line, Prescription, State};

store::row! {
    /// A prescription with everything around it.
    #[derive(Clone, Debug)]
    pub(crate) struct Chart {
        /// Number.
        pub(crate) id: PrescriptionId,
        /// 1 for the first.
        pub(crate) revision: u32,
        /// The one it corrects.
        pub(crate) revises: Option<PrescriptionId>,
        /// Counts the savings of the draft.
        pub(crate) edition: u32,
        /// Visit.
        pub(crate) visit_id: VisitId,
        /// Account that sees and pays it.
        pub(crate) account_id: AccountId,
        /// Patient.
        pub(crate) patient_id: PatientId,
        /// Patient in the HIS.
        pub(crate) his_patient_id: String,
        /// Patient's name with the middle hidden.
        pub(crate) patient_masked: String,
        /// Treating doctor.
        pub(crate) doctor_id: StaffId,
        /// Their code in the HIS.
        pub(crate) doctor_code: String,
        /// Their name.
        pub(crate) doctor_name: String,
        /// Their title.
        pub(crate) doctor_title: String,
        /// Department.
        pub(crate) department_code: String,
        /// Its name.
        pub(crate) department_name: String,
        /// Western or herbal.
        pub(crate) kind: Kind,
        /// Lines (JSON of [`Line`]).
        pub(crate) lines: Value,
        /// Herbal part (JSON of [`Herbal`]).
        pub(crate) herbal: Option<Value>,
        /// Sum.
        pub(crate) total_fen: Fen,
        /// State.
        pub(crate) state: State,
        /// When it was last written.
        pub(crate) written_at: Timestamp,
        /// Last day.
        pub(crate) valid_until: Option<LocalDate>,
        /// Pharmacist who decided last.
        pub(crate) pharmacist_id: Option<StaffId>,
        /// Their name.
        pub(crate) pharmacist_name: Option<String>,
        /// Their title.
        pub(crate) pharmacist_title: Option<String>,
        /// When they decided.
        pub(crate) reviewed_at: Option<Timestamp>,
        /// The opinion for the HIS (JSON), once approved.
        pub(crate) opinion: Option<Value>,
        /// `hisRecipeId`.
        pub(crate) his_number: Option<String>,
        /// `mzFeeId`.
        pub(crate) bill_id: Option<String>,
        /// The HIS's sum.
        pub(crate) bill_fen: Option<Fen>,
        /// `pickup` or `delivery`.
        pub(crate) fulfilment: Option<String>,
        /// Sealed [`Address`].
        pub(crate) address_sealed: Option<Vec<u8>>,
        /// Code for the window.
        pub(crate) pickup_code: Option<String>,
        /// Courier.
        pub(crate) courier: Option<String>,
        /// Waybill.
        pub(crate) waybill: Option<String>,
        /// Window.
        pub(crate) collect_at: Option<String>,
        /// The HIS's number of the paid bill.
        pub(crate) his_order_number: Option<String>,
        /// Doctor's objection.
        pub(crate) appeal: Option<String>,
        /// Code of the public verification page.
        pub(crate) verify_code: Option<String>,
        /// Why a person has to look, if so.
        pub(crate) needs_hand: Option<String>,
        /// How often a person has asked the HIS again.
        pub(crate) retries: u32,
        /// The sealed PDF.
        pub(crate) pdf_blob: Option<String>,
        /// Its digest.
        pub pdf_sha256: Option<String>,
        /// When the first draft was made.
        pub(crate) created_at: Timestamp,
    }
}

/// Where a parcel goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Address {
    /// Receiver.
    pub name: String,
    /// Their phone.
    pub phone: String,
    /// Province, city, district.
    pub region: String,
    /// Street and house.
    pub detail: String,
}

pub(crate) const SEALED_ADDRESS: &str = "prescription.address";

fn damaged(what: &str, error: impl std::fmt::Display) -> StoreError {
    StoreError::Column {
        column: 0,
        message: format!("prescription {what}: {error}"),
    }
}

impl Chart {
    /// The lines.
    ///
    /// # Errors
    /// When the row is damaged.
    pub(crate) fn lines(&self) -> Result<Vec<Line>, StoreError> {
        serde_json::from_value(self.lines.clone()).map_err(|e| damaged("lines", e))
    }

    /// The herbal part.
    ///
    /// # Errors
    /// When the row is damaged.
    pub(crate) fn herbal(&self) -> Result<Option<Herbal>, StoreError> {
        let parsed = self.herbal.clone().map(serde_json::from_value).transpose();
        parsed.map_err(|e| damaged("herbal part", e))
    }

    /// As that on which the transitions work.
    ///
    /// # Errors
    /// When the row is damaged.
    pub(crate) fn prescription(&self) -> Result<Prescription, StoreError> {
        Ok(Prescription {
            id: self.id.clone(),
            revision: self.revision,
            revises: self.revises.clone(),
            visit: self.visit_id.clone(),
            doctor: self.doctor_id.clone(),
            kind: self.kind,
            lines: self.lines()?,
            herbal: self.herbal()?,
            total_fen: self.total_fen,
            state: self.state,
            written_at: self.written_at,
            valid_until: self.valid_until,
        })
    }

    /// Takes over what was written or moved.
    pub(crate) fn take(&mut self, p: &Prescription) {
        self.lines = serde_json::to_value(&p.lines).unwrap_or_default();
        self.herbal = p.herbal.as_ref().and_then(|h| serde_json::to_value(h).ok());
        self.total_fen = p.total_fen;
        self.state = p.state;
        self.written_at = p.written_at;
        self.valid_until = p.valid_until;
    }

    /// Where the parcel goes, when it is to be delivered.
    pub(crate) fn address(&self, vault: &Vault, tenant: &TenantId) -> Option<Address> {
        let plain = vault
            .open(tenant, SEALED_ADDRESS, self.address_sealed.as_deref()?)
            .ok()?;
        serde_json::from_slice(&plain).ok()
    }
}
