//! The line under a conversation: port 9100, a USB device file, a serial port, or a print server.

mod device;
pub mod find;
mod ipp;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_serial::SerialPortBuilderExt as _;

use crate::language::{Language, tspl};
use crate::session::Session;
use crate::status::{Outcome, Status};

/// Deadlines.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For connecting.
    pub connect: Duration,
    /// For an answer or for the printer to take the next bytes.
    pub answer: Duration,
    /// For a printer that says it is busy, before and after a job.
    pub busy: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            answer: Duration::from_secs(10),
            busy: Duration::from_secs(60),
        }
    }
}

/// Where a printer is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// `host:port` or `tcp://host:port`.
    Tcp(String),
    /// `usb:/dev/usb/lp0`: a device file that is read and written.
    Usb(String),
    /// `serial:/dev/ttyS0?baud=115200`.
    Serial {
        /// Device file.
        path: String,
        /// Bits a second.
        baud: u32,
    },
    /// `ipp://host:631/printers/name`.
    Ipp(String),
}

/// Not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "打印机地址“{0}”无效，应为 主机:端口、usb:/dev/usb/lp0、serial:/dev/ttyS0?baud=115200 或 ipp://主机:631/printers/名称"
)]
pub struct BadAddress(pub String);

impl FromStr for Address {
    type Err = BadAddress;
    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let bad = || BadAddress(text.to_owned());
        if let Some(path) = text.strip_prefix("usb:") {
            return if path.starts_with('/') {
                Ok(Self::Usb(path.to_owned()))
            } else {
                Err(bad())
            };
        }
        if let Some(rest) = text.strip_prefix("serial:") {
            let (path, baud) = rest.split_once("?baud=").unwrap_or((rest, "115200"));
            let baud = baud.parse().map_err(|_| bad())?;
            return if path.starts_with('/') {
                Ok(Self::Serial {
                    path: path.to_owned(),
                    baud,
                })
            } else {
                Err(bad())
            };
        }
        if let Some(rest) = text.strip_prefix("ipp://") {
            return if rest.contains('/') {
                Ok(Self::Ipp(text.to_owned()))
            } else {
                Err(bad())
            };
        }
        let host = text.strip_prefix("tcp://").unwrap_or(text);
        match host.rsplit_once(':') {
            Some((name, port))
                if !name.is_empty() && !name.contains('/') && port.parse::<u16>().is_ok_and(|p| p > 0) =>
            {
                Ok(Self::Tcp(host.to_owned()))
            }
            _ => Err(bad()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host) => f.write_str(host),
            Self::Usb(path) => write!(f, "usb:{path}"),
            Self::Serial { path, baud } => write!(f, "serial:{path}?baud={baud}"),
            Self::Ipp(uri) => f.write_str(uri),
        }
    }
}

trait Line: AsyncRead + AsyncWrite + Unpin + Send {
    /// Called before each wait for an answer.
    fn hasten(&self) {}
}

impl Line for TcpStream {
    /// A printer answers in single bytes and, like most small devices, sends the next one only when the last was
    /// acknowledged (Nagle); our system would leave it waiting for up to 40 ms (delayed acknowledgement) each time. The
    /// system takes the wish back by itself, so it is said anew.
    fn hasten(&self) {
        #[cfg(target_os = "linux")]
        let _ = self.set_quickack(true);
    }
}

impl Line for device::Device {}
impl Line for tokio_serial::SerialStream {}

async fn connect(address: &Address, patience: Patience) -> Option<Box<dyn Line>> {
    match address {
        Address::Tcp(host) => {
            let stream = timeout(patience.connect, TcpStream::connect(host)).await.ok()?.ok()?;
            let _ = stream.set_nodelay(true);
            Some(Box::new(stream))
        }
        Address::Usb(path) => Some(Box::new(device::Device::open(path).ok()?)),
        Address::Serial { path, baud } => {
            let port = tokio_serial::new(path, *baud).open_native_async().ok()?;
            Some(Box::new(port))
        }
        Address::Ipp(_) => None,
    }
}

/// A job to be sent.
#[derive(Debug, Clone)]
pub struct Job {
    /// What the printer speaks.
    pub language: Language,
    /// See [`Language::encode`].
    pub parts: Vec<Vec<u8>>,
    /// Tells this job from others on the printer: letters and digits.
    pub tag: String,
}

/// Prints a job. `begun` is awaited once, after the printer said that it is ready and before the first byte of the job
/// leaves: there the caller makes it durable that the job may be on paper from now on. When `begun` answers `false`,
/// nothing is sent.
pub async fn print<F>(address: &Address, job: Job, patience: Patience, begun: F) -> Outcome
where
    F: AsyncFnOnce() -> bool,
{
    if let Address::Ipp(uri) = address {
        return ipp::print(uri, job, patience, begun).await;
    }
    let Some(mut line) = connect(address, patience).await else {
        return Outcome::Unreachable;
    };
    let mut session = Session::new(job.language, job.parts, &job.tag, patience.busy);
    let mut begun = Some(begun);
    let mut buffer = [0u8; 256];
    loop {
        if let Some(pause) = session.pause() {
            tokio::time::sleep(pause).await;
        }
        while let Some(bytes) = session.next_write() {
            if session.touched()
                && let Some(begun) = begun.take()
                && !begun().await
            {
                return Outcome::Withheld;
            }
            match timeout(patience.answer, write(&mut line, &bytes)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => session.closed(),
                Err(_) => session.silent(),
            }
        }
        if let Some(outcome) = session.outcome() {
            return outcome.clone();
        }
        line.hasten();
        match timeout(patience.answer, line.read(&mut buffer)).await {
            Ok(Ok(n)) if n > 0 => session.receive(buffer.get(..n).unwrap_or_default()),
            Ok(_) => session.closed(),
            Err(_) => session.silent(),
        }
    }
}

async fn write(line: &mut Box<dyn Line>, bytes: &[u8]) -> std::io::Result<()> {
    line.write_all(bytes).await?;
    line.flush().await
}

/// Asks for the status; `None` when the printer cannot be reached or does not answer.
pub async fn status(address: &Address, language: Language, patience: Patience) -> Option<Status> {
    if let Address::Ipp(uri) = address {
        return ipp::status(uri, patience).await;
    }
    let mut line = connect(address, patience).await?;
    let status = ask(
        &mut line,
        &language.question(),
        |bytes| language.status(bytes).map(|f| f.value),
        patience.answer,
    )
    .await?;
    // One byte says little; newer firmware knows more, older does not answer.
    if language == Language::Tspl && matches!(status, Status::Fault | Status::Ready) {
        let short = patience.answer.min(Duration::from_millis(300));
        let more = ask(
            &mut line,
            &tspl::DETAILS,
            |bytes| tspl::details(bytes).map(|f| f.value),
            short,
        )
        .await;
        return Some(more.filter(|s| *s != Status::Unknown).unwrap_or(status));
    }
    Some(status)
}

async fn ask<T>(
    line: &mut Box<dyn Line>,
    question: &[u8],
    read: impl Fn(&[u8]) -> Option<T>,
    patience: Duration,
) -> Option<T> {
    timeout(patience, write(line, question)).await.ok()?.ok()?;
    let (mut answer, mut buffer) = (Vec::new(), [0u8; 256]);
    loop {
        if let Some(found) = read(&answer) {
            return Some(found);
        }
        line.hasten();
        let n = timeout(patience, line.read(&mut buffer)).await.ok()?.ok()?;
        if n == 0 || answer.len() > 4_096 {
            return None;
        }
        answer.extend_from_slice(buffer.get(..n).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written_and_what_is_none_is_refused() {
        for (text, shown) in [
            ("10.0.0.20:9100", "10.0.0.20:9100"),
            ("tcp://printer.local:9100", "printer.local:9100"),
            ("usb:/dev/usb/lp0", "usb:/dev/usb/lp0"),
            ("serial:/dev/ttyS0", "serial:/dev/ttyS0?baud=115200"),
            ("serial:/dev/ttyS0?baud=9600", "serial:/dev/ttyS0?baud=9600"),
            ("ipp://10.0.0.4:631/printers/a", "ipp://10.0.0.4:631/printers/a"),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), shown);
        }
        for text in [
            "",
            "printer",
            "10.0.0.20:0",
            "10.0.0.20:port",
            "usb:lp0",
            "serial:/dev/ttyS0?baud=fast",
            "http://a:1/x",
            "ipp://a",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
