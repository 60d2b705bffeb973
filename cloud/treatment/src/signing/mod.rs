//! Electronic signatures (电子签名法 art. 13) of doctors and pharmacists, made by the hospital's own signature server.
//!
//! * The PIN passes through once, on its way to the server; it is neither stored nor logged here.
//! * Each attempt is written down with its key and the exact bytes before the call. An unknown outcome is settled by
//!   repeating the same key with the same bytes: the server answers a repeat with the signature it made.
//! * A signature counts only after its CMS was verified here, over the bytes we hold, with the certificate the signer
//!   was enrolled with, up to a root of the hospital.

mod anchors;
mod handwriting;
mod lists;
mod routes;
pub(crate) mod store;
mod untrusted;

use std::time::Duration;

use ::store::Scope;
use axum::http::StatusCode;
use base::hospital::call as ask;
use base::{ApiError, Ctx};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use records::id::StaffId;
use records::sign::{Pin, SignDocument, SignRequest, Signature};
use records::{Outcome, Timestamp};
use serde::Deserialize;
use utoipa::ToSchema;

pub use anchors::SigningSettings;
pub(crate) use anchors::{Anchors, anchors, anchors_in};
pub(crate) use lists::lists;
pub(crate) use routes::routes;

/// The roots to which signatures of the hospital's signers lead, its appliance among them; asked of the appliance when none
/// are known yet.
///
/// # Errors
/// Of the database.
pub async fn signer_roots(ctx: &Ctx, scope: &Scope) -> Result<gm::Trust, ApiError> {
    Ok(anchors(ctx, scope).await?.signers)
}

/// The server signs in milliseconds; the line may need more.
const DEADLINE: Duration = Duration::from_secs(8);
/// Times an unknown outcome is asked for again while the person waits.
const REPEATS: u32 = 3;

/// What is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A medical record.
    Record,
    /// A prescription.
    Prescription,
    /// A pharmacist's opinion.
    Review,
    /// An order of examinations or laboratory tests.
    Order,
    /// An expert's opinion in a consilium.
    Consilium,
}

impl Purpose {
    /// The word in rows.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Record => "record",
            Self::Prescription => "prescription",
            Self::Review => "review",
            Self::Order => "order",
            Self::Consilium => "consilium",
        }
    }

    /// From its word.
    pub fn parse(word: &str) -> Option<Self> {
        [
            Self::Record,
            Self::Prescription,
            Self::Review,
            Self::Order,
            Self::Consilium,
        ]
        .into_iter()
        .find(|p| p.as_str() == word)
    }
}

/// Something to be signed.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) purpose: Purpose,
    /// What it concerns.
    pub(crate) subject: String,
    /// What the signer wants, apart from the time: the same wish goes on with an open attempt.
    pub(crate) intent: String,
    pub(crate) signer: StaffId,
    pub(crate) document: Vec<u8>,
}

/// An attempt that was written down.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) key: String,
    pub(crate) purpose: Purpose,
    pub(crate) subject: String,
    pub(crate) signer: StaffId,
    /// The exact bytes.
    pub(crate) document: Vec<u8>,
}

/// A signature that was verified.
#[derive(Clone, Debug)]
pub(crate) struct Signed {
    pub(crate) attempt: Attempt,
    pub(crate) cms: Vec<u8>,
    pub(crate) document_sm3: String,
    pub(crate) certificate_serial: String,
    pub(crate) signed_at: Timestamp,
}

/// A body that carries nothing but the PIN.
#[derive(Clone, Deserialize, ToSchema)]
pub struct PinBody {
    /// The signer's PIN.
    pub pin: String,
}

/// Sends an attempt to the signature server and verifies the answer.
pub(crate) async fn call(ctx: &Ctx, scope: &Scope, attempt: Attempt, pin: Pin) -> Result<Signed, ApiError> {
    // An empty field is no try: it stays here, and the attempt stays open.
    if !pin.has_shape() {
        return Err(ApiError::field("pin", "请输入签名密码（4到12位数字）"));
    }
    let request = SignRequest {
        signer_id: attempt.signer.to_string(),
        pin,
        document: BASE64.encode(&attempt.document),
    };
    let mut answer = Outcome::Unknown;
    for _ in 0..REPEATS {
        answer = ask::<SignDocument>(&*ctx.hospital, &scope.tenant, &request, Some(&attempt.key), DEADLINE).await;
        if answer != Outcome::Unknown {
            break;
        }
    }
    match answer {
        Outcome::Done(signature) => accept(ctx, scope, attempt, signature).await,
        Outcome::Refused { code, text } => {
            store::settle_now(ctx, scope, &attempt.key, "refused").await?;
            tracing::warn!(sign.key = attempt.key, sign.refusal = code, "signature refused");
            Err(ApiError {
                field: Some("pin".into()),
                ..ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, code, text)
            })
        }
        Outcome::Later { .. } => Err(ApiError::hospital_offline()),
        Outcome::Unknown => Err(ApiError::new(
            StatusCode::GATEWAY_TIMEOUT,
            "signature_unknown",
            "签名服务器没有及时答复，请再次输入签名密码完成签名（不会重复签名）",
        )),
    }
}

/// Why a signature that came back does not count.
enum Doubt {
    /// It is no signature of the attempt's bytes by the enrolled signer.
    Wrong(String),
    /// It may be one, of a certificate whose authority is not among the roots.
    Untrusted(ApiError),
}

async fn accept(ctx: &Ctx, scope: &Scope, attempt: Attempt, signature: Signature) -> Result<Signed, ApiError> {
    match verified(ctx, scope, &attempt, &signature).await? {
        Ok(signed) => Ok(signed),
        Err(Doubt::Untrusted(refusal)) => {
            tracing::warn!(sign.key = attempt.key, "signature of an authority that is not trusted");
            Err(refusal)
        }
        Err(Doubt::Wrong(reason)) => {
            store::settle_now(ctx, scope, &attempt.key, "invalid").await?;
            tracing::error!(
                sign.key = attempt.key,
                sign.reason = reason,
                "signature does not verify"
            );
            Err(ApiError::new(
                StatusCode::BAD_GATEWAY,
                "signature_invalid",
                "签名未通过验证，未生效，请联系管理员",
            ))
        }
    }
}

async fn verified(
    ctx: &Ctx,
    scope: &Scope,
    attempt: &Attempt,
    signature: &Signature,
) -> Result<Result<Signed, Doubt>, ApiError> {
    let wrong = |reason: &str| Ok(Err(Doubt::Wrong(reason.to_owned())));
    let Ok(cms) = BASE64.decode(&signature.cms) else {
        return wrong("not base64");
    };
    let enrolled = store::signer_now(ctx, scope, &attempt.signer).await?;
    let Some(enrolled) = enrolled else {
        return wrong("signer is not enrolled here");
    };
    let trust = anchors(ctx, scope).await?.signers;
    let now = ctx.now().offset();
    let seen = match gm::cms::verify(&cms, gm::cms::Content::Bytes(&attempt.document), &trust, now) {
        Ok(seen) => seen,
        Err(gm::Refused::Untrusted) => {
            let signer = gm::Certificate::parse(&enrolled.certificate).map_err(ApiError::internal)?;
            return Ok(Err(Doubt::Untrusted(untrusted::refusal(&cms, &signer))));
        }
        Err(refused) => return wrong(&refused.to_string()),
    };
    if seen.signer.der != enrolled.certificate {
        return wrong("signed with another certificate than the enrolled one");
    }
    Ok(Ok(Signed {
        attempt: attempt.clone(),
        document_sm3: hex::encode(gm::sm3(&attempt.document)),
        certificate_serial: seen.signer.serial_hex(),
        signed_at: Timestamp::from_offset(seen.signing_time),
        cms,
    }))
}

/// A kept signature, checked anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Checked {
    /// Whether it holds.
    pub(crate) valid: bool,
    /// Why not, for people.
    pub(crate) reason: Option<String>,
}

/// Verifies a kept signature over the kept bytes.
pub(crate) fn check(kept: &store::Kept, document: &[u8], trust: &gm::Trust, now: Timestamp) -> Checked {
    let reason = seen(kept, document, trust, now).err();
    Checked {
        valid: reason.is_none(),
        reason,
    }
}

/// The same, with what was seen of the signature; or why it does not hold, for people.
pub(crate) fn seen(
    kept: &store::Kept,
    document: &[u8],
    trust: &gm::Trust,
    now: Timestamp,
) -> Result<gm::cms::Verified, String> {
    match gm::cms::verify(&kept.cms, gm::cms::Content::Bytes(document), trust, now.offset()) {
        Ok(seen) if seen.signer.serial_hex() == kept.certificate_serial => Ok(seen),
        Ok(_) => Err("证书与登记的不一致".to_owned()),
        Err(refused) => Err(refused.person().to_owned()),
    }
}
