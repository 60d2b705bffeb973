//! The hospital's HL7 wire, client side: one connection, many messages under way, each answer matched by MSA-2.
//! Answers that nobody waits for (repeated, late, of somebody else) are counted and dropped.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use records::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use crate::hl7::{Ack, AckCode, Framer, Message, Separators, escape, frame};
use crate::profile::MllpWire;
use crate::soap::WireFault;

/// Largest answer.
const MAX_FRAME: usize = 4 * 1024 * 1024;

type Waiters = Arc<Mutex<Pending>>;

#[derive(Default)]
struct Pending {
    waiting: HashMap<String, oneshot::Sender<(Ack, Message)>>,
    closed: bool,
    dropped: u64,
}

struct Connection {
    writer: tokio::sync::Mutex<OwnedWriteHalf>,
    pending: Waiters,
    reader: AbortHandle,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// A client of one MLLP listener.
pub struct MllpClient {
    wire: MllpWire,
    connect_within: Duration,
    connection: tokio::sync::Mutex<Option<Arc<Connection>>>,
}

impl MllpClient {
    /// A client; it connects when first asked.
    pub fn new(wire: MllpWire, connect_within: Duration) -> Self {
        Self {
            wire,
            connect_within,
            connection: tokio::sync::Mutex::new(None),
        }
    }

    /// The message head for a type, with this control id.
    pub fn head(&self, message: &str, id: &str, now: Timestamp) -> String {
        let s = Separators::default();
        let e = |t: &str| escape(t, s).into_owned();
        let (w, at) = (
            &self.wire,
            now.local_text()
                .chars()
                .filter(char::is_ascii_digit)
                .collect::<String>(),
        );
        let modes = if w.enhanced { "AL|AL" } else { "|" };
        format!(
            "MSH|^~\\&|{}|{}|{}|{}|{at}||{message}|{}|P|{}|||{modes}||{}\r",
            e(&w.sender.0),
            e(&w.sender.1),
            e(&w.receiver.0),
            e(&w.receiver.1),
            e(id),
            w.version,
            w.charset.hl7_name(),
        )
    }

    /// Sends a message and waits for the application's answer to it. A connection that lets one wait too long gets no
    /// new messages; those under way on it may still be answered.
    ///
    /// # Errors
    /// [`WireFault`] when none came.
    pub async fn exchange(&self, id: &str, text: &str, within: Duration) -> Result<(Ack, Message), WireFault> {
        let connection = self.usable().await?;
        let (tell, answer) = oneshot::channel();
        {
            let mut pending = lock(&connection.pending);
            if pending.closed {
                return Err(WireFault::unsent("connection closed"));
            }
            pending.waiting.insert(id.to_owned(), tell);
        }
        let asked = async {
            let bytes = frame(&self.wire.charset.encode(text));
            let mut writer = connection.writer.lock().await;
            let whole = Whole(&connection.pending);
            let written = writer.write_all(&bytes).await;
            std::mem::forget(whole);
            drop(writer);
            written.map_err(|_| WireFault::sent("connection broke while sending"))?;
            answer
                .await
                .map_err(|_| WireFault::sent("connection closed before the answer"))
        };
        let answer = tokio::time::timeout(within, asked).await;
        let answer = answer.unwrap_or_else(|_| Err(WireFault::sent("no answer in time")));
        if answer.is_err() {
            lock(&connection.pending).waiting.remove(id);
            let mut slot = self.connection.lock().await;
            if slot.as_ref().is_some_and(|current| Arc::ptr_eq(current, &connection)) {
                *slot = None;
            }
        }
        answer
    }

    async fn usable(&self) -> Result<Arc<Connection>, WireFault> {
        let mut slot = self.connection.lock().await;
        if let Some(connection) = slot.as_ref()
            && !lock(&connection.pending).closed
        {
            return Ok(Arc::clone(connection));
        }
        let connection = Arc::new(self.connect().await?);
        *slot = Some(Arc::clone(&connection));
        Ok(connection)
    }

    async fn connect(&self) -> Result<Connection, WireFault> {
        let stream = tokio::time::timeout(self.connect_within, TcpStream::connect(&self.wire.address)).await;
        let stream = stream
            .ok()
            .and_then(Result::ok)
            .ok_or_else(|| WireFault::unsent("cannot connect"))?;
        let _ = stream.set_nodelay(true);
        let (reader, writer) = stream.into_split();
        let pending = Waiters::default();
        let task = tokio::spawn(read(reader, Arc::clone(&pending)));
        Ok(Connection {
            writer: tokio::sync::Mutex::new(writer),
            pending,
            reader: task.abort_handle(),
        })
    }
}

/// Dropped before a frame was written whole: nothing more may be written behind the torn one.
struct Whole<'p>(&'p Waiters);

impl Drop for Whole<'_> {
    fn drop(&mut self) {
        lock(self.0).closed = true;
    }
}

fn lock(pending: &Waiters) -> MutexGuard<'_, Pending> {
    pending.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn read(mut reader: OwnedReadHalf, pending: Waiters) {
    let mut framer = Framer::new(MAX_FRAME);
    let mut buffer = vec![0u8; 16 * 1024];
    'stream: loop {
        let n = match reader.read(&mut buffer).await {
            Ok(n) if n > 0 => n,
            _ => break,
        };
        framer.push(buffer.get(..n).unwrap_or_default());
        loop {
            match framer.next_frame() {
                Ok(Some(content)) => deliver(&content, &pending),
                Ok(None) => break,
                Err(error) => {
                    tracing::warn!(%error, "answer stream is unreadable");
                    break 'stream;
                }
            }
        }
    }
    let mut pending = lock(&pending);
    pending.closed = true;
    // Dropping the senders tells everybody who still waits.
    pending.waiting.clear();
}

fn deliver(content: &[u8], pending: &Waiters) {
    let read = Message::from_bytes(content).ok().and_then(|m| Some((Ack::of(&m)?, m)));
    let mut pending = lock(pending);
    let Some((ack, message)) = read else {
        pending.dropped += 1;
        tracing::warn!(hl7.bytes = content.len(), "frame that is no answer dropped");
        return;
    };
    if ack.code == AckCode::CommitAccept {
        return;
    }
    match pending.waiting.remove(&ack.of) {
        Some(tell) => {
            let _ = tell.send((ack, message));
        }
        None => {
            pending.dropped += 1;
            tracing::debug!(hl7.dropped = pending.dropped, "answer nobody waits for dropped");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::charset::Charset;
    use tokio::net::TcpListener;

    fn wire(address: String, enhanced: bool) -> MllpWire {
        MllpWire {
            address,
            charset: Charset::Gb18030,
            version: "2.5".into(),
            sender: ("YIQIAO".into(), "Y".into()),
            receiver: ("HIS".into(), "H".into()),
            enhanced,
        }
    }

    fn answer(id: &str, code: &str) -> Vec<u8> {
        frame(format!("MSH|^~\\&|HIS|H|Y|Y|1||ACK|r{id}{code}|P|2.5\rMSA|{code}|{id}\r").as_bytes())
    }

    /// A listener that answers by a script from the control ids it has read.
    async fn hospital(messages: usize, script: impl Fn(Vec<String>) -> Vec<u8> + Send + 'static) -> String {
        // None of those that outgoing connections are given: one asked of a gone listener would be joined to itself.
        let listener = TcpListener::bind(("127.0.0.1", kit::ports::free_port())).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (mut framer, mut ids, mut buffer) = (Framer::new(9999), Vec::new(), [0u8; 999]);
            while ids.len() < messages {
                let n = stream.read(&mut buffer).await.unwrap();
                framer.push(&buffer[..n]);
                while let Some(f) = framer.next_frame().unwrap() {
                    ids.push(Message::from_bytes(&f).unwrap().get("MSH-10").unwrap().into_owned());
                }
            }
            stream.write_all(&script(ids)).await.unwrap();
        });
        address
    }

    async fn ask(client: &MllpClient, id: &str) -> Result<String, WireFault> {
        let text = client.head("QBP^Q22", id, Timestamp::from_seconds(0));
        let (ack, _) = client.exchange(id, &text, Duration::from_secs(60)).await?;
        Ok(ack.of)
    }

    #[tokio::test]
    async fn answers_out_of_order_repeated_and_foreign_reach_only_their_askers() {
        let address = hospital(2, |ids| {
            let (a, b) = (&ids[0], &ids[1]);
            let mut out = answer("somebody else", "AA");
            for (id, code) in [(b, "CA"), (a, "CA"), (b, "AA"), (b, "AA"), (a, "AA"), (b, "AA")] {
                out.extend(answer(id, code));
            }
            out
        })
        .await;
        let client = MllpClient::new(wire(address, true), Duration::from_secs(60));
        let (a, b) = tokio::join!(ask(&client, "one"), ask(&client, "two"));
        assert_eq!((a.unwrap(), b.unwrap()), ("one".to_owned(), "two".to_owned()));
    }

    #[tokio::test]
    async fn a_connection_that_dies_after_the_request_leaves_it_unknown_and_no_connection_leaves_it_unsent() {
        let address = hospital(1, |_| Vec::new()).await;
        let client = MllpClient::new(wire(address, false), Duration::from_secs(60));
        assert!(ask(&client, "one").await.unwrap_err().sent);
        // The listener is gone now.
        assert!(!ask(&client, "two").await.unwrap_err().sent);
    }
}
