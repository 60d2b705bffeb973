use gm::cms::{self, SignerId};
use gm::key::Algorithm;
use gm::{Refused, pem};

use crate::Bench;
use crate::messages::{Desk, RX, every, in_pieces, read};

fn openssl_key(bench: &Bench, kind: &str) {
    bench.run(&format!("genpkey {kind} -out key.pem"));
    bench.run(
        "req -x509 -new -key key.pem -sha256 -subj /CN=theirs -addext keyUsage=digitalSignature -days 9 -out cert.pem",
    );
    bench.put("rx", RX);
}

#[test]
fn messages_of_openssl_verify_here_in_every_shape() {
    let bench = Bench::new();
    for (kind, more) in [
        ("-algorithm RSA -pkeyopt rsa_keygen_bits:2048", ""),
        ("-algorithm RSA -pkeyopt rsa_keygen_bits:3072", "-md sha512"),
        (
            "-algorithm RSA -pkeyopt rsa_keygen_bits:2048",
            "-md sha384 -keyopt rsa_padding_mode:pss",
        ),
        ("-algorithm EC -pkeyopt ec_paramgen_curve:P-256", "-md sha256"),
    ] {
        openssl_key(&bench, kind);
        for shape in ["", "-nodetach", "-noattr", "-nodetach -noattr", "-keyid", "-cades"] {
            let salt = if more.contains("pss") {
                "-keyopt rsa_pss_saltlen:digest"
            } else {
                ""
            };
            bench.run(&format!(
                "cms -sign -binary -in rx -signer cert.pem -inkey key.pem {more} {salt} {shape} -outform DER -out theirs.der"
            ));
            let theirs = bench.get("theirs.der");
            let message = read(&theirs);
            assert_eq!(
                shape.contains("keyid"),
                matches!(message.signers().next(), Some(SignerId::KeyId(_)))
            );
            let found = if shape.contains("nodetach") {
                assert_eq!(message.content, Some(RX));
                message.check_attached(&[]).expect("read")
            } else {
                in_pieces(&message, RX)
            };
            let sound = found[0]
                .result
                .as_ref()
                .unwrap_or_else(|why| panic!("{kind} {more} {shape}: {why}"));
            assert_eq!(sound.attributed, !shape.contains("noattr"));
            if !shape.contains("nodetach") {
                assert!(in_pieces(&message, b"other")[0].result.is_err());
            }
        }
        // Without its certificate, which is known here.
        bench.run(&format!(
            "cms -sign -binary -nocerts -in rx -signer cert.pem -inkey key.pem {more} -outform DER -out theirs.der"
        ));
        if more.contains("pss") {
            continue; // with the salt that openssl takes by itself, which is refused
        }
        let theirs = bench.get("theirs.der");
        let message = read(&theirs);
        assert!(matches!(
            in_pieces(&message, RX)[0].result,
            Err(Refused::SignerCertificateMissing)
        ));
        let known = pem::read_bundle(&bench.get("cert.pem")).expect("read").certificates;
        let mut checking = message.check_detached(&known).expect("started");
        checking.update(RX);
        checking.finish().remove(0).result.expect("sound");
    }
}

#[test]
fn messages_of_ours_satisfy_openssl() {
    let bench = Bench::new();
    bench.put("rx", RX);
    for desk in every().into_iter().filter(|desk| desk.algorithm() != Algorithm::Sm2) {
        bench.put("root.pem", pem::write_chain(&desk.chain[1..]));
        for (message, more) in [
            (desk.detached(), "-content rx"),
            (desk.bare(false), "-content rx"),
            (desk.attached(), ""),
            (desk.bare(true), ""),
        ] {
            bench.put("ours.der", &message);
            let verify =
                format!("cms -verify -binary -inform DER -in ours.der {more} -CAfile root.pem -purpose any -out seen");
            bench.run(&verify);
            assert_eq!(bench.get("seen"), RX);
        }
        let both = cms::joined(&desk.attached(), &Desk::p256("另一人").attached()).expect("joined");
        bench.put("ours.der", &both);
        bench.run("cms -verify -binary -inform DER -in ours.der -noverify -out seen");
    }
}
