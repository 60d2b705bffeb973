//! Derived objects over HTTP, for who may see footage. A look at one is a look at the recording: it is written to the audit.

use axum::Extension;
use axum::extract::{Request, State as Held};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base::permission::SeesFootage;
use base::{ApiError, Ctx, Json, Path, Query, Staff, audit, blobs};
use media::{Facts, Reason};
use records::footage::ClipId;
use records::id::BlobId;
use serde::Deserialize;
use serde_json::json;
use store::Scope;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::footing::{Footing, footing, load};
use super::playing::playable;
use super::store::{self as sql, Wish};
use super::view::{ClipMedia, DerivedMedia, media_of};
use super::workshop::{Tools, Workshop};
use super::{DerivedId, Kind};
use crate::footage::look::Look;
use crate::footage::routes::{clip_id, file_name};
use crate::footage::store::Clip;

/// Objects that every clip gets; they can be tried again.
const ALWAYS: [Kind; 5] = [Kind::Probe, Kind::Poster, Kind::Strip, Kind::Remux, Kind::Salvage];
/// Objects that a person asks for; they can be given up.
const ASKED: [Kind; 2] = [Kind::Proxy, Kind::Export];
/// Longest part that can be asked for, milliseconds.
const LONGEST_MS: u64 = 48 * 3_600_000;

/// The workshop, where there is one.
type Shop = Option<Extension<Workshop>>;

async fn tools(ctx: &Ctx, shop: &Shop) -> Tools {
    match shop {
        Some(Extension(shop)) => shop.tools(ctx.now()).await,
        None => Tools {
            ready: false,
            text: "本服务器不处理视音频；原始文件仍可播放或下载".to_owned(),
        },
    }
}

/// What there is of a recording besides the original, and what is being made.
#[utoipa::path(get, path = "/admin/footage/{id}/media", tag = "nursing", params(("id" = String, Path)),
    responses((status = 200, body = ClipMedia), (status = 404, body = base::error::ErrorBody)))]
async fn show(
    Held(ctx): Held<Ctx>,
    staff: Staff<SeesFootage>,
    Path(id): Path<String>,
    shop: Shop,
) -> Result<Json<ClipMedia>, ApiError> {
    let footing = load(&ctx, &staff.scope(), clip_id(&id)?).await?;
    Ok(Json(media_of(&footing, &tools(&ctx, &shop).await)))
}

/// Tries again what every recording gets and could not be made.
#[utoipa::path(post, path = "/admin/footage/{id}/media", tag = "nursing", params(("id" = String, Path)),
    responses((status = 200, body = ClipMedia), (status = 404, body = base::error::ErrorBody)))]
async fn try_again(
    Held(ctx): Held<Ctx>,
    staff: Staff<SeesFootage>,
    Path(id): Path<String>,
    shop: Shop,
) -> Result<Json<ClipMedia>, ApiError> {
    let id = clip_id(&id)?;
    let footing = ctx
        .store
        .write(&staff.scope(), move |tx| {
            let id = id.clone();
            Box::pin(async move {
                footing(tx, &id).await?;
                if sql::again(tx, &id, &ALWAYS).await? > 0 {
                    audit::record(tx, "footage.media_again", id.as_str(), json!({})).await?;
                }
                footing(tx, &id).await
            })
        })
        .await?;
    Ok(Json(media_of(&footing, &tools(&ctx, &shop).await)))
}

/// One derived object of a clip, and the look at it in the audit.
async fn looked_at(
    ctx: &Ctx,
    scope: &Scope,
    id: ClipId,
    look: Look,
    choose: impl Fn(&Footing) -> Option<(Option<DerivedId>, BlobId)> + Send + Sync + Clone + 'static,
) -> Result<(Clip, blobs::Blob), ApiError> {
    ctx.store
        .write(scope, move |tx| {
            let (id, choose) = (id.clone(), choose.clone());
            Box::pin(async move {
                let footing = footing(tx, &id).await?;
                let (object, blob) = choose(&footing).ok_or_else(ApiError::not_found)?;
                let clip = footing.clip;
                let object = object.map_or_else(|| "original".to_owned(), DerivedId::into_string);
                let detail = json!({ "recorder": clip.serial, "order": clip.order_no, "object": object });
                look.written(tx, &id, detail).await?;
                let blob = blobs::get(tx, &blob).await?.ok_or_else(ApiError::not_found)?;
                Ok((clip, blob))
            })
        })
        .await
}

/// The kept bytes. They stay in no cache: each look asks here.
async fn bytes(ctx: &Ctx, scope: &Scope, blob: &blobs::Blob, request: Request) -> Result<Response, ApiError> {
    let mut response = blobs::serve(ctx, &scope.tenant, blob, request).await?;
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    Ok(response)
}

async fn picture(ctx: Ctx, scope: Scope, id: String, kind: Kind, request: Request) -> Result<Response, ApiError> {
    let look = Look::of("footage.picture", &request);
    let (_, blob) = looked_at(&ctx, &scope, clip_id(&id)?, look, move |f| f.made(kind)).await?;
    bytes(&ctx, &scope, &blob, request).await
}

/// A picture near the beginning.
#[utoipa::path(get, path = "/admin/footage/{id}/poster", tag = "nursing", params(("id" = String, Path)),
    responses((status = 200, description = "JPEG"), (status = 404, body = base::error::ErrorBody)))]
async fn poster(
    Held(ctx): Held<Ctx>,
    staff: Staff<SeesFootage>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    picture(ctx, staff.scope(), id, Kind::Poster, request).await
}

/// Key frames as tiles of one picture; where and when each is, is told by `strip` of the media.
#[utoipa::path(get, path = "/admin/footage/{id}/strip", tag = "nursing", params(("id" = String, Path)),
    responses((status = 200, description = "JPEG"), (status = 404, body = base::error::ErrorBody)))]
async fn strip(
    Held(ctx): Held<Ctx>,
    staff: Staff<SeesFootage>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    picture(ctx, staff.scope(), id, Kind::Strip, request).await
}

#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Which {
    /// `original` or the id of an object, as `play.object` of the media tells; without it the best one now.
    object: Option<String>,
}

/// What a browser plays of a recording, with ranges.
#[utoipa::path(get, path = "/admin/footage/{id}/play", tag = "nursing", params(("id" = String, Path), Which),
    responses((status = 200, description = "the recording"), (status = 206, description = "a part of it"),
        (status = 404, body = base::error::ErrorBody)))]
async fn play(
    Held(ctx): Held<Ctx>,
    staff: Staff<SeesFootage>,
    Path(id): Path<String>,
    Query(which): Query<Which>,
    request: Request,
) -> Result<Response, ApiError> {
    let look = Look::of("footage.play", &request);
    let object = which.object.filter(|o| !o.is_empty());
    let choose = move |f: &Footing| match object.as_deref() {
        None => playable(f).and_then(|p| f.blob_of(p.object.as_ref())),
        Some("original") => f.blob_of(None),
        Some(other) => {
            let known = DerivedId::parse(other)?;
            f.objects.iter().find(|d| d.id == known && d.kind.is_film())?;
            f.blob_of(Some(&known))
        }
    };
    let (_, blob) = looked_at(&ctx, &staff.scope(), clip_id(&id)?, look, choose).await?;
    bytes(&ctx, &staff.scope(), &blob, request).await
}

/// Whether a film can be made of the clip at all.
fn filmable(footing: &Footing) -> Result<(), ApiError> {
    let facts = footing.facts();
    let rescued = footing.made(Kind::Salvage).is_some();
    match facts {
        None => Err(ApiError::conflict("media_state", "文件尚未识别完成，请稍后再试")),
        Some(Facts { video: None, .. }) if !rescued => {
            Err(ApiError::conflict("media_state", Reason::Unreadable.text()))
        }
        Some(_) => Ok(()),
    }
}

/// Asks for the small copy that every browser plays. Asking again changes nothing; after a failure it is tried again.
#[utoipa::path(post, path = "/admin/footage/{id}/proxy", tag = "nursing", params(("id" = String, Path)),
    responses((status = 202, body = DerivedMedia), (status = 404, body = base::error::ErrorBody),
        (status = 409, body = base::error::ErrorBody)))]
async fn proxy(
    Held(ctx): Held<Ctx>,
    staff: Staff<SeesFootage>,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<DerivedMedia>), ApiError> {
    let (id, outer) = (clip_id(&id)?, ctx.clone());
    let asked = ctx
        .store
        .write(&staff.scope(), move |tx| {
            let (id, ctx) = (id.clone(), outer.clone());
            Box::pin(async move {
                let before = footing(tx, &id).await?;
                filmable(&before)?;
                let there = before.objects.iter().find(|d| d.kind == Kind::Proxy);
                let again = sql::again(tx, &id, &[Kind::Proxy]).await? > 0;
                if there.is_none() {
                    let new = DerivedId::generate(&ctx.ids, tx.now());
                    sql::want(tx, &new, &before.clip, &Wish::of(Kind::Proxy)).await?;
                }
                if again || there.is_none() {
                    audit::record(tx, "footage.proxy", id.as_str(), json!({})).await?;
                }
                let after = footing(tx, &id).await?;
                let asked = after.objects.iter().find(|d| d.kind == Kind::Proxy);
                asked.map(|d| after.view(d)).ok_or_else(ApiError::not_found)
            })
        })
        .await?;
    Ok((StatusCode::ACCEPTED, Json(asked)))
}

/// Gives up a preview or an export that is not there yet.
#[utoipa::path(delete, path = "/admin/footage/{id}/media/{object}", tag = "nursing",
    params(("id" = String, Path), ("object" = String, Path)),
    responses((status = 200, body = DerivedMedia), (status = 404, body = base::error::ErrorBody),
        (status = 409, body = base::error::ErrorBody)))]
async fn cancel(
    Held(ctx): Held<Ctx>,
    staff: Staff<SeesFootage>,
    Path((id, object)): Path<(String, String)>,
) -> Result<Json<DerivedMedia>, ApiError> {
    let (id, object) = (
        clip_id(&id)?,
        DerivedId::parse(&object).ok_or_else(ApiError::not_found)?,
    );
    ctx.store
        .write(&staff.scope(), move |tx| {
            let (id, object) = (id.clone(), object.clone());
            Box::pin(async move {
                let asked = |f: &Footing| {
                    f.objects
                        .iter()
                        .find(|d| d.id == object && ASKED.contains(&d.kind))
                        .cloned()
                };
                let before = asked(&footing(tx, &id).await?).ok_or_else(ApiError::not_found)?;
                if !sql::cancel(tx, &before.id).await? {
                    return Err(ApiError::conflict("media_state", "已经完成或已停止，无需取消"));
                }
                audit::record(
                    tx,
                    "footage.cancel",
                    id.as_str(),
                    json!({ "kind": before.kind.as_str(), "object": before.id }),
                )
                .await?;
                let after = footing(tx, &id).await?;
                let now = asked(&after).ok_or_else(ApiError::not_found)?;
                Ok(Json(after.view(&now)))
            })
        })
        .await
}

/// What to export, and why.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewExport {
    /// Why the recording leaves the house, for the audit: 2 to 200 letters.
    reason: String,
    /// Begin of the part, milliseconds from the recording's begin; the whole without it.
    #[serde(default)]
    from_ms: Option<u64>,
    /// Its end.
    #[serde(default)]
    to_ms: Option<u64>,
}

impl NewExport {
    fn wish(&self, footing: &Footing) -> Result<Wish, ApiError> {
        let reason = self.reason.trim().to_owned();
        if !(2..=200).contains(&reason.chars().count()) || reason.chars().any(char::is_control) {
            return Err(ApiError::field("reason", "请填写2到200字的导出原因"));
        }
        let length = footing.duration_ms();
        let from = self.from_ms.unwrap_or(0);
        if from > LONGEST_MS || length.is_some_and(|length| from >= length) {
            return Err(ApiError::field("from_ms", "开始时间不在录像之内"));
        }
        if self.to_ms.is_some_and(|to| to <= from || to > LONGEST_MS) {
            return Err(ApiError::field("to_ms", "结束时间应晚于开始时间"));
        }
        Ok(Wish {
            kind: Kind::Export,
            reason,
            from_ms: self.from_ms,
            to_ms: self.to_ms,
        })
    }
}

/// Asks for a copy with hospital, nurse and running time burnt in, of the whole or of a part.
#[utoipa::path(post, path = "/admin/footage/{id}/exports", tag = "nursing", params(("id" = String, Path)), request_body = NewExport,
    responses((status = 201, body = DerivedMedia), (status = 404, body = base::error::ErrorBody),
        (status = 409, body = base::error::ErrorBody), (status = 422, body = base::error::ErrorBody)))]
async fn export(
    Held(ctx): Held<Ctx>,
    staff: Staff<SeesFootage>,
    Path(id): Path<String>,
    Json(new): Json<NewExport>,
) -> Result<(StatusCode, Json<DerivedMedia>), ApiError> {
    let (id, outer) = (clip_id(&id)?, ctx.clone());
    let asked = ctx
        .store
        .write(&staff.scope(), move |tx| {
            let (id, ctx, new) = (id.clone(), outer.clone(), new.clone());
            Box::pin(async move {
                let before = footing(tx, &id).await?;
                let wish = new.wish(&before)?;
                filmable(&before)?;
                let object = DerivedId::generate(&ctx.ids, tx.now());
                sql::want(tx, &object, &before.clip, &wish).await?;
                let detail = json!({ "recorder": before.clip.serial, "order": before.clip.order_no, "object": object,
                    "reason": wish.reason, "from_ms": wish.from_ms, "to_ms": wish.to_ms });
                audit::record(tx, "footage.export", id.as_str(), detail).await?;
                let after = footing(tx, &id).await?;
                let asked = after.objects.iter().find(|d| d.id == object);
                asked.map(|d| after.view(d)).ok_or_else(ApiError::not_found)
            })
        })
        .await?;
    Ok((StatusCode::CREATED, Json(asked)))
}

/// An export, as a file.
#[utoipa::path(get, path = "/admin/footage/{id}/exports/{object}", tag = "nursing",
    params(("id" = String, Path), ("object" = String, Path)),
    responses((status = 200, description = "MP4"), (status = 206, description = "a part of it"),
        (status = 404, body = base::error::ErrorBody)))]
async fn fetch(
    Held(ctx): Held<Ctx>,
    staff: Staff<SeesFootage>,
    Path((id, object)): Path<(String, String)>,
    request: Request,
) -> Result<Response, ApiError> {
    let object = DerivedId::parse(&object).ok_or_else(ApiError::not_found)?;
    let look = Look::of("footage.export_fetch", &request);
    let choose = move |f: &Footing| {
        f.objects.iter().find(|d| d.id == object && d.kind == Kind::Export)?;
        f.blob_of(Some(&object))
    };
    let (clip, blob) = looked_at(&ctx, &staff.scope(), clip_id(&id)?, look, choose).await?;
    let mut response = bytes(&ctx, &staff.scope(), &blob, request).await?.into_response();
    let name = file_name(&clip);
    let stem = name.rsplit_once('.').map_or(name.as_str(), |(stem, _)| stem);
    let named = format!("attachment; filename=\"{stem}_export.mp4\"");
    let named = HeaderValue::from_str(&named).map_err(ApiError::internal)?;
    response.headers_mut().insert(header::CONTENT_DISPOSITION, named);
    Ok(response)
}

pub(crate) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new()
        .routes(routes!(show, try_again))
        .routes(routes!(poster))
        .routes(routes!(strip))
        .routes(routes!(play))
        .routes(routes!(proxy))
        .routes(routes!(cancel))
        .routes(routes!(export))
        .routes(routes!(fetch))
}
