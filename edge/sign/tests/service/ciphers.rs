//! Encryption and digests, with openssl at the other end.

use gm::certificate::Purpose;
use gm::key::{Signer as _, Sm2Key};
use serde_json::{Value, json};

use crate::site::{Site, b64, unb64};

const TEXT: &[u8] = "检验报告：血常规，十六字节以外的尾巴".as_bytes();

/// Rows: AP-224, AP-225, AP-227, AP-229
#[tokio::test]
async fn sm4_aes_and_digests_agree_with_openssl() {
    let site = Site::new(&["sm2"]);
    let his = site.his();
    site.write("plain", TEXT);
    for (cipher, mode, bytes, name) in [
        ("sm4", "ecb", 16, "sm4-ecb"),
        ("sm4", "cbc", 16, "sm4-cbc"),
        ("sm4", "ctr", 16, "sm4-ctr"),
        ("aes", "ecb", 32, "aes-256-ecb"),
        ("aes", "cbc", 16, "aes-128-cbc"),
        ("aes", "cbc", 24, "aes-192-cbc"),
        ("aes", "ctr", 32, "aes-256-ctr"),
    ] {
        let (key, iv) = (vec![7u8; bytes], [0xffu8; 16]);
        let mut asked = json!({"cipher": cipher, "mode": mode, "key": b64(&key), "data": b64(TEXT)});
        let (key, iv_hex) = (hex::encode(key), hex::encode(iv));
        let mut arguments = vec!["enc", "-e", "-in", "plain", "-out", "sealed", "-K", &key];
        let option = format!("-{name}");
        arguments.push(&option);
        if mode != "ecb" {
            asked["iv"] = json!(b64(iv));
            arguments.extend(["-iv", &iv_hex]);
        }
        site.must("openssl", &arguments);
        let sealed = his.post("/v1/cipher/encrypt", asked.clone()).await.done();
        assert_eq!(unb64(&sealed["data"]), site.read("sealed"), "{name}");
        asked["data"] = sealed["data"].clone();
        let opened = his.post("/v1/cipher/decrypt", asked.clone()).await.done();
        assert_eq!(unb64(&opened["data"]), TEXT, "{name}");
        asked["key"] = json!(b64([1; 5]));
        assert_eq!(his.post("/v1/cipher/encrypt", asked).await.refused(), "data_format");
    }
    for (cipher, bytes) in [("sm4", 16), ("aes", 16), ("aes", 32)] {
        let mut asked = json!({"cipher": cipher, "mode": "gcm", "key": b64(vec![9; bytes]), "aad": b64("hos_1"),
            "data": b64(TEXT)});
        let sealed = his.post("/v1/cipher/encrypt", asked.clone()).await.done();
        for (name, value) in [
            ("data", &sealed["data"]),
            ("iv", &sealed["iv"]),
            ("tag", &sealed["tag"]),
        ] {
            asked[name] = value.clone();
        }
        assert_eq!(
            unb64(&his.post("/v1/cipher/decrypt", asked.clone()).await.done()["data"]),
            TEXT
        );
        asked["aad"] = json!(b64("hos_2"));
        assert_eq!(his.post("/v1/cipher/decrypt", asked).await.refused(), "data_format");
    }
    for (name, option) in [
        ("SM3", "-sm3"),
        ("SHA-256", "-sha256"),
        ("SHA-384", "-sha384"),
        ("SHA-512", "-sha512"),
    ] {
        let said = site.must("openssl", &["dgst", option, "-r", "plain"]);
        let digest = his
            .post("/v1/digest", json!({"algorithm": name, "data": b64(TEXT)}))
            .await
            .done();
        assert!(said.starts_with(&hex::encode(unb64(&digest["data"]))), "{name}: {said}");
    }
    let random = |bytes: u32| his.post("/v1/random", json!({"bytes": bytes}));
    let (one, two) = (random(32).await.done(), random(32).await.done());
    assert!(one != two && unb64(&one["data"]).len() == 32);
    assert_eq!(random(0).await.refused(), "too_large");
}

/// 3DES is supported as 2026 allows: what was encrypted with it once is read, where somebody switched that on.
///
/// Rows: AP-226
#[tokio::test]
async fn sm1_asks_for_a_device_and_3des_decrypts_old_data_where_it_is_allowed() {
    let mut site = Site::new(&["sm2"]);
    let key = [
        1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24,
    ];
    site.write("plain", TEXT);
    let (key_hex, iv) = (hex::encode(key), hex::encode([5u8; 8]));
    site.must(
        "openssl",
        &[
            "enc",
            "-e",
            "-des-ede3-cbc",
            "-in",
            "plain",
            "-out",
            "old",
            "-K",
            &key_hex,
            "-iv",
            &iv,
        ],
    );
    let old =
        json!({"cipher": "3des", "mode": "cbc", "key": b64(key), "iv": b64([5; 8]), "data": b64(site.read("old"))});
    let his = site.his();
    let sm1 = json!({"cipher": "sm1", "mode": "ecb", "key": b64([0; 16]), "data": b64([0; 16])});
    assert_eq!(his.post("/v1/cipher/encrypt", sm1).await.refused(), "algorithm_absent");
    site.logged("algorithm_absent");
    assert_eq!(
        his.post("/v1/cipher/decrypt", old.clone()).await.refused(),
        "switched_off"
    );
    site.again("decrypt_triple_des = true", |_| {});
    let his = site.his();
    assert_eq!(
        unb64(&his.post("/v1/cipher/decrypt", old.clone()).await.done()["data"]),
        TEXT
    );
    assert_eq!(his.post("/v1/cipher/encrypt", old).await.refused(), "not_permitted");
}

#[tokio::test]
async fn sm2_encrypts_to_a_certificate_and_opens_with_a_server_key() {
    let site = Site::new(&["sm2"]);
    let his = site.his();
    let key = Sm2Key::generate().expect("key");
    let holder = site
        .foreign
        .certify("王医生", key.public_key(), Purpose::Encryption, (-1, 30));
    let asked = json!({"certificate": b64(&holder.der), "data": b64(TEXT)});
    let sealed = his.post("/v1/cipher/encrypt-to", asked).await.done();
    let text = curve::Ciphertext::from_der(&unb64(&sealed["data"])).expect("cipher text");
    assert_eq!(key.decrypt(&text).expect("opened").as_slice(), TEXT);
    let signer = site
        .foreign
        .certify("王医生", key.public_key(), Purpose::Documents, (-1, 30));
    let asked = json!({"certificate": b64(&signer.der), "data": b64(TEXT)});
    assert_eq!(his.post("/v1/cipher/encrypt-to", asked).await.refused(), "wrong_usage");

    let own: Value = his.post("/v1/certificate/find", json!({"id": "1"})).await.done();
    let own = gm::Certificate::parse(&unb64(&own[0]["certificate"])).expect("certificate");
    let point = curve::PublicKey::from_point(own.public_key.point().expect("point")).expect("key");
    let sealed = point.encrypt(TEXT, &mut curve::Nonces::new()).expect("sealed");
    for (form, bytes) in [("der", sealed.to_der()), ("bytes", sealed.to_bytes())] {
        let asked = json!({"data": b64(&bytes), "form": form});
        assert_eq!(
            unb64(&his.post("/v1/cipher/decrypt-with-key", asked).await.done()["data"]),
            TEXT
        );
        let mut wrong = bytes;
        *wrong.last_mut().expect("bytes") ^= 1;
        let asked = json!({"data": b64(&wrong), "form": form});
        assert_eq!(
            his.post("/v1/cipher/decrypt-with-key", asked).await.refused(),
            "data_format"
        );
    }
}
