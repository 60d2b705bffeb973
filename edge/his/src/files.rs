//! Files that lie in the hospital's network: pictures of examinations.
//!
//! Addresses come from the hospital's own answers. All the same only known servers are asked: an answer that was tampered
//! with must not make the appliance read whatever else the hospital's network holds.

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::{StatusCode, Url};

use crate::profile::{Profile, Wire};

/// Why a file was not fetched.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The address cannot be read, or names a server that is not in the settings.
    #[error("{0} is not a file server of this hospital; add it to his.file_servers")]
    Foreign(String),
    /// It is not there.
    #[error("the hospital's file server has no such file")]
    Missing,
    /// Larger than we take.
    #[error("the file is larger than {0} bytes")]
    TooLarge(usize),
    /// The server did not answer, or not to the end.
    #[error("the hospital's file server cannot be asked: {0}")]
    Unreachable(String),
}

/// Fetches files of the hospital.
#[derive(Debug, Clone)]
pub struct Files {
    http: reqwest::Client,
    servers: BTreeSet<String>,
}

impl Files {
    /// Asks the profile's SOAP servers and `more` servers (`http://host:port`), e.g. the picture archive (PACS).
    ///
    /// # Errors
    /// When the HTTP client cannot be made.
    pub fn new(profile: &Profile, more: &[String]) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(3))
            .build()?;
        let own = profile.endpoints.values().filter_map(|e| match &e.wire {
            Wire::Soap(soap) => server_of(&soap.url),
            Wire::Mllp(_) => None,
        });
        let more = more.iter().filter_map(|m| server_of(m));
        Ok(Self {
            http,
            servers: own.chain(more).collect(),
        })
    }

    /// Fetches a file of at most `most` bytes.
    ///
    /// # Errors
    /// See [`FileError`].
    pub async fn fetch(&self, address: &str, most: usize, within: Duration) -> Result<Vec<u8>, FileError> {
        let known = server_of(address).is_some_and(|server| self.servers.contains(&server));
        if !known {
            return Err(FileError::Foreign(address.chars().take(200).collect()));
        }
        let unreachable = |e: reqwest::Error| FileError::Unreachable(e.without_url().to_string());
        let mut answer = self
            .http
            .get(address)
            .timeout(within)
            .send()
            .await
            .map_err(unreachable)?;
        match answer.status() {
            status if status.is_success() => {}
            StatusCode::NOT_FOUND | StatusCode::GONE => return Err(FileError::Missing),
            status => return Err(FileError::Unreachable(status.to_string())),
        }
        let mut bytes = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(unreachable)? {
            if bytes.len() + part.len() > most {
                return Err(FileError::TooLarge(most));
            }
            bytes.extend_from_slice(&part);
        }
        Ok(bytes)
    }
}

/// `http://host:port` of an address.
fn server_of(address: &str) -> Option<String> {
    let url = Url::parse(address).ok()?;
    let http = matches!(url.scheme(), "http" | "https");
    // User names in an address are how one server is passed off as another.
    if !http || !url.username().is_empty() || url.password().is_some() {
        return None;
    }
    Some(format!(
        "{}://{}:{}",
        url.scheme(),
        url.host_str()?,
        url.port_or_known_default()?
    ))
}

#[cfg(test)]
mod tests {
    use super::server_of;

    #[test]
    fn a_server_is_known_by_scheme_host_and_port() {
        assert_eq!(
            server_of("http://PACS.local/a/b.png").as_deref(),
            Some("http://pacs.local:80")
        );
        assert_eq!(
            server_of("https://10.1.2.3:8443/x").as_deref(),
            Some("https://10.1.2.3:8443")
        );
        assert_eq!(server_of("http://his.local:80@elsewhere/x"), None);
        assert_eq!(server_of("file:///etc/shadow"), None);
        assert_eq!(server_of("/files/exam/1.png"), None);
    }
}
