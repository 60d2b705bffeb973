use super::*;

fn bytes(hex_digits: &str) -> [u8; 32] {
    hex::decode(hex_digits).expect("hex").try_into().expect("32 bytes")
}

const D: &str = "3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8";
const K: &str = "59276e27d506861a16680f3ad9c02dccef3cc1fa3cdbe4ce6d54b80deac1bc21";
const X1: &str = "04ebfc718e8d1798620432268e77feb6415e2ede0e073c0f4f640ecd2e149a73";
const Y1: &str = "e858f9d81e5430a57b36daab8f950a3c64e6ee6a63094d99283aff767e124df0";
const C3: &str = "59983c18f809e262923c53aec295d30383b54e39d609d160afcb1908d0bd8766";
const C2: &str = "21886ca989ca9c7d58087307ca93092d651efa";
const PLAIN: &[u8] = b"encryption standard";

#[test]
fn the_example_of_gbt_32918_5_annex_c_comes_out_to_the_byte() {
    let key = PrivateKey::from_bytes(&bytes(D)).expect("key");
    let k = Scalar::from_bytes(&bytes(K)).expect("below n");
    let text = key.public_key().encrypt_with(PLAIN, &k).expect("stream is not zero");
    assert_eq!(hex::encode(text.to_bytes()), format!("04{X1}{Y1}{C3}{C2}"));
    let der = format!("307c0220{X1}022100{Y1}0420{C3}0413{C2}");
    assert_eq!(hex::encode(text.to_der()), der);

    let old = hex::decode(format!("04{X1}{Y1}{C2}{C3}")).expect("hex");
    assert_eq!(Ciphertext::from_old_bytes(&old).as_ref(), Ok(&text));
    assert_eq!(Ciphertext::from_bytes(&text.to_bytes()).as_ref(), Ok(&text));
    assert_eq!(Ciphertext::from_der(&text.to_der()).as_ref(), Ok(&text));
    assert_eq!(key.decrypt(&text).expect("whole").as_slice(), PLAIN);
    // The old order read as the new one is a text that nobody encrypted.
    let swapped = Ciphertext::from_bytes(&old).expect("of the right form");
    assert_eq!(key.decrypt(&swapped).map(|_| ()), Err(Refused::Decryption));
}

/// The first k for which the key stream of one byte is zero.
fn zero_stream(key: &PublicKey) -> (Scalar, Shared) {
    (1..20_000u64)
        .map(|k| Scalar::reduced(&[k, 0, 0, 0]))
        .map(|k| (k, Shared::new(&window::multiply(key.point(), &k))))
        .find(|(_, shared)| shared.mixed(&[0]).1.reveal())
        .expect("one in 256")
}

#[test]
fn a_key_stream_of_zeros_encrypts_nothing_and_decrypts_nothing() {
    let key = PrivateKey::from_bytes(&bytes(D)).expect("key");
    let (k, shared) = zero_stream(key.public_key());
    assert!(key.public_key().encrypt_with(b"A", &k).is_none(), "another k is drawn");
    assert!(key.public_key().encrypt_with(b"A longer text", &k).is_some());
    // What an encryptor would have sent that did not look: the plain text in the clear, with a right C3.
    let sent = Ciphertext {
        point: PublicKey::of(masked::multiply(&k).to_affine()),
        hash: shared.hash(b"A"),
        body: b"A".to_vec(),
    };
    assert_eq!(key.decrypt(&sent).map(|_| ()), Err(Refused::Decryption));
}

#[test]
fn one_byte_texts_come_back_whichever_k_was_drawn() {
    let mut nonces = Nonces::new();
    let key = PrivateKey::generate(&mut nonces).expect("key");
    for byte in 0..=255u8 {
        let text = key.public_key().encrypt(&[byte], &mut nonces).expect("encrypted");
        assert_eq!(key.decrypt(&text).expect("whole").as_slice(), [byte]);
    }
}
