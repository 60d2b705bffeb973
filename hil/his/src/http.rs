//! HTTP/1.1 by hand: a bench peer must be able to send what no proper server would.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

const HEAD_LIMIT: usize = 64 * 1024;
const BODY_LIMIT: usize = 8 * 1024 * 1024;

/// A request as received.
#[derive(Debug)]
pub(crate) struct Request {
    /// GET, POST…
    pub(crate) method: String,
    /// Path with query.
    pub(crate) target: String,
    headers: Vec<(String, String)>,
    /// The body bytes.
    pub(crate) body: Vec<u8>,
    /// Whether the client will send more on this connection.
    pub(crate) keep_alive: bool,
}

impl Request {
    /// A header's value, by lower-case name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find_map(|(key, value)| (key == name).then_some(value.as_str()))
    }
}

/// Reads one request; `None` when the client closed between requests.
pub(crate) async fn read_request(stream: &mut BufReader<TcpStream>) -> io::Result<Option<Request>> {
    let Some(first) = read_line(stream).await? else {
        return Ok(None);
    };
    let mut words = first.split(' ');
    let (method, target, version) = match (words.next(), words.next(), words.next()) {
        (Some(m), Some(t), Some(v)) if v.starts_with("HTTP/1.") => (m.into(), t.into(), v),
        _ => return Err(bad("not an HTTP/1 request line")),
    };
    let old = version == "HTTP/1.0";
    let mut headers = Vec::new();
    let mut size = 0;
    loop {
        let line = read_line(stream).await?.ok_or_else(|| bad("cut in the head"))?;
        if line.is_empty() {
            break;
        }
        size += line.len();
        if size > HEAD_LIMIT {
            return Err(bad("head too large"));
        }
        let (key, value) = line.split_once(':').ok_or_else(|| bad("header without colon"))?;
        headers.push((key.trim().to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut request = Request {
        method,
        target,
        headers,
        body: Vec::new(),
        keep_alive: !old,
    };
    if let Some(connection) = request.header("connection") {
        request.keep_alive =
            !connection.eq_ignore_ascii_case("close") && (!old || connection.eq_ignore_ascii_case("keep-alive"));
    }
    if request
        .header("expect")
        .is_some_and(|e| e.eq_ignore_ascii_case("100-continue"))
    {
        stream.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    request.body = read_body(stream, &request).await?;
    Ok(Some(request))
}

async fn read_body(stream: &mut BufReader<TcpStream>, request: &Request) -> io::Result<Vec<u8>> {
    let chunked = request
        .header("transfer-encoding")
        .is_some_and(|t| t.eq_ignore_ascii_case("chunked"));
    let mut body = Vec::new();
    if chunked {
        loop {
            let line = read_line(stream).await?.ok_or_else(|| bad("cut in a chunk"))?;
            let digits = line.split(';').next().unwrap_or("").trim();
            let length = usize::from_str_radix(digits, 16).map_err(|_| bad("chunk size"))?;
            read_exactly(stream, length, &mut body).await?;
            read_line(stream).await?;
            if length == 0 {
                return Ok(body);
            }
        }
    }
    let length = match request.header("content-length") {
        Some(text) => text.parse().map_err(|_| bad("content length"))?,
        None => 0,
    };
    read_exactly(stream, length, &mut body).await?;
    Ok(body)
}

async fn read_exactly(stream: &mut BufReader<TcpStream>, length: usize, body: &mut Vec<u8>) -> io::Result<()> {
    let start = body.len();
    if length > BODY_LIMIT || start + length > BODY_LIMIT {
        return Err(bad("body too large"));
    }
    body.resize(start + length, 0);
    let target = body.get_mut(start..).ok_or_else(|| bad("body too large"))?;
    stream.read_exact(target).await.map(drop)
}

async fn read_line(stream: &mut BufReader<TcpStream>) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    loop {
        let byte = match stream.read_u8().await {
            Ok(byte) => byte,
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof && line.is_empty() => return Ok(None),
            Err(e) => return Err(e),
        };
        match byte {
            b'\n' => break,
            b'\r' => {}
            byte => line.push(byte),
        }
        if line.len() > HEAD_LIMIT {
            return Err(bad("line too long"));
        }
    }
    String::from_utf8(line).map(Some).map_err(|_| bad("head is not text"))
}

/// A whole response as bytes.
pub(crate) fn response(status: u16, content_type: &str, body: &[u8], keep_alive: bool) -> Vec<u8> {
    let reason = match status {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        _ => "Status",
    };
    let connection = if keep_alive { "keep-alive" } else { "close" };
    let mut out = format!(
        "HTTP/1.1 {status} {reason}\r\nServer: Microsoft-IIS/8.5\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\nConnection: {connection}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    out.extend_from_slice(body);
    out
}

/// Closes with a TCP reset instead of a FIN.
pub(crate) fn reset(stream: TcpStream) {
    let _best_effort = stream.set_zero_linger();
    drop(stream);
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}
