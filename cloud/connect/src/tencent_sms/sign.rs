//! TC3-HMAC-SHA256, the request signature of Tencent Cloud's API 3.0.

use records::Timestamp;
use ring::{digest, hmac};

/// Headers that are signed, in their order.
const SIGNED_HEADERS: &str = "content-type;host";
/// The content type that is signed.
pub(super) const CONTENT_TYPE: &str = "application/json; charset=utf-8";

/// One secret of an account.
#[derive(Clone)]
pub struct Secret {
    /// `SecretId`.
    pub id: String,
    /// `SecretKey`.
    pub key: String,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secret").field("id", &self.id).finish_non_exhaustive()
    }
}

fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, bytes))
}

fn hmac_sha256(key: &[u8], message: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message.as_bytes())
}

/// The `Authorization` header of a POST to `/` with this body.
pub fn authorization(secret: &Secret, service: &str, host: &str, body: &str, now: Timestamp) -> String {
    let seconds = now.as_seconds();
    // The date is UTC, unlike every other day in this system.
    let day = now.offset().date();
    let date = format!("{:04}-{:02}-{:02}", day.year(), u8::from(day.month()), day.day());
    let canonical = format!(
        "POST\n/\n\ncontent-type:{CONTENT_TYPE}\nhost:{host}\n\n{SIGNED_HEADERS}\n{}",
        sha256_hex(body.as_bytes())
    );
    let scope = format!("{date}/{service}/tc3_request");
    let to_sign = format!(
        "TC3-HMAC-SHA256\n{seconds}\n{scope}\n{}",
        sha256_hex(canonical.as_bytes())
    );
    let by_date = hmac_sha256(format!("TC3{}", secret.key).as_bytes(), &date);
    let by_service = hmac_sha256(by_date.as_ref(), service);
    let signing = hmac_sha256(by_service.as_ref(), "tc3_request");
    let signature = hex::encode(hmac_sha256(signing.as_ref(), &to_sign));
    format!(
        "TC3-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={SIGNED_HEADERS}, Signature={signature}",
        secret.id
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of Tencent Cloud's documentation of the signature method v3.
    #[test]
    fn the_signature_agrees_with_the_published_example() {
        let secret = Secret {
            id: "AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE".to_owned(),
            key: "Gu5t9xGARNpq86cd98joQYCN3EXAMPLE".to_owned(),
        };
        let body = r#"{"Limit": 1, "Filters": [{"Values": ["\u672a\u547d\u540d"], "Name": "instance-name"}]}"#;
        let header = authorization(
            &secret,
            "cvm",
            "cvm.tencentcloudapi.com",
            body,
            Timestamp::from_seconds(1_551_113_065),
        );
        assert_eq!(
            header,
            "TC3-HMAC-SHA256 Credential=AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE/2019-02-25/cvm/tc3_request, \
             SignedHeaders=content-type;host, \
             Signature=72e494ea809ad7a8c8f7a4507b9bddcbaa8e581f516e8da2f66e2c5a96525168"
        );
    }
}
