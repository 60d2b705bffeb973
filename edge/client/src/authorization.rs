//! Requests signed with the application's key: HMAC-SM3 over method, path, the server's name, time, nonce and the body's
//! SM3, as `signd` asks for it (`Authorization: YQ-HMAC-SM3 …`).

use hmac::{Hmac, KeyInit, Mac};
use records::Timestamp;
use sm3::{Digest, Sm3};

use crate::Error;

/// Who signs.
pub(crate) struct Signing<'s> {
    pub(crate) application: &'s str,
    pub(crate) key: &'s [u8],
    /// The name of the one server that is to accept it, or the common name of those behind a balancer.
    pub(crate) server: &'s str,
}

/// The value of the header.
pub(crate) fn header(by: &Signing<'_>, path: &str, body: &[u8], now: Timestamp) -> Result<String, Error> {
    let Signing {
        application,
        key,
        server,
    } = by;
    let nonce = random_hex()?;
    let digest = hex::encode(Sm3::digest(body));
    let mut mac =
        <Hmac<Sm3> as KeyInit>::new_from_slice(key).map_err(|_| Error::Settings("请求密钥的长度不正确".to_owned()))?;
    mac.update(format!("POST\n{path}\n{server}\n{now}\n{nonce}\n{digest}").as_bytes());
    let mac = hex::encode(mac.finalize().into_bytes());
    Ok(format!(
        "YQ-HMAC-SM3 app={application},server={server},time={now},nonce={nonce},mac={mac}"
    ))
}

/// 32 letters and digits nobody can guess: a nonce, or an idempotency key.
pub(crate) fn random_hex() -> Result<String, Error> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).map_err(|_| Error::Request("系统随机数不可用".to_owned()))?;
    Ok(hex::encode(bytes))
}
