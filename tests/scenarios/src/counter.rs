//! Single acts at the hospital's counter, for stories that do them in the wrong order, twice, or at the wrong desk.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use site::{Addresses, Options, Site};
use tokio::sync::Mutex;

use crate::client::{Answer, PATIENCE, Person, brief};
use crate::journey::{self, Cast};

/// The running house with its people.
pub struct House {
    /// The processes.
    pub site: Mutex<Site>,
    /// Where everything is.
    pub at: Addresses,
    /// Who is signed in.
    pub cast: Cast,
}

impl House {
    /// Starts the site and signs everybody in.
    ///
    /// # Errors
    /// When something does not come up.
    pub async fn open(folder: &Path, options: Options) -> Result<Self> {
        site::prepare();
        let mut site = Site::start(folder, options).await?;
        let at = site.addresses().clone();
        match journey::gather(&at).await {
            Ok(cast) => Ok(Self {
                site: Mutex::new(site),
                at,
                cast,
            }),
            Err(error) => {
                site.stop().await;
                Err(error)
            }
        }
    }

    /// Stops everything, then reports what the stories found: each by its name.
    ///
    /// # Errors
    /// When a story failed, or something did not stop when asked.
    pub async fn close(self, told: Vec<(&str, Result<()>)>) -> Result<()> {
        let killed = self.site.lock().await.stop().await;
        let failed: Vec<_> = told
            .into_iter()
            .filter_map(|(name, told)| told.err().map(|error| format!("{name}: {error:#}")))
            .collect();
        ensure!(failed.is_empty(), "{}", failed.join("\n"));
        ensure!(killed.is_empty(), "did not stop when asked: {killed:?}");
        Ok(())
    }

    /// Adds the demo patient with this number to the demo account; answers their id.
    ///
    /// # Errors
    /// When they are not matched in the HIS.
    pub async fn patient(&self, number: usize) -> Result<String> {
        let who = self.at.demo.patients.get(number).context("a demo patient")?;
        let relation = if number == 0 { "self" } else { "other" };
        let id = journey::add_patient(&self.cast, who, relation).await?;
        journey::matched(&self.cast, &id).await?;
        Ok(id)
    }

    /// Free times of the demo doctor.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn times(&self) -> Result<Vec<Value>> {
        let demo = &self.at.demo;
        let path = format!(
            "slots?department_code={}&doctor_code={}&from={}&to={}",
            demo.department_code, demo.doctor_code, demo.first_day, demo.last_day
        );
        let slots = self.cast.patient.get(&path).await?;
        let free = |s: &&Value| s["left"].as_i64() > Some(0) && s["stopped"] != json!(true);
        Ok(slots.as_array().into_iter().flatten().filter(free).cloned().collect())
    }

    /// The first free time of the shift with this number, counted from the last: stories take different shifts, because
    /// the hospital books a patient once per doctor and shift.
    ///
    /// # Errors
    /// When there is none.
    pub async fn time(&self, shift: usize) -> Result<Value> {
        let times = self.times().await?;
        let mut shifts: Vec<&Value> = times.iter().map(|t| &t["work_id"]).collect();
        shifts.dedup();
        let wanted = shifts.iter().rev().nth(shift).context("a shift")?;
        let time = times.iter().find(|t| t["work_id"] == **wanted);
        time.cloned().context("a free time")
    }

    /// What the app sends to book.
    ///
    /// # Errors
    /// When the consent cannot be read.
    pub async fn booking(&self, patient: &str, time: &Value, key: &str) -> Result<Value> {
        let consent = self.cast.patient.get("consents/current").await?;
        Ok(json!({
            "key": key, "patient_id": patient, "purpose": "renew_prescription",
            "department_code": self.at.demo.department_code, "doctor_code": time["doctor_code"],
            "slot": { "work_id": time["work_id"], "date": time["date"], "begin": time["begin"], "end": time["end"] },
            "consent": { "id": consent["id"], "version": consent["version"] },
            "statement": { "complaint": "血压控制尚可，需续方", "duration": "3年", "history": "高血压病史3年", "allergies": "无", "medications": "苯磺酸氨氯地平片" },
            "photo_ids": [],
        }))
    }

    /// A visit that waits for payment.
    ///
    /// # Errors
    /// When it cannot be booked.
    pub async fn visit(&self, patient: &str, time: &Value, key: &str) -> Result<String> {
        let body = self.booking(patient, time, key).await?;
        let visit = self.cast.patient.post("visits", body).await?;
        let id = visit["id"].as_str().context("visit id")?.to_owned();
        self.reaches(&id, &["awaiting_payment"]).await?;
        Ok(id)
    }

    /// A visit that is paid and registered.
    ///
    /// # Errors
    /// When it cannot be booked or paid.
    pub async fn paid_visit(&self, patient: &str, time: &Value, key: &str) -> Result<(String, String)> {
        let id = self.visit(patient, time, key).await?;
        let payment = journey::pay(&self.at, &self.cast, &format!("visits/{id}/pay")).await?;
        self.reaches(&id, &["waiting"]).await?;
        Ok((id, payment))
    }

    /// Waits until a visit is in one of these states.
    ///
    /// # Errors
    /// When it is not within the patience of a person.
    pub async fn reaches(&self, visit: &str, states: &[&str]) -> Result<Value> {
        let path = format!("visits/{visit}");
        let there = |v: &Value| v["state"].as_str().is_some_and(|s| states.contains(&s));
        self.cast.patient.wait(&path, &states.join(" or "), there).await
    }

    /// One request of a person.
    ///
    /// # Errors
    /// When nothing comes back.
    pub async fn ask(&self, person: &Person, method: &str, path: &str, body: Value) -> Result<Answer> {
        let method: Method = method.parse()?;
        let body = (method != Method::GET && method != Method::DELETE).then_some(&body);
        person.once(method, path, body).await
    }

    /// The row of the audit with this action, newest first, among the last hundred.
    ///
    /// # Errors
    /// When the audit cannot be read.
    pub async fn audited(&self, action: &str) -> Result<Vec<Value>> {
        let page = self.cast.admin.get("admin/audit?size=100").await?;
        let rows = page["items"].as_array().cloned().unwrap_or_default();
        Ok(rows.into_iter().filter(|r| r["action"] == action).collect())
    }

    /// Our payments.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn payment(&self, id: &str) -> Result<Value> {
        self.cast.patient.get(&format!("payments/{id}")).await
    }

    /// Waits until one of our payments is in this state.
    ///
    /// # Errors
    /// When it is not within the patience of a person.
    pub async fn payment_is(&self, id: &str, state: &str) -> Result<Value> {
        let there = |payment: &Value| payment["state"] == state;
        self.cast.patient.wait(&format!("payments/{id}"), state, there).await
    }

    /// A page of a peer's control.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn peek(&self, control: &str, path: &str) -> Result<Value> {
        Ok(reqwest::get(format!("{control}/control/{path}"))
            .await?
            .error_for_status()?
            .json()
            .await?)
    }

    /// Moves a peer.
    ///
    /// # Errors
    /// When it does not take it.
    pub async fn move_peer(&self, control: &str, path: &str, body: Value) -> Result<Value> {
        let answer = reqwest::Client::new()
            .post(format!("{control}/control/{path}"))
            .json(&body)
            .send()
            .await?;
        let (status, text) = (answer.status(), answer.text().await?);
        ensure!(status.is_success(), "{control}/control/{path}: {status} {text}");
        Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// Registrations in the hospital's book with this number of ours.
    ///
    /// # Errors
    /// When the book cannot be read.
    pub async fn registrations(&self, visit: &str) -> Result<Vec<Value>> {
        let books = self.peek(&self.at.his, "books").await?;
        let rows = books["registrations"].as_array().cloned().unwrap_or_default();
        Ok(rows.into_iter().filter(|r| r["ps_ord"] == visit).collect())
    }

    /// Waits until the channel, the hospital and we hold the same money for everything booked so far.
    ///
    /// # Errors
    /// When they do not agree in time.
    pub async fn money_agrees(&self) -> Result<()> {
        let started = Instant::now();
        loop {
            let channel = self.peek(&self.at.pay, "ledger").await?["balance_fen"].as_i64();
            let ledger = self.peek(&self.at.his, "ledger").await?;
            let hospital: i64 = ledger["movements"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|m| {
                    m["amount_fen"]
                        .as_i64()
                        .map(|a| if m["kind"] == "pay" { a } else { -a })
                })
                .sum();
            let rows = self.cast.admin.get("admin/payments?size=100").await?;
            let ours: i64 = rows["items"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|p| p["state"] == "done")
                .filter_map(|p| p["amount_fen"].as_i64())
                .sum();
            if channel == Some(hospital) && hospital == ours {
                return Ok(());
            }
            if started.elapsed() > PATIENCE {
                bail!(
                    "the channel holds {channel:?} fen, the hospital {hospital}, we {ours}: {}",
                    brief(&rows["items"])
                );
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
}
