//! Sessions, accounts and hospitals that are somebody else's: refused, without effect.
#![expect(
    clippy::indexing_slicing,
    reason = "a story fails where it stands; JSON answers null"
)]

use std::path::Path;

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use scenarios::client::Person;
use scenarios::counter::House;
use scenarios::journey;
use serde_json::{Value, json};
use site::Options;

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test(flavor = "multi_thread")]
async fn foreign_hands_reach_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::open(folder.path(), Options::free_ports().unwrap())
        .await
        .unwrap();
    let told = vec![
        ("tokens", made_up_tokens(&house).await),
        ("cookies", pages_of_other_sites(&house).await),
        ("accounts", another_account(&house).await),
        ("two hats", one_person_with_two_accounts(&house).await),
        ("hospitals", another_hospital(&house, folder.path()).await),
    ];
    house.close(told).await.unwrap();
}

/// Rows: YZ-N-020
async fn made_up_tokens(house: &House) -> Result<()> {
    let real = house.cast.patient.token().context("token")?.to_owned();
    let (hospital, secret) = real.split_once('.').context("hospital.secret")?;
    let (other, _) = house
        .cast
        .doctor
        .token()
        .and_then(|t| t.split_once('.'))
        .context("token")?;
    ensure!(other == hospital, "one hospital");
    for token in [
        String::new(),
        ".".to_owned(),
        "hos_x.y".to_owned(),
        format!("{hospital}."),
        format!("{hospital}.{}", "A".repeat(43)),
        format!("{hospital}.{}", &secret[..secret.len() - 1]),
        format!("{hospital}.{secret}x"),
        format!("{hospital}.{}", secret.to_uppercase()),
        format!("hos_01m7ymqkk702adraphzkgj2tn2.{secret}"),
        format!("{hospital}.' OR 1=1--"),
        "x".repeat(7_000),
    ] {
        let stranger = Person::new(&house.at.web)?.with_token(&token);
        for (method, path) in [
            ("GET", "auth/me"),
            ("GET", "visits"),
            ("POST", "visits"),
            ("GET", "admin/audit"),
        ] {
            let answer = stranger.raw(method.parse()?, path, &[JSON], b"{}".to_vec()).await?;
            answer.refused(&[401]).map_err(|e| e.context(token.clone()))?;
        }
    }
    // A session ended by its owner is ended at once.
    let again = journey::sign_in_staff(&house.at, "doctor3").await?;
    house.ask(&again, "POST", "auth/logout", json!({})).await?;
    house.ask(&again, "GET", "auth/me", json!({})).await?.refused(&[401])?;
    Ok(())
}

/// A page of another site makes the browser send the cookie, but not our header.
async fn pages_of_other_sites(house: &House) -> Result<()> {
    let cookie = format!("yq_session={}", house.cast.patient.token().context("token")?);
    let browser = Person::new(&house.at.web)?;
    let send = async |method: Method, headers: &[(&str, &str)]| {
        let mut all = vec![JSON, ("cookie", cookie.as_str())];
        all.extend(headers);
        let path = if method == Method::GET {
            "auth/me"
        } else {
            "visits/eligibility"
        };
        browser.raw(method, path, &all, b"{}".to_vec()).await
    };
    for headers in [&[][..], &[("x-yiqiao", "0")], &[("origin", "https://evil.example")]] {
        let answer = send(Method::POST, headers).await?;
        ensure!(answer.refused(&[403])?.code() == "cross_site", "{}", answer.body);
    }
    ensure!(
        send(Method::GET, &[]).await?.status.is_success(),
        "reading needs no header"
    );
    send(Method::POST, &[("x-yiqiao", "1")]).await?.refused(&[422])?;
    Ok(())
}

/// Everything of the demo account that has an id.
async fn things(house: &House) -> Result<Vec<String>> {
    let patient = house.patient(0).await?;
    let (visit, payment) = match house.cast.patient.get("visits").await?["items"].get(0) {
        Some(visit) => {
            let id = visit["id"].as_str().context("id")?.to_owned();
            (id, visit["payment"]["id"].as_str().unwrap_or_default().to_owned())
        }
        None => house.paid_visit(&patient, &house.time(0).await?, "things").await?,
    };
    let photo = house
        .cast
        .patient
        .upload("statement", "a.png", "image/png", &site::signature_png())
        .await?;
    let photo = photo["id"].as_str().context("id")?.to_owned();
    Ok(vec![patient, visit, payment, photo])
}

/// Tries every operation with an id on all of these ids; each must be refused.
async fn try_all(house: &House, person: &Person, ids: &[String], skip: &[&str]) -> Result<usize> {
    let document = house.cast.patient.get("openapi.json").await?;
    let body = json!({ "reason": "x", "pin": "246810", "kind": "pickup", "method": "wechat_h5", "client_id": "1", "text": "x",
        "note": "x", "reasons": ["dose"], "comment": "x", "attitude": 1, "professional": 1, "speed": 1, "pickup_code": "00000000" });
    let mut tried = 0;
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        let path = path.trim_start_matches("/api/v1/");
        if !path.contains("{id}") || skip.iter().any(|s| path.contains(s)) {
            continue;
        }
        for method in item.as_object().into_iter().flatten().map(|(m, _)| m.to_uppercase()) {
            for id in ids {
                let answer = house
                    .ask(person, &method, &path.replace("{id}", id), body.clone())
                    .await?;
                answer
                    .refused(&[403, 404, 422])
                    .map_err(|e| e.context(format!("{method} {path} on {id}")))?;
                tried += 1;
            }
        }
    }
    Ok(tried)
}

/// What the administration sees of the visit and its money.
async fn picture(house: &House, ids: &[String]) -> Result<Value> {
    let visit = ids.get(1).context("a visit")?;
    let seen = house.cast.admin.get(&format!("admin/visits/{visit}")).await?;
    let patients = house.cast.patient.get("patients").await?;
    Ok(json!([seen, patients]))
}

async fn another_account(house: &House) -> Result<()> {
    let ids = things(house).await?;
    let before = picture(house, &ids).await?;
    let other = journey::sign_in_patient(&house.at, "13912345678").await?;
    let tried = try_all(house, &other, &ids, &[]).await?;
    ensure!(tried > 100, "only {tried} tries");
    let patient = ids.first().context("a patient")?;
    let body = house.booking(patient, &house.time(1).await?, "foreign").await?;
    house.ask(&other, "POST", "visits", body).await?.refused(&[404])?;
    let asked = json!({ "patient_id": patient, "department_code": "K01" });
    house
        .ask(&other, "POST", "visits/eligibility", asked)
        .await?
        .refused(&[404])?;
    let list = other.get("visits").await?;
    ensure!(list["total"] == 0, "sees {list}");
    ensure!(picture(house, &ids).await? == before, "something moved");
    Ok(())
}

/// A second hospital on the same cloud, with people of the same logins and phones, and no appliance.
/// One code of the HIS is one account: nobody reviews what they prescribed. The last key to the office stays.
async fn one_person_with_two_accounts(house: &House) -> Result<()> {
    let admin = &house.cast.admin;
    let staff = admin.get("admin/staff").await?;
    let with_login = |login: &str| {
        staff
            .as_array()
            .into_iter()
            .flatten()
            .find(|s| s["login"] == login)
            .cloned()
    };
    let doctor = with_login("doctor").context("the doctor's account")?;
    let form = |roles: Value, code: &Value| {
        json!({ "login": "second.hat", "password": "Yiqiao#2026x", "name": doctor["name"], "roles": roles, "his_code": code,
            "title": "药师", "department_code": "K90", "department_name": "药学部" })
    };
    let again = form(json!(["pharmacist"]), &doctor["his_code"]);
    house
        .ask(admin, "POST", "admin/staff", again.clone())
        .await?
        .refused(&[409])?;
    let other = with_login("pharmacist2").context("a pharmacist's account")?;
    let path = format!("admin/staff/{}", other["id"].as_str().context("id")?);
    house.ask(admin, "PUT", &path, again).await?.refused(&[409])?;
    let own = with_login("admin").context("the administrator's account")?;
    let path = format!("admin/staff/{}", own["id"].as_str().context("id")?);
    let resigned = form(json!(["auditor"]), &own["his_code"]);
    house.ask(admin, "PUT", &path, resigned).await?.refused(&[409])?;
    ensure!(admin.get("admin/staff").await? == staff, "an account changed");
    Ok(())
}

async fn another_hospital(house: &House, data: &Path) -> Result<()> {
    let ids = things(house).await?;
    let before = picture(house, &ids).await?;
    let mut onboarding: Value = serde_json::from_slice(&std::fs::read(data.join("cloud/hospital.json"))?)?;
    onboarding["hospital"] = json!({ "code": "dier", "name": "第二医院" });
    if let Some(file) = onboarding.as_object_mut() {
        file.remove("merchant");
        file.remove("claim_code");
    }
    let file = data.join("dier.json");
    std::fs::write(&file, serde_json::to_vec(&onboarding)?)?;
    let imported = tokio::process::Command::new(site::program("cloud")?)
        .args(["tenant", "import", "--config"])
        .args([data.join("cloud/cloud.toml"), file])
        .output()
        .await?;
    ensure!(
        imported.status.success(),
        "{}",
        String::from_utf8_lossy(&imported.stderr)
    );
    let mut there = house.at.clone();
    there.demo.hospital = "dier".to_owned();
    let people = [
        (
            "patient",
            journey::sign_in_patient(&there, &house.at.demo.patient_phone).await?,
        ),
        ("doctor", journey::sign_in_staff(&there, "doctor2").await?),
        ("pharmacist", journey::sign_in_staff(&there, "pharmacist2").await?),
        ("admin", journey::sign_in_staff(&there, "admin").await?),
    ];
    for (name, person) in &people {
        let tried = try_all(house, person, &ids, &[]).await.context(*name)?;
        ensure!(tried > 100, "only {tried} tries");
    }
    for (path, (name, person)) in [
        "visits",
        "doctor/visits?group=waiting",
        "pharmacist/prescriptions",
        "admin/payments",
    ]
    .iter()
    .zip(&people)
    {
        let list = person.get(path).await?;
        ensure!(list["total"] == 0, "{name} sees {list}");
    }
    let admin = &people[3].1;
    ensure!(admin.get("admin/appliances").await? == json!([]), "sees an appliance");
    let patient = &people[0].1;
    let offline = house.ask(patient, "GET", "departments", json!({})).await?;
    ensure!(
        offline.refused(&[503])?.code() == "hospital_offline",
        "{}",
        offline.body
    );
    let mut body = house.booking(&ids[0], &house.time(1).await?, "dier").await?;
    house
        .ask(patient, "POST", "visits", body.clone())
        .await?
        .refused(&[404])?;
    let person = json!({ "name": house.at.demo.patient_name, "id_number": house.at.demo.patient_id_number,
        "phone": house.at.demo.patient_phone, "relation": "self" });
    let own = patient.post("patients", person).await?;
    ensure!(own["his_state"] == "pending", "{own}");
    body["patient_id"] = own["id"].clone();
    house
        .ask(patient, "POST", "visits", body)
        .await?
        .refused(&[409, 422, 503])?;
    // A secret of one hospital is none in the other.
    let (_, secret) = house
        .cast
        .patient
        .token()
        .and_then(|t| t.split_once('.'))
        .context("token")?;
    let (hospital, _) = patient.token().and_then(|t| t.split_once('.')).context("token")?;
    let swapped = Person::new(&house.at.web)?.with_token(&format!("{hospital}.{secret}"));
    house
        .ask(&swapped, "GET", "auth/me", json!({}))
        .await?
        .refused(&[401])?;
    ensure!(picture(house, &ids).await? == before, "something moved");
    Ok(())
}
