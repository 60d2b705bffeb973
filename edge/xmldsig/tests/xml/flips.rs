//! Whatever is changed in a signed document: it is refused, or what is covered is what was signed.
//!
//! Long runs: `cargo xtask fuzz`.

use std::sync::LazyLock;

use gm::Trust;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use xmldsig::{Draft, Options, Verified, Work, sign, verify};

use crate::kit::{self, P256, SM2};

const DOCUMENT: &str = "<?xml version=\"1.0\"?><!-- a --><r xmlns=\"urn:r\" xmlns:p=\"urn:p\" Id=\"r\"><p:药 Id=\"x\" a=\"1\tb\" \
    p:b='2'>阿莫西林<![CDATA[<0.5>]]>&#13;&amp;</p:药><e/>\r\n<?pi x?></r>";

static SIGNED: LazyLock<Vec<String>> = LazyLock::new(|| {
    let works = [
        Work::Enveloped {
            document: DOCUMENT,
            id: None,
        },
        Work::Enveloped {
            document: DOCUMENT,
            id: Some("x"),
        },
        Work::Enveloping { document: DOCUMENT },
    ];
    let mut all = Vec::new();
    for work in works {
        for person in [&*SM2, &*P256] {
            // Only the leaf, so that a change meets what matters more often.
            let chain = [person.certificate.clone()];
            for signing_time in [None, Some(kit::now())] {
                let draft = Draft {
                    signing_time,
                    ..Draft::default()
                };
                all.push(sign(work, person.key.as_ref(), &chain, &draft, &Options::default()).expect("signed"));
            }
        }
    }
    all
});

fn cases() -> u32 {
    ::kit::fuzz::cases(3000)
}

/// One change of the bytes.
#[derive(Debug, Clone)]
enum Change {
    Flip(prop::sample::Index, u8),
    Remove(prop::sample::Index, usize),
    Insert(prop::sample::Index, &'static str),
    /// A piece again, elsewhere.
    Copy(prop::sample::Index, usize, prop::sample::Index),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        match self {
            Self::Flip(at, bits) => {
                let at = at.index(bytes.len());
                bytes[at] ^= bits;
            }
            Self::Remove(at, length) => {
                let at = at.index(bytes.len());
                let end = (at + length).min(bytes.len());
                bytes.drain(at..end);
            }
            Self::Insert(at, text) => {
                let at = at.index(bytes.len());
                bytes.splice(at..at, text.bytes());
            }
            Self::Copy(from, length, to) => {
                let from = from.index(bytes.len());
                let piece = bytes[from..(from + length).min(bytes.len())].to_vec();
                let to = to.index(bytes.len());
                bytes.splice(to..to, piece);
            }
        }
    }
}

fn change() -> impl Strategy<Value = Change> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        4 => (index(), 1u8..=255).prop_map(|(at, bits)| Change::Flip(at, bits)),
        2 => (index(), 1usize..200).prop_map(|(at, length)| Change::Remove(at, length)),
        3 => (index(), prop_oneof![
            Just("<"), Just("</"), Just("&"), Just("]]>"), Just("<!--"), Just("-->"), Just("<?"), Just("\r"), Just("\u{0}"), Just(" "),
            Just("<![CDATA["), Just(" Id=\"x\""), Just(" xmlns=\"\""), Just(" xmlns:ds=\"urn:x\""), Just("&#x110000;"), Just("<!DOCTYPE r>"),
            Just("中"), Just("="), Just("\""), Just("<a>"), Just("</a>"),
        ]).prop_map(|(at, text)| Change::Insert(at, text)),
        1 => (index(), 1usize..600, index()).prop_map(|(from, length, to)| Change::Copy(from, length, to)),
    ]
}

/// What was signed, by name.
fn covered(seen: &Verified) -> Vec<(&str, std::borrow::Cow<'_, str>)> {
    let each = seen.covered.iter();
    each.map(|one| (one.uri.as_str(), String::from_utf8_lossy(&one.canonical_bytes)))
        .collect()
}

/// A certificate is not part of what is signed: what is changed in it, its issuer's signature shows.
fn is_trusted(seen: &Verified) -> bool {
    let trust = Trust::new([&SM2.root.der, &P256.root.der]).expect("roots");
    trust.path(&seen.certificate, &seen.others, kit::now()).is_ok()
}

#[test]
fn a_changed_document_is_refused_or_still_says_what_was_signed() {
    let originals: Vec<_> = SIGNED.iter().map(|xml| kit::only(xml)).collect();
    let strategy = (0..SIGNED.len(), prop::collection::vec(change(), 1..4));
    let mut runner = TestRunner::new(Config {
        cases: cases(),
        failure_persistence: None,
        ..Config::default()
    });
    let seen = std::cell::Cell::new(0u32);
    runner
        .run(&strategy, |(which, changes)| {
            let mut bytes = SIGNED[which].clone().into_bytes();
            for change in &changes {
                change.apply(&mut bytes);
            }
            if let Ok(all) = verify(&bytes, &[], None, &Options::default()) {
                seen.set(seen.get() + 1);
                for one in all {
                    prop_assert!(one.certificate == originals[which].certificate || !is_trusted(&one));
                    prop_assert_eq!(one.algorithm, originals[which].algorithm);
                    prop_assert_eq!(one.signing_time, originals[which].signing_time);
                    prop_assert_eq!(covered(&one), covered(&originals[which]));
                }
            }
            Ok(())
        })
        .expect("holds");
    let survived = seen.get();
    // White space in Base64 and in tags, comments and the like change nothing that is signed; most changes do.
    assert!(survived < cases() / 3, "{survived} of {} changes went unseen", cases());
}

#[test]
fn every_single_byte_of_what_is_signed_counts() {
    for (xml, original) in SIGNED.iter().zip(SIGNED.iter().map(|xml| kit::only(xml))) {
        for at in 0..xml.len() {
            let mut bytes = xml.clone().into_bytes();
            bytes[at] ^= 1;
            if let Ok(seen) = verify(&bytes, &[], None, &Options::default()) {
                assert_eq!(covered(&seen[0]), covered(&original), "byte {at}");
                assert!(
                    seen[0].certificate == original.certificate || !is_trusted(&seen[0]),
                    "byte {at}"
                );
            }
        }
    }
}

#[test]
fn arbitrary_bytes_are_refused_without_a_panic() {
    let mut runner = TestRunner::new(Config {
        cases: cases(),
        failure_persistence: None,
        ..Config::default()
    });
    runner
        .run(&prop::collection::vec(any::<u8>(), 0..300), |bytes| {
            prop_assert!(verify(&bytes, &[], None, &Options::default()).is_err());
            Ok(())
        })
        .expect("refused");
}
