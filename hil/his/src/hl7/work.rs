//! What each event asks of the hospital, and the segments it answers with.

use crate::house::{House, Keep};
use crate::wire::{Item, Node, Reply};

use super::message::{Message, escape};
use super::orders::{prescribe, review};

/// What became of a message.
pub(super) struct Answer {
    /// AA, AE or AR.
    pub(super) code: &'static str,
    /// Type of the reply, MSH-9.
    pub(super) kind: &'static str,
    /// ERR-3 code, ERR-5 code and words, when it was not accepted.
    pub(super) error: Option<(&'static str, String, String)>,
    /// Segments after MSA (and ERR).
    pub(super) segments: Vec<String>,
    /// The caller's key, for the list of calls.
    pub(super) key: String,
}

/// An event the hospital understands.
pub(super) struct Event {
    /// `SRM^S01`
    pub(super) name: &'static str,
    reply: &'static str,
    work: fn(&Asked<'_>) -> Done,
}

/// A message with the hospital it is put to.
pub(super) struct Asked<'a> {
    house: &'a House,
    pub(super) message: &'a Message,
    keep: Keep,
}

/// The hospital's reply, the caller's key, and the segments for success.
pub(super) struct Done {
    pub(super) reply: Reply,
    pub(super) key: String,
    pub(super) segments: Vec<String>,
}

const EVENTS: &[Event] = &[
    Event {
        name: "QBP^Q22",
        reply: "RSP^K22^RSP_K21",
        work: find_patient,
    },
    Event {
        name: "ADT^A28",
        reply: "ACK^A28^ACK",
        work: create_patient,
    },
    Event {
        name: "SRM^S01",
        reply: "SRR^S01^SRR_S01",
        work: lock,
    },
    Event {
        name: "SRM^S04",
        reply: "SRR^S04^SRR_S01",
        work: unlock,
    },
    Event {
        name: "OMP^O09",
        reply: "ORP^O10^ORP_O10",
        work: prescribe,
    },
    Event {
        name: "RDE^O11",
        reply: "RRE^O12^RRE_O12",
        work: review,
    },
];

/// The event of that name; otherwise the error code: 200 for the type, 201 for the event.
pub(super) fn event(kind: &str, trigger: &str) -> Result<&'static Event, &'static str> {
    let name = format!("{kind}^{trigger}");
    EVENTS.iter().find(|event| event.name == name).ok_or_else(|| {
        let known = EVENTS.iter().any(|event| event.name.split('^').next() == Some(kind));
        if known { "201" } else { "200" }
    })
}

impl Event {
    /// Does the work.
    pub(super) fn run(&self, house: &House, message: &Message, keep: Keep) -> Answer {
        let done = (self.work)(&Asked { house, message, keep });
        self.answer(done.reply, done.segments, done.key)
    }

    /// An answer that was commanded instead of worked for.
    pub(super) fn told(&self, code: &str, words: &str) -> Answer {
        self.answer(Reply::of(code, words), Vec::new(), String::new())
    }

    fn answer(&self, reply: Reply, segments: Vec<String>, key: String) -> Answer {
        let query = self.name == "QBP^Q22";
        let (code, error) = match reply.code.as_str() {
            "0" => ("AA", None),
            // A query that finds nobody is answered, not refused.
            "1" if query => ("AA", None),
            "1" => ("AE", Some(("204", reply.code, reply.message))),
            _ if reply.message.starts_with("缺少参数") => ("AE", Some(("101", reply.code, reply.message))),
            _ => ("AE", Some(("207", reply.code, reply.message))),
        };
        let keep = code == "AA" || query;
        Answer {
            code,
            kind: self.reply,
            error,
            segments: if keep { segments } else { Vec::new() },
            key,
        }
    }
}

impl Asked<'_> {
    pub(super) fn get(&self, segment: &str, field: usize, component: usize) -> String {
        self.message.get(segment, field, component)
    }

    pub(super) fn call(&self, op: &str, params: &Node) -> Reply {
        self.house
            .execute(op, params, self.keep)
            .unwrap_or_else(|| Reply::of("-2", "接口不存在"))
    }

    /// The patient of PID-3 as request fields: PI, MR or NI.
    pub(super) fn patient(&self, params: &mut Node) {
        let Some(pid) = self.message.first("PID") else {
            return;
        };
        for id in pid.repeats(3) {
            let part = |n: usize| id.get(n).map_or("", String::as_str);
            match part(4) {
                "PI" => params.put("patId", part(0)),
                "NI" => params.put("patIdNo", part(0)),
                "MR" => {
                    params.put("patCardType", "1");
                    params.put("patCardNo", part(0));
                }
                _ => identify(params, part(0)),
            }
        }
    }
}

/// An identifier without a type: told apart by its looks.
fn identify(params: &mut Node, value: &str) {
    if value.starts_with('P') {
        params.put("patId", value);
    } else if value.len() == 18 {
        params.put("patIdNo", value);
    } else {
        params.put("patCardType", "1");
        params.put("patCardNo", value);
    }
}

fn pid(item: &Item) -> String {
    let text = |name: &str| escape(item.text(name));
    format!(
        "PID|1||{}^^^HIS^PI~{}^^^HIS^MR~{}^^^CHN^NI||{}||{}|{}|||{}||{}",
        text("patId"),
        text("patCardNo"),
        text("patIdNo"),
        text("patName"),
        item.text("patBirth").replace('-', ""),
        text("patSex"),
        text("patAddress"),
        text("patMobile"),
    )
}

fn find_patient(asked: &Asked<'_>) -> Done {
    let mut params = Node::default();
    let query = asked.message.first("QPD");
    for pair in query.map(|q| q.repeats(3)).unwrap_or_default() {
        let (name, value) = (
            pair.first().map_or("", String::as_str),
            pair.get(1).cloned().unwrap_or_default(),
        );
        match name {
            "@PID.3.1" | "@PID.3" => identify(&mut params, &value),
            "@PID.19" => params.put("patIdNo", value),
            "@PID.5.1" | "@PID.5" => params.put("patName", value),
            _ => {}
        }
    }
    let reply = asked.call("getMZPatient", &params);
    let status = match reply.code.as_str() {
        "0" => "OK",
        "1" => "NF",
        _ => "AE",
    };
    let (tag, echo) = query.map_or((String::new(), String::new()), |q| {
        (
            q.raw(2).to_owned(),
            format!("QPD|{}|{}|{}", q.raw(1), q.raw(2), q.raw(3)),
        )
    });
    let mut segments = vec![
        format!("QAK|{tag}|{status}|Q22^Find Candidates^HL70471|{}", reply.items.len()),
        echo,
    ];
    segments.extend(reply.items.iter().map(pid));
    Done {
        key: tag,
        reply,
        segments,
    }
}

fn create_patient(asked: &Asked<'_>) -> Done {
    let mut params = Node::default();
    asked.patient(&mut params);
    let number = params.get("patIdNo").to_owned();
    let birth = asked.get("PID", 7, 1);
    let mut put = |name: &str, value: String| params.put(name, value);
    put("patIdType", "1".into());
    put("patName", asked.get("PID", 5, 1));
    put("patBirth", dashed(&birth));
    put("patSex", asked.get("PID", 8, 1));
    put("patAddress", asked.get("PID", 11, 1));
    put("patMobile", asked.get("PID", 13, 1));
    put("guardName", asked.get("NK1", 2, 1));
    put("guardMobile", asked.get("NK1", 5, 1));
    put("guardIdType", "1".into());
    put("guardIdNo", asked.get("NK1", 33, 1));
    Done {
        reply: asked.call("createCard", &params),
        key: number,
        segments: Vec::new(),
    }
}

fn dashed(date: &str) -> String {
    match (date.get(..4), date.get(4..6), date.get(6..8)) {
        (Some(year), Some(month), Some(day)) => format!("{year}-{month}-{day}"),
        _ => String::new(),
    }
}

fn hour_minute(moment: &str) -> String {
    match (moment.get(8..10), moment.get(10..12)) {
        (Some(hour), Some(minute)) => format!("{hour}:{minute}"),
        _ => String::new(),
    }
}

fn lock(asked: &Asked<'_>) -> Done {
    let mut params = Node::default();
    asked.patient(&mut params);
    let key = asked.get("ARQ", 1, 1);
    let (begin, end) = (asked.get("ARQ", 11, 1), asked.get("ARQ", 11, 2));
    let flag = match begin.get(8..10) {
        Some(hour) if hour < "12" => "1",
        Some(hour) if hour < "18" => "2",
        _ => "3",
    };
    let mut put = |name: &str, value: String| params.put(name, value);
    put("psOrdNum", key.clone());
    put("workId", asked.get("AIS", 3, 1));
    put("doctorCode", asked.get("AIP", 3, 1));
    put("deptCode", asked.get("AIL", 3, 1));
    put("scheduleDate", dashed(&begin));
    put("timeFlag", flag.into());
    put("beginTime", hour_minute(&begin));
    let reply = asked.call("orderNetReg", &params);
    let segments = reply.items.first().map_or_else(Vec::new, |item| {
        let expire: String = item.text("lockExpire").chars().filter(char::is_ascii_digit).collect();
        vec![
            sch(
                &key,
                item.text("hisOrdNum"),
                "LOCKED^号源已锁定",
                &begin,
                &end,
                "Pending",
            ),
            "RGS|1|A".into(),
            format!("AIS|1|A|{}|{begin}", escape(&asked.get("AIS", 3, 1))),
            format!("AIP|1|A|{}", escape(&asked.get("AIP", 3, 1))),
            format!("AIL|1|A|{}", escape(&asked.get("AIL", 3, 1))),
            format!(
                "ZFE|{}|{}|{expire}|{}",
                item.text("regFee"),
                item.text("treatFee"),
                escape(item.text("desc"))
            ),
        ]
    });
    Done { reply, key, segments }
}

/// SCH with the fields the standard requires.
pub(super) fn sch(ps: &str, his: &str, reason: &str, begin: &str, end: &str, status: &str) -> String {
    let (ps, his) = (escape(ps), escape(his));
    format!("SCH|{ps}|{his}||||{reason}|||||^^^{begin}^{end}|||||HIS^医院信息系统||||HIS^医院信息系统|||||{status}")
}

fn unlock(asked: &Asked<'_>) -> Done {
    let mut params = Node::default();
    let (ps, his) = (asked.get("ARQ", 1, 1), asked.get("ARQ", 2, 1));
    params.put("psOrdNum", ps.clone());
    params.put("hisOrdNum", his.clone());
    params.put("cancelReason", asked.get("ARQ", 6, 2));
    let reply = asked.call("unlockNetReg", &params);
    let segments = vec![sch(&ps, &his, "CANCEL^取消锁定", "", "", "Cancelled"), "RGS|1|D".into()];
    Done {
        reply,
        key: ps,
        segments,
    }
}
