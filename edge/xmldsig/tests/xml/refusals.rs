//! What is not read, and by which name it is refused.

use xmldsig::{Canonical, Draft, Limits, Options, Refused, Work, canonical, sign, verify};

use crate::kit::{self, SM2};

fn code(xml: &str) -> &'static str {
    canonical(xml, &Canonical::EXCLUSIVE, &Limits::default()).map_or_else(|refused| refused.code(), |_| "read")
}

#[test]
fn what_is_not_well_formed_is_refused() {
    for xml in [
        "",
        " ",
        "x",
        "<",
        "<r",
        "<r>",
        "</r>",
        "<r/>x",
        "x<r/>",
        "<r/><s/>",
        "<a></b>",
        "<a></a x=\"1\">",
        "<r a=\"1\" a=\"2\"/>",
        "<r xmlns:a=\"u:\" xmlns:b=\"u:\" a:x=\"1\" b:x=\"2\"/>",
        "<r xmlns=\"u:1\" xmlns=\"u:1\"/>",
        "<r a=\"1\"b=\"2\"/>",
        "<r a=1/>",
        "<r a/>",
        "<r a=\"<\"/>",
        "<r a=\"1/>",
        "<r>&foo;</r>",
        "<r>& </r>",
        "<r>&#;</r>",
        "<r>&#x;</r>",
        "<r>&#1;</r>",
        "<r>&#xD800;</r>",
        "<r>&#x110000;</r>",
        "<r>&#xFFFE;</r>",
        "<r>&#+65;</r>",
        "<r>&amp</r>",
        "<r>\u{1}</r>",
        "<r>\u{fffe}</r>",
        "<r>]]></r>",
        "<r><!-- -- --></r>",
        "<r><!-- ---></r>",
        "<r><!-- </r>",
        "<r><?xml a?></r>",
        "<r><?XmL a?></r>",
        "<r><?a:b c?></r>",
        "<r><?a\"b\"?></r>",
        " <?xml version=\"1.0\"?><r/>",
        "<?xml version=\"1.0\" standalone=\"maybe\"?><r/>",
        "<a:b:c xmlns:a=\"u:\"/>",
        "<1r/>",
        "<:a/>",
        "<a: xmlns:a=\"u:\"/>",
        "<a:1 xmlns:a=\"u:\"/>",
        "<![CDATA[x]]><r/>",
        "<r><![CDATA[x</r>",
        "<r><![cdata[x]]></r>",
        "<r><!ELEMENT r ANY></r>",
        "<r>\u{feff}</r",
        "< r/>",
        "<r / >",
        "<r>&#xA</r>",
    ] {
        assert_eq!(code(xml), "xml_malformed", "{xml}");
    }
}

#[test]
fn other_refusals_have_their_own_names() {
    for (xml, expected) in [
        ("<!DOCTYPE r><r/>", "xml_doctype"),
        ("<!DOCTYPE r [<!ENTITY a \"b\">]><r>&a;</r>", "xml_doctype"),
        (
            "<?xml version=\"1.0\"?><!DOCTYPE r SYSTEM \"file:///etc/passwd\"><r/>",
            "xml_doctype",
        ),
        ("<?xml version=\"1.1\"?><r/>", "xml_version"),
        ("<?xml encoding=\"UTF-8\"?><r/>", "xml_version"),
        ("<?xml version=\"1.0\" encoding=\"GBK\"?><r/>", "xml_encoding"),
        ("<p:r/>", "xml_namespace"),
        ("<r p:a=\"1\"/>", "xml_namespace"),
        ("<r xmlns:p=\"\"/>", "xml_namespace"),
        ("<r xmlns:xmlns=\"u:\"/>", "xml_namespace"),
        ("<xmlns:r/>", "xml_namespace"),
        ("<r xmlns:xml=\"u:\"/>", "xml_namespace"),
        ("<r xmlns:q=\"http://www.w3.org/2000/xmlns/\"/>", "xml_namespace"),
        ("<r xmlns:q=\"http://www.w3.org/XML/1998/namespace\"/>", "xml_namespace"),
        ("<r xmlns=\"http://www.w3.org/XML/1998/namespace\"/>", "xml_namespace"),
        ("<r xmlns=\"relative\"/>", "xml_namespace"),
        ("<r xmlns=\"u:\"><a xmlns=\"\"/></r>", "read"),
        (
            "\u{feff}<?xml version='1.0' encoding='utf-8' standalone='no' ?>\n<r></r >",
            "read",
        ),
    ] {
        assert_eq!(code(xml), expected, "{xml}");
    }
}

#[test]
fn limits_hold_before_anything_is_built() {
    let deep = |levels: usize| "<a>".repeat(levels) + &"</a>".repeat(levels);
    assert_eq!(code(&deep(256)), "read");
    assert_eq!(code(&deep(257)), "too_large");
    assert_eq!(code(&"<a>".repeat(4_000_000)), "too_large");
    let wide = |count: usize| {
        let attributes: String = (0..count).map(|n| format!(" a{n}=\"\"")).collect();
        format!("<r{attributes}/>")
    };
    assert_eq!(code(&wide(256)), "read");
    assert_eq!(code(&wide(257)), "too_large");
    assert_eq!(code(&format!("<r>{}</r>", "<a/>".repeat(1_000_000))), "too_large");
    assert_eq!(code(&format!("<{}/>", "a".repeat(1025))), "too_large");
    assert_eq!(code(&format!("<r>{}</r>", "x".repeat(16 << 20))), "too_large");
    // A short name that canonicalisation makes long, again and again.
    let long = format!("u:{}", "n".repeat(1 << 16));
    let swelling = format!("<r xmlns:p=\"{long}\">{}</r>", "<p:a/>".repeat(10_000));
    assert_eq!(code(&swelling), "too_large");
}

#[test]
fn many_references_cannot_multiply_the_work() {
    let work = Work::Enveloped {
        document: "<r/>",
        id: None,
    };
    let xml = sign(
        work,
        SM2.key.as_ref(),
        &SM2.chain(),
        &Draft::default(),
        &Options::default(),
    )
    .expect("signed");
    let reference = format!(
        "<ds:Reference{}</ds:Reference>",
        kit::between(&xml, "<ds:Reference", "</ds:Reference>")
    );
    assert_eq!(
        kit::verify(&xml.replace(&reference, &reference.repeat(17)))
            .expect_err("many")
            .code(),
        "too_large"
    );
    assert_eq!(
        kit::verify(&xml.replace(&reference, &reference.repeat(16)))
            .expect_err("some")
            .code(),
        "signature_invalid"
    );
    let signature = format!(
        "<ds:Signature{}</ds:Signature>",
        kit::between(&xml, "<ds:Signature", "</ds:Signature>")
    );
    assert_eq!(
        kit::verify(&format!("<r>{}</r>", signature.repeat(9)))
            .expect_err("many")
            .code(),
        "too_large"
    );
}

#[test]
fn signatures_that_say_too_little_or_too_much_are_refused() {
    let work = Work::Enveloped {
        document: "<r/>",
        id: None,
    };
    let xml = sign(
        work,
        SM2.key.as_ref(),
        &SM2.chain(),
        &Draft::default(),
        &Options::default(),
    )
    .expect("signed");
    let part = |from: &str, to: &str| format!("{from}{}{to}", kit::between(&xml, from, to));
    for (what, changed) in [
        (
            "no value",
            xml.replace(&part("<ds:SignatureValue>", "</ds:SignatureValue>"), ""),
        ),
        (
            "no reference",
            xml.replace(&part("<ds:Reference", "</ds:Reference>"), ""),
        ),
        ("no URI", xml.replace(" URI=\"\"", "")),
        (
            "no digest",
            xml.replace(&part("<ds:DigestValue>", "</ds:DigestValue>"), ""),
        ),
        (
            "value not Base64",
            xml.replace("<ds:SignatureValue>", "<ds:SignatureValue>*"),
        ),
        (
            "value with an element",
            xml.replace("<ds:SignatureValue>", "<ds:SignatureValue><a/>"),
        ),
        (
            "two of them",
            xml.replace("<ds:SignedInfo>", "<ds:SignedInfo/><ds:SignedInfo>"),
        ),
        (
            "a stranger",
            xml.replace("<ds:SignatureMethod", "<x/><ds:SignatureMethod"),
        ),
        ("words", xml.replace("<ds:SignatureMethod", "words<ds:SignatureMethod")),
        (
            "an empty one",
            "<Signature xmlns=\"http://www.w3.org/2000/09/xmldsig#\"/>".to_owned(),
        ),
    ] {
        assert_eq!(
            kit::verify(&changed).expect_err(what).code(),
            "signature_structure",
            "{what}"
        );
    }
    assert_eq!(kit::verify("<r/>").expect_err("none").code(), "no_signature");
    let short = xml.replace(
        &part("<ds:DigestValue>", "</ds:DigestValue>"),
        "<ds:DigestValue>AAAA</ds:DigestValue>",
    );
    assert_eq!(kit::verify(&short).expect_err("digest").code(), "signature_invalid");
    let refused = verify(b"<r>\xff</r>", &[], None, &Options::default()).expect_err("bytes");
    assert_eq!(refused.code(), "xml_encoding");
}

#[test]
fn what_cannot_be_signed_is_refused_before_the_key_is_asked() {
    let try_to = |work: Work<'_>, id: Option<&str>| {
        let draft = Draft {
            id: id.map(str::to_owned),
            ..Draft::default()
        };
        sign(work, SM2.key.as_ref(), &SM2.chain(), &draft, &Options::default())
            .map(|_| ())
            .expect_err("refused")
    };
    let document = "<r Id=\"a\"><b id=\"a\"/><c Id=\"c\"/></r>";
    assert_eq!(
        try_to(
            Work::Enveloped {
                document,
                id: Some("a")
            },
            None
        ),
        Refused::IdTwice("a".to_owned())
    );
    assert_eq!(
        try_to(
            Work::Enveloped {
                document,
                id: Some("x")
            },
            None
        ),
        Refused::IdMissing("x".to_owned())
    );
    assert_eq!(
        try_to(
            Work::Enveloped {
                document,
                id: Some("a\"b")
            },
            None
        )
        .code(),
        "id_invalid"
    );
    assert_eq!(
        try_to(Work::Enveloped { document, id: None }, Some("c")),
        Refused::IdTwice("c".to_owned())
    );
    assert_eq!(
        try_to(
            Work::Enveloped {
                document: "<!DOCTYPE r><r/>",
                id: None
            },
            None
        )
        .code(),
        "xml_doctype"
    );
    assert_eq!(
        try_to(Work::Detached { uri: "", content: b"" }, None).code(),
        "reference_unresolved"
    );
    let other = kit::P256.chain();
    let refused = sign(
        Work::Enveloped {
            document: "<r/>",
            id: None,
        },
        SM2.key.as_ref(),
        &other,
        &Draft::default(),
        &Options::default(),
    );
    assert_eq!(refused.expect_err("another's certificate").code(), "invalid_key");
}

#[test]
fn every_refusal_has_words_for_people() {
    for refused in [
        Refused::Doctype,
        Refused::NotUtf8,
        Refused::IdTwice("a".to_owned()),
        Refused::TooLarge("depth"),
        Refused::DigestMismatch("#a".to_owned()),
        Refused::SignatureInvalid,
    ] {
        assert!(refused.person().ends_with('。') && !refused.code().is_empty());
    }
}

/// What this thread has worked so far: what others do on the machine is not counted.
fn worked_ns() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("the kernel's account");
    let worked = stat.split_whitespace().next().and_then(|number| number.parse().ok());
    worked.expect("a number")
}

/// Attributes of `xml:` on many elements around come along into the inclusive form, in time that grows with their number.
#[test]
fn many_inherited_attributes_cost_little() {
    let work = Work::Enveloped {
        document: "<r/>",
        id: None,
    };
    let draft = Draft {
        canonical: Canonical::INCLUSIVE,
        ..Draft::default()
    };
    let xml = sign(work, SM2.key.as_ref(), &SM2.chain(), &draft, &Options::default()).expect("signed");
    let mut around = String::new();
    for level in 0..250 {
        let attributes: String = (0..250).map(|n| format!(" xml:a{level}-{n}=\"\"")).collect();
        around.push_str(&format!("<a{attributes}>"));
    }
    let deep = format!("{around}{xml}{}", "</a>".repeat(250));
    let begun = worked_ns();
    assert_eq!(kit::verify(&deep).expect_err("moved").code(), "signature_invalid");
    let took_ns = worked_ns() - begun;
    assert!(took_ns < 10_000_000_000, "{took_ns} ns");
}
