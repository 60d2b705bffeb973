//! Templates of printed documents.

use axum::Extension;
use axum::extract::State;
use base::hospital;
use base::permission::Configures;
use base::{ApiError, Ctx, Json, Path, Staff, audit};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use printer::{Font, Sheet, Slip, Template};
use records::Timestamp;
use records::paper::{PaperKind, PrintTemplate};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{Migration, StoreError, Tx};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::PreviewFont;

/// Every version of every template; a body of NULL is the one that came with the software.
pub(crate) const MIGRATIONS: &[Migration] = &[Migration {
    name: "app/0002_print_template",
    sql: "CREATE TABLE app_print_template(tenant_id TEXT NOT NULL, kind TEXT NOT NULL, version BIGINT NOT NULL, body TEXT,
              changed_at BIGINT NOT NULL, changed_by TEXT NOT NULL, PRIMARY KEY (tenant_id, kind, version));",
}];

/// A field of a kind of document.
#[derive(Debug, Serialize, ToSchema)]
struct LabelView {
    /// Its name, as placeholders call it.
    label: String,
    /// For the preview.
    sample: String,
}

/// How a kind of document looks.
#[derive(Debug, Serialize, ToSchema)]
struct TemplateView {
    /// receipt, pickup_slip, queue_ticket, label, wristband, e_invoice, report or prescription.
    kind: String,
    /// For people.
    name: String,
    /// Counts up with every change; 0 was never changed.
    version: u64,
    /// Whether it is the hospital's own; otherwise the one that came with the software.
    own: bool,
    /// The layout's elements.
    #[schema(value_type = Object)]
    template: Value,
    /// Fields of this kind.
    labels: Vec<LabelView>,
    /// What must be shown.
    required: Vec<String>,
    /// When it was changed.
    #[schema(value_type = Option<String>, format = DateTime)]
    changed_at: Option<Timestamp>,
}

/// A changed template.
#[derive(Debug, Clone, Deserialize, ToSchema)]
struct TemplateChange {
    /// The version that was changed, so that two people do not overwrite each other.
    version: u64,
    /// The layout's elements; without it the one that came with the software.
    #[schema(value_type = Option<Object>)]
    template: Option<Value>,
}

/// What a preview is wanted of.
#[derive(Debug, Clone, Deserialize, ToSchema)]
struct PreviewQuestion {
    /// The layout's elements.
    #[schema(value_type = Object)]
    template: Value,
    /// Dots across.
    width: u32,
    /// Dots per inch.
    dpi: u32,
    /// Height of a label in millimetres; none on a roll.
    label_mm: Option<u32>,
    /// As a reprint, with its mark.
    #[serde(default)]
    reprint: bool,
}

/// What would come out of the printer.
#[derive(Debug, Serialize, ToSchema)]
struct PreviewView {
    /// PNG in base64, one a page.
    pages: Vec<String>,
    /// Height of the paper used, in millimetres.
    height_mm: u32,
}

type Row = (String, u64, Option<Value>, Timestamp);

async fn latest(tx: &mut Tx<'_>) -> Result<Vec<Row>, StoreError> {
    let tenant = tx.tenant().clone();
    tx.all(
        "SELECT kind, version, body, changed_at FROM app_print_template t WHERE tenant_id = $1 AND version =
           (SELECT MAX(version) FROM app_print_template o WHERE o.tenant_id = $1 AND o.kind = t.kind)",
        &[&tenant],
    )
    .await
}

fn view(kind: PaperKind, row: Option<&Row>) -> TemplateView {
    let own = row.and_then(|(_, _, body, _)| body.clone());
    TemplateView {
        kind: kind.as_str().to_owned(),
        name: kind.name().to_owned(),
        version: row.map_or(0, |(_, version, _, _)| *version),
        own: own.is_some(),
        template: own.unwrap_or_else(|| serde_json::from_str(kind.template()).unwrap_or_default()),
        labels: kind
            .labels()
            .iter()
            .map(|(label, sample)| LabelView {
                label: (*label).to_owned(),
                sample: (*sample).to_owned(),
            })
            .collect(),
        required: kind.required().iter().map(|l| (*l).to_owned()).collect(),
        changed_at: row.map(|(_, _, _, at)| *at),
    }
}

fn kind_of(word: &str) -> Result<PaperKind, ApiError> {
    word.parse().map_err(|_| ApiError::not_found())
}

fn checked(kind: PaperKind, template: &Value) -> Result<Template, ApiError> {
    let labels: Vec<&str> = kind.labels().iter().map(|(label, _)| *label).collect();
    Template::parse(template, &labels, kind.required()).map_err(|wrong| ApiError::field(wrong.at, wrong.words))
}

/// How each kind of document looks.
#[utoipa::path(get, path = "/admin/print/templates", tag = "admin", responses((status = 200, body = Vec<TemplateView>)))]
async fn list(State(ctx): State<Ctx>, staff: Staff<Configures>) -> Result<Json<Vec<TemplateView>>, ApiError> {
    let rows = ctx
        .store
        .read(&staff.scope(), |tx| Box::pin(async move { latest(tx).await }))
        .await
        .map_err(|e: StoreError| e)?;
    let of = |kind: PaperKind| view(kind, rows.iter().find(|(k, ..)| k == kind.as_str()));
    Ok(Json(PaperKind::ALL.into_iter().map(of).collect()))
}

/// Changes how a kind of document looks and sends it to the appliance, or brings back the one that came with the software.
#[utoipa::path(put, path = "/admin/print/templates/{kind}", tag = "admin", params(("kind" = String, Path)),
    request_body = TemplateChange, responses((status = 200, body = TemplateView), (status = 409, body = base::error::ErrorBody),
    (status = 422, body = base::error::ErrorBody)))]
async fn change(
    State(ctx): State<Ctx>,
    staff: Staff<Configures>,
    Path(kind): Path<String>,
    Json(wanted): Json<TemplateChange>,
) -> Result<Json<TemplateView>, ApiError> {
    let kind = kind_of(&kind)?;
    if let Some(template) = &wanted.template {
        checked(kind, template)?;
    }
    let row = ctx
        .store
        .write(&staff.scope(), move |tx| {
            let wanted = wanted.clone();
            Box::pin(async move { save(tx, kind, wanted).await })
        })
        .await?;
    Ok(Json(view(kind, Some(&row))))
}

async fn save(tx: &mut Tx<'_>, kind: PaperKind, wanted: TemplateChange) -> Result<Row, ApiError> {
    let (tenant, now, by, word) = (tx.tenant().clone(), tx.now(), tx.actor().to_string(), kind.as_str());
    let known = latest(tx)
        .await?
        .into_iter()
        .find(|(k, ..)| k == word)
        .map_or(0, |r| r.1);
    if known != wanted.version {
        return Err(ApiError::conflict("changed", "模板已被他人修改，请刷新后重新编辑"));
    }
    let version = known + 1;
    tx.exec(
        "INSERT INTO app_print_template(tenant_id, kind, version, body, changed_at, changed_by) VALUES ($1, $2, $3, $4, $5, $6)",
        &[&tenant, &word, &version, &wanted.template, &now, &by],
    )
    .await?;
    audit::record(
        tx,
        "print.template",
        word,
        json!({ "version": version, "restored": wanted.template.is_none() }),
    )
    .await?;
    // A hospital without an appliance prints nothing yet; the template waits here until it is saved again.
    if hospital::appliance(tx).await?.is_some() {
        let template = PrintTemplate {
            kind,
            version,
            template: wanted.template.clone(),
        };
        hospital::template(tx, &template).await?;
    }
    Ok((word.to_owned(), version, wanted.template, now))
}

/// What a template would print, with sample data.
#[utoipa::path(post, path = "/admin/print/templates/{kind}/preview", tag = "admin", params(("kind" = String, Path)),
    request_body = PreviewQuestion, responses((status = 200, body = PreviewView), (status = 422, body = base::error::ErrorBody)))]
async fn preview(
    _staff: Staff<Configures>,
    Extension(font): Extension<PreviewFont>,
    Path(kind): Path<String>,
    Json(asked): Json<PreviewQuestion>,
) -> Result<Json<PreviewView>, ApiError> {
    let kind = kind_of(&kind)?;
    let template = checked(kind, &asked.template)?;
    if !(200..=2_600).contains(&asked.width) {
        return Err(ApiError::field("width", "纸张宽度应为 200 到 2600 点"));
    }
    if !(150..=600).contains(&asked.dpi) {
        return Err(ApiError::field("dpi", "分辨率应为 150 到 600 dpi"));
    }
    if asked.label_mm.is_some_and(|mm| !(10..=300).contains(&mm)) {
        return Err(ApiError::field("label_mm", "标签高度应为 10 到 300 毫米"));
    }
    let drawn = tokio::task::spawn_blocking(move || draw(kind, &template, &asked, &font)).await;
    drawn.map_err(ApiError::internal)?.map(Json)
}

fn draw(
    kind: PaperKind,
    template: &Template,
    asked: &PreviewQuestion,
    font: &PreviewFont,
) -> Result<PreviewView, ApiError> {
    let (path, face) = &*font.0;
    let font = Font::load(path, *face).map_err(ApiError::internal)?;
    let roll = Sheet {
        width: asked.width,
        dpi: asked.dpi,
        height: None,
        gap_mm: 0,
        cutter: true,
    };
    let sheet = Sheet {
        height: asked.label_mm.map(|mm| roll.mm(mm)),
        ..roll
    };
    let sample = serde_json::to_value(kind.sample()).map_err(ApiError::internal)?;
    let slip = Slip::read(&sample, if asked.reprint { 2 } else { 1 }).map_err(ApiError::internal)?;
    let pages = template.render(&slip, &font, &sheet);
    let height_mm = pages.iter().map(|p| sheet.to_mm(p.height())).sum();
    let pages: Result<Vec<String>, ApiError> = pages
        .iter()
        .map(|p| {
            p.png(sheet.dpi)
                .map(|png| STANDARD.encode(png))
                .map_err(ApiError::internal)
        })
        .collect();
    Ok(PreviewView {
        pages: pages?,
        height_mm,
    })
}

pub(super) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(change))
        .routes(routes!(preview))
}
