//! Sides with nothing in common: an alert, and words that say what was missing.

use std::sync::Arc;

use rustls::{AlertDescription, Error, PeerIncompatible};
use smtls::{Missing, Offer, What};

use crate::authority::{Authority, Kind};
use crate::{client, heard, meet, server, sm, sm_provider};

fn what(result: Result<crate::Talked, Error>, ours: Offer) -> Missing {
    let error = result.map(|_| ()).expect_err("nothing in common");
    let missing = Missing::of(&error, ours).expect("that is why");
    // The same from within the error of a stream.
    let wrapped = std::io::Error::new(std::io::ErrorKind::InvalidData, error);
    assert_eq!(Missing::within(&wrapped, ours), Some(missing));
    missing
}

#[test]
fn a_classic_client_gets_a_clear_alert_from_an_sm_server() {
    let (authority, pair) = sm();
    let (asked, served) = meet(
        &client(Offer::Classic.provider(), &authority, None),
        &server(sm_provider(), &pair, None),
    );
    let error = asked.as_ref().map(|_| ()).expect_err("refused");
    assert_eq!(error, &Error::AlertReceived(AlertDescription::HandshakeFailure));
    let (asked, served) = (what(asked, Offer::Classic), what(served, Offer::Sm));
    assert_eq!(asked.what, What::Refused);
    assert!(matches!(served.what, What::Suite | What::Group), "{served:?}");
    assert!(served.to_string().contains("TLS_SM4_GCM_SM3"), "{served}");
    assert!(served.person().contains("国密") && asked.person().contains("在本机启用国密"));
}

#[test]
fn an_sm_client_learns_what_a_classic_server_lacks() {
    let authority = Authority::new(Kind::P256, "Root");
    let pair = authority.issue(Kind::P256, "server", "DNS:localhost");
    let (asked, served) = meet(
        &client(sm_provider(), &authority, None),
        &server(Offer::Classic.provider(), &pair, None),
    );
    let (asked, served) = (what(asked, Offer::Sm), what(served, Offer::Classic));
    assert_eq!(asked.what, What::Refused);
    assert!(asked.to_string().contains("curveSM2"), "{asked}");
    assert!(asked.person().contains("对方不支持国密"));
    assert!(matches!(served.what, What::Suite | What::Group), "{served:?}");
    assert!(served.person().contains("对方没有普通 TLS 算法"));
}

#[test]
fn suite_group_and_signature_are_told_apart() {
    let (authority, pair) = sm();
    let server = server(sm_provider(), &pair, None);
    let full = smtls::provider();
    let classic = rustls::crypto::ring::default_provider();
    let cases = [
        (
            rustls::crypto::CryptoProvider {
                cipher_suites: classic.cipher_suites.clone(),
                ..full.clone()
            },
            What::Suite,
            PeerIncompatible::NoCipherSuitesInCommon,
        ),
        (
            rustls::crypto::CryptoProvider {
                kx_groups: classic.kx_groups.clone(),
                ..full.clone()
            },
            What::Group,
            PeerIncompatible::NoKxGroupsInCommon,
        ),
        (
            rustls::crypto::CryptoProvider {
                signature_verification_algorithms: classic.signature_verification_algorithms,
                ..full.clone()
            },
            What::Signature,
            PeerIncompatible::NoSignatureSchemesInCommon,
        ),
    ];
    for (provider, wanted, incompatible) in cases {
        let (asked, served) = meet(&client(Arc::new(provider), &authority, None), &server);
        let error = served.as_ref().map(|_| ()).expect_err("nothing in common");
        assert_eq!(error, &Error::PeerIncompatible(incompatible));
        assert_eq!(what(served, Offer::Sm).what, wanted);
        assert_eq!(what(asked, Offer::Sm).what, What::Refused);
    }
    heard(meet(&client(Arc::new(full), &authority, None), &server));
}

#[test]
fn a_client_of_tls_1_2_alone_is_told_the_version() {
    let (authority, pair) = sm();
    let old = rustls::ClientConfig::builder_with_provider(Offer::Classic.provider())
        .with_protocol_versions(&[&rustls::version::TLS12])
        .expect("version")
        .with_root_certificates(crate::roots(&authority))
        .with_no_client_auth();
    let strict = rustls::ServerConfig::builder_with_provider(sm_provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("version")
        .with_no_client_auth()
        .with_single_cert(pair.chain(), pair.key())
        .expect("pair");
    let (asked, served) = meet(&Arc::new(old), &Arc::new(strict));
    assert_eq!(what(served, Offer::Sm).what, What::Version);
    assert_eq!(what(asked, Offer::Classic).what, What::Version);
}

#[test]
fn other_failures_are_not_taken_for_this() {
    for error in [
        Error::DecryptError,
        Error::AlertReceived(AlertDescription::BadCertificate),
    ] {
        assert_eq!(Missing::of(&error, Offer::Sm), None);
    }
    let io = std::io::Error::other("gone");
    assert_eq!(Missing::within(&io, Offer::Sm), None);
}
