//! Hospitals as tenants.

use axum::extract::State;
use records::TenantId;
use records::id::EdgeId;
use serde::{Deserialize, Serialize};
use store::{Scope, Store, StoreError, Tx};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::{ApiError, Ctx, Json};

/// A hospital as everybody may see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HospitalName {
    /// Short code, e.g. `people1`.
    pub code: String,
    /// Name.
    pub name: String,
}

/// A hospital.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// Id.
    pub id: TenantId,
    /// Short code.
    pub code: String,
    /// Name.
    pub name: String,
    /// Its appliance.
    pub edge: Option<EdgeId>,
}

impl store::FromRow for Tenant {
    fn from_row(row: &store::Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.get(0)?,
            code: row.get(1)?,
            name: row.get(2)?,
            edge: row.get(3)?,
        })
    }
}

/// Every hospital of this installation, for timers and the sign-in page.
pub async fn all(store: &Store) -> Result<Vec<Tenant>, StoreError> {
    store
        .read(&Scope::system(store::operator()), |tx| {
            Box::pin(async move {
                tx.all(
                    "SELECT tenant_id, code, name, edge_id FROM base_hospital ORDER BY code",
                    &[],
                )
                .await
            })
        })
        .await
}

/// The hospital with this code.
pub async fn by_code(store: &Store, code: &str) -> Result<Tenant, ApiError> {
    let found = all(store).await?.into_iter().find(|t| t.code == code);
    found.ok_or_else(|| ApiError::field("hospital", "没有找到该医院"))
}

/// The hospital of this id.
pub async fn by_id(tx: &mut Tx<'_>) -> Result<Tenant, StoreError> {
    let tenant = tx.tenant().clone();
    tx.one(
        "SELECT tenant_id, code, name, edge_id FROM base_hospital WHERE tenant_id = $1",
        &[&tenant],
    )
    .await
}

/// Takes a hospital in, or renames it. The unit's scope names the tenant.
pub async fn put(tx: &mut Tx<'_>, code: &str, name: &str, edge: Option<&EdgeId>) -> Result<(), StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    tx.exec(
        "INSERT INTO base_hospital(tenant_id, code, name, edge_id, created_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (tenant_id) DO UPDATE SET code = EXCLUDED.code, name = EXCLUDED.name,
            edge_id = COALESCE(EXCLUDED.edge_id, base_hospital.edge_id)",
        &[&tenant, &code, &name, &edge, &now],
    )
    .await
    .map(drop)
}

/// Hospitals to choose from.
#[utoipa::path(get, path = "/hospitals", tag = "identity", responses((status = 200, body = Vec<HospitalName>)))]
async fn list(State(ctx): State<Ctx>) -> Result<Json<Vec<HospitalName>>, ApiError> {
    let names = all(&ctx.store)
        .await?
        .into_iter()
        .map(|t| HospitalName {
            code: t.code,
            name: t.name,
        })
        .collect();
    Ok(Json(names))
}

pub(crate) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new().routes(routes!(list))
}
