use axum::Json;
use axum::extract::{Extension, State};
use gm::key::Hash;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::{Answer, Asked, No, Refused, bytes, choice, encode, optional};
use crate::application::KeyIndex;
use crate::fault::{Code, Fault};
use crate::http::door::Door;
use crate::service::{Caller, Cipher, Direction, Mode, Sm2Form, Symmetric};

/// A text to be encrypted or decrypted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CipherRequest {
    /// The cipher.
    cipher: Cipher,
    /// The mode.
    mode: Mode,
    /// The key, Base64.
    key: String,
    /// Initialisation vector, Base64; drawn at encryption when absent.
    iv: Option<String>,
    /// Additional data (GCM), Base64.
    aad: Option<String>,
    /// The tag (GCM, decryption), Base64.
    tag: Option<String>,
    /// PKCS#7 padding (ECB, CBC).
    #[serde(default = "yes")]
    padding: bool,
    /// The text, Base64.
    data: String,
}

fn yes() -> bool {
    true
}

/// What came of it.
#[derive(Serialize, ToSchema)]
pub(super) struct Text {
    /// The text, Base64.
    data: String,
    /// The initialisation vector that was used, Base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    iv: Option<String>,
    /// The tag (GCM, encryption), Base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<String>,
}

async fn run(door: &Door, caller: &Caller, asked: CipherRequest, direction: Direction) -> Answer<Text> {
    let act = Symmetric {
        cipher: asked.cipher,
        mode: asked.mode,
        direction,
        key: Zeroizing::new(bytes(&asked.key, "key")?),
        iv: optional(asked.iv.as_deref(), "iv")?,
        aad: optional(asked.aad.as_deref(), "aad")?.unwrap_or_default(),
        tag: optional(asked.tag.as_deref(), "tag")?,
        padding: asked.padding,
        data: Zeroizing::new(bytes(&asked.data, "data")?),
    };
    let done = door.service.cipher(caller, act).await.map_err(No::Act)?;
    Ok(Json(Text {
        data: encode(&done.data),
        iv: done.iv.as_deref().map(encode),
        tag: done.tag.as_deref().map(encode),
    }))
}

/// Encrypts with a key that the application gives (SM4, AES).
#[utoipa::path(post, path = "/v1/cipher/encrypt", operation_id = "encrypt", request_body = CipherRequest,
    responses((status = 200, body = Text), (status = 400, body = Refused)))]
pub(super) async fn encrypt(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    Asked(asked): Asked<CipherRequest>,
) -> Answer<Text> {
    run(&door, &caller, asked, Direction::Encrypt).await
}

/// Decrypts with a key that the application gives (SM4, AES; 3DES where the settings allow it).
#[utoipa::path(post, path = "/v1/cipher/decrypt", operation_id = "decrypt", request_body = CipherRequest,
    responses((status = 200, body = Text), (status = 400, body = Refused)))]
pub(super) async fn decrypt(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    Asked(asked): Asked<CipherRequest>,
) -> Answer<Text> {
    run(&door, &caller, asked, Direction::Decrypt).await
}

/// A text to be encrypted to the holder of a certificate.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EncryptToRequest {
    /// The holder's SM2 certificate, DER, Base64.
    certificate: String,
    /// 1 byte to 1 MiB, Base64.
    data: String,
    /// How the cipher text is written.
    #[serde(default)]
    form: Sm2Form,
}

/// Bytes.
#[derive(Serialize, ToSchema)]
pub(super) struct Data {
    /// Base64.
    data: String,
}

/// Encrypts to the holder of a certificate (SM2).
#[utoipa::path(post, path = "/v1/cipher/encrypt-to", operation_id = "encrypt_to", request_body = EncryptToRequest,
    responses((status = 200, body = Data), (status = 422, body = Refused)))]
pub(super) async fn encrypt_to(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    Asked(asked): Asked<EncryptToRequest>,
) -> Answer<Data> {
    let (certificate, data) = (bytes(&asked.certificate, "certificate")?, bytes(&asked.data, "data")?);
    let sealed = door.service.encrypt_to(&caller, certificate, data, asked.form).await;
    let data = encode(&sealed.map_err(No::Act)?);
    Ok(Json(Data { data }))
}

/// A text that was encrypted to a server key.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DecryptWithKeyRequest {
    /// The key's index; the policy's first when absent. A retired key still decrypts.
    key: Option<KeyIndex>,
    /// The key's access code, where it has one.
    access_code: Option<String>,
    /// Base64.
    data: String,
    /// How the cipher text is written.
    #[serde(default)]
    form: Sm2Form,
}

/// Decrypts with a server key (SM2).
#[utoipa::path(post, path = "/v1/cipher/decrypt-with-key", operation_id = "decrypt_with_key",
    request_body = DecryptWithKeyRequest, responses((status = 200, body = Data), (status = 400, body = Refused)))]
pub(super) async fn decrypt_with_key(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    Asked(asked): Asked<DecryptWithKeyRequest>,
) -> Answer<Data> {
    let data = bytes(&asked.data, "data")?;
    let with = choice(asked.key, asked.access_code, None)?;
    let plain = door.service.decrypt_with_key(&caller, with, data, asked.form).await;
    let data = encode(&plain.map_err(No::Act)?);
    Ok(Json(Data { data }))
}

/// Data to be digested.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DigestRequest {
    /// `SM3`, `SHA-256`, `SHA-384` or `SHA-512`.
    algorithm: String,
    /// Base64.
    data: String,
}

/// A digest.
#[utoipa::path(post, path = "/v1/digest", operation_id = "digest", request_body = DigestRequest,
    responses((status = 200, body = Data), (status = 400, body = Refused)))]
pub(super) async fn digest(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    Asked(asked): Asked<DigestRequest>,
) -> Answer<Data> {
    let known = [Hash::Sm3, Hash::Sha256, Hash::Sha384, Hash::Sha512];
    let plain = |name: &str| name.replace('-', "").to_ascii_lowercase();
    let hash = known
        .into_iter()
        .find(|hash| plain(hash.name()) == plain(&asked.algorithm));
    let hash = hash.ok_or_else(|| No::Early(Fault::new(Code::SignMethod, asked.algorithm)))?;
    let data = bytes(&asked.data, "data")?;
    let digest = door.service.digest(&caller, hash, data).await.map_err(No::Act)?;
    Ok(Json(Data { data: encode(&digest) }))
}

/// How much is wanted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RandomRequest {
    /// 1 to 65536.
    bytes: usize,
}

/// Random bytes.
#[utoipa::path(post, path = "/v1/random", operation_id = "random", request_body = RandomRequest,
    responses((status = 200, body = Data), (status = 413, body = Refused)))]
pub(super) async fn random(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    Asked(asked): Asked<RandomRequest>,
) -> Answer<Data> {
    let drawn = door.service.random(&caller, asked.bytes).await.map_err(No::Act)?;
    Ok(Json(Data { data: encode(&drawn) }))
}
