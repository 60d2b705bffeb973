//! Kept certificates.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::IntoResponse;
use gm::Certificate;
use records::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::gate::Signed;
use super::keys::Confirm;
use super::{Answer, Asked, CertificateView, Done, Door, file as bytes, fingerprint};
use crate::Refusal;
use crate::manage::bundle;
use crate::manage::failure::{Failure, Refused};
use crate::vault::CertificateRow;

/// Certificates of one page at most.
const PAGE: u32 = 200;
/// Files of one import at most.
const FILES: usize = 1_000;

/// What to look for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Find {
    /// In the subject, the issuer, the serial number or the note; everything when empty.
    #[serde(default)]
    text: String,
    /// Results to leave out.
    #[serde(default)]
    skip: u32,
    /// Results to show, 200 at most; 50 when absent.
    #[serde(default)]
    most: Option<u32>,
}

/// A kept certificate.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct KeptView {
    #[serde(flatten)]
    certificate: CertificateView,
    /// What was noted at its import.
    note: String,
    #[schema(value_type = String, format = DateTime)]
    imported_at: Timestamp,
}

impl KeptView {
    fn of(row: &CertificateRow) -> Result<Self, Refusal> {
        Ok(Self {
            certificate: CertificateView::of(&Certificate::parse(&row.certificate)?),
            note: row.note.clone(),
            imported_at: row.imported_at,
        })
    }
}

/// A page of results, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Found {
    /// How many there are in all.
    count: u32,
    certificates: Vec<KeptView>,
}

/// Searches.
#[utoipa::path(get, path = "/manage/v1/certificates", tag = "certificates", params(Find),
    responses((status = 200, body = Found)))]
pub(super) async fn find(State(door): State<Door>, Query(asked): Query<Find>) -> Answer<Found> {
    let found = door.act(move |manage| {
        let most = asked.most.unwrap_or(50).clamp(1, PAGE);
        let read = |unit: &crate::vault::Unit<'_>| unit.find_certificates(asked.text.trim(), most, asked.skip);
        let (rows, count) = manage.engine().vault.read(read)?;
        let certificates = rows.iter().map(KeptView::of).collect::<Result<_, _>>()?;
        Ok(Found { count, certificates })
    });
    Ok(Json(found.await?))
}

/// A file to be imported.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NamedFile {
    /// Its name, to be told apart.
    name: String,
    /// Its content (PEM, DER, P7B), Base64.
    content: String,
}

/// Files to be imported.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ImportFiles {
    files: Vec<NamedFile>,
    /// Kept with each certificate, and searched.
    #[serde(default)]
    note: String,
}

/// What became of a file.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FileResult {
    /// Its name.
    name: String,
    /// Certificates that were kept.
    kept: u32,
    /// Certificates that were there already.
    known: u32,
    /// Why nothing was taken from it.
    refused: Option<String>,
}

/// Imports files; each succeeds or fails by itself.
#[utoipa::path(post, path = "/manage/v1/certificates", tag = "certificates", request_body = ImportFiles,
    responses((status = 200, body = Vec<FileResult>), (status = 422, body = Refused)))]
pub(super) async fn import(
    State(door): State<Door>,
    signed: Signed,
    Asked(asked): Asked<ImportFiles>,
) -> Answer<Vec<FileResult>> {
    if asked.files.len() > FILES || asked.note.chars().count() > 200 {
        return Err(Refusal::no("import", "一次最多导入 1000 个文件，备注最多 200 个字。").into());
    }
    let results = door.change(move |manage| {
        let mut results = Vec::new();
        for file in asked.files {
            let mut result = FileResult {
                name: file.name,
                kept: 0,
                known: 0,
                refused: None,
            };
            match bytes(&file.content).and_then(|content| bundle::certificates(&content)) {
                Ok(certificates) => {
                    for certificate in &certificates {
                        let kept = manage
                            .engine()
                            .keep_certificate(&signed.who.name, certificate, &asked.note)?;
                        *(if kept { &mut result.kept } else { &mut result.known }) += 1;
                    }
                }
                Err(Refusal::No { text, .. }) => result.refused = Some(text),
                Err(refusal) => return Err(refusal),
            }
            results.push(result);
        }
        Ok(results)
    });
    Ok(Json(results.await?))
}

/// A kept certificate, whole.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Detail {
    #[serde(flatten)]
    kept: KeptView,
    /// The subject's whole name (RFC 4514).
    subject_name: String,
    /// The issuer's whole name.
    issuer_name: String,
    /// The algorithm of the authority's signature.
    signature_algorithm: String,
    /// May sign documents.
    signs_documents: bool,
    /// Chains of this server that it leads to.
    chains: Vec<String>,
    /// The certificate, PEM.
    pem: String,
}

/// One certificate.
#[utoipa::path(get, path = "/manage/v1/certificates/{fingerprint}", tag = "certificates",
    params(("fingerprint" = String, Path)), responses((status = 200, body = Detail), (status = 404, body = Refused)))]
pub(super) async fn detail(State(door): State<Door>, Path(print): Path<String>) -> Answer<Detail> {
    let detail = door.act(move |manage| {
        let row = kept(manage, &print)?;
        let certificate = Certificate::parse(&row.certificate)?;
        let state = manage.service.state();
        let leads = state.chains.values().filter(|chain| {
            let trust = gm::Trust::new(chain.certificates.iter().map(|c| &c.der));
            trust.is_ok_and(|trust| trust.path(&certificate, &[], certificate.not_before).is_ok())
        });
        Ok(Detail {
            kept: KeptView::of(&row)?,
            subject_name: gm::certificate::name_text(&certificate.subject_der)?,
            issuer_name: gm::certificate::name_text(&certificate.issuer_der)?,
            signature_algorithm: certificate.algorithm().name().to_owned(),
            signs_documents: certificate.may_sign_documents().is_ok(),
            chains: leads.map(|chain| chain.name.clone()).collect(),
            pem: gm::pem::write(gm::pem::CERTIFICATE, &row.certificate),
        })
    });
    Ok(Json(detail.await?))
}

/// How to write the file.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Encoding {
    /// Text.
    Pem,
    /// Binary.
    Der,
}

/// How to write the file.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct As {
    /// PEM or DER.
    #[param(inline)]
    encoding: Encoding,
}

/// A certificate as a file.
#[utoipa::path(get, path = "/manage/v1/certificates/{fingerprint}/file", tag = "certificates",
    params(("fingerprint" = String, Path), As),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream"), (status = 404, body = Refused)))]
pub(super) async fn file(
    State(door): State<Door>,
    Path(print): Path<String>,
    Query(asked): Query<As>,
) -> Result<impl IntoResponse, Failure> {
    let row = door.act(move |manage| kept(manage, &print)).await?;
    let (body, end) = match asked.encoding {
        Encoding::Pem => (
            gm::pem::write(gm::pem::CERTIFICATE, &row.certificate).into_bytes(),
            "pem",
        ),
        Encoding::Der => (row.certificate, "cer"),
    };
    let disposition = format!("attachment; filename=\"{}.{end}\"", row.serial);
    let kind = (header::CONTENT_TYPE, "application/octet-stream".to_owned());
    Ok(([kind, (header::CONTENT_DISPOSITION, disposition)], body))
}

/// Forgets a certificate: `confirm` is its serial number. Importing it again brings it back.
#[utoipa::path(post, path = "/manage/v1/certificates/{fingerprint}/remove", tag = "certificates",
    params(("fingerprint" = String, Path)), request_body = Confirm,
    responses((status = 200, body = Done), (status = 404, body = Refused), (status = 422, body = Refused)))]
pub(super) async fn remove(
    State(door): State<Door>,
    signed: Signed,
    Path(print): Path<String>,
    Asked(asked): Asked<Confirm>,
) -> Answer<Done> {
    door.change(move |manage| manage.remove_certificate(&signed.who.name, &fingerprint(&print)?, &asked.confirm))
        .await?;
    Ok(Json(Done {}))
}

fn kept(manage: &crate::manage::Manage, print: &str) -> Result<CertificateRow, Refusal> {
    let print = fingerprint(print)?;
    let found = manage.engine().vault.read(|unit| unit.certificate(&print))?;
    found.ok_or_else(|| Refusal::no("certificate_unknown", "没有这张证书。"))
}
