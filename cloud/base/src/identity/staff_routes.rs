//! Signing in as staff (password, then second factor), and the sessions of everybody.

use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use records::Timestamp;
use serde::{Deserialize, Serialize};
use store::Scope;
use utoipa::ToSchema;

use super::staff::Credentials;
use super::store::NewSession;
use super::{AccountView, StaffView, device, password, secret, staff, store as rows, with_cookie};
use crate::cookies::{self, Kind};
use crate::session::{self, STAFF, split_token};
use crate::tenants::HospitalName;
use crate::{ApiError, Ctx, Json, Path, Session, Who, audit, tenants, throttle};

/// No login and no password has more bytes.
const LONGEST: usize = 200;
const TICKET_LIFE: Duration = Duration::from_secs(5 * 60);

/// First step.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub(super) struct PasswordGiven {
    /// Hospital code.
    hospital: String,
    /// Login name.
    login: String,
    /// Password.
    password: String,
}

/// The password was right.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Ticket {
    /// For the second step, five minutes.
    ticket: String,
    /// Always `totp`.
    second_factor: &'static str,
}

/// Second step.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[schema(as = StaffCodeGiven)]
pub(super) struct CodeGiven {
    /// From the first step.
    ticket: String,
    /// Six digits of the authenticator.
    code: String,
}

/// Signed in.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StaffSignedIn {
    /// For `Authorization: Bearer`; browsers have the cookie.
    token: String,
    /// Who.
    staff: StaffView,
}

fn wrong_password() -> ApiError {
    ApiError::new(StatusCode::UNAUTHORIZED, "wrong_password", "账号或密码不正确")
}

/// Password of a member of staff.
#[utoipa::path(post, path = "/auth/staff/login", tag = "identity", request_body = PasswordGiven,
    responses((status = 200, body = Ticket), (status = 401, body = crate::error::ErrorBody), (status = 423, body = crate::error::ErrorBody)))]
pub(super) async fn login(State(ctx): State<Ctx>, Json(given): Json<PasswordGiven>) -> Result<Json<Ticket>, ApiError> {
    let tenant = tenants::by_code(&ctx.store, &given.hospital).await?.id;
    let scope = Scope::system(tenant.clone());
    let login = given.login.trim().to_lowercase();
    if login.len() > LONGEST || given.password.len() > LONGEST {
        return Err(wrong_password());
    }
    let found = ctx
        .store
        .write(&scope, move |tx| {
            let login = login.clone();
            Box::pin(async move {
                let counted = throttle::hit(tx, &format!("login:{login}"), 30, Duration::from_secs(600)).await?;
                Ok::<_, ApiError>((counted, Credentials::by_login(tx, &login).await?))
            })
        })
        .await?;
    let (counted, credentials) = found;
    counted?;
    if let Some(barred) = credentials.as_ref().and_then(|c| c.barred(ctx.now())) {
        return Err(barred);
    }
    let hash = credentials.as_ref().map(|c| c.password.clone());
    let right = password::matches(given.password, hash).await?;
    let Some(credentials) = credentials else {
        return Err(wrong_password());
    };
    let secret = secret(&ctx);
    let ticket = format!("{tenant}.{secret}");
    ctx.store
        .write(&scope, move |tx| {
            let (id, secret) = (credentials.id.clone(), secret.clone());
            Box::pin(async move {
                if right {
                    return Ok::<_, ApiError>(rows::put_ticket(tx, &secret, &id, TICKET_LIFE).await?);
                }
                staff::failed(tx, &id).await?;
                audit::record(
                    tx,
                    "session.refused",
                    id.as_str(),
                    serde_json::json!({"step": "password"}),
                )
                .await?;
                Ok(())
            })
        })
        .await?;
    if !right {
        return Err(wrong_password());
    }
    Ok(Json(Ticket {
        ticket,
        second_factor: "totp",
    }))
}

/// Second factor of a member of staff.
#[utoipa::path(post, path = "/auth/staff/second-factor", tag = "identity", request_body = CodeGiven,
    responses((status = 200, body = StaffSignedIn), (status = 401, body = crate::error::ErrorBody)))]
pub(super) async fn second_factor(
    State(ctx): State<Ctx>,
    headers: HeaderMap,
    Json(given): Json<CodeGiven>,
) -> Result<Response, ApiError> {
    let stale = || ApiError::new(StatusCode::UNAUTHORIZED, "stale_ticket", "登录已超时，请重新输入密码");
    let (tenant, ticket) = split_token(&given.ticket)
        .map(|(tenant, secret)| (tenant, secret.to_owned()))
        .ok_or_else(stale)?;
    let scope = Scope::system(tenant.clone());
    let (secret, device) = (secret(&ctx), device(&headers));
    let token = format!("{tenant}.{secret}");
    let shared = ctx.clone();
    let entered = ctx
        .store
        .write(&scope, move |tx| {
            let (ctx, ticket, code, secret, device) = (
                shared.clone(),
                ticket.clone(),
                given.code.trim().to_owned(),
                secret.clone(),
                device.clone(),
            );
            Box::pin(async move { enter(&ctx, tx, &ticket, &code, &secret, &device).await })
        })
        .await?;
    let member = entered?;
    let body = StaffSignedIn {
        token: token.clone(),
        staff: member.into(),
    };
    Ok(with_cookie(&ctx, Kind::Staff, &token, STAFF.whole, body))
}

/// The outer error undoes the unit; the inner one is answered after its counts are committed.
async fn enter(
    ctx: &Ctx,
    tx: &mut store::Tx<'_>,
    ticket: &str,
    code: &str,
    secret: &str,
    device: &str,
) -> Result<Result<session::Member, ApiError>, ApiError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    let stale = || ApiError::new(StatusCode::UNAUTHORIZED, "stale_ticket", "登录已超时，请重新输入密码");
    let Some(id) = rows::ticket_holder(tx, ticket).await? else {
        return Ok(Err(stale()));
    };
    let Some(credentials) = Credentials::by_id(tx, &id).await? else {
        return Ok(Err(stale()));
    };
    if let Some(barred) = credentials.barred(now) {
        return Ok(Err(barred));
    }
    let Some(step) = credentials.second_factor(ctx, &tenant, code, now)? else {
        staff::failed(tx, &id).await?;
        audit::record(
            tx,
            "session.refused",
            id.as_str(),
            serde_json::json!({"step": "second_factor"}),
        )
        .await?;
        return Ok(Err(ApiError {
            field: Some("code".into()),
            ..ApiError::new(StatusCode::UNAUTHORIZED, "wrong_code", "动态口令不正确")
        }));
    };
    let Some(member) = staff::member(tx, &id).await? else {
        return Ok(Err(stale()));
    };
    staff::entered(tx, &id, step).await?;
    rows::use_ticket(tx, ticket).await?;
    let session_id = ctx.ids.next("ses", now);
    let session = NewSession {
        id: &session_id,
        secret,
        kind: Kind::Staff.as_str(),
        subject: id.as_str(),
        device,
        patience: STAFF,
    };
    rows::open_session(tx, session).await?;
    audit::record(
        tx,
        "session.open",
        id.as_str(),
        serde_json::json!({"roles": member.roles}),
    )
    .await?;
    Ok(Ok(member))
}

/// Who is signed in.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Me {
    /// `patient` or `staff`.
    kind: &'static str,
    /// For patients.
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<AccountView>,
    /// For staff.
    #[serde(skip_serializing_if = "Option::is_none")]
    staff: Option<StaffView>,
    /// Where.
    hospital: HospitalName,
}

/// Who is signed in.
#[utoipa::path(get, path = "/auth/me", tag = "identity", responses((status = 200, body = Me), (status = 401, body = crate::error::ErrorBody)))]
pub(super) async fn me(State(ctx): State<Ctx>, session: Session) -> Result<Json<Me>, ApiError> {
    let subject = session.subject().to_owned();
    let (tenant, masked) = ctx
        .store
        .read(&session.scope(), move |tx| {
            let subject = subject.clone();
            Box::pin(async move {
                let tenant = tenants::by_id(tx).await?;
                let masked: Option<(String,)> = tx
                    .opt(
                        "SELECT phone_masked FROM base_account WHERE tenant_id = $1 AND id = $2",
                        &[&tenant.id, &subject],
                    )
                    .await?;
                Ok::<_, ApiError>((tenant, masked))
            })
        })
        .await?;
    let hospital = HospitalName {
        code: tenant.code,
        name: tenant.name,
    };
    Ok(Json(match session.who {
        Who::Patient(account) => Me {
            kind: "patient",
            account: Some(AccountView {
                id: account.into_string(),
                phone_masked: masked.map(|(m,)| m).unwrap_or_default(),
            }),
            staff: None,
            hospital,
        },
        Who::Staff(member) => Me {
            kind: "staff",
            account: None,
            staff: Some((*member).into()),
            hospital,
        },
    }))
}

/// Signs out. A session of the other kind in the same browser goes on.
#[utoipa::path(post, path = "/auth/logout", tag = "identity", responses((status = 204)))]
pub(super) async fn logout(State(ctx): State<Ctx>, headers: HeaderMap, session: Session) -> Result<Response, ApiError> {
    end(&ctx, &session, session.id.clone()).await?;
    let mut gone = vec![session.kind().cookie()];
    // One of the same kind from before there were two cookies would sign the person in again.
    if let Some(token) = cookies::cookie(&headers, cookies::OLD) {
        match session::of_token(&ctx, token).await {
            Ok(other) if other.kind() == session.kind() => {
                end(&ctx, &other, other.id.clone()).await?;
                gone.push(cookies::OLD);
            }
            Ok(_) => {}
            Err(_) => gone.push(cookies::OLD),
        }
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    for name in gone {
        let gone = format!("{name}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0");
        if let Ok(gone) = HeaderValue::from_str(&gone) {
            response.headers_mut().append(header::SET_COOKIE, gone);
        }
    }
    Ok(response)
}

/// A place where one is signed in.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SessionView {
    /// Id.
    id: String,
    /// What the browser calls itself.
    device: String,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// Last used.
    #[schema(value_type = String, format = DateTime)]
    seen_at: Timestamp,
    /// The one asking.
    current: bool,
}

/// Where one is signed in.
#[utoipa::path(get, path = "/auth/sessions", tag = "identity", responses((status = 200, body = Vec<SessionView>)))]
pub(super) async fn sessions(State(ctx): State<Ctx>, session: Session) -> Result<Json<Vec<SessionView>>, ApiError> {
    let subject = session.subject().to_owned();
    let found = ctx
        .store
        .read(&session.scope(), move |tx| {
            let subject = subject.clone();
            Box::pin(async move { rows::sessions(tx, &subject).await })
        })
        .await?;
    let view = |(id, device, created_at, seen_at): rows::SessionRow| SessionView {
        current: id == session.id,
        id,
        device,
        created_at,
        seen_at,
    };
    Ok(Json(found.into_iter().map(view).collect()))
}

/// Signs out elsewhere.
#[utoipa::path(delete, path = "/auth/sessions/{id}", tag = "identity", params(("id" = String, Path)),
    responses((status = 204), (status = 404, body = crate::error::ErrorBody)))]
pub(super) async fn end_session(
    State(ctx): State<Ctx>,
    session: Session,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    if end(&ctx, &session, id).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(ApiError::not_found())
    }
}

async fn end(ctx: &Ctx, session: &Session, id: String) -> Result<bool, ApiError> {
    let subject = session.subject().to_owned();
    let ended = ctx
        .store
        .write(&session.scope(), move |tx| {
            let (subject, id) = (subject.clone(), id.clone());
            Box::pin(async move {
                let ended = rows::end_session(tx, &subject, &id).await?;
                if ended {
                    audit::record(tx, "session.end", &id, serde_json::Value::Null).await?;
                }
                Ok::<_, ApiError>(ended)
            })
        })
        .await?;
    ctx.sessions.forget();
    Ok(ended)
}
