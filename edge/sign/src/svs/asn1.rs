//! The ASN.1 form: `SVSRequest` and `SVSRespond` in strict DER.

use gm::der::{self, Element, Reader, tag};
use records::Timestamp;

use super::Asked;
use super::act::Answer;
use super::fields::{Fields, Operation, Raw};
use super::text::moment;
use crate::fault::{Code, Fault};

/// What a part of a request is.
#[derive(Clone, Copy)]
enum What {
    Number,
    Bytes,
    Flag,
    /// A certificate.
    Cert,
    /// A signed message: OCTET STRING, or the `ContentInfo` itself.
    Message,
}

/// A part: its name, what it is, its context tag where it has one, whether it may be absent.
type Part = (&'static str, What, Option<u8>, bool);

const KEY: [Part; 2] = [
    ("keyIndex", What::Number, None, false),
    ("keyValue", What::Bytes, None, false),
];
const DATA: [Part; 2] = [
    ("inDataLen", What::Number, None, false),
    ("inData", What::Bytes, None, false),
];
const METHOD: Part = ("signMethod", What::Number, None, false);
const TYPE: Part = ("type", What::Number, None, false);
const CERT: Part = ("cert", What::Cert, Some(0), true);
const SERIAL: Part = ("certSN", What::Bytes, Some(1), true);
const SIGNATURE: Part = ("signature", What::Bytes, None, false);
const LEVEL: Part = ("verifyLevel", What::Number, None, false);
const SESSION: Part = ("sessionID", What::Bytes, None, false);

fn id(tags: [u8; 2]) -> [Part; 2] {
    [
        ("signerIDLen", What::Number, Some(tags[0]), true),
        ("signerID", What::Bytes, Some(tags[1]), true),
    ]
}

/// The parts of a request, in order.
fn parts(operation: Operation) -> Vec<Part> {
    match operation {
        Operation::ExportCert => vec![("identification", What::Bytes, None, false)],
        Operation::ParseCert => vec![
            ("infoType", What::Number, None, false),
            ("cert", What::Cert, None, false),
        ],
        Operation::ValidateCert => vec![("cert", What::Cert, None, false), ("ocsp", What::Flag, None, true)],
        Operation::SignData => [&[METHOD][..], &KEY, &id([0, 1]), &DATA].concat(),
        Operation::VerifySignedData => [
            &[METHOD, TYPE, CERT, SERIAL][..],
            &id([2, 3]),
            &DATA,
            &[SIGNATURE, LEVEL],
        ]
        .concat(),
        Operation::SignDataInit | Operation::VerifySignedDataInit => {
            let key = ("signerPublicKey", What::Bytes, Some(0), true);
            [&[METHOD, key][..], &id([1, 2]), &DATA].concat()
        }
        Operation::SignDataUpdate | Operation::VerifySignedDataUpdate => [&[SESSION][..], &DATA].concat(),
        Operation::SignDataFinal => [&[SESSION][..], &KEY].concat(),
        Operation::VerifySignedDataFinal => vec![SESSION, TYPE, CERT, SERIAL, SIGNATURE, LEVEL],
        Operation::SignMessage => {
            let flags = [
                ("originalText", What::Flag, Some(0), true),
                ("certificateChain", What::Flag, Some(1), true),
                ("crl", What::Flag, Some(2), true),
            ];
            [&[METHOD][..], &KEY, &id([0, 1]), &DATA, &flags].concat()
        }
        Operation::VerifySignedMessage => {
            let data = [
                ("inDataLen", What::Number, None, true),
                ("inData", What::Bytes, None, true),
            ];
            [&data[..], &id([0, 1]), &[("signedMessage", What::Message, None, false)]].concat()
        }
    }
}

/// Reads a request; also whether its CHOICE was wrapped.
pub(super) fn read(body: &[u8]) -> Result<(Asked, bool), Fault> {
    let mut outer = Reader::new(body, "SVSRequest");
    let mut whole = outer.sequence("SVSRequest").map_err(form)?;
    outer.finish().map_err(form)?;
    let first = whole.small().map_err(form)?;
    let number = match whole.peek() {
        // The version is there although DER leaves a default out.
        Some(tag::INTEGER) if first == 0 => whole.small().map_err(form)?,
        _ => first,
    };
    let operation = Operation::numbered(number)
        .ok_or_else(|| Fault::new(Code::RequestRejected, format!("未知的请求类型 {number}")))?;
    let request = whole.any().map_err(form)?;
    let wrapped = request.tag == tag::OCTET_STRING;
    let choice = if wrapped {
        let mut inside = Reader::new(request.value, "Request");
        let choice = inside.any().map_err(form)?;
        inside.finish().map_err(form)?;
        choice
    } else {
        request
    };
    if choice.tag != tag::context(operation.number()) {
        return Err(Fault::new(Code::DataFormat, "请求内容与请求类型不符"));
    }
    let fields = fields(operation, choice.value)?;
    let mut optional = |number: u8| -> Result<Option<Element<'_>>, Fault> {
        match whole.optional(tag::context_primitive(number)).map_err(form)? {
            Some(found) => Ok(Some(found)),
            None => whole.optional(tag::context(number)).map_err(form),
        }
    };
    let time = optional(0)?;
    let stamp = optional(1)?.map(|token| token.value.to_vec());
    optional(2)?;
    whole.finish().map_err(form)?;
    if time.is_some_and(|time| !is_time(time)) {
        return Err(Fault::new(Code::DataFormat, "reqTime 不是 GeneralizedTime"));
    }
    let asked = Asked {
        operation,
        fields,
        stamp: stamp.map(|token| (token, choice.raw.to_vec())),
    };
    Ok((asked, wrapped))
}

/// `[0] GeneralizedTime`, implicitly or explicitly tagged.
fn is_time(time: Element<'_>) -> bool {
    let implicit = der::element(tag::GENERALIZED_TIME, time.value);
    let bytes = if time.tag == tag::context(0) {
        time.value
    } else {
        &implicit
    };
    Reader::new(bytes, "reqTime").time().is_ok()
}

fn fields(operation: Operation, bytes: &[u8]) -> Result<Fields, Fault> {
    let mut reader = Reader::new(bytes, "request");
    let mut fields = Fields::default();
    let mut stated = false;
    for (name, what, context, may_be_absent) in parts(operation) {
        let here = reader.peek().is_some_and(|next| tags(what, context).contains(&next));
        // Without its length an OCTET STRING is not the data but the message.
        let here = here && (name != "inData" || !may_be_absent || stated);
        if !here {
            if may_be_absent {
                continue;
            }
            return Err(Fault::new(Code::DataFormat, format!("缺少 {name}")));
        }
        stated |= name == "inDataLen";
        let element = reader.any().map_err(form)?;
        fields.put(name, value(what, context.is_some(), element)?);
    }
    reader.finish().map_err(form)?;
    Ok(fields)
}

/// The tags by which a part is known.
fn tags(what: What, context: Option<u8>) -> Vec<u8> {
    match (what, context) {
        (What::Cert, Some(n)) => vec![tag::context(n)],
        (_, Some(n)) => vec![tag::context_primitive(n)],
        (What::Number, None) => vec![tag::INTEGER],
        (What::Bytes, None) => vec![tag::OCTET_STRING],
        (What::Flag, None) => vec![tag::BOOLEAN],
        (What::Cert, None) => vec![tag::SEQUENCE],
        (What::Message, None) => vec![tag::OCTET_STRING, tag::SEQUENCE],
    }
}

fn value(what: What, tagged: bool, element: Element<'_>) -> Result<Raw, Fault> {
    Ok(match what {
        What::Number => {
            let whole = der::element(tag::INTEGER, element.value);
            let mut reader = Reader::new(&whole, "INTEGER");
            let bytes = reader.unsigned().map_err(form)?;
            if bytes.len() > 4 {
                return Err(Fault::new(Code::DataFormat, "数值过大"));
            }
            Raw::Number(bytes.iter().fold(0, |sum, byte| (sum << 8) | u32::from(*byte)))
        }
        What::Flag => match element.value {
            [0x00] => Raw::Flag(false),
            [0xff] => Raw::Flag(true),
            _ => return Err(Fault::new(Code::DataFormat, "BOOLEAN 格式错误")),
        },
        What::Bytes => Raw::Bytes(element.value.to_vec()),
        What::Cert if tagged => {
            // Implicit: three parts follow; explicit: the one certificate.
            let mut inside = Reader::new(element.value, "cert");
            let first = inside.any().map_err(form)?;
            if inside.is_empty() {
                Raw::Bytes(first.raw.to_vec())
            } else {
                Raw::Bytes(der::element(tag::SEQUENCE, element.value))
            }
        }
        What::Cert => Raw::Bytes(element.raw.to_vec()),
        What::Message if element.tag == tag::OCTET_STRING => Raw::Bytes(element.value.to_vec()),
        What::Message => Raw::Bytes(element.raw.to_vec()),
    })
}

fn form(reason: gm::Refused) -> Fault {
    Fault::new(Code::DataFormat, reason.to_string())
}

/// Writes an answer.
pub(super) fn write(
    operation: Option<Operation>,
    answer: &Result<Answer, Fault>,
    now: Timestamp,
    wrapped: bool,
) -> Vec<u8> {
    let number = answer.as_ref().err().map_or(0, |fault| fault.code.number());
    let payload = match answer {
        Ok(Answer::Nothing) | Err(_) => Vec::new(),
        Ok(Answer::Cert(der)) => der.clone(),
        Ok(Answer::Bytes(_, bytes)) => der::octets(bytes),
        Ok(Answer::State(state)) => der::unsigned(&[*state]),
        Ok(Answer::Session(id)) => der::octets(id.as_bytes()),
    };
    // A request whose type could not be read is answered as the first.
    let operation = operation.map_or(0, Operation::number);
    let respond = der::constructed(
        tag::context(operation),
        &[&der::unsigned(&number.to_be_bytes()), &payload],
    );
    let respond = if wrapped { der::octets(&respond) } else { respond };
    der::sequence(&[
        &der::unsigned(&[operation]),
        &respond,
        &der::element(tag::context_primitive(0), moment(now).as_bytes()),
    ])
}
