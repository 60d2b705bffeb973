//! Footage over HTTP, for the administrator: found by nurse, patient, order, recorder and time, played, and proven. Every view
//! is written to the audit.

use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use base::permission::SeesFootage;
use base::{ApiError, Ctx, Json, Page, Paged, Path, Query, Staff, audit, blobs};
use gm::Trust;
use records::footage::ClipId;
use records::{LocalDate, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{Scope, StoreError};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::around::{self, ChainEntry, Docked};
use super::judge;
use super::look::Look;
use super::store::{self as sql, Clip, Filter};
use crate::patient::Marked;

#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Wanted {
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

/// A clip.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct ClipView {
    /// Id.
    id: String,
    /// Serial number of the recorder.
    serial: String,
    /// Who had it: staff id.
    holder: String,
    /// Name.
    holder_name: String,
    /// Order number.
    order: String,
    /// Whom it was for, masked; empty when nobody was named.
    patient_masked: String,
    /// Path on the recorder.
    file: String,
    /// Bytes.
    size: u64,
    /// `mp4`, `ts`, `avi`, `wav`, `jpeg`, `other`.
    container: String,
    /// `complete`, `truncated`, `damaged`, `unknown`.
    condition: String,
    /// When the recording began, by the hospital's time; when it was docked where that cannot be told.
    #[schema(value_type = String, format = DateTime)]
    began_at: Timestamp,
    /// Length in milliseconds.
    duration_ms: Option<u64>,
    /// Length of what can be played, where it is known: of what was rescued of a damaged one.
    pub(super) playable_ms: Option<u64>,
    /// `received`, `missing`, `confirmed`, `refused`.
    state: String,
    /// Plain words.
    note: String,
    /// When it was confirmed.
    #[schema(value_type = Option<String>, format = DateTime)]
    confirmed_at: Option<Timestamp>,
    /// When it was cleared from its recorder.
    #[schema(value_type = Option<String>, format = DateTime)]
    cleared_at: Option<Timestamp>,
}

impl From<&Clip> for ClipView {
    fn from(c: &Clip) -> Self {
        Self {
            id: c.id.to_string(),
            serial: c.serial.clone(),
            holder: c.holder.clone(),
            holder_name: c.holder_name.clone(),
            order: c.order_no.clone(),
            patient_masked: c.patient_masked.clone(),
            file: c.file.clone(),
            size: c.size,
            container: c.container.clone(),
            condition: c.condition.clone(),
            began_at: c.began_at,
            duration_ms: c.duration_ms,
            playable_ms: c.duration_ms,
            state: c.state.as_str().to_owned(),
            note: c.note.clone(),
            confirmed_at: c.confirmed_at,
            cleared_at: c.cleared_at,
        }
    }
}

/// Footage of the hospital, newest first.
#[utoipa::path(get, path = "/admin/footage", tag = "nursing", params(Wanted), responses((status = 200, body = Paged<ClipView>)))]
async fn list(
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

/// What was checked, now.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Proof {
    /// The entry's signature holds, by the appliance that took the clip, under a root of the hospital.
    signature: bool,
    /// `whole`, `open` (the entry before has not come yet), `broken`.
    chain: &'static str,
    /// The kept bytes have the entry's hashes; absent when they were not read.
    content: Option<bool>,
    /// When it was signed.
    #[schema(value_type = Option<String>, format = DateTime)]
    signed_at: Option<Timestamp>,
    /// Plain words where something does not hold.
    text: String,
}

/// A clip with its custody.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct ClipDetail {
    /// The clip.
    #[serde(flatten)]
    clip: ClipView,
    /// Its custody entry as it was signed.
    #[schema(value_type = Object)]
    entry: Value,
    /// SM3 of that entry, hex: what the next entry names.
    entry_sm3: String,
    /// The signature, CMS, DER, base64.
    cms: String,
    /// What was checked.
    proof: Proof,
    /// The custody chain about it: entries before and after, each verified now.
    chain: Vec<ChainEntry>,
    /// Its docking: the other clips and the gaps between them.
    docked: Docked,
}

pub(super) fn clip_id(text: &str) -> Result<ClipId, ApiError> {
    ClipId::parse(text).ok_or_else(ApiError::not_found)
}

async fn prove(ctx: &Ctx, scope: &Scope, trust: &Trust, clip: &Clip, content: Option<bool>) -> Result<Proof, ApiError> {
    let signed = judge::signed(clip, trust, ctx.now());
    let chain = around::word(judge::chained(ctx, scope, clip).await?);
    let mut text = Vec::new();
    if let Err(why) = &signed {
        text.push(why.clone());
    }
    if chain == "broken" {
        text.push("保管链与前一条目不衔接".to_owned());
    }
    if content == Some(false) {
        text.push("所存文件与保管链条目的摘要不一致".to_owned());
    }
    Ok(Proof {
        signature: signed.is_ok(),
        chain,
        content,
        signed_at: signed.ok(),
        text: text.join("；"),
    })
}

/// Loads a clip and writes the view to the audit, in one unit.
async fn seen(ctx: &Ctx, staff: &Staff<SeesFootage>, id: ClipId, act: &'static str) -> Result<Clip, ApiError> {
    ctx.store
        .write(&staff.scope(), move |tx| {
            let id = id.clone();
            Box::pin(async move {
                let clip = sql::get(tx, &id).await?.ok_or_else(ApiError::not_found)?;
                let detail = json!({ "recorder": clip.serial, "order": clip.order_no });
                audit::record(tx, act, id.as_str(), detail).await?;
                Ok(clip)
            })
        })
        .await
}

/// A clip with its custody entry, whose signature and chain are verified now.
#[utoipa::path(get, path = "/admin/footage/{id}", tag = "nursing", params(("id" = String, Path)),
    responses((status = 200, body = ClipDetail), (status = 404, body = base::error::ErrorBody)))]
async fn show(
    State(ctx): State<Ctx>,
    staff: Staff<SeesFootage>,
    Path(id): Path<String>,
) -> Result<Json<ClipDetail>, ApiError> {
    let clip = seen(&ctx, &staff, clip_id(&id)?, "footage.view").await?;
    detail(&ctx, &staff.scope(), &clip, None).await.map(Json)
}

async fn detail(ctx: &Ctx, scope: &Scope, clip: &Clip, content: Option<bool>) -> Result<ClipDetail, ApiError> {
    use base64::Engine as _;
    let trust = treatment::signing::signer_roots(ctx, scope).await?;
    let entry = around::entry(clip).and_then(|e| serde_json::to_value(e).ok());
    Ok(ClipDetail {
        clip: clip.into(),
        entry: entry.unwrap_or_default(),
        entry_sm3: hex::encode(gm::sm3(&clip.entry)),
        cms: base64::engine::general_purpose::STANDARD.encode(&clip.cms),
        proof: prove(ctx, scope, &trust, clip, content).await?,
        chain: around::chain(ctx, scope, &trust, clip).await?,
        docked: around::docking(ctx, scope, clip).await?,
    })
}

/// Reads the kept bytes of a clip anew and verifies everything.
#[utoipa::path(post, path = "/admin/footage/{id}/verification", tag = "nursing", params(("id" = String, Path)),
    responses((status = 200, body = ClipDetail), (status = 404, body = base::error::ErrorBody)))]
async fn verify(
    State(ctx): State<Ctx>,
    staff: Staff<SeesFootage>,
    Path(id): Path<String>,
) -> Result<Json<ClipDetail>, ApiError> {
    let clip = seen(&ctx, &staff, clip_id(&id)?, "footage.verify").await?;
    let sound = ctx
        .blobs
        .verify(&staff.tenant, (&clip.sm3, &clip.sha256, clip.size))
        .await
        .map_err(ApiError::internal)?;
    detail(&ctx, &staff.scope(), &clip, Some(sound)).await.map(Json)
}

/// The recording itself, with ranges, for the player and for saving.
#[utoipa::path(get, path = "/admin/footage/{id}/content", tag = "nursing", params(("id" = String, Path)),
    responses((status = 200, description = "the recording"), (status = 206, description = "a part of it"),
        (status = 404, body = base::error::ErrorBody)))]
async fn content(
    State(ctx): State<Ctx>,
    staff: Staff<SeesFootage>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let id = clip_id(&id)?;
    let look = Look::of("footage.play", &request);
    let clip = ctx
        .store
        .write(&staff.scope(), move |tx| {
            let id = id.clone();
            Box::pin(async move {
                let clip = sql::get(tx, &id).await?.ok_or_else(ApiError::not_found)?;
                let detail = json!({ "recorder": clip.serial, "order": clip.order_no });
                look.written(tx, &id, detail).await?;
                Ok::<_, ApiError>(clip)
            })
        })
        .await?;
    bytes(&ctx, &staff.scope(), &clip, request).await
}

/// The kept bytes. They stay in no cache: each look asks here.
async fn bytes(ctx: &Ctx, scope: &Scope, clip: &Clip, request: Request) -> Result<Response, ApiError> {
    let blob = clip.blob_id.clone().ok_or_else(ApiError::not_found)?;
    let blob = ctx
        .store
        .read(scope, move |tx| {
            let blob = blob.clone();
            Box::pin(async move { blobs::get(tx, &blob).await })
        })
        .await?
        .ok_or_else(ApiError::not_found)?;
    let mut response = blobs::serve(ctx, &scope.tenant, &blob, request).await?;
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    Ok(response)
}

#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Why {
    /// Why the recording leaves the house, for the audit: 2 to 200 letters.
    #[param(required = true)]
    #[serde(default)]
    reason: String,
}

/// The original as a file, for who has a reason to take it out; the reason stands in the audit.
#[utoipa::path(get, path = "/admin/footage/{id}/original", tag = "nursing", params(("id" = String, Path), Why),
    responses((status = 200, description = "the recording"), (status = 404, body = base::error::ErrorBody),
        (status = 422, body = base::error::ErrorBody)))]
async fn original(
    State(ctx): State<Ctx>,
    staff: Staff<SeesFootage>,
    Path(id): Path<String>,
    Query(why): Query<Why>,
    request: Request,
) -> Result<Response, ApiError> {
    let reason = why.reason.trim().to_owned();
    if !(2..=200).contains(&reason.chars().count()) || reason.chars().any(char::is_control) {
        return Err(ApiError::field("reason", "请填写2到200字的下载原因"));
    }
    let id = clip_id(&id)?;
    let clip = ctx
        .store
        .write(&staff.scope(), move |tx| {
            let (id, reason) = (id.clone(), reason.clone());
            Box::pin(async move {
                let clip = sql::get(tx, &id).await?.ok_or_else(ApiError::not_found)?;
                let detail = json!({ "recorder": clip.serial, "order": clip.order_no, "reason": reason });
                audit::record(tx, "footage.download", id.as_str(), detail).await?;
                Ok::<_, ApiError>(clip)
            })
        })
        .await?;
    let mut response = bytes(&ctx, &staff.scope(), &clip, request).await?;
    let named = format!("attachment; filename=\"{}\"", file_name(&clip));
    let named = HeaderValue::from_str(&named).map_err(ApiError::internal)?;
    response.headers_mut().insert(header::CONTENT_DISPOSITION, named);
    Ok(response)
}

/// What a clip is called outside: recorder, local time, end of its id. The recorder's own name may be anything.
pub(super) fn file_name(clip: &Clip) -> String {
    let when: String = clip
        .began_at
        .local_text()
        .chars()
        .filter(char::is_ascii_digit)
        .collect();
    let (id, kind) = (clip.id.as_str(), clip.container.as_str());
    let tail = id.get(id.len().saturating_sub(6)..).unwrap_or(id);
    let known = ["mp4", "ts", "avi", "wav", "jpeg"].contains(&kind);
    format!("{}_{when}_{tail}.{}", clip.serial, if known { kind } else { "bin" })
}

pub(crate) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
        .routes(routes!(verify))
        .routes(routes!(content))
        .routes(routes!(original))
        .merge(super::derived::routes())
}
