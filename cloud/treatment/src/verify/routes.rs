//! The public verification page's data. No sign-in; what it shows is masked.

use std::time::Duration;

use ::store::Scope;
use axum::extract::{DefaultBodyLimit, State};
use base::{ApiError, Ctx, Json, Path};
use bytes::Bytes;
use gm::trust::Stapled;
use records::document::{PrescriptionDocument, ReviewDocument};
use records::id::PrescriptionId;
use records::{TenantId, Timestamp};
use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::pdf::{self, Seal};
use super::revocation::{self, Revocation, Whose};
use super::store::Named;
use crate::prescribing::store::{self as table, Chart};
use crate::signing::store::Kept;
use crate::signing::{self, Anchors, Checked, Purpose};
use crate::visit::masked;

/// A sealed document has some hundred kilobytes.
const LARGEST: usize = 4 << 20;

/// Looks per code and quarter of an hour; a code of 16 letters is not guessed anyway.
const LOOKS: u32 = 120;

/// A line as shown to the public.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct VerifiedItem {
    /// Name.
    pub(crate) name: String,
    /// Specification.
    pub(crate) specification: String,
    /// Quantity with unit.
    pub(crate) quantity: String,
    /// Usage in words.
    pub(crate) usage: String,
}

/// The document as shown to the public, read from the signed bytes.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct VerifiedDocument {
    /// `prescription`, `record`, `exam_order` or `lab_order`.
    pub(crate) kind: String,
    /// Hospital.
    pub(crate) hospital: String,
    /// Number.
    pub(crate) number: String,
    /// Department.
    pub(crate) department: String,
    /// Patient, middle of the name hidden.
    pub(crate) patient_name_masked: String,
    /// When it was written.
    #[schema(value_type = String)]
    pub(crate) written_at: Timestamp,
    /// Last day of a prescription.
    pub(crate) valid_until: Option<String>,
    /// State in words.
    pub(crate) state_text: String,
    /// Lines of a prescription; of a record nothing clinical is shown.
    pub(crate) items: Vec<VerifiedItem>,
}

/// A signature, checked now.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct VerifiedSignature {
    /// `doctor` or `pharmacist`.
    pub(crate) role: String,
    /// Name.
    pub(crate) name: String,
    /// Serial number of the certificate.
    pub(crate) certificate_serial: String,
    /// When.
    #[schema(value_type = String)]
    pub(crate) signed_at: Timestamp,
    /// Whether it holds.
    pub(crate) valid: bool,
    /// Why not.
    pub(crate) reason: Option<String>,
    /// The time that its time stamp proves.
    #[schema(value_type = Option<String>)]
    pub(crate) stamped_at: Option<Timestamp>,
    /// Whether the certificates above it were revoked; not told where it does not hold, nor to those who work here.
    pub(crate) revocation: Option<Revocation>,
}

/// The answer.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Verified {
    /// Signed by everybody who must, and in force.
    pub(crate) valid: bool,
    /// Why not.
    pub(crate) reason: Option<String>,
    /// The document.
    pub(crate) document: VerifiedDocument,
    /// The signatures.
    pub(crate) signatures: Vec<VerifiedSignature>,
    /// For an uploaded file: byte for byte the one that was issued.
    pub(crate) file_is_issued: Option<bool>,
    /// For an uploaded file: `valid`, `broken` or `absent`.
    pub(crate) file_seal: Option<String>,
    /// Of a seal that does not hold: why, for a person.
    pub(crate) file_seal_reason: Option<String>,
    /// The time of the seal that a time stamp proves.
    #[schema(value_type = Option<String>)]
    pub(crate) file_stamped_at: Option<Timestamp>,
    /// For an uploaded file with a seal: whether its certificate was revoked.
    pub(crate) file_seal_revocation: Option<Revocation>,
}

impl Verified {
    /// Of a document for which no file was handed in.
    pub(super) fn of(document: VerifiedDocument, signatures: Vec<VerifiedSignature>, reason: Option<String>) -> Self {
        Self {
            valid: reason.is_none(),
            reason,
            document,
            signatures,
            file_is_issued: None,
            file_seal: None,
            file_seal_reason: None,
            file_stamped_at: None,
            file_seal_revocation: None,
        }
    }
}

/// What was found behind a code, checked.
pub(super) struct Case {
    pub(super) verified: Verified,
    /// Of the file that was issued.
    pub(super) pdf_sha256: Option<String>,
}

struct Signed {
    chart: Chart,
    prescription: Kept,
    review: Option<Kept>,
}

/// The document that a code names, if there is one and it was not asked for too often.
async fn named(ctx: &Ctx, code: &str) -> Result<(TenantId, Named), ApiError> {
    let known = code.len() == 16 && code.bytes().all(|b| b.is_ascii_alphanumeric());
    let found = if known {
        super::store::find(ctx, code).await?
    } else {
        None
    };
    let (tenant, named) = found.ok_or_else(ApiError::not_found)?;
    let throttled = match &named {
        Named::Prescription(id) => format!("verify:{id}"),
        Named::Record(visit, version) => format!("verify:{visit}/{version}"),
        Named::Order(id) => format!("verify:{id}"),
    };
    ctx.store
        .write(&Scope::system(tenant.clone()), move |tx| {
            let name = throttled.clone();
            Box::pin(async move { base::throttle::hit(tx, &name, LOOKS, Duration::from_secs(900)).await })
        })
        .await??;
    Ok((tenant, named))
}

async fn signed(ctx: &Ctx, tenant: &TenantId, id: PrescriptionId) -> Result<Signed, ApiError> {
    ctx.store
        .read(&Scope::system(tenant.clone()), move |tx| {
            let id = id.clone();
            Box::pin(async move {
                let chart = table::find(tx, &id).await?.ok_or_else(ApiError::not_found)?;
                let kept = signing::store::of_subject(tx, Purpose::Prescription, id.as_str()).await?;
                let review = signing::store::of_subject(tx, Purpose::Review, id.as_str()).await?;
                let prescription = kept.ok_or_else(ApiError::not_found)?;
                Ok::<_, ApiError>(Signed {
                    chart,
                    prescription,
                    review,
                })
            })
        })
        .await
}

pub(crate) fn shown(kept: &Kept, checked: &Checked) -> VerifiedSignature {
    VerifiedSignature {
        role: kept.role.clone(),
        name: kept.name.clone(),
        certificate_serial: kept.certificate_serial.clone(),
        signed_at: kept.signed_at,
        valid: checked.valid,
        reason: checked.reason.clone(),
        stamped_at: None,
        revocation: None,
    }
}

/// What signatures are judged by.
pub(super) struct Judge {
    anchors: Anchors,
    lists: Stapled,
    now: Timestamp,
}

impl Judge {
    /// The hospital's roots, and what its authorities have revoked as far as is known.
    pub(super) async fn of(ctx: &Ctx, scope: &Scope) -> Result<Self, ApiError> {
        Ok(Self {
            anchors: signing::anchors(ctx, scope).await?,
            lists: signing::lists(ctx, scope).await?,
            now: ctx.now(),
        })
    }

    /// Checks a kept signature over the bytes that were signed, and the certificates above it.
    pub(super) fn signature(&self, kept: &Kept, document: &[u8]) -> VerifiedSignature {
        let whose = Whose::of(&kept.role);
        let seen = match signing::seen(kept, document, &self.anchors.signers, self.now) {
            Ok(seen) => seen,
            Err(reason) => {
                let checked = Checked {
                    valid: false,
                    reason: Some(reason),
                };
                return shown(kept, &checked);
            }
        };
        let known = revocation::of_person(&kept.cms, &seen, &self.anchors, &self.lists, self.now);
        let told = known.state.as_ref().ok().map(|state| state.told(whose));
        let reason = match &known.state {
            Ok(revocation::State::Revoked { .. }) => told.as_ref().map(|told| told.text.clone()),
            Ok(_) => None,
            Err(refused) => Some(refused.person().to_owned()),
        };
        let checked = Checked {
            valid: reason.is_none(),
            reason,
        };
        VerifiedSignature {
            stamped_at: known.stamped_at,
            revocation: told,
            ..shown(kept, &checked)
        }
    }
}

/// Why a document does not hold for a signature on it.
pub(super) fn fault(signature: &VerifiedSignature) -> Option<String> {
    let person = Whose::of(&signature.role).person();
    let why = match (&signature.reason, &signature.revocation) {
        // The certificate says more than that the signature is bad.
        (Some(reason), Some(_)) => format!("：{reason}"),
        _ => String::new(),
    };
    (!signature.valid).then(|| format!("{person}签名未通过验证{why}"))
}

async fn verify(ctx: &Ctx, code: &str) -> Result<(TenantId, Case), ApiError> {
    let (tenant, named) = named(ctx, code).await?;
    let case = match named {
        Named::Prescription(id) => prescription(ctx, &tenant, id).await?,
        Named::Record(visit, version) => super::record::verify(ctx, &tenant, visit, version).await?,
        Named::Order(id) => super::order::verify(ctx, &tenant, id).await?,
    };
    Ok((tenant, case))
}

async fn prescription(ctx: &Ctx, tenant: &TenantId, id: PrescriptionId) -> Result<Case, ApiError> {
    let case = signed(ctx, tenant, id).await?;
    let judge = Judge::of(ctx, &Scope::system(tenant.clone())).await?;
    let bytes = case.prescription.document(&ctx.vault, tenant)?;
    let document: PrescriptionDocument = serde_json::from_slice(&bytes).map_err(ApiError::internal)?;
    let doctor = judge.signature(&case.prescription, &bytes);
    let mut reason = fault(&doctor);
    let mut signatures = vec![doctor];
    match &case.review {
        None => reason = reason.or_else(|| Some("尚未经药师审核".to_owned())),
        Some(kept) => {
            let opinion = kept.document(&ctx.vault, tenant)?;
            let checked = judge.signature(kept, &opinion);
            let review: ReviewDocument = serde_json::from_slice(&opinion).map_err(ApiError::internal)?;
            let same = review.document_sm3 == hex::encode(gm::sm3(&bytes));
            reason = reason
                .or_else(|| fault(&checked))
                .or_else(|| match (review.approved, same) {
                    (false, _) => Some("药师审核未通过".to_owned()),
                    (_, false) => Some("药师审核的不是这张处方".to_owned()),
                    _ => None,
                });
            signatures.push(checked);
        }
    }
    if !case.chart.state.is_effective() {
        reason = reason.or_else(|| Some(format!("处方{}", case.chart.state.text())));
    }
    let verified = Verified {
        valid: reason.is_none(),
        reason,
        document: public(document, &case.chart),
        signatures,
        file_is_issued: None,
        file_seal: None,
        file_seal_reason: None,
        file_stamped_at: None,
        file_seal_revocation: None,
    };
    Ok(Case {
        verified,
        pdf_sha256: case.chart.pdf_sha256,
    })
}

fn public(d: PrescriptionDocument, chart: &Chart) -> VerifiedDocument {
    let herbal = d.kind == "herbal";
    let item = |i: records::document::DocumentItem| VerifiedItem {
        usage: if herbal {
            format!("每剂{}{}", i.dose, i.dose_unit)
        } else {
            format!("每次{}{} {} {} {}天", i.dose, i.dose_unit, i.frequency, i.route, i.days)
        },
        name: i.name,
        specification: i.specification,
        quantity: format!("{}{}", i.quantity, i.quantity_unit),
    };
    VerifiedDocument {
        kind: "prescription".to_owned(),
        hospital: d.hospital,
        number: d.number,
        department: d.department,
        patient_name_masked: masked(&d.patient.name),
        written_at: d.written_at,
        valid_until: Some(d.valid_until.to_string()),
        state_text: chart.state.text().to_owned(),
        items: d.items.into_iter().map(item).collect(),
    }
}

/// Checks a prescription or record by its code.
#[utoipa::path(get, path = "/verify/{code}", tag = "verify", params(("code" = String, Path)),
    responses((status = 200, body = Verified), (status = 404, body = base::error::ErrorBody)))]
async fn by_code(State(ctx): State<Ctx>, Path(code): Path<String>) -> Result<Json<Verified>, ApiError> {
    let (_, case) = verify(&ctx, &code).await?;
    Ok(Json(case.verified))
}

/// Checks a PDF against the document of that code.
#[utoipa::path(post, path = "/verify/{code}/document", tag = "verify", params(("code" = String, Path)),
    request_body(content = String, content_type = "application/pdf"),
    responses((status = 200, body = Verified), (status = 404, body = base::error::ErrorBody)))]
async fn by_file(State(ctx): State<Ctx>, Path(code): Path<String>, file: Bytes) -> Result<Json<Verified>, ApiError> {
    let (tenant, case) = verify(&ctx, &code).await?;
    let mut verified = case.verified;
    let digest = hex::encode(Sha256::digest(&file));
    let issued = case.pdf_sha256.as_deref() == Some(digest.as_str());
    let scope = Scope::system(tenant);
    let judge = Judge::of(&ctx, &scope).await?;
    let seal = pdf::check(&file, &judge.anchors.seals, &judge.lists, judge.now);
    verified.file_is_issued = Some(issued);
    verified.file_seal_revocation = seal.revocation();
    let word = match seal {
        Seal::Valid { stamped_at, .. } => {
            verified.file_stamped_at = stamped_at;
            "valid"
        }
        Seal::Broken(_) | Seal::Revoked(_) => {
            let reason = match seal {
                Seal::Broken(reason) => reason,
                _ => verified
                    .file_seal_revocation
                    .as_ref()
                    .map(|told| told.text.clone())
                    .unwrap_or_default(),
            };
            verified.valid = false;
            verified.reason = Some(format!("文件的医院签章不成立：{reason}"));
            verified.file_seal_reason = Some(reason);
            "broken"
        }
        Seal::Absent => "absent",
    };
    verified.file_seal = Some(word.to_owned());
    if !issued {
        verified.valid = false;
        verified.reason = Some("文件与医院签发的原件不一致".to_owned());
    }
    Ok(Json(verified))
}

pub(crate) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new().routes(routes!(by_code)).merge(
        OpenApiRouter::new()
            .routes(routes!(by_file))
            .layer(DefaultBodyLimit::max(LARGEST)),
    )
}
