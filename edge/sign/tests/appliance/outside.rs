//! Signatures made here, judged by other people's software.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::site::{HOSPITAL, PIN, Site, code};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gm::Certificate;
use gm::der::{Reader, element, tag};
use gm::key::sha256;
use records::sign::{Seal, SealPdf, SealRequest};

const RX: &[u8] = "处方 CF202611210001 阿莫西林胶囊 0.5 g tid".as_bytes();

/// Runs a program in a directory; its output, whatever its exit code.
fn run(dir: &Path, program: &str, args: &[&str]) -> String {
    let out = Command::new(program)
        .current_dir(dir)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|e| panic!("{program}: {e}"));
    format!(
        "{}{}",
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    )
}

/// Walks a message by position only (not by our own reader of messages) to its signed attributes and signature.
fn attributes_and_signature(cms: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut info = Reader::new(cms, "test").sequence("test").expect("ContentInfo");
    info.oid().expect("type");
    let mut body = info
        .inside(tag::context(0), "test")
        .expect("[0]")
        .sequence("test")
        .expect("SignedData");
    for _ in 0..4 {
        body.any().expect("version, digests, content, certificates");
    }
    let mut signer = body
        .inside(tag::SET, "test")
        .expect("signers")
        .sequence("test")
        .expect("SignerInfo");
    for _ in 0..3 {
        signer.any().expect("version, id, digest");
    }
    let attributes = signer.any().expect("signedAttrs").value;
    signer.any().expect("algorithm");
    (
        element(tag::SET, attributes),
        signer.expect(tag::OCTET_STRING).expect("signature").value.to_vec(),
    )
}

/// Rows: AP-223, AP-224, AP-245, AP-250
#[tokio::test]
async fn openssl_verifies_the_doctors_signature_and_certificate() {
    let site = Site::new();
    let status = site.enrol("sta_1", "王医生").await.done().expect("enrolled");
    let signed = site.sign("rx_1", "sta_1", PIN, RX).await.done().expect("signed");
    let cms = STANDARD.decode(&signed.cms).expect("base64");
    let (attributes, signature) = attributes_and_signature(&cms);
    let dir = site.dir.path();
    let certificate = STANDARD
        .decode(status.certificate.expect("certificate"))
        .expect("base64");
    for (name, bytes) in [
        ("attrs.der", &attributes),
        ("sig.der", &signature),
        ("cert.der", &certificate),
        ("cms.der", &cms),
    ] {
        std::fs::write(dir.join(name), bytes).expect("written");
    }
    std::fs::write(dir.join("rx.bin"), RX).expect("written");
    let digest = run(dir, "openssl", &["dgst", "-sm3", "rx.bin"]);
    assert!(digest.trim().ends_with(&signed.document_sm3), "{digest}");
    assert!(
        attributes
            .windows(32)
            .any(|w| w == hex::decode(&signed.document_sm3).expect("hex")),
        "the signed attributes carry the document's digest"
    );
    run(
        dir,
        "openssl",
        &[
            "x509", "-inform", "DER", "-in", "cert.der", "-pubkey", "-noout", "-out", "pub.pem",
        ],
    );
    let verify = [
        "dgst",
        "-sm3",
        "-verify",
        "pub.pem",
        "-sigopt",
        "distid:1234567812345678",
        "-signature",
        "sig.der",
    ];
    let said = run(dir, "openssl", &[&verify[..], &["attrs.der"]].concat());
    assert!(said.contains("Verified OK"), "{said}");
    let said = run(dir, "openssl", &[&verify[..], &["rx.bin"]].concat());
    assert!(!said.contains("Verified OK"), "other bytes must not verify: {said}");

    let text = run(
        dir,
        "openssl",
        &[
            "x509", "-inform", "DER", "-in", "cert.der", "-noout", "-text", "-nameopt", "utf8",
        ],
    );
    for wanted in [
        "王医生",
        HOSPITAL,
        "SM2-with-SM3",
        "Digital Signature, Non Repudiation",
        "CA:FALSE",
    ] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    let shown = run(dir, "openssl", &["asn1parse", "-inform", "DER", "-in", "cms.der"]);
    assert!(
        shown.contains("1.2.156.10197.6.1.4.2.2") && !shown.contains("Error"),
        "{shown}"
    );
}

#[tokio::test]
async fn another_implementation_of_sm2_agrees_in_both_directions() {
    use libsm::sm2::signature::{SigCtx, Signature};
    let site = Site::new();
    let status = site.enrol("sta_1", "王医生").await.done().expect("enrolled");
    let signed = site.sign("rx_1", "sta_1", PIN, RX).await.done().expect("signed");
    let certificate = STANDARD
        .decode(status.certificate.expect("certificate"))
        .expect("base64");
    let certificate = Certificate::parse(&certificate).expect("certificate");
    let (attributes, signature) = attributes_and_signature(&STANDARD.decode(&signed.cms).expect("base64"));
    let theirs = SigCtx::new();
    let key = theirs.load_pubkey(certificate.public_key.bytes()).expect("point");
    let signature = Signature::der_decode(&signature).expect("signature");
    assert!(theirs.verify(&attributes, &key, &signature).expect("judged"));
    assert!(!theirs.verify(RX, &key, &signature).expect("judged"));

    let (public, secret) = theirs.new_keypair().expect("keys");
    let made = theirs.sign(RX, &secret, &public).expect("signed").der_encode();
    let point = theirs.serialize_pubkey(&public, false).expect("point");
    let ours = gm::PublicKey::from_point(gm::key::Kind::Sm2, &point).expect("point");
    ours.verify(gm::Algorithm::Sm2, RX, &made)
        .expect("theirs verifies here");
    assert!(ours.verify(gm::Algorithm::Sm2, b"other", &made).is_err());
}

/// A one-page PDF with a signature field of this SubFilter, its ByteRange filled in and a hole for the signature.
fn pdf(sub_filter: &str) -> (Vec<u8>, std::ops::Range<usize>) {
    const HOLE: usize = 16 * 1024;
    let mut out = b"%PDF-1.7\n".to_vec();
    let objects = [
        "<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[4 0 R]/SigFlags 3>>>>".to_owned(),
        "<</Type/Pages/Kids[3 0 R]/Count 1>>".to_owned(),
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]/Annots[4 0 R]>>".to_owned(),
        "<</Type/Annot/Subtype/Widget/FT/Sig/T(Seal)/V 5 0 R/P 3 0 R/Rect[0 0 0 0]/F 132>>".to_owned(),
        format!(
            "<</Type/Sig/Filter/Adobe.PPKLite/SubFilter/{sub_filter}/M(D:20261121080000Z)\
             /ByteRange[0 {0:>10} {0:>10} {0:>10}]/Contents<{1}>>>",
            0,
            "0".repeat(HOLE)
        ),
    ];
    let mut offsets = Vec::new();
    for (n, object) in objects.iter().enumerate() {
        offsets.push(out.len());
        out.extend_from_slice(format!("{} 0 obj\n{object}\nendobj\n", n + 1).as_bytes());
    }
    let table = out.len();
    out.extend_from_slice(format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1).as_bytes());
    for offset in offsets {
        out.extend_from_slice(format!("{offset:010} 00000 n \n").as_bytes());
    }
    out.extend_from_slice(
        format!(
            "trailer\n<</Size {}/Root 1 0 R>>\nstartxref\n{table}\n%%EOF\n",
            objects.len() + 1
        )
        .as_bytes(),
    );
    let find = |what: &[u8]| out.windows(what.len()).position(|w| w == what).expect("found");
    let from = find(b"/Contents<") + b"/Contents".len();
    let to = from + HOLE + 2;
    let range = find(b"/ByteRange[") + b"/ByteRange[".len();
    let text = format!("0 {from:>10} {to:>10} {:>10}", out.len() - to);
    out[range..range + text.len()].copy_from_slice(text.as_bytes());
    (out, from..to)
}

async fn seal(site: &Site, key: &str, digest: [u8; 32]) -> records::Outcome<Seal> {
    let asked = SealRequest {
        digest_sha256: hex::encode(digest),
        organisation: HOSPITAL.to_owned(),
    };
    site.client.call::<SealPdf>(Some(key), &asked).await
}

/// The seal's time stamp as openssl judges it, and as we do.
async fn its_time_is_proven(site: &Site, pdf: &[u8], message: &[u8]) {
    let dir = site.dir.path();
    let beside = gm::stamp::Unsigned::read(message).expect("read");
    let [token] = beside.stamps.as_slice() else {
        panic!("{} stamps", beside.stamps.len());
    };
    let trust = site
        .client
        .call::<records::sign::TrustRoots>(None, &records::sign::TrustRequest {})
        .await;
    let seals: Vec<_> = trust.done().expect("roots").seals;
    let root = STANDARD.decode(seals.first().expect("seal root")).expect("base64");
    std::fs::write(dir.join("root.pem"), gm::pem::write("CERTIFICATE", &root)).expect("written");
    std::fs::write(dir.join("signature"), &beside.signature).expect("written");
    std::fs::write(dir.join("token"), token).expect("written");
    let said = run(
        dir,
        "openssl",
        &[
            "ts",
            "-verify",
            "-data",
            "signature",
            "-in",
            "token",
            "-token_in",
            "-CAfile",
            "root.pem",
        ],
    );
    assert!(said.contains("Verification: OK"), "{said}");
    std::fs::write(dir.join("signature"), b"another").expect("written");
    let said = run(
        dir,
        "openssl",
        &[
            "ts",
            "-verify",
            "-data",
            "signature",
            "-in",
            "token",
            "-token_in",
            "-CAfile",
            "root.pem",
        ],
    );
    assert!(
        said.contains("FAILED") && said.contains("message imprint mismatch"),
        "{said}"
    );

    let trust = gm::Trust::new([&root]).expect("trust");
    let checked = gm::pdf::verify(pdf, &trust, &trust, time::OffsetDateTime::now_utc()).expect("looked through");
    let [one] = checked.as_slice() else {
        panic!("{} signatures", checked.len());
    };
    assert_eq!(one.findings, []);
    let Ok(gm::pdf::Verdict::Signed { stamp: Some(stamp), .. }) = &one.verdict else {
        panic!("{:?}", one.verdict);
    };
    assert_eq!(stamp.unit.subject.common_name, "电子印章时间戳");
}

/// Rows: AP-229
#[tokio::test]
async fn pdfsig_accepts_the_hospitals_seal_and_sees_a_changed_page() {
    let site = Site::new();
    for (key, sub_filter) in [("pdf_1", "adbe.pkcs7.detached"), ("pdf_2", "ETSI.CAdES.detached")] {
        let (mut pdf, hole) = pdf(sub_filter);
        let covered = [&pdf[..hole.start], &pdf[hole.end..]].concat();
        let sealed = seal(&site, key, sha256(&covered)).await.done().expect("sealed");
        let cms = hex::encode(STANDARD.decode(&sealed.cms).expect("base64"));
        pdf[hole.start + 1..hole.start + 1 + cms.len()].copy_from_slice(cms.as_bytes());
        let dir = site.dir.path();
        std::fs::write(dir.join("rx.pdf"), &pdf).expect("written");
        let said = run(dir, "pdfsig", &["rx.pdf"]);
        assert!(said.contains("Signature is Valid"), "{sub_filter}: {said}");
        assert!(
            said.contains(HOSPITAL) && said.contains("SHA-256"),
            "{sub_filter}: {said}"
        );
        its_time_is_proven(&site, &pdf, &STANDARD.decode(&sealed.cms).expect("base64")).await;

        let at = pdf.windows(9).position(|w| w == b"[0 0 200 ").expect("page size");
        pdf[at + 5] = b'3';
        std::fs::write(dir.join("changed.pdf"), &pdf).expect("written");
        let said = run(dir, "pdfsig", &["changed.pdf"]);
        assert!(said.contains("Digest Mismatch"), "{sub_filter}: {said}");
    }
    let first = seal(&site, "pdf_1", [7; 32]).await;
    assert_eq!(code(first), "key_reused");
}
