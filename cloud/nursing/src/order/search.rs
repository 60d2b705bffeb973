//! Looking orders up, for the desk and for a nurse: the days of a query, a page of what was found, and the trace that
//! looking a person up leaves.

use base::{ApiError, Ctx, Json, Page, Paged, audit};
use records::{LocalDate, Timestamp};
use serde_json::json;
use store::{Scope, StoreError};

use super::store::{self as sql, Filter};
use super::view::OrderView;

/// What was typed into a field, trimmed; nothing: empty.
pub(super) fn typed(text: Option<&String>) -> String {
    text.map(|t| t.trim().to_owned()).unwrap_or_default()
}

/// The beginning of a query's first day.
pub(super) fn since(field: &'static str, text: Option<&String>) -> Result<Option<Timestamp>, ApiError> {
    Ok(day(field, text)?.map(LocalDate::start))
}

/// The end of a query's last day.
pub(super) fn until(field: &'static str, text: Option<&String>) -> Result<Option<Timestamp>, ApiError> {
    Ok(day(field, text)?.map(|d| d.plus_days(1).start()))
}

fn day(field: &'static str, text: Option<&String>) -> Result<Option<LocalDate>, ApiError> {
    text.filter(|t| !t.is_empty())
        .map(|t| LocalDate::parse(t).map_err(|_| ApiError::field(field, "日期应为YYYY-MM-DD")))
        .transpose()
}

/// A page of the orders that match.
pub(super) async fn found(
    ctx: &Ctx,
    scope: &Scope,
    filter: Filter,
    page: Page,
) -> Result<Json<Paged<OrderView>>, ApiError> {
    let by_patient = !filter.patient.name_index.is_empty();
    let (orders, total) = ctx
        .store
        .write(scope, move |tx| {
            let filter = filter.clone();
            Box::pin(async move {
                let (orders, total) = sql::search(tx, &filter, page.limit(), page.offset()).await?;
                // Who looks a person up leaves a trace, also when nothing is found.
                if by_patient {
                    let detail = json!({ "by": "patient", "total": total });
                    audit::record(tx, "nursing.search", "order", detail).await?;
                }
                Ok((orders, total))
            })
        })
        .await
        .map_err(|e: StoreError| e)?;
    Ok(Json(page.of(orders.iter().map(OrderView::from).collect(), total)))
}
