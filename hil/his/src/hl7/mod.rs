//! HL7 v2.5 over MLLP: the acknowledgement rules, the duplicates, and faults acted out on the connection.

mod announce;
mod frame;
mod message;
mod orders;
mod work;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rig::Fired;
use rusqlite::{OptionalExtension, params};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

pub(crate) use self::announce::announce;
use self::frame::{Framer, frame};
use self::message::{Message, charset_of, escape};
use self::work::Answer;
use crate::charset::Charset;
use crate::house::{House, Keep};

const VERSIONS: &[&str] = &["2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.8"];

/// Serves connections until the process ends.
pub(crate) async fn serve(house: Arc<House>, listener: TcpListener) -> io::Result<()> {
    loop {
        let (stream, peer) = listener.accept().await?;
        let house = Arc::clone(&house);
        tokio::spawn(async move {
            if let Err(error) = converse(&house, stream).await {
                tracing::debug!(net.peer = %peer, "{error}");
            }
        });
    }
}

/// A connection's memory, for replies out of order and repeated ones.
#[derive(Default)]
struct Talk {
    held: Option<Vec<u8>>,
    held_ms: u64,
    sent: Vec<Vec<u8>>,
}

enum Acted {
    Send(Vec<u8>),
    Close,
    Reset,
    Cut(Vec<u8>),
    Hold(Vec<u8>, u64),
    AfterAllEarlier(Vec<u8>),
}

async fn converse(house: &House, mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut framer, mut talk) = (Framer::default(), Talk::default());
    loop {
        let read = framer.read(&mut stream);
        let message = match &talk.held {
            None => read.await?,
            Some(held) => match tokio::time::timeout(Duration::from_millis(talk.held_ms), read).await {
                Ok(message) => message?,
                Err(_) => {
                    stream.write_all(held).await?;
                    talk.held = None;
                    continue;
                }
            },
        };
        let Some(message) = message else {
            return Ok(());
        };
        let replies = match receive(house, &message).await {
            Acted::Send(replies) => replies,
            Acted::AfterAllEarlier(replies) => {
                let mut all = talk.sent.concat();
                all.extend_from_slice(&replies);
                all
            }
            Acted::Hold(replies, ms) => {
                talk.held_ms = ms;
                talk.held = Some(replies);
                continue;
            }
            Acted::Close => return Ok(()),
            Acted::Reset => {
                crate::http::reset(stream);
                return Ok(());
            }
            Acted::Cut(replies) => {
                stream.write_all(&replies).await?;
                return stream.shutdown().await;
            }
        };
        stream.write_all(&replies).await?;
        talk.sent.push(replies);
        if let Some(held) = talk.held.take() {
            stream.write_all(&held).await?;
            talk.sent.push(held);
        }
    }
}

/// The head of a message, as far as it could be read.
struct Head {
    trigger: String,
    app: String,
    facility: String,
    id: String,
    version: String,
    accept: String,
    application: String,
    charset: Charset,
}

impl Head {
    /// MSH-9 of an accept acknowledgement.
    fn acknowledgement(&self) -> String {
        if self.trigger.is_empty() {
            "ACK".into()
        } else {
            format!("ACK^{}^ACK", escape(&self.trigger))
        }
    }

    fn enhanced(&self) -> bool {
        !self.accept.is_empty() || !self.application.is_empty()
    }
}

/// Whether an acknowledgement of this kind is wanted under AL, ER, SU, NE.
fn wanted(condition: &str, good: bool) -> bool {
    match condition {
        "NE" => false,
        "ER" => !good,
        "SU" => good,
        _ => true,
    }
}

async fn receive(house: &House, bytes: &[u8]) -> Acted {
    let charset = charset_of(bytes);
    let parsed = charset.decode(bytes).and_then(|text| Message::parse(&text));
    let Some(message) = parsed else {
        let head = rescue(bytes, charset);
        let words = "消息无法解析";
        return Acted::Send(refusal(house, &head, "102", words));
    };
    let get = |field: usize| message.get("MSH", field, 1);
    let (kind, trigger) = (message.get("MSH", 9, 1), message.get("MSH", 9, 2));
    let head = Head {
        trigger: trigger.clone(),
        app: get(3),
        facility: get(4),
        id: get(10),
        version: get(12),
        accept: get(15),
        application: get(16),
        charset,
    };
    if !VERSIONS.contains(&head.version.as_str()) {
        return Acted::Send(refusal(house, &head, "203", "不支持的版本"));
    }
    if head.id.is_empty() {
        return Acted::Send(refusal(house, &head, "101", "缺少MSH-10"));
    }
    let event = match work::event(&kind, &trigger) {
        Ok(event) => event,
        Err(code) => return Acted::Send(refusal(house, &head, code, "不支持的消息类型")),
    };
    if let Some(earlier) = heard(house, &head) {
        house.note_call("mllp", event.name, &head.id, "duplicate", None);
        return Acted::Send(earlier);
    }
    let fired = house.faults.next(event.name, &house.clock);
    act(house, &head, &message, event, fired).await
}

async fn act(house: &House, head: &Head, message: &Message, event: &work::Event, fired: Option<Fired>) -> Acted {
    let kind = fired.as_ref().map_or("", |f| f.kind.as_str());
    let number = |name: &str, default: u64| fired.as_ref().map_or(default, |f| f.number(name, default));
    let text = |name: &str, default: &str| fired.as_ref().map_or(default.into(), |f| f.text(name, default));
    if kind == "delay" {
        tokio::time::sleep(Duration::from_millis(number("ms", 1_000))).await;
    }
    if kind == "ack" {
        let code = text("code", "AE");
        house.note_call("mllp", event.name, &head.id, &code, Some(kind));
        let lines = vec![
            msh(house, head, &head.acknowledgement()),
            format!("MSA|{code}|{}", escape(&head.id)),
        ];
        return Acted::Send(pack(&lines, head.charset));
    }
    let skipped = ["timeout_before_commit", "reset", "result"].contains(&kind);
    let keep = if kind == "lie" { Keep::No } else { Keep::Yes };
    let mut answer = if skipped {
        event.told(&text("code", "-1"), &text("message", "HIS系统繁忙"))
    } else {
        event.run(house, message, keep)
    };
    if kind == "result_after_commit" {
        answer = event.told(&text("code", "-1"), &text("message", "HIS系统繁忙"));
    }
    house.note_call(
        "mllp",
        event.name,
        &answer.key,
        answer.code,
        fired.as_ref().map(|f| f.kind.as_str()),
    );
    let replies = reply(house, head, &answer, head.charset, &head.id);
    if !skipped {
        remember(house, head, &replies);
    }
    match kind {
        "timeout_before_commit" | "timeout_after_commit" => {
            tokio::time::sleep(Duration::from_millis(number("ms", 60_000))).await;
            Acted::Close
        }
        "reset" | "reset_after_commit" => Acted::Reset,
        "answer_twice" => Acted::Send([replies.clone(), replies].concat()),
        "truncate" => Acted::Cut(replies.get(..replies.len() / 2).unwrap_or_default().to_vec()),
        "wrong_charset" => Acted::Send(reply(house, head, &answer, head.charset.other(), &head.id)),
        "ack_wrong_id" => Acted::Send(reply(house, head, &answer, head.charset, "NOT-YOURS")),
        "ack_out_of_order" => Acted::Hold(replies, number("ms", 5_000)),
        "ack_repeat" => Acted::AfterAllEarlier(replies),
        _ => Acted::Send(replies),
    }
}

/// All frames a message is answered with.
fn reply(house: &House, head: &Head, answer: &Answer, real: Charset, id: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let good = answer.code == "AA";
    if head.enhanced() && !head.accept.is_empty() && wanted(&head.accept, true) {
        out.extend(pack(
            &[
                msh(house, head, &head.acknowledgement()),
                format!("MSA|CA|{}", escape(id)),
            ],
            real,
        ));
    }
    if !head.enhanced() || (wanted(&head.application, good)) {
        let mut lines = vec![
            msh(house, head, answer.kind),
            format!("MSA|{}|{}", answer.code, escape(id)),
        ];
        if let Some((code, app_code, words)) = &answer.error {
            lines.push(error(code, app_code, words));
        }
        lines.extend(answer.segments.iter().cloned());
        out.extend(pack(&lines, real));
    }
    out
}

/// A message that is not taken: CR in enhanced mode, AR otherwise.
fn refusal(house: &House, head: &Head, code: &str, words: &str) -> Vec<u8> {
    house.note_call("mllp", "-", &head.id, code, None);
    let accept = head.enhanced() && !head.accept.is_empty();
    let condition = if accept { &head.accept } else { &head.application };
    if !wanted(condition, false) {
        return Vec::new();
    }
    let ack = if accept { "CR" } else { "AR" };
    let lines = [
        msh(house, head, &head.acknowledgement()),
        format!("MSA|{ack}|{}", escape(&head.id)),
        error(code, "", words),
    ];
    pack(&lines, head.charset)
}

fn error(code: &str, app_code: &str, words: &str) -> String {
    let name = match code {
        "101" => "Required field missing",
        "102" => "Data type error",
        "200" => "Unsupported message type",
        "201" => "Unsupported event code",
        "203" => "Unsupported version id",
        "204" => "Unknown key identifier",
        _ => "Application internal error",
    };
    let words = escape(words);
    let app = if app_code.is_empty() {
        String::new()
    } else {
        format!("{app_code}^{words}^L")
    };
    format!("ERR|||{code}^{name}^HL70357|E|{app}|||{words}")
}

/// What can be read of a message that cannot be parsed.
fn rescue(bytes: &[u8], charset: Charset) -> Head {
    let line: String = String::from_utf8_lossy(bytes)
        .split('\r')
        .next()
        .unwrap_or("")
        .to_owned();
    let part = |n: usize| line.split('|').nth(n).unwrap_or("").to_owned();
    Head {
        trigger: String::new(),
        app: part(2),
        facility: part(3),
        id: part(9),
        version: part(11),
        accept: String::new(),
        application: String::new(),
        charset,
    }
}

fn msh(house: &House, head: &Head, kind: &str) -> String {
    let at: String = house.clock.moment().chars().filter(char::is_ascii_digit).collect();
    let id = house.message_number();
    let version = if head.version.is_empty() { "2.5" } else { &head.version };
    let charset = match head.charset {
        Charset::Utf8 => "UNICODE UTF-8",
        Charset::Gbk => "GB 18030-2000",
    };
    format!(
        "MSH|^~\\&|HIS|H01|{}|{}|{at}+0800||{kind}|{id}|P|{version}|||||CHN|{charset}",
        escape(&head.app),
        escape(&head.facility)
    )
}

fn pack(lines: &[String], charset: Charset) -> Vec<u8> {
    let mut text = lines.join("\r");
    text.push('\r');
    frame(&charset.encode(&text))
}

fn heard(house: &House, head: &Head) -> Option<Vec<u8>> {
    house
        .db()
        .query_row(
            "SELECT replies FROM heard WHERE app = ?1 AND facility = ?2 AND control_id = ?3",
            params![head.app, head.facility, head.id],
            |r| r.get(0),
        )
        .optional()
        .unwrap_or_default()
}

fn remember(house: &House, head: &Head, replies: &[u8]) {
    let done = house.db().execute(
        "INSERT OR IGNORE INTO heard VALUES (?1, ?2, ?3, ?4, ?5)",
        params![head.app, head.facility, head.id, replies, house.clock.moment()],
    );
    if let Err(error) = done {
        tracing::error!("{error}");
    }
}
