//! The canonical forms are libxml2's, byte for byte.

use std::process::Command;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use xmldsig::{Canonical, Limits, canonical};

const DOCUMENTS: &[(&str, &str)] = &[
    (
        "everything at once",
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- a --><?pi  x y ?>\n<r xmlns=\"urn:d\" xmlns:b=\"urn:b\" xmlns:a=\"urn:a\" \
         b:z=\"1\" a:z=\"2\" z=\"3\" y='\"q\"'><a:x xmlns:b=\"urn:b\"/><c xmlns=\"\"/><![CDATA[<&>]]>&#13;&#xA;&#x9;&amp;&lt;\
         &gt;&quot;&apos;</r><!-- after -->\n<?after?>",
    ),
    (
        "line ends and white space in attributes",
        "<r a=\"x\r\ny\tz&#10;&#13;&#9; '&quot;\rw\">\r\nt\rq\r</r>",
    ),
    (
        "Chinese and beyond the first plane",
        "<病历 xmlns:科=\"urn:ke\" 科:室=\"内科\" 姓名=\"张三\">　你好<![CDATA[<药>]]>𠀀\u{85}\u{2028}</病历>",
    ),
    (
        "prefixes declared anew",
        "<a:r xmlns:a=\"urn:1\" xmlns:b=\"urn:1\"><a:x xmlns:a=\"urn:2\"><a:x xmlns:a=\"urn:1\" b:q=\"1\" a:w=\"2\"/></a:x></a:r>",
    ),
    (
        "default namespace taken away",
        "<r xmlns=\"urn:1\"><x xmlns=\"\"><y xmlns=\"urn:1\"><z xmlns=\"\"/></y></x><p:q xmlns:p=\"urn:p\" xmlns=\"\"><s/></p:q></r>",
    ),
    (
        "declared twice the same",
        "<r xmlns=\"urn:1\" xmlns:p=\"urn:p\"><x xmlns=\"urn:1\" xmlns:p=\"urn:p\" p:a=\"1\"><p:y xmlns:p=\"urn:p\"/></x></r>",
    ),
    (
        "attributes of xml",
        "<r xml:lang=\"zh\" xml:space=\"preserve\"><x xml:lang=\"en\" xmlns:xml=\"http://www.w3.org/XML/1998/namespace\"/></r>",
    ),
    ("instructions", "<r><?a?><?b c?><?d   e  ?><?e f\r\ng?></r>"),
    ("comments", "<!--x--><r><!----><!-- - --><x/>a<!--b\r\n-->c</r><!--y-->"),
    (
        "order of attributes",
        "<r xmlns:z=\"urn:a\" xmlns:a=\"urn:z\" z:b=\"1\" a:b=\"2\" b=\"3\" z:a=\"4\" xmlns:m=\"urn:m\" A=\"5\" xmlns:A=\"urn:A\"/>",
    ),
    ("empty values", "<r a=\"\" b=' '>&#x20;</r>"),
    ("greater-than", "<r a=\">&gt;\">a>b ]] > ]]&gt;</r>"),
    (
        "used only deep inside",
        "<r xmlns:p=\"urn:p\" xmlns:q=\"urn:q\"><a><b><p:c/></b></a><d q:e=\"1\"><q:f/></d></r>",
    ),
    ("byte order mark", "\u{feff}<r>x</r>"),
    ("CDATA in pieces", "<r>a<![CDATA[]]><![CDATA[b]]]]><![CDATA[>c]]></r>"),
    ("no white space at all", "<r/>"),
];

/// What `xmllint` writes; `None` when it refuses.
fn theirs(xml: &str, option: &str) -> Option<Vec<u8>> {
    let file = tempfile::NamedTempFile::new().expect("file");
    std::fs::write(file.path(), xml).expect("written");
    let output = Command::new("xmllint")
        .args([option, "--nonet"])
        .arg(file.path())
        .output()
        .expect("xmllint of libxml2-utils");
    output.status.success().then_some(output.stdout)
}

fn forms() -> [(&'static str, Canonical); 3] {
    // xmllint keeps comments.
    [
        ("--c14n", Canonical::INCLUSIVE.with_comments()),
        ("--c14n11", Canonical::INCLUSIVE_11.with_comments()),
        ("--exc-c14n", Canonical::EXCLUSIVE.with_comments()),
    ]
}

fn compare(what: &str, xml: &str) {
    for (option, method) in forms() {
        let ours = canonical(xml, &method, &Limits::default()).unwrap_or_else(|refused| panic!("{what}: {refused}"));
        let theirs = theirs(xml, option).unwrap_or_else(|| panic!("{what} refused by xmllint: {xml}"));
        assert_eq!(
            String::from_utf8_lossy(&ours),
            String::from_utf8_lossy(&theirs),
            "{what} {option}\n{xml}"
        );
    }
}

#[test]
fn canonical_forms_are_those_of_libxml2() {
    for (what, xml) in DOCUMENTS {
        compare(what, xml);
    }
}

#[test]
fn a_canonical_form_is_its_own_canonical_form() {
    for (what, xml) in DOCUMENTS {
        for (_, method) in forms() {
            let once = canonical(xml, &method, &Limits::default()).expect("canonical");
            let text = String::from_utf8(once.clone()).expect("UTF-8");
            let twice = canonical(&text, &method, &Limits::default()).expect("canonical again");
            assert_eq!(once, twice, "{what}");
        }
    }
}

#[test]
fn without_comments_nothing_of_them_is_left() {
    let xml = "<!--a--><r>b<!--c-->d</r><!--e-->";
    let bytes = canonical(xml, &Canonical::INCLUSIVE, &Limits::default()).expect("canonical");
    assert_eq!(bytes, b"<r>bd</r>");
}

/// libxml2 writes the ampersand of a namespace name as it is, against the standard; who verifies by it will refuse.
#[test]
fn namespace_names_are_escaped_as_the_standard_says() {
    let xml = "<r xmlns:p=\"urn:a?b=1&amp;c=2\" p:a=\"1\"/>";
    let bytes = canonical(xml, &Canonical::EXCLUSIVE, &Limits::default()).expect("canonical");
    assert_eq!(bytes, b"<r xmlns:p=\"urn:a?b=1&amp;c=2\" p:a=\"1\"></r>");
    assert_ne!(theirs(xml, "--exc-c14n"), Some(bytes), "libxml2 has mended it");
}

/// Elements with namespaces declared, redeclared and taken away, attributes and awkward characters.
fn document() -> impl Strategy<Value = String> {
    let declaration = prop_oneof![
        Just(r#" xmlns="urn:1""#),
        Just(r#" xmlns="urn:2""#),
        Just(r#" xmlns="""#),
        Just(r#" xmlns:q="urn:1""#),
        Just(r#" xmlns:q="urn:3""#),
        Just(r#" xmlns:b="urn:4""#),
        Just(""),
        Just(""),
    ];
    let attributes = prop_oneof![
        Just(""),
        Just(" p:z=\"1\" a=\"2\" q:z=\"3\""),
        Just(" a=\"\n\t&#10;&lt;&amp;'\""),
        Just(" 名=\"值\" xml:lang=\"zh\""),
        Just(" b='\"' p:a=\"\r\n\""),
    ];
    let text = prop_oneof![
        Just(""),
        Just("x\r\ny"),
        Just("&#13;&gt;<![CDATA[<&]]>"),
        Just("中文<!-- c -->"),
        Just("<?p i?> "),
    ];
    let name = prop_oneof![Just("e"), Just("p:e"), Just("q:e"), Just("b:名")];
    let leaf = (name.clone(), declaration.clone(), attributes.clone(), text.clone())
        .prop_map(|(name, declaration, attributes, text)| format!("<{name}{declaration}{attributes}>{text}</{name}>"));
    let tree = leaf.prop_recursive(5, 40, 4, move |inner| {
        let children = proptest::collection::vec(inner, 0..4);
        (
            name.clone(),
            declaration.clone(),
            attributes.clone(),
            text.clone(),
            children,
        )
            .prop_map(|(name, declaration, attributes, text, children)| {
                format!("<{name}{declaration}{attributes}>{text}{}</{name}>", children.concat())
            })
    });
    tree.prop_map(|tree| format!("<r xmlns:p=\"urn:p\" xmlns:q=\"urn:q\" xmlns:b=\"urn:b\">{tree}</r>"))
}

#[test]
fn invented_documents_have_the_canonical_form_of_libxml2() {
    let mut runner = TestRunner::new(Config {
        cases: 60,
        failure_persistence: None,
        ..Config::default()
    });
    runner
        .run(&document(), |xml| {
            if canonical(&xml, &Canonical::INCLUSIVE, &Limits::default()).is_ok() {
                compare("invented", &xml);
            }
            Ok(())
        })
        .expect("the same");
}
