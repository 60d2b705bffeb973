//! Applications and their access policies.

use axum::Json;
use axum::extract::{Path, State};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gm::Certificate;
use records::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::accounts::CertificateFile;
use super::gate::Signed;
use super::{Answer, Asked, CertificateView, Done, Door, fingerprint, only_certificate};
use crate::Refusal;
use crate::application::{ApplicationId, Policy};
use crate::manage::failure::Refused;

/// An application.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ApplicationView {
    id: ApplicationId,
    name: String,
    /// Its requests are answered.
    enabled: bool,
    policy: Policy,
    /// It has a key to sign its requests with.
    has_secret: bool,
    /// Certificates it signs in by.
    certificates: Vec<CertificateView>,
    #[schema(value_type = String, format = DateTime)]
    made_at: Timestamp,
}

/// All applications.
#[utoipa::path(get, path = "/manage/v1/applications", tag = "applications",
    responses((status = 200, body = Vec<ApplicationView>)))]
pub(super) async fn list(State(door): State<Door>) -> Answer<Vec<ApplicationView>> {
    let views = door.act(|manage| {
        let read = manage
            .engine()
            .vault
            .read(|unit| Ok((unit.applications()?, unit.application_certificates()?)));
        let (applications, certificates) = read?;
        let mut views = Vec::new();
        for row in applications {
            let own = certificates
                .iter()
                .filter(|certificate| certificate.application == row.id);
            let own = own.map(|c| Ok(CertificateView::of(&Certificate::parse(&c.certificate)?)));
            views.push(ApplicationView {
                certificates: own.collect::<Result<_, Refusal>>()?,
                policy: serde_json::from_str(&row.policy).map_err(|_| Refusal::Damaged("policy"))?,
                id: ApplicationId(row.id),
                name: row.name,
                enabled: row.enabled,
                has_secret: row.secret.is_some(),
                made_at: row.made_at,
            });
        }
        Ok(views)
    });
    Ok(Json(views.await?))
}

/// A new application.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewApplication {
    /// `app_` and 1 to 40 letters, digits, `_` or `-`.
    id: String,
    name: String,
    policy: Policy,
}

/// Registers an application.
#[utoipa::path(post, path = "/manage/v1/applications", tag = "applications", request_body = NewApplication,
    responses((status = 200, body = Done), (status = 409, body = Refused)))]
pub(super) async fn register(
    State(door): State<Door>,
    signed: Signed,
    Asked(asked): Asked<NewApplication>,
) -> Answer<Done> {
    door.change(move |manage| {
        manage
            .engine()
            .register_application(&signed.who.name, &asked.id, &asked.name, &asked.policy)
    })
    .await?;
    Ok(Json(Done {}))
}

/// What becomes of an application.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeApplication {
    name: String,
    /// Its requests are answered.
    enabled: bool,
    policy: Policy,
}

/// Changes an application; requests under way finish under the policy before.
#[utoipa::path(put, path = "/manage/v1/applications/{id}", tag = "applications", params(("id" = String, Path)),
    request_body = ChangeApplication, responses((status = 200, body = Done), (status = 404, body = Refused)))]
pub(super) async fn change(
    State(door): State<Door>,
    signed: Signed,
    Path(id): Path<String>,
    Asked(asked): Asked<ChangeApplication>,
) -> Answer<Done> {
    door.change(move |manage| {
        let (engine, id) = (manage.engine(), ApplicationId(id));
        engine.change_application(&signed.who.name, &id, &asked.name, asked.enabled, &asked.policy)
    })
    .await?;
    Ok(Json(Done {}))
}

/// Lets an application sign in by a certificate.
#[utoipa::path(post, path = "/manage/v1/applications/{id}/certificates", tag = "applications",
    params(("id" = String, Path)), request_body = CertificateFile,
    responses((status = 200, body = CertificateView), (status = 422, body = Refused)))]
pub(super) async fn add_certificate(
    State(door): State<Door>,
    signed: Signed,
    Path(id): Path<String>,
    Asked(asked): Asked<CertificateFile>,
) -> Answer<CertificateView> {
    let view = door.change(move |manage| {
        let certificate = only_certificate(&asked.file)?;
        manage
            .engine()
            .add_application_certificate(&signed.who.name, &ApplicationId(id), &certificate)?;
        Ok(CertificateView::of(&certificate))
    });
    Ok(Json(view.await?))
}

/// The application no longer signs in by a certificate.
#[utoipa::path(delete, path = "/manage/v1/applications/{id}/certificates/{fingerprint}", tag = "applications",
    params(("id" = String, Path), ("fingerprint" = String, Path)),
    responses((status = 200, body = Done), (status = 404, body = Refused)))]
pub(super) async fn remove_certificate(
    State(door): State<Door>,
    signed: Signed,
    Path((id, print)): Path<(String, String)>,
) -> Answer<Done> {
    door.change(move |manage| {
        let (engine, id) = (manage.engine(), ApplicationId(id));
        engine.remove_application_certificate(&signed.who.name, &id, &fingerprint(&print)?)
    })
    .await?;
    Ok(Json(Done {}))
}

/// A new request key.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct NewSecret {
    /// 32 bytes, Base64; shown this once.
    secret: String,
}

/// Gives an application a new key to sign its requests with; the one before ends now.
#[utoipa::path(post, path = "/manage/v1/applications/{id}/secret", tag = "applications", params(("id" = String, Path)),
    responses((status = 200, body = NewSecret), (status = 404, body = Refused)))]
pub(super) async fn renew_secret(
    State(door): State<Door>,
    signed: Signed,
    Path(id): Path<String>,
) -> Answer<NewSecret> {
    let secret = door.change(move |manage| {
        let secret = manage
            .engine()
            .renew_application_secret(&signed.who.name, &ApplicationId(id))?;
        Ok(STANDARD.encode(secret.as_slice()))
    });
    Ok(Json(NewSecret { secret: secret.await? }))
}
