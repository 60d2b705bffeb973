//! Chains: long ones, both ways to name the algorithm, and those that must not be taken.

use std::sync::Arc;

use curve::{Bound, DEFAULT_ID, Nonces};
use rustls::pki_types::CertificateDer;
use rustls::{CertificateError, Error};
use smtls::{KeyRefused, LocalKey};

use crate::authority::{Authority, Kind};
use crate::{client, heard, meet, meet_as, server, sm, sm_provider};

#[test]
fn a_chain_through_an_intermediate_is_followed() {
    let root = Authority::new(Kind::Sm2, "Root");
    let middle = Authority::new(Kind::Sm2, "Middle");
    let above = root.certify(&middle, "Middle");
    let pair = middle.issue(Kind::Sm2, "server", "DNS:localhost").with_above(above);
    let (talked, _) = heard(meet(
        &client(sm_provider(), &root, None),
        &server(sm_provider(), &pair, None),
    ));
    assert_eq!(talked.certificates, 2);
}

#[test]
fn a_certificate_for_another_name_is_refused() {
    let (authority, pair) = sm();
    let (client, server) = (
        client(sm_provider(), &authority, None),
        server(sm_provider(), &pair, None),
    );
    let (asked, served) = meet_as("cloud.example", &client, &server);
    let refused = asked.map(|_| ()).expect_err("another name");
    assert!(
        matches!(
            refused,
            Error::InvalidCertificate(CertificateError::NotValidForNameContext { .. })
        ),
        "{refused:?}"
    );
    assert!(matches!(served, Err(Error::AlertReceived(_))), "{served:?}");
}

#[test]
fn certificates_signed_under_another_id_are_refused() {
    // The id of the handshake, and none: what OpenSSL 3.0 takes where none is given.
    for id in ["TLSv1.3+GM+Cipher+Suite", ""] {
        let authority = Authority::with_id(Kind::Sm2, "Root", id);
        let pair = authority.issue(Kind::Sm2, "server", "DNS:localhost");
        let (asked, _) = meet(
            &client(sm_provider(), &authority, None),
            &server(sm_provider(), &pair, None),
        );
        let bad = Error::InvalidCertificate(CertificateError::BadSignature);
        assert_eq!(asked.map(|_| ()), Err(bad), "{id:?}");
    }
}

#[test]
fn a_certificate_of_another_root_is_refused() {
    let (_, pair) = sm();
    let (asked, _) = meet(
        &client(sm_provider(), &sm().0, None),
        &server(sm_provider(), &pair, None),
    );
    let refused = asked.map(|_| ()).expect_err("another root");
    assert!(
        matches!(
            refused,
            Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature)
        ),
        "{refused:?}"
    );
}

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match content.len() {
        short @ 0..0x80 => out.push(short as u8),
        long => out.extend([0x82, (long >> 8) as u8, long as u8]),
    }
    out.extend(content);
    out
}

const WITHOUT: &[u8] = &[0x30, 0x0a, 0x06, 0x08, 0x2a, 0x81, 0x1c, 0xcf, 0x55, 0x01, 0x83, 0x75];
const WITH_NULL: &[u8] = &[
    0x30, 0x0c, 0x06, 0x08, 0x2a, 0x81, 0x1c, 0xcf, 0x55, 0x01, 0x83, 0x75, 0x05, 0x00,
];

/// The same certificate with the parameters NULL in both algorithms, signed anew.
fn with_null(certificate: &CertificateDer<'_>, issuer: &LocalKeyOfTest) -> CertificateDer<'static> {
    // SEQUENCE (long form), then the TBS as a SEQUENCE (long form).
    let der: &[u8] = certificate;
    let length = usize::from(u16::from_be_bytes([der[6], der[7]]));
    let tbs = &der[8..8 + length];
    let at = tbs
        .windows(WITHOUT.len())
        .position(|window| window == WITHOUT)
        .expect("its algorithm");
    let tbs = element(0x30, &[&tbs[..at], WITH_NULL, &tbs[at + WITHOUT.len()..]].concat());
    let bits = [&[0], &issuer.sign(&tbs)[..]].concat();
    element(0x30, &[&tbs, WITH_NULL, &element(0x03, &bits)[..]].concat()).into()
}

struct LocalKeyOfTest(curve::PrivateKey);

impl LocalKeyOfTest {
    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let e = Bound::new(DEFAULT_ID, self.0.public_key())
            .expect("bound")
            .digest(message);
        self.0.sign(&e, &mut Nonces::new()).expect("signed").to_der()
    }
}

#[test]
fn the_algorithm_may_be_named_with_null() {
    let authority = Authority::new(Kind::Sm2, "Root");
    let pair = authority.issue(Kind::Sm2, "server", "DNS:localhost");
    let issuer = LocalKeyOfTest(smtls::read_key(&authority.key()).expect("key"));
    let own = pair.chain().remove(0);
    assert!(
        own.windows(WITHOUT.len()).any(|window| window == WITHOUT),
        "OpenSSL names it without"
    );
    let changed = with_null(&own, &issuer);
    let serve = |chain: Vec<CertificateDer<'static>>| {
        Arc::new(
            rustls::ServerConfig::builder_with_provider(sm_provider())
                .with_protocol_versions(&[&rustls::version::TLS13])
                .expect("version")
                .with_no_client_auth()
                .with_single_cert(chain, pair.key())
                .expect("pair"),
        )
    };
    heard(meet(
        &client(sm_provider(), &authority, None),
        &serve(vec![changed.clone()]),
    ));
    // Not because nobody looks: with the signature over something else it is refused.
    let mut forged = changed.to_vec();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    let (asked, _) = meet(&client(sm_provider(), &authority, None), &serve(vec![forged.into()]));
    assert_eq!(
        asked.map(|_| ()),
        Err(Error::InvalidCertificate(CertificateError::BadSignature))
    );
}

#[test]
fn a_certificate_that_is_not_the_keys_is_refused_when_configured() {
    let (authority, pair) = sm();
    let other = authority.issue(Kind::Sm2, "other", "DNS:localhost");
    let signer = Arc::new(LocalKey::from_der(&other.key()).expect("key"));
    let refused = smtls::certified(pair.chain(), signer).map(|_| ());
    assert_eq!(refused, Err(KeyRefused::Certificate));
    let nothing = Arc::new(LocalKey::from_der(&other.key()).expect("key"));
    assert_eq!(
        smtls::certified(Vec::new(), nothing).map(|_| ()),
        Err(KeyRefused::Certificate)
    );
}
