//! Settings of a hospital: named JSON documents, each with a type in the context that uses it.

use std::collections::BTreeMap;

use axum::extract::State;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use store::{StoreError, Tx};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::permission::Configures;
use crate::{ApiError, Ctx, Json, Staff, audit};

/// A group of settings with defaults. Field names are part of the API.
pub trait Setting: Serialize + DeserializeOwned + Default + Send + 'static {
    /// Its name, e.g. `care.booking`.
    const NAME: &'static str;
    /// What is wrong with these values, in plain Chinese.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}

/// The hospital's setting, or its default.
pub async fn get<T: Setting>(tx: &mut Tx<'_>) -> Result<T, StoreError> {
    let tenant = tx.tenant().clone();
    let row: Option<(Value,)> = tx
        .opt(
            "SELECT body FROM base_setting WHERE tenant_id = $1 AND name = $2",
            &[&tenant, &T::NAME],
        )
        .await?;
    let Some((body,)) = row else {
        return Ok(T::default());
    };
    serde_json::from_value(body).map_err(|e| StoreError::Column {
        column: 0,
        message: format!("setting {}: {e}", T::NAME),
    })
}

/// Sets it.
pub async fn put<T: Setting>(tx: &mut Tx<'_>, value: &T) -> Result<(), StoreError> {
    let body = serde_json::to_value(value).map_err(|e| StoreError::Constraint { message: e.to_string() })?;
    put_raw(tx, T::NAME, &body).await
}

/// A setting known to this build, for the page that shows and changes them all.
#[derive(Clone, Copy)]
pub struct Kind {
    /// Its name.
    pub name: &'static str,
    /// The default.
    pub default: fn() -> Value,
    /// What is wrong with these values.
    pub check: fn(Value) -> Result<(), String>,
}

/// The [`Kind`] of a setting type.
pub const fn kind<T: Setting>() -> Kind {
    Kind {
        name: T::NAME,
        default: || serde_json::to_value(T::default()).unwrap_or_default(),
        check: |value| {
            serde_json::from_value::<T>(value)
                .map_err(|e| format!("设置内容有误：{e}"))?
                .check()
        },
    }
}

/// The kinds of all contexts; the application adds it to the router as an extension.
#[derive(Clone, Default)]
pub struct Kinds(pub Vec<Kind>);

/// Sets a setting by name. The caller has checked the value.
pub async fn put_raw(tx: &mut Tx<'_>, name: &str, body: &Value) -> Result<(), StoreError> {
    let (tenant, now, by) = (tx.tenant().clone(), tx.now(), tx.actor().to_string());
    tx.exec(
        "INSERT INTO base_setting(tenant_id, name, body, changed_at, changed_by) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (tenant_id, name) DO UPDATE SET body = EXCLUDED.body, changed_at = EXCLUDED.changed_at,
            changed_by = EXCLUDED.changed_by",
        &[&tenant, &name, body, &now, &by],
    )
    .await
    .map(drop)
}

async fn all(tx: &mut Tx<'_>, kinds: &[Kind]) -> Result<BTreeMap<String, Value>, StoreError> {
    let tenant = tx.tenant().clone();
    let rows: Vec<(String, Value)> = tx
        .all("SELECT name, body FROM base_setting WHERE tenant_id = $1", &[&tenant])
        .await?;
    let mut settings: BTreeMap<String, Value> = kinds.iter().map(|k| (k.name.to_owned(), (k.default)())).collect();
    for (name, body) in rows {
        if let Some(value) = settings.get_mut(&name) {
            *value = body;
        }
    }
    Ok(settings)
}

/// All settings of the hospital by name.
#[utoipa::path(get, path = "/admin/settings", tag = "admin", responses((status = 200, body = BTreeMap<String, Value>)))]
async fn show(
    State(ctx): State<Ctx>,
    staff: Staff<Configures>,
    axum::Extension(kinds): axum::Extension<Kinds>,
) -> Result<Json<BTreeMap<String, Value>>, ApiError> {
    let settings = ctx
        .store
        .read(&staff.scope(), move |tx| {
            let kinds = kinds.clone();
            Box::pin(async move { all(tx, &kinds.0).await })
        })
        .await?;
    Ok(Json(settings))
}

/// Changes the settings named in the body; the others stay.
#[utoipa::path(put, path = "/admin/settings", tag = "admin", request_body = BTreeMap<String, Value>,
    responses((status = 200, body = BTreeMap<String, Value>)))]
async fn change(
    State(ctx): State<Ctx>,
    staff: Staff<Configures>,
    axum::Extension(kinds): axum::Extension<Kinds>,
    Json(wanted): Json<BTreeMap<String, Value>>,
) -> Result<Json<BTreeMap<String, Value>>, ApiError> {
    for (name, value) in &wanted {
        let Some(kind) = kinds.0.iter().find(|k| k.name == name) else {
            return Err(ApiError::field(name.clone(), "没有这项设置"));
        };
        (kind.check)(value.clone()).map_err(|why| ApiError::field(name.clone(), why))?;
    }
    let settings = ctx
        .store
        .write(&staff.scope(), move |tx| {
            let (kinds, wanted) = (kinds.clone(), wanted.clone());
            Box::pin(async move {
                for (name, value) in &wanted {
                    put_raw(tx, name, value).await?;
                    audit::record(tx, "settings.change", name, value.clone()).await?;
                }
                all(tx, &kinds.0).await
            })
        })
        .await?;
    Ok(Json(settings))
}

pub(crate) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new().routes(routes!(show, change))
}
