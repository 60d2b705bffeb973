//! Handshakes that succeed, and signatures that must not be taken.

use std::path::PathBuf;
use std::sync::Arc;

use curve::{DEFAULT_ID, PublicKey};
use rustls::{CertificateError, Error, PeerMisbehaved};
use smtls::{HANDSHAKE_ID, LocalKey, Offer, SignerFailed, Sm2Signer};

use crate::authority::{Authority, Kind, Pair, openssl};
use crate::{client, heard, meet, server, sm, sm_provider};

#[test]
fn both_sides_speak_sm_throughout() {
    let (authority, pair) = sm();
    let (client, server) = heard(meet(
        &client(sm_provider(), &authority, None),
        &server(sm_provider(), &pair, None),
    ));
    assert_eq!((client.suite, client.group), (0x00c6, 41));
    assert!(client.sm && server.sm);
    assert_eq!((client.certificates, server.certificates), (1, 0));
}

#[test]
fn both_sides_show_sm2_certificates() {
    let (authority, pair) = sm();
    let own = authority.issue(Kind::Sm2, "edge", "DNS:edge");
    let server = server(sm_provider(), &pair, Some(&authority));
    let (_, seen) = heard(meet(&client(sm_provider(), &authority, Some(&own)), &server));
    assert_eq!(seen.certificates, 1);

    // Without one, and with one of somebody else's.
    let (_, refused) = meet(&client(sm_provider(), &authority, None), &server);
    assert_eq!(refused.map(|_| ()), Err(Error::NoCertificatesPresented));
    let stranger = Authority::new(Kind::Sm2, "Another root").issue(Kind::Sm2, "edge", "DNS:edge");
    let (asked, refused) = meet(&client(sm_provider(), &authority, Some(&stranger)), &server);
    let unknown = Error::InvalidCertificate(CertificateError::UnknownIssuer);
    assert_eq!(refused.map(|_| ()), Err(unknown));
    assert!(matches!(asked, Err(Error::AlertReceived(_))), "{asked:?}");
}

#[test]
fn a_second_connection_resumes_the_first() {
    let (authority, pair) = sm();
    let (client, server) = (
        client(sm_provider(), &authority, None),
        server(sm_provider(), &pair, None),
    );
    assert!(!heard(meet(&client, &server)).0.resumed);
    let (again, _) = heard(meet(&client, &server));
    assert!(again.resumed && again.sm);
}

/// Signs in the handshake under the user id of certificates, as some implementations do.
#[derive(Debug)]
struct WrongId(LocalKey);

impl Sm2Signer for WrongId {
    fn public_key(&self) -> PublicKey {
        self.0.public_key()
    }

    fn sign(&self, id: &[u8], message: &[u8]) -> Result<Vec<u8>, SignerFailed> {
        assert_eq!(id, HANDSHAKE_ID);
        self.0.sign(DEFAULT_ID, message)
    }
}

/// A key in a card that was taken out.
#[derive(Debug)]
struct Gone(PublicKey);

impl Sm2Signer for Gone {
    fn public_key(&self) -> PublicKey {
        self.0
    }

    fn sign(&self, _: &[u8], _: &[u8]) -> Result<Vec<u8>, SignerFailed> {
        Err(SignerFailed("the card is not there".to_owned()))
    }
}

fn with_signer(pair: &Pair, signer: Arc<dyn Sm2Signer>) -> Arc<rustls::ServerConfig> {
    let certified = smtls::certified(pair.chain(), signer).expect("they belong together");
    Arc::new(
        rustls::ServerConfig::builder_with_provider(sm_provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("version")
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(certified))),
    )
}

fn local(pair: &Pair) -> LocalKey {
    LocalKey::from_der(&pair.key()).expect("key")
}

#[test]
fn a_key_that_lives_elsewhere_serves_and_its_failure_ends_the_handshake() {
    let (authority, pair) = sm();
    let client = client(sm_provider(), &authority, None);
    heard(meet(&client, &with_signer(&pair, Arc::new(local(&pair)))));

    let gone = Arc::new(Gone(local(&pair).public_key()));
    let (asked, served) = meet(&client, &with_signer(&pair, gone));
    let wanted = Error::General("SM2 key could not sign: the card is not there".to_owned());
    assert_eq!(served.map(|_| ()), Err(wanted));
    assert!(asked.is_err());
}

#[test]
fn a_handshake_signed_under_the_id_of_certificates_is_refused() {
    let (authority, pair) = sm();
    let server = with_signer(&pair, Arc::new(WrongId(local(&pair))));
    let (asked, served) = meet(&client(sm_provider(), &authority, None), &server);
    let bad = Error::InvalidCertificate(CertificateError::BadSignature);
    assert_eq!(asked.map(|_| ()), Err(bad));
    assert!(matches!(served, Err(Error::AlertReceived(_))), "{served:?}");
}

/// A key that OpenSSL's command signs with, under the id as the standard writes it.
#[derive(Debug)]
struct ByOpenssl {
    folder: PathBuf,
    public: PublicKey,
    id: &'static str,
}

impl Sm2Signer for ByOpenssl {
    fn public_key(&self) -> PublicKey {
        self.public
    }

    fn sign(&self, _: &[u8], message: &[u8]) -> Result<Vec<u8>, SignerFailed> {
        std::fs::write(self.folder.join("message"), message).expect("written");
        let id = format!("distid:{}", self.id);
        let arguments = ["dgst", "-sm3", "-sign", "key.pem", "-sigopt", &id, "message"];
        Ok(openssl(&self.folder, &arguments))
    }
}

#[test]
fn a_handshake_signed_by_openssl_under_the_id_of_rfc_8998_is_taken_and_no_other() {
    let (authority, pair) = sm();
    let client = client(sm_provider(), &authority, None);
    for (id, right) in [
        ("TLSv1.3+GM+Cipher+Suite", true),
        ("1234567812345678", false),
        ("TLSv1.3+GM+Cipher+Suit", false),
    ] {
        let signer = ByOpenssl {
            folder: pair.folder.path().to_owned(),
            public: local(&pair).public_key(),
            id,
        };
        let both = meet(&client, &with_signer(&pair, Arc::new(signer)));
        if right {
            heard(both);
        } else {
            let bad = Error::InvalidCertificate(CertificateError::BadSignature);
            assert_eq!(both.0.map(|_| ()), Err(bad), "{id}");
        }
    }
}

#[test]
fn who_offers_both_agrees_with_everybody() {
    let (sm_authority, sm_pair) = sm();
    let classic_authority = Authority::new(Kind::P256, "Classic root");
    let classic_pair = classic_authority.issue(Kind::P256, "server", "DNS:localhost");
    // A client that knows both roots.
    let both_roots = |offer: Offer| {
        let mut roots = crate::roots(&sm_authority);
        roots.add(classic_authority.certificate()).expect("root");
        Arc::new(
            rustls::ClientConfig::builder_with_provider(offer.provider())
                .with_safe_default_protocol_versions()
                .expect("versions")
                .with_root_certificates(roots)
                .with_no_client_auth(),
        )
    };
    let sm_certified = smtls::certified(sm_pair.chain(), Arc::new(local(&sm_pair))).expect("pair");
    for offer in [Offer::SmFirst, Offer::ClassicFirst] {
        let provider = offer.provider();
        let classic = rustls::sign::CertifiedKey::from_der(classic_pair.chain(), classic_pair.key(), &provider);
        let resolver = smtls::Both::new(Arc::clone(&sm_certified), Arc::new(classic.expect("pair")), &provider);
        let server = Arc::new(
            rustls::ServerConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .expect("versions")
                .with_no_client_auth()
                .with_cert_resolver(Arc::new(resolver)),
        );
        for (asks, wanted) in [
            (Offer::Sm, true),
            (Offer::SmFirst, true),
            (Offer::ClassicFirst, false),
            (Offer::Classic, false),
        ] {
            let (talked, _) = heard(meet(&both_roots(asks), &server));
            assert_eq!(talked.sm, wanted, "{asks} meets {offer}: {talked:?}");
            assert_eq!(talked.suite == 0x00c6, wanted);
        }
    }
    // And a client of both with servers of one kind.
    for asks in [Offer::SmFirst, Offer::ClassicFirst] {
        let (talked, _) = heard(meet(&both_roots(asks), &server(sm_provider(), &sm_pair, None)));
        assert!(talked.sm);
        let classic = server(Offer::Classic.provider(), &classic_pair, None);
        assert!(!heard(meet(&both_roots(asks), &classic)).0.sm);
    }
}

/// Answers an own hello with a point that is none.
#[derive(Debug)]
struct BadPoint;

impl rustls::crypto::SupportedKxGroup for BadPoint {
    fn start(&self) -> Result<Box<dyn rustls::crypto::ActiveKeyExchange>, Error> {
        Ok(Box::new(Self))
    }

    fn name(&self) -> rustls::NamedGroup {
        smtls::GROUP
    }
}

impl rustls::crypto::ActiveKeyExchange for BadPoint {
    fn complete(self: Box<Self>, _: &[u8]) -> Result<rustls::crypto::SharedSecret, Error> {
        Ok([0u8; 32][..].into())
    }

    fn pub_key(&self) -> &[u8] {
        const { &[4; 65] }
    }

    fn group(&self) -> rustls::NamedGroup {
        smtls::GROUP
    }
}

#[test]
fn a_point_off_the_curve_is_refused() {
    let (authority, pair) = sm();
    let bad = rustls::crypto::CryptoProvider {
        kx_groups: vec![&BadPoint],
        ..smtls::provider()
    };
    let (asked, served) = meet(
        &client(Arc::new(bad), &authority, None),
        &server(sm_provider(), &pair, None),
    );
    let wanted = Error::PeerMisbehaved(PeerMisbehaved::InvalidKeyShare);
    assert_eq!(served.map(|_| ()), Err(wanted));
    assert!(asked.is_err());
}
