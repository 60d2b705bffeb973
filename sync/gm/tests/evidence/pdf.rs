//! Signed PDF files: ours are accepted by poppler's pdfsig, and hostile ones are refused by name.

use std::process::Command;

use gm::certificate::Purpose;
use gm::cms;
use gm::pdf::{Checked, Finding, SubFilter, Verdict, find, verify};
use gm::stamp::{Imprint, Unit, Unsigned, attach};
use gm::{Certificate, Hash, Refused, Signer, Trust};
use time::OffsetDateTime;

use crate::site::{Own, p256, present, sm2};

const ROOM: usize = 8 * 1024;

/// A file of one empty page.
fn page() -> Vec<u8> {
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 200] >>",
    ];
    let mut out = b"%PDF-1.7\n".to_vec();
    let mut offsets = Vec::new();
    for (index, object) in objects.iter().enumerate() {
        offsets.push(out.len());
        out.extend(format!("{} 0 obj\n{object}\nendobj\n", index + 1).bytes());
    }
    let start = out.len();
    out.extend(b"xref\n0 4\n0000000000 65535 f \n");
    for offset in offsets {
        out.extend(format!("{offset:010} 00000 n \n").bytes());
    }
    out.extend(format!("trailer\n<< /Size 4 /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n").bytes());
    out
}

/// Adds a signature field by an incremental update; `sign` gives the message for the covered bytes. `number` counts the
/// signatures of the file.
fn signed(file: &[u8], number: usize, sub_filter: &str, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let mut out = file.to_vec();
    let (field, value) = (2 + 2 * number, 3 + 2 * number);
    let fields: Vec<String> = (1..=number).map(|n| format!("{} 0 R", 2 + 2 * n)).collect();
    let fields = fields.join(" ");
    let hole = "0".repeat(2 * ROOM);
    let objects = [
        (
            1,
            format!("<< /Type /Catalog /Pages 2 0 R /AcroForm << /Fields [{fields}] /SigFlags 3 >> >>"),
        ),
        (
            3,
            format!("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 200] /Annots [{fields}] >>"),
        ),
        (
            field,
            format!(
                "<< /Type /Annot /Subtype /Widget /FT /Sig /T (s{number}) /V {value} 0 R /P 3 0 R /Rect [0 0 0 0] /F 132 >>"
            ),
        ),
        (
            value,
            format!(
                "<< /Type /Sig /Filter /Adobe.PPKLite /SubFilter /{sub_filter} /ByteRange [0 0000000001 0000000002 0000000003] /Contents <{hole}> /M (D:20261121000000Z) >>"
            ),
        ),
    ];
    let previous = position(file, b"startxref\n") + 10;
    let previous: String = file[previous..]
        .iter()
        .take_while(|b| b.is_ascii_digit())
        .map(|b| char::from(*b))
        .collect();
    let mut table = String::new();
    for (id, object) in &objects {
        table.push_str(&format!("{id} 1\n{:010} 00000 n \n", out.len()));
        out.extend(format!("{id} 0 obj\n{object}\nendobj\n").bytes());
    }
    let start = out.len();
    let size = value + 1;
    out.extend(
        format!("xref\n{table}trailer\n<< /Size {size} /Root 1 0 R /Prev {previous} >>\nstartxref\n{start}\n%%EOF\n")
            .bytes(),
    );
    let before = position(&out, format!("<{hole}>").as_bytes());
    let after = before + 2 * ROOM + 2;
    let range = format!("[0 {before:010} {after:010} {:010}]", out.len() - after);
    let at = position(&out, b"[0 0000000001 0000000002 0000000003]");
    out[at..at + range.len()].copy_from_slice(range.as_bytes());
    let message = sign(&[&out[..before], &out[after..]].concat());
    let digits = hex::encode(message);
    out[before + 1..before + 1 + digits.len()].copy_from_slice(digits.as_bytes());
    out
}

/// Where it stands last.
fn position(bytes: &[u8], what: &[u8]) -> usize {
    bytes.windows(what.len()).rposition(|w| w == what).expect("found")
}

struct Hospital {
    own: Own,
    key: Box<dyn Signer>,
    chain: Vec<Certificate>,
    unit_key: Box<dyn Signer>,
    unit_chain: Vec<Certificate>,
}

fn hospital(make: fn() -> Box<dyn Signer>) -> Hospital {
    let (own, key, unit_key) = (Own::new("Hospital", make()), make(), make());
    let root = own.root.clone();
    let chain = vec![own.issue("seal", key.as_ref(), Purpose::Documents, 4), root.clone()];
    let unit_chain = vec![own.issue("unit", unit_key.as_ref(), Purpose::TimeStamping, 5), root];
    Hospital {
        own,
        key,
        chain,
        unit_key,
        unit_chain,
    }
}

impl Hospital {
    fn unit(&self) -> Unit<'_> {
        Unit::new(self.unit_key.as_ref(), &self.unit_chain, &[0x2a, 3], None).expect("unit")
    }

    fn message(&self, covered: &[u8]) -> Vec<u8> {
        let digest: [u8; 32] = self.key.algorithm().hash().digest(covered).try_into().expect("digest");
        let unsigned = cms::Unsigned::new(&digest, OffsetDateTime::now_utc(), &self.chain).expect("prepared");
        unsigned.sign(self.key.as_ref()).expect("signed")
    }

    /// The shape of PAdES-B-T.
    fn with_time(&self, covered: &[u8]) -> Vec<u8> {
        let message = self.message(covered);
        let signature = Unsigned::read(&message).expect("read").signature;
        let imprint = Imprint::of(Hash::Sha256, &signature);
        let token = self
            .unit()
            .stamp(&imprint, &[1], OffsetDateTime::now_utc())
            .expect("stamped");
        attach(&message, &token).expect("attached")
    }

    fn trust(&self) -> Trust {
        Trust::new([&self.own.root.der]).expect("trust")
    }

    fn verify(&self, file: &[u8]) -> Vec<Checked> {
        verify(file, &self.trust(), &self.trust(), present().now).expect("looked through")
    }

    fn one(&self, file: &[u8]) -> Result<Verdict, Refused> {
        let all = self.verify(file);
        assert_eq!(all.len(), 1);
        all.into_iter().next().expect("one").verdict
    }
}

#[test]
fn pdfsig_accepts_our_signature_with_its_time() {
    let hospital = hospital(p256);
    let folder = tempfile::TempDir::new().expect("folder");
    for (name, with_time) in [("plain", false), ("timed", true)] {
        let file = signed(&page(), 1, "ETSI.CAdES.detached", |covered| {
            if with_time {
                hospital.with_time(covered)
            } else {
                hospital.message(covered)
            }
        });
        let path = folder.path().join(format!("{name}.pdf"));
        let said = |bytes: &[u8]| {
            std::fs::write(&path, bytes).expect("written");
            let out = Command::new("pdfsig").arg(&path).output().expect("pdfsig is installed");
            String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned()
        };
        let text = said(&file);
        assert!(
            text.contains("Signature is Valid")
                && text.contains("Total document signed")
                && text.contains("ETSI.CAdES.detached")
                && text.contains("Common Name: seal"),
            "{text}"
        );
        let mut bent = file.clone();
        bent[20] ^= 1;
        assert!(!said(&bent).contains("Signature is Valid"));
        let checked = hospital.verify(&file);
        assert_eq!(checked[0].findings.is_empty(), with_time, "{:?}", checked[0].findings);
        let Ok(Verdict::Signed { signature, stamp, .. }) = &checked[0].verdict else {
            panic!("{:?}", checked[0].verdict);
        };
        assert_eq!(signature.signer.subject.common_name, "seal");
        assert_eq!(stamp.is_some(), with_time);
    }
}

#[test]
fn sm2_signatures_and_document_stamps_are_verified() {
    let hospital = hospital(sm2);
    let file = signed(&page(), 1, "ETSI.CAdES.detached", |covered| hospital.with_time(covered));
    assert!(matches!(
        hospital.one(&file),
        Ok(Verdict::Signed { stamp: Some(_), .. })
    ));
    let file = signed(&file, 2, "adbe.pkcs7.detached", |covered| hospital.message(covered));
    let file = signed(&file, 3, "ETSI.RFC3161", |covered| {
        let imprint = Imprint::of(Hash::Sm3, covered);
        hospital
            .unit()
            .stamp(&imprint, &[2], OffsetDateTime::now_utc())
            .expect("stamped")
    });
    let all = hospital.verify(&file);
    assert!(all.iter().all(|one| one.verdict.is_ok()), "{all:?}");
    let kinds: Vec<_> = all
        .iter()
        .filter_map(|one| one.found.as_ref().map(|f| f.sub_filter))
        .collect();
    assert_eq!(kinds, [SubFilter::Cades, SubFilter::Pkcs7, SubFilter::Stamp]);
    assert!(all[0].findings.contains(&Finding::CoveredByLater));
    assert!(matches!(all[1].findings[0], Finding::UpdatedAfter(_)));
    assert_eq!(all[2].findings, []);
}

#[test]
fn what_was_added_afterwards_is_reported_and_what_was_changed_is_refused() {
    let hospital = hospital(p256);
    let file = signed(&page(), 1, "ETSI.CAdES.detached", |covered| hospital.with_time(covered));
    let added = [&file[..], b"3 0 obj\n<< /Type /Page >>\nendobj\nstartxref\n0\n%%EOF\n"].concat();
    let all = hospital.verify(&added);
    assert!(all[0].verdict.is_ok());
    assert_eq!(all[0].findings, [Finding::UpdatedAfter(added.len() - file.len())]);

    let found = find(&file).expect("found")[0].clone().expect("one");
    assert_eq!(found.end, file.len());
    for at in (0..found.gap_start).chain(found.gap_end..file.len()) {
        let mut bent = file.clone();
        bent[at] ^= 1;
        let all = hospital.verify(&bent);
        assert!(all.iter().all(|one| one.verdict.is_err()), "byte {at}");
    }
    for at in (found.gap_start..found.gap_end).step_by(7) {
        let mut bent = file.clone();
        bent[at] ^= 1;
        if let Ok(Verdict::Signed { signature, .. }) = hospital.one(&bent) {
            // The spare copy of the root, and the time stamp, which is dropped by name.
            assert_eq!(signature.signer.subject.common_name, "seal");
        }
    }
    for length in (0..file.len()).step_by(13) {
        assert!(
            hospital.verify(&file[..length]).iter().all(|one| one.verdict.is_err()),
            "{length}"
        );
    }
}

/// The file with its byte range written otherwise, as wide as it was.
fn ranged(file: &[u8], figures: [usize; 4]) -> Vec<u8> {
    let mut out = file.to_vec();
    let at = position(file, b"/ByteRange [") + 11;
    let text = format!(
        "[{} {:010} {:010} {:010}]",
        figures[0], figures[1], figures[2], figures[3]
    );
    out[at..at + text.len()].copy_from_slice(text.as_bytes());
    out
}

#[test]
fn hostile_ranges_are_refused_by_name() {
    let hospital = hospital(p256);
    let file = signed(&page(), 1, "ETSI.CAdES.detached", |covered| hospital.message(covered));
    let found = find(&file).expect("found")[0].clone().expect("one");
    let (start, end, length) = (found.gap_start, found.gap_end, file.len());
    for (figures, why) in [
        ([1, start, end, length - end], "PDF byte range"),
        ([0, start, start, length - start], "PDF byte range"),
        ([0, end, start, length - end], "PDF byte range"),
        ([0, 0, end, length - end], "PDF byte range"),
        ([0, start, end, 0], "PDF byte range"),
        ([0, start, end, length], "PDF byte range beyond the file"),
        (
            [0, start, 9_999_999_999, 9_999_999_999],
            "PDF byte range beyond the file",
        ),
        (
            [0, start, end, length - end - 10],
            "PDF byte range ends within a revision",
        ),
        ([0, start - 1, end, length - end], "PDF gap is not one string"),
        ([0, start, end + 1, length - end - 1], "PDF gap is not one string"),
        ([0, start + 1, end, length - end], "PDF gap is not one string"),
        (
            [0, start - 100, end, length - end],
            "PDF byte range does not cover itself",
        ),
    ] {
        let bent = ranged(&file, figures);
        assert_eq!(
            hospital.one(&bent).err(),
            Some(Refused::Malformed { at: why }),
            "{figures:?}"
        );
    }
    // Something else in the gap, behind the message and in the object.
    let replaced = |from: &[u8], to: &[u8]| {
        let at = position(&file, from);
        [&file[..at], to, &file[at + from.len()..]].concat()
    };
    for (bent, why) in [
        (replaced(b"/Contents", b"/Contexts"), "PDF gap is not the contents"),
        (
            replaced(b"/ETSI.CAdES.detached", b"/ETSI.CAdES.detachee"),
            "PDF signature kind",
        ),
        (replaced(b"/SubFilter", b"/SupFilter"), "PDF signature kind"),
        (replaced(b"00> /M", b"01> /M"), "PDF gap"),
        (replaced(b"00> /M", b"0x> /M"), "PDF gap"),
    ] {
        assert_eq!(hospital.one(&bent).err(), Some(Refused::Malformed { at: why }));
    }
    // Two signatures over the same bytes cannot both be.
    let second = replaced(b"\nendobj\nxref", b" /ByteRange [0 00000000");
    assert!(hospital.verify(&second).iter().any(|one| one.verdict.is_err()));
    // A name that only begins like it is none, and many are too many.
    assert_eq!(find(b"%PDF /ByteRanges [0 1 2 3] %%EOF"), Ok(Vec::new()));
    let many = b"/ByteRange [0 1 2 3]".repeat(100);
    assert!(matches!(find(&many), Err(Refused::TooLarge { .. })));
}

#[test]
fn a_stamp_that_does_not_hold_is_a_finding() {
    let (hospital, other) = (hospital(p256), hospital(p256));
    let file = signed(&page(), 1, "ETSI.CAdES.detached", |covered| {
        let message = hospital.message(covered);
        let imprint = Imprint::of(Hash::Sha256, b"another signature");
        let token = hospital
            .unit()
            .stamp(&imprint, &[1], OffsetDateTime::now_utc())
            .expect("stamped");
        attach(&message, &token).expect("attached")
    });
    let all = hospital.verify(&file);
    assert!(matches!(all[0].verdict, Ok(Verdict::Signed { stamp: None, .. })));
    assert!(matches!(
        all[0].findings[..],
        [Finding::StampRefused(_), Finding::NotStamped]
    ));
    let strangers = verify(&file, &other.trust(), &other.trust(), present().now).expect("looked through");
    assert!(strangers[0].verdict.is_err());
}

proptest::proptest! {
    #[test]
    fn any_bytes_have_no_signature(bytes: Vec<u8>) {
        let file = [b"%PDF /ByteRange ", &bytes[..], b"%%EOF"].concat();
        let all = verify(&file, &Trust::default(), &Trust::default(), present().now).expect("looked through");
        proptest::prop_assert!(all.iter().all(|one| one.verdict.is_err()));
    }
}
