//! The code over HTTP: for the page 我的就诊码.

use std::time::Duration;

use axum::extract::State;
use base::{ApiError, Ctx, Json, Path, Patient, audit, throttle};
use records::Timestamp;
use records::id::PatientId;
use records::patient_code::Bearer;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{TASKS, make, tell};
use crate::CareError;
use crate::patients::store as patients;

/// Codes of one account in [`WINDOW`]; its page asks for one a minute.
const MOST: u32 = 40;
const WINDOW: Duration = Duration::from_secs(600);

/// What a code is wanted for.
#[derive(Debug, Clone, Deserialize, ToSchema)]
struct CodeWish {
    /// `check_in`, `reports`, `prescriptions` or `fees`: where the terminal begins; without it, it asks.
    #[serde(default)]
    task: Option<String>,
}

/// A patient code.
#[derive(Debug, Serialize, ToSchema)]
struct CodeView {
    /// For the QR symbol.
    text: String,
    /// From then on no terminal takes it.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    /// Seconds it is good, for a phone whose clock is wrong.
    life_s: u64,
    /// Whose, with the middle of the name hidden.
    name_masked: String,
}

/// A fresh patient code (就诊码) for the hospital's self-service terminal. It is taken once, within five minutes.
#[utoipa::path(post, path = "/patients/{id}/code", tag = "patients", params(("id" = String, Path)), request_body = CodeWish,
    responses((status = 200, body = CodeView), (status = 409, body = base::error::ErrorBody), (status = 429, body = base::error::ErrorBody)))]
async fn fresh(
    State(ctx): State<Ctx>,
    patient: Patient,
    Path(id): Path<String>,
    Json(wish): Json<CodeWish>,
) -> Result<Json<CodeView>, ApiError> {
    let id = PatientId::parse(&id).ok_or_else(ApiError::not_found)?;
    let task = wish.task.unwrap_or_default();
    if !task.is_empty() && !TASKS.contains(&task.as_str()) {
        return Err(ApiError::field("task", "没有这项自助服务"));
    }
    let counter = format!("patient_code:{}", patient.account);
    let scope = patient.scope();
    let counted = ctx.store.write(&scope, move |tx| {
        let counter = counter.clone();
        Box::pin(async move { throttle::hit(tx, &counter, MOST, WINDOW).await })
    });
    counted.await??;
    let (account, deps) = (patient.account.clone(), ctx.clone());
    let made = ctx.store.write(&scope, move |tx| {
        let (account, id, deps, task) = (account.clone(), id.clone(), deps.clone(), task.clone());
        Box::pin(async move {
            let row = patients::own(tx, &account, &id).await?;
            let tenant = tx.tenant().clone();
            let binding = row.binding();
            let Some(his_patient_id) = binding.his_patient_id() else {
                return Err(ApiError::conflict("patient_unbound", "医院尚未确认该就诊人，暂不能出示就诊码").into());
            };
            if !tell(tx, &deps.vault).await? {
                return Err(ApiError::conflict("no_appliance", "本院尚未开通自助机").into());
            }
            let bearer = Bearer {
                his_patient_id: his_patient_id.to_owned(),
                name: deps.vault.open_text(&tenant, patients::NAME, &row.name_sealed)?,
                task: task.clone(),
            };
            let code = make(&deps.vault, &deps.ids, &tenant, &bearer, tx.now())?;
            audit::record(tx, "patient.code", id.as_str(), json!({ "task": task })).await?;
            Ok::<_, CareError>(CodeView {
                text: code.text(),
                expires_at: code.expires_at,
                life_s: code.expires_at.since(tx.now()).as_secs(),
                name_masked: row.name_masked,
            })
        })
    });
    Ok(Json(made.await.map_err(ApiError::from)?))
}

pub(crate) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new().routes(routes!(fresh))
}
