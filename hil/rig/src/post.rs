use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const REPLY_LIMIT: u64 = 1024 * 1024;

/// Posts bytes over plain HTTP and answers the status code and the body. A peer's callbacks stay inside the bench, so
/// TLS is not spoken.
pub async fn post(url: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<(u16, Vec<u8>)> {
    let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let rest = url
        .strip_prefix("http://")
        .ok_or_else(|| bad("only http:// is spoken"))?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let address = if host.contains(':') {
        host.to_owned()
    } else {
        format!("{host}:80")
    };
    let mut head = format!("POST /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += &format!("Content-Length: {}\r\n\r\n", body.len());
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body).await?;
    let mut reply = Vec::new();
    (&mut stream).take(REPLY_LIMIT).read_to_end(&mut reply).await?;
    let end = reply
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .ok_or_else(|| bad("no HTTP reply"))?;
    let head = String::from_utf8_lossy(reply.get(..end).unwrap_or_default()).into_owned();
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .ok_or_else(|| bad("no status line"))?;
    let body = reply.get(end + 4..).unwrap_or_default();
    if head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
        return Ok((status, unchunk(body).ok_or_else(|| bad("chunks"))?));
    }
    Ok((status, body.to_vec()))
}

fn unchunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    loop {
        let line = rest.windows(2).position(|two| two == b"\r\n")?;
        let digits = std::str::from_utf8(rest.get(..line)?).ok()?;
        let size = usize::from_str_radix(digits.split(';').next()?.trim(), 16).ok()?;
        if size == 0 {
            return Some(out);
        }
        let begin = line + 2;
        out.extend_from_slice(rest.get(begin..begin.checked_add(size)?)?);
        rest = rest.get(begin + size + 2..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::unchunk;

    #[test]
    fn chunks_are_joined() {
        assert_eq!(unchunk(b"3\r\nabc\r\n2;x=1\r\nde\r\n0\r\n\r\n").unwrap(), b"abcde");
        assert!(unchunk(b"5\r\nab").is_none());
    }
}
