//! Key pairs from files of other software.

use gm::certificate::Purpose;
use gm::key::{PrivateKey, Signer, Sm2Key};
use serde_json::{Value, json};

use crate::people::{Authority, Browser};
use crate::site::{SDF_PASSWORD, Site, b64, unb64};

const RX: &[u8] = b"rx";
const SM2: [&str; 3] = ["-sm3", "-sigopt", "distid:1234567812345678"];

#[tokio::test]
async fn keys_of_openssl_are_imported_and_sign_and_a_key_envelope_opens_what_is_encrypted() {
    let site = Site::new("", SDF_PASSWORD).await;
    let admin = &site.admin.browser;
    let file = |name: &str| b64(std::fs::read(site.path(name)).expect("file"));
    let mut keys: Vec<Value> = Vec::new();
    for arguments in [
        ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:SM2"],
        ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
        ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
    ] {
        site.openssl(&[&["genpkey", "-out", "key.pem"], &arguments[..]].concat());
        let seal = ["pkcs8", "-topk8", "-in", "key.pem", "-out", "key.p8", "-outform", "DER"];
        site.openssl(&[&seal[..], &["-v2", "aes-256-cbc", "-passout", "pass:secret"]].concat());
        let asked = |password: &str| json!({"label": "导入", "file": file("key.p8"), "password": password});
        assert_eq!(admin.post("keys/import", asked("other")).await.refused(), "key_file");
        let key = site.key("keys/import", asked("secret")).await;
        assert_eq!(admin.post("keys/import", asked("secret")).await.refused(), "key_known");
        keys.push(key);
    }
    // With its certificate, which certifies it.
    site.openssl(&[
        "genpkey",
        "-out",
        "k.pem",
        "-algorithm",
        "RSA",
        "-pkeyopt",
        "rsa_keygen_bits:3072",
    ]);
    let pem = std::fs::read(site.path("k.pem")).expect("file");
    let key = PrivateKey::from_file(&pem, None).expect("key");
    let authority = Authority::new("甲认证中心");
    let own = authority.certify("医院", key.public_key(), Purpose::Documents);
    let all = [&own, &authority.root].map(|certificate| gm::pem::write("CERTIFICATE", &certificate.der));
    std::fs::write(site.path("c.pem"), all.concat()).expect("written");
    let pack = [
        "pkcs12",
        "-export",
        "-inkey",
        "k.pem",
        "-in",
        "c.pem",
        "-out",
        "key.pfx",
        "-passout",
        "pass:secret",
    ];
    site.openssl(&pack);
    let asked = json!({"label": "PFX", "file": file("key.pfx"), "password": "secret"});
    let imported = admin.post("keys/import", asked).await.done();
    assert_eq!(imported["certified"], true, "{imported}");
    admin
        .post(&format!("keys/{}/activate", imported["index"]), json!({}))
        .await
        .done();
    keys.push(imported["index"].clone());

    // The envelope is made for a key in the device: the device opens it.
    let recipient = json!({"label": "加密", "device": "sdf1", "reference": "sdf:1;use=encrypt", "purpose": "encrypt"});
    let opener = site.key("keys/adopt", recipient).await;
    keys.push(opener.clone());
    let his = site.application(&keys.iter().collect::<Vec<_>>()).await;
    for (key, how) in keys.iter().zip([&SM2[..], &["-sha256"], &["-sha256"], &["-sha256"]]) {
        let signed = his.sign(key, RX).await.done();
        assert!(site.judged(&signed, RX, how).contains("Verified OK"), "key {key}");
    }
    let own = his
        .post("/v1/certificate/find", json!({"id": opener.to_string()}))
        .await
        .done();
    let own = gm::Certificate::parse(&unb64(&own[0]["certificate"])).expect("certificate");
    let pair = Sm2Key::generate().expect("key");
    let envelope = b64(gm::envelope::seal(&pair, &own.public_key).expect("sealed"));
    let asked = |key: &Value| json!({"label": "加密密钥", "file": envelope, "envelope_key": key});
    assert_eq!(admin.post("keys/import", asked(&keys[0])).await.refused(), "key_file");
    let index = admin.post("keys/import", asked(&opener)).await.done();
    assert_eq!(index["purpose"], "encrypt");
    let index = index["index"].clone();
    site.activate(&index).await;
    let policy = json!({"keys": [index, opener], "chains": [], "revocation": "none", "revocation_must_be_known": false,
        "formats": ["pkcs1", "cipher"], "rate_per_second": 1000});
    let change = json!({"name": "HIS", "enabled": true, "policy": policy});
    site.operator.browser.put("applications/app_his", change).await.done();
    for (key, public) in [(&index, pair.public_key()), (&opener, &own.public_key)] {
        let point = curve::PublicKey::from_point(public.point().expect("point")).expect("key");
        let sealed = point.encrypt(RX, &mut curve::Nonces::new()).expect("sealed");
        let asked = json!({"key": key, "data": b64(sealed.to_der())});
        let opened = his.post("/v1/cipher/decrypt-with-key", asked).await.done();
        assert_eq!(unb64(&opened["data"]), RX);
        assert_eq!(his.sign(key, RX).await.refused(), "wrong_usage");
    }
}

#[tokio::test]
async fn a_restored_key_has_the_purpose_it_had() {
    let mut site = Site::new("", SDF_PASSWORD).await;
    let admin = &site.admin.browser;
    let made = json!({"label": "加密", "algorithm": "sm2", "purpose": "encrypt"});
    admin.post("keys", made).await.done();
    let backup = admin.post("backup", json!({})).await.bytes;
    let state = rusqlite::Connection::open(site.path("state/signd.db")).expect("state file");
    let lost = state.execute("DELETE FROM server_key_purpose", []).expect("deleted");
    assert_eq!(lost, 1);
    let file = json!({"file": b64(&backup)});
    let preview = admin.post("restore", file).await.done();
    let apply = format!("restore/{}", preview["token"].as_str().expect("token"));
    admin.post(&apply, json!({})).await.done();
    let browser = Browser::new(admin.port, None);
    site.admin.sign_in(&browser).await.done();
    assert_eq!(browser.get("keys").await.done()[0]["purpose"], "encrypt");
}
