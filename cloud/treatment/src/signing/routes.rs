//! Setting up a signature: handwriting and PIN, once; the same for doctors and pharmacists.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use base::hospital::call as ask;
use base::permission::Signs;
use base::{ApiError, Ctx, Json, Role, Staff};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use records::id::BlobId;
use records::sign::{Enrol, EnrolRequest, Pin, PinFault, SignerStatus, Status, StatusRequest};
use records::{Outcome, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::store::{self as table, Signer};

const DEADLINE: Duration = Duration::from_secs(10);
/// A drawn signature takes a few kilobytes.
const LARGEST_PICTURE: usize = 512 * 1024;

/// How a signature stands.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub(crate) struct SignatureView {
    /// Has a key and a certificate.
    pub(crate) enrolled: bool,
    /// Serial number of the certificate, hexadecimal.
    pub(crate) certificate_serial: Option<String>,
    /// End of the certificate.
    #[schema(value_type = Option<String>)]
    pub(crate) not_after: Option<Timestamp>,
    /// The PIN is locked; unknown (null) while the hospital cannot be reached.
    pub(crate) locked: Option<bool>,
    /// Tries left; unknown (null) while the hospital cannot be reached.
    pub(crate) tries_left: Option<u32>,
    /// The handwriting.
    pub(crate) picture_id: Option<String>,
}

/// Handwriting and PIN.
#[derive(Clone, Deserialize, ToSchema)]
pub(crate) struct Setup {
    /// `data:image/png;base64,…`; absent when the handwriting was collected before.
    #[serde(default)]
    pub(crate) image: Option<String>,
    /// 4 to 12 digits; `1234` and `1111` are refused.
    pub(crate) pin: String,
}

fn view(signer: Option<Signer>, status: Option<SignerStatus>) -> SignatureView {
    let mut view = SignatureView::default();
    if let Some(signer) = signer {
        view.enrolled = true;
        view.certificate_serial = Some(signer.certificate_serial);
        view.not_after = signer.not_after;
        view.picture_id = Some(signer.picture_blob.into_string());
    }
    if let Some(status) = status {
        view.locked = Some(status.locked);
        view.tries_left = Some(status.tries_left);
    }
    view
}

pub(super) async fn current(ctx: &Ctx, staff: &Staff<Signs>) -> Result<SignatureView, ApiError> {
    let signer = table::signer_now(ctx, &staff.scope(), &staff.id).await?;
    if signer.is_none() {
        let drawn = drawn_before(ctx, staff).await?;
        return Ok(SignatureView {
            picture_id: drawn.map(BlobId::into_string),
            ..SignatureView::default()
        });
    }
    let question = StatusRequest {
        signer_id: staff.id.to_string(),
    };
    let status = ask::<Status>(&*ctx.hospital, &staff.tenant, &question, None, Duration::from_secs(4)).await;
    Ok(view(signer, status.done()))
}

async fn drawn_before(ctx: &Ctx, staff: &Staff<Signs>) -> Result<Option<BlobId>, ApiError> {
    let id = staff.id.clone();
    ctx.store
        .read(&staff.scope(), move |tx| {
            let id = id.clone();
            Box::pin(async move { Ok(super::handwriting::drawn(tx, &id).await?) })
        })
        .await
}

async fn enrol(ctx: &Ctx, staff: &Staff<Signs>, setup: Setup) -> Result<SignatureView, ApiError> {
    let new = setup.image.as_deref().map(picture).transpose()?;
    let kept = match &new {
        Some(_) => None,
        None => drawn_before(ctx, staff).await?,
    };
    if new.is_none() && kept.is_none() {
        return Err(ApiError::field("image", "请先手写签名"));
    }
    let pin = Pin(setup.pin);
    pin.choose().map_err(|fault| match fault {
        PinFault::Shape => ApiError::field("pin", "签名密码应为4到12位数字"),
        PinFault::Guessable => ApiError::field("pin", "签名密码过于简单（如1111、1234），请换一个"),
    })?;
    let scope = staff.scope();
    let organisation = ctx
        .store
        .read(&scope, |tx| {
            Box::pin(async move { Ok::<_, ApiError>(base::tenants::by_id(tx).await?.name) })
        })
        .await?;
    let role = if staff.roles.contains(&Role::Doctor) {
        "doctor"
    } else {
        "pharmacist"
    };
    let request = EnrolRequest {
        signer_id: staff.id.to_string(),
        name: staff.name.clone(),
        role: role.to_owned(),
        organisation,
        pin,
    };
    let mut answer = Outcome::Unknown;
    for _ in 0..super::REPEATS {
        answer = ask::<Enrol>(
            &*ctx.hospital,
            &staff.tenant,
            &request,
            Some(&request.signer_id),
            DEADLINE,
        )
        .await;
        if answer != Outcome::Unknown {
            break;
        }
    }
    let status = match answer {
        Outcome::Refused { code, text } => {
            return Err(ApiError {
                field: Some("pin".into()),
                ..ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, code, text)
            });
        }
        other => ApiError::of(other)?,
    };
    let (serial, certificate) = certificate(&status)?;
    let blob = match (new, kept) {
        (Some(picture), _) => base::blobs::put(ctx, &scope, "signature", &picture).await?.id,
        (None, Some(kept)) => kept,
        (None, None) => return Err(ApiError::field("image", "请先手写签名")),
    };
    let signer = Signer {
        certificate,
        certificate_serial: serial,
        not_after: status.not_after,
        picture_blob: blob,
    };
    let (row, id) = (signer.clone(), staff.id.clone());
    ctx.store
        .write(&scope, move |tx| {
            let (row, id) = (row.clone(), id.clone());
            Box::pin(async move { Ok::<_, ApiError>(table::enrol(tx, &id, &row).await?) })
        })
        .await?;
    // The first enrolment makes the hospital's roots; they are pinned before anything is signed under them.
    super::anchors(ctx, &scope).await?;
    Ok(view(Some(signer), Some(status)))
}

/// The handwriting as a PNG.
pub(super) fn picture(data_url: &str) -> Result<Vec<u8>, ApiError> {
    let wrong = || ApiError::field("image", "签名图片应为PNG格式");
    let encoded = data_url.strip_prefix("data:image/png;base64,").ok_or_else(wrong)?;
    if encoded.len() > LARGEST_PICTURE * 4 / 3 + 4 {
        return Err(ApiError::field("image", "签名图片太大"));
    }
    let bytes = BASE64.decode(encoded).map_err(|_| wrong())?;
    // A PNG that does not end properly would spoil the prescription's PDF later.
    let whole = bytes.starts_with(b"\x89PNG\r\n\x1a\n") && bytes.ends_with(b"IEND\xaeB`\x82");
    if whole { Ok(bytes) } else { Err(wrong()) }
}

fn certificate(status: &SignerStatus) -> Result<(String, Vec<u8>), ApiError> {
    let wrong = || ApiError::internal("the signature server enrolled without a readable certificate");
    let der = status
        .certificate
        .as_ref()
        .and_then(|c| BASE64.decode(c).ok())
        .ok_or_else(wrong)?;
    let read = gm::Certificate::parse(&der).map_err(|_| wrong())?;
    Ok((read.serial_hex(), der))
}

/// How the doctor's signature stands.
#[utoipa::path(get, path = "/doctor/signature", tag = "signing", responses((status = 200, body = SignatureView)))]
async fn doctor_show(State(ctx): State<Ctx>, staff: Staff<Signs>) -> Result<Json<SignatureView>, ApiError> {
    current(&ctx, &staff).await.map(Json)
}

/// Sets the doctor's signature up.
#[utoipa::path(post, path = "/doctor/signature", tag = "signing", request_body = Setup,
    responses((status = 200, body = SignatureView), (status = 422, body = base::error::ErrorBody)))]
async fn doctor_enrol(
    State(ctx): State<Ctx>,
    staff: Staff<Signs>,
    Json(setup): Json<Setup>,
) -> Result<Json<SignatureView>, ApiError> {
    enrol(&ctx, &staff, setup).await.map(Json)
}

/// How the pharmacist's signature stands.
#[utoipa::path(get, path = "/pharmacist/signature", tag = "signing", responses((status = 200, body = SignatureView)))]
async fn pharmacist_show(State(ctx): State<Ctx>, staff: Staff<Signs>) -> Result<Json<SignatureView>, ApiError> {
    current(&ctx, &staff).await.map(Json)
}

/// Sets the pharmacist's signature up.
#[utoipa::path(post, path = "/pharmacist/signature", tag = "signing", request_body = Setup,
    responses((status = 200, body = SignatureView), (status = 422, body = base::error::ErrorBody)))]
async fn pharmacist_enrol(
    State(ctx): State<Ctx>,
    staff: Staff<Signs>,
    Json(setup): Json<Setup>,
) -> Result<Json<SignatureView>, ApiError> {
    enrol(&ctx, &staff, setup).await.map(Json)
}

pub(crate) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new()
        .routes(routes!(doctor_show, doctor_enrol))
        .routes(routes!(pharmacist_show, pharmacist_enrol))
        .merge(super::handwriting::routes())
}
