//! Departments and doctors over HTTP, and their refreshing.

use axum::extract::State;
use base::{ApiError, Ctx, Json, Path, Query, Session, settings};
use records::his::{Department, DepartmentList, Doctor, DoctorList, Everything, InDepartment};
use records::{Outcome, TenantId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use store::{Scope, StoreError};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::store::{DEPARTMENTS, DOCTORS};
use super::{FRESH, store as sql};
use crate::consultation::ConsultationSettings;
use crate::{CareError, hospital};

/// A department shown online.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct DepartmentView {
    /// Code.
    code: String,
    /// Name.
    name: String,
    /// Description.
    description: String,
    /// Where it is in the hospital.
    location: String,
}

/// A doctor shown online.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct DoctorView {
    /// Code.
    code: String,
    /// Name.
    name: String,
    /// Title (职称).
    title: String,
    /// Department.
    department_code: String,
    /// What they are good at.
    skill: String,
    /// Introduction.
    introduction: String,
}

impl From<Department> for DepartmentView {
    fn from(d: Department) -> Self {
        Self {
            code: d.code,
            name: d.name,
            description: d.description,
            location: d.location,
        }
    }
}

impl From<Doctor> for DoctorView {
    fn from(d: Doctor) -> Self {
        Self {
            code: d.code,
            name: d.name,
            title: d.title,
            department_code: d.department_code,
            skill: d.skill,
            introduction: d.introduction,
        }
    }
}

/// The kept list, if any, with whether it is fresh, and the hospital's rules.
async fn kept<T>(
    ctx: &Ctx,
    tenant: &TenantId,
    name: &'static str,
) -> Result<(Option<(Vec<T>, bool)>, ConsultationSettings), StoreError>
where
    T: DeserializeOwned + Send + 'static,
{
    ctx.store
        .read(&Scope::system(tenant.clone()), move |tx| {
            Box::pin(async move {
                let now = tx.now();
                let list = sql::list::<T>(tx, name).await?;
                let rules = settings::get::<ConsultationSettings>(tx).await?;
                Ok((list.map(|(list, at)| (list, now.since(at) < FRESH)), rules))
            })
        })
        .await
}

async fn keep<T>(ctx: &Ctx, tenant: &TenantId, name: &'static str, list: &[T]) -> Result<(), StoreError>
where
    T: Serialize + Clone + Send + Sync + 'static,
{
    let list = list.to_vec();
    ctx.store
        .write(&Scope::system(tenant.clone()), move |tx| {
            let list = list.clone();
            Box::pin(async move { sql::keep(tx, name, &list).await })
        })
        .await
}

/// Fetches departments and doctors and keeps them; answers whether the HIS answered.
pub(crate) async fn refresh(ctx: &Ctx, tenant: &TenantId) -> Result<bool, CareError> {
    let departments = hospital::ask::<DepartmentList>(ctx, tenant, &Everything {}).await;
    let doctors = hospital::ask::<DoctorList>(ctx, tenant, &InDepartment::default()).await;
    let (Outcome::Done(departments), Outcome::Done(doctors)) = (departments, doctors) else {
        return Ok(false);
    };
    keep(ctx, tenant, DEPARTMENTS, &departments).await?;
    keep(ctx, tenant, DOCTORS, &doctors).await?;
    Ok(true)
}

/// The list a person sees: fresh if it can be had, else the kept one.
async fn shown<T>(ctx: &Ctx, tenant: &TenantId, name: &'static str) -> Result<(Vec<T>, ConsultationSettings), ApiError>
where
    T: DeserializeOwned + Send + 'static,
{
    match kept::<T>(ctx, tenant, name).await? {
        (Some((list, true)), rules) => Ok((list, rules)),
        (older, rules) => {
            if refresh(ctx, tenant).await?
                && let (Some((list, _)), rules) = kept::<T>(ctx, tenant, name).await?
            {
                return Ok((list, rules));
            }
            match older {
                Some((list, _)) => Ok((list, rules)),
                None => Err(ApiError::hospital_offline()),
            }
        }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Search {
    /// Part of a name, title or speciality.
    q: Option<String>,
}

fn has(q: Option<&str>, fields: &[&str]) -> bool {
    let q = q.unwrap_or_default().trim();
    q.is_empty() || fields.iter().any(|field| field.contains(q))
}

/// Departments open online.
#[utoipa::path(get, path = "/departments", tag = "directory", params(Search), responses((status = 200, body = Vec<DepartmentView>)))]
async fn departments(
    State(ctx): State<Ctx>,
    session: Session,
    Query(search): Query<Search>,
) -> Result<Json<Vec<DepartmentView>>, ApiError> {
    let (list, rules) = shown::<Department>(&ctx, &session.tenant, DEPARTMENTS).await?;
    let views = list
        .into_iter()
        .filter(|d| rules.shows_department(&d.code))
        .filter(|d| has(search.q.as_deref(), &[&d.name, &d.description]))
        .map(DepartmentView::from)
        .collect();
    Ok(Json(views))
}

/// Doctors of a department shown online.
#[utoipa::path(get, path = "/departments/{code}/doctors", tag = "directory", params(("code" = String, Path), Search),
    responses((status = 200, body = Vec<DoctorView>)))]
async fn doctors(
    State(ctx): State<Ctx>,
    session: Session,
    Path(code): Path<String>,
    Query(search): Query<Search>,
) -> Result<Json<Vec<DoctorView>>, ApiError> {
    let (list, rules) = shown::<Doctor>(&ctx, &session.tenant, DOCTORS).await?;
    if !rules.shows_department(&code) {
        return Err(ApiError::not_found());
    }
    let views = list
        .into_iter()
        .filter(|d| d.department_code == code && rules.shows_doctor(&d.code))
        .filter(|d| has(search.q.as_deref(), &[&d.name, &d.title, &d.skill]))
        .map(DoctorView::from)
        .collect();
    Ok(Json(views))
}

/// Doctors of the whole hospital by name, title or speciality.
#[utoipa::path(get, path = "/doctors", tag = "directory", params(Search), responses((status = 200, body = Vec<DoctorView>)))]
async fn search_doctors(
    State(ctx): State<Ctx>,
    session: Session,
    Query(search): Query<Search>,
) -> Result<Json<Vec<DoctorView>>, ApiError> {
    let (list, rules) = shown::<Doctor>(&ctx, &session.tenant, DOCTORS).await?;
    let views = list
        .into_iter()
        .filter(|d| rules.shows_department(&d.department_code) && rules.shows_doctor(&d.code))
        .filter(|d| has(search.q.as_deref(), &[&d.name, &d.title, &d.skill]))
        .map(DoctorView::from)
        .collect();
    Ok(Json(views))
}

/// Fetches the lists again when they have aged.
pub(crate) async fn tick(ctx: &Ctx, tenant: &TenantId) -> Result<(), CareError> {
    let (doctors, _) = kept::<Doctor>(ctx, tenant, DOCTORS).await?;
    let fresh = doctors.is_some_and(|(_, fresh)| fresh);
    if !fresh && ctx.hospital.online(tenant).await {
        refresh(ctx, tenant).await?;
    }
    Ok(())
}

pub(crate) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new()
        .routes(routes!(departments))
        .routes(routes!(doctors))
        .routes(routes!(search_doctors))
}
