//! A person at a browser: an HTTP client that reads the plain words of a refusal and tries again where a person would.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use reqwest::{Method, StatusCode};
use serde_json::Value;

/// How long a person goes on trying one step while the house is on fire.
pub const PATIENCE: Duration = Duration::from_secs(180);
/// No request may hang longer than this, however busy the machine: a user meets a clear message, never a spinner without
/// end.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// What a request came back with.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: StatusCode,
    /// Body as JSON, or null.
    pub body: Value,
    /// Body as sent.
    pub bytes: Vec<u8>,
}

impl Answer {
    /// The refusal's stable word.
    pub fn code(&self) -> &str {
        self.body.get("code").and_then(Value::as_str).unwrap_or_default()
    }

    /// Holds when this is a refusal with one of these statuses, in the house's shape: a stable code, plain Chinese words,
    /// a request id, and nothing of our insides.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn refused(&self, statuses: &[u16]) -> Result<&Self> {
        let text = String::from_utf8_lossy(&self.bytes);
        let shown: String = text.chars().take(300).collect();
        anyhow::ensure!(
            statuses.contains(&self.status.as_u16()),
            "{} instead of {statuses:?}: {shown}",
            self.status
        );
        let word = |key: &str| self.body.get(key).and_then(Value::as_str).unwrap_or_default();
        let code = word("code");
        let stable = !code.is_empty()
            && code
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        anyhow::ensure!(stable, "no stable code: {shown}");
        anyhow::ensure!(!word("message").is_ascii(), "no Chinese words: {shown}");
        anyhow::ensure!(word("request_id").starts_with("req_"), "no request id: {shown}");
        for inside in [
            "panicked", "expected", "at line", "SQL", "sqlite", "serde", ".rs:", "thread '",
        ] {
            anyhow::ensure!(!text.contains(inside), "tells of its insides ({inside}): {shown}");
        }
        Ok(self)
    }
}

/// A signed-in (or anonymous) person.
#[derive(Clone, Debug)]
pub struct Person {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
    patience: Duration,
}

impl Person {
    /// The same, who goes on trying for so long.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Somebody who opens the page.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(web: &str) -> Result<Self> {
        let http = reqwest::Client::builder()
            .timeout(DEADLINE)
            .pool_max_idle_per_host(2)
            .build()?;
        Ok(Self {
            http,
            base: format!("{web}/api/v1"),
            token: None,
            patience: PATIENCE,
        })
    }

    /// The same person after sign-in.
    #[must_use]
    pub fn with_token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    /// The token, when signed in.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// Sends bytes as they are, with these headers; the address may be a whole one. Words are not judged.
    ///
    /// # Errors
    /// When no answer came within [`DEADLINE`].
    pub async fn raw(&self, method: Method, path: &str, headers: &[(&str, &str)], bytes: Vec<u8>) -> Result<Answer> {
        let address = if path.starts_with("http") {
            path.to_owned()
        } else {
            format!("{}/{path}", self.base)
        };
        let mut request = self.http.request(method, address).body(bytes);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.with_context(|| format!("no answer from {path}"))?;
        let status = response.status();
        let bytes = response.bytes().await?.to_vec();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Ok(Answer { status, body, bytes })
    }

    /// One try.
    ///
    /// # Errors
    /// When no answer came within [`DEADLINE`].
    pub async fn once(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer> {
        let mut request = self.http.request(method, format!("{}/{path}", self.base));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.with_context(|| format!("no answer from {path}"))?;
        let status = response.status();
        let bytes = response
            .bytes()
            .await
            .with_context(|| format!("the answer of {path} broke off"))?
            .to_vec();
        let body: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        if status.is_client_error() || status.is_server_error() {
            let worded = body
                .get("message")
                .and_then(Value::as_str)
                .is_some_and(|m| !m.is_ascii());
            if !worded {
                bail!(
                    "{path} refused with {status} but without plain Chinese words: {}",
                    String::from_utf8_lossy(&bytes)
                );
            }
        }
        Ok(Answer { status, body, bytes })
    }

    /// Tries until it is done, as a person does who is told to try again: on no answer, 429 and 5xx.
    ///
    /// # Errors
    /// When it is refused for good (4xx), or their patience ends.
    pub async fn until_done(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let started = Instant::now();
        loop {
            let tried = self.once(method.clone(), path, body).await;
            match &tried {
                Ok(answer) if answer.status.is_success() => return Ok(tried?.body),
                Ok(answer) if answer.status.is_client_error() && answer.status != StatusCode::TOO_MANY_REQUESTS => {
                    return Err(anyhow!("{method} {path}: {} {}", answer.status, answer.body));
                }
                _ if started.elapsed() > self.patience => {
                    let last = tried.map_or_else(|e| format!("{e:#}"), |a| format!("{} {}", a.status, a.body));
                    bail!(
                        "{method} {path} did not succeed in {} s: {last}",
                        self.patience.as_secs()
                    );
                }
                _ => tokio::time::sleep(Duration::from_millis(400)).await,
            }
        }
    }

    /// [`Self::until_done`] for GET.
    ///
    /// # Errors
    /// See there.
    pub async fn get(&self, path: &str) -> Result<Value> {
        self.until_done(Method::GET, path, None).await
    }

    /// [`Self::until_done`] for POST.
    ///
    /// # Errors
    /// See there.
    pub async fn post(&self, path: &str, body: Value) -> Result<Value> {
        self.until_done(Method::POST, path, Some(&body)).await
    }

    /// An act that moves a state: when the answer was lost, the state tells whether it happened. A conflict (409) is
    /// accepted when `reached` says that the thing is where the act would have brought it.
    ///
    /// # Errors
    /// When it is refused and the thing is not there either.
    pub async fn act(&self, path: &str, body: Value, look: &str, reached: impl Fn(&Value) -> bool) -> Result<Value> {
        match self.until_done(Method::POST, path, Some(&body)).await {
            Ok(answer) => Ok(answer),
            Err(error) => {
                let now = self.get(look).await?;
                if reached(&now) {
                    Ok(now)
                } else {
                    Err(error.context(format!("and {look} says {}", now["state"])))
                }
            }
        }
    }

    /// Waits until something is so.
    ///
    /// # Errors
    /// When it is not so within their patience.
    pub async fn wait(&self, path: &str, what: &str, so: impl Fn(&Value) -> bool) -> Result<Value> {
        let started = Instant::now();
        loop {
            let seen = self.get(path).await?;
            if so(&seen) {
                return Ok(seen);
            }
            if started.elapsed() > self.patience {
                bail!(
                    "waited {} s in vain for {what}: {path} says {}",
                    self.patience.as_secs(),
                    brief(&seen)
                );
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    /// Downloads something.
    ///
    /// # Errors
    /// When it is refused for good or their patience ends.
    pub async fn download(&self, path: &str) -> Result<Vec<u8>> {
        let started = Instant::now();
        loop {
            let tried = self.once(Method::GET, path, None).await;
            match tried {
                Ok(answer) if answer.status.is_success() => return Ok(answer.bytes),
                tried if started.elapsed() > self.patience => bail!("could not download {path}: {tried:?}"),
                _ => tokio::time::sleep(Duration::from_millis(400)).await,
            }
        }
    }

    /// Sends a file as a person attaches one.
    ///
    /// # Errors
    /// When it is refused or their patience ends.
    pub async fn upload(&self, purpose: &str, name: &str, mime: &str, bytes: &[u8]) -> Result<Value> {
        let started = Instant::now();
        loop {
            let part = reqwest::multipart::Part::bytes(bytes.to_vec())
                .file_name(name.to_owned())
                .mime_str(mime)?;
            let form = reqwest::multipart::Form::new()
                .text("purpose", purpose.to_owned())
                .part("file", part);
            let mut request = self.http.post(format!("{}/uploads", self.base)).multipart(form);
            if let Some(token) = &self.token {
                request = request.bearer_auth(token);
            }
            match request.send().await {
                Ok(response) if response.status().is_success() => return Ok(response.json().await?),
                Ok(response) if response.status().is_client_error() => {
                    bail!("upload refused: {}", response.text().await?)
                }
                _ if started.elapsed() > self.patience => bail!("could not upload {name}"),
                _ => tokio::time::sleep(Duration::from_millis(400)).await,
            }
        }
    }
}

/// A JSON value short enough for a message.
pub fn brief(value: &Value) -> String {
    let text = value.to_string();
    text.chars().take(400).collect()
}

/// Slips that came out of the bench printer.
///
/// # Errors
/// When the printer's control does not answer.
pub async fn slips(site: &site::Addresses) -> Result<usize> {
    let jobs: Value = reqwest::get(format!("{}/control/jobs", site.printer))
        .await?
        .json()
        .await?;
    let list = jobs
        .as_array()
        .or_else(|| jobs["jobs"].as_array())
        .context("list of jobs")?;
    Ok(list.len())
}
