//! Private keys as files have them.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer};
use smtls::{KeyRefused, Offer, key_from_pem, read_key};

use crate::authority::{Kind, make_key, openssl};

fn folder(kind: Kind) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("folder");
    make_key(folder.path(), kind);
    folder
}

/// The public key as `openssl` sees it: the last 65 bytes of SubjectPublicKeyInfo.
fn public(folder: &tempfile::TempDir) -> Vec<u8> {
    let der = openssl(folder.path(), &["pkey", "-in", "key.pem", "-pubout", "-outform", "DER"]);
    der[der.len() - 65..].to_vec()
}

fn from_pem(folder: &tempfile::TempDir, file: &str) -> Result<PrivateKeyDer<'static>, KeyRefused> {
    key_from_pem(&std::fs::read(folder.path().join(file)).expect("file"))
}

#[test]
fn pkcs8_and_sec1_of_openssl_are_read() {
    let folder = folder(Kind::Sm2);
    let pkcs8 = from_pem(&folder, "key.pem").expect("PKCS#8");
    assert!(matches!(pkcs8, PrivateKeyDer::Pkcs8(_)));
    let key = read_key(&pkcs8).expect("key");
    assert_eq!(key.public_key().to_point()[..], public(&folder));

    // OpenSSL writes the label `SM2 PRIVATE KEY`.
    openssl(folder.path(), &["ec", "-in", "key.pem", "-out", "sec1.pem"]);
    let sec1 = from_pem(&folder, "sec1.pem").expect("SEC1");
    assert!(matches!(sec1, PrivateKeyDer::Sec1(_)));
    assert_eq!(read_key(&sec1).expect("key").to_bytes(), key.to_bytes());
    // Without its public half.
    openssl(
        folder.path(),
        &["ec", "-in", "key.pem", "-no_public", "-out", "short.pem"],
    );
    let short = from_pem(&folder, "short.pem").expect("SEC1");
    assert_eq!(read_key(&short).expect("key").to_bytes(), key.to_bytes());
}

#[test]
fn files_that_hold_no_plain_key_are_refused_by_what_they_are() {
    let folder = folder(Kind::Sm2);
    let encrypt = [
        "pkcs8",
        "-topk8",
        "-in",
        "key.pem",
        "-passout",
        "pass:x",
        "-out",
        "encrypted.pem",
    ];
    openssl(folder.path(), &encrypt);
    assert_eq!(
        from_pem(&folder, "encrypted.pem").map(|_| ()),
        Err(KeyRefused::Encrypted)
    );
    for text in [
        &b""[..],
        b"\xff\xfe",
        b"-----BEGIN PRIVATE KEY-----\n*\n-----END PRIVATE KEY-----\n",
    ] {
        assert_eq!(key_from_pem(text).map(|_| ()), Err(KeyRefused::Form));
    }
}

#[test]
fn keys_of_another_kind_go_to_the_classic_reader_or_are_refused_by_name() {
    let key = || PrivateKeyDer::from_pem_file(folder(Kind::P256).path().join("key.pem")).expect("key");
    assert_eq!(read_key(&key()).map(|_| ()), Err(KeyRefused::NotSm2));
    let refused = Offer::Sm.provider().key_provider.load_private_key(key()).map(|_| ());
    assert_eq!(refused, Err(rustls::Error::General(KeyRefused::NotSm2.to_string())));
    for offer in [Offer::SmFirst, Offer::ClassicFirst] {
        offer
            .provider()
            .key_provider
            .load_private_key(key())
            .expect("ring reads it");
        let sm2 = PrivateKeyDer::from_pem_file(folder(Kind::Sm2).path().join("key.pem")).expect("key");
        offer.provider().key_provider.load_private_key(sm2).expect("read here");
    }
}

type Read = fn(&[u8]) -> PrivateKeyDer<'_>;

#[test]
fn damaged_keys_are_refused_and_never_read_as_another() {
    let folder = folder(Kind::Sm2);
    let pkcs8 = openssl(
        folder.path(),
        &["pkcs8", "-topk8", "-nocrypt", "-in", "key.pem", "-outform", "DER"],
    );
    let sec1 = openssl(folder.path(), &["ec", "-in", "key.pem", "-outform", "DER"]);
    let secret = read_key(&PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(&pkcs8[..])))
        .expect("key")
        .to_bytes();
    let wrap: [(&[u8], Read); 2] = [
        (&pkcs8, |der| PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(der))),
        (&sec1, |der| PrivateKeyDer::Sec1(PrivateSec1KeyDer::from(der))),
    ];
    for (whole, read) in wrap {
        for end in 0..whole.len() {
            assert!(read_key(&read(&whole[..end])).is_err(), "cut at {end}");
        }
        assert!(read_key(&read(&[whole, &[0]].concat())).is_err(), "a byte behind");
        for bit in 0..whole.len() * 8 {
            let mut changed = whole.to_vec();
            changed[bit / 8] ^= 1 << (bit % 8);
            // A changed version says nothing of the key. No other change may go unnoticed: the public half judges.
            if let Ok(key) = read_key(&read(&changed)) {
                assert_eq!(key.to_bytes(), secret, "bit {bit}");
            }
        }
    }
    let at = pkcs8
        .windows(32)
        .position(|window| window == *secret)
        .expect("the number");
    let mut zero = pkcs8.clone();
    zero[at..at + 32].fill(0);
    let refused = read_key(&PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(&zero[..])));
    assert_eq!(refused.map(|_| ()), Err(KeyRefused::Range));
    let mut other = pkcs8.clone();
    other[at + 31] ^= 1;
    let refused = read_key(&PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(&other[..])));
    assert_eq!(refused.map(|_| ()), Err(KeyRefused::Mismatch));
}
