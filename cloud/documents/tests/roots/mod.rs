//! Roots of signatures: an administrator adds, and takes nothing away.

use axum::http::{Method, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use gm::certificate::{Draft, Identity, Purpose};
use gm::key::{P256Key, Signer};
use gm::{Certificate, Sm2Key};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::world::{PIN, World, both};

const PATH: &str = "/admin/settings";

fn certificate(w: &World, purpose: Purpose, key: &dyn Signer) -> Certificate {
    let now = w.ctx.now().offset();
    let subject = Identity {
        common_name: "新根证书".into(),
        ..Identity::default()
    };
    Draft {
        serial: [0x4d; 16],
        subject: &subject,
        public_key: key.public_key(),
        purpose,
        not_before: now - Duration::from_secs(86_400),
        not_after: now + Duration::from_secs(86_400 * 3650),
    }
    .issue(None, key)
    .unwrap()
}

async fn set(w: &World, roots: Value, seals: Value) -> (StatusCode, Value) {
    let wanted = json!({ "treatment.signing": { "roots": roots, "seals": seals } });
    w.call("stf_admin", Method::PUT, PATH, wanted).await
}

/// Adds a root of signers to those that are known, as the administrator does.
pub(crate) async fn add(w: &World, root: &Certificate) {
    let mut pinned = w.get("stf_admin", PATH).await["treatment.signing"].clone();
    let roots = pinned["roots"].as_array_mut().unwrap();
    roots.push(json!(BASE64.encode(&root.der)));
    let (status, answer) = set(w, pinned["roots"].clone(), pinned["seals"].clone()).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
}

async fn last_audit(w: &World) -> String {
    let (detail,): (String,) = w
        .ctx
        .store
        .read(&store::Scope::system(w.tenant.clone()), |tx| {
            let sql = "SELECT CAST(detail AS TEXT) FROM base_audit WHERE tenant_id = 'hos_1' AND action = 'settings.change' \
                       ORDER BY seq DESC LIMIT 1";
            Box::pin(async move { tx.one(sql, &[]).await })
        })
        .await
        .unwrap();
    detail
}

#[tokio::test(flavor = "multi_thread")]
async fn roots_are_added_and_never_taken_away_and_what_was_signed_keeps_verifying() {
    both(|mut w| async move {
        let (id, _) = w.paid(json!({ "kind": "pickup" })).await;
        let rx = w.get("acc_1", &format!("/prescriptions/{id}")).await;
        let verify = format!("/verify/{}", rx["verify_code"].as_str().unwrap());
        assert_eq!(w.get("nobody", &verify).await["valid"], true);
        let pinned = w.get("stf_admin", PATH).await["treatment.signing"].clone();
        let (root, seal) = (pinned["roots"][0].clone(), pinned["seals"][0].clone());

        let (sm2, p256) = (
            Sm2Key::generate().unwrap(),
            P256Key::from_pkcs8(&P256Key::generate().unwrap()).unwrap(),
        );
        let new = certificate(&w, Purpose::Authority { path_length: 0 }, &sm2);
        let new_text = json!(BASE64.encode(&new.der));
        for (roots, seals, words) in [
            (json!([]), json!([seal]), "签名信任根不能删除或替换"),
            (json!([new_text]), json!([seal]), "签名信任根不能删除或替换"),
            (json!([root]), json!([]), "签章信任根不能删除或替换"),
            (json!([root, "AAAA"]), json!([seal]), "信任根证书无法识别"),
        ] {
            let (status, answer) = set(&w, roots, seals).await;
            assert_eq!(
                (status.as_u16(), &answer["field"]),
                (422, &json!("treatment.signing")),
                "{answer}"
            );
            assert!(answer["message"].as_str().unwrap().contains(words), "{answer}");
        }
        let leaf = BASE64.encode(&certificate(&w, Purpose::Documents, &p256).der);
        let (_, answer) = set(&w, json!([root]), json!([seal, leaf])).await;
        assert_eq!(answer["message"], "签章信任根应为CA证书，新根证书不是");
        let left_out = json!({ "treatment.signing": {} });
        assert_eq!(w.call("stf_admin", Method::PUT, PATH, left_out).await.0.as_u16(), 422);
        assert_eq!(
            w.get("stf_admin", PATH).await["treatment.signing"],
            pinned,
            "nothing changed"
        );

        let (status, answer) = set(&w, json!([root, new_text]), json!([seal])).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        assert_eq!(answer["treatment.signing"]["roots"], json!([root, new_text]));
        let audited: Value = serde_json::from_str(&last_audit(&w).await).unwrap();
        assert_eq!(audited, json!({ "roots_added": [new.serial_hex()], "seals_added": [] }));
        assert_eq!(
            w.get("nobody", &verify).await["valid"],
            true,
            "earlier ones keep verifying"
        );
        // And what the hospital's appliance signs from now on counts as before.
        w.post("stf_wang", "/doctor/visits/con_1/record/sign", json!({ "pin": PIN }))
            .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_of_an_authority_nobody_added_names_it_and_the_place_and_counts_once_its_root_is_there() {
    both(|w| async move {
        // The pharmacist's first: the hospital's own root is pinned.
        w.enrol_as("stf_li", "/pharmacist/signature").await;
        w.appliance.at_province.store(true, Ordering::SeqCst);
        w.enrolled("stf_wang").await;
        w.diagnose().await;
        let sign = "/doctor/visits/con_1/record/sign";
        for _ in 0..2 {
            let (status, answer) = w.call("stf_wang", Method::POST, sign, json!({ "pin": PIN })).await;
            assert_eq!(
                (status.as_u16(), &answer["code"]),
                (409, &json!("signature_untrusted")),
                "{answer}"
            );
            let words = answer["message"].as_str().unwrap();
            let serial = w.appliance.serial_of("stf_wang");
            for part in [
                "王建国",
                &serial,
                "“省平台根证书”不在本院的信任根中",
                "医院设置 › 电子签名信任根",
            ] {
                assert!(words.contains(part), "{part}: {words}");
            }
        }
        let record = w.get("stf_wang", "/doctor/visits/con_1/record").await;
        assert_eq!(record["signed"], false, "{record}");
        add(&w, &w.appliance.province).await;
        let record = w.post("stf_wang", sign, json!({ "pin": PIN })).await;
        assert_eq!(record["signed"], true, "{record}");
        assert_eq!(w.appliance.signed.load(Ordering::SeqCst), 1, "the province signed once");
    })
    .await;
}
