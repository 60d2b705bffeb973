//! Staff accounts: what is kept, lockout, and taking people in.

use std::time::Duration;

use records::Timestamp;
use records::id::StaffId;
use store::{StoreError, Tx};

use super::{password, totp};
use crate::{ApiError, Ctx, Role};

/// Wrong tries until an account is locked.
const FAILURES: u32 = 5;
/// For how long.
const LOCKED_FOR: Duration = Duration::from_secs(15 * 60);

const PURPOSE: &str = "staff.totp";

store::row! {
    /// What signing in needs to know.
    #[derive(Debug, Clone)]
    pub(super) struct Credentials {
        pub(super) id: StaffId,
        pub(super) password: String,
        pub(super) totp_sealed: Vec<u8>,
        pub(super) totp_step: i64,
        pub(super) locked_until: Option<Timestamp>,
        pub(super) disabled_at: Option<Timestamp>,
    }
}

impl Credentials {
    pub(super) async fn by_login(tx: &mut Tx<'_>, login: &str) -> Result<Option<Self>, StoreError> {
        let tenant = tx.tenant().clone();
        tx.opt(
            &format!(
                "SELECT {} FROM base_staff WHERE tenant_id = $1 AND login = $2",
                Self::COLUMNS
            ),
            &[&tenant, &login],
        )
        .await
    }

    pub(super) async fn by_id(tx: &mut Tx<'_>, id: &StaffId) -> Result<Option<Self>, StoreError> {
        let tenant = tx.tenant().clone();
        tx.opt(
            &format!(
                "SELECT {} FROM base_staff WHERE tenant_id = $1 AND id = $2",
                Self::COLUMNS
            ),
            &[&tenant, id],
        )
        .await
    }

    /// Why nobody may sign in to this account now.
    pub(super) fn barred(&self, now: Timestamp) -> Option<ApiError> {
        if self.disabled_at.is_some() {
            return Some(ApiError::new(
                axum::http::StatusCode::FORBIDDEN,
                "disabled",
                "该账号已停用，请联系管理员",
            ));
        }
        let until = self.locked_until.filter(|until| *until > now)?;
        let minutes = until.since(now).as_secs().div_ceil(60).max(1);
        Some(ApiError {
            retry_after: Some(minutes * 60),
            ..ApiError::new(
                axum::http::StatusCode::LOCKED,
                "locked",
                format!("连续输错次数过多，账号已锁定，请在{minutes}分钟后再试"),
            )
        })
    }

    /// The step of a right second-factor code.
    pub(super) fn second_factor(
        &self,
        ctx: &Ctx,
        tenant: &records::TenantId,
        code: &str,
        now: Timestamp,
    ) -> Result<Option<i64>, ApiError> {
        let secret = ctx.vault.open(tenant, PURPOSE, &self.totp_sealed)?;
        Ok(totp::accept(&secret, code, now, self.totp_step))
    }
}

/// Counts a wrong try; the fifth locks.
pub(super) async fn failed(tx: &mut Tx<'_>, id: &StaffId) -> Result<(), StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    let until = now.plus(LOCKED_FOR);
    tx.exec(
        "UPDATE base_staff SET
            locked_until = CASE WHEN failures + 1 >= $3 THEN $4 ELSE locked_until END,
            failures = CASE WHEN failures + 1 >= $3 THEN 0 ELSE failures + 1 END
         WHERE tenant_id = $1 AND id = $2",
        &[&tenant, id, &FAILURES, &until],
    )
    .await
    .map(drop)
}

/// Signed in: forgets wrong tries, and the code's step is used.
pub(super) async fn entered(tx: &mut Tx<'_>, id: &StaffId, step: i64) -> Result<(), StoreError> {
    let tenant = tx.tenant().clone();
    tx.exec(
        "UPDATE base_staff SET failures = 0, locked_until = NULL, totp_step = $3 WHERE tenant_id = $1 AND id = $2",
        &[&tenant, id, &step],
    )
    .await
    .map(drop)
}

/// A member of staff to take in.
#[derive(Debug, Clone)]
pub struct NewStaff {
    /// Login name.
    pub login: String,
    /// Password.
    pub password: String,
    /// TOTP secret in base 32.
    pub totp_secret: String,
    /// Name.
    pub name: String,
    /// Roles.
    pub roles: Vec<Role>,
    /// Title.
    pub title: String,
    /// Department code of the HIS.
    pub department_code: String,
    /// Department name.
    pub department_name: String,
    /// Code in the HIS.
    pub his_code: String,
}

/// A member of staff, checked and hashed, ready for a unit of work.
#[derive(Debug, Clone)]
pub struct PreparedStaff {
    new: NewStaff,
    password: String,
    totp_sealed: Vec<u8>,
}

/// Whether one person may hold these roles together.
pub(super) fn sound_roles(roles: &[Role]) -> Result<(), ApiError> {
    if roles.is_empty() {
        return Err(ApiError::field("roles", "至少需要一个角色"));
    }
    if roles.contains(&Role::Doctor) && roles.contains(&Role::Pharmacist) {
        return Err(ApiError::field("roles", "同一人不能既开方又审方"));
    }
    Ok(())
}

pub(super) fn roles_text(roles: &[Role]) -> String {
    roles.iter().map(|r| r.as_str()).collect::<Vec<_>>().join(",")
}

/// Hash of a password and sealed second factor, from their clear texts.
pub(super) fn secrets(
    vault: &crate::Vault,
    ids: &records::Ids,
    tenant: &records::TenantId,
    password: &str,
    totp_secret: &str,
) -> Result<(String, Vec<u8>), ApiError> {
    password::strong_enough(password)?;
    let secret = totp::secret(totp_secret).ok_or_else(|| ApiError::field("totp_secret", "动态口令密钥有误"))?;
    Ok((password::hash(password, ids)?, vault.seal(tenant, PURPOSE, &secret)?))
}

/// Checks and hashes (slowly, on purpose) outside of any unit.
pub fn prepare(
    vault: &crate::Vault,
    ids: &records::Ids,
    tenant: &records::TenantId,
    new: NewStaff,
) -> Result<PreparedStaff, ApiError> {
    sound_roles(&new.roles)?;
    let (password, totp_sealed) = secrets(vault, ids, tenant, &new.password, &new.totp_secret)?;
    Ok(PreparedStaff {
        password,
        totp_sealed,
        new,
    })
}

/// Whose login this is.
pub(super) async fn id_of(tx: &mut Tx<'_>, login: &str) -> Result<Option<StaffId>, StoreError> {
    Ok(Credentials::by_login(tx, login).await?.map(|c| c.id))
}

/// Takes a member of staff in, or brings the one of this login up to date. Open sessions of a changed one end.
pub async fn put(tx: &mut Tx<'_>, fresh: &StaffId, staff: &PreparedStaff) -> Result<StaffId, StoreError> {
    let (tenant, now, new) = (tx.tenant().clone(), tx.now(), &staff.new);
    let roles = roles_text(&new.roles);
    let (id,): (StaffId,) = tx
        .one(
            "INSERT INTO base_staff(tenant_id, id, login, name, roles, title, department_code, department_name, his_code,
                password, password_changed_at, totp_sealed, totp_step, failures, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 0, 0, $11)
             ON CONFLICT (tenant_id, login) DO UPDATE SET name = EXCLUDED.name, roles = EXCLUDED.roles,
                title = EXCLUDED.title, department_code = EXCLUDED.department_code,
                department_name = EXCLUDED.department_name, his_code = EXCLUDED.his_code,
                password = EXCLUDED.password, password_changed_at = EXCLUDED.password_changed_at,
                totp_sealed = EXCLUDED.totp_sealed, totp_step = 0, failures = 0, locked_until = NULL, disabled_at = NULL
             RETURNING id",
            &[
                &tenant,
                fresh,
                &new.login,
                &new.name,
                &roles,
                &new.title,
                &new.department_code,
                &new.department_name,
                &new.his_code,
                &staff.password,
                &now,
                &staff.totp_sealed,
            ],
        )
        .await?;
    end_all_sessions(tx, &id).await?;
    Ok(id)
}

/// Signs a member of staff out everywhere.
pub async fn end_all_sessions(tx: &mut Tx<'_>, id: &StaffId) -> Result<(), StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    tx.exec(
        "UPDATE base_session SET ended_at = $3 WHERE tenant_id = $1 AND subject_id = $2 AND ended_at IS NULL",
        &[&tenant, id, &now],
    )
    .await
    .map(drop)
}

/// A member of staff by id, unless disabled.
pub async fn member(tx: &mut Tx<'_>, id: &StaffId) -> Result<Option<crate::session::Member>, StoreError> {
    crate::session::member(tx, id.as_str()).await
}

/// A member of staff by the code the HIS knows them by, unless disabled.
pub async fn by_his_code(tx: &mut Tx<'_>, his_code: &str) -> Result<Option<crate::session::Member>, StoreError> {
    let tenant = tx.tenant().clone();
    let row: Option<(StaffId,)> = tx
        .opt(
            "SELECT id FROM base_staff WHERE tenant_id = $1 AND his_code = $2 AND disabled_at IS NULL ORDER BY id",
            &[&tenant, &his_code],
        )
        .await?;
    match row {
        Some((id,)) => member(tx, &id).await,
        None => Ok(None),
    }
}

/// Members of staff who hold a role, unless disabled, by department and name.
pub async fn with_role(tx: &mut Tx<'_>, role: Role) -> Result<Vec<crate::session::Member>, StoreError> {
    let tenant = tx.tenant().clone();
    let rows: Vec<(StaffId,)> = tx
        .all(
            "SELECT id FROM base_staff WHERE tenant_id = $1 AND disabled_at IS NULL AND ',' || roles || ',' LIKE $2 \
             ORDER BY department_name, name, id",
            &[&tenant, &format!("%,{},%", role.as_str())],
        )
        .await?;
    let mut members = Vec::with_capacity(rows.len());
    for (id,) in rows {
        members.extend(member(tx, &id).await?);
    }
    Ok(members)
}
