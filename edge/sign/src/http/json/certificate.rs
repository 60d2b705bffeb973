use axum::Json;
use axum::extract::{Extension, State};
use gm::certificate::Info;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::data::Holder;
use super::states;
use super::{Answer, Asked, No, Refused, bytes, encode};
use crate::fault::{Code, Fault};
use crate::http::door::Door;
use crate::service::{Caller, Level, Wanted};

/// Which certificate is wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FindRequest {
    /// A granted key's index, a serial number or a SHA-256 fingerprint (both hexadecimal).
    id: String,
}

/// A certificate that is kept here.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Kept {
    /// DER, Base64.
    certificate: String,
    /// Its serial number, in hexadecimal.
    serial: String,
    /// Name of its holder.
    subject: String,
    /// Name of its authority.
    issuer: String,
    /// SHA-256, in hexadecimal.
    fingerprint: String,
}

/// Gives out certificates that are kept here: more than one when authorities gave out the same serial number.
#[utoipa::path(post, path = "/v1/certificate/find", operation_id = "find_certificate", request_body = FindRequest,
    responses((status = 200, body = Vec<Kept>), (status = 404, body = Refused)))]
pub(super) async fn find(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    Asked(asked): Asked<FindRequest>,
) -> Answer<Vec<Kept>> {
    let wanted = Wanted::read(&asked.id).map_err(No::Early)?;
    let found = door.service.find_certificates(&caller, wanted).await.map_err(No::Act)?;
    let kept = found.iter().map(|certificate| Kept {
        certificate: encode(&certificate.der),
        serial: certificate.serial_hex(),
        subject: certificate.subject.common_name.clone(),
        issuer: certificate.issuer.common_name.clone(),
        fingerprint: hex::encode(gm::key::sha256(&certificate.der)),
    });
    Ok(Json(kept.collect()))
}

/// A certificate to be read.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReadRequest {
    /// DER, Base64.
    certificate: String,
    /// Number of the item (GB/T 33560, `SGD_CERT_…`, `SGD_EXT_…`); all of them when absent.
    item: Option<u32>,
}

/// One item of a certificate.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ItemText {
    /// Its number.
    item: u32,
    /// Its text; empty when the certificate does not say it.
    text: String,
}

/// Reads a certificate item by item.
#[utoipa::path(post, path = "/v1/certificate/read", operation_id = "read_certificate", request_body = ReadRequest,
    responses((status = 200, body = Vec<ItemText>), (status = 400, body = Refused)))]
pub(super) async fn read(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    Asked(asked): Asked<ReadRequest>,
) -> Answer<Vec<ItemText>> {
    let unknown = |number: u32| No::Early(Fault::new(Code::InfoType, number.to_string()));
    let item = asked
        .item
        .map(|number| Info::from_code(number).ok_or_else(|| unknown(number)))
        .transpose()?;
    let certificate = bytes(&asked.certificate, "certificate")?;
    let items = door
        .service
        .read_certificate(&caller, certificate, item)
        .await
        .map_err(No::Act)?;
    let texts = items.into_iter().map(|one| ItemText {
        item: one.item as u32,
        text: one.text,
    });
    Ok(Json(texts.collect()))
}

/// A certificate to be judged.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ValidateRequest {
    /// DER, Base64.
    certificate: String,
    /// How much is looked at.
    #[serde(default)]
    level: Level,
    /// Gives the evidence of its state, to be kept.
    #[serde(default)]
    evidence: bool,
}

/// Judges a certificate now. One that does not hold is a refusal that says why.
#[utoipa::path(post, path = "/v1/certificate/validate", operation_id = "validate_certificate",
    request_body = ValidateRequest, responses((status = 200, body = Holder), (status = 422, body = Refused)))]
pub(super) async fn validate(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    Asked(asked): Asked<ValidateRequest>,
) -> Answer<Holder> {
    let certificate = bytes(&asked.certificate, "certificate")?;
    let judged = door
        .service
        .judge_certificate(&caller, certificate, asked.level)
        .await
        .map_err(No::Act)?;
    let evidence = states::evidence(&door, std::slice::from_ref(&judged.states), asked.evidence).await?;
    let mut holder = Holder::from(judged);
    holder.evidence = evidence;
    Ok(Json(holder))
}
