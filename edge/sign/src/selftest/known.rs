//! Known answers: published examples, and for RSA and ECDSA signatures that OpenSSL made.

use gm::key::{P256Key, Signer, Sm2Key};
use gm::{Algorithm, PublicKey, der};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

type Test = fn() -> Result<(), String>;

/// Every test by its name.
pub(super) const ANSWERS: &[(&str, Test)] = &[
    ("sm3", sm3),
    ("sha256", sha256),
    ("sm4", sm4),
    ("sm4-gcm", sm4_gcm),
    ("aes-gcm", aes_gcm),
    ("sm2-verify", sm2_verify),
    ("sm2-sign", sm2_sign),
    ("p256-verify", p256_verify),
    ("p256-sign", p256_sign),
    ("rsa-verify", rsa_verify),
];

fn equal(found: impl AsRef<[u8]>, expected: &str) -> Result<(), String> {
    if hex::encode(found) == expected {
        Ok(())
    } else {
        Err("结果与标准值不符".to_owned())
    }
}

/// GB/T 32905 A.1.
fn sm3() -> Result<(), String> {
    let expected = "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0";
    equal(gm::sm3(b"abc"), expected)
}

/// FIPS 180-4.
fn sha256() -> Result<(), String> {
    let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    equal(gm::key::sha256(b"abc"), expected)
}

const SM4_KEY: [u8; 16] = [
    0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x32, 0x10,
];

/// GB/T 32907 A.1: every path that this processor has.
fn sm4() -> Result<(), String> {
    for path in block::Path::all() {
        let mut data = SM4_KEY;
        block::ecb::encrypt(&block::Key::on(path, &SM4_KEY), &mut data).map_err(|e| e.to_string())?;
        equal(data, "681edf34d206965e86b3e94f536e4246")?;
    }
    Ok(())
}

/// RFC 8998 A.1.
fn sm4_gcm() -> Result<(), String> {
    let nonce = [0, 0, 0x12, 0x34, 0x56, 0x78, 0, 0, 0, 0, 0xab, 0xcd];
    let aad = hex::decode("feedfacedeadbeeffeedfacedeadbeefabaddad2").map_err(|e| e.to_string())?;
    let mut data = Vec::new();
    for byte in [0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0xee, 0xaa] {
        data.extend([byte; 8]);
    }
    let tag = block::Gcm::new(&SM4_KEY).seal_in_place(&nonce, &aad, &mut data);
    equal(tag, "83de3541e4c2b58177e065a9bf7b62ec")
}

/// The GCM specification's test case 13 (AES-256, nothing encrypted).
fn aes_gcm() -> Result<(), String> {
    let failed = |_| "AES 运算失败".to_owned();
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[0; 32]).map_err(failed)?);
    let nonce = Nonce::assume_unique_for_key([0; 12]);
    let tag = key
        .seal_in_place_separate_tag(nonce, Aad::empty(), &mut [])
        .map_err(failed)?;
    equal(tag, "530f8afbc74536b9a963b4f1c4cb738b")
}

/// GB/T 32918.5 A.2.
fn sm2_verify() -> Result<(), String> {
    let point = "0409f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020\
                 ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13";
    let r = "f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3";
    let s = "b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa";
    let number = |text: &str| hex::decode(text).map_err(|e| e.to_string());
    let key = PublicKey::from_point(gm::key::Kind::Sm2, &number(point)?).map_err(|e| e.to_string())?;
    let signature = der::sequence(&[&der::unsigned(&number(r)?), &der::unsigned(&number(s)?)]);
    verifies_only(&key, Algorithm::Sm2, b"message digest", &signature)
}

/// A new key signs what verifies, twice differently.
fn sm2_sign() -> Result<(), String> {
    let key = Sm2Key::generate().map_err(|e| e.to_string())?;
    let first = key.sign(b"abc").map_err(|e| e.to_string())?;
    let second = key.sign(b"abc").map_err(|e| e.to_string())?;
    if first == second {
        return Err("签名随机数重复".to_owned());
    }
    verifies_only(key.public_key(), key.algorithm(), b"abc", &second)
}

fn p256_verify() -> Result<(), String> {
    let key = spki(include_bytes!("p256.key.der"))?;
    verifies_only(
        &key,
        Algorithm::default_of(key.kind()),
        b"abc",
        include_bytes!("p256.signature"),
    )
}

fn p256_sign() -> Result<(), String> {
    let secret = P256Key::generate().map_err(|e| e.to_string())?;
    let key = P256Key::from_pkcs8(&secret).map_err(|e| e.to_string())?;
    let signature = key.sign(b"abc").map_err(|e| e.to_string())?;
    verifies_only(key.public_key(), key.algorithm(), b"abc", &signature)
}

fn rsa_verify() -> Result<(), String> {
    let key = spki(include_bytes!("rsa.key.der"))?;
    verifies_only(
        &key,
        Algorithm::default_of(key.kind()),
        b"abc",
        include_bytes!("rsa.signature"),
    )
}

fn spki(der: &[u8]) -> Result<PublicKey, String> {
    PublicKey::read_spki(&mut der::Reader::new(der, "key")).map_err(|e| e.to_string())
}

/// The signature holds for this message and for no other.
fn verifies_only(key: &PublicKey, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> Result<(), String> {
    key.verify(algorithm, message, signature).map_err(|e| e.to_string())?;
    match key.verify(algorithm, b"another", signature) {
        Err(_) => Ok(()),
        Ok(()) => Err("错误的签名被接受".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_answer_is_given() {
        for (name, test) in ANSWERS {
            assert_eq!(test(), Ok(()), "{name}");
        }
    }
}
