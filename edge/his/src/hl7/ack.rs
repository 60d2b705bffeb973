//! Acknowledgements: reading MSA and ERR, and writing our own.

use records::Timestamp;

use super::{Message, escape};

/// MSA-1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AckCode {
    /// AA: done.
    AppAccept,
    /// AE: the application failed or refused.
    AppError,
    /// AR: rejected before the application.
    AppReject,
    /// CA: taken into safe storage.
    CommitAccept,
    /// CE: could not be taken.
    CommitError,
    /// CR: rejected.
    CommitReject,
}

impl AckCode {
    /// From MSA-1.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "AA" => Self::AppAccept,
            "AE" => Self::AppError,
            "AR" => Self::AppReject,
            "CA" => Self::CommitAccept,
            "CE" => Self::CommitError,
            "CR" => Self::CommitReject,
            _ => return None,
        })
    }

    /// As MSA-1.
    pub const fn text(self) -> &'static str {
        match self {
            Self::AppAccept => "AA",
            Self::AppError => "AE",
            Self::AppReject => "AR",
            Self::CommitAccept => "CA",
            Self::CommitError => "CE",
            Self::CommitReject => "CR",
        }
    }
}

/// What a reply acknowledges and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ack {
    /// MSA-1.
    pub code: AckCode,
    /// MSA-2: whose acknowledgement this is.
    pub of: String,
    /// ERR-3.1: HL7 error number.
    pub error: Option<String>,
    /// ERR-5.1: the application's own code.
    pub app_code: Option<String>,
    /// ERR-8, else ERR-7, ERR-5.2 or MSA-3: words.
    pub words: String,
}

impl Ack {
    /// Reads MSA and ERR of a reply; `None` when it has no usable MSA.
    pub fn of(message: &Message) -> Option<Self> {
        let get = |path: &str| {
            message
                .get(path)
                .map(std::borrow::Cow::into_owned)
                .filter(|t| !t.is_empty())
        };
        Some(Self {
            code: AckCode::parse(&get("MSA-1")?)?,
            of: get("MSA-2")?,
            error: get("ERR-3"),
            app_code: get("ERR-5"),
            words: get("ERR-8")
                .or_else(|| get("ERR-7"))
                .or_else(|| get("ERR-5.2"))
                .or_else(|| get("MSA-3"))
                .unwrap_or_default(),
        })
    }
}

/// Our acknowledgement of a message. `error` is (HL7 error number, words). Separators are those of the message.
pub fn acknowledge(
    of: &Message,
    code: AckCode,
    control_id: &str,
    at: Timestamp,
    error: Option<(&str, &str)>,
) -> String {
    let get = |path: &str| of.get(path).unwrap_or_default().into_owned();
    let s = of.separators();
    let (f, c) = (s.field, s.component);
    let trigger = get("MSH-9.2");
    let event = if trigger.is_empty() {
        String::new()
    } else {
        format!("{c}{trigger}{c}ACK")
    };
    let version = Some(get("MSH-12"))
        .filter(|v| !v.is_empty())
        .unwrap_or_else(|| "2.5".to_owned());
    let [app, facility, to_app, to_facility, charset] =
        ["MSH-5", "MSH-6", "MSH-3", "MSH-4", "MSH-18"].map(|p| escape(&get(p), s).into_owned());
    // Echoed byte for byte: a sender compares it as it wrote it.
    let id = of.segment("MSH", 1).and_then(|h| of.field(h, 10)).unwrap_or_default();
    let mut out = format!(
        "MSH{f}{c}{}{}{}{f}{app}{f}{facility}{f}{to_app}{f}{to_facility}{f}{}{f}{f}ACK{event}{f}{control_id}{f}P{f}{version}{f}{f}{f}{f}{f}{f}{charset}\r",
        s.repetition,
        s.escape,
        s.subcomponent,
        compact(at),
    );
    out.push_str(&format!("MSA{f}{}{f}{id}\r", code.text()));
    if let Some((number, words)) = error {
        out.push_str(&format!(
            "ERR{f}{f}{f}{number}{c}{c}HL70357{f}E{f}{f}{f}{f}{}\r",
            escape(words, s)
        ));
    }
    out
}

/// A reject for bytes that are no message at all; `id` is what could be read of MSH-10.
pub fn general(id: &str, control_id: &str, at: Timestamp, words: &str) -> String {
    let s = super::Separators::default();
    format!(
        "MSH|^~\\&|||||{}||ACK|{control_id}|P|2.5\rMSA|AR|{}\rERR|||100^^HL70357|E||||{}\r",
        compact(at),
        escape(id, s),
        escape(words, s)
    )
}

/// `YYYYMMDDHHMMSS` in China standard time.
fn compact(at: Timestamp) -> String {
    at.local_text().chars().filter(char::is_ascii_digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_acknowledgement_is_read_back_and_keeps_the_sender_addresses() {
        let m = Message::parse("MSH|^~\\&|HIS|H01|YIQIAO|Y|20261121||SIU^S15^SIU_S12|N&1|P|2.5\r".to_owned()).unwrap();
        let text = acknowledge(
            &m,
            AckCode::AppError,
            "A1",
            Timestamp::from_seconds(1_800_000_000),
            Some(("101", "缺少|时间")),
        );
        let back = Message::parse(text).unwrap();
        assert_eq!(back.get("MSH-3").unwrap(), "YIQIAO");
        assert_eq!(back.get("MSH-9").unwrap(), "ACK");
        assert_eq!(back.get("MSH-9.2").unwrap(), "S15");
        let ack = Ack::of(&back).unwrap();
        assert_eq!(
            (ack.code, ack.error.as_deref(), ack.words.as_str()),
            (AckCode::AppError, Some("101"), "缺少|时间")
        );
    }
}
