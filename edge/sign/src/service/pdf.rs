//! Signatures in PDF files. Files are looked through here, never taken apart: who prepares one sends the digest of its
//! byte range, gets the message for the gap ([`super::Kind::Pdf`]), and no PDF parser lives beside the keys.

use std::sync::Arc;

use gm::pdf::{self, Finding, SubFilter, Verdict};
use gm::stamp::Unsigned;
use records::Timestamp;

use super::data::bounded;
use super::judge::{Level, refused};
use super::message::Signatory;
use super::{Caller, Service};
use crate::application::Format;
use crate::fault::{Code, Fault};
use crate::revocation::States;

/// A signature of a file that holds.
#[derive(Debug)]
pub struct PdfSignature {
    /// Who signed; of a time stamp over the file, its unit.
    pub signatory: Signatory,
    /// The time that a time stamp proves.
    pub stamped_at: Option<Timestamp>,
    /// It is a time stamp over the file.
    pub stamp: bool,
    /// Bytes that were added to the file afterwards.
    pub added_after: usize,
    /// A later signature covers what was added.
    pub covered_by_later: bool,
}

impl Service {
    /// Verifies every signature of a PDF file; one that does not hold refuses all.
    pub async fn verify_pdf(self: &Arc<Self>, caller: &Caller, file: Vec<u8>) -> Result<Vec<PdfSignature>, Fault> {
        let bytes = file.len();
        self.perform(caller, "pdf.verified", Some(Format::Pdf), bytes, move |desk| {
            bounded(bytes)?;
            let trust = desk.trust();
            let checked = pdf::verify(&file, &trust, &trust, desk.now.offset()).map_err(refused)?;
            if checked.is_empty() {
                return Err(Fault::new(Code::DataFormat, "文件中没有签名"));
            }
            let mut signatures = Vec::with_capacity(checked.len());
            for one in checked {
                let added = one.findings.iter().find_map(|finding| match finding {
                    Finding::UpdatedAfter(bytes) => Some(*bytes),
                    _ => None,
                });
                // Evidence that was put beside the signature speaks for its certificate as it does in other formats.
                let beside = one.found.as_ref().filter(|found| found.sub_filter != SubFilter::Stamp);
                let beside = beside
                    .map(|found| Unsigned::read(&found.message))
                    .transpose()
                    .map_err(refused)?;
                let evidence = beside.and_then(|beside| beside.evidence).map(Arc::new);
                let mut signature = signature(one.verdict.map_err(refused)?, added, &one.findings);
                let (path, proven) = (&signature.signatory.path, signature.stamped_at);
                let states = desk.unrevoked_at(path, Level::Policy, proven, evidence)?;
                signature.signatory.states = states;
                signatures.push(signature);
            }
            let serials = signatures.iter().map(|s| s.signatory.certificate.serial_hex());
            let digest = hex::encode(gm::sm3(&file));
            let detail = format!("serial {} sm3 {digest}", serials.collect::<Vec<_>>().join(","));
            Ok((signatures, detail))
        })
        .await
    }
}

fn signature(verdict: Verdict, added: Option<usize>, findings: &[Finding]) -> PdfSignature {
    let (signatory, stamped_at, is_stamp) = match verdict {
        Verdict::Signed { signature, at, stamp } => {
            let signatory = Signatory {
                certificate: signature.signer,
                path: signature.path,
                algorithm: signature.algorithm,
                signed_at: at.map(Timestamp::from_offset),
                stamped_at: stamp.as_ref().map(|stamp| Timestamp::from_offset(stamp.info.at)),
                states: States::default(),
            };
            (
                signatory,
                stamp.map(|stamp| Timestamp::from_offset(stamp.info.at)),
                false,
            )
        }
        Verdict::Stamped(stamp) => {
            let at = Timestamp::from_offset(stamp.info.at);
            let algorithm = gm::Algorithm::default_of(stamp.unit.public_key.kind());
            let signatory = Signatory {
                certificate: stamp.unit,
                path: stamp.path,
                algorithm,
                signed_at: Some(at),
                stamped_at: Some(at),
                states: States::default(),
            };
            (signatory, Some(at), true)
        }
    };
    PdfSignature {
        signatory,
        stamped_at,
        stamp: is_stamp,
        added_after: added.unwrap_or(0),
        covered_by_later: findings.contains(&Finding::CoveredByLater),
    }
}
