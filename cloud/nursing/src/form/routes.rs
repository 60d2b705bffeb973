//! Forms over HTTP, for the nursing desk: added, changed into a new version, taken out of use.

use axum::extract::State as Extract;
use axum::http::StatusCode;
use base::permission::Dispatches;
use base::{ApiError, Ctx, Json, Path, Staff, audit};
use records::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{StoreError, Tx};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::store::{self as sql, Version};
use super::{Body, FormId};

/// A form in a list.
#[derive(Debug, Serialize, ToSchema)]
struct FormRow {
    /// Id.
    id: String,
    /// Its newest version.
    version: u32,
    /// Name.
    name: String,
    /// Services it is filled in for.
    services: Vec<String>,
    /// Questions.
    questions: usize,
    /// When this version was made.
    #[schema(value_type = String, format = DateTime)]
    made_at: Timestamp,
    /// Who made it.
    made_by: String,
    /// When it was taken out of use.
    #[schema(value_type = Option<String>, format = DateTime)]
    retired_at: Option<Timestamp>,
}

/// A form with all its versions.
#[derive(Debug, Serialize, ToSchema)]
struct FormDetail {
    /// Newest version and standing.
    #[serde(flatten)]
    row: FormRow,
    /// What it asks.
    body: Body,
    /// Every version, newest first.
    versions: Vec<FormVersion>,
}

/// A version of a form.
#[derive(Debug, Serialize, ToSchema)]
struct FormVersion {
    /// Number.
    version: u32,
    /// Name.
    name: String,
    /// Services.
    services: Vec<String>,
    /// What it asked.
    body: Body,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    made_at: Timestamp,
    /// Who made it.
    made_by: String,
}

fn services(form: &Version) -> Vec<String> {
    serde_json::from_value(form.services.clone()).unwrap_or_default()
}

fn body(form: &Version) -> Body {
    serde_json::from_value(form.body.clone()).unwrap_or_default()
}

fn row(form: &Version, retired_at: Option<Timestamp>) -> FormRow {
    FormRow {
        id: form.id.to_string(),
        version: form.version,
        name: form.name.clone(),
        services: services(form),
        questions: body(form).questions.len(),
        made_at: form.made_at,
        made_by: form.made_by.clone(),
        retired_at,
    }
}

/// The hospital's forms.
#[utoipa::path(get, path = "/admin/nursing/forms", tag = "nursing", responses((status = 200, body = Vec<FormRow>)))]
async fn list(Extract(ctx): Extract<Ctx>, staff: Staff<Dispatches>) -> Result<Json<Vec<FormRow>>, ApiError> {
    let all = ctx
        .store
        .read(&staff.scope(), |tx| Box::pin(async move { sql::all(tx).await }))
        .await
        .map_err(|e: StoreError| e)?;
    Ok(Json(all.iter().map(|(form, retired)| row(form, *retired)).collect()))
}

async fn detail(tx: &mut Tx<'_>, id: &FormId) -> Result<FormDetail, ApiError> {
    let all = sql::all(tx).await?;
    let newest = all.iter().find(|(form, _)| form.id == *id);
    let (form, retired) = newest.ok_or_else(ApiError::not_found)?;
    let versions = sql::versions(tx, id).await?;
    Ok(FormDetail {
        row: row(form, *retired),
        body: body(form),
        versions: versions
            .iter()
            .map(|v| FormVersion {
                version: v.version,
                name: v.name.clone(),
                services: services(v),
                body: body(v),
                made_at: v.made_at,
                made_by: v.made_by.clone(),
            })
            .collect(),
    })
}

/// A form with its versions.
#[utoipa::path(get, path = "/admin/nursing/forms/{id}", tag = "nursing", params(("id" = String, Path)),
    responses((status = 200, body = FormDetail), (status = 404, body = base::error::ErrorBody)))]
async fn show(
    Extract(ctx): Extract<Ctx>,
    staff: Staff<Dispatches>,
    Path(id): Path<String>,
) -> Result<Json<FormDetail>, ApiError> {
    let id = FormId::parse(&id).ok_or_else(ApiError::not_found)?;
    let shown = ctx
        .store
        .read(&staff.scope(), move |tx| {
            let id = id.clone();
            Box::pin(async move { detail(tx, &id).await })
        })
        .await?;
    Ok(Json(shown))
}

/// A form as the desk writes it.
#[derive(Clone, Debug, Deserialize, ToSchema)]
struct FormDraft {
    /// Name, e.g. 压力性损伤风险评估（Braden）.
    name: String,
    /// Services it is filled in for; each service has one form in use.
    services: Vec<String>,
    /// What it asks.
    body: Body,
}

async fn keep(tx: &mut Tx<'_>, id: &FormId, draft: &FormDraft, by: &str) -> Result<u32, ApiError> {
    let name = draft.name.trim();
    if !(2..=60).contains(&name.chars().count()) || name.chars().any(char::is_control) {
        return Err(ApiError::field("name", "请填写2到60个字的名称"));
    }
    draft.body.check()?;
    let mut services: Vec<String> = draft.services.iter().map(|s| s.trim().to_owned()).collect();
    services.retain(|s| !s.is_empty());
    services.dedup();
    if services.is_empty() || services.len() > 100 || services.iter().any(|s| s.chars().count() > 30) {
        return Err(ApiError::field("services", "请至少选择一个护理项目"));
    }
    one_each(tx, id, &services).await?;
    let body = serde_json::to_value(&draft.body).map_err(ApiError::internal)?;
    let version = sql::put(tx, id, name, &Value::from(services.clone()), &body, by).await?;
    let detail = json!({ "name": name, "version": version, "services": services });
    audit::record(tx, "form.save", id.as_str(), detail).await?;
    Ok(version)
}

/// Two forms for one service would leave it to chance which the patient sees.
async fn one_each(tx: &mut Tx<'_>, id: &FormId, services: &[String]) -> Result<(), ApiError> {
    let all = sql::all(tx).await?;
    for (other, _) in all.iter().filter(|(f, retired)| f.id != *id && retired.is_none()) {
        if let Some(service) = services.iter().find(|s| sql::serves(other, s)) {
            let words = format!("“{service}”已使用量表《{}》，请先停用或改其项目", other.name);
            return Err(ApiError::field("services", words));
        }
    }
    Ok(())
}

/// A new form (新增).
#[utoipa::path(post, path = "/admin/nursing/forms", tag = "nursing", request_body = FormDraft,
    responses((status = 201, body = FormDetail), (status = 422, body = base::error::ErrorBody)))]
async fn create(
    Extract(ctx): Extract<Ctx>,
    staff: Staff<Dispatches>,
    Json(draft): Json<FormDraft>,
) -> Result<(StatusCode, Json<FormDetail>), ApiError> {
    let (id, by) = (FormId::generate(&ctx.ids, ctx.now()), staff.name.clone());
    let made = ctx
        .store
        .write(&staff.scope(), move |tx| {
            let (id, draft, by) = (id.clone(), draft.clone(), by.clone());
            Box::pin(async move {
                keep(tx, &id, &draft, &by).await?;
                detail(tx, &id).await
            })
        })
        .await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// Changes a form (维护): one version more. What was filled in keeps its version.
#[utoipa::path(put, path = "/admin/nursing/forms/{id}", tag = "nursing", params(("id" = String, Path)), request_body = FormDraft,
    responses((status = 200, body = FormDetail), (status = 404, body = base::error::ErrorBody),
        (status = 422, body = base::error::ErrorBody)))]
async fn change(
    Extract(ctx): Extract<Ctx>,
    staff: Staff<Dispatches>,
    Path(id): Path<String>,
    Json(draft): Json<FormDraft>,
) -> Result<Json<FormDetail>, ApiError> {
    let (id, by) = (FormId::parse(&id).ok_or_else(ApiError::not_found)?, staff.name.clone());
    let made = ctx
        .store
        .write(&staff.scope(), move |tx| {
            let (id, draft, by) = (id.clone(), draft.clone(), by.clone());
            Box::pin(async move {
                detail(tx, &id).await?;
                keep(tx, &id, &draft, &by).await?;
                detail(tx, &id).await
            })
        })
        .await?;
    Ok(Json(made))
}

/// What is done with a form.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(tag = "act", rename_all = "snake_case")]
enum FormAct {
    /// 停用.
    Retire,
    /// 启用.
    Restore,
}

/// Takes a form out of use, or into it again.
#[utoipa::path(post, path = "/admin/nursing/forms/{id}/acts", tag = "nursing", params(("id" = String, Path)), request_body = FormAct,
    responses((status = 200, body = FormDetail), (status = 404, body = base::error::ErrorBody),
        (status = 422, body = base::error::ErrorBody)))]
async fn act(
    Extract(ctx): Extract<Ctx>,
    staff: Staff<Dispatches>,
    Path(id): Path<String>,
    Json(wanted): Json<FormAct>,
) -> Result<Json<FormDetail>, ApiError> {
    let id = FormId::parse(&id).ok_or_else(ApiError::not_found)?;
    let shown = ctx
        .store
        .write(&staff.scope(), move |tx| {
            let id = id.clone();
            Box::pin(async move {
                let (at, word) = match wanted {
                    FormAct::Retire => (Some(tx.now()), "form.retire"),
                    FormAct::Restore => (None, "form.restore"),
                };
                if at.is_none() {
                    let services = detail(tx, &id).await?.row.services;
                    one_each(tx, &id, &services).await?;
                }
                if sql::retire(tx, &id, at).await? == 0 {
                    return Err(ApiError::not_found());
                }
                audit::record(tx, word, id.as_str(), json!({})).await?;
                detail(tx, &id).await
            })
        })
        .await?;
    Ok(Json(shown))
}

pub(crate) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(show, change))
        .routes(routes!(act))
}
