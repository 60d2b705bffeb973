//! The firmware of the recorder dock (采集坞固件): a package of the maker goes over the line to the appliance, whose board
//! judges it. Nothing is kept here but who sent what, in the audit.

use std::time::Duration;

use axum::extract::State;
use base::hospital::call;
use base::permission::{Configures, SeesAppliances};
use base::{ApiError, Ctx, Json, Staff, audit};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use link::blob::Digest;
use records::Timestamp;
use records::dock::{DockPackage, DockQuestion, DockRenewal, DockRenewals, DockUpdate};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::StoreError;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

const PATIENCE: Duration = Duration::from_secs(8);

/// A firmware package.
#[derive(Debug, Clone, Deserialize, ToSchema)]
struct DockFirmwareForm {
    /// The file as the maker signed it, base64.
    package: String,
}

/// A renewal of the dock's firmware.
#[derive(Debug, Serialize, ToSchema)]
struct DockRenewalView {
    /// Id.
    id: String,
    /// Version of the image.
    version: String,
    /// `asked`, `running`, `confirmed`, `given_up`, `refused`, `failed`, `cancelled`.
    state: String,
    /// Percent carried over while it runs; 100 while the board tries it.
    percent: Option<u8>,
    /// Plain words.
    note: String,
    /// Who asked for it.
    asked_by: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    asked_at: Timestamp,
    /// Last change.
    #[schema(value_type = String, format = DateTime)]
    changed_at: Timestamp,
}

fn view(renewal: DockRenewal) -> DockRenewalView {
    DockRenewalView {
        id: renewal.id,
        version: renewal.version,
        state: renewal.state,
        percent: renewal.percent,
        note: renewal.note,
        asked_by: renewal.asked_by,
        asked_at: renewal.asked_at,
        changed_at: renewal.changed_at,
    }
}

/// Renews the firmware of the hospital's recorder dock. Answers when the appliance keeps the package; the board then takes it,
/// tries it and keeps it, or goes back by itself.
#[utoipa::path(post, path = "/admin/dock/firmware", tag = "admin", request_body = DockFirmwareForm,
    responses((status = 200, body = DockRenewalView), (status = 409, body = base::error::ErrorBody),
        (status = 503, body = base::error::ErrorBody)))]
async fn renew(
    State(ctx): State<Ctx>,
    staff: Staff<Configures>,
    Json(form): Json<DockFirmwareForm>,
) -> Result<Json<DockRenewalView>, ApiError> {
    let package = STANDARD.decode(&form.package).unwrap_or_default();
    let (scope, sha256) = (staff.scope(), Digest::of(&package).hex().to_owned());
    let noted = ctx.store.write(&scope, move |tx| {
        let sha256 = sha256.clone();
        Box::pin(async move { audit::record(tx, "dock.firmware", &sha256, json!({})).await })
    });
    noted.await.map_err(|e: StoreError| e)?;
    let asked = DockPackage {
        package: form.package,
        by: staff.name.clone(),
    };
    let key = format!("dock.{:032x}", u128::from_be_bytes(ctx.ids.random::<16>()));
    let answer = call::<DockUpdate>(&*ctx.hospital, &staff.tenant, &asked, Some(&key), PATIENCE).await;
    Ok(Json(view(ApiError::of(answer)?)))
}

/// The latest renewals of the dock's firmware, the newest first.
#[utoipa::path(get, path = "/admin/dock/firmware", tag = "admin",
    responses((status = 200, body = Vec<DockRenewalView>), (status = 503, body = base::error::ErrorBody)))]
async fn renewals(
    State(ctx): State<Ctx>,
    staff: Staff<SeesAppliances>,
) -> Result<Json<Vec<DockRenewalView>>, ApiError> {
    let answer = call::<DockRenewals>(&*ctx.hospital, &staff.tenant, &DockQuestion {}, None, PATIENCE).await;
    Ok(Json(ApiError::of(answer)?.into_iter().map(view).collect()))
}

/// The routes, below `/api/v1`.
pub(crate) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new().routes(routes!(renew)).routes(routes!(renewals))
}
