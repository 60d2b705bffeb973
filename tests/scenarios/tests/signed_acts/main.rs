//! What doctors sign besides single documents, with the signature server of the appliance: everything left at the end of
//! service with one PIN, a record written anew after its review, and an expert's opinion in a consilium; and what becomes of
//! each when the cloud dies between the signature and what it stands for.
#![expect(
    clippy::indexing_slicing,
    reason = "a story fails where it stands; JSON answers null"
)]

mod killed;

use anyhow::{Context, Result, ensure};
use scenarios::client::Person;
use scenarios::counter::House;
use scenarios::journey::{self, PIN};
use serde_json::json;
use site::Options;

/// Rows: FT-124, FT-125, HZ-273
#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_is_signed_at_the_end_the_record_is_reviewed_and_an_expert_signs_an_opinion() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::open(folder.path(), Options::free_ports().unwrap())
        .await
        .unwrap();
    let expert = expert(&house).await.unwrap();
    let told = vec![
        ("signed", story(&house, &expert).await),
        ("killed", killed::story(&house, &expert).await),
    ];
    house.close(told).await.unwrap();
}

/// Another doctor, who has a signature.
async fn expert(house: &House) -> Result<Person> {
    let expert = journey::sign_in_staff(&house.at, "doctor2").await?;
    let capture = json!({ "image": journey::signature_image(), "pin": PIN });
    expert.post("doctor/signature", capture).await?;
    Ok(expert)
}

async fn story(house: &House, expert: &Person) -> Result<()> {
    let cast = &house.cast;
    let medical = journey::sign_in_staff(&house.at, "medical").await?;
    let patient = house.patient(0).await?;
    let (visit, _) = house.paid_visit(&patient, &house.time(0).await?, "signed").await?;
    journey::accept(cast, &visit).await?;
    let prescription = journey::prescribe(cast, &visit).await?;
    consilium(house, expert, &visit).await?;
    end_of_service(house, &visit, &prescription).await?;
    review(house, &medical, &visit).await
}

/// One PIN signs record and prescription; a wrong one signs nothing, and asking again after the end changes nothing.
async fn end_of_service(house: &House, visit: &str, prescription: &str) -> Result<()> {
    let doctor = &house.cast.doctor;
    let path = format!("doctor/visits/{visit}/end-of-service");
    let list = doctor.get(&path).await?;
    ensure!(list["unsigned"] == 2 && list["missing"] == json!([]), "{list}");
    let seen = journey::unsigned(&list);
    let wrong = json!({ "pin": "135799", "seen": seen });
    house.ask(doctor, "POST", &path, wrong).await?.refused(&[422])?;
    ensure!(doctor.get(&path).await? == list, "a wrong PIN changed something");
    let body = json!({ "pin": PIN, "seen": seen });
    let ended = doctor.post(&path, body.clone()).await?;
    ensure!(ended["finished"] == true && ended["unsigned"] == 0, "{ended}");
    ensure!(doctor.post(&path, body).await? == ended, "ended twice");
    house.reaches(visit, &["finished"]).await?;
    let signed = doctor.get(&format!("doctor/prescriptions/{prescription}")).await?;
    ensure!(signed["state"] == "in_review", "{}", signed["state"]);
    let record = doctor.get(&format!("doctor/visits/{visit}/record")).await?;
    ensure!(record["review"]["state"] == "in_review", "{record}");
    Ok(())
}

/// Medical affairs sends the record back; the doctor writes and signs a new version, which is approved.
async fn review(house: &House, medical: &Person, visit: &str) -> Result<()> {
    let doctor = &house.cast.doctor;
    let case = format!("record-reviews/{visit}");
    let first = medical.get(&format!("{case}/1")).await?;
    ensure!(first["signature"]["valid"] == true, "{first}");
    house
        .ask(doctor, "POST", &format!("{case}/1/approve"), json!({}))
        .await?
        .refused(&[403])?;
    let reason = json!({ "reason": "请补充现病史" });
    medical.post(&format!("{case}/1/return"), reason).await?;
    let record = format!("doctor/visits/{visit}/record");
    let seen = doctor.get(&record).await?;
    ensure!(
        seen["editable"] == true && seen["review"]["reason"] == "请补充现病史",
        "{seen}"
    );
    let mut again = seen.clone();
    again["present_history"] = json!("规律服药，近一周血压126-132/78-84mmHg");
    again["based_on"] = seen["version"].clone();
    let put = reqwest::Method::PUT;
    doctor.until_done(put, &record, Some(&again)).await?;
    doctor
        .post(&format!("{record}/sign"), json!({ "pin": PIN, "version": 2 }))
        .await?;
    let second = medical.get(&format!("{case}/2")).await?;
    ensure!(second["signature"]["valid"] == true, "{second}");
    let done = medical.post(&format!("{case}/2/approve"), json!({})).await?;
    ensure!(done["state"] == "approved", "{done}");
    // The sealed file of the new version reaches the patient as before.
    house
        .cast
        .patient
        .wait(&format!("visits/{visit}"), "the sealed record", |v| {
            v["record"]["version"] == 2 && v["record"]["has_pdf"] == true
        })
        .await?;
    Ok(())
}

/// The expert reads only while the consilium is open, and the inviter reads the verified opinion.
async fn consilium(house: &House, expert: &Person, visit: &str) -> Result<()> {
    let doctor = &house.cast.doctor;
    let experts = doctor.get("doctor/experts").await?;
    let me = expert.get("auth/me").await?;
    let wanted = &me["staff"]["id"];
    ensure!(
        experts
            .as_array()
            .is_some_and(|all| all.iter().any(|e| e["id"] == *wanted)),
        "{experts}"
    );
    let wish =
        json!({ "key": "ask-1", "expert_id": wanted, "question": "是否需要调整降压方案？", "summary": "高血压3年" });
    let asked = doctor.post(&format!("doctor/visits/{visit}/consilia"), wish).await?;
    let path = format!("doctor/consilia/{}", asked["id"].as_str().context("a consilium")?);
    let materials = format!("{path}/materials");
    house.ask(expert, "GET", &materials, json!({})).await?.refused(&[409])?;
    expert.post(&format!("{path}/accept"), json!({})).await?;
    let seen = expert.get(&materials).await?;
    ensure!(
        seen["record"]["record"]["chief_complaint"] == "高血压复诊续方",
        "{seen}"
    );
    let opinion = json!({ "opinion": "维持现方案，两周后复测血压。", "pin": PIN });
    let signed = expert.post(&format!("{path}/opinion"), opinion).await?;
    ensure!(signed["state"] == "concluded", "{signed}");
    house.ask(expert, "GET", &materials, json!({})).await?.refused(&[409])?;
    let read = doctor.get(&path).await?;
    let signature = &read["opinion"]["signature"];
    ensure!(
        signature["valid"] == true && signature["name"] == me["staff"]["name"],
        "{read}"
    );
    let judged = doctor
        .post(
            &format!("{path}/evaluate"),
            json!({ "score": 5, "comment": "很有帮助" }),
        )
        .await?;
    ensure!(judged["state"] == "evaluated", "{judged}");
    Ok(())
}
