//! SQL of orders, their trail and a doctor's habits. The purpose is a clinical text, so it is sealed.

use base::Vault;
use records::id::{AccountId, OrderId, PatientId, StaffId, VisitId};
use records::{Fen, TenantId, Timestamp};
use serde_json::Value;
use store::{StoreError, Tx};

use super::{Command, Event, Kind, Line, ServiceOrder, State};
use crate::signed::Trail;

store::row! {
    /// An order with everything around it.
    #[derive(Clone, Debug)]
    pub(crate) struct Sheet {
        /// Number.
        pub(crate) id: OrderId,
        /// What is ordered.
        pub(crate) kind: Kind,
        /// Counts the savings of the draft.
        pub(crate) edition: u32,
        /// Visit.
        pub(crate) visit_id: VisitId,
        /// Account that sees it.
        pub(crate) account_id: AccountId,
        /// Patient.
        pub(crate) patient_id: PatientId,
        /// Patient in the HIS.
        pub(crate) his_patient_id: String,
        /// Treating doctor.
        pub(crate) doctor_id: StaffId,
        /// Their code in the HIS.
        pub(crate) doctor_code: String,
        /// Their name.
        pub(crate) doctor_name: String,
        /// Their title.
        pub(crate) doctor_title: String,
        /// Ordering department.
        pub(crate) department_code: String,
        /// Its name.
        pub(crate) department_name: String,
        /// Lines (JSON of [`Line`]).
        pub(crate) lines: Value,
        /// Purpose and clinical summary, sealed.
        pub(crate) purpose_sealed: Vec<u8>,
        /// Sum.
        pub(crate) total_fen: Fen,
        /// State.
        pub(crate) state: State,
        /// When it was last written.
        pub(crate) written_at: Timestamp,
        /// When the doctor signed.
        pub(crate) signed_at: Option<Timestamp>,
        /// `hisApplyNo`.
        pub(crate) his_number: Option<String>,
        /// `mzFeeId`, when the HIS makes a bill.
        pub(crate) bill_id: Option<String>,
        /// The HIS's sum.
        pub(crate) bill_fen: Option<Fen>,
        /// The HIS's words on the last refusal, or why nobody knows.
        pub(crate) words: Option<String>,
        /// Why it was taken back.
        pub(crate) revoke_reason: Option<String>,
        /// Code of the public verification page.
        pub(crate) verify_code: Option<String>,
        /// Commands ordered so far; numbers their keys.
        pub(crate) commands: u32,
        /// When the first draft was made.
        pub(crate) created_at: Timestamp,
    }
}

const SEALED: &str = "order.purpose";
const COLUMNS: &str = Sheet::COLUMNS;

/// Where the trail of orders is kept.
pub(crate) static TRAIL: Trail<State, Command> = Trail {
    table: "treatment_order_step",
    of: "order_id",
    audit: "order",
    word: State::as_str,
    text: State::text,
    command: Command::as_str,
};

/// Seals the purpose.
pub(crate) fn seal(vault: &Vault, tenant: &TenantId, purpose: &str) -> Result<Vec<u8>, base::vault::VaultError> {
    vault.seal(tenant, SEALED, purpose.as_bytes())
}

impl Sheet {
    /// The lines.
    ///
    /// # Errors
    /// When the row is damaged.
    pub(crate) fn lines(&self) -> Result<Vec<Line>, StoreError> {
        serde_json::from_value(self.lines.clone()).map_err(|e| StoreError::Column {
            column: 0,
            message: format!("lines of an order: {e}"),
        })
    }

    /// Purpose and clinical summary; empty when the row is damaged, which the vault has said.
    pub(crate) fn purpose(&self, vault: &Vault, tenant: &TenantId) -> String {
        let plain = vault.open(tenant, SEALED, &self.purpose_sealed);
        plain
            .map(|p| String::from_utf8_lossy(&p).into_owned())
            .unwrap_or_default()
    }

    /// As that on which the transitions work.
    ///
    /// # Errors
    /// When the row is damaged.
    pub(crate) fn order(&self) -> Result<ServiceOrder, StoreError> {
        Ok(ServiceOrder {
            id: self.id.clone(),
            kind: self.kind,
            doctor: self.doctor_id.clone(),
            lines: self.lines()?,
            state: self.state,
        })
    }
}

/// The order of that number, in this hospital.
pub(crate) async fn find(tx: &mut Tx<'_>, id: &OrderId) -> Result<Option<Sheet>, StoreError> {
    let tenant = tx.tenant().clone();
    let sql = format!("SELECT {COLUMNS} FROM treatment_order WHERE tenant_id = $1 AND id = $2");
    tx.opt(&sql, &[&tenant, id]).await
}

/// Orders of a visit, oldest first.
pub(crate) async fn of_visit(tx: &mut Tx<'_>, visit: &VisitId) -> Result<Vec<Sheet>, StoreError> {
    let tenant = tx.tenant().clone();
    let sql =
        format!("SELECT {COLUMNS} FROM treatment_order WHERE tenant_id = $1 AND visit_id = $2 ORDER BY created_at, id");
    tx.all(&sql, &[&tenant, visit]).await
}

/// Writes a new draft.
pub(crate) async fn insert(tx: &mut Tx<'_>, s: &Sheet) -> Result<(), StoreError> {
    let tenant = tx.tenant().clone();
    tx.exec(
        "INSERT INTO treatment_order(tenant_id, id, kind, edition, visit_id, account_id, patient_id, his_patient_id, \
         doctor_id, doctor_code, doctor_name, doctor_title, department_code, department_name, lines, purpose_sealed, \
         total_fen, state, written_at, commands, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, \
         $13, $14, $15, $16, $17, $18, $19, $20, $21)",
        &[
            &tenant,
            &s.id,
            &s.kind,
            &s.edition,
            &s.visit_id,
            &s.account_id,
            &s.patient_id,
            &s.his_patient_id,
            &s.doctor_id,
            &s.doctor_code,
            &s.doctor_name,
            &s.doctor_title,
            &s.department_code,
            &s.department_name,
            &s.lines,
            &s.purpose_sealed,
            &s.total_fen,
            &s.state,
            &s.written_at,
            &s.commands,
            &s.created_at,
        ],
    )
    .await
    .map(drop)
}

/// Writes everything that can change.
pub(crate) async fn save(tx: &mut Tx<'_>, s: &Sheet) -> Result<(), StoreError> {
    let tenant = tx.tenant().clone();
    tx.exec(
        "UPDATE treatment_order SET edition = $3, lines = $4, purpose_sealed = $5, total_fen = $6, state = $7, \
         written_at = $8, signed_at = $9, his_number = $10, bill_id = $11, bill_fen = $12, words = $13, \
         revoke_reason = $14, verify_code = $15, commands = $16 WHERE tenant_id = $1 AND id = $2",
        &[
            &tenant,
            &s.id,
            &s.edition,
            &s.lines,
            &s.purpose_sealed,
            &s.total_fen,
            &s.state,
            &s.written_at,
            &s.signed_at,
            &s.his_number,
            &s.bill_id,
            &s.bill_fen,
            &s.words,
            &s.revoke_reason,
            &s.verify_code,
            &s.commands,
        ],
    )
    .await
    .map(drop)
}

/// Writes a transition: the row and its line of the trail.
pub(crate) async fn moved(tx: &mut Tx<'_>, s: &mut Sheet, to: (ServiceOrder, Event)) -> Result<(), StoreError> {
    let (order, event) = to;
    s.state = order.state;
    save(tx, s).await?;
    TRAIL.append(tx, s.id.as_str(), &event).await
}

/// Takes a draft away for good.
pub(crate) async fn discard(tx: &mut Tx<'_>, id: &OrderId) -> Result<(), StoreError> {
    let tenant = tx.tenant().clone();
    tx.exec(
        "DELETE FROM treatment_order WHERE tenant_id = $1 AND id = $2 AND state = 'draft'",
        &[&tenant, id],
    )
    .await?;
    base::audit::record(tx, "order.discard", id.as_str(), Value::Null).await
}

store::row! {
    /// What a doctor orders often (常开项目).
    #[derive(Clone, Debug)]
    pub(crate) struct Habit {
        pub(crate) code: String,
        pub(crate) times: u32,
        pub(crate) starred: bool,
    }
}

/// Starred ones first, then the ones ordered most, then the latest.
pub(crate) async fn habits(tx: &mut Tx<'_>, staff: &StaffId, kind: Kind) -> Result<Vec<Habit>, StoreError> {
    let tenant = tx.tenant().clone();
    let columns = Habit::COLUMNS;
    let sql = format!(
        "SELECT {columns} FROM treatment_order_habit WHERE tenant_id = $1 AND staff_id = $2 AND kind = $3 \
         ORDER BY starred DESC, times DESC, last_at DESC, code LIMIT 60"
    );
    tx.all(&sql, &[&tenant, staff, &kind]).await
}

/// Counts an item that was signed.
pub(crate) async fn counted(tx: &mut Tx<'_>, staff: &StaffId, kind: Kind, code: &str) -> Result<(), StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    tx.exec(
        "INSERT INTO treatment_order_habit(tenant_id, staff_id, kind, code, times, starred, last_at) \
         VALUES ($1, $2, $3, $4, 1, 0, $5) ON CONFLICT (tenant_id, staff_id, kind, code) DO UPDATE SET \
         times = treatment_order_habit.times + 1, last_at = EXCLUDED.last_at",
        &[&tenant, staff, &kind, &code, &now],
    )
    .await
    .map(drop)
}

/// Puts a star on an item, or takes it off.
pub(crate) async fn star(
    tx: &mut Tx<'_>,
    staff: &StaffId,
    kind: Kind,
    code: &str,
    starred: bool,
) -> Result<(), StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    tx.exec(
        "INSERT INTO treatment_order_habit(tenant_id, staff_id, kind, code, times, starred, last_at) \
         VALUES ($1, $2, $3, $4, 0, $5, $6) ON CONFLICT (tenant_id, staff_id, kind, code) DO UPDATE SET \
         starred = EXCLUDED.starred",
        &[&tenant, staff, &kind, &code, &starred, &now],
    )
    .await
    .map(drop)
}
