//! Accounts.

use axum::Json;
use axum::extract::{Path, State};
use gm::Certificate;
use records::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::gate::Signed;
use super::{Answer, Asked, CertificateView, Done, Door, fingerprint, only_certificate};
use crate::Refusal;
use crate::manage::account::{ACTIVE, Handed, REMOVED, Role};
use crate::manage::failure::Refused;

/// An account.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AccountView {
    id: String,
    /// The name to sign in with.
    name: String,
    /// The person's name.
    person: String,
    role: Role,
    /// May sign in.
    enabled: bool,
    /// One-time codes are set up.
    enrolled: bool,
    /// The password is still the one that was handed over.
    change_password: bool,
    /// Certificates it signs in by.
    certificates: Vec<CertificateView>,
    #[schema(value_type = String, format = DateTime)]
    made_at: Timestamp,
}

/// All accounts.
#[utoipa::path(get, path = "/manage/v1/accounts", tag = "accounts", responses((status = 200, body = Vec<AccountView>)))]
pub(super) async fn list(State(door): State<Door>) -> Answer<Vec<AccountView>> {
    let views = door.act(|manage| {
        let read = manage
            .engine()
            .vault
            .read(|unit| Ok((unit.accounts()?, unit.account_certificates()?)));
        let (accounts, certificates) = read?;
        let mut views = Vec::new();
        for row in accounts.into_iter().filter(|row| row.state != REMOVED) {
            let own = certificates.iter().filter(|certificate| certificate.account == row.id);
            let own = own.map(|c| Ok(CertificateView::of(&Certificate::parse(&c.certificate)?)));
            views.push(AccountView {
                certificates: own.collect::<Result<_, Refusal>>()?,
                role: Role::named(&row.role)?,
                enabled: row.state == ACTIVE,
                enrolled: row.totp.is_some(),
                id: row.id,
                name: row.name,
                person: row.person,
                change_password: row.change_password,
                made_at: row.made_at,
            });
        }
        Ok(views)
    });
    Ok(Json(views.await?))
}

/// A new account.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewAccount {
    /// 2 to 32 small letters, digits, `.`, `_` or `-`; never one that was used before.
    name: String,
    /// The person's name.
    person: String,
    role: Role,
}

/// Makes an account; the password in the answer is shown this once.
#[utoipa::path(post, path = "/manage/v1/accounts", tag = "accounts", request_body = NewAccount,
    responses((status = 200, body = Handed), (status = 409, body = Refused)))]
pub(super) async fn create(
    State(door): State<Door>,
    signed: Signed,
    Asked(asked): Asked<NewAccount>,
) -> Answer<Handed> {
    let made = door.stretch(move |manage| {
        manage
            .engine()
            .create_account(&signed.who.name, &asked.name, &asked.person, asked.role)
    });
    Ok(Json(made.await?))
}

/// What becomes of an account.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeAccount {
    /// The person's name.
    person: String,
    role: Role,
    /// May sign in.
    enabled: bool,
}

/// Changes an account; nobody changes their own role.
#[utoipa::path(put, path = "/manage/v1/accounts/{id}", tag = "accounts", params(("id" = String, Path)),
    request_body = ChangeAccount, responses((status = 200, body = Done), (status = 409, body = Refused)))]
pub(super) async fn change(
    State(door): State<Door>,
    signed: Signed,
    Path(id): Path<String>,
    Asked(asked): Asked<ChangeAccount>,
) -> Answer<Done> {
    door.act(move |manage| {
        manage
            .engine()
            .change_account(&signed.who, &id, &asked.person, asked.role, asked.enabled)
    })
    .await?;
    Ok(Json(Done {}))
}

/// Removes an account for good; its name is not used again.
#[utoipa::path(delete, path = "/manage/v1/accounts/{id}", tag = "accounts", params(("id" = String, Path)),
    responses((status = 200, body = Done), (status = 409, body = Refused)))]
pub(super) async fn remove(State(door): State<Door>, signed: Signed, Path(id): Path<String>) -> Answer<Done> {
    let account = id.clone();
    door.act(move |manage| manage.engine().remove_account(&signed.who, &id))
        .await?;
    door.sessions.close_others(&account, None);
    Ok(Json(Done {}))
}

/// Gives the person of another account a new password, shown this once, and lets them set up one-time codes anew.
#[utoipa::path(post, path = "/manage/v1/accounts/{id}/recover", tag = "accounts", params(("id" = String, Path)),
    responses((status = 200, body = Handed), (status = 403, body = Refused)))]
pub(super) async fn recover(State(door): State<Door>, signed: Signed, Path(id): Path<String>) -> Answer<Handed> {
    let account = id.clone();
    let handed = door
        .stretch(move |manage| manage.engine().recover_account(&signed.who, &id))
        .await?;
    door.sessions.close_others(&account, None);
    Ok(Json(handed))
}

/// A certificate.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CertificateFile {
    /// The file (PEM, DER), Base64.
    pub(super) file: String,
}

/// Lets an account sign in by a certificate that leads to a chain of this server.
#[utoipa::path(post, path = "/manage/v1/accounts/{id}/certificates", tag = "accounts", params(("id" = String, Path)),
    request_body = CertificateFile, responses((status = 200, body = CertificateView), (status = 422, body = Refused)))]
pub(super) async fn add_certificate(
    State(door): State<Door>,
    signed: Signed,
    Path(id): Path<String>,
    Asked(asked): Asked<CertificateFile>,
) -> Answer<CertificateView> {
    let view = door.act(move |manage| {
        let certificate = only_certificate(&asked.file)?;
        manage
            .engine()
            .add_account_certificate(&signed.who, &id, &certificate)?;
        Ok(CertificateView::of(&certificate))
    });
    Ok(Json(view.await?))
}

/// The account no longer signs in by a certificate.
#[utoipa::path(delete, path = "/manage/v1/accounts/{id}/certificates/{fingerprint}", tag = "accounts",
    params(("id" = String, Path), ("fingerprint" = String, Path)),
    responses((status = 200, body = Done), (status = 404, body = Refused)))]
pub(super) async fn remove_certificate(
    State(door): State<Door>,
    signed: Signed,
    Path((id, print)): Path<(String, String)>,
) -> Answer<Done> {
    let account = id.clone();
    door.act(move |manage| {
        manage
            .engine()
            .remove_account_certificate(&signed.who, &id, &fingerprint(&print)?)
    })
    .await?;
    door.sessions.close_others(&account, None);
    Ok(Json(Done {}))
}
