//! The terminal as a person uses it.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use site::{Addresses, Options, Site};

/// What takes a moment takes longer on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) struct Terminal<'a> {
    pub(crate) site: &'a Addresses,
    pub(crate) http: reqwest::Client,
}

impl<'a> Terminal<'a> {
    pub(crate) fn at(site: &'a Addresses) -> Result<Self> {
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?;
        Ok(Self { site, http })
    }

    /// What is on the screen now.
    pub(crate) async fn screen(&self) -> Result<Value> {
        let mut answer = self.http.get(format!("{}/api/screen", self.site.kiosk)).send().await?;
        // A piece may end within a letter.
        let mut heard = Vec::new();
        while !heard.windows(2).any(|two| two == b"\n\n") {
            let Some(piece) = answer.chunk().await? else {
                bail!("the screen ended")
            };
            heard.extend_from_slice(&piece);
        }
        let text = String::from_utf8_lossy(&heard);
        let line = text
            .lines()
            .find_map(|l| l.strip_prefix("data: "))
            .context("no screen")?;
        Ok(serde_json::from_str(line)?)
    }

    pub(crate) async fn until(&self, what: &str, so: impl Fn(&Value) -> bool) -> Result<Value> {
        let begun = Instant::now();
        loop {
            // There is none until the appliance knows whom it serves.
            let screen = self.screen().await.unwrap_or_default();
            if so(&screen) {
                return Ok(screen);
            }
            ensure!(begun.elapsed() < PATIENCE, "waited in vain for {what}: {screen}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    pub(crate) async fn tap(&self, act: &str) -> Result<()> {
        let session = self.screen().await?["session"].clone();
        let body = json!({ "session": session, "act": act });
        let url = format!("{}/api/tap", self.site.kiosk);
        self.http.post(url).json(&body).send().await?.error_for_status()?;
        Ok(())
    }

    pub(crate) async fn ask(&self, control: &str, path: &str, body: Option<Value>) -> Result<Value> {
        let url = format!("{control}/control/{path}");
        let request = match body {
            Some(body) => self.http.post(url).json(&body),
            None => self.http.get(url),
        };
        Ok(request.send().await?.error_for_status()?.json().await?)
    }

    pub(crate) async fn card(&self, name: &str, number: &str) -> Result<()> {
        let body = json!({ "name": name, "number": number });
        self.ask(&self.site.reader, "card", Some(body)).await.map(drop)
    }

    pub(crate) async fn walk_in(&self, patient: &str) -> Result<String> {
        let body = json!({ "patId": patient, "doctorCode": self.site.demo.doctor_code });
        let made = self.ask(&self.site.his, "walk-in", Some(body)).await?;
        made["hisOrdNum"].as_str().map(str::to_owned).context("no registration")
    }

    /// How often the hospital was told of somebody reporting in.
    pub(crate) async fn taken(&self) -> Result<usize> {
        let calls = self.ask(&self.site.his, "requests", None).await?;
        let calls = calls.as_array().cloned().unwrap_or_default();
        Ok(calls.iter().filter(|c| c["op"] == "takeNetNo").count())
    }

    pub(crate) async fn slips(&self) -> Result<Vec<Value>> {
        let jobs = self.ask(&self.site.kiosk_printer, "jobs", None).await?;
        Ok(jobs.as_array().cloned().unwrap_or_default())
    }

    /// The codes on the newest paper, as another program's scanner reads them.
    pub(crate) async fn codes(&self, folder: &std::path::Path) -> Result<String> {
        let jobs = self.slips().await?;
        let png = jobs
            .last()
            .and_then(|j| j["png"].as_str())
            .context("no paper")?
            .to_owned();
        let bytes = self
            .http
            .get(format!("{}{png}", self.site.kiosk_printer))
            .send()
            .await?
            .bytes()
            .await?;
        let file = folder.join("ticket.png");
        std::fs::write(&file, &bytes)?;
        // The two symbols of our papers: others are also seen in lines of text.
        let symbols = ["-Sdisable", "-Scode128.enable", "-Sqrcode.enable"];
        let read = Command::new("zbarimg")
            .args(["-q", "--raw"])
            .args(symbols)
            .arg(&file)
            .output()?;
        Ok(String::from_utf8_lossy(&read.stdout).trim().to_owned())
    }

    /// Holds a code against the scanner.
    pub(crate) async fn scan(&self, text: &str) -> Result<()> {
        let shown = json!({ "text": text });
        self.ask(&self.site.reader, "code", Some(shown)).await.map(drop)
    }

    /// Waits until the title says this.
    pub(crate) async fn titled(&self, words: &str) -> Result<Value> {
        self.until(words, |s| s["title"].as_str().is_some_and(|t| t.contains(words)))
            .await
    }
}

/// A terminal that stands free, with everything in order.
pub(crate) fn ready(screen: &Value) -> bool {
    screen["view"] == "home" && screen["notices"].as_array().is_some_and(Vec::is_empty)
}

/// Runs a story on a site of its own.
pub(crate) async fn on_site<F>(story: impl FnOnce(Addresses, std::path::PathBuf) -> F)
where
    F: Future<Output = Result<()>>,
{
    site::prepare();
    let folder = tempfile::tempdir().unwrap();
    let mut site = Site::start(folder.path(), Options::free_ports().unwrap())
        .await
        .unwrap();
    let told = story(site.addresses().clone(), folder.path().to_path_buf()).await;
    let killed = site.stop().await;
    told.unwrap();
    assert!(killed.is_empty(), "did not stop when asked: {killed:?}");
}
