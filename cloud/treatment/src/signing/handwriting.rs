//! The drawn signature (手写签名): collected once, before or with the PIN, and drawn anew whenever its owner wishes. It is
//! what people see on paper; what proves is the certificate, which a new drawing leaves as it is.

use ::store::{StoreError, Tx};
use axum::extract::State;
use base::permission::Signs;
use base::{ApiError, Ctx, Json, Staff};
use records::id::{BlobId, StaffId};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::routes::{SignatureView, current, picture};

/// A drawn signature.
#[derive(Clone, Deserialize, ToSchema)]
struct Drawing {
    /// `data:image/png;base64,…`.
    image: String,
}

/// What was drawn before there was a key.
pub(super) async fn drawn(tx: &mut Tx<'_>, staff: &StaffId) -> Result<Option<BlobId>, StoreError> {
    let tenant = tx.tenant().clone();
    let sql = "SELECT picture_blob FROM treatment_handwriting WHERE tenant_id = $1 AND staff_id = $2";
    let found: Option<(BlobId,)> = tx.opt(sql, &[&tenant, staff]).await?;
    Ok(found.map(|(blob,)| blob))
}

/// Keeps a drawing: with the key when there is one, else for the day on which it is made.
async fn keep(tx: &mut Tx<'_>, staff: &StaffId, blob: &BlobId) -> Result<(), StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    tx.exec(
        "INSERT INTO treatment_handwriting(tenant_id, staff_id, picture_blob, drawn_at) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (tenant_id, staff_id) DO UPDATE SET picture_blob = EXCLUDED.picture_blob, \
         drawn_at = EXCLUDED.drawn_at",
        &[&tenant, staff, blob, &now],
    )
    .await?;
    tx.exec(
        "UPDATE treatment_signer SET picture_blob = $3 WHERE tenant_id = $1 AND staff_id = $2",
        &[&tenant, staff, blob],
    )
    .await?;
    let detail = serde_json::json!({ "blob": blob.as_str() });
    base::audit::record(tx, "signing.draw", staff.as_str(), detail).await
}

/// Collects one's drawn signature, or changes it.
#[utoipa::path(put, path = "/doctor/signature/picture", tag = "signing", request_body = Drawing,
    responses((status = 200, body = SignatureView), (status = 422, body = base::error::ErrorBody)))]
async fn draw(
    State(ctx): State<Ctx>,
    staff: Staff<Signs>,
    Json(drawing): Json<Drawing>,
) -> Result<Json<SignatureView>, ApiError> {
    let png = picture(&drawing.image)?;
    let (scope, id) = (staff.scope(), staff.id.clone());
    let blob = base::blobs::put(&ctx, &scope, "signature", &png).await?.id;
    ctx.store
        .write(&scope, move |tx| {
            let (id, blob) = (id.clone(), blob.clone());
            Box::pin(async move { keep(tx, &id, &blob).await })
        })
        .await?;
    current(&ctx, &staff).await.map(Json)
}

pub(super) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new().routes(routes!(draw))
}
