//! What is done to signed documents by people who want another one to look signed.

use xmldsig::{Canonical, Draft, Options, Scope, Work, sign, verify};

use crate::kit::{self, P256, SM2, between};

const RX: &str = "<rx Id=\"a\"><drug>amoxicillin</drug></rx>";

fn signed(document: &str, id: Option<&str>) -> String {
    let work = Work::Enveloped { document, id };
    sign(
        work,
        SM2.key.as_ref(),
        &SM2.chain(),
        &Draft::default(),
        &Options::default(),
    )
    .expect("signed")
}

fn code(xml: &str) -> &'static str {
    match kit::verify(xml) {
        Ok(seen) => panic!("accepted, covering {:?}\n{xml}", seen[0].covered),
        Err(refused) => refused.code(),
    }
}

/// The original moved aside, a forged one in its place: with the same id it is refused, with another id the caller sees
/// the original and nothing else.
#[test]
fn wrapping_shows_only_what_was_signed() {
    let document = format!("<order>{RX}</order>");
    let xml = signed(&document, Some("a"));
    let original = between(&xml, "<order>", "</order>").to_owned();
    let forged = "<drug>morphine</drug>";
    let same = format!("<order><rx Id=\"a\">{forged}</rx><aside>{original}</aside></order>");
    assert_eq!(code(&same), "id_twice");
    for id in ["Id", "ID", "id", "xml:id"] {
        let other_case = format!("<order><rx {id}=\"a\">{forged}</rx><aside>{original}</aside></order>");
        assert_eq!(code(&other_case), "id_twice", "{id}");
    }
    let other = format!("<order><rx Id=\"b\">{forged}</rx><aside>{original}</aside></order>");
    let seen = kit::only(&other);
    assert_eq!(seen.covered.len(), 1);
    assert_eq!(seen.covered[0].canonical_bytes, RX.as_bytes());
    let Scope::Element { range, root, .. } = &seen.covered[0].scope else {
        panic!("an element");
    };
    assert!(!root);
    assert_eq!(&other[range.clone()], original);
}

/// The signed root wrapped into an `Object` of its own signature under a new root.
#[test]
fn a_whole_document_signature_does_not_survive_a_new_root() {
    let xml = signed(RX, None);
    let signature = format!(
        "<ds:Signature{}</ds:Signature>",
        between(&xml, "<ds:Signature", "</ds:Signature>")
    );
    let forged = format!("<rx Id=\"a\"><drug>morphine</drug>{signature}</rx>");
    assert_eq!(code(&forged), "document_changed");
    let object = signature.replace(
        "</ds:Signature>",
        &format!("<ds:Object>{RX}</ds:Object></ds:Signature>"),
    );
    assert_eq!(
        code(&format!("<rx Id=\"a\"><drug>morphine</drug>{object}</rx>")),
        "document_changed"
    );
}

/// What is put into the signature after signing is not covered, and the caller's bytes do not have it.
#[test]
fn what_is_put_into_the_signature_later_is_not_covered() {
    let xml = signed(RX, None);
    let more = xml.replace(
        "</ds:Signature>",
        "<ds:Object><drug>morphine</drug></ds:Object></ds:Signature>",
    );
    assert_eq!(kit::only(&more).covered[0].canonical_bytes, RX.as_bytes());
}

/// A comment splits a text for readers that take only its first piece.
#[test]
fn comments_cannot_shorten_what_was_signed() {
    let xml = signed("<user>admin@hospital.evil</user>", None);
    let split = xml.replace("hospital.evil", "hospital<!---->.evil");
    let seen = kit::only(&split);
    assert_eq!(seen.covered[0].canonical_bytes, b"<user>admin@hospital.evil</user>");
    let within = xml.replacen("<ds:DigestValue>", "<ds:DigestValue><!-- -->", 1);
    assert_eq!(code(&within), "signature_structure");
    let between_elements = xml.replacen("<ds:SignatureMethod", "<!-- --><ds:SignatureMethod", 1);
    assert_eq!(code(&between_elements), "signature_structure");
}

#[test]
fn another_key_or_certificate_does_not_pass() {
    let options = Options::default();
    let xml = signed(RX, None);
    let refused = verify(xml.as_bytes(), &[], Some(&P256.certificate), &options).expect_err("another's");
    assert_ne!(refused.code(), "document_changed");
    assert!(
        verify(xml.as_bytes(), &[], Some(&SM2.root), &options).is_ok(),
        "the same key, as given by the caller"
    );
    let empty = xml.replace(
        &format!(
            "<ds:KeyInfo>{}</ds:KeyInfo>",
            between(&xml, "<ds:KeyInfo>", "</ds:KeyInfo>")
        ),
        "",
    );
    assert_eq!(code(&empty), "signer_certificate_missing");
    assert!(verify(empty.as_bytes(), &[], Some(&SM2.certificate), &options).is_ok());
    let stranger = kit::Person::stranger();
    let other = stranger.certificate.der;
    use base64::Engine as _;
    let other = base64::engine::general_purpose::STANDARD.encode(other);
    let added = xml.replacen(
        "<ds:X509Data>",
        &format!("<ds:X509Data><ds:X509Certificate>{other}</ds:X509Certificate>"),
        1,
    );
    assert_eq!(code(&added), "signer_certificate_ambiguous");
}

/// The key's algorithm is the key's: a name that says otherwise is refused, HMAC is unknown.
#[test]
fn algorithms_cannot_be_confused() {
    let xml = signed(RX, None);
    let name = "http://www.chinaport.gov.cn/2022/04/xmldsig#sm2-sm3";
    for (other, expected) in [
        ("http://www.w3.org/2000/09/xmldsig#hmac-sha1", "unknown_algorithm"),
        ("http://www.w3.org/2000/09/xmldsig#rsa-sha1", "unknown_algorithm"),
        ("http://www.w3.org/2000/09/xmldsig#dsa-sha1", "unknown_algorithm"),
        ("http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", "mixed_algorithms"),
        (
            "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
            "mixed_algorithms",
        ),
        ("", "unknown_algorithm"),
    ] {
        assert_eq!(code(&xml.replace(name, other)), expected, "{other}");
    }
    let digest = "http://www.chinaport.gov.cn/2022/04/xmldsig#sm3\"";
    for other in [
        "http://www.w3.org/2000/09/xmldsig#sha1\"",
        "http://www.w3.org/2001/04/xmldsig-more#md5\"",
    ] {
        assert_eq!(code(&xml.replace(digest, other)), "unknown_algorithm", "{other}");
    }
}

#[test]
fn transforms_that_compute_are_refused() {
    let xml = signed(RX, None);
    let canonical = format!("<ds:Transform Algorithm=\"{}\"/>", Canonical::EXCLUSIVE.uri());
    for uri in [
        "http://www.w3.org/TR/1999/REC-xslt-19991116",
        "http://www.w3.org/TR/1999/REC-xpath-19991116",
        "http://www.w3.org/2002/06/xmldsig-filter2",
        "http://www.w3.org/2000/09/xmldsig#base64",
        "http://www.w3.org/2000/09/xmldsig#enveloped-signature",
    ] {
        let changed = xml.replace(&canonical, &format!("<ds:Transform Algorithm=\"{uri}\"/>"));
        assert_eq!(code(&changed), "transform", "{uri}");
        let before = xml.replace(&canonical, &format!("{canonical}<ds:Transform Algorithm=\"{uri}\"/>"));
        assert_eq!(code(&before), "transform", "{uri}");
    }
}

/// References anywhere but into the document are refused without a look; the signature would not hold either, so these
/// are signed anew by an attacker with a key.
#[test]
fn nothing_is_fetched() {
    for uri in ["http://127.0.0.1/x", "file:///etc/hostname", "other.xml", "x#a"] {
        let work = Work::Detached {
            uri: "stand-in",
            content: b"x",
        };
        let xml = sign(
            work,
            SM2.key.as_ref(),
            &SM2.chain(),
            &Draft::default(),
            &Options::default(),
        )
        .expect("signed");
        assert_eq!(code(&xml.replace("stand-in", uri)), "signature_invalid");
        if !uri.contains('#') {
            let work = Work::Detached { uri, content: b"x" };
            let xml = sign(
                work,
                SM2.key.as_ref(),
                &SM2.chain(),
                &Draft::default(),
                &Options::default(),
            )
            .expect("signed");
            assert_eq!(code(&xml), "reference_unresolved");
        }
    }
    let refused = sign(
        Work::Detached {
            uri: "#xpointer(/)",
            content: b"x",
        },
        SM2.key.as_ref(),
        &SM2.chain(),
        &Draft::default(),
        &Options::default(),
    );
    assert_eq!(refused.expect_err("a pointer").code(), "reference_unresolved");
}

/// A namespace that changes its meaning around the signed part changes the signed bytes where it is used.
#[test]
fn names_keep_their_namespaces() {
    let xml = signed("<o xmlns:p=\"urn:1\"><p:a Id=\"a\" x=\"p:y\"/></o>", Some("a"));
    kit::only(&xml);
    assert_eq!(code(&xml.replace("urn:1", "urn:2")), "document_changed");
}
