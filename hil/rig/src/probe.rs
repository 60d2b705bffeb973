//! A blocking HTTP client for tests that drive peers from outside.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// What a peer answered.
#[derive(Debug, Clone)]
pub struct Answered {
    /// HTTP status.
    pub status: u16,
    /// Status line and headers.
    pub head: String,
    /// Body bytes up to the end of the connection.
    pub body: Vec<u8>,
}

impl Answered {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// A request is answered by then.
const ANSWER: Duration = Duration::from_secs(120);
/// A command may be long work on a busy machine: half a million lines of an authority's books, and their list.
const COMMAND: Duration = Duration::from_secs(300);

/// One request on a connection of its own.
pub fn ask(to: SocketAddr, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<Answered> {
    ask_for(ANSWER, to, method, target, headers, body)
}

fn ask_for(
    patience: Duration,
    to: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<Answered> {
    let mut stream = TcpStream::connect(to)?;
    stream.set_read_timeout(Some(patience))?;
    let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += &format!("Content-Length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply)?;
    let end = reply
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "no HTTP head"))?;
    let head = String::from_utf8_lossy(reply.get(..end).unwrap_or_default()).into_owned();
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    let body = reply.get(end + 4..).unwrap_or_default().to_vec();
    Ok(Answered { status, head, body })
}

/// A control call: GET without a body, POST with one.
pub fn control(to: SocketAddr, path: &str, body: Option<Value>) -> io::Result<Value> {
    let json = [("Content-Type", "application/json")];
    let answered = match body {
        Some(body) => ask_for(COMMAND, to, "POST", path, &json, body.to_string().as_bytes())?,
        None => ask_for(COMMAND, to, "GET", path, &[], b"")?,
    };
    if answered.status == 200 {
        return Ok(answered.json());
    }
    let what = format!("{path}: {} {}", answered.status, answered.text());
    Err(io::Error::other(what))
}
