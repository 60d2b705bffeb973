//! The whole product on this machine for a measurement: real daemons, patients signed in and bound to the hospital.
//!
//! Two things differ from a demo run. The hospital's profile allows as many requests as the load brings (the shipped
//! one keeps to 6 at a time and 150 a second, and every figure would be that number), and the appliance dials the
//! cloud's broker itself and not through the bench's breakable line.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use site::ports::{Ports, Service};
use site::{Options, Site};
use tempfile::TempDir;

use crate::http::{self, Connection, Reply};
use crate::say;

/// A patient of the bench hospital, added to an account of their own.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    /// Session of the account.
    pub(crate) token: String,
    /// Our id of the patient.
    pub(crate) id: String,
    /// The hospital's id.
    pub(crate) his_id: String,
    /// A department that has seen them lately.
    pub(crate) department: String,
}

/// A running product.
pub(crate) struct Place {
    pub(crate) site: Site,
    /// The cloud's API.
    pub(crate) web: SocketAddr,
    /// The hospital's SOAP port.
    pub(crate) soap: SocketAddr,
    his_control: SocketAddr,
    _folder: TempDir,
}

fn loopback(ports: Ports, service: Service) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], ports.of(service)))
}

impl Place {
    /// Starts the product as it ships.
    pub(crate) async fn as_shipped() -> Result<Self> {
        let mut options = Options::free_ports()?;
        options.progress = say;
        let ports = options.ports;
        let folder = tempfile::tempdir()?;
        let site = Site::start(folder.path(), options).await?;
        Ok(Self::around(site, ports, folder))
    }

    /// Starts the product for load, on SQLite or on this PostgreSQL database.
    pub(crate) async fn for_load(postgres: Option<String>) -> Result<Self> {
        let mut options = Options::free_ports()?;
        options.progress = say;
        options.postgres = postgres;
        let ports = options.ports;
        let folder = tempfile::tempdir()?;
        let mut site = Site::start(folder.path(), options).await?;
        open_up(folder.path(), ports)?;
        site.processes().restart("edge").await?;
        Ok(Self::around(site, ports, folder))
    }

    fn around(site: Site, ports: Ports, folder: TempDir) -> Self {
        Self {
            site,
            web: loopback(ports, Service::Web),
            soap: loopback(ports, Service::HisSoap),
            his_control: loopback(ports, Service::HisControl),
            _folder: folder,
        }
    }

    /// A request to the cloud outside of any measurement.
    pub(crate) async fn ask(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Result<Reply> {
        let mut connection = Connection::open(self.web).await?;
        connection.ask(&http::api(method, path, token, body)).await
    }

    /// The same, of which only success is good.
    pub(crate) async fn done(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Result<Value> {
        let reply = self.ask(method, path, token, body).await?;
        if !reply.is_success() {
            bail!("{method} {path}: {} {}", reply.status, reply.json());
        }
        Ok(reply.json())
    }

    async fn hospital(&self, method: &str, path: &str) -> Result<Value> {
        let mut connection = Connection::open(self.his_control).await?;
        let headers = [("Content-Type", "application/json")];
        let reply = connection.ask(&http::request(method, path, &headers, b"{}")).await?;
        ensure!(reply.is_success(), "{path} of the bench hospital: {}", reply.status);
        Ok(reply.json())
    }

    /// Empties the hospital's books and fills them anew.
    pub(crate) async fn reset_hospital(&self) -> Result<()> {
        self.hospital("POST", "/control/reset").await.map(drop)
    }

    /// The hospital's books.
    pub(crate) async fn books(&self) -> Result<Value> {
        self.hospital("GET", "/control/books").await
    }

    /// Signs in with `most` of the hospital's grown-up patients, each on their own phone, and binds them.
    pub(crate) async fn people(&self, most: usize) -> Result<Vec<Person>> {
        say("patients sign in");
        let known = self.hospital("GET", "/control/demo").await?;
        let known = known
            .get("patients")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        let text = |p: &Value, key: &str| p.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let fit = |p: &&Value| {
            p.get("guardian").is_none_or(Value::is_null) && p.get("follow_up_within_90_days") == Some(&json!(true))
        };
        let mut people = Vec::new();
        for patient in known.iter().filter(fit).take(most) {
            let token = self.sign_in(&text(patient, "phone")).await?;
            let body = json!({ "name": text(patient, "name"), "id_number": text(patient, "id_number"),
                "phone": text(patient, "phone"), "relation": "self" });
            let added = self.done("POST", "patients", Some(&token), Some(&body)).await?;
            let person = Person {
                id: text(&added, "id"),
                his_id: text(patient, "pat_id"),
                department: text(patient, "department_code"),
                token,
            };
            self.bound(&person).await?;
            people.push(person);
        }
        ensure!(
            !people.is_empty(),
            "the bench hospital has no patients that may come back"
        );
        Ok(people)
    }

    async fn sign_in(&self, phone: &str) -> Result<String> {
        let addresses = self.site.addresses();
        let hospital = &addresses.demo.hospital;
        let body = json!({ "hospital": hospital, "phone": phone });
        self.done("POST", "auth/phone/code", None, Some(&body)).await?;
        let code = site::sms_code(addresses, phone).await?;
        let body = json!({ "hospital": hospital, "phone": phone, "code": code });
        let signed = self.done("POST", "auth/phone/login", None, Some(&body)).await?;
        let token = signed.get("token").and_then(Value::as_str).context("token")?;
        Ok(token.to_owned())
    }

    /// Waits until the hospital knows the patient.
    async fn bound(&self, person: &Person) -> Result<()> {
        let begun = Instant::now();
        loop {
            let list = self.done("GET", "patients", Some(&person.token), None).await?;
            let mine = list.as_array().and_then(|all| all.first()).cloned().unwrap_or_default();
            match mine.get("his_state").and_then(Value::as_str) {
                Some("matched" | "created") => return Ok(()),
                _ if begun.elapsed() > Duration::from_secs(60) => {
                    bail!("a patient is not bound to the hospital: {mine}")
                }
                _ => {}
            }
            let path = format!("patients/{}/retry", person.id);
            self.ask("POST", &path, Some(&person.token), None).await?;
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }

    /// Stops everything in order.
    pub(crate) async fn close(mut self) {
        self.site.stop().await;
    }
}

/// Lifts the profile's limits and takes the breakable line out of the way.
fn open_up(folder: &Path, ports: Ports) -> Result<()> {
    let config = folder.join("edge/edge.toml");
    let text = std::fs::read_to_string(&config)?;
    let shipped = text
        .lines()
        .find_map(|line| line.strip_prefix("profile = "))
        .map(|path| PathBuf::from(path.trim_matches('"')))
        .context("profile in the appliance's settings")?;
    let profile = std::fs::read_to_string(&shipped)?;
    let open = folder.join("edge/open.toml");
    std::fs::write(&open, lifted(&profile))?;
    let text = text
        .replace(
            &format!("{:?}", shipped.display().to_string()),
            &format!("{:?}", open.display().to_string()),
        )
        .replace(
            &format!("mqtts://localhost:{}", ports.of(Service::LineMqtt)),
            &format!("mqtts://localhost:{}", ports.of(Service::Mqtt)),
        );
    ensure!(
        text.contains("open.toml"),
        "the appliance's settings are not as expected"
    );
    Ok(std::fs::write(&config, text)?)
}

fn lifted(profile: &str) -> String {
    let lift = |line: &str| match line.split(" = ").next() {
        Some("concurrency") => "concurrency = 64".to_owned(),
        Some("queue") => "queue = 5000".to_owned(),
        Some("per_second") => "per_second = 100000".to_owned(),
        _ => line.to_owned(),
    };
    profile.lines().map(lift).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_limits_are_lifted() {
        let profile = "concurrency = 6\nper_second = 150\ntimeout_ms = 8000\n[retry]";
        let lifted = super::lifted(profile);
        assert_eq!(
            lifted,
            "concurrency = 64\nper_second = 100000\ntimeout_ms = 8000\n[retry]"
        );
    }
}
