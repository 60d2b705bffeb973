//! The authority's books (openssl's `index.txt`) and the lists made from them.
//!
//! A full list is made from all of the books, which are kept beside as they were then; a delta is what has changed since:
//! new revocations, other reasons, and suspensions taken back (removeFromCRL).

use std::collections::HashMap;
use std::fmt::Write as _;

use rig::Rng;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::format_description;

use crate::authority::{CaError, Turn};

/// One line: state, end, revocation, serial, file, subject.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    state: String,
    end: String,
    revoked: String,
    serial: String,
    subject: String,
}

impl Line {
    fn read(text: &str) -> Option<Self> {
        let mut parts = text.split('\t');
        let mut next = || parts.next().map(str::to_owned);
        let (state, end, revoked, serial) = (next()?, next()?, next()?, next()?);
        next()?;
        Some(Self {
            state,
            end,
            revoked,
            serial,
            subject: next()?,
        })
    }

    fn write(&self, out: &mut String) {
        let Self {
            state,
            end,
            revoked,
            serial,
            subject,
        } = self;
        let _always = writeln!(out, "{state}\t{end}\t{revoked}\t{serial}\tunknown\t{subject}");
    }
}

fn read(text: &str) -> Vec<Line> {
    text.lines().filter_map(Line::read).collect()
}

fn written(lines: &[Line]) -> String {
    let mut out = String::new();
    lines.iter().for_each(|line| line.write(&mut out));
    out
}

/// `YYMMDDHHMMSSZ`.
pub(crate) fn moment(at: OffsetDateTime) -> String {
    let form = format_description!("[year repr:last_two][month][day][hour][minute][second]Z");
    at.format(&form).unwrap_or_default()
}

const REASONS: [&str; 7] = [
    "unspecified",
    "keyCompromise",
    "CACompromise",
    "affiliationChanged",
    "superseded",
    "cessationOfOperation",
    "certificateHold",
];

impl Turn<'_> {
    /// Every certificate in the books.
    pub(crate) fn certificates(&self) -> Result<Value, CaError> {
        let lines = read(&self.text("index.txt")?);
        let all = lines.iter().take(1_000).map(|line| {
            json!({"state": line.state, "serial": line.serial, "subject": line.subject, "revoked": line.revoked})
        });
        Ok(json!({"certificates": all.collect::<Vec<_>>(), "count": lines.len()}))
    }

    /// Number of the newest list, of the newest full one.
    pub(crate) fn numbers(&self) -> Result<(u64, u64), CaError> {
        let number = |name: &str| Ok::<_, CaError>(self.text(name)?.trim().parse().unwrap_or(0));
        Ok((number("number")?, number("base").unwrap_or(0)))
    }

    /// The serial of an issued certificate, as the books write it.
    pub(crate) async fn serial_of(&self, name: &str) -> Result<String, CaError> {
        let file = format!("{name}.pem");
        self.openssl(&["x509", "-in", &file, "-noout", "-serial", "-out", "asked_serial"])
            .await?;
        let text = self.text("asked_serial")?;
        Ok(text.trim().trim_start_matches("serial=").to_owned())
    }

    /// Revokes, or suspends.
    pub(crate) fn revoke(&self, serial: &str, reason: &str) -> Result<(), CaError> {
        if !REASONS.contains(&reason) {
            return Err(CaError::Asked(format!("reasons: {}", REASONS.join(" "))));
        }
        let now = moment(OffsetDateTime::now_utc());
        self.change(serial, |line| {
            line.state = "R".to_owned();
            line.revoked = format!("{now},{reason}");
        })
    }

    /// Takes a suspension back.
    pub(crate) fn release(&self, serial: &str) -> Result<(), CaError> {
        self.change(serial, |line| {
            line.state = "V".to_owned();
            line.revoked.clear();
        })
    }

    fn change(&self, serial: &str, change: impl FnOnce(&mut Line)) -> Result<(), CaError> {
        let mut lines = read(&self.text("index.txt")?);
        let found = lines.iter_mut().find(|line| line.serial.eq_ignore_ascii_case(serial));
        change(found.ok_or_else(|| CaError::Asked(format!("no certificate {serial}")))?);
        Ok(self.put("index.txt", written(&lines))?)
    }

    /// Adds that many revoked certificates that never were: a large authority's books.
    pub(crate) fn fill(&self, count: u32) -> Result<(), CaError> {
        let mut text = self.text("index.txt")?;
        let mut rng = Rng::new(u64::from(count) + text.len() as u64);
        let (now, end) = (
            OffsetDateTime::now_utc(),
            OffsetDateTime::now_utc() + time::Duration::days(365),
        );
        for _ in 0..count {
            let serial = format!("4{:015X}{:016X}", rng.bits() >> 4, rng.bits());
            let back = i64::try_from(rng.bits() % 31_536_000).unwrap_or(0);
            let line = Line {
                state: "R".to_owned(),
                end: moment(end),
                revoked: format!("{},superseded", moment(now - time::Duration::seconds(back))),
                serial,
                subject: "/CN=former".to_owned(),
            };
            line.write(&mut text);
        }
        Ok(self.put("index.txt", text)?)
    }

    /// Makes the next full list, or the next delta to the newest full one.
    pub(crate) async fn publish(&self, full: bool) -> Result<(), CaError> {
        let (number, base) = self.numbers()?;
        let number = number + 1;
        let books = self.text("index.txt")?;
        let name = if full { "full" } else { "delta" };
        let (lines, indicator) = if full {
            (books.clone(), None)
        } else {
            (changes(&self.text("base.txt")?, &books), Some(base))
        };
        self.list(name, &lines, number, indicator, (0, 7)).await?;
        if full {
            self.put("base.txt", books)?;
            self.put("base", number.to_string())?;
        }
        Ok(self.put("number", number.to_string())?)
    }

    /// The newest full or delta list as it would be with other days: issued and next due, counted from today.
    pub(crate) async fn dated(&self, name: &str, days: (i64, i64)) -> Result<Vec<u8>, CaError> {
        let (number, base) = self.numbers()?;
        let books = self.text("index.txt")?;
        if name == "full" {
            self.list("dated", &books, base, None, days).await?;
        } else {
            let lines = changes(&self.text("base.txt")?, &books);
            self.list("dated", &lines, number, Some(base), days).await?;
        }
        Ok(self.get("dated.crl")?)
    }

    async fn list(
        &self,
        name: &str,
        lines: &str,
        number: u64,
        base: Option<u64>,
        (from, until): (i64, i64),
    ) -> Result<(), CaError> {
        let indicator = base.map_or_else(String::new, |base| {
            let digits = format!("{base:016x}");
            // A leading zero byte keeps it positive; openssl takes the DER as it is.
            let bytes = hex::decode(digits).unwrap_or_default();
            let bytes: Vec<u8> = bytes.into_iter().skip_while(|b| *b == 0).collect();
            let bytes = if bytes.first().is_none_or(|b| *b >= 0x80) {
                [&[0][..], &bytes].concat()
            } else {
                bytes
            };
            format!(
                "2.5.29.27 = critical, DER:02{:02x}{}\n",
                bytes.len(),
                hex::encode(&bytes)
            )
        });
        self.put("list_index.txt", lines)?;
        let mut digits = format!("{number:X}");
        if digits.len() % 2 == 1 {
            digits.insert(0, '0');
        }
        self.put("list_number", digits)?;
        let hash = self.kind().hash();
        self.put(
            "list.cnf",
            format!(
                "[ca]\ndefault_ca = books\n[books]\ndatabase = list_index.txt\ncrlnumber = list_number\n\
                 default_md = {hash}\nunique_subject = no\n[entries]\nauthorityKeyIdentifier = keyid\n{indicator}"
            ),
        )?;
        let now = OffsetDateTime::now_utc();
        let (from, until) = (
            moment(now + time::Duration::days(from)),
            moment(now + time::Duration::days(until)),
        );
        let (pem, crl) = (format!("{name}.pem.crl"), format!("{name}.crl"));
        let mut words = vec![
            "ca", "-gencrl", "-config", "list.cnf", "-cert", "ca.pem", "-keyfile", "ca.key",
        ];
        words.extend([
            "-crlexts",
            "entries",
            "-crl_lastupdate",
            &from,
            "-crl_nextupdate",
            &until,
            "-out",
            &pem,
        ]);
        self.openssl(&self.signing(&words, "-sigopt")).await?;
        self.openssl(&["crl", "-in", &pem, "-outform", "DER", "-out", &crl])
            .await
    }
}

/// What the books say now and did not say then.
fn changes(then: &str, now: &str) -> String {
    let before: HashMap<String, Line> = read(then).into_iter().map(|line| (line.serial.clone(), line)).collect();
    let today = moment(OffsetDateTime::now_utc());
    let changed = read(now).into_iter().filter_map(|mut line| {
        let old = before.get(&line.serial);
        match (old.map(|old| old.state.as_str()), line.state.as_str()) {
            (Some("R"), "R") if old.is_some_and(|old| old.revoked == line.revoked) => None,
            (_, "R") => Some(line),
            (Some("R"), _) => {
                line.state = "R".to_owned();
                line.revoked = format!("{today},removeFromCRL");
                Some(line)
            }
            _ => None,
        }
    });
    written(&changed.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::changes;

    #[test]
    fn a_delta_holds_what_changed() {
        let line = |state: &str, revoked: &str, serial: &str| {
            format!("{state}\t301122000000Z\t{revoked}\t{serial}\tunknown\t/CN=x\n")
        };
        let then = [
            line("R", "260101000000Z,certificateHold", "01"),
            line("R", "260101000000Z,superseded", "02"),
            line("V", "", "03"),
            line("V", "", "04"),
        ];
        let now = [
            line("V", "", "01"),
            line("R", "260101000000Z,superseded", "02"),
            line("R", "260102000000Z,keyCompromise", "03"),
            line("V", "", "04"),
            line("R", "260103000000Z,keyCompromise", "05"),
        ];
        let delta = changes(&then.concat(), &now.concat());
        let lines: Vec<&str> = delta.lines().collect();
        assert_eq!(lines.len(), 3, "{delta}");
        assert!(lines[0].contains("removeFromCRL\t01") && lines[1].contains("\t03\t") && lines[2].contains("\t05\t"));
    }
}
