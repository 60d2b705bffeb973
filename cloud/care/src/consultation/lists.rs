//! SQL of the lists: the patient's, the doctor's, the administrator's.

use base::Page;
use records::id::AccountId;
use records::{LocalDate, Timestamp};
use serde::Deserialize;
use store::{StoreError, Tx};
use utoipa::ToSchema;

use super::Visit;
use super::store::COLUMNS;

/// Visits of an account, newest first; an empty state means all.
pub(crate) async fn of_account(
    tx: &mut Tx<'_>,
    account: &AccountId,
    state: &str,
    page: Page,
) -> Result<(Vec<Visit>, u64), StoreError> {
    let tenant = tx.tenant().clone();
    let wanted = "tenant_id = $1 AND account_id = $2 AND ($3 = '' OR state = $3 OR ended_as = $3)";
    let (total,): (u64,) = tx
        .one(
            &format!("SELECT COUNT(*) FROM care_visit WHERE {wanted}"),
            &[&tenant, account, &state],
        )
        .await?;
    let rows = tx
        .all(
            &format!(
                "SELECT {COLUMNS} FROM care_visit WHERE {wanted} ORDER BY created_at DESC, id DESC LIMIT $4 OFFSET $5"
            ),
            &[&tenant, account, &state, &page.limit(), &page.offset()],
        )
        .await?;
    Ok((rows, total))
}

/// How many patients of the doctor checked in on that day before this one.
pub(crate) async fn ahead_of(tx: &mut Tx<'_>, v: &Visit) -> Result<u64, StoreError> {
    let tenant = tx.tenant().clone();
    let (count,): (u64,) = tx
        .one(
            "SELECT COUNT(*) FROM care_visit WHERE tenant_id = $1 AND doctor_code = $2 AND state = 'checked_in' \
             AND (checked_in_at < $3 OR (checked_in_at = $3 AND id < $4))",
            &[
                &tenant,
                &v.doctor_code,
                &v.checked_in_at.unwrap_or(Timestamp::from_micros(i64::MAX)),
                &v.id,
            ],
        )
        .await?;
    Ok(count)
}

/// Groups of the doctor's list (接诊中心).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Group {
    /// 待报到.
    Waiting,
    /// 待接诊.
    CheckedIn,
    /// 问诊中.
    InProgress,
    /// 已结束.
    Finished,
}

impl Group {
    const fn wanted(self) -> (&'static str, &'static str) {
        match self {
            Self::Waiting => ("state = 'waiting'", "slot_date, slot_begin, id"),
            Self::CheckedIn => ("state = 'checked_in'", "checked_in_at, id"),
            Self::InProgress => ("state = 'in_progress'", "accepted_at, id"),
            Self::Finished => (
                "(state IN ('finished','withdrawn') OR (state = 'declined' AND his = 'confirmed') \
                 OR (state = 'refunded' AND ended_as IN ('withdrawn','declined')))",
                "updated_at DESC, id DESC",
            ),
        }
    }
}

/// One group of a doctor's visits.
pub(crate) async fn of_doctor(
    tx: &mut Tx<'_>,
    doctor: &str,
    group: Group,
    limit: u32,
    offset: u64,
) -> Result<(Vec<Visit>, u64), StoreError> {
    let tenant = tx.tenant().clone();
    let (wanted, order) = group.wanted();
    let (total,): (u64,) = tx
        .one(
            &format!("SELECT COUNT(*) FROM care_visit WHERE tenant_id = $1 AND doctor_code = $2 AND {wanted}"),
            &[&tenant, &doctor],
        )
        .await?;
    let rows = tx
        .all(
            &format!(
                "SELECT {COLUMNS} FROM care_visit WHERE tenant_id = $1 AND doctor_code = $2 AND {wanted} \
                 ORDER BY {order} LIMIT $3 OFFSET $4"
            ),
            &[&tenant, &doctor, &limit, &offset],
        )
        .await?;
    Ok((rows, total))
}

/// Which visits the administrator's list shows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    /// Visit id, HIS order number, doctor's name; or the keyed index of a patient's name.
    pub(crate) text: String,
    pub(crate) name_index: String,
    pub(crate) state: String,
    pub(crate) department: String,
    pub(crate) from: Option<LocalDate>,
    pub(crate) to: Option<LocalDate>,
}

/// One page of the hospital's visits, newest first.
pub(crate) async fn of_hospital(
    tx: &mut Tx<'_>,
    f: &Filter,
    limit: u32,
    offset: u64,
) -> Result<(Vec<Visit>, u64), StoreError> {
    let tenant = tx.tenant().clone();
    let from = f.from.map_or(Timestamp::from_micros(0), LocalDate::start);
    let to =
        f.to.map_or(Timestamp::from_micros(i64::MAX), |d| d.plus_days(1).start());
    let wanted = "tenant_id = $1 AND ($2 = '' OR state = $2 OR ended_as = $2) AND ($3 = '' OR department_code = $3) \
         AND created_at >= $4 AND created_at < $5 \
         AND ($6 = '' OR id = $6 OR his_order_number = $6 OR doctor_name = $6 OR patient_id IN \
         (SELECT id FROM care_patient WHERE tenant_id = $1 AND name_index = $7))";
    let (total,): (u64,) = tx
        .one(
            &format!("SELECT COUNT(*) FROM care_visit WHERE {wanted}"),
            &[&tenant, &f.state, &f.department, &from, &to, &f.text, &f.name_index],
        )
        .await?;
    let rows = tx
        .all(
            &format!(
                "SELECT {COLUMNS} FROM care_visit WHERE {wanted} ORDER BY created_at DESC, id DESC LIMIT $8 OFFSET $9"
            ),
            &[
                &tenant,
                &f.state,
                &f.department,
                &from,
                &to,
                &f.text,
                &f.name_index,
                &limit,
                &offset,
            ],
        )
        .await?;
    Ok((rows, total))
}
