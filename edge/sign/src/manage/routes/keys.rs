//! Server keys.

use axum::Json;
use axum::extract::{Path, State};
use records::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::gate::Signed;
use super::{Answer, Asked, CertificateView, Done, Door, file};
use crate::Refusal;
use crate::application::KeyIndex;
use crate::keys::device::AdoptKey;
use crate::keys::{ImportKey, ImportedKey, KeyAlgorithm, KeyCommand, KeyPurpose, KeyState, NewKey, ServerKey, Subject};
use crate::manage::bundle;
use crate::manage::failure::Refused;

/// A server key.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct KeyView {
    index: KeyIndex,
    /// Its name.
    label: String,
    algorithm: KeyAlgorithm,
    /// `tpm`, or the name of the device.
    custody: String,
    state: KeyState,
    /// Requests must name an access code to use it.
    access_code: bool,
    /// Its private half is at hand.
    open: bool,
    /// What it is for.
    purpose: KeyPurpose,
    /// It was destroyed here, but its device still holds it: only the device's own tool destroys it there.
    held_on: bool,
    /// The certificate in use, then those above it.
    chain: Vec<CertificateView>,
    /// Certificates before the one in use.
    earlier: Vec<CertificateView>,
    #[schema(value_type = String, format = DateTime)]
    made_at: Timestamp,
}

impl KeyView {
    fn of(key: &ServerKey) -> Self {
        let chain = key
            .certificate()
            .map(|certificate| certificate.chain.as_slice())
            .unwrap_or_default();
        let earlier = key
            .certificates
            .split_last()
            .map(|(_, earlier)| earlier)
            .unwrap_or_default();
        Self {
            index: key.index,
            label: key.label.clone(),
            algorithm: key.algorithm,
            custody: key.custody.clone(),
            state: key.state,
            access_code: key.access_code.is_some(),
            open: key.at_hand(),
            purpose: key.purpose,
            held_on: key.held_on(),
            chain: chain.iter().map(CertificateView::of).collect(),
            earlier: earlier
                .iter()
                .filter_map(|c| c.chain.first())
                .map(CertificateView::of)
                .collect(),
            made_at: key.made_at,
        }
    }
}

/// All keys.
#[utoipa::path(get, path = "/manage/v1/keys", tag = "keys", responses((status = 200, body = Vec<KeyView>)))]
pub(super) async fn list(State(door): State<Door>) -> Answer<Vec<KeyView>> {
    Ok(Json(
        door.service.state().keys.values().map(|key| KeyView::of(key)).collect(),
    ))
}

/// A new key's index.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MadeKey {
    index: KeyIndex,
}

/// Makes a key.
#[utoipa::path(post, path = "/manage/v1/keys", tag = "keys", request_body = NewKey,
    responses((status = 200, body = MadeKey), (status = 422, body = Refused)))]
pub(super) async fn generate(State(door): State<Door>, signed: Signed, Asked(asked): Asked<NewKey>) -> Answer<MadeKey> {
    let index = door
        .change(move |manage| manage.engine().generate_key(&signed.who.name, &asked))
        .await?;
    Ok(Json(MadeKey { index }))
}

/// Makes a server key of a key that a device has. It is tried first.
#[utoipa::path(post, path = "/manage/v1/keys/adopt", tag = "keys", request_body = AdoptKey,
    responses((status = 200, body = MadeKey), (status = 422, body = Refused)))]
pub(super) async fn adopt(State(door): State<Door>, signed: Signed, Asked(asked): Asked<AdoptKey>) -> Answer<MadeKey> {
    let index = door
        .change(move |manage| manage.engine().adopt_key(&signed.who.name, &asked))
        .await?;
    Ok(Json(MadeKey { index }))
}

/// A key pair in a file. Not printed: it holds the file and its password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyFile {
    /// Its name, for people: 1 to 64 characters.
    label: String,
    /// The file, Base64: PKCS#8 (PEM, DER), PKCS#12 (PFX), or an SM2 key envelope (GB/T 35276).
    file: String,
    /// The file's password, where it has one.
    #[serde(default)]
    password: Option<String>,
    /// What it is for; signing when absent. An envelope always brings a key for encryption.
    #[serde(default)]
    purpose: KeyPurpose,
    /// The signing key that an envelope was made for.
    #[serde(default)]
    envelope_key: Option<KeyIndex>,
    /// The code that requests must name to use it; none when absent.
    #[serde(default)]
    access_code: Option<String>,
}

/// Imports a key pair from a file; it is wrapped at once.
#[utoipa::path(post, path = "/manage/v1/keys/import", tag = "keys", request_body = KeyFile,
    responses((status = 200, body = ImportedKey), (status = 422, body = Refused)))]
pub(super) async fn import(
    State(door): State<Door>,
    signed: Signed,
    Asked(asked): Asked<KeyFile>,
) -> Answer<ImportedKey> {
    let text = Zeroizing::new(asked.file);
    let asked = ImportKey {
        label: asked.label,
        file: Zeroizing::new(file(&text)?),
        password: asked.password.map(Zeroizing::new),
        purpose: asked.purpose,
        envelope_key: asked.envelope_key,
        access_code: asked.access_code,
    };
    let imported = door
        .change(move |manage| manage.engine().import_key(&signed.who.name, &asked))
        .await?;
    Ok(Json(imported))
}

/// A request for a certificate.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RequestFile {
    /// PKCS#10, PEM.
    pem: String,
    /// A name for the file.
    file_name: String,
}

/// A request (PKCS#10) with which an authority certifies the key.
#[utoipa::path(post, path = "/manage/v1/keys/{index}/request", tag = "keys", params(("index" = u32, Path)),
    request_body = Subject, responses((status = 200, body = RequestFile), (status = 422, body = Refused)))]
pub(super) async fn request(
    State(door): State<Door>,
    signed: Signed,
    Path(index): Path<u32>,
    Asked(asked): Asked<Subject>,
) -> Answer<RequestFile> {
    let made = door
        .act(move |manage| manage.engine().key_request(&signed.who.name, KeyIndex(index), &asked))
        .await?;
    Ok(Json(RequestFile {
        pem: made.to_pem(),
        file_name: format!("key-{index}.csr"),
    }))
}

/// The certificate of a key, with those above it where the authority gave them.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyCertificateFiles {
    /// Files (PEM, DER, P7B), Base64, in any order.
    files: Vec<String>,
}

/// Gives a key its certificate.
#[utoipa::path(post, path = "/manage/v1/keys/{index}/certificate", tag = "keys", params(("index" = u32, Path)),
    request_body = KeyCertificateFiles, responses((status = 200, body = Done), (status = 422, body = Refused)))]
pub(super) async fn import_certificate(
    State(door): State<Door>,
    signed: Signed,
    Path(index): Path<u32>,
    Asked(asked): Asked<KeyCertificateFiles>,
) -> Answer<Done> {
    door.change(move |manage| {
        let mut all = Vec::new();
        for text in &asked.files {
            all.extend(bundle::certificates(&file(text)?)?);
        }
        let state = manage.service.state();
        let key = state.keys.get(&KeyIndex(index)).ok_or_else(|| unknown(index))?;
        let path = bundle::path_of(&key.public_key, all)?;
        manage.engine().certify_key(&signed.who.name, KeyIndex(index), &path)
    })
    .await?;
    Ok(Json(Done {}))
}

/// For the hospital's own authority.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CertifyHere {
    /// The hospital's name.
    organization: String,
    /// The name in the certificate.
    name: String,
}

/// Certifies a key under the hospital's own authority.
#[utoipa::path(post, path = "/manage/v1/keys/{index}/certify", tag = "keys", params(("index" = u32, Path)),
    request_body = CertifyHere, responses((status = 200, body = Done), (status = 422, body = Refused)))]
pub(super) async fn certify(
    State(door): State<Door>,
    signed: Signed,
    Path(index): Path<u32>,
    Asked(asked): Asked<CertifyHere>,
) -> Answer<Done> {
    door.change(move |manage| {
        let engine = manage.engine();
        engine.certify_key_here(&signed.who.name, KeyIndex(index), &asked.organization, &asked.name)
    })
    .await?;
    Ok(Json(Done {}))
}

/// Puts a key to use.
#[utoipa::path(post, path = "/manage/v1/keys/{index}/activate", tag = "keys", params(("index" = u32, Path)),
    responses((status = 200, body = Done), (status = 422, body = Refused)))]
pub(super) async fn activate(State(door): State<Door>, signed: Signed, Path(index): Path<u32>) -> Answer<Done> {
    command(&door, signed, index, KeyCommand::Activate).await
}

/// Takes a key out of use.
#[utoipa::path(post, path = "/manage/v1/keys/{index}/retire", tag = "keys", params(("index" = u32, Path)),
    responses((status = 200, body = Done), (status = 422, body = Refused)))]
pub(super) async fn retire(State(door): State<Door>, signed: Signed, Path(index): Path<u32>) -> Answer<Done> {
    command(&door, signed, index, KeyCommand::Retire).await
}

/// The confirmation of what cannot be undone.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Confirm {
    /// The key's label, or the certificate's serial number, typed by the person.
    pub(super) confirm: String,
}

/// Destroys a key: `confirm` is its label.
#[utoipa::path(post, path = "/manage/v1/keys/{index}/destroy", tag = "keys", params(("index" = u32, Path)),
    request_body = Confirm, responses((status = 200, body = Done), (status = 422, body = Refused)))]
pub(super) async fn destroy(
    State(door): State<Door>,
    signed: Signed,
    Path(index): Path<u32>,
    Asked(asked): Asked<Confirm>,
) -> Answer<Done> {
    let state = door.service.state();
    let key = state.keys.get(&KeyIndex(index)).ok_or_else(|| unknown(index))?;
    if key.label != asked.confirm {
        return Err(Refusal::no("confirm", "输入的密钥名称与该密钥不一致，未销毁。").into());
    }
    command(&door, signed, index, KeyCommand::Destroy).await
}

async fn command(door: &Door, signed: Signed, index: u32, command: KeyCommand) -> Answer<Done> {
    door.change(move |manage| manage.engine().command_key(&signed.who.name, KeyIndex(index), command))
        .await?;
    Ok(Json(Done {}))
}

fn unknown(index: u32) -> Refusal {
    Refusal::no("key_unknown", format!("没有索引为 {index} 的密钥。"))
}
