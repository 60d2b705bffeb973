//! The HIS as sender: stop-clinic as SIU^S23 and S15.

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::frame::{Framer, frame};
use super::message::{Message, escape};
use super::work::sch;
use crate::house::House;
use crate::notice::{Stopped, StoppedOrder};

/// Sends a notice and waits until every message of it is accepted.
pub(crate) async fn announce(house: &House, target: &str, stopped: &Stopped) -> Result<String, String> {
    let said = |e: std::io::Error| e.to_string();
    let mut stream = TcpStream::connect(target).await.map_err(said)?;
    let mut framer = Framer::default();
    let at: String = house.clock.moment().chars().filter(char::is_ascii_digit).collect();
    let mut messages = vec![session(stopped, &at)];
    for (n, order) in (1..).zip(&stopped.orders) {
        messages.push(appointment(stopped, order, n, &at));
    }
    for (id, text) in messages {
        stream.write_all(&frame(text.as_bytes())).await.map_err(said)?;
        loop {
            let bytes = framer
                .read(&mut stream)
                .await
                .map_err(said)?
                .ok_or("closed without answer")?;
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let reply = Message::parse(&text).ok_or("the answer is not HL7")?;
            // Answers to other messages are none of ours.
            if reply.get("MSA", 2, 1) != id {
                continue;
            }
            match reply.get("MSA", 1, 1).as_str() {
                "CA" => {}
                "AA" => break,
                other => return Err(format!("{other} {}", reply.get("ERR", 8, 1))),
            }
        }
    }
    Ok("AA".into())
}

fn msh(kind: &str, id: &str, at: &str) -> String {
    format!("MSH|^~\\&|HIS|H01|YIQIAO|H01|{at}+0800||{kind}|{id}|P|2.5|||AL|AL|CHN|UNICODE UTF-8")
}

fn digits(date: &str, time: &str) -> String {
    format!("{}{}", date.replace('-', ""), time.replace(':', ""))
}

fn resources(stopped: &Stopped) -> String {
    let begin = digits(&stopped.date, &stopped.begin);
    format!(
        "RGS|1|X\rAIS|1|X|{}|{begin}\rAIP|1|X|{}^{}\rAIL|1|X|{}^{}\r",
        escape(&stopped.work_id),
        escape(&stopped.doctor.0),
        escape(&stopped.doctor.1),
        escape(&stopped.dept.0),
        escape(&stopped.dept.1)
    )
}

fn schedule(stopped: &Stopped, ps: &str, his: &str, status: &str) -> String {
    let reason = format!("STOP^{}", escape(&stopped.reason));
    let (begin, end) = (
        digits(&stopped.date, &stopped.begin),
        digits(&stopped.date, &stopped.end),
    );
    sch(ps, his, &reason, &begin, &end, status)
}

fn session(stopped: &Stopped, at: &str) -> (String, String) {
    let id = format!("{}-0", stopped.notice);
    let head = msh("SIU^S23^SIU_S12", &id, at);
    let text = format!(
        "{head}\r{}\r{}",
        schedule(stopped, "", "", "Blocked"),
        resources(stopped)
    );
    (id, text)
}

fn appointment(stopped: &Stopped, order: &StoppedOrder, n: usize, at: &str) -> (String, String) {
    let id = format!("{}-{n}", stopped.notice);
    let head = msh("SIU^S15^SIU_S12", &id, at);
    let schedule = schedule(stopped, &order.ps_ord, &order.his_ord, "Cancelled");
    let pid = format!("PID|1||{}^^^HIS^PI||{}", escape(&order.patient), escape(&order.name));
    (id, format!("{head}\r{schedule}\r{pid}\r{}", resources(stopped)))
}
