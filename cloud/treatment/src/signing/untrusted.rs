//! A signature that leads to no root of the hospital: which certificate's issuer is missing, and where its root is added.
//! So it goes when doctors sign with a province's or an authority's server and nobody has added its root here yet.

use axum::http::StatusCode;
use base::ApiError;
use gm::Certificate;
use gm::cms::{Message, Profile};

/// Certificates followed upwards at most: nobody has more authorities than these above a doctor.
const HIGHEST: usize = 8;
/// Characters of a name that are shown.
const LONGEST: usize = 60;

/// Where the roots are, as the administrator's page names it.
const PLACE: &str = "管理后台“医院设置 › 电子签名信任根 › 签名信任根”";

/// The refusal, for the person who signed. The attempt stays open: once the root is there, the same signature counts.
pub(super) fn refusal(message: &[u8], signer: &Certificate) -> ApiError {
    let others = Message::read(message, Profile::default()).map(|message| message.certificates);
    let others = others.unwrap_or_default();
    let highest = highest(signer, &others);
    let holder = shown(&highest.subject.common_name);
    let issuer = shown(&highest.issuer.common_name);
    let text = format!(
        "签名未生效：证书“{holder}”（序列号{}）的颁发机构“{issuer}”不在本院的信任根中。请管理员在{PLACE}中添加该机构的根证书，\
         然后重新输入签名密码（不会重复签名）",
        highest.serial_hex()
    );
    ApiError::new(StatusCode::CONFLICT, "signature_untrusted", text)
}

/// The highest certificate above the signer that somebody else issued: with its issuer's root all of them would be trusted.
fn highest<'a>(signer: &'a Certificate, others: &'a [Certificate]) -> &'a Certificate {
    let mut highest = signer;
    for _ in 0..HIGHEST {
        let above = others.iter().find(|other| {
            let root = other.subject_der == other.issuer_der;
            !root && other.subject_der == highest.issuer_der && highest.is_issued_by(other).is_ok()
        });
        match above {
            Some(above) => highest = above,
            None => break,
        }
    }
    highest
}

/// A name out of a certificate, for a sentence.
fn shown(name: &str) -> String {
    let plain = name.chars().filter(|c| !c.is_control()).take(LONGEST);
    plain.collect()
}
