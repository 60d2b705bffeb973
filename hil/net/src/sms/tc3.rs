//! TC3-HMAC-SHA256, checked the way the vendor's documentation derives it.

use axum::http::Uri;
use ring::digest::{SHA256, digest};
use ring::hmac::{HMAC_SHA256, Key, sign};

const TOLERANCE_S: i64 = 300;

fn hash(bytes: &[u8]) -> String {
    hex::encode(digest(&SHA256, bytes))
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    sign(&Key::new(HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

/// Checks the Authorization header of a call; (SecretId, SecretKey) is the account.
pub(super) fn check<'h>(
    account: (&str, &str),
    now: i64,
    uri: &Uri,
    header: &impl Fn(&str) -> &'h str,
    body: &[u8],
) -> Result<(), (String, String)> {
    let fail = |code: &str, words: &str| Err((format!("AuthFailure.{code}"), words.to_owned()));
    let Some(fields) = header("authorization").strip_prefix("TC3-HMAC-SHA256 ") else {
        return fail("InvalidAuthorization", "Authorization应以TC3-HMAC-SHA256开头");
    };
    let field = |name: &str| {
        fields
            .split(',')
            .find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
            .unwrap_or("")
    };
    let mut credential = field("Credential").split('/');
    let mut next = || credential.next().unwrap_or("");
    let (id, date, service, ending) = (next(), next(), next(), next());
    if id != account.0 {
        return fail("SecretIdNotFound", "密钥不存在");
    }
    if service != "sms" || ending != "tc3_request" {
        return fail("InvalidAuthorization", "Credential应为日期/sms/tc3_request");
    }
    let timestamp: i64 = header("x-tc-timestamp").parse().unwrap_or(0);
    if (timestamp - now).abs() > TOLERANCE_S {
        return fail("SignatureExpire", "签名过期");
    }
    let signed = field("SignedHeaders");
    let names: Vec<&str> = signed.split(';').collect();
    if !names.contains(&"content-type") || !names.contains(&"host") {
        return fail("InvalidAuthorization", "SignedHeaders须包含content-type和host");
    }
    let headers: String = names
        .iter()
        .map(|name| format!("{name}:{}\n", header(name).trim().to_lowercase()))
        .collect();
    let canonical = format!(
        "POST\n{}\n{}\n{headers}\n{signed}\n{}",
        uri.path(),
        uri.query().unwrap_or(""),
        hash(body)
    );
    let scope = format!("{date}/{service}/{ending}");
    let text = format!("TC3-HMAC-SHA256\n{timestamp}\n{scope}\n{}", hash(canonical.as_bytes()));
    let key = mac(
        &mac(&mac(format!("TC3{}", account.1).as_bytes(), date), service),
        ending,
    );
    if hex::encode(mac(&key, &text)) != field("Signature") {
        return fail("SignatureFailure", "签名错误");
    }
    Ok(())
}
