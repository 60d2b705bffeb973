//! The ASN.1 messages of GB/T 38629-2020 annex A, from the side of who asks: `exportCert` and `signData`.
//!
//! Read and written as our own server's (`svs`) are, tolerant where the text of the standard can be read in two ways: the
//! CHOICE is read by its context tag, bare or wrapped in an OCTET STRING; the version, a default, may stand there; a
//! signature is an OCTET STRING around the DER of GB/T 35276, or that SEQUENCE itself. The request carries no optional
//! part but the signer's id, which is always said, because what a server takes without one differs.

use gm::USER_ID;
use gm::der::{self, Reader, tag};
use zeroize::Zeroizing;

use super::Fault;

const EXPORT_CERT: u8 = 0;
const SIGN_DATA: u8 = 3;
/// `SGD_SM3_SM2` (GB/T 33560).
const SM2_WITH_SM3: [u8; 3] = [0x02, 0x02, 0x01];

/// Asks for the certificate of this name.
pub(super) fn export_cert(identification: &str, wrapped: bool) -> Vec<u8> {
    request(EXPORT_CERT, &[&der::octets(identification.as_bytes())], wrapped)
}

/// Asks for a signature over data.
pub(super) fn sign_data(key_index: u32, password: &[u8], data: &[u8], wrapped: bool) -> Zeroizing<Vec<u8>> {
    let id = USER_ID.as_bytes();
    let password = Zeroizing::new(der::octets(password));
    let length = |bytes: &[u8]| der::unsigned(&bytes.len().to_be_bytes());
    let id_length = length(id);
    // `[0] IMPLICIT INTEGER`: the content of the INTEGER under the other tag.
    let id_length = id_length.get(2..).unwrap_or_default();
    let parts: [&[u8]; 7] = [
        &der::unsigned(&SM2_WITH_SM3),
        &der::unsigned(&key_index.to_be_bytes()),
        &password,
        &der::element(tag::context_primitive(0), id_length),
        &der::element(tag::context_primitive(1), id),
        &length(data),
        &der::octets(data),
    ];
    Zeroizing::new(request(SIGN_DATA, &parts, wrapped))
}

fn request(kind: u8, parts: &[&[u8]], wrapped: bool) -> Vec<u8> {
    let choice = der::constructed(tag::context(kind), parts);
    let choice = if wrapped { der::octets(&choice) } else { choice };
    // DER leaves the version, a default, out.
    der::sequence(&[&der::unsigned(&[kind]), &choice])
}

/// The certificate of an answer, DER.
pub(super) fn exported(answer: &[u8]) -> Result<Vec<u8>, Fault> {
    respond(EXPORT_CERT, answer, |reader| {
        let certificate = reader.any()?;
        match certificate.tag {
            tag::OCTET_STRING => Ok(certificate.value.to_vec()),
            _ => Ok(certificate.raw.to_vec()),
        }
    })
}

/// The signature of an answer: DER `SEQUENCE { r, s }`, not yet verified.
pub(super) fn signed(answer: &[u8]) -> Result<Vec<u8>, Fault> {
    respond(SIGN_DATA, answer, |reader| {
        let signature = reader.any()?;
        match signature.tag {
            tag::OCTET_STRING => Ok(signature.value.to_vec()),
            _ => Ok(signature.raw.to_vec()),
        }
    })
}

fn respond(
    kind: u8,
    answer: &[u8],
    read: impl FnOnce(&mut Reader<'_>) -> Result<Vec<u8>, gm::Refused>,
) -> Result<Vec<u8>, Fault> {
    let garbage = |_: gm::Refused| Fault::Garbage("不是 GB/T 38629 的应答");
    let choice = choice(kind, answer).map_err(garbage)?;
    let choice = choice.ok_or(Fault::Garbage("应答与请求不符"))?;
    let mut reader = Reader::new(&choice, "Respond");
    let number = reader.unsigned().map_err(garbage)?;
    if number.len() > 4 {
        return Err(Fault::Garbage("应答码过大"));
    }
    let number = number.iter().fold(0, |sum, byte| (sum << 8) | u32::from(*byte));
    if number != 0 {
        return Err(Fault::Refused {
            number,
            words: words(&mut reader),
        });
    }
    if reader.is_empty() {
        return Err(Fault::Garbage("应答成功而没有内容"));
    }
    read(&mut reader).map_err(garbage)
}

/// The inside of the answer's CHOICE; `None` when it answers something else.
fn choice(kind: u8, answer: &[u8]) -> Result<Option<Vec<u8>>, gm::Refused> {
    let mut outer = Reader::new(answer, "SVSRespond");
    let mut whole = outer.sequence("SVSRespond")?;
    outer.finish()?;
    let first = whole.small()?;
    let number = match whole.peek() {
        Some(tag::INTEGER) if first == 0 => whole.small()?,
        _ => first,
    };
    let mut respond = whole.any()?;
    if respond.tag == tag::OCTET_STRING {
        let mut inside = Reader::new(respond.value, "Respond");
        respond = inside.any()?;
        inside.finish()?;
    }
    let fits = number == kind && respond.tag == tag::context(kind);
    Ok(fits.then(|| respond.value.to_vec()))
}

/// What some put behind the number: text. The standard has none.
fn words(reader: &mut Reader<'_>) -> String {
    let Ok(element) = reader.any() else {
        return String::new();
    };
    let text = matches!(element.tag, tag::UTF8 | tag::OCTET_STRING | tag::PRINTABLE);
    let text = text.then(|| std::str::from_utf8(element.value).ok()).flatten();
    said(text.unwrap_or_default())
}

/// Words of others, fit to be shown and kept.
pub(super) fn said(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    line.trim().chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand, from the text of the standard: reqType 3, `[3]` with method 0x00020201, key 1, password `a`, the id of 16
    /// bytes, three bytes of data.
    #[test]
    fn sign_data_is_the_standards_request() {
        let id = hex::encode(USER_ID);
        let by_hand = format!("302d 020103 a328 0203020201 020101 040161 800110 8110{id} 020103 0403616263");
        let by_hand = hex::decode(by_hand.replace(' ', "")).expect("hex");
        assert_eq!(sign_data(1, b"a", b"abc", false).as_slice(), by_hand);
        let wrapped = sign_data(1, b"a", b"abc", true);
        assert_eq!(hex::encode(&wrapped[..7]), "302f020103042a");
        assert_eq!(hex::encode(&wrapped[7..9]), "a328");
    }

    #[test]
    fn export_cert_is_told_from_the_version_it_is_numbered_like() {
        let asked = export_cert("w", false);
        assert_eq!(hex::encode(asked), "3008020100a003040177");
        // With and without the default version; the certificate stands as itself.
        for answer in ["300c020100a0070201003002 0500", "300f020100020100a0070201003002 0500"] {
            let answer = hex::decode(answer.replace(' ', "")).expect("hex");
            assert_eq!(exported(&answer).expect("certificate"), [0x30, 2, 5, 0], "{answer:?}");
        }
    }

    #[test]
    fn a_refusal_keeps_its_number_and_words_and_nonsense_is_garbage() {
        let answer = hex::decode("3010020103a30b02040400000604036e6f21").expect("hex");
        let refused = signed(&answer).expect_err("refused");
        assert_eq!(
            refused,
            Fault::Refused {
                number: 0x0400_0006,
                words: "no!".to_owned()
            }
        );
        assert!(refused.of_password() && refused.person().contains("no!"));
        for garbage in [
            "",
            "00",
            "3000",
            "3003020103",
            "3008020103a203020100",
            "3008020103a303020100",
        ] {
            let bytes = hex::decode(garbage).expect("hex");
            assert!(matches!(signed(&bytes), Err(Fault::Garbage(_))), "{garbage}");
        }
    }
}
