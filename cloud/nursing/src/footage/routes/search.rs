//! Clips found by nurse, patient, order, recorder and time.

use axum::extract::State;
use base::permission::SeesFootage;
use base::{ApiError, Ctx, Json, Page, Paged, Query, Staff, audit};
use records::{LocalDate, TenantId};
use serde::Deserialize;
use serde_json::json;
use store::StoreError;
use utoipa::IntoParams;

use super::ClipView;
use crate::footage::store::{self as sql, Filter};
use crate::patient::Marked;

#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// Who had the recorder: staff id, or part of the name.
    holder: Option<String>,
    /// Order number.
    order: Option<String>,
    /// Serial number of the recorder.
    serial: Option<String>,
    /// The patient's whole name, or number.
    patient: Option<String>,
    /// `complete`, `truncated`, `damaged`, `unknown`.
    condition: Option<String>,
    /// `received`, `missing`, `confirmed`, `refused`.
    state: Option<String>,
    /// First day (`YYYY-MM-DD`).
    from: Option<String>,
    /// Last day.
    to: Option<String>,
    /// From 1.
    page: Option<u32>,
    /// Up to 100.
    size: Option<u32>,
}

fn day(field: &'static str, text: Option<&String>) -> Result<Option<LocalDate>, ApiError> {
    text.filter(|t| !t.is_empty())
        .map(|t| LocalDate::parse(t).map_err(|_| ApiError::field(field, "日期应为YYYY-MM-DD")))
        .transpose()
}

impl Wanted {
    fn filter(&self, ctx: &Ctx, tenant: &TenantId) -> Result<Filter, ApiError> {
        let text = |t: &Option<String>| t.as_deref().unwrap_or_default().trim().to_owned();
        Ok(Filter {
            holder: text(&self.holder),
            order: text(&self.order),
            serial: text(&self.serial).to_ascii_uppercase(),
            patient: Marked::wanted(ctx, tenant, &text(&self.patient))?,
            condition: text(&self.condition),
            state: text(&self.state),
            from: day("from", self.from.as_ref())?.map(LocalDate::start),
            until: day("to", self.to.as_ref())?.map(|d| d.plus_days(1).start()),
        })
    }
}

/// Footage of the hospital, newest first.
#[utoipa::path(get, path = "/admin/footage", tag = "nursing", params(Wanted), responses((status = 200, body = Paged<ClipView>)))]
pub(super) async fn list(
    State(ctx): State<Ctx>,
    staff: Staff<SeesFootage>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Paged<ClipView>>, ApiError> {
    let filter = wanted.filter(&ctx, &staff.tenant)?;
    let by_patient = !filter.patient.name_index.is_empty();
    let page = Page {
        page: wanted.page.unwrap_or(1),
        size: wanted.size.unwrap_or(20),
    };
    let (clips, total) = ctx
        .store
        .write(&staff.scope(), move |tx| {
            let filter = filter.clone();
            Box::pin(async move {
                let (clips, total) = sql::search(tx, &filter, page.limit(), page.offset()).await?;
                // Who looks a person up leaves a trace, also when nothing is found.
                if by_patient {
                    audit::record(
                        tx,
                        "footage.search",
                        "footage",
                        json!({ "by": "patient", "total": total }),
                    )
                    .await?;
                }
                Ok((clips, total))
            })
        })
        .await
        .map_err(|e: StoreError| e)?;
    Ok(Json(page.of(clips.iter().map(ClipView::from).collect(), total)))
}
