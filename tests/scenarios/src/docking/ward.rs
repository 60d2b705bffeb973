//! The ward's side of a site: recorders issued, waited for, and each recorded byte proven to be kept.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use bench_recorder::Recorder;
use serde_json::{Value, json};
use site::{Addresses, Site};
use tokio::sync::Mutex;

use crate::client::Person;
use crate::journey::sign_in_staff;

/// How long a run may take once everything is whole again.
const PATIENCE: Duration = Duration::from_secs(180);

/// The ward's side of a site: its administrator, its shelf, its recorders' names.
pub struct Ward {
    pub(super) site: Arc<Mutex<Site>>,
    pub(super) addresses: Addresses,
    admin: Person,
    nurse: String,
}

impl Ward {
    /// Signs in.
    ///
    /// # Errors
    /// When nobody may.
    pub async fn open(site: Arc<Mutex<Site>>) -> Result<Self> {
        let addresses = site.lock().await.addresses().clone();
        let admin = sign_in_staff(&addresses, &addresses.demo.admin_login).await?;
        let staff = admin.get("admin/staff").await?;
        let staff = staff
            .as_array()
            .or_else(|| staff["items"].as_array())
            .cloned()
            .unwrap_or_default();
        let nurse = staff
            .first()
            .and_then(|s| s["id"].as_str())
            .context("somebody who gets recorders")?;
        Ok(Self {
            nurse: nurse.to_owned(),
            site,
            addresses,
            admin,
        })
    }

    /// Where recorders are plugged.
    pub fn shelf(&self) -> PathBuf {
        self.addresses.data.join("bench/recorders")
    }

    /// The administrator.
    pub const fn admin(&self) -> &Person {
        &self.admin
    }

    /// A recorder of the hospital, given to a nurse for an order.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn issued(&self, serial: &str, order: &str, seed: u64) -> Result<Recorder> {
        self.admin
            .post("admin/recorders", json!({ "serial": serial, "model": "BENCH-R1" }))
            .await?;
        let act = json!({ "act": "issue", "holder": self.nurse, "order": order });
        self.admin.post(&format!("admin/recorders/{serial}/acts"), act).await?;
        Recorder::new(&self.shelf(), serial, seed)
    }

    /// Waits until the last docking of a recorder is in one of these states.
    ///
    /// # Errors
    /// When it does not come to that.
    pub async fn until(&self, serial: &str, states: &[&str]) -> Result<Value> {
        let path = format!("admin/dockings?serial={serial}&size=1");
        let seen = self
            .admin
            .clone()
            .with_patience(PATIENCE)
            .wait(&path, &format!("{serial} {states:?}"), |seen| {
                states.iter().any(|s| seen["items"][0]["state"] == *s)
            })
            .await?;
        Ok(seen["items"][0].clone())
    }

    /// Proves that each byte recorded is in the cloud or still on its recorder; answers the differences.
    ///
    /// # Errors
    /// When the cloud cannot be asked.
    pub async fn prove(&self, recorders: &[Recorder]) -> Result<Vec<String>> {
        let mut differences = Vec::new();
        for recorder in recorders {
            let (held, mut kept) = (recorder.held()?, BTreeSet::new());
            let listed = self
                .admin
                .get(&format!("admin/footage?serial={}&size=100", recorder.serial()))
                .await?;
            for clip in listed["items"].as_array().cloned().unwrap_or_default() {
                if clip["state"] != "confirmed" {
                    continue;
                }
                let id = clip["id"].as_str().context("id of a clip")?;
                let proven = self
                    .admin
                    .post(&format!("admin/footage/{id}/verification"), json!({}))
                    .await?;
                let proof = &proven["proof"];
                if proof["signature"] != true || proof["content"] != true || proof["chain"] == "broken" {
                    differences.push(format!("{id}: {proof}"));
                }
                let content = self.admin.download(&format!("admin/footage/{id}/content")).await?;
                let sha256 = bench_recorder::sha256(&content);
                if proven["entry"]["sha256"] != sha256 {
                    differences.push(format!("{id}: the cloud gives another content than its entry says"));
                }
                kept.insert(sha256);
            }
            for recorded in recorder.recorded() {
                if !kept.contains(&recorded.sha256) && !held.contains_key(&recorded.sha256) {
                    differences.push(format!(
                        "{} {}: neither in the cloud nor on the recorder",
                        recorder.serial(),
                        recorded.path.display()
                    ));
                }
            }
        }
        Ok(differences)
    }
}
