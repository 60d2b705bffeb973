//! The printers behind the appliance: asked and acted on over the line, nothing is kept here.

use std::time::Duration;

use axum::extract::State;
use base::hospital::call;
use base::permission::{Configures, Gate, SeesAppliances, Settles};
use base::{ApiError, Ctx, Json, Staff, audit};
use records::Timestamp;
use records::his::Operation;
use records::paper::{
    Decide, Decision, FoundPrinter, PrintDecide, PrintFind, PrintQueue, PrintTest, QueuePrinter, QueueQuestion,
    QueueView, QueuedJob, TestPage,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::StoreError;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

const PATIENCE: Duration = Duration::from_secs(8);

/// A network of a thousand addresses takes this long.
const LOOKING: Duration = Duration::from_secs(50);

/// What stands at the printers.
#[derive(Debug, Serialize, ToSchema)]
struct PrintingView {
    /// Printers.
    #[schema(value_type = Vec<Object>)]
    printers: Vec<QueuePrinter>,
    /// Jobs to decide first, then open ones, then the newest.
    jobs: Vec<PrintJobView>,
    /// Template versions the appliance uses.
    #[schema(value_type = Vec<Object>)]
    templates: Vec<records::paper::TemplateInUse>,
}

/// A job, without what is on it.
#[derive(Debug, Serialize, ToSchema)]
struct PrintJobView {
    /// Key.
    key: String,
    /// Kind of document, for people.
    name: String,
    /// Role name of the printer it is for.
    printer: String,
    /// Role name of the printer it went to, once it did.
    used: Option<String>,
    /// waiting, printing, printed, unknown or failed.
    state: String,
    /// Which copy, from 1.
    copy: u32,
    /// Plain words.
    note: String,
    /// When it came.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// Last change.
    #[schema(value_type = String, format = DateTime)]
    changed_at: Timestamp,
}

/// A decision about a job.
#[derive(Debug, Clone, Deserialize, ToSchema)]
struct DecisionForm {
    /// Key of the job.
    key: String,
    /// `mark_printed`, `reprint` or `cancel`.
    #[schema(value_type = String)]
    act: Decide,
}

/// Where a test page is wanted.
#[derive(Debug, Clone, Deserialize, ToSchema)]
struct TestForm {
    /// Role name of the printer.
    printer: String,
}

fn job(job: QueuedJob) -> PrintJobView {
    PrintJobView {
        key: job.key,
        name: job.kind.name().to_owned(),
        printer: job.printer,
        used: job.used,
        state: job.state,
        copy: job.copy,
        note: job.note,
        created_at: job.created_at,
        changed_at: job.changed_at,
    }
}

async fn ask<O: Operation, G: Gate>(
    ctx: &Ctx,
    staff: &Staff<G>,
    question: &O::Request,
    patience: Duration,
) -> Result<O::Response, ApiError> {
    let key = O::WRITES.then(|| key(ctx));
    ApiError::of(call::<O>(&*ctx.hospital, &staff.tenant, question, key.as_deref(), patience).await)
}

fn key(ctx: &Ctx) -> String {
    format!("print.{:032x}", u128::from_be_bytes(ctx.ids.random::<16>()))
}

async fn note<G: Gate>(
    ctx: &Ctx,
    staff: &Staff<G>,
    action: &'static str,
    subject: &str,
    detail: serde_json::Value,
) -> Result<(), ApiError> {
    let (subject, scope) = (subject.to_owned(), staff.scope());
    let done = ctx.store.write(&scope, move |tx| {
        let (subject, detail) = (subject.clone(), detail.clone());
        Box::pin(async move { audit::record(tx, action, &subject, detail).await })
    });
    Ok(done.await.map_err(|e: StoreError| e)?)
}

/// Printers with their queues, and the jobs nobody knows the end of.
#[utoipa::path(get, path = "/admin/printers", tag = "admin",
    responses((status = 200, body = PrintingView), (status = 503, body = base::error::ErrorBody)))]
async fn show(State(ctx): State<Ctx>, staff: Staff<SeesAppliances>) -> Result<Json<PrintingView>, ApiError> {
    let view: QueueView = ask::<PrintQueue, _>(&ctx, &staff, &QueueQuestion {}, PATIENCE).await?;
    Ok(Json(PrintingView {
        printers: view.printers,
        jobs: view.jobs.into_iter().map(job).collect(),
        templates: view.templates,
    }))
}

/// Settles a job: it is on paper, print it again with a mark, or not any more.
#[utoipa::path(post, path = "/admin/printers/decide", tag = "admin", request_body = DecisionForm,
    responses((status = 200, body = PrintJobView), (status = 409, body = base::error::ErrorBody)))]
async fn decide(
    State(ctx): State<Ctx>,
    staff: Staff<Settles>,
    Json(form): Json<DecisionForm>,
) -> Result<Json<PrintJobView>, ApiError> {
    note(&ctx, &staff, "print.decide", &form.key, json!({ "act": form.act })).await?;
    let asked = Decision {
        key: form.key,
        act: form.act,
        by: staff.name.clone(),
    };
    Ok(Json(job(ask::<PrintDecide, _>(&ctx, &staff, &asked, PATIENCE).await?)))
}

/// Prints a test page.
#[utoipa::path(post, path = "/admin/printers/test", tag = "admin", request_body = TestForm,
    responses((status = 200, body = PrintJobView), (status = 409, body = base::error::ErrorBody)))]
async fn test_page(
    State(ctx): State<Ctx>,
    staff: Staff<Configures>,
    Json(form): Json<TestForm>,
) -> Result<Json<PrintJobView>, ApiError> {
    note(&ctx, &staff, "print.test", &form.printer, json!({})).await?;
    let asked = TestPage {
        key: key(&ctx),
        printer: form.printer,
        by: staff.name.clone(),
    };
    Ok(Json(job(ask::<PrintTest, _>(&ctx, &staff, &asked, PATIENCE).await?)))
}

/// Looks for printers on the appliance's USB ports and in its own networks; takes up to a minute.
#[utoipa::path(post, path = "/admin/printers/find", tag = "admin",
    responses((status = 200, body = Vec<Object>), (status = 503, body = base::error::ErrorBody)))]
async fn find(State(ctx): State<Ctx>, staff: Staff<Configures>) -> Result<Json<Vec<FoundPrinter>>, ApiError> {
    note(&ctx, &staff, "print.find", "", json!({})).await?;
    Ok(Json(
        ask::<PrintFind, _>(&ctx, &staff, &QueueQuestion {}, LOOKING).await?,
    ))
}

pub(super) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new()
        .routes(routes!(show))
        .routes(routes!(decide))
        .routes(routes!(test_page))
        .routes(routes!(find))
}
