use aes_gcm::aead::{Aead, KeyInit, Payload};
use rustls::crypto::cipher::OutboundChunks;

use super::*;

fn keyed() -> (AeadKey, Iv) {
    let mut key = [0; 32];
    key[..16].copy_from_slice(&[0x5a; 16]);
    (AeadKey::from(key), Iv::new([0xc3; 12]))
}

fn record(text: &[u8], number: u64) -> Vec<u8> {
    let (key, iv) = keyed();
    let message = OutboundPlainMessage {
        typ: ContentType::ApplicationData,
        version: ProtocolVersion::TLSv1_3,
        payload: OutboundChunks::Single(text),
    };
    Sm4Gcm
        .encrypter(key, iv)
        .encrypt(message, number)
        .expect("sealed")
        .encode()
}

fn open(record: &[u8], number: u64) -> Result<Vec<u8>, Error> {
    let (key, iv) = keyed();
    let mut body = record.get(5..).unwrap_or_default().to_vec();
    let message = InboundOpaqueMessage::new(ContentType::ApplicationData, ProtocolVersion::TLSv1_2, &mut body);
    let plain = Sm4Gcm.decrypter(key, iv).decrypt(message, number)?;
    Ok(plain.payload.to_vec())
}

/// The same key, nonce and header, by RustCrypto's GCM over its SM4.
#[test]
fn records_are_what_the_standard_and_another_implementation_say() {
    for (length, number) in [
        (0, 0),
        (1, 1),
        (15, 2),
        (16, 255),
        (1_000, 256),
        (16_384, u64::from(u32::MAX) + 9),
    ] {
        let text = vec![0x41; length];
        let record = record(&text, number);
        let (header, body) = record.split_at(5);
        assert_eq!(
            header,
            [&[23, 3, 3][..], &((length + 17) as u16).to_be_bytes()].concat()
        );
        let mut nonce = [0xc3; 12];
        nonce[4..]
            .iter_mut()
            .zip(number.to_be_bytes())
            .for_each(|(to, byte)| *to ^= byte);
        let theirs = aes_gcm::AesGcm::<sm4::Sm4, aes_gcm::aead::consts::U12>::new(&[0x5a; 16].into());
        let inner = [&text[..], &[23]].concat();
        let sealed = theirs.encrypt(
            &nonce.into(),
            Payload {
                msg: &inner,
                aad: header,
            },
        );
        assert_eq!(sealed.expect("sealed"), body, "{length}");
        assert_eq!(open(&record, number).expect("opened"), text);
    }
}

#[test]
fn changed_cut_and_reordered_records_are_refused() {
    let whole = record(b"dose", 7);
    for bit in 5 * 8..whole.len() * 8 {
        let mut changed = whole.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(matches!(open(&changed, 7), Err(Error::DecryptError)), "bit {bit}");
    }
    for end in 0..whole.len() {
        assert!(
            matches!(open(&whole[..end], 7), Err(Error::DecryptError)),
            "cut at {end}"
        );
    }
    assert!(matches!(open(&whole, 8), Err(Error::DecryptError)), "another number");
}

/// RFC 8998, appendix A.1.
#[test]
fn the_example_of_rfc_8998_comes_out_to_the_byte() {
    let bytes = |text: &str| hex::decode(text).expect("hex");
    let key: [u8; 16] = bytes("0123456789abcdeffedcba9876543210").try_into().expect("16");
    let nonce: [u8; 12] = bytes("00001234567800000000abcd").try_into().expect("12");
    let aad = bytes("feedfacedeadbeeffeedfacedeadbeefabaddad2");
    let plain: Vec<u8> = [0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0xee, 0xaa]
        .into_iter()
        .flat_map(|byte| [byte; 8])
        .collect();
    let mut data = plain.clone();
    let gcm = Gcm::new(&key);
    let tag = gcm.seal_in_place(&nonce, &aad, &mut data);
    assert_eq!(
        hex::encode(&data),
        "17f399f08c67d5ee19d0dc9969c4bb7d5fd46fd3756489069157b282bb200735\
         d82710ca5c22f0ccfa7cbf93d496ac15a56834cbcf98c397b4024a2691233b8d"
    );
    assert_eq!(hex::encode(tag), "83de3541e4c2b58177e065a9bf7b62ec");
    assert_eq!(gcm.open_in_place(&nonce, &aad, &mut data, &tag), Ok(()));
    assert_eq!(data, plain);
}
