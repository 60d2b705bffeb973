//! Time stamps with SM2, which `openssl ts` cannot sign: the token (RFC 3161) is written here and signed by `openssl dgst`.

use sm3::{Digest as _, Sm3};
use time::OffsetDateTime;
use time::macros::format_description;

use crate::authority::{CaError, Turn};
use crate::der::{element, elements, only, sequence};

/// 1.2.3.4.1
const POLICY: &[u8] = &[0x2a, 3, 4, 1];
const SM3_ID: &[u8] = &[0x2a, 0x81, 0x1c, 0xcf, 0x55, 0x01, 0x83, 0x11];
const SM2_SM3: &[u8] = &[0x2a, 0x81, 0x1c, 0xcf, 0x55, 0x01, 0x83, 0x75];
const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
const TST_INFO: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x01, 0x04];
const CONTENT_TYPE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x03];
const MESSAGE_DIGEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x04];
const SIGNING_CERTIFICATE_2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x02, 0x2f];

/// What a request asks for.
struct Asked<'a> {
    imprint: &'a [u8],
    nonce: Option<&'a [u8]>,
    certificates: bool,
}

fn read(request: &[u8]) -> Option<Asked<'_>> {
    let parts = elements(only(request)?.value)?;
    let imprint = parts.get(1).filter(|part| part.tag == 0x30)?.raw;
    let rest = parts.get(2..)?;
    Some(Asked {
        imprint,
        nonce: rest.iter().find(|part| part.tag == 0x02).map(|part| part.raw),
        certificates: rest.iter().any(|part| part.tag == 0x01 && part.value == [0xff]),
    })
}

/// A reply to a request, granted at this time.
pub(crate) async fn reply(turn: &Turn<'_>, request: &[u8], at: OffsetDateTime) -> Result<Vec<u8>, CaError> {
    let asked = read(request).ok_or_else(|| CaError::Asked("time stamp request".to_owned()))?;
    let unit = turn.certificate("stamps").await?;
    let form = format_description!("[year][month][day][hour][minute][second]Z");
    let time = at.format(&form).unwrap_or_default();
    let serial = turn.text("stamp_serial")?.trim().parse::<u32>().unwrap_or(0) + 1;
    turn.put("stamp_serial", serial.to_string())?;
    let mut number = vec![0];
    number.extend(serial.to_be_bytes().into_iter().skip_while(|b| *b == 0));
    if number.get(1).is_some_and(|b| *b < 0x80) {
        number.remove(0);
    }
    let info = sequence(&[
        &[2, 1, 1],
        &element(6, POLICY),
        asked.imprint,
        &element(2, &number),
        &element(0x18, time.as_bytes()),
        &sequence(&[&[2, 1, 1]]),
        asked.nonce.unwrap_or_default(),
    ]);
    let digest = |bytes: &[u8]| element(4, &Sm3::digest(bytes));
    let algorithm = sequence(&[&element(6, SM3_ID)]);
    let attribute = |id: &[u8], value: &[u8]| sequence(&[&element(6, id), &element(0x31, value)]);
    let named = sequence(&[&sequence(&[&sequence(&[&algorithm, &digest(&unit)])])]);
    let mut attributes = [
        attribute(CONTENT_TYPE, &element(6, TST_INFO)),
        attribute(MESSAGE_DIGEST, &digest(&info)),
        attribute(SIGNING_CERTIFICATE_2, &named),
    ];
    attributes.sort();
    let attributes = attributes.concat();
    let signature = turn.sign("stamps", &element(0x31, &attributes)).await?;
    let (issuer, number) = issuer_and_serial(&unit).ok_or_else(|| CaError::Asked("unit certificate".to_owned()))?;
    let signer = sequence(&[
        &[2, 1, 1],
        &sequence(&[issuer, number]),
        &algorithm,
        &element(0xa0, &attributes),
        &sequence(&[&element(6, SM2_SM3)]),
        &element(4, &signature),
    ]);
    let carried = if asked.certificates {
        element(0xa0, &unit)
    } else {
        Vec::new()
    };
    let body = sequence(&[
        &[2, 1, 3],
        &element(0x31, &algorithm),
        &sequence(&[&element(6, TST_INFO), &element(0xa0, &element(4, &info))]),
        &carried,
        &element(0x31, &signer),
    ]);
    let token = sequence(&[&element(6, SIGNED_DATA), &element(0xa0, &body)]);
    Ok(sequence(&[&sequence(&[&[2, 1, 0]]), &token]))
}

fn issuer_and_serial(certificate: &[u8]) -> Option<(&[u8], &[u8])> {
    let whole = elements(only(certificate)?.value)?;
    let body = elements(whole.first()?.value)?;
    // version, serial, algorithm, issuer
    Some((body.get(3)?.raw, body.get(1)?.raw))
}
