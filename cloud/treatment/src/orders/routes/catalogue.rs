//! What can be ordered: the doctor's usual items (常开项目), all of them, or those that fit a text; and the specimens.

use std::collections::HashMap;

use axum::extract::State;
use axum::http::StatusCode;
use base::permission::Prescribes;
use base::{ApiError, Ctx, Json, Path, Query, Staff};
use care::dictionary::{self, lookup, search};
use records::TenantId;
use records::his::{ExamItem, ExecutingDepartment, LabTest, Specimen};
use serde::{Deserialize, Serialize};
use store::{StoreError, Tx};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::orders::policy::{Catalogue, Wish};
use crate::orders::store::{self as table, Habit};
use crate::orders::{Kind, Line};

/// A catalogue is shown whole up to here; beyond it one searches.
const MOST: u32 = 1000;
/// Specimens are a short list, shown whole.
const SPECIMENS: u32 = 500;

/// Which list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum List {
    /// 常开项目: starred by the doctor, then those they order most.
    Usual,
    /// 全部项目.
    All,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// `exam` or `lab`.
    kind: Kind,
    /// `usual` or `all`.
    #[param(inline)]
    list: List,
    /// Part of a code, a name, or initials of the pinyin; empty for the whole list.
    q: Option<String>,
}

/// A department that can carry an item out.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct DepartmentOfItem {
    /// Code.
    code: String,
    /// Name.
    name: String,
    /// Where it is; may be empty.
    location: String,
}

impl From<ExecutingDepartment> for DepartmentOfItem {
    fn from(d: ExecutingDepartment) -> Self {
        Self {
            code: d.code,
            name: d.name,
            location: d.location,
        }
    }
}

/// An examination or test that can be ordered.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Orderable {
    /// Code.
    code: String,
    /// Name.
    name: String,
    /// Part of the body and method of an examination; empty for a test.
    detail: String,
    /// Usual specimen of a test.
    specimen_code: Option<String>,
    /// Price.
    price_fen: i64,
    /// Departments that can do it, the usual one first.
    departments: Vec<DepartmentOfItem>,
    /// What the patient has to do before; may be empty.
    preparation: String,
    /// The doctor has put a star on it.
    starred: bool,
    /// How often the doctor has ordered it.
    times: u32,
}

impl Orderable {
    fn exam(item: ExamItem) -> Self {
        let parts = [item.part.trim(), item.method.trim()];
        Self {
            detail: parts
                .into_iter()
                .filter(|p| !p.is_empty())
                .collect::<Vec<_>>()
                .join(" · "),
            code: item.code,
            name: item.name,
            specimen_code: None,
            price_fen: item.price_fen.0,
            departments: item.departments.into_iter().map(Into::into).collect(),
            preparation: item.preparation,
            starred: false,
            times: 0,
        }
    }

    fn lab(item: LabTest) -> Self {
        Self {
            code: item.code,
            name: item.name,
            detail: String::new(),
            specimen_code: Some(item.specimen_code),
            price_fen: item.price_fen.0,
            departments: item.departments.into_iter().map(Into::into).collect(),
            preparation: item.preparation,
            starred: false,
            times: 0,
        }
    }
}

/// The catalogues are here. One the appliance has not delivered yet is asked for now; while it cannot answer, that is said.
pub(super) async fn ready(ctx: &Ctx, tenant: &TenantId) -> Result<(), ApiError> {
    if dictionary::orders_ready(ctx, tenant).await? {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "catalogue_pending",
        "正在从医院获取检查检验项目目录，请稍后再试",
    ))
}

/// The entries these wishes name; what the dictionary does not know is simply missing.
pub(super) async fn of(tx: &mut Tx<'_>, kind: Kind, wishes: &[Wish]) -> Result<Catalogue, StoreError> {
    let mut found = Catalogue::default();
    for wish in wishes {
        match kind {
            Kind::Exam => {
                let item = lookup::<ExamItem>(tx, &wish.code).await?;
                found.exams.extend(item.map(|i| (wish.code.clone(), i)));
            }
            Kind::Lab => {
                let item = lookup::<LabTest>(tx, &wish.code).await?;
                found.labs.extend(item.map(|i| (wish.code.clone(), i)));
            }
        }
        if let Some(code) = &wish.specimen_code {
            let specimen = lookup::<Specimen>(tx, code).await?;
            found.specimens.extend(specimen.map(|s| (code.clone(), s)));
        }
    }
    Ok(found)
}

/// The wish behind a line already written.
pub(super) fn wish_of(line: &Line) -> Wish {
    Wish {
        code: line.code.clone(),
        department_code: line.department_code.clone(),
        specimen_code: line.specimen_code.clone(),
        note: line.note.clone(),
    }
}

async fn all(tx: &mut Tx<'_>, kind: Kind, q: &str) -> Result<Vec<Orderable>, StoreError> {
    Ok(match kind {
        Kind::Exam => {
            let found = search::<ExamItem>(tx, q, MOST).await?;
            found.into_iter().map(Orderable::exam).collect()
        }
        Kind::Lab => {
            let found = search::<LabTest>(tx, q, MOST).await?;
            found.into_iter().map(Orderable::lab).collect()
        }
    })
}

async fn usual(tx: &mut Tx<'_>, kind: Kind, habits: &[Habit]) -> Result<Vec<Orderable>, StoreError> {
    let mut found = Vec::new();
    // An item without star that was never ordered is one whose star was taken off.
    for habit in habits.iter().filter(|h| h.starred || h.times > 0) {
        match kind {
            Kind::Exam => found.extend(lookup::<ExamItem>(tx, &habit.code).await?.map(Orderable::exam)),
            Kind::Lab => found.extend(lookup::<LabTest>(tx, &habit.code).await?.map(Orderable::lab)),
        }
    }
    Ok(found)
}

/// What can be ordered.
#[utoipa::path(get, path = "/doctor/orderables", tag = "order", params(Wanted),
    responses((status = 200, body = Vec<Orderable>), (status = 503, body = base::error::ErrorBody)))]
async fn orderables(
    State(ctx): State<Ctx>,
    staff: Staff<Prescribes>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Vec<Orderable>>, ApiError> {
    ready(&ctx, &staff.tenant).await?;
    let (id, kind, list) = (staff.member.id.clone(), wanted.kind, wanted.list);
    let q = wanted.q.unwrap_or_default();
    let found = ctx
        .store
        .read(&staff.scope(), move |tx| {
            let (id, q) = (id.clone(), q.clone());
            Box::pin(async move {
                let habits = table::habits(tx, &id, kind).await?;
                let found = match list {
                    List::All => all(tx, kind, &q).await?,
                    List::Usual => usual(tx, kind, &habits).await?,
                };
                Ok::<_, StoreError>((found, habits))
            })
        })
        .await
        .map(|(found, habits)| marked(found, habits))?;
    Ok(Json(found))
}

fn marked(mut found: Vec<Orderable>, habits: Vec<Habit>) -> Vec<Orderable> {
    let habits: HashMap<String, Habit> = habits.into_iter().map(|h| (h.code.clone(), h)).collect();
    for item in &mut found {
        if let Some(habit) = habits.get(&item.code) {
            (item.starred, item.times) = (habit.starred, habit.times);
        }
    }
    found
}

/// Whether an item is among one's usual ones.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
struct Star {
    /// It is.
    starred: bool,
}

/// Puts a star on an item, or takes it off.
#[utoipa::path(put, path = "/doctor/orderables/{kind}/{code}/star", tag = "order",
    params(("kind" = Kind, Path), ("code" = String, Path)), request_body = Star, responses((status = 204)))]
async fn star(
    State(ctx): State<Ctx>,
    staff: Staff<Prescribes>,
    Path((kind, code)): Path<(String, String)>,
    Json(body): Json<Star>,
) -> Result<StatusCode, ApiError> {
    let kind = Kind::parse(&kind).ok_or_else(ApiError::not_found)?;
    let id = staff.member.id.clone();
    ctx.store
        .write(&staff.scope(), move |tx| {
            let (id, code) = (id.clone(), code.clone());
            Box::pin(async move {
                let known = match kind {
                    Kind::Exam => lookup::<ExamItem>(tx, &code).await?.is_some(),
                    Kind::Lab => lookup::<LabTest>(tx, &code).await?.is_some(),
                };
                if !known && body.starred {
                    return Err(ApiError::not_found());
                }
                Ok::<_, ApiError>(table::star(tx, &id, kind, &code, body.starred).await?)
            })
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A specimen.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Specimen)]
struct SpecimenView {
    /// Code.
    code: String,
    /// Name.
    name: String,
}

/// What can be taken from the patient.
#[utoipa::path(get, path = "/doctor/specimens", tag = "order",
    responses((status = 200, body = Vec<SpecimenView>)))]
async fn specimens(State(ctx): State<Ctx>, staff: Staff<Prescribes>) -> Result<Json<Vec<SpecimenView>>, ApiError> {
    ready(&ctx, &staff.tenant).await?;
    let found = ctx
        .store
        .read(&staff.scope(), |tx| {
            Box::pin(async move { search::<Specimen>(tx, "", SPECIMENS).await })
        })
        .await?;
    let view = |s: Specimen| SpecimenView {
        code: s.code,
        name: s.name,
    };
    Ok(Json(found.into_iter().map(view).collect()))
}

pub(super) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new()
        .routes(routes!(orderables))
        .routes(routes!(star))
        .routes(routes!(specimens))
}
