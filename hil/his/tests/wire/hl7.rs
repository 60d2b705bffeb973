//! The hospital over MLLP, byte by byte.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::hospital::Hospital;
use serde_json::json;

struct Line(TcpStream, Vec<u8>);

impl Line {
    fn open(house: &Hospital) -> Line {
        let stream = TcpStream::connect(house.at.mllp).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
        Line(stream, Vec::new())
    }

    fn say(&mut self, message: &[u8]) {
        self.0.write_all(&[b"\x0b", message, b"\x1c\r"].concat()).unwrap();
    }

    fn hear(&mut self) -> Vec<u8> {
        loop {
            if let Some(end) = self.1.windows(2).position(|two| two == b"\x1c\r") {
                let frame: Vec<u8> = self.1.drain(..end + 2).collect();
                return frame[1..end].to_vec();
            }
            let mut bytes = [0; 4096];
            let count = self.0.read(&mut bytes).unwrap();
            assert!(count > 0, "closed");
            self.1.extend_from_slice(&bytes[..count]);
        }
    }

    fn text(&mut self) -> String {
        String::from_utf8(self.hear()).unwrap()
    }
}

fn msh(kind: &str, id: &str, modes: &str, charset: &str) -> String {
    format!("MSH|^~\\&|YIQIAO|H01|HIS|H01|20261121||{kind}|{id}|P|2.5|||{modes}|CHN|{charset}\r")
}

fn who(id: &str, modes: &str) -> String {
    msh("QBP^Q22^QBP_Q21", id, modes, "") + "QPD|Q22^Find Candidates^HL70471|tag|@PID.3.1^P000001\rRCP|I|10^RD\r"
}

#[test]
fn enhanced_mode_acknowledges_twice_and_original_mode_once() {
    let house = Hospital::open();
    let mut line = Line::open(&house);
    line.say(who("a1", "AL|AL").as_bytes());
    assert!(line.text().contains("\rMSA|CA|a1"));
    let reply = line.text();
    assert!(reply.contains("RSP^K22^RSP_K21") && reply.contains("\rMSA|AA|a1") && reply.contains("\rQAK|tag|OK|"));
    assert!(reply.contains("P000001^^^HIS^PI"));
    line.say(who("a2", "|").as_bytes());
    line.say(who("a3", "NE|AL").as_bytes());
    assert!(line.text().contains("\rMSA|AA|a2"));
    assert!(line.text().contains("\rMSA|AA|a3"));
}

#[test]
fn a_message_sent_again_gets_the_same_bytes_and_does_nothing_twice() {
    let house = Hospital::open();
    let mut line = Line::open(&house);
    let create = msh("ADT^A28^ADT_A05", "dup1", "|", "UNICODE UTF-8")
        + "EVN||20261121\rPID|1||11010519491231002X^^^CHN^NI||王试验||19491231|F\rPV1|1|N\r";
    line.say(create.as_bytes());
    let first = line.hear();
    drop(line);
    let mut line = Line::open(&house);
    line.say(create.as_bytes());
    assert_eq!(line.hear(), first);
    let patients = house.control("/control/books", None)["patients"]
        .as_array()
        .unwrap()
        .len();
    assert_eq!(patients, 37);
}

#[test]
fn a_number_is_locked_and_unlocked_in_gb18030() {
    let house = Hospital::open();
    let (work, begin) = house.slot("D0001", 1);
    let day = &work[1..9];
    let begin = format!("{day}{}", begin.replace(':', ""));
    let mut line = Line::open(&house);
    // 周振东 in GB 18030, as bytes: the hospital must find the charset before it can split fields.
    let mut message = msh("SRM^S01^SRM_S01", "l1", "|", "GB 18030-2000").into_bytes();
    message.extend(format!("ARQ|con_1||||||||||{begin}^{begin}\rPID|1||P000003^^^HIS^PI||").bytes());
    message.extend([0xd6, 0xdc, 0xd5, 0xf1, 0xb6, 0xab]);
    message.extend(format!("\rRGS|1|A\rAIS|1|A|{work}\rAIP|1|A|D0001\rAIL|1|A|K01\r").bytes());
    line.say(&message);
    let reply = line.hear();
    let text = String::from_utf8_lossy(&reply).into_owned();
    assert!(text.contains("\rMSA|AA|l1") && text.contains("|GB 18030-2000") && text.contains("\rZFE|"));
    // 号源已锁定
    let words = [0xba, 0xc5, 0xd4, 0xb4, 0xd2, 0xd1, 0xcb, 0xf8, 0xb6, 0xa8];
    assert!(reply.windows(words.len()).any(|w| w == words));
    let order = text
        .split("\rSCH|con_1|")
        .nth(1)
        .unwrap()
        .split('|')
        .next()
        .unwrap()
        .to_owned();
    let unlock = msh("SRM^S04^SRM_S01", "l2", "|", "") + &format!("ARQ|con_1|{order}\rPID|1||P000003^^^HIS^PI\r");
    line.say(unlock.as_bytes());
    assert!(line.text().contains("|Cancelled"));
    assert_eq!(
        house.call("getNetRegStatus", &[("psOrdNum", "con_1")]).get("status"),
        "3"
    );
    line.say(msh("SRM^S01^SRM_S01", "l3", "|", "").as_bytes());
    let refused = line.text();
    assert!(refused.contains("\rMSA|AE|l3") && refused.contains("ERR|||101^"));
}

#[test]
fn what_is_unknown_or_unreadable_is_refused_by_code() {
    let house = Hospital::open();
    let mut line = Line::open(&house);
    for (kind, modes, ack, code) in [
        ("ADT^A99^ADT_A05", "|", "AR", "201"),
        ("ADT^A99^ADT_A05", "AL|AL", "CR", "201"),
        ("XYZ^A01", "|", "AR", "200"),
    ] {
        line.say(msh(kind, "x1", modes, "").as_bytes());
        let reply = line.text();
        assert!(
            reply.contains(&format!("\rMSA|{ack}|x1")) && reply.contains(&format!("ERR|||{code}^")),
            "{reply}"
        );
    }
    line.say(b"hello");
    assert!(line.text().contains("\rMSA|AR|"));
    line.say(who("x2", "|").replace("|P|2.5|", "|P|9.9|").as_bytes());
    assert!(line.text().contains("ERR|||203^"));
}

#[test]
fn acknowledgements_come_late_again_and_to_the_wrong_message_on_command() {
    let house = Hospital::open();
    let mut line = Line::open(&house);
    let fault = |kind: &str| {
        house.control("/control/faults", Some(json!({"op": "QBP^Q22", "kind": kind})));
    };
    fault("ack_out_of_order");
    line.say(who("o1", "|").as_bytes());
    line.say(who("o2", "|").as_bytes());
    assert!(line.text().contains("\rMSA|AA|o2"));
    assert!(line.text().contains("\rMSA|AA|o1"));
    fault("ack_repeat");
    line.say(who("o3", "|").as_bytes());
    let heard: Vec<String> = (0..3).map(|_| line.text()).collect();
    assert!(heard[0].contains("|o2\r") && heard[1].contains("|o1\r") && heard[2].contains("|o3\r"));
    fault("ack_wrong_id");
    line.say(who("o4", "|").as_bytes());
    assert!(line.text().contains("NOT-YOURS"));
    house.control(
        "/control/faults",
        Some(json!({"op": "QBP^Q22", "kind": "ack", "code": "AE"})),
    );
    line.say(who("o5", "|").as_bytes());
    assert!(line.text().contains("\rMSA|AE|o5"));
    assert_eq!(
        house.control("/control/faults", None)["firings"]
            .as_array()
            .unwrap()
            .len(),
        4
    );
}
