//! A hospital of its own for each test, driven over its sockets.

use std::net::SocketAddr;
use std::sync::mpsc;

use bench_his::{Addresses, Charset, Options, Settings};
use rig::probe;
use serde_json::Value;
use tempfile::TempDir;

/// A running hospital.
pub(crate) struct Hospital {
    pub(crate) at: Addresses,
    _dir: TempDir,
}

/// A reply, taken apart by text search so that nothing of the hospital's own code reads it.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) xml: String,
}

impl Said {
    /// The first element of that name.
    pub(crate) fn get(&self, name: &str) -> String {
        between(&self.xml, &format!("<{name}>"), &format!("</{name}>"))
    }

    /// How many items the result has at its top.
    pub(crate) fn count(&self, name: &str) -> usize {
        self.xml.matches(&format!("<{name}>")).count()
    }
}

pub(crate) fn between(text: &str, begin: &str, end: &str) -> String {
    let Some((_, rest)) = text.split_once(begin) else {
        return String::new();
    };
    rest.split_once(end)
        .map_or(String::new(), |(inner, _)| inner.to_owned())
}

impl Hospital {
    pub(crate) fn open() -> Hospital {
        let dir = tempfile::tempdir().unwrap();
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let settings = Settings {
            db: dir.path().join("his.sqlite"),
            seed: 42,
            soap: any,
            mllp: any,
            control: any,
            options: Options {
                honour_keys: false,
                charset: Charset::Utf8,
                lock_minutes: 15,
                callback_soap: None,
                callback_mllp: None,
                public_base: String::new(),
            },
        };
        let (send, receive) = mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime
                .block_on(bench_his::run(settings, |at| send.send(at).unwrap()))
                .unwrap();
        });
        Hospital {
            at: receive.recv().unwrap(),
            _dir: dir,
        }
    }

    pub(crate) fn envelope(op: &str, params: &str) -> String {
        let inner = format!("<request><params>{params}</params></request>")
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;");
        format!(
            "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body><{op} xmlns=\"http://tempuri.org/\"><requestXml>{inner}</requestXml></{op}></s:Body></s:Envelope>"
        )
    }

    /// The raw answer, whatever it is.
    pub(crate) fn try_call(&self, op: &str, params: &str) -> std::io::Result<probe::Answered> {
        let action = format!("\"http://tempuri.org/{op}\"");
        let headers = [
            ("Content-Type", "text/xml; charset=utf-8"),
            ("SOAPAction", action.as_str()),
        ];
        let body = Self::envelope(op, params);
        probe::ask(
            self.at.soap,
            "POST",
            "/services/InternetHospital",
            &headers,
            body.as_bytes(),
        )
    }

    pub(crate) fn call(&self, op: &str, params: &[(&str, &str)]) -> Said {
        let params: String = params.iter().map(|(k, v)| format!("<{k}>{v}</{k}>")).collect();
        read(&self.try_call(op, &params).unwrap().text())
    }

    pub(crate) fn control(&self, path: &str, body: Option<Value>) -> Value {
        probe::control(self.at.control, path, body).unwrap()
    }

    /// A patient of the demo list.
    pub(crate) fn patient(&self, n: usize) -> Value {
        self.control("/control/demo", None)["patients"][n].clone()
    }

    /// The first free time of a doctor, some days ahead: (workId, beginTime).
    pub(crate) fn slot(&self, doctor: &str, days: i64) -> (String, String) {
        let today = self.control("/control/clock", None)["now"].as_str().unwrap()[..10].to_owned();
        let day = time::Date::parse(&today, time::macros::format_description!("[year]-[month]-[day]")).unwrap()
            + time::Duration::days(days);
        let day = day.to_string();
        let said = self.call(
            "getNetRegInfo",
            &[("beginDate", &day), ("endDate", &day), ("doctorCode", doctor)],
        );
        (said.get("workId"), said.get("beginTime"))
    }

    /// Locks a number for a patient.
    pub(crate) fn lock(&self, key: &str, patient: &str, slot: &(String, String)) -> Said {
        self.call(
            "orderNetReg",
            &[
                ("psOrdNum", key),
                ("patCardType", "7"),
                ("patCardNo", patient),
                ("workId", &slot.0),
                ("beginTime", &slot.1),
            ],
        )
    }
}

pub(crate) fn read(text: &str) -> Said {
    let xml = text
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&amp;", "&");
    Said {
        code: between(&xml, "<resultCode>", "</resultCode>"),
        message: between(&xml, "<resultMessage>", "</resultMessage>"),
        xml,
    }
}
