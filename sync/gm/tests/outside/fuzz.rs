//! Whatever somebody makes of a message or key file: the reader answers, and what verifies still says what was signed. Long runs: `cargo xtask fuzz`.

use gm::cms::{self, Content, Message, Profile};
use gm::{Trust, envelope, key, pfx, pkcs8};
use kit::fuzz::{Changes, cases, der};

use crate::messages::{RX, every, now};
use crate::{Bench, KINDS};

#[test]
fn a_changed_message_is_refused_or_still_says_what_was_signed() {
    let desks = every();
    let trust = Trust::new(desks.iter().map(|desk| &desk.chain[1].der)).expect("roots");
    let messages = desks
        .iter()
        .flat_map(|desk| [desk.attached(), desk.detached(), desk.bare(true)]);
    let messages: Vec<Vec<u8>> = messages.collect();
    let mut accepted = 0;
    for number in 0..cases(4_000) {
        let changes = &mut Changes::of(number);
        let whole = changes.one(&messages);
        let bytes = der::bent(whole, changes);
        let attached = cms::verify_attached(&bytes, &trust, now());
        if let Ok((seen, content)) = attached {
            accepted += 1;
            assert_eq!(content, RX, "case {number}");
            assert!(
                desks.iter().any(|desk| desk.chain[0].der == seen.signer.der),
                "case {number}"
            );
        }
        // Over other content nothing verifies, whatever was changed.
        let other = cms::verify(&bytes, Content::Bytes(b"other"), &trust, now());
        assert!(other.is_err(), "case {number}");
        let _ = Message::read(&bytes, Profile::default());
    }
    assert!(accepted > 0, "some changes change nothing that matters");
}

#[test]
fn every_key_file_is_answered_whatever_was_changed_in_it() {
    let (bench, desks) = (Bench::new(), every());
    let desk = &desks[0];
    let mut files = Vec::new();
    for kind in KINDS {
        bench.run(&format!("genpkey {kind} -out key.pem"));
        bench.run("pkey -in key.pem -outform DER -out key.der");
        bench.run("pkcs8 -topk8 -in key.pem -v2 aes-256-cbc -iter 2 -passout pass:x -outform DER -out locked.der");
        bench.run("req -x509 -key key.pem -subj /CN=x -out c.pem");
        bench.run("pkcs12 -export -iter 2 -inkey key.pem -in c.pem -out all.pfx -passout pass:x");
        bench.run("req -new -key key.pem -subj /CN=x -outform DER -out request.der");
        files.extend(["key.der", "locked.der", "all.pfx", "request.der"].map(|name| bench.get(name)));
    }
    for number in 0..cases(3_000) {
        let changes = &mut Changes::of(number);
        let whole = changes.one(&files);
        let bytes = der::bent(whole, changes);
        let _ = key::PrivateKey::from_file(&bytes, None);
        let _ = gm::csr::Request::parse(&bytes);
        let _ = envelope::open(&bytes, desk.key());
        let _ = pkcs8::read_file(&bytes, Some(b"x"));
        let _ = pfx::open(&bytes, "x");
    }
}
