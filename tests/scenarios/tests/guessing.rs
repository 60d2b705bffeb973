//! Guessed codes and passwords, replayed one-time codes, a flood of made-up logins.
#![expect(
    clippy::indexing_slicing,
    reason = "a story fails where it stands; JSON answers null"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::future::join_all;
use reqwest::Method;
use scenarios::client::Person;
use scenarios::counter::House;
use serde_json::{Value, json};
use site::Options;

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test(flavor = "multi_thread")]
async fn nobody_comes_in_by_guessing() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::open(folder.path(), Options::free_ports().unwrap())
        .await
        .unwrap();
    let told = vec![
        ("codes", guessed_codes(&house).await),
        ("passwords", guessed_passwords(&house).await),
        ("flood", a_flood_of_made_up_logins(&house).await),
    ];
    house.close(told).await.unwrap();
}

async fn guessed_codes(house: &House) -> Result<()> {
    let (stranger, phone) = (Person::new(&house.at.web)?, "13900000007");
    let hospital = &house.at.demo.hospital;
    let wanted = json!({ "hospital": hospital, "phone": phone });
    site::forget_messages(&house.at).await?;
    house.ask(&stranger, "POST", "auth/phone/code", wanted.clone()).await?;
    house
        .ask(&stranger, "POST", "auth/phone/code", wanted)
        .await?
        .refused(&[429])?;
    let right = site::sms_code(&house.at, phone).await?;
    let login = async |code: String| {
        let given = json!({ "hospital": hospital, "phone": phone, "code": code });
        house.ask(&stranger, "POST", "auth/phone/login", given).await
    };
    for number in 0..8 {
        let code = format!("{number:06}");
        if code != right {
            login(code).await?.refused(&[401, 422, 429])?;
        }
    }
    login(right)
        .await?
        .refused(&[401, 422, 429])
        .context("the right code after too many guesses")?;
    for phone in [
        "1",
        "13800000000; drop table",
        "+8613800000000000",
        "１３８００００００００",
    ] {
        let wanted = json!({ "hospital": hospital, "phone": phone });
        house
            .ask(&stranger, "POST", "auth/phone/code", wanted)
            .await?
            .refused(&[422])?;
    }
    let nowhere = json!({ "hospital": "nowhere", "phone": "13800000000" });
    house
        .ask(&stranger, "POST", "auth/phone/code", nowhere)
        .await?
        .refused(&[404, 422])?;
    Ok(())
}

async fn guessed_passwords(house: &House) -> Result<()> {
    let stranger = Person::new(&house.at.web)?;
    let (hospital, password) = (&house.at.demo.hospital, &house.at.demo.staff_password);
    let enter = async |login: &str, password: &str| {
        let body = json!({ "hospital": hospital, "login": login, "password": password });
        house.ask(&stranger, "POST", "auth/staff/login", body).await
    };
    // A one-time code opens one session only.
    let first = enter("pharmacist2", password).await?;
    let second = enter("pharmacist2", password).await?;
    let code = site::totp_code(&house.at, "pharmacist2").await?;
    let give = async |ticket: &Value, code: &str| {
        let body = json!({ "ticket": ticket, "code": code });
        house.ask(&stranger, "POST", "auth/staff/second-factor", body).await
    };
    let opened = give(&first.body["ticket"], &code).await?;
    ensure!(opened.status.is_success(), "{}", opened.body);
    give(&second.body["ticket"], &code)
        .await?
        .refused(&[401])
        .context("the same one-time code again")?;
    give(&first.body["ticket"], &code)
        .await?
        .refused(&[401])
        .context("the same ticket again")?;
    give(&json!("hos_x.y"), "000000").await?.refused(&[401])?;

    for login in ["nobody", "' OR 1=1--", "admin' --", &"x".repeat(9_000)] {
        enter(login, "Guess#2026x")
            .await?
            .refused(&[401])
            .map_err(|e| e.context(login.len().to_string()))?;
    }
    let mut locked = false;
    for _ in 0..8 {
        let answer = enter("doctor3", "Guess#2026x").await?;
        answer.refused(&[401, 423, 429])?;
        locked |= answer.status != 401;
    }
    ensure!(locked, "eight wrong passwords and still no lock");
    enter("doctor3", password)
        .await?
        .refused(&[423, 429])
        .context("the right password while locked")?;
    let noted = house.audited("session.refused").await?;
    ensure!(noted.len() >= 5, "only {} wrong passwords were noted", noted.len());
    Ok(())
}

/// Checking a password is made to cost; a flood of them must not take the machine from the others.
async fn a_flood_of_made_up_logins(house: &House) -> Result<()> {
    let held = async || {
        let memory = house.site.lock().await.processes().memory();
        memory
            .into_iter()
            .find(|(name, _)| *name == "cloud")
            .map_or(0, |(_, kib)| kib)
    };
    let before = held().await;
    let stranger = Person::new(&house.at.web)?;
    // It goes on until a patient was served: no patient waits until it is over.
    let served = Arc::new(AtomicBool::new(false));
    let flood = (0..60).map(|number| {
        let body =
            json!({ "hospital": house.at.demo.hospital, "login": format!("flood{number}"), "password": "Guess#2026x" });
        let (stranger, served) = (stranger.clone(), Arc::clone(&served));
        async move {
            loop {
                let body = serde_json::to_vec(&body)?;
                let answer = stranger.raw(Method::POST, "auth/staff/login", &[JSON], body).await?;
                answer.refused(&[401, 423, 429])?;
                if served.load(Ordering::SeqCst) {
                    return Ok(());
                }
            }
        }
    });
    let flood = tokio::spawn(join_all(flood.collect::<Vec<_>>()));
    tokio::time::sleep(Duration::from_millis(300)).await;
    let peak = held().await;
    let answered = house.cast.patient.get("visits").await;
    served.store(true, Ordering::SeqCst);
    let flood: Result<Vec<()>> = flood.await?.into_iter().collect();
    flood?;
    answered.context("a patient in the flood")?;
    ensure!(peak < before + (200 << 10), "{before} KiB before, {peak} in the flood");
    Ok(())
}
