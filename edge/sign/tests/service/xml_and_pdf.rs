//! XML signatures with xmlsec1, PDF signatures with pdfsig at the other end.

use serde_json::json;

use crate::site::{CODE, Site, b64, unb64};

const RX: &str = "<rx xmlns=\"urn:rx\"><drug Id=\"d1\">阿莫西林</drug><note>饭后</note></rx>";

/// Rows: AP-246
#[tokio::test]
async fn xml_is_signed_in_three_ways_and_xmlsec_agrees() {
    let site = Site::new(&["sm2", "rsa2048", "p256"]);
    let his = site.his();
    for key in [2, 3] {
        let certificate = his
            .post("/v1/certificate/find", json!({"id": key.to_string()}))
            .await
            .done();
        site.write("cert.der", unb64(&certificate[0]["certificate"]));
        site.must(
            "openssl",
            &[
                "x509", "-inform", "DER", "-in", "cert.der", "-pubkey", "-noout", "-out", "pub.pem",
            ],
        );
        for kind in ["enveloped", "enveloping"] {
            let asked = json!({"key": key, "access_code": CODE, "kind": kind, "data": b64(RX), "signing_time": true});
            let signed = his.post("/v1/xml/sign", asked).await.done();
            site.write("signed.xml", unb64(&signed["document"]));
            let properties = "http://uri.etsi.org/01903/v1.3.2#:SignedProperties";
            let verify = ["--verify", "--pubkey-pem", "pub.pem", "--enabled-key-data", "key-name"];
            site.must(
                "xmlsec1",
                &[&verify[..], &["--id-attr:Id", properties, "signed.xml"]].concat(),
            );
            let seen = his
                .post("/v1/xml/verify", json!({"document": signed["document"]}))
                .await
                .done();
            assert_eq!(seen[0]["signer"]["signer"], "签名服务器");
            assert!(seen[0]["signer"]["signed_at"].is_string());
            let changed = String::from_utf8(unb64(&signed["document"]))
                .expect("text")
                .replace("阿莫西林", "吗啡");
            let refused = his.post("/v1/xml/verify", json!({"document": b64(changed)})).await;
            assert_eq!(refused.refused(), "signature_invalid");
        }
    }
    // Beside the document; by SM2 for one element.
    let asked = json!({"kind": "detached", "data": b64(b"\x00any bytes"), "uri": "scan.dcm"});
    let signed = his.post("/v1/xml/sign", asked).await.done();
    let mut asked = json!({"document": signed["document"], "data": b64(b"\x00any bytes"), "uri": "scan.dcm"});
    his.post("/v1/xml/verify", asked.clone()).await.done();
    asked["data"] = json!(b64(b"\x01any bytes"));
    assert_eq!(his.post("/v1/xml/verify", asked).await.refused(), "signature_invalid");
    let signed = his
        .post("/v1/xml/sign", json!({"data": b64(RX), "id": "d1"}))
        .await
        .done();
    let seen = his
        .post("/v1/xml/verify", json!({"document": signed["document"]}))
        .await
        .done();
    let covered = String::from_utf8(unb64(&seen[0]["covered"][0]["data"])).expect("text");
    assert!(covered.contains("阿莫西林") && !covered.contains("饭后"), "{covered}");
    let evil = "<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>";
    assert_eq!(
        his.post("/v1/xml/sign", json!({"data": b64(evil)})).await.refused(),
        "data_format"
    );
}

const ROOM: usize = 8 * 1024;

/// Where it stands last.
fn position(bytes: &[u8], what: &[u8]) -> usize {
    bytes
        .windows(what.len())
        .rposition(|window| window == what)
        .expect("found")
}

/// A file of one empty page with a hole for a signature; where the hole is.
fn pdf() -> (Vec<u8>, usize, usize) {
    let hole = "0".repeat(2 * ROOM);
    let now = time::OffsetDateTime::now_utc();
    let (year, month, day) = (now.year(), u8::from(now.month()), now.day());
    let (hour, minute, second) = now.to_hms();
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R /AcroForm << /Fields [4 0 R] /SigFlags 3 >> >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 200] /Annots [4 0 R] >>".to_owned(),
        "<< /Type /Annot /Subtype /Widget /FT /Sig /T (s) /V 5 0 R /P 3 0 R /Rect [0 0 0 0] /F 132 >>".to_owned(),
        format!(
            // Whoever lays the file out says when, and the message does not (PAdES).
            "<< /Type /Sig /Filter /Adobe.PPKLite /SubFilter /adbe.pkcs7.detached /ByteRange [0 0000000001 0000000002 0000000003] /Contents <{hole}> /M (D:{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}Z) >>"
        ),
    ];
    let (mut out, mut offsets) = (b"%PDF-1.7\n".to_vec(), Vec::new());
    for (index, object) in objects.iter().enumerate() {
        offsets.push(out.len());
        out.extend(format!("{} 0 obj\n{object}\nendobj\n", index + 1).bytes());
    }
    let start = out.len();
    out.extend(b"xref\n0 6\n0000000000 65535 f \n");
    for offset in offsets {
        out.extend(format!("{offset:010} 00000 n \n").bytes());
    }
    out.extend(format!("trailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n").bytes());
    let before = position(&out, format!("<{hole}>").as_bytes());
    let after = before + 2 * ROOM + 2;
    let range = format!("[0 {before:010} {after:010} {:010}]", out.len() - after);
    let at = position(&out, b"[0 0000000001 0000000002 0000000003]");
    out[at..at + range.len()].copy_from_slice(range.as_bytes());
    (out, before, after)
}

#[tokio::test]
async fn a_pdf_signed_by_its_digest_is_accepted_by_pdfsig_and_here() {
    let site = Site::new(&["sm2", "rsa2048"]);
    let his = site.his();
    let (mut file, before, after) = pdf();
    let covered = [&file[..before], &file[after..]].concat();
    let asked = json!({"key": 2, "access_code": CODE, "digest": b64(gm::key::sha256(&covered))});
    let made = his.post("/v1/pdf/sign", asked).await.done();
    let message = unb64(&made["message"]);
    // ETSI EN 319 142-1 6.3: the signer's certificate is signed, a signing time is not there.
    site.write("message.der", &message);
    let attributes = site.must(
        "openssl",
        &["cms", "-cmsout", "-print", "-inform", "DER", "-in", "message.der"],
    );
    assert!(!attributes.contains("signingTime"), "{attributes}");
    assert!(attributes.contains("id-smime-aa-signingCertificateV2"), "{attributes}");
    let digits = hex::encode(message);
    file[before + 1..before + 1 + digits.len()].copy_from_slice(digits.as_bytes());
    site.write("rx.pdf", &file);
    let (_, said) = site.run("pdfsig", &["-nocert", "rx.pdf"]);
    assert!(said.contains("Signature is Valid"), "{said}");
    let seen = his.post("/v1/pdf/verify", json!({"file": b64(&file)})).await.done();
    assert_eq!(
        (&seen[0]["signer"]["signer"], &seen[0]["added_after"]),
        (&json!("签名服务器"), &json!(0))
    );
    assert!(seen[0]["signer"]["signed_at"].is_string(), "{seen}");
    file[12] ^= 1;
    let refused = his.post("/v1/pdf/verify", json!({"file": b64(&file)})).await;
    assert_eq!(refused.refused(), "signature_invalid");
    let refused = his
        .post("/v1/pdf/verify", json!({"file": b64(b"%PDF-1.7 nothing")}))
        .await;
    assert_eq!(refused.refused(), "data_format");
}
