//! An answer, true or false.

use rig::Fired;

use crate::Inner;
use crate::seal::{self, Session};

const HEADER: usize = 48;

/// The datagrams sent in return, in order.
pub(crate) fn to(inner: &Inner, question: &[u8], arrived: u64, fault: Option<&Fired>) -> Vec<Vec<u8>> {
    let Some(origin) = question.get(40..48) else {
        return Vec::new();
    };
    let is = |kind: &str| fault.is_some_and(|fault| fault.kind == kind);
    let number = |name: &str, default: u64| fault.map_or(default, |fault| fault.number(name, default));
    if is("silent") {
        return Vec::new();
    }
    if is("garbage") {
        return vec![vec![0xA5; usize::try_from(number("bytes", 200)).unwrap_or(200)]];
    }
    let asked = question.get(HEADER..).filter(|fields| !fields.is_empty());
    let nts = asked.map(|_| inner.keys.open(question));
    let lost = matches!(nts, Some(None)) || is("nak");
    let mut header = plain(inner, origin, arrived, fault);
    if lost {
        kiss(&mut header, b"NTSN");
    }
    let id = seal::identifier(question).unwrap_or_default();
    let mut answer = match nts {
        Some(Some(session)) if !lost && !is("strip") => protected(inner, header, &session, &id, fault),
        Some(_) if !is("strip") => {
            seal::append(&mut header, seal::IDENTIFIER, &id);
            header
        }
        _ => header,
    };
    if is("truncate") {
        answer.truncate(usize::try_from(number("bytes", 47)).unwrap_or(47));
    }
    let before = inner.remember(&answer);
    if is("replay") {
        return vec![before];
    }
    // Somebody on the way is quicker with a refusal; the true answer comes after it.
    if is("fake_nak") || is("fake_deny") {
        let mut fake = plain(inner, origin, arrived, None);
        kiss(&mut fake, if is("fake_nak") { b"NTSN" } else { b"DENY" });
        seal::append(&mut fake, seal::IDENTIFIER, &id);
        return vec![fake, answer];
    }
    vec![answer]
}

fn plain(inner: &Inner, origin: &[u8], arrived: u64, fault: Option<&Fired>) -> Vec<u8> {
    let kind = fault.map_or("", |fault| fault.kind.as_str());
    let number = |name: &str, default: u64| fault.map_or(default, |fault| fault.number(name, default));
    let small = |name: &str, default: u64| u8::try_from(number(name, default)).unwrap_or(u8::MAX);
    let more_ms = match kind {
        "offset" => fault.and_then(|f| f.text("ms", "0").parse().ok()).unwrap_or(0),
        _ => 0,
    };
    let moved = |stamp: u64| {
        let ticks = (i128::from(more_ms) << 32) / 1_000;
        u64::try_from((i128::from(stamp) + ticks).rem_euclid(1 << 64)).unwrap_or_default()
    };
    let leap = if kind == "leap" { small("leap", 3) & 3 } else { 0 };
    let mode = if kind == "mode" { small("mode", 3) & 7 } else { 4 };
    let stratum = if kind == "stratum" { small("stratum", 16) } else { 2 };
    let root_ms = if kind == "root" { number("ms", 20_000) } else { 1 };
    let root = u32::try_from((root_ms << 16) / 1_000).unwrap_or(u32::MAX).to_be_bytes();
    let mut header = vec![(leap << 6) | (4 << 3) | mode, stratum, 6, 0xE9];
    header.extend(root);
    header.extend(root);
    header.extend([127, 127, 1, 1]);
    header.extend(moved(arrived.wrapping_sub(10 << 32)).to_be_bytes());
    match kind {
        "wrong_origin" => header.extend([0x5A; 8]),
        _ => header.extend(origin),
    }
    let (receive, transmit) = match kind {
        "zero" => (0, 0),
        _ => (moved(arrived), inner.stamp(more_ms)),
    };
    header.extend(receive.to_be_bytes());
    header.extend(transmit.to_be_bytes());
    if kind == "kiss" {
        let code = fault.map(|fault| fault.text("code", "RATE")).unwrap_or_default();
        let mut four = *b"    ";
        for (to, from) in four.iter_mut().zip(code.bytes()) {
            *to = from;
        }
        kiss(&mut header, &four);
    }
    header
}

fn kiss(header: &mut [u8], code: &[u8; 4]) {
    if let Some(stratum) = header.get_mut(1) {
        *stratum = 0;
    }
    if let Some(reference) = header.get_mut(12..16) {
        reference.copy_from_slice(code);
    }
}

fn protected(inner: &Inner, mut answer: Vec<u8>, session: &Session, id: &[u8], fault: Option<&Fired>) -> Vec<u8> {
    let is = |kind: &str| fault.is_some_and(|fault| fault.kind == kind);
    let mut id = id.to_vec();
    if is("wrong_id") {
        id.fill(0x5A);
    }
    seal::append(&mut answer, seal::IDENTIFIER, &id);
    let mut inside = Vec::new();
    let cookies = if is("no_cookies") { 0 } else { session.wanted };
    for _ in 0..cookies {
        seal::append(&mut inside, seal::COOKIE, &inner.keys.cookie(session.keys));
    }
    let mut body = seal::seal(&session.keys.from_server, &answer, &inside);
    if is("forge")
        && let Some(last) = body.last_mut()
    {
        *last ^= 1;
    }
    seal::append(&mut answer, seal::SEALED, &body);
    answer
}
