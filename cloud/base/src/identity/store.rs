//! SQL of accounts, codes, tickets and sessions.

use std::time::Duration;

use records::Timestamp;
use records::id::{AccountId, StaffId};
use store::{StoreError, Tx};

use crate::session::{Patience, hash_of};

/// Wrong tries before a code is void.
const CODE_TRIES: u32 = 5;

/// What became of a login code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    Right,
    Wrong,
    Void,
}

pub(super) async fn put_code(tx: &mut Tx<'_>, index: &str, hash: &str, life: Duration) -> Result<(), StoreError> {
    let (tenant, until) = (tx.tenant().clone(), tx.now().plus(life));
    tx.exec(
        "INSERT INTO base_phone_code(tenant_id, phone_index, code_hash, expires_at, tries) VALUES ($1, $2, $3, $4, 0)
         ON CONFLICT (tenant_id, phone_index) DO UPDATE SET code_hash = EXCLUDED.code_hash,
            expires_at = EXCLUDED.expires_at, tries = 0",
        &[&tenant, &index, &hash, &until],
    )
    .await
    .map(drop)
}

/// Tries a code; a right one is used up.
pub(super) async fn try_code(tx: &mut Tx<'_>, index: &str, hash: &str) -> Result<Code, StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    let row: Option<(String, Timestamp, u32)> = tx
        .opt(
            "UPDATE base_phone_code SET tries = tries + 1 WHERE tenant_id = $1 AND phone_index = $2
             RETURNING code_hash, expires_at, tries",
            &[&tenant, &index],
        )
        .await?;
    match row {
        Some((_, expires_at, tries)) if now >= expires_at || tries > CODE_TRIES => Ok(Code::Void),
        Some((right, _, _)) if right == hash => {
            tx.exec(
                "DELETE FROM base_phone_code WHERE tenant_id = $1 AND phone_index = $2",
                &[&tenant, &index],
            )
            .await?;
            Ok(Code::Right)
        }
        Some(_) => Ok(Code::Wrong),
        None => Ok(Code::Void),
    }
}

/// The account of a phone, made if it is the first time. `true` when it is new.
pub(super) async fn account(
    tx: &mut Tx<'_>,
    fresh: &AccountId,
    index: &str,
    sealed: &[u8],
    masked: &str,
) -> Result<(AccountId, bool), StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    let made = tx
        .exec(
            "INSERT INTO base_account(tenant_id, id, phone_sealed, phone_index, phone_masked, created_at)
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (tenant_id, phone_index) DO NOTHING",
            &[&tenant, fresh, &sealed, &index, &masked, &now],
        )
        .await?;
    let (id,): (AccountId,) = tx
        .one(
            "SELECT id FROM base_account WHERE tenant_id = $1 AND phone_index = $2",
            &[&tenant, &index],
        )
        .await?;
    Ok((id, made == 1))
}

/// What a session is opened with.
pub(super) struct NewSession<'a> {
    pub(super) id: &'a str,
    pub(super) secret: &'a str,
    pub(super) kind: &'a str,
    pub(super) subject: &'a str,
    pub(super) device: &'a str,
    pub(super) patience: Patience,
}

pub(super) async fn open_session(tx: &mut Tx<'_>, new: NewSession<'_>) -> Result<(), StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    tx.exec(
        "INSERT INTO base_session(tenant_id, hash, id, kind, subject_id, device, created_at, seen_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $8)",
        &[
            &tenant,
            &hash_of(new.secret),
            &new.id,
            &new.kind,
            &new.subject,
            &new.device,
            &now,
            &now.plus(new.patience.whole),
        ],
    )
    .await
    .map(drop)
}

pub(super) async fn put_ticket(
    tx: &mut Tx<'_>,
    secret: &str,
    staff: &StaffId,
    life: Duration,
) -> Result<(), StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    tx.exec(
        "DELETE FROM base_ticket WHERE tenant_id = $1 AND expires_at <= $2",
        &[&tenant, &now],
    )
    .await?;
    tx.exec(
        "INSERT INTO base_ticket(tenant_id, hash, staff_id, expires_at) VALUES ($1, $2, $3, $4)",
        &[&tenant, &hash_of(secret), staff, &now.plus(life)],
    )
    .await
    .map(drop)
}

/// Whose living ticket this is.
pub(super) async fn ticket_holder(tx: &mut Tx<'_>, secret: &str) -> Result<Option<StaffId>, StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    let row: Option<(StaffId,)> = tx
        .opt(
            "SELECT staff_id FROM base_ticket WHERE tenant_id = $1 AND hash = $2 AND expires_at > $3",
            &[&tenant, &hash_of(secret), &now],
        )
        .await?;
    Ok(row.map(|(id,)| id))
}

pub(super) async fn use_ticket(tx: &mut Tx<'_>, secret: &str) -> Result<(), StoreError> {
    let tenant = tx.tenant().clone();
    tx.exec(
        "DELETE FROM base_ticket WHERE tenant_id = $1 AND hash = $2",
        &[&tenant, &hash_of(secret)],
    )
    .await
    .map(drop)
}

/// A living session of a person: id, device, created, last seen.
pub(super) type SessionRow = (String, String, Timestamp, Timestamp);

pub(super) async fn sessions(tx: &mut Tx<'_>, subject: &str) -> Result<Vec<SessionRow>, StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    tx.all(
        "SELECT id, device, created_at, seen_at FROM base_session
         WHERE tenant_id = $1 AND subject_id = $2 AND ended_at IS NULL AND expires_at > $3 ORDER BY seen_at DESC",
        &[&tenant, &subject, &now],
    )
    .await
}

/// Ends a session of this person; `false` when there is none such.
pub(super) async fn end_session(tx: &mut Tx<'_>, subject: &str, id: &str) -> Result<bool, StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    let ended = tx
        .exec(
            "UPDATE base_session SET ended_at = $4 WHERE tenant_id = $1 AND subject_id = $2 AND id = $3 AND ended_at IS NULL",
            &[&tenant, &subject, &id, &now],
        )
        .await?;
    Ok(ended == 1)
}
