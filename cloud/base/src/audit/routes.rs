//! The auditor's page.

use axum::extract::State;
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Row;
use crate::permission::SeesAudit;
use crate::{ApiError, Ctx, Json, Page, Paged, Query, Staff};

#[derive(Debug, Clone, Deserialize)]
struct Wanted {
    #[serde(default)]
    subject: String,
    #[serde(default)]
    action: String,
    #[serde(default)]
    actor: String,
}

/// The audit chain, newest first.
#[utoipa::path(get, path = "/admin/audit", tag = "admin",
    params(("subject" = Option<String>, Query), ("action" = Option<String>, Query), ("actor" = Option<String>, Query), Page),
    responses((status = 200, body = Paged<Row>)))]
async fn list(
    State(ctx): State<Ctx>,
    staff: Staff<SeesAudit>,
    Query(wanted): Query<Wanted>,
    Query(page): Query<Page>,
) -> Result<Json<Paged<Row>>, ApiError> {
    let paged = ctx
        .store
        .read(&staff.scope(), move |tx| {
            let wanted = wanted.clone();
            Box::pin(async move {
                let tenant = tx.tenant().clone();
                let filter = "tenant_id = $1 AND ($2 = '' OR subject = $2) AND ($3 = '' OR action = $3) AND ($4 = '' OR actor = $4)";
                let (total,): (u64,) = tx
                    .one(
                        &format!("SELECT COUNT(*) FROM base_audit WHERE {filter}"),
                        &[&tenant, &wanted.subject, &wanted.action, &wanted.actor],
                    )
                    .await?;
                let rows: Vec<Row> = tx
                    .all(
                        &format!(
                            "SELECT seq, at, actor, action, subject, detail, hash FROM base_audit WHERE {filter}
                             ORDER BY seq DESC LIMIT $5 OFFSET $6"
                        ),
                        &[
                            &tenant,
                            &wanted.subject,
                            &wanted.action,
                            &wanted.actor,
                            &page.limit(),
                            &page.offset(),
                        ],
                    )
                    .await?;
                Ok::<_, ApiError>(page.of(rows, total))
            })
        })
        .await?;
    Ok(Json(paged))
}

pub(crate) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new().routes(routes!(list))
}
