//! The sealed PDF of a signed record, for the patient and the doctor of the visit.

use axum::extract::{Request, State};
use axum::response::Response;
use base::{ApiError, Ctx, Path, Session, Who};
use care::consultation::PartiesOfVisit;
use records::id::{BlobId, VisitId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::visit;

/// The sealed PDF of the newest signed version.
#[utoipa::path(get, path = "/visits/{id}/record/pdf", tag = "record", params(("id" = String, Path)),
    responses((status = 200, description = "application/pdf"), (status = 409, body = base::error::ErrorBody)))]
async fn pdf(
    State(ctx): State<Ctx>,
    session: Session,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let id = VisitId::parse(&id).ok_or_else(ApiError::not_found)?;
    let (who, vault) = (session.clone(), ctx.vault.clone());
    let blob = ctx
        .store
        .read(&session.scope(), move |tx| {
            let (id, who, vault) = (id.clone(), who.clone(), vault.clone());
            Box::pin(async move {
                let parties = visit::of(tx, &vault, &id).await?;
                if !may_read(&who, &parties) {
                    return Err(ApiError::not_found());
                }
                let issue = super::issue::newest(tx, &id).await?;
                let issue = issue.ok_or_else(|| ApiError::conflict("no_record", "医生尚未签署病历"))?;
                let Some(blob) = issue.pdf_blob.as_deref().and_then(BlobId::parse) else {
                    return Err(ApiError::conflict("no_pdf", "电子病历正在生成，请稍后再试"));
                };
                base::blobs::get(tx, &blob).await?.ok_or_else(ApiError::not_found)
            })
        })
        .await?;
    base::blobs::serve(&ctx, &session.tenant, &blob, request).await
}

/// Whoever spoke with each other: a clinical text is nobody else's business.
fn may_read(session: &Session, parties: &PartiesOfVisit) -> bool {
    match &session.who {
        Who::Patient(account) => *account == parties.visit.account_id,
        Who::Staff(member) => !member.his_code.is_empty() && member.his_code == parties.visit.doctor_code,
    }
}

pub(crate) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new().routes(routes!(pdf))
}
