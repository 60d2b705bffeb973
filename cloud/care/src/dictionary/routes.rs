//! Dictionaries over HTTP, and their refreshing.

use axum::extract::State;
use base::{ApiError, Ctx, Json, Query, Staff};
use records::his::{
    DiagnosisList, DiagnosisTerm, Drug, DrugList, Everything, ExamItem, ExamItemList, Frequency, FrequencyList, Herb,
    HerbList, LabItemList, LabTest, Operation, RouteList, Specimen, SpecimenList, Term,
};
use records::{Outcome, TenantId};
use serde::Deserialize;
use store::{Scope, StoreError};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Entry, FRESH, store as sql};
use crate::{CareError, hospital};

/// Schemas of the answers; the bodies are the canonical records themselves.
mod schema {
    use super::ToSchema;

    /// A diagnosis that can be chosen.
    #[derive(ToSchema)]
    #[expect(dead_code, reason = "describes the answer for the API document")]
    pub(super) struct DiagnosisTerm {
        /// ICD-10 code.
        code: String,
        /// Name.
        name: String,
        /// Initials of the pinyin.
        pinyin: String,
    }

    /// A coded term.
    #[derive(ToSchema)]
    #[expect(dead_code, reason = "describes the answer for the API document")]
    pub(super) struct Term {
        /// Code.
        code: String,
        /// Name.
        name: String,
    }

    /// A frequency of taking.
    #[derive(ToSchema)]
    #[expect(dead_code, reason = "describes the answer for the API document")]
    pub(super) struct Frequency {
        /// Code.
        code: String,
        /// Name.
        name: String,
        /// Times in `per_days` days.
        times: u32,
        /// Days.
        per_days: u32,
    }

    /// A western drug.
    #[derive(ToSchema)]
    #[expect(dead_code, reason = "describes the answer for the API document")]
    pub(super) struct Drug {
        /// Code.
        code: String,
        /// Common name.
        name: String,
        /// Initials of the pinyin.
        pinyin: String,
        /// Specification.
        specification: String,
        /// Active substance in one minimal unit, in `dose_unit`.
        dose_per_min_unit: String,
        /// Unit of a dose.
        dose_unit: String,
        /// Minimal unit.
        min_unit: String,
        /// Unit in which it is dispensed.
        pack_unit: String,
        /// Minimal units in one pack.
        pack_size: u32,
        /// Price of one pack.
        price_fen: i64,
        /// Manufacturer.
        manufacturer: String,
        /// Usual route.
        default_route_code: Option<String>,
        /// Usual frequency.
        default_frequency_code: Option<String>,
        /// Largest single dose.
        max_single_dose: Option<String>,
        /// Control class.
        control: String,
        /// The hospital bars it online.
        barred_online: bool,
        /// Code in the national insurance catalogue.
        insurance_code: Option<String>,
    }

    /// A herb.
    #[derive(ToSchema)]
    #[expect(dead_code, reason = "describes the answer for the API document")]
    pub(super) struct Herb {
        /// Code.
        code: String,
        /// Name.
        name: String,
        /// Initials of the pinyin.
        pinyin: String,
        /// Price of a kilogram, exact; a line is rounded half up to a fen.
        price_fen_per_kg: i64,
        /// Largest usual dose in grams.
        max_dose_g: Option<u32>,
        /// Toxic.
        toxic: bool,
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Search {
    /// Part of a code, a name, or initials of the pinyin; empty lists from the beginning.
    q: Option<String>,
}

const MOST: u32 = 50;
/// Routes and frequencies are short lists, shown whole.
const WHOLE: u32 = 500;

/// Searches a kept dictionary; one that was never fetched is fetched now.
async fn find<O, E>(ctx: &Ctx, staff: &Staff, q: Option<String>, most: u32) -> Result<Json<Vec<E>>, ApiError>
where
    O: Operation<Request = Everything, Response = Vec<E>>,
    E: Entry,
{
    let q = q.unwrap_or_default();
    let (found, known) = search::<E>(ctx, staff, &q, most).await?;
    if known {
        return Ok(Json(found));
    }
    if !refresh::<O, E>(ctx, &staff.tenant).await? {
        return Err(ApiError::hospital_offline());
    }
    Ok(Json(search::<E>(ctx, staff, &q, most).await?.0))
}

/// What fits, and whether the dictionary is kept at all.
async fn search<E: Entry>(ctx: &Ctx, staff: &Staff, q: &str, most: u32) -> Result<(Vec<E>, bool), StoreError> {
    let q = q.to_owned();
    ctx.store
        .read(&staff.scope(), move |tx| {
            let q = q.clone();
            Box::pin(async move {
                let known = sql::fetched_at(tx, E::DICTIONARY).await?;
                Ok((sql::search::<E>(tx, &q, most).await?, known.is_some()))
            })
        })
        .await
}

async fn refresh<O, E>(ctx: &Ctx, tenant: &TenantId) -> Result<bool, StoreError>
where
    O: Operation<Request = Everything, Response = Vec<E>>,
    E: Entry,
{
    let Outcome::Done(list) = hospital::fetch::<O>(ctx, tenant, &Everything {}).await else {
        return Ok(false);
    };
    let written = ctx
        .store
        .write(&Scope::system(tenant.clone()), move |tx| {
            let list = list.clone();
            Box::pin(async move { sql::replace(tx, &list).await })
        })
        .await?;
    if written > 0 {
        tracing::info!(
            dictionary = E::DICTIONARY,
            dictionary.rows = written,
            "dictionary refreshed"
        );
    }
    Ok(true)
}

/// Diagnoses by ICD-10 code, name or initials.
#[utoipa::path(get, path = "/dictionary/diagnoses", tag = "dictionary", params(Search), responses((status = 200, body = Vec<schema::DiagnosisTerm>)))]
async fn diagnoses(
    State(ctx): State<Ctx>,
    staff: Staff,
    Query(s): Query<Search>,
) -> Result<Json<Vec<DiagnosisTerm>>, ApiError> {
    find::<DiagnosisList, _>(&ctx, &staff, s.q, MOST).await
}

/// Western drugs.
#[utoipa::path(get, path = "/dictionary/drugs", tag = "dictionary", params(Search), responses((status = 200, body = Vec<schema::Drug>)))]
async fn drugs(State(ctx): State<Ctx>, staff: Staff, Query(s): Query<Search>) -> Result<Json<Vec<Drug>>, ApiError> {
    find::<DrugList, _>(&ctx, &staff, s.q, MOST).await
}

/// Herbs.
#[utoipa::path(get, path = "/dictionary/herbs", tag = "dictionary", params(Search), responses((status = 200, body = Vec<schema::Herb>)))]
async fn herbs(State(ctx): State<Ctx>, staff: Staff, Query(s): Query<Search>) -> Result<Json<Vec<Herb>>, ApiError> {
    find::<HerbList, _>(&ctx, &staff, s.q, MOST).await
}

/// Routes of taking.
#[utoipa::path(get, path = "/dictionary/routes", tag = "dictionary", params(Search), responses((status = 200, body = Vec<schema::Term>)))]
async fn routes_of_taking(
    State(ctx): State<Ctx>,
    staff: Staff,
    Query(s): Query<Search>,
) -> Result<Json<Vec<Term>>, ApiError> {
    find::<RouteList, _>(&ctx, &staff, s.q, WHOLE).await
}

/// Frequencies of taking.
#[utoipa::path(get, path = "/dictionary/frequencies", tag = "dictionary", params(Search), responses((status = 200, body = Vec<schema::Frequency>)))]
async fn frequencies(
    State(ctx): State<Ctx>,
    staff: Staff,
    Query(s): Query<Search>,
) -> Result<Json<Vec<Frequency>>, ApiError> {
    find::<FrequencyList, _>(&ctx, &staff, s.q, WHOLE).await
}

async fn stale(ctx: &Ctx, tenant: &TenantId, dictionary: &'static str) -> Result<bool, StoreError> {
    ctx.store
        .read(&Scope::system(tenant.clone()), move |tx| {
            Box::pin(async move {
                let now = tx.now();
                let at = sql::fetched_at(tx, dictionary).await?;
                Ok::<_, StoreError>(at.is_none_or(|at| now.since(at) >= FRESH))
            })
        })
        .await
}

async fn renew<O, E>(ctx: &Ctx, tenant: &TenantId) -> Result<(), CareError>
where
    O: Operation<Request = Everything, Response = Vec<E>>,
    E: Entry,
{
    if stale(ctx, tenant, E::DICTIONARY).await? {
        refresh::<O, E>(ctx, tenant).await?;
    }
    Ok(())
}

/// Fetches again what has aged.
pub(crate) async fn tick(ctx: &Ctx, tenant: &TenantId) -> Result<(), CareError> {
    if !ctx.hospital.online(tenant).await {
        return Ok(());
    }
    renew::<DiagnosisList, DiagnosisTerm>(ctx, tenant).await?;
    renew::<DrugList, Drug>(ctx, tenant).await?;
    renew::<HerbList, Herb>(ctx, tenant).await?;
    renew::<RouteList, Term>(ctx, tenant).await?;
    renew::<FrequencyList, Frequency>(ctx, tenant).await?;
    renew::<ExamItemList, ExamItem>(ctx, tenant).await?;
    renew::<LabItemList, LabTest>(ctx, tenant).await?;
    renew::<SpecimenList, Specimen>(ctx, tenant).await
}

async fn had<O, E>(ctx: &Ctx, tenant: &TenantId, kept: &[String]) -> Result<bool, StoreError>
where
    O: Operation<Request = Everything, Response = Vec<E>>,
    E: Entry,
{
    Ok(kept.iter().any(|name| name == E::DICTIONARY) || refresh::<O, E>(ctx, tenant).await?)
}

async fn kept(ctx: &Ctx, tenant: &TenantId) -> Result<Vec<String>, StoreError> {
    ctx.store
        .read(&Scope::system(tenant.clone()), |tx| {
            Box::pin(async move { sql::kept(tx).await })
        })
        .await
}

/// Whether the catalogues of examinations, tests and specimens are kept; one that was never fetched is fetched now. Not
/// for use within a unit of work.
///
/// # Errors
/// When the database fails.
pub async fn orders_ready(ctx: &Ctx, tenant: &TenantId) -> Result<bool, StoreError> {
    let kept = kept(ctx, tenant).await?;
    Ok(had::<ExamItemList, ExamItem>(ctx, tenant, &kept).await?
        && had::<LabItemList, LabTest>(ctx, tenant, &kept).await?
        && had::<SpecimenList, Specimen>(ctx, tenant, &kept).await?)
}

/// Whether every dictionary a doctor prescribes with is kept; one that was never fetched is fetched now. Not for use
/// within a unit of work.
///
/// # Errors
/// When the database fails.
pub async fn ready(ctx: &Ctx, tenant: &TenantId) -> Result<bool, StoreError> {
    let kept = kept(ctx, tenant).await?;
    Ok(had::<DrugList, Drug>(ctx, tenant, &kept).await?
        && had::<HerbList, Herb>(ctx, tenant, &kept).await?
        && had::<RouteList, Term>(ctx, tenant, &kept).await?
        && had::<FrequencyList, Frequency>(ctx, tenant, &kept).await?
        && had::<DiagnosisList, DiagnosisTerm>(ctx, tenant, &kept).await?)
}

pub(crate) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new()
        .routes(routes!(diagnoses))
        .routes(routes!(drugs))
        .routes(routes!(herbs))
        .routes(routes!(routes_of_taking))
        .routes(routes!(frequencies))
}
