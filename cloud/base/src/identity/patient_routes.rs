//! Signing in by a code sent to the phone.

use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use records::id::AccountId;
use records::{Actor, Outcome, TenantId};
use serde::{Deserialize, Serialize};
use store::Scope;
use utoipa::ToSchema;

use super::store::{Code, NewSession};
use super::{AccountView, device, is_phone, mask_phone, secret, store as rows, with_cookie};
use crate::cookies::Kind;
use crate::session::PATIENT;
use crate::sms::Sms;
use crate::{ApiError, Ctx, Json, Source, audit, tenants, throttle};

const CODE_LIFE: Duration = Duration::from_secs(5 * 60);
/// Login codes asked for from one address within ten minutes: a carrier hides many phones behind one.
const FROM_ONE_SOURCE: u32 = 300;
const MINUTE: Duration = Duration::from_secs(60);
const TEN_MINUTES: Duration = Duration::from_secs(600);
const DAY: Duration = Duration::from_secs(24 * 3600);
const PURPOSE: &str = "account.phone";

/// To whom a code shall be sent.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub(super) struct CodeWanted {
    /// Hospital code.
    hospital: String,
    /// Mobile number.
    phone: String,
}

/// The code that came.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub(super) struct CodeGiven {
    /// Hospital code.
    hospital: String,
    /// Mobile number.
    phone: String,
    /// Six digits.
    code: String,
}

/// Signed in.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PatientSignedIn {
    /// For `Authorization: Bearer`; browsers have the cookie.
    token: String,
    /// Who.
    account: AccountView,
}

fn checked_phone(phone: &str) -> Result<String, ApiError> {
    let phone = phone.trim();
    if is_phone(phone) {
        Ok(phone.to_owned())
    } else {
        Err(ApiError::field("phone", "请输入正确的手机号码"))
    }
}

fn code_hash(ctx: &Ctx, tenant: &TenantId, phone: &str, code: &str) -> Result<String, ApiError> {
    Ok(ctx.vault.index(tenant, "login.code", &format!("{phone} {code}"))?)
}

/// Sends a login code to a phone.
#[utoipa::path(post, path = "/auth/phone/code", tag = "identity", request_body = CodeWanted,
    responses((status = 204), (status = 429, body = crate::error::ErrorBody)))]
pub(super) async fn send_code(
    State(ctx): State<Ctx>,
    source: Source,
    Json(wanted): Json<CodeWanted>,
) -> Result<StatusCode, ApiError> {
    let phone = checked_phone(&wanted.phone)?;
    let tenant = tenants::by_code(&ctx.store, &wanted.hospital).await?.id;
    let scope = Scope::system(tenant.clone());
    let index = ctx.vault.index(&tenant, PURPOSE, &phone)?;
    let number = u32::from_le_bytes(ctx.ids.random()) % 1_000_000;
    let code = format!("{number:06}");
    let hash = code_hash(&ctx, &tenant, &phone, &code)?;

    let allowed = ctx
        .store
        .write(&scope, move |tx| {
            let (index, hash) = (index.clone(), hash.clone());
            Box::pin(async move {
                let counters = [
                    (format!("code.minute:{index}"), 1, MINUTE),
                    (format!("code.day:{index}"), 10, DAY),
                    // A ward behind one address is let through, somebody who tries number after number is not.
                    (format!("code.source:{source}"), FROM_ONE_SOURCE, TEN_MINUTES),
                ];
                for (name, limit, window) in counters {
                    let counted = throttle::hit(tx, &name, limit, window).await?;
                    if counted.is_err() {
                        return Ok::<_, ApiError>(counted);
                    }
                }
                // One installation must not be made to flood the numbers of a whole town.
                let counted = throttle::hit(tx, "code.all", 600, MINUTE).await?;
                if counted.is_ok() {
                    rows::put_code(tx, &index, &hash, CODE_LIFE).await?;
                }
                Ok(counted)
            })
        })
        .await?;
    allowed?;

    let sms = Sms {
        key: ctx.ids.next("sms", ctx.now()),
        phone,
        template: "login_code".to_owned(),
        params: vec![code, "5".to_owned()],
    };
    match ctx.sms.send(&tenant, &sms).await {
        Outcome::Done(()) => Ok(StatusCode::NO_CONTENT),
        outcome => {
            tracing::warn!(sms.key = sms.key, ?outcome, "login code not sent");
            Err(ApiError::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "sms_unavailable",
                "短信发送失败，请稍后再试",
            ))
        }
    }
}

/// Signs in with the code.
#[utoipa::path(post, path = "/auth/phone/login", tag = "identity", request_body = CodeGiven,
    responses((status = 200, body = PatientSignedIn), (status = 401, body = crate::error::ErrorBody)))]
pub(super) async fn login(
    State(ctx): State<Ctx>,
    headers: HeaderMap,
    Json(given): Json<CodeGiven>,
) -> Result<Response, ApiError> {
    let phone = checked_phone(&given.phone)?;
    let tenant = tenants::by_code(&ctx.store, &given.hospital).await?.id;
    let index = ctx.vault.index(&tenant, PURPOSE, &phone)?;
    let hash = code_hash(&ctx, &tenant, &phone, given.code.trim())?;
    let sealed = ctx.vault.seal(&tenant, PURPOSE, phone.as_bytes())?;
    let (fresh, session_id) = (AccountId::generate(&ctx.ids, ctx.now()), ctx.ids.next("ses", ctx.now()));
    let (secret, device, masked) = (secret(&ctx), device(&headers), mask_phone(&phone));

    let token = format!("{tenant}.{secret}");
    let scope = Scope::new(tenant, Actor::Patient(fresh.clone()));
    let shown = masked.clone();
    let account = ctx
        .store
        .write(&scope, move |tx| {
            let (fresh, index, hash, sealed, masked) = (
                fresh.clone(),
                index.clone(),
                hash.clone(),
                sealed.clone(),
                masked.clone(),
            );
            let (session_id, secret, device) = (session_id.clone(), secret.clone(), device.clone());
            Box::pin(async move {
                let code = rows::try_code(tx, &index, &hash).await?;
                if code != Code::Right {
                    return Ok::<_, ApiError>(Err(code));
                }
                let (account, new) = rows::account(tx, &fresh, &index, &sealed, &masked).await?;
                let session = NewSession {
                    id: &session_id,
                    secret: &secret,
                    kind: Kind::Patient.as_str(),
                    subject: account.as_str(),
                    device: &device,
                    patience: PATIENT,
                };
                rows::open_session(tx, session).await?;
                audit::record(
                    tx,
                    "session.open",
                    account.as_str(),
                    serde_json::json!({"new_account": new}),
                )
                .await?;
                Ok(Ok(account))
            })
        })
        .await?
        .map_err(|code| {
            let message = match code {
                Code::Wrong => "验证码不正确，请重新输入",
                _ => "验证码已失效，请重新获取",
            };
            ApiError {
                field: Some("code".into()),
                ..ApiError::new(StatusCode::UNAUTHORIZED, "wrong_code", message)
            }
        })?;
    let body = PatientSignedIn {
        token: token.clone(),
        account: AccountView {
            id: account.into_string(),
            phone_masked: shown,
        },
    };
    Ok(with_cookie(&ctx, Kind::Patient, &token, PATIENT.whole, body))
}

/// The full phone number of an account, for those who must reach the person (text messages).
pub async fn phone_of(ctx: &Ctx, tx: &mut store::Tx<'_>, account: &AccountId) -> Result<Option<String>, ApiError> {
    let tenant = tx.tenant().clone();
    let row: Option<(Vec<u8>,)> = tx
        .opt(
            "SELECT phone_sealed FROM base_account WHERE tenant_id = $1 AND id = $2",
            &[&tenant, account],
        )
        .await?;
    row.map(|(sealed,)| ctx.vault.open_text(&tenant, PURPOSE, &sealed))
        .transpose()
        .map_err(ApiError::from)
}
