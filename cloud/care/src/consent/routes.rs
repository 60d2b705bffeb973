//! Consents over HTTP.

use axum::extract::State;
use axum::http::StatusCode;
use base::permission::Configures;
use base::{ApiError, Ctx, Json, Session, Staff, audit};
use records::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::Scope;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Consent, current, store as sql};
use crate::CareError;

/// A version of the consent.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ConsentView {
    /// Id of this version.
    pub id: String,
    /// Version.
    pub version: u32,
    /// Title.
    pub title: String,
    /// Text.
    pub text: String,
    /// SM3 of title and text.
    pub sm3: String,
    /// Until when it is in force.
    #[schema(value_type = Option<String>)]
    pub valid_until: Option<Timestamp>,
}

impl From<&Consent> for ConsentView {
    fn from(c: &Consent) -> Self {
        Self {
            id: c.id.clone(),
            version: c.version,
            title: c.title.clone(),
            text: c.text.clone(),
            sm3: c.sm3(),
            valid_until: c.valid_until,
        }
    }
}

/// The consent in force.
#[utoipa::path(get, path = "/consents/current", tag = "consent", responses((status = 200, body = ConsentView)))]
async fn show(State(ctx): State<Ctx>, session: Session) -> Result<Json<ConsentView>, ApiError> {
    let read = |ctx: Ctx, scope: Scope| async move {
        ctx.store
            .read(&scope, |tx| Box::pin(async move { sql::versions(tx).await }))
            .await
    };
    let mut versions = read(ctx.clone(), session.scope()).await?;
    if versions.is_empty() {
        let ids = ctx.ids.clone();
        ctx.store
            .write(&Scope::system(session.tenant.clone()), move |tx| {
                let ids = ids.clone();
                Box::pin(async move { sql::ensure_first(tx, &ids).await })
            })
            .await?;
        versions = read(ctx.clone(), session.scope()).await?;
    }
    // Asked now, not before: a first version published on the way is in force from then on.
    let consent = current(&versions, ctx.now())
        .ok_or_else(|| ApiError::conflict("consent_missing", "医院尚未发布知情同意书，暂不能预约"))?;
    Ok(Json(consent.into()))
}

/// A new version.
#[derive(Debug, Clone, Deserialize, ToSchema)]
struct NewConsent {
    /// Title.
    title: String,
    /// Text.
    text: String,
    /// Until when it is in force, if it ends.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    valid_until: Option<Timestamp>,
}

/// Publishes a new version; older ones are superseded.
#[utoipa::path(post, path = "/admin/consents", tag = "admin", request_body = NewConsent,
    responses((status = 201, body = ConsentView)))]
async fn publish(
    State(ctx): State<Ctx>,
    staff: Staff<Configures>,
    Json(new): Json<NewConsent>,
) -> Result<(StatusCode, Json<ConsentView>), ApiError> {
    if new.title.trim().is_empty() {
        return Err(ApiError::field("title", "请填写标题"));
    }
    if new.text.trim().is_empty() {
        return Err(ApiError::field("text", "请填写内容"));
    }
    if new.valid_until.is_some_and(|until| until <= ctx.now()) {
        return Err(ApiError::field("valid_until", "失效时间应晚于现在"));
    }
    let ids = ctx.ids.clone();
    let consent = ctx
        .store
        .write(&staff.scope(), move |tx| {
            let (ids, new) = (ids.clone(), new.clone());
            Box::pin(async move {
                let consent = sql::publish(tx, &ids, new.title.trim(), new.text.trim(), new.valid_until).await?;
                let detail = json!({ "version": consent.version, "sm3": consent.sm3() });
                audit::record(tx, "consent.publish", &consent.id, detail).await?;
                Ok::<_, CareError>(consent)
            })
        })
        .await?;
    Ok((StatusCode::CREATED, Json((&consent).into())))
}

pub(crate) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new().routes(routes!(show)).routes(routes!(publish))
}
