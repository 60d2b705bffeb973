//! One log entry as a message of RFC 5424.

use records::Timestamp;
use time::format_description::well_known::Rfc3339;

use crate::vault::Logged;

/// RFC 5424 6.1: receivers need not take more; longer particulars are cut, the whole entry stays in the log.
const MAX_MESSAGE: usize = 8 * 1024;

/// `<PRI>1 TIME HOST signd - ACT [entry@… …] TEXT`, without framing.
///
/// The structured data names number and hash of the entry, so that a receiver can tell entries sent twice and gaps.
pub(super) fn format(entry: &Logged, facility: u8, host: &str) -> String {
    let priority = u16::from(facility) * 8 + u16::from(severity(&entry.act, &entry.detail));
    let time = rfc3339(entry.at);
    let host = if host.is_empty() { "-" } else { host };
    let mut text = format!(
        "<{priority}>1 {time} {host} signd - {} [entry@32473 seq=\"{}\" sm3=\"{}\" subject=\"{}\"] \u{feff}{}",
        header(&entry.act, 32),
        entry.seq,
        hex::encode(&entry.hash),
        parameter(&entry.subject),
        plain(&entry.detail),
    );
    if text.len() > MAX_MESSAGE {
        let mut end = MAX_MESSAGE;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
    }
    text
}

/// Error, warning or notice.
fn severity(act: &str, detail: &str) -> u8 {
    if act.ends_with(".failed") {
        3
    } else if detail.starts_with("refused") || act == "pin.wrong" {
        4
    } else {
        5
    }
}

fn rfc3339(at: Timestamp) -> String {
    at.offset().format(&Rfc3339).unwrap_or_else(|_| "-".to_owned())
}

/// A header field: printable ASCII without blanks.
fn header(text: &str, most: usize) -> String {
    let kept: String = text.chars().filter(char::is_ascii_graphic).take(most).collect();
    if kept.is_empty() { "-".to_owned() } else { kept }
}

/// A parameter's value (6.3.3): quotation mark, backslash and bracket are escaped.
fn parameter(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '"' | '\\' | ']') {
            escaped.push('\\');
        }
        escaped.push(if character.is_control() { ' ' } else { character });
    }
    escaped
}

/// Without line breaks, which some receivers take for the end.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(act: &str, subject: &str, detail: &str) -> Logged {
        Logged {
            seq: 7,
            at: Timestamp::from_seconds(1_795_305_600),
            act: act.to_owned(),
            subject: subject.to_owned(),
            detail: detail.to_owned(),
            hash: vec![0xab; 32],
        }
    }

    #[test]
    fn an_entry_is_one_line_that_says_which_it_is() {
        let text = format(
            &entry("data.signed", "app_\"his]", "key 1\nserial 2"),
            13,
            "qianzhiji-1",
        );
        assert_eq!(
            text,
            format!(
                "<109>1 2026-11-22T00:00:00Z qianzhiji-1 signd - data.signed [entry@32473 seq=\"7\" sm3=\"{}\" \
                 subject=\"app_\\\"his\\]\"] \u{feff}key 1 serial 2",
                "ab".repeat(32)
            )
        );
    }

    #[test]
    fn what_failed_is_told_apart_and_long_particulars_are_cut_at_a_letter() {
        assert!(format(&entry("selftest.failed", "", ""), 13, "").starts_with("<107>1 "));
        assert!(format(&entry("data.signed", "a", "refused too_many"), 13, "").starts_with("<108>1 "));
        let long = format(&entry("data.signed", "a", &"医".repeat(9000)), 13, "h");
        assert!(long.len() <= MAX_MESSAGE && long.ends_with('医'));
    }
}
