//! Patients over HTTP, and their binding to the HIS.

use axum::extract::State;
use axum::http::StatusCode;
use base::{ApiError, Ctx, Event, Json, Path, Patient, audit, settings};
use records::his::{NewPatient, PatientCreate, PatientKey, PatientQuery};
use records::id::{AccountId, PatientId};
use records::{LocalDate, Outcome, TenantId};
use serde::Serialize;
use serde_json::json;
use store::{Scope, Tx};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::identity_card::age_text;
use super::store::{GUARDIAN, ID_NUMBER, NAME, PHONE, PatientRow};
use super::{Binding, Checked, Entry, Guardian, Relation, check, mask_id_number, mask_name, mask_phone, store as sql};
use crate::consultation::ConsultationSettings;
use crate::{CareError, hospital};

/// A patient as the account holder sees them: masked.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct PatientView {
    /// Id.
    pub id: String,
    /// Name with the middle hidden.
    pub name_masked: String,
    /// Identity card number with the middle hidden.
    pub id_number_masked: String,
    /// Phone with the middle hidden.
    pub phone_masked: String,
    /// Relation to the account holder.
    pub relation: Relation,
    /// `M` or `F`, from the number.
    pub sex: String,
    /// Day of birth, from the number.
    #[schema(value_type = String)]
    pub birth_date: LocalDate,
    /// Age in words.
    pub age: String,
    /// `pending`, `matched`, `created` or `refused`.
    pub his_state: String,
    /// What the hospital said.
    pub his_message: Option<String>,
    /// Whether a guardian is recorded.
    pub has_guardian: bool,
}

impl PatientView {
    pub(crate) fn of(row: &PatientRow, today: LocalDate) -> Self {
        Self {
            id: row.id.as_str().to_owned(),
            name_masked: row.name_masked.clone(),
            id_number_masked: row.id_number_masked.clone(),
            phone_masked: row.phone_masked.clone(),
            relation: row.relation,
            sex: row.sex.clone(),
            birth_date: row.birth_date,
            age: age_text(row.birth_date, today),
            his_state: row.binding().as_str().to_owned(),
            his_message: row.his_message.clone(),
            has_guardian: row.guardian_sealed.is_some(),
        }
    }
}

/// Patients of the account.
#[utoipa::path(get, path = "/patients", tag = "patients", responses((status = 200, body = Vec<PatientView>)))]
async fn list(State(ctx): State<Ctx>, patient: Patient) -> Result<Json<Vec<PatientView>>, ApiError> {
    let (account, today) = (patient.account.clone(), ctx.now().local_date());
    let rows = ctx
        .store
        .read(&patient.scope(), move |tx| {
            let account = account.clone();
            Box::pin(async move { sql::list(tx, &account).await })
        })
        .await?;
    Ok(Json(rows.iter().map(|row| PatientView::of(row, today)).collect()))
}

/// Adds a patient and binds them to the hospital: an existing record is matched, else one is made.
#[utoipa::path(post, path = "/patients", tag = "patients", request_body = Entry,
    responses((status = 201, body = PatientView), (status = 409, body = base::error::ErrorBody), (status = 422, body = base::error::ErrorBody)))]
async fn add(
    State(ctx): State<Ctx>,
    patient: Patient,
    Json(entry): Json<Entry>,
) -> Result<(StatusCode, Json<PatientView>), ApiError> {
    let (account, deps) = (patient.account.clone(), ctx.clone());
    let row = ctx
        .store
        .write(&patient.scope(), move |tx| {
            let (account, entry, deps) = (account.clone(), entry.clone(), deps.clone());
            Box::pin(async move { add_in(tx, &deps, &account, &entry).await })
        })
        .await
        .map_err(ApiError::from)?;
    bind(&ctx, &patient.tenant, &row).await?;
    let row = own(&ctx, &patient, &row.id).await?;
    Ok((StatusCode::CREATED, Json(PatientView::of(&row, ctx.now().local_date()))))
}

async fn add_in(tx: &mut Tx<'_>, ctx: &Ctx, account: &AccountId, entry: &Entry) -> Result<PatientRow, CareError> {
    let rules: ConsultationSettings = settings::get(tx).await?;
    let checked = check(entry, tx.now().local_date(), rules.guardian_below_years)
        .map_err(|fault| ApiError::field(fault.field, fault.words))?;
    let row = sealed(tx, ctx, account, &checked)?;
    let others = sql::list(tx, account).await?;
    if others.iter().any(|o| o.id_number_index == row.id_number_index) {
        return Err(ApiError::conflict("patient_exists", "该就诊人已添加，无需重复添加").into());
    }
    if others.len() >= usize::try_from(rules.patients_per_account).unwrap_or(usize::MAX) {
        let words = format!("每个账号最多添加{}位就诊人", rules.patients_per_account);
        return Err(ApiError::conflict("patient_limit", words).into());
    }
    if row.relation == Relation::Myself && others.iter().any(|o| o.relation == Relation::Myself) {
        return Err(ApiError::field("relation", "已添加本人，请选择其他关系").into());
    }
    sql::insert(tx, &row).await?;
    audit::record(
        tx,
        "patient.add",
        row.id.as_str(),
        json!({ "relation": row.relation.as_str() }),
    )
    .await?;
    Ok(row)
}

fn sealed(tx: &Tx<'_>, ctx: &Ctx, account: &AccountId, checked: &Checked) -> Result<PatientRow, CareError> {
    let (tenant, now) = (tx.tenant(), tx.now());
    let number = checked.card.number();
    let guardian = checked
        .guardian
        .as_ref()
        .map(|guardian| {
            let body = serde_json::to_vec(guardian).map_err(|_| CareError::Damaged)?;
            Ok::<_, CareError>(ctx.vault.seal(tenant, GUARDIAN, &body)?)
        })
        .transpose()?;
    Ok(PatientRow {
        id: PatientId::generate(&ctx.ids, now),
        account_id: account.clone(),
        relation: checked.relation,
        name_sealed: ctx.vault.seal(tenant, NAME, checked.name.as_bytes())?,
        name_index: ctx.vault.index(tenant, NAME, &checked.name)?,
        name_masked: mask_name(&checked.name),
        id_number_sealed: ctx.vault.seal(tenant, ID_NUMBER, number.as_bytes())?,
        id_number_index: ctx.vault.index(tenant, ID_NUMBER, number)?,
        id_number_masked: mask_id_number(number),
        phone_sealed: ctx.vault.seal(tenant, PHONE, checked.phone.as_bytes())?,
        phone_masked: mask_phone(&checked.phone),
        guardian_sealed: guardian,
        sex: checked.card.sex().to_owned(),
        birth_date: checked.card.birth(),
        his_state: "pending".to_owned(),
        his_patient_id: None,
        his_message: None,
        tries: 0,
        created_at: now,
        removed_at: None,
    })
}

async fn own(ctx: &Ctx, patient: &Patient, id: &PatientId) -> Result<PatientRow, ApiError> {
    let (account, id) = (patient.account.clone(), id.clone());
    let row = ctx
        .store
        .read(&patient.scope(), move |tx| {
            let (account, id) = (account.clone(), id.clone());
            Box::pin(async move { sql::own(tx, &account, &id).await })
        })
        .await?;
    Ok(row)
}

/// Asks the hospital again for a patient it refused or did not answer for.
#[utoipa::path(post, path = "/patients/{id}/retry", tag = "patients", params(("id" = String, Path)),
    responses((status = 200, body = PatientView)))]
async fn retry(
    State(ctx): State<Ctx>,
    patient: Patient,
    Path(id): Path<String>,
) -> Result<Json<PatientView>, ApiError> {
    let id = PatientId::parse(&id).ok_or_else(ApiError::not_found)?;
    let (account, wanted) = (patient.account.clone(), id.clone());
    let row = ctx
        .store
        .write(&patient.scope(), move |tx| {
            let (account, id) = (account.clone(), wanted.clone());
            Box::pin(async move {
                let row = sql::own(tx, &account, &id).await?;
                if let Binding::Refused(_) = row.binding() {
                    // A new try is a new order to the HIS: its key must differ from the refused one's.
                    let binding = row.binding().retry();
                    let now = tx.now();
                    sql::bind(tx, &id, &binding, None, row.tries + 1, Some(now)).await?;
                }
                sql::own(tx, &account, &id).await
            })
        })
        .await?;
    bind(&ctx, &patient.tenant, &row).await?;
    let row = own(&ctx, &patient, &id).await?;
    Ok(Json(PatientView::of(&row, ctx.now().local_date())))
}

/// Takes a patient off the list.
#[utoipa::path(delete, path = "/patients/{id}", tag = "patients", params(("id" = String, Path)),
    responses((status = 204, description = "removed"), (status = 409, body = base::error::ErrorBody)))]
async fn remove(State(ctx): State<Ctx>, patient: Patient, Path(id): Path<String>) -> Result<StatusCode, ApiError> {
    let id = PatientId::parse(&id).ok_or_else(ApiError::not_found)?;
    let account = patient.account.clone();
    ctx.store
        .write(&patient.scope(), move |tx| {
            let (account, id) = (account.clone(), id.clone());
            Box::pin(async move {
                sql::own(tx, &account, &id).await?;
                if sql::living_visits(tx, &id).await? > 0 {
                    return Err(ApiError::conflict("patient_busy", "该就诊人有未结束的问诊，暂不能删除").into());
                }
                sql::remove(tx, &id).await?;
                audit::record(tx, "patient.remove", id.as_str(), json!({})).await?;
                Ok::<_, CareError>(())
            })
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Asks the HIS for the patient, and has one made when it knows none. What is unknown is asked for again later, by
/// query first.
pub(crate) async fn bind(ctx: &Ctx, tenant: &TenantId, row: &PatientRow) -> Result<(), CareError> {
    if row.binding() != Binding::Pending || row.removed_at.is_some() {
        return Ok(());
    }
    let key = PatientKey {
        name: ctx.vault.open_text(tenant, NAME, &row.name_sealed)?,
        id_number: ctx.vault.open_text(tenant, ID_NUMBER, &row.id_number_sealed)?,
    };
    let said = match hospital::ask::<PatientQuery>(ctx, tenant, &key).await {
        Outcome::Done(Some(found)) => Some(Binding::Matched(found.his_patient_id)),
        Outcome::Done(None) => create(ctx, tenant, row, key).await?,
        Outcome::Refused { text, .. } => Some(Binding::Refused(text)),
        Outcome::Later { .. } | Outcome::Unknown => None,
    };
    hear(ctx, tenant, row, said).await
}

async fn create(ctx: &Ctx, tenant: &TenantId, row: &PatientRow, key: PatientKey) -> Result<Option<Binding>, CareError> {
    let guardian: Option<Guardian> = row
        .guardian_sealed
        .as_ref()
        .map(|sealed| {
            let plain = ctx.vault.open(tenant, GUARDIAN, sealed)?;
            serde_json::from_slice(&plain).map_err(|_| CareError::Damaged)
        })
        .transpose()?;
    let (guardian_name, guardian_id_number) = guardian.map(|g| (g.name, g.id_number)).unzip();
    let new = NewPatient {
        name: key.name,
        id_number: key.id_number,
        sex: row.sex.clone(),
        birth_date: row.birth_date,
        phone: ctx.vault.open_text(tenant, PHONE, &row.phone_sealed)?,
        guardian_name,
        guardian_id_number,
    };
    let order = format!("{}-{}", row.id, row.tries);
    Ok(match hospital::act::<PatientCreate>(ctx, tenant, &order, &new).await {
        Outcome::Done(made) => Some(Binding::Created(made.his_patient_id)),
        Outcome::Refused { text, .. } => Some(Binding::Refused(text)),
        Outcome::Later { .. } | Outcome::Unknown => None,
    })
}

async fn hear(ctx: &Ctx, tenant: &TenantId, row: &PatientRow, said: Option<Binding>) -> Result<(), CareError> {
    let (id, account) = (row.id.clone(), row.account_id.clone());
    ctx.store
        .write(&Scope::system(tenant.clone()), move |tx| {
            let (id, said) = (id.clone(), said.clone());
            Box::pin(async move {
                let row = sql::get(tx, &id).await?;
                let later = tx.now().plus(std::time::Duration::from_secs(15));
                let binding = row.binding().hear(said.unwrap_or(Binding::Pending));
                let (message, look) = match &binding {
                    Binding::Pending => (Some("医院系统暂时无法连接，将自动重试"), Some(later)),
                    Binding::Matched(_) => (Some("已关联院内档案"), None),
                    Binding::Created(_) => (Some("已在医院新建档案"), None),
                    Binding::Refused(words) => (Some(words.as_str()), None),
                };
                sql::bind(tx, &id, &binding, message, row.tries, look).await?;
                Ok::<_, CareError>(())
            })
        })
        .await?;
    ctx.events.publish(
        tenant,
        base::Audience::Patient(account),
        Event::new("patient.changed", &row.id),
    );
    Ok(())
}

/// Tries again for patients whose binding is open.
pub(crate) async fn tick(ctx: &Ctx, tenant: &TenantId) -> Result<(), CareError> {
    if !ctx.hospital.online(tenant).await {
        return Ok(());
    }
    let due = ctx
        .store
        .write(&Scope::system(tenant.clone()), |tx| {
            Box::pin(async move { sql::claim_due(tx, 20).await })
        })
        .await
        .map_err(CareError::Store)?;
    for row in due {
        bind(ctx, tenant, &row).await?;
    }
    Ok(())
}

pub(crate) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(retry))
        .routes(routes!(remove))
}
