//! Vectors of the standards, on every path of this processor.

use block::{Gcm, Key, Path, Refused, cbc, ctr, ecb};

fn bytes<const N: usize>(text: &str) -> [u8; N] {
    hex::decode(text).unwrap().try_into().unwrap()
}

const KEY: &str = "0123456789abcdeffedcba9876543210";
const OTHER_KEY: &str = "fedcba98765432100123456789abcdef";

/// GB/T 32907, appendix A.1 and A.2.
#[test]
fn one_block_and_a_million_times_one_block() {
    for path in Path::all() {
        let key = Key::on(path, &bytes(KEY));
        let mut block = [bytes(KEY)];
        key.encrypt_blocks(&mut block);
        assert_eq!(hex::encode(block[0]), "681edf34d206965e86b3e94f536e4246", "{path:?}");
        key.decrypt_blocks(&mut block);
        assert_eq!(hex::encode(block[0]), KEY, "{path:?}");
        for _ in 0..1_000_000 {
            key.encrypt_blocks(&mut block);
        }
        assert_eq!(hex::encode(block[0]), "595298c7c6fd271f0402f804c33d3f66", "{path:?}");
    }
}

/// RFC 8998, appendix A.1.
#[test]
fn gcm_of_rfc_8998() {
    let nonce = bytes("00001234567800000000abcd");
    let aad = hex::decode("feedfacedeadbeeffeedfacedeadbeefabaddad2").unwrap();
    let plain = hex::decode(
        "aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccdddddddddddddddd\
         eeeeeeeeeeeeeeeeffffffffffffffffeeeeeeeeeeeeeeeeaaaaaaaaaaaaaaaa",
    )
    .unwrap();
    for path in Path::all() {
        let gcm = Gcm::on(path, &bytes(KEY));
        let mut data = plain.clone();
        let tag = gcm.seal_in_place(&nonce, &aad, &mut data);
        assert_eq!(
            hex::encode(&data),
            "17f399f08c67d5ee19d0dc9969c4bb7d5fd46fd3756489069157b282bb200735\
             d82710ca5c22f0ccfa7cbf93d496ac15a56834cbcf98c397b4024a2691233b8d",
            "{path:?}"
        );
        assert_eq!(hex::encode(tag), "83de3541e4c2b58177e065a9bf7b62ec", "{path:?}");
        let sealed = data.clone();
        let mut wrong = tag;
        wrong[15] ^= 1;
        assert_eq!(gcm.open_in_place(&nonce, &aad, &mut data, &wrong), Err(Refused::Tag));
        assert_eq!(data, sealed, "a refused message stays as it came");
        gcm.open_in_place(&nonce, &aad, &mut data, &tag).unwrap();
        assert_eq!(data, plain, "{path:?}");
    }
}

/// draft-ribose-cfrg-sm4-10, A.2.5.
#[test]
fn counter_mode_of_the_draft() {
    let iv = bytes("000102030405060708090a0b0c0d0e0f");
    let plain = hex::decode(
        "aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccdddddddddddddddd\
         eeeeeeeeeeeeeeeeffffffffffffffffaaaaaaaaaaaaaaaabbbbbbbbbbbbbbbb",
    )
    .unwrap();
    let wanted = [
        "ac3236cb970cc20791364c395a1342d1a3cbc1878c6f30cd074cce385cdd70c7\
         f234bc0e24c11980fd1286310ce37b926e02fcd0faa0baf38b2933851d824514",
        "5dcccd25b95ab07417a08512ee160e2f8f661521cbbab44cc87138445bc29e5c\
         0ae0297205d62704173b21239b887f6c8cb5b800917a2488284bde9e16ea2906",
    ];
    for path in Path::all() {
        for (key, wanted) in [KEY, OTHER_KEY].iter().zip(wanted) {
            let mut data = plain.clone();
            ctr::Stream::new(Key::on(path, &bytes(key)), &iv).apply(&mut data);
            assert_eq!(hex::encode(data), wanted, "{path:?}");
        }
    }
}

/// draft-ribose-cfrg-sm4-10, A.2.1 and A.2.2.
#[test]
fn code_book_and_chaining_of_the_draft() {
    let iv = bytes("000102030405060708090a0b0c0d0e0f");
    let plain: [u8; 32] = bytes("aaaaaaaabbbbbbbbccccccccddddddddeeeeeeeeffffffffaaaaaaaabbbbbbbb");
    let wanted = [
        (
            KEY,
            "5ec8143de509cff7b5179f8f474b86192f1d305a7fb17df985f81c8482192304",
            "78ebb11cc40b0a48312aaeb2040244cb4cb7016951909226979b0d15dc6a8f6d",
        ),
        (
            OTHER_KEY,
            "c5876897e4a59bbba72a10c83872245b12dd90bc2d200692b529a4155ac9e600",
            "0d3a6ddc2d21c698857215587b7bb59a91f2c147911a4144665e1fa1d40bae38",
        ),
    ];
    for path in Path::all() {
        for (key, book, chain) in wanted {
            let key = Key::on(path, &bytes(key));
            let mut data = plain;
            ecb::encrypt(&key, &mut data).unwrap();
            assert_eq!(hex::encode(data), book, "{path:?}");
            let (mut data, mut last) = (plain, iv);
            cbc::encrypt_blocks(&key, &mut last, data.as_chunks_mut().0);
            assert_eq!(hex::encode(data), chain, "{path:?}");
            last = iv;
            cbc::decrypt_blocks(&key, &mut last, data.as_chunks_mut().0);
            assert_eq!(data, plain, "{path:?}");
        }
    }
}
