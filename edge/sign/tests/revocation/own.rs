//! The hospital's own authority revokes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gm::Trust;
use gm::cms::Content;
use gm::crl::Crl;
use gm::trust::{By, Failure, Rule, Stapled, verify_kept};
use records::sign::{
    Enrol, EnrolRequest, ListsRequest, Pin, RevocationLists, SignDocument, SignRequest, TrustRequest, TrustRoots,
    Verify, VerifyRequest,
};
use serde_json::json;

use crate::site::{HOSPITAL, file};
use crate::works::Works;

#[tokio::test(flavor = "multi_thread")]
async fn our_own_revocation_is_in_our_own_list_and_stops_the_key_at_once() {
    let works = Works::new(&[]).await;
    works.rule("crl", true).await;
    let signed = works
        .ask("/v1/message/sign", json!({"data": file("处方"), "attached": true}))
        .await
        .done();
    let verify = json!({"message": signed["message"], "level": "revocation"});
    let seen = works.ask("/v1/message/verify", verify.clone()).await.done();
    let states = &seen["signers"][0]["revocation"];
    assert_eq!(
        (&states[0]["state"], &states[1]["state"]),
        (&json!("good"), &json!("good")),
        "{states}"
    );
    let empty = works.get("/crl/own.crl").await;
    let sealed = json!({"file": file(works.signed_pdf().await)});
    let seen = works.ask("/v1/pdf/verify", sealed.clone()).await.done();
    assert_eq!(seen[0]["signer"]["revocation"][0]["state"], "good", "{seen}");

    let own = works.admin.get("revocation/own").await.done();
    let one = own
        .as_array()
        .expect("own")
        .iter()
        .find(|one| one["subject"] == "签名服务器")
        .expect("key")
        .clone();
    let revoke = |confirm: &str| {
        let asked = json!({"serial": one["serial"], "reason": "key-compromise", "confirm": confirm});
        works.admin.ask(reqwest::Method::POST, "revocation/own", Some(asked))
    };
    assert_eq!(revoke("别人").await.refused(), "confirm");
    let asked = json!({"serial": one["serial"], "reason": "superseded", "confirm": "签名服务器"});
    assert_eq!(
        works.operator.post("revocation/own", asked).await.refused(),
        "forbidden"
    );
    revoke("签名服务器").await.done();
    assert_eq!(revoke("签名服务器").await.refused(), "revoked_already");

    assert_eq!(
        works.ask("/v1/data/sign", json!({"data": "AAAA"})).await.refused().0,
        "certificate_revoked"
    );
    assert_eq!(
        works.ask("/v1/message/verify", verify).await.refused().0,
        "certificate_revoked"
    );

    assert_eq!(
        works.ask("/v1/pdf/verify", sealed).await.refused().0,
        "certificate_revoked",
        "in files as in messages"
    );

    // The list, as somebody else reads it.
    let list = works.get("/crl/own.crl").await;
    let folder = works.site.dir.path();
    std::fs::write(folder.join("own.crl"), &list.bytes).expect("written");
    let out = std::process::Command::new("openssl")
        .args(["crl", "-inform", "DER", "-in", "own.crl", "-noout", "-text"])
        .current_dir(folder)
        .output()
        .expect("openssl");
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let serial = one["serial"].as_str().expect("serial").to_uppercase();
    assert!(text.contains(&serial) && text.contains("Key Compromise"), "{text}");
    let issuing = gm::Certificate::parse(&issuing_of(&signed)).expect("issuing");
    let number = |bytes: &[u8]| {
        let crl = Crl::read(bytes, std::slice::from_ref(&issuing)).expect("signed by the issuing authority");
        (crl.len(), crl.head().number.clone())
    };
    let ((none, first), (some, second)) = (number(&empty.bytes), number(&list.bytes));
    assert_eq!((none, some), (0, 1));
    assert!(second > first, "{first:?} {second:?}");
    assert_eq!(works.get("/crl/other.crl").await.status, 404);

    // Another certificate for the same key, and it signs again.
    works
        .admin
        .post(
            "keys/1/certify",
            json!({"organization": HOSPITAL, "name": "签名服务器"}),
        )
        .await
        .done();
    works.ask("/v1/data/sign", json!({"data": "AAAA"})).await.done();
}

/// The issuing certificate in a message of ours.
fn issuing_of(signed: &serde_json::Value) -> Vec<u8> {
    let message = signed["message"].as_str().expect("message");
    let message = STANDARD.decode(message).expect("Base64");
    let message = gm::cms::Message::read(&message, gm::cms::Profile::default()).expect("message");
    message.certificates[1].der.clone()
}

/// Certificates of our own name the place of the list that judges them, and it is there for everyone, by plain HTTP.
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_ours_names_its_list_and_the_list_is_there() {
    let [port] = kit::ports::free_ports::<1>();
    let address = format!("http://127.0.0.1:{port}/signd");
    let listen = format!("[revocation]\naddress = \"http://127.0.0.1:{port}/\"\nlisten = \"127.0.0.1:{port}\"\n");
    let works = Works::with(&[], &listen).await;
    works.rule("crl", true).await;
    let asked = json!({"data": file("处方"), "attached": true});
    let signed = works.ask("/v1/message/sign", asked).await.done();
    let verify = json!({"message": signed["message"], "level": "revocation"});
    works.ask("/v1/message/verify", verify).await.done();

    let message = STANDARD
        .decode(signed["message"].as_str().expect("message"))
        .expect("Base64");
    let message = gm::cms::Message::read(&message, gm::cms::Profile::default()).expect("message");
    let folder = works.site.dir.path();
    for (place, certificate) in message.certificates.iter().take(2).enumerate() {
        let issuer = &message.certificates[place + 1];
        std::fs::write(folder.join("one.der"), &certificate.der).expect("written");
        let out = std::process::Command::new("openssl")
            .args([
                "x509",
                "-inform",
                "DER",
                "-in",
                "one.der",
                "-noout",
                "-ext",
                "crlDistributionPoints",
            ])
            .current_dir(folder)
            .output()
            .expect("openssl");
        let said = String::from_utf8_lossy(&out.stdout).into_owned();
        let named = said.split_whitespace().find_map(|word| word.strip_prefix("URI:"));
        let named = named.unwrap_or_else(|| panic!("no address: {said}")).to_owned();
        assert!(named.starts_with(&format!("http://127.0.0.1:{port}/crl/")), "{named}");
        let list = reqwest::get(&named).await.expect("answered");
        assert_eq!(list.headers()["content-type"], "application/pkix-crl");
        let list = list.bytes().await.expect("list");
        let crl = Crl::read(&list, std::slice::from_ref(issuer)).expect("its issuer's");
        assert_eq!(crl.len(), 0);
    }
    // Nobody fetches from himself, and nothing else is served there.
    let view = works.operator.get("revocation").await.done();
    assert!(!view["sources"].to_string().contains(&port.to_string()), "{view}");
    let other = reqwest::get(format!("http://127.0.0.1:{port}/v1/openapi.json")).await;
    assert_eq!(other.expect("answered").status(), 404);
    assert_eq!(
        reqwest::get(format!("{address}/own.crl"))
            .await
            .expect("answered")
            .status(),
        404
    );
}

/// An administrator says the address while the server runs: the next certificate names it, those before keep theirs, and
/// it is there after a power cut.
#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_an_administrator_says_is_in_the_next_certificate() {
    const SAID: &str = "https://lists.hospital.cn/signd";
    let [port] = kit::ports::free_ports::<1>();
    let of_start = format!("http://127.0.0.1:{port}");
    let listen = format!("[revocation]\naddress = \"{of_start}\"\nlisten = \"127.0.0.1:{port}\"\n");
    let mut works = Works::with(&[], &listen).await;
    let published = async |works: &Works| {
        let view = works.operator.get("revocation").await.done();
        (view["published"].clone(), view["published_here"].clone())
    };
    assert_eq!(published(&works).await, (json!(of_start), json!(false)));
    assert!(named(&works).await.starts_with(&of_start));

    for wrong in [
        "lists.hospital.cn",
        "ldap://lists.hospital.cn",
        "http://a.cn/?b=c",
        "http://a b.cn",
    ] {
        let said = works.admin.put("settings/own-lists", json!({"address": wrong})).await;
        assert_eq!(said.refused(), "revocation_address", "{wrong}");
    }
    let said = json!({"address": format!("{SAID}/")});
    let refused = works.operator.put("settings/own-lists", said.clone()).await.refused();
    assert_eq!(refused, "forbidden");
    works.admin.put("settings/own-lists", said).await.done();
    assert_eq!(published(&works).await, (json!(SAID), json!(true)));
    assert!(
        named(&works).await.starts_with(&of_start),
        "what is issued stays as it is"
    );
    let asked = json!({"organization": HOSPITAL, "name": "签名服务器"});
    works.admin.post("keys/1/certify", asked).await.done();
    assert!(named(&works).await.starts_with(&format!("{SAID}/crl/")));
    // Nobody asks another for what lies here.
    works.rule("crl", true).await;
    let asked = json!({"data": file("处方"), "attached": true});
    let signed = works.ask("/v1/message/sign", asked).await.done();
    let verify = json!({"message": signed["message"], "level": "revocation"});
    works.ask("/v1/message/verify", verify).await.done();
    let view = works.operator.get("revocation").await.done();
    assert_eq!(view["sources"], json!([]), "{view}");

    works.power_cut().await;
    assert_eq!(published(&works).await, (json!(SAID), json!(true)));
}

/// Where the certificate of the key in use says that its list is.
async fn named(works: &Works) -> String {
    let asked = json!({"data": file("处方"), "attached": true});
    let signed = works.ask("/v1/message/sign", asked).await.done();
    let message = STANDARD
        .decode(signed["message"].as_str().expect("message"))
        .expect("Base64");
    let message = gm::cms::Message::read(&message, gm::cms::Profile::default()).expect("message");
    let own = gm::Particulars::of(&message.certificates[0]).expect("particulars");
    own.crls.first().expect("an address").clone()
}

/// What doctors' signatures are worth after their certificates were revoked, as the appliance asks over the socket.
#[tokio::test(flavor = "multi_thread")]
async fn the_appliance_is_told_of_a_revoked_doctor() {
    let works = Works::new(&[]).await;
    let client = sign::Client::new(&works.site.state().join("signd.sock"));
    let client = client.patience(std::time::Duration::from_secs(120));
    let document = STANDARD.encode("处方");
    for (id, name, reason, holds) in [
        ("stf_wang", "王医生", "cessation-of-operation", true),
        ("stf_li", "李医生", "key-compromise", false),
    ] {
        let pin = Pin("135790".to_owned());
        let enrol = EnrolRequest {
            signer_id: id.to_owned(),
            name: name.to_owned(),
            role: "doctor".to_owned(),
            organisation: HOSPITAL.to_owned(),
            pin: pin.clone(),
        };
        client.call::<Enrol>(Some(id), &enrol).await.done().expect("enrolled");
        let asked = SignRequest {
            signer_id: id.to_owned(),
            pin,
            document: document.clone(),
        };
        let key = format!("{id}.1");
        let signed = client.call::<SignDocument>(Some(&key), &asked).await.done();
        let verify = VerifyRequest {
            cms: signed.expect("signed").cms,
            document: document.clone(),
        };
        let seen = async || client.call::<Verify>(None, &verify).await.done().expect("answered");
        assert!(seen().await.valid);
        let own = works.admin.get("revocation/own").await.done();
        let one = own.as_array().expect("own").iter().find(|one| one["subject"] == name);
        // The revocation's second comes after the one that is stamped, which is right to a second.
        tokio::time::sleep(std::time::Duration::from_millis(2_200)).await;
        let asked = json!({"serial": one.expect("doctor")["serial"], "reason": reason, "confirm": name});
        works.admin.post("revocation/own", asked).await.done();
        let after = seen().await;
        assert_eq!(after.valid, holds, "{after:?}");
        let said = (!holds).then_some("certificate_revoked");
        assert_eq!(after.reason.as_deref(), said, "{after:?}");

        // Elsewhere the same is found by the lists that are told, at the time that is stamped.
        let roots = client.call::<TrustRoots>(None, &TrustRequest {}).await.done();
        let roots = roots.expect("roots");
        let lists = client.call::<RevocationLists>(None, &ListsRequest {}).await.done();
        let lists = Stapled {
            crls: ders(&lists.expect("lists").lists),
            ..Stapled::default()
        };
        let (people, stampers) = [roots.signers, roots.seals]
            .map(|all| Trust::new(ders(&all)).expect("roots"))
            .into();
        let rule = Rule {
            by: By::Crl,
            failure: Failure::Hard,
        };
        let message = STANDARD.decode(&verify.cms).expect("Base64");
        let (document, now) = (Content::Bytes("处方".as_bytes()), time::OffsetDateTime::now_utc());
        let kept = verify_kept(&message, document, (&people, &stampers), rule, Some(&lists), now);
        let kept = kept.expect("a signature");
        assert!(kept.stamp.is_some(), "its time is proven");
        assert_eq!(kept.accepted().is_ok(), holds);
    }
}

fn ders(all: &[String]) -> Vec<Vec<u8>> {
    let read = all.iter().map(|one| STANDARD.decode(one));
    read.collect::<Result<_, _>>().expect("Base64")
}
