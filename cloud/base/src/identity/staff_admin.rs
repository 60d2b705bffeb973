//! Staff accounts, kept by the hospital's administrator.

use axum::extract::State;
use axum::http::StatusCode;
use records::Timestamp;
use records::id::StaffId;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{StoreError, Tx};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::staff::{self, NewStaff};
use super::totp;
use crate::permission::ManagesStaff;
use crate::{ApiError, Ctx, Json, Path, Role, Staff, audit};

/// A member of staff as the administrator sees them.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct StaffRow {
    /// Id.
    id: String,
    /// Login name.
    login: String,
    /// Name.
    name: String,
    /// Roles.
    roles: Vec<Role>,
    /// Title.
    title: String,
    /// Department code of the HIS.
    department_code: String,
    /// Department.
    department_name: String,
    /// Code in the HIS.
    his_code: String,
    /// Locked after wrong tries until then.
    #[schema(value_type = Option<String>, format = DateTime)]
    locked_until: Option<Timestamp>,
    /// Disabled since.
    #[schema(value_type = Option<String>, format = DateTime)]
    disabled_at: Option<Timestamp>,
}

impl store::FromRow for StaffRow {
    fn from_row(row: &store::Row<'_>) -> Result<Self, StoreError> {
        let roles: String = row.get(3)?;
        Ok(Self {
            id: row.get(0)?,
            login: row.get(1)?,
            name: row.get(2)?,
            roles: roles.split(',').filter_map(Role::parse).collect(),
            title: row.get(4)?,
            department_code: row.get(5)?,
            department_name: row.get(6)?,
            his_code: row.get(7)?,
            locked_until: row.get(8)?,
            disabled_at: row.get(9)?,
        })
    }
}

/// What the administrator writes.
#[derive(Debug, Clone, Deserialize, ToSchema)]
struct StaffForm {
    /// Login name; cannot be changed later.
    #[serde(default)]
    login: String,
    /// Password, for a new account.
    #[serde(default)]
    password: String,
    /// Name.
    name: String,
    /// Roles.
    roles: Vec<Role>,
    /// Title.
    #[serde(default)]
    title: String,
    /// Department code of the HIS.
    #[serde(default)]
    department_code: String,
    /// Department.
    #[serde(default)]
    department_name: String,
    /// Code in the HIS.
    #[serde(default)]
    his_code: String,
}

/// The second factor of an account, shown once.
#[derive(Debug, Serialize, ToSchema)]
struct Enrolled {
    /// Id of the account.
    id: String,
    /// Secret in base 32.
    totp_secret: String,
    /// The same for the authenticator's camera.
    totp_uri: String,
}

/// A new password.
#[derive(Debug, Clone, Deserialize, ToSchema)]
struct Reset {
    /// The password to sign in with from now on.
    password: String,
}

/// All staff of the hospital.
#[utoipa::path(get, path = "/admin/staff", tag = "admin", responses((status = 200, body = Vec<StaffRow>)))]
async fn list(State(ctx): State<Ctx>, admin: Staff<ManagesStaff>) -> Result<Json<Vec<StaffRow>>, ApiError> {
    let rows = ctx
        .store
        .read(&admin.scope(), |tx| {
            Box::pin(async move {
                let tenant = tx.tenant().clone();
                tx.all(
                    "SELECT id, login, name, roles, title, department_code, department_name, his_code, locked_until,
                        disabled_at FROM base_staff WHERE tenant_id = $1 ORDER BY login",
                    &[&tenant],
                )
                .await
            })
        })
        .await
        .map_err(|e: StoreError| e)?;
    Ok(Json(rows))
}

fn enrolled(id: &StaffId, login: &str, secret: &str) -> Json<Enrolled> {
    Json(Enrolled {
        id: id.to_string(),
        totp_uri: format!("otpauth://totp/Yiqiao:{login}?secret={secret}&issuer=Yiqiao"),
        totp_secret: secret.to_owned(),
    })
}

fn checked_login(login: &str) -> Result<String, ApiError> {
    let login = login.trim().to_lowercase();
    let fits =
        (2..=40).contains(&login.len()) && login.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    if fits {
        Ok(login)
    } else {
        Err(ApiError::field("login", "登录名须为2至40位字母、数字或 . _ -"))
    }
}

/// A new account. Its second factor is in the answer, once.
#[utoipa::path(post, path = "/admin/staff", tag = "admin", request_body = StaffForm,
    responses((status = 200, body = Enrolled), (status = 409, body = crate::error::ErrorBody), (status = 422, body = crate::error::ErrorBody)))]
async fn create(
    State(ctx): State<Ctx>,
    admin: Staff<ManagesStaff>,
    Json(form): Json<StaffForm>,
) -> Result<Json<Enrolled>, ApiError> {
    let login = checked_login(&form.login)?;
    let secret = totp::new_secret(&ctx.ids);
    let new = NewStaff {
        login: login.clone(),
        password: form.password,
        totp_secret: secret.clone(),
        name: form.name,
        roles: form.roles,
        title: form.title,
        department_code: form.department_code,
        department_name: form.department_name,
        his_code: form.his_code,
    };
    let code = new.his_code.clone();
    let (vault, ids, tenant) = (ctx.vault.clone(), ctx.ids.clone(), admin.tenant.clone());
    let prepared = tokio::task::spawn_blocking(move || staff::prepare(&vault, &ids, &tenant, new))
        .await
        .map_err(ApiError::internal)??;
    let (fresh, name) = (StaffId::generate(&ctx.ids, ctx.now()), login.clone());
    let id = ctx
        .store
        .write(&admin.scope(), move |tx| {
            let (fresh, prepared, login, code) = (fresh.clone(), prepared.clone(), name.clone(), code.clone());
            Box::pin(async move {
                if staff::id_of(tx, &login).await?.is_some() {
                    return Err(ApiError::conflict("login_taken", "该登录名已被使用"));
                }
                code_is_free(tx, &fresh, &code).await?;
                let id = staff::put(tx, &fresh, &prepared).await?;
                audit::record(tx, "staff.create", id.as_str(), json!({"login": login})).await?;
                Ok(id)
            })
        })
        .await?;
    Ok(enrolled(&id, &login, &secret))
}

/// Changes what is known of a person, not their password.
#[utoipa::path(put, path = "/admin/staff/{id}", tag = "admin", params(("id" = String, Path)), request_body = StaffForm,
    responses((status = 204), (status = 404, body = crate::error::ErrorBody), (status = 422, body = crate::error::ErrorBody)))]
async fn change(
    State(ctx): State<Ctx>,
    admin: Staff<ManagesStaff>,
    Path(id): Path<String>,
    Json(form): Json<StaffForm>,
) -> Result<StatusCode, ApiError> {
    staff::sound_roles(&form.roles)?;
    let id = StaffId::parse(&id).ok_or_else(ApiError::not_found)?;
    if id == admin.id && !form.roles.contains(&Role::Admin) {
        return Err(ApiError::conflict("own_account", "不能取消自己的管理员角色"));
    }
    act(&ctx, &admin, id, "staff.change", move |tx, id| {
        let form = form.clone();
        Box::pin(async move {
            code_is_free(tx, id, &form.his_code).await?;
            let (tenant, roles) = (tx.tenant().clone(), staff::roles_text(&form.roles));
            let touched = tx
                .exec(
                    "UPDATE base_staff SET name = $3, roles = $4, title = $5, department_code = $6, department_name = $7,
                        his_code = $8 WHERE tenant_id = $1 AND id = $2",
                    &[
                        &tenant,
                        id,
                        &form.name,
                        &roles,
                        &form.title,
                        &form.department_code,
                        &form.department_name,
                        &form.his_code,
                    ],
                )
                .await?;
            Ok(touched)
        })
    })
    .await
}

/// A code in the HIS (工号) is one person: two accounts with one code would let a doctor review their own prescriptions.
async fn code_is_free(tx: &mut Tx<'_>, id: &StaffId, his_code: &str) -> Result<(), ApiError> {
    let (tenant, code) = (tx.tenant().clone(), his_code.trim());
    if code.is_empty() {
        return Ok(());
    }
    let other: Option<(String,)> = tx
        .opt(
            "SELECT login FROM base_staff WHERE tenant_id = $1 AND his_code = $2 AND id <> $3 AND disabled_at IS NULL",
            &[&tenant, &code, id],
        )
        .await?;
    match other {
        Some((login,)) => Err(ApiError {
            field: Some("his_code".into()),
            ..ApiError::conflict(
                "code_taken",
                format!("工号{code}已由账号{login}使用，一个工号只能有一个账号"),
            )
        }),
        None => Ok(()),
    }
}

/// Signs a person out everywhere and keeps them out.
#[utoipa::path(post, path = "/admin/staff/{id}/disable", tag = "admin", params(("id" = String, Path)),
    responses((status = 204), (status = 404, body = crate::error::ErrorBody)))]
async fn disable(
    State(ctx): State<Ctx>,
    admin: Staff<ManagesStaff>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let id = StaffId::parse(&id).ok_or_else(ApiError::not_found)?;
    if id == admin.id {
        return Err(ApiError::conflict("own_account", "不能停用自己的账号"));
    }
    act(&ctx, &admin, id, "staff.disable", |tx, id| {
        Box::pin(async move {
            let (tenant, now) = (tx.tenant().clone(), tx.now());
            staff::end_all_sessions(tx, id).await?;
            let touched = tx
                .exec(
                    "UPDATE base_staff SET disabled_at = $3 WHERE tenant_id = $1 AND id = $2",
                    &[&tenant, id, &now],
                )
                .await?;
            Ok(touched)
        })
    })
    .await
}

/// Lets a disabled or locked person in again.
#[utoipa::path(post, path = "/admin/staff/{id}/enable", tag = "admin", params(("id" = String, Path)),
    responses((status = 204), (status = 404, body = crate::error::ErrorBody)))]
async fn enable(
    State(ctx): State<Ctx>,
    admin: Staff<ManagesStaff>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let id = StaffId::parse(&id).ok_or_else(ApiError::not_found)?;
    act(&ctx, &admin, id, "staff.enable", |tx, id| {
        Box::pin(async move {
            let tenant = tx.tenant().clone();
            let code: Option<(String,)> = tx
                .opt(
                    "SELECT his_code FROM base_staff WHERE tenant_id = $1 AND id = $2",
                    &[&tenant, id],
                )
                .await?;
            let (code,) = code.ok_or_else(ApiError::not_found)?;
            code_is_free(tx, id, &code).await?;
            let touched = tx
                .exec(
                    "UPDATE base_staff SET disabled_at = NULL, locked_until = NULL, failures = 0
                      WHERE tenant_id = $1 AND id = $2",
                    &[&tenant, id],
                )
                .await?;
            Ok(touched)
        })
    })
    .await
}

/// A new password and a new second factor, which is in the answer, once.
#[utoipa::path(post, path = "/admin/staff/{id}/reset", tag = "admin", params(("id" = String, Path)), request_body = Reset,
    responses((status = 200, body = Enrolled), (status = 404, body = crate::error::ErrorBody), (status = 422, body = crate::error::ErrorBody)))]
async fn reset(
    State(ctx): State<Ctx>,
    admin: Staff<ManagesStaff>,
    Path(id): Path<String>,
    Json(reset): Json<Reset>,
) -> Result<Json<Enrolled>, ApiError> {
    let id = StaffId::parse(&id).ok_or_else(ApiError::not_found)?;
    let secret = totp::new_secret(&ctx.ids);
    let (vault, ids, tenant, text) = (ctx.vault.clone(), ctx.ids.clone(), admin.tenant.clone(), secret.clone());
    let fresh = tokio::task::spawn_blocking(move || staff::secrets(&vault, &ids, &tenant, &reset.password, &text))
        .await
        .map_err(ApiError::internal)??;
    let whom = id.clone();
    act(&ctx, &admin, whom, "staff.reset", move |tx, id| {
        let (password, sealed) = fresh.clone();
        Box::pin(async move {
            let (tenant, now) = (tx.tenant().clone(), tx.now());
            staff::end_all_sessions(tx, id).await?;
            let touched = tx
                .exec(
                    "UPDATE base_staff SET password = $3, totp_sealed = $4, totp_step = 0, failures = 0,
                        locked_until = NULL, password_changed_at = $5 WHERE tenant_id = $1 AND id = $2",
                    &[&tenant, id, &password, &sealed, &now],
                )
                .await?;
            Ok(touched)
        })
    })
    .await?;
    let wanted = id.clone();
    let login = ctx
        .store
        .read(&admin.scope(), move |tx| {
            let id = wanted.clone();
            Box::pin(async move { login_of(tx, &id).await })
        })
        .await?;
    Ok(enrolled(&id, &login, &secret))
}

async fn login_of(tx: &mut Tx<'_>, id: &StaffId) -> Result<String, StoreError> {
    let tenant = tx.tenant().clone();
    let (login,): (String,) = tx
        .one(
            "SELECT login FROM base_staff WHERE tenant_id = $1 AND id = $2",
            &[&tenant, id],
        )
        .await?;
    Ok(login)
}

/// Does something to one account, with its audit row; 404 when it touches nobody.
async fn act<F>(
    ctx: &Ctx,
    admin: &Staff<ManagesStaff>,
    id: StaffId,
    action: &'static str,
    change: F,
) -> Result<StatusCode, ApiError>
where
    F: for<'a, 'c> Fn(&'a mut Tx<'c>, &'a StaffId) -> store::BoxFuture<'a, Result<u64, ApiError>>
        + Clone
        + Send
        + Sync
        + 'static,
{
    ctx.store
        .write(&admin.scope(), move |tx| {
            let (id, change) = (id.clone(), change.clone());
            Box::pin(async move {
                if change(tx, &id).await? == 0 {
                    return Err(ApiError::not_found());
                }
                Ok(audit::record(tx, action, id.as_str(), serde_json::Value::Null).await?)
            })
        })
        .await?;
    ctx.sessions.forget();
    Ok(StatusCode::NO_CONTENT)
}

pub(super) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(change))
        .routes(routes!(disable))
        .routes(routes!(enable))
        .routes(routes!(reset))
}
