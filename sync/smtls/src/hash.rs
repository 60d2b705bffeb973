//! SM3 (GB/T 32905), and HMAC over it.

use hmac::{Hmac, KeyInit, Mac};
use rustls::crypto::hash::{Context, Hash, HashAlgorithm, Output};
use rustls::crypto::hmac::{Hmac as TlsHmac, Key, Tag};
use sm3::{Digest, Sm3};

/// SM3 for transcripts.
pub(crate) struct Sm3Hash;

/// HMAC-SM3 for the key schedule.
pub(crate) struct HmacSm3;

struct Running(Sm3);

impl Hash for Sm3Hash {
    fn start(&self) -> Box<dyn Context> {
        Box::new(Running(Sm3::new()))
    }

    fn hash(&self, data: &[u8]) -> Output {
        Output::new(&Sm3::digest(data))
    }

    fn output_len(&self) -> usize {
        32
    }

    fn algorithm(&self) -> HashAlgorithm {
        // The first byte of sm2sig_sm3; only compared with itself.
        HashAlgorithm::Unknown(7)
    }
}

impl Context for Running {
    fn fork_finish(&self) -> Output {
        Output::new(&self.0.clone().finalize())
    }

    fn fork(&self) -> Box<dyn Context> {
        Box::new(Self(self.0.clone()))
    }

    fn finish(self: Box<Self>) -> Output {
        Output::new(&self.0.finalize())
    }

    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }
}

/// A key, taken in.
struct Keyed(Hmac<Sm3>);

impl TlsHmac for HmacSm3 {
    fn with_key(&self, key: &[u8]) -> Box<dyn Key> {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
        Box::new(Keyed(Hmac::new_from_slice(key).expect("any length")))
    }

    fn hash_output_len(&self) -> usize {
        32
    }
}

impl Key for Keyed {
    fn sign_concat(&self, first: &[u8], middle: &[&[u8]], last: &[u8]) -> Tag {
        let mut mac = self.0.clone();
        mac.update(first);
        for part in middle {
            mac.update(part);
        }
        mac.update(last);
        Tag::new(&mac.finalize().into_bytes())
    }

    fn tag_len(&self) -> usize {
        32
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use rustls::crypto::tls13::{Hkdf, HkdfUsingHmac};

    use super::*;

    /// HKDF-SM3 as OpenSSL computes it.
    fn openssl(secret: &[u8], salt: &[u8], info: &[u8]) -> String {
        let hexed = |name: &str, bytes: &[u8]| format!("{name}:{}", hex::encode(bytes));
        let output = Command::new("openssl")
            .args(["kdf", "-keylen", "42", "-kdfopt", "digest:SM3", "-kdfopt"])
            .arg(hexed("hexkey", secret))
            .arg("-kdfopt")
            .arg(hexed("hexsalt", salt))
            .arg("-kdfopt")
            .arg(hexed("hexinfo", info))
            .arg("HKDF")
            .output()
            .expect("openssl runs");
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).expect("text");
        text.trim().replace(':', "").to_lowercase()
    }

    #[test]
    fn key_derivation_is_openssls() {
        for length in [1, 32, 63, 64, 65, 200] {
            let (secret, salt, info) = (vec![7; length], vec![9; 33], [b'i'; 11]);
            let mut key = [0; 42];
            HkdfUsingHmac(&HmacSm3)
                .extract_from_secret(Some(&salt), &secret)
                .expand_slice(&[&info[..4], &info[4..]], &mut key)
                .expect("short");
            assert_eq!(hex::encode(key), openssl(&secret, &salt, &info), "{length}");
        }
    }

    #[test]
    fn a_transcript_is_hashed_the_same_in_pieces_and_forks() {
        let mut running = Sm3Hash.start();
        running.update(b"a");
        let fork = running.fork();
        running.update(b"bc");
        // The example of GB/T 32905, A.1.
        let abc = "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0";
        assert_eq!(hex::encode(running.fork_finish()), abc);
        assert_eq!(hex::encode(running.finish()), abc);
        assert_eq!(hex::encode(Sm3Hash.hash(b"abc")), abc);
        assert_eq!(fork.finish().as_ref(), Sm3Hash.hash(b"a").as_ref());
    }
}
