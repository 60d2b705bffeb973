//! Other implementations of the same standards as judges, over every length up to a few batches and every path.

use std::io::Write;
use std::process::{Command, Stdio};

use aes_gcm::aead::consts::U12;
use aes_gcm::aead::{Aead, KeyInit, Payload};
use block::{BLOCK, Block, Gcm, Key, Path, Refused, cbc, ctr, ecb, gcm};
use proptest::prelude::*;
use sm4::cipher::BlockCipherEncrypt;

/// Every short one, and those about the batches of the paths.
fn lengths() -> impl Iterator<Item = usize> {
    let long = [2032, 2047, 2048, 2049, 2064, 4095, 4096, 4097, 4111, 16_384, 16_399];
    (0..1101).chain(long)
}

/// Bytes that depend on place and seed.
fn some(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let next = || {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

fn array<const N: usize>(seed: u64) -> [u8; N] {
    some(seed, N).try_into().unwrap()
}

fn peer_block(key: &Block, block: Block) -> Block {
    let mut block = block.into();
    sm4::Sm4::new(key.into()).encrypt_block(&mut block);
    block.into()
}

/// Counter mode from single blocks of the peer.
fn peer_stream(key: &Block, iv: &Block, data: &[u8]) -> Vec<u8> {
    let numbers = (0..).map(|n| u128::from_be_bytes(*iv).wrapping_add(n));
    let stream = numbers.flat_map(|number| peer_block(key, number.to_be_bytes()));
    data.iter().zip(stream).map(|(byte, pad)| byte ^ pad).collect()
}

/// CBC with padding from single blocks of the peer.
fn peer_chain(key: &Block, iv: &Block, text: &[u8]) -> Vec<u8> {
    let mut padded = text.to_vec();
    let missing = BLOCK - text.len() % BLOCK;
    padded.extend(std::iter::repeat_n(missing as u8, missing));
    let mut last = *iv;
    for block in padded.as_chunks_mut().0 {
        last = peer_block(key, std::array::from_fn(|at| block[at] ^ last[at]));
        *block = last;
    }
    padded
}

#[test]
fn gcm_agrees_with_rustcrypto_at_every_length() {
    for length in lengths() {
        let seed = length as u64;
        let (key, nonce) = (array(seed), array::<12>(seed + 1));
        let (aad, text) = (some(seed + 2, length % 67), some(seed + 3, length));
        let judge = aes_gcm::AesGcm::<sm4::Sm4, U12>::new(&key.into());
        let payload = Payload { msg: &text, aad: &aad };
        let wanted = judge.encrypt(&nonce.into(), payload).unwrap();
        for path in Path::all() {
            let gcm = Gcm::on(path, &key);
            let mut data = text.clone();
            let tag = gcm.seal_in_place(&nonce, &aad, &mut data);
            assert_eq!([data.as_slice(), &tag].concat(), wanted, "{path:?}, {length}");
            gcm.open_in_place(&nonce, &aad, &mut data, &tag).unwrap();
            assert_eq!(data, text, "{path:?}, {length}");
        }
    }
}

#[test]
fn the_other_modes_agree_with_rustcrypto_at_every_length() {
    for length in lengths() {
        let seed = 7 * length as u64;
        let (bytes, text) = (array(seed), some(seed + 2, length));
        // Some of the numbers run over on their way, in 32 bits and in all.
        let mut iv: Block = array(seed + 1);
        let ones = [0, 4, 16][length % 3];
        iv[BLOCK - ones..].fill(0xff);
        let stream = peer_stream(&bytes, &iv, &text);
        let chain = peer_chain(&bytes, &iv, &text);
        for path in Path::all() {
            let key = Key::on(path, &bytes);
            let mut data = text.clone();
            ctr::Stream::new(&key, &iv).apply(&mut data);
            assert_eq!(data, stream, "{path:?}, {length}");
            assert_eq!(cbc::encrypt(&key, &iv, &text), chain, "{path:?}, {length}");
            assert_eq!(cbc::decrypt(&key, &iv, &chain).unwrap(), text, "{path:?}, {length}");
            let mut data = text.clone();
            if length % BLOCK == 0 {
                ecb::encrypt(&key, &mut data).unwrap();
                for (sealed, block) in data.as_chunks().0.iter().zip(text.as_chunks().0) {
                    assert_eq!(*sealed, peer_block(&bytes, *block), "{path:?}, {length}");
                }
                ecb::decrypt(&key, &mut data).unwrap();
            } else {
                assert_eq!(ecb::encrypt(&key, &mut data), Err(Refused::Length));
                assert_eq!(ecb::decrypt(&key, &mut data), Err(Refused::Length));
            }
            assert_eq!(data, text, "{path:?}, {length}");
        }
    }
}

/// Cuts `data` at places drawn from `cuts`.
fn pieces<'a>(data: &'a mut [u8], cuts: &[usize]) -> Vec<&'a mut [u8]> {
    let mut rest = data;
    let mut all = Vec::new();
    for cut in cuts {
        let (now, later) = rest.split_at_mut(cut % (rest.len() + 1));
        all.push(now);
        rest = later;
    }
    all.push(rest);
    all
}

proptest! {
    #[test]
    fn pieces_are_the_whole(
        bytes: Block, iv: Block, nonce: [u8; 12], aad: Vec<u8>,
        text in proptest::collection::vec(any::<u8>(), 0..9000),
        cuts in proptest::collection::vec(0..4000usize, 0..6),
        there in 0..9000usize,
    ) {
        for path in Path::all() {
            let (key, gcm) = (Key::on(path, &bytes), Gcm::on(path, &bytes));

            let mut whole = text.clone();
            let tag = gcm.seal_in_place(&nonce, &aad, &mut whole);
            let mut data = text.clone();
            let mut sealer = gcm::Sealer::new(&gcm, &nonce, &aad);
            for piece in pieces(&mut data, &cuts) {
                sealer.update(piece).unwrap();
            }
            prop_assert_eq!(sealer.finish(), tag);
            prop_assert_eq!(&data, &whole);
            let mut opener = gcm::Opener::new(&gcm, &nonce, &aad);
            for piece in pieces(&mut data, &cuts) {
                opener.check(piece).unwrap();
            }
            let mut opened = opener.finish(&tag).unwrap();
            for piece in pieces(&mut data, &cuts) {
                opened.update(piece).unwrap();
            }
            prop_assert_eq!(opened.update(&mut [0]), Err(Refused::TooLong));
            prop_assert_eq!(&data, &text);

            let mut whole = text.clone();
            ctr::Stream::new(&key, &iv).apply(&mut whole);
            let mut stream = ctr::Stream::new(&key, &iv);
            for piece in pieces(&mut data, &cuts) {
                stream.apply(piece);
            }
            prop_assert_eq!(&data, &whole);
            let there = there.min(text.len());
            stream.seek(there as u64);
            stream.apply(&mut data[there..]);
            prop_assert_eq!(&data[there..], &text[there..]);

            let mut data = text.clone();
            let (mut sealed, mut out) = (Vec::new(), Vec::new());
            let mut encryptor = cbc::Encryptor::new(&key, &iv);
            for piece in pieces(&mut data, &cuts) {
                encryptor.update(piece, &mut sealed);
            }
            encryptor.finish(&mut sealed);
            prop_assert_eq!(&sealed, &cbc::encrypt(&key, &iv, &text));
            let mut decryptor = cbc::Decryptor::new(&key, &iv);
            for piece in pieces(&mut sealed, &cuts) {
                decryptor.update(piece, &mut out);
            }
            decryptor.finish(&mut out).unwrap();
            prop_assert_eq!(out, text.clone());
        }
    }

    #[test]
    fn a_changed_message_is_refused_and_stays_sealed(
        bytes: Block, nonce: [u8; 12], aad in proptest::collection::vec(any::<u8>(), 1..40),
        text in proptest::collection::vec(any::<u8>(), 1..300), at: usize, bit in 0..8u8,
    ) {
        let flip = |of: &mut [u8]| of[at % of.len()] ^= 1 << bit;
        for path in Path::all() {
            let gcm = Gcm::on(path, &bytes);
            let mut sealed = text.clone();
            let tag = gcm.seal_in_place(&nonce, &aad, &mut sealed);
            let (mut other, mut others) = (sealed.clone(), (nonce, aad.clone(), tag));
            flip(&mut other);
            let changed = other.clone();
            prop_assert_eq!(gcm.open_in_place(&nonce, &aad, &mut other, &tag), Err(Refused::Tag));
            prop_assert_eq!(&other, &changed);
            flip(&mut others.0);
            flip(&mut others.1);
            flip(&mut others.2);
            let mut data = sealed.clone();
            prop_assert_eq!(gcm.open_in_place(&others.0, &aad, &mut data, &tag), Err(Refused::Tag));
            prop_assert_eq!(gcm.open_in_place(&nonce, &others.1, &mut data, &tag), Err(Refused::Tag));
            prop_assert_eq!(gcm.open_in_place(&nonce, &aad, &mut data, &others.2), Err(Refused::Tag));
            let mut opener = gcm::Opener::new(&gcm, &nonce, &aad);
            opener.check(&changed).unwrap();
            prop_assert_eq!(opener.finish(&tag).err(), Some(Refused::Tag));
            prop_assert_eq!(data, sealed);
        }
    }
}

#[test]
fn what_is_not_a_chain_is_refused() {
    let (key, iv) = (Key::new(&array(1)), array(2));
    let sealed = cbc::encrypt(&key, &iv, b"text");
    assert_eq!(cbc::decrypt(&key, &iv, &[]), Err(Refused::Length));
    assert_eq!(cbc::decrypt(&key, &iv, &sealed[..15]), Err(Refused::Length));
    assert_eq!(
        cbc::decrypt(&key, &iv, &[sealed.as_slice(), &[0]].concat()),
        Err(Refused::Length)
    );
    let mut other = iv;
    other[BLOCK - 1] ^= 1;
    assert_eq!(cbc::decrypt(&key, &other, &sealed), Err(Refused::Padding));
}

/// Debian's OpenSSL, which has no GCM over SM4.
#[test]
fn openssl_agrees() {
    let (bytes, iv) = (array(3), array(4));
    let key = Key::new(&bytes);
    for length in [0, 1, 15, 16, 17, 1000, 100_000] {
        let text = some(length as u64, length);
        let openssl = |mode: &str, iv: Option<&Block>| {
            let mut command = Command::new("openssl");
            command.args(["enc", mode, "-e", "-K", &hex::encode(bytes)]);
            if let Some(iv) = iv {
                command.args(["-iv", &hex::encode(iv)]);
            }
            let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
            let mut child = spawned.expect("openssl is in apt-packages.txt");
            let mut input = child.stdin.take().unwrap();
            let sent = text.clone();
            let sender = std::thread::spawn(move || input.write_all(&sent));
            let output = child.wait_with_output().unwrap();
            sender.join().unwrap().unwrap();
            assert!(output.status.success(), "openssl enc {mode}");
            output.stdout
        };
        assert_eq!(cbc::encrypt(&key, &iv, &text), openssl("-sm4-cbc", Some(&iv)));
        let mut data = text.clone();
        ctr::Stream::new(&key, &iv).apply(&mut data);
        assert_eq!(data, openssl("-sm4-ctr", Some(&iv)));
        let mut padded = text.clone();
        let missing = BLOCK - length % BLOCK;
        padded.extend(std::iter::repeat_n(missing as u8, missing));
        ecb::encrypt(&key, &mut padded).unwrap();
        assert_eq!(padded, openssl("-sm4-ecb", None));
    }
}

#[test]
fn keys_do_not_print() {
    let key = [0xab; 16];
    let shown = format!(
        "{:?} {:?} {:?} {:?}",
        Key::new(&key),
        Gcm::new(&key),
        ctr::Stream::new(Key::new(&key), &key),
        cbc::Decryptor::new(Key::new(&key), &key),
    );
    assert_eq!(shown, "Key Gcm Stream Decryptor");
}
