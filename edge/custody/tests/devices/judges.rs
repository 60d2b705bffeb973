//! Other software that verifies and encrypts: OpenSSL's command line and RustCrypto.

use std::path::{Path, PathBuf};
use std::process::Command;

use sm2::dsa::signature::Verifier;
use tempfile::TempDir;

pub(crate) const MESSAGE: &[u8] = "处方 rx_1: 阿莫西林胶囊 0.5g".as_bytes();

struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

fn openssl(args: &[&str], paths: &[(&str, &Path)]) -> std::process::Output {
    let mut command = Command::new("openssl");
    command.args(args);
    for (option, path) in paths {
        if !option.is_empty() {
            command.arg(option);
        }
        command.arg(path);
    }
    command.output().unwrap()
}

/// `openssl dgst -verify` over [`MESSAGE`].
pub(crate) fn openssl_verifies(spki: &[u8], hash: &str, options: &[&str], signature: &[u8]) -> bool {
    let desk = Desk::new();
    let (key, signature, message) = (
        desk.put("key", spki),
        desk.put("sig", signature),
        desk.put("m", MESSAGE),
    );
    let mut args = vec!["dgst", hash, "-keyform", "DER"];
    args.extend(options.iter().flat_map(|option| ["-sigopt", *option]));
    let output = openssl(&args, &[("-verify", &key), ("-signature", &signature), ("", &message)]);
    output.status.success()
}

/// `openssl pkeyutl -encrypt`.
pub(crate) fn openssl_encrypts(spki: &[u8], options: &[&str], plain: &[u8]) -> Vec<u8> {
    let desk = Desk::new();
    let (key, plain) = (desk.put("key", spki), desk.put("plain", plain));
    let mut args = vec!["pkeyutl", "-encrypt", "-pubin", "-keyform", "DER"];
    args.extend(options.iter().flat_map(|option| ["-pkeyopt", *option]));
    let output = openssl(&args, &[("-inkey", &key), ("-in", &plain)]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// The point at the end of an elliptic `SubjectPublicKeyInfo`.
pub(crate) fn point(spki: &[u8]) -> [u8; 65] {
    *spki.last_chunk().unwrap()
}

/// e of [`MESSAGE`] under the default user id.
pub(crate) fn e(spki: &[u8]) -> [u8; 32] {
    let key = curve::PublicKey::from_point(&point(spki)).unwrap();
    curve::Bound::new(curve::DEFAULT_ID, &key).unwrap().digest(MESSAGE)
}

/// RustCrypto verifies an SM2 signature over [`MESSAGE`] itself, Z and all.
pub(crate) fn rustcrypto_verifies(spki: &[u8], signature: &[u8]) -> bool {
    let key = sm2::dsa::VerifyingKey::from_sec1_bytes("1234567812345678", &point(spki)).unwrap();
    let signature = curve::Signature::from_der(signature).unwrap().to_bytes();
    let signature = sm2::dsa::Signature::from_slice(&signature).unwrap();
    key.verify(MESSAGE, &signature).is_ok()
}

/// Both say the SM2 signature is good, and bad for another message's e.
pub(crate) fn sm2_holds(spki: &[u8], signature: &[u8]) -> bool {
    let options = ["distid:1234567812345678"];
    openssl_verifies(spki, "-sm3", &options, signature) && rustcrypto_verifies(spki, signature)
}

/// A digest of [`MESSAGE`].
pub(crate) fn sha(hash: custody::Hash) -> Vec<u8> {
    let algorithm = match hash {
        custody::Hash::Sha256 => &ring::digest::SHA256,
        custody::Hash::Sha384 => &ring::digest::SHA384,
        custody::Hash::Sha512 => &ring::digest::SHA512,
    };
    ring::digest::digest(algorithm, MESSAGE).as_ref().to_vec()
}

/// What opens under every RSA key to a block without padding: the number 1, whose every power is 1. A changed cipher text
/// opens to any block, now and then to one that is padded.
pub(crate) fn unpadded(length: usize) -> Vec<u8> {
    [vec![0; length - 1], vec![1]].concat()
}
