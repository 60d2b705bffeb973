//! Pages as text.

use std::fmt::Write;

use records::Timestamp;

const STYLE: &str = "body{font:15px/1.6 'Noto Sans CJK SC',sans-serif;margin:0;background:#f4f6f8;color:#1c2733}\
nav{background:#0b5d66;padding:10px 24px}nav a{color:#fff;margin-right:20px;text-decoration:none}\
main{max-width:1200px;margin:0 auto;padding:8px 24px 40px}h1{font-size:22px}h2{font-size:17px;margin:24px 0 8px}\
table{border-collapse:collapse;width:100%;background:#fff}th,td{border:1px solid #dde3e8;padding:6px 10px;text-align:left;vertical-align:top}\
th{background:#eef2f4;font-weight:600;white-space:nowrap}.ok{color:#0a7a3d}.warn{color:#a15c00}.bad{color:#b3261e}\
.wide{overflow-x:auto}nav a{display:inline-block;padding:4px 0}@media(max-width:640px){nav,main{padding-left:12px;padding-right:12px}td{min-width:4em;overflow-wrap:anywhere}}\
pre{margin:0;white-space:pre-wrap;word-break:break-all;max-height:8em;overflow:auto}form{margin:4px 0}\
button,input{font:inherit;padding:2px 10px}";

/// A page being written.
pub(super) struct Page {
    title: String,
    body: String,
}

impl Page {
    pub(super) fn new(title: &str) -> Self {
        Self {
            title: title.to_owned(),
            body: format!("<h1>{}</h1>", escape(title)),
        }
    }

    pub(super) fn heading(mut self, words: &str) -> Self {
        let _ = write!(self.body, "<h2>{}</h2>", escape(words));
        self
    }

    pub(super) fn text(mut self, words: &str) -> Self {
        let _ = write!(self.body, "<p>{}</p>", escape(words));
        self
    }

    /// What is HTML already.
    pub(super) fn raw(mut self, html: &str) -> Self {
        self.body.push_str(html);
        self
    }

    /// Label and value; values are HTML already.
    pub(super) fn facts(mut self, rows: &[(&str, String)]) -> Self {
        self.body.push_str("<table>");
        for (label, value) in rows {
            let _ = write!(self.body, "<tr><th>{}</th><td>{value}</td></tr>", escape(label));
        }
        self.body.push_str("</table>");
        self
    }

    /// Cells are HTML already.
    pub(super) fn table(mut self, head: &[&str], rows: Vec<Vec<String>>) -> Self {
        if rows.is_empty() {
            return self.text("（无）");
        }
        self.body.push_str("<div class=wide><table><tr>");
        for word in head {
            let _ = write!(self.body, "<th>{}</th>", escape(word));
        }
        self.body.push_str("</tr>");
        for row in rows {
            self.body.push_str("<tr>");
            for cell in row {
                let _ = write!(self.body, "<td>{cell}</td>");
            }
            self.body.push_str("</tr>");
        }
        self.body.push_str("</table></div>");
        self
    }

    pub(super) fn finish(self, refresh: bool) -> String {
        let refresh = if refresh {
            "<meta http-equiv=refresh content=10>"
        } else {
            ""
        };
        format!(
            "<!doctype html><html lang=zh-CN><meta charset=utf-8><meta name=viewport content=\"width=device-width\">{refresh}<title>{}</title><style>{STYLE}</style>\
             <nav><a href=/>概况</a><a href=/commands?open=1>院内指令</a><a href=/printing>打印</a><a href=/docking>采集站</a><a href=/rejected>未受理来电</a></nav>\
             <main>{}</main></html>",
            escape(&self.title),
            self.body
        )
    }
}

/// Text as HTML.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// A text cell.
pub(super) fn cell(text: &str) -> String {
    escape(text)
}

/// An instant for people.
pub(super) fn when(at: Timestamp) -> String {
    at.local_text()
}

/// A query value.
pub(super) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
