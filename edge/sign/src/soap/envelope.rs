//! Envelopes: read with limits and without document type, written.

use quick_xml::NsReader;
use quick_xml::escape::escape;
use quick_xml::events::Event;
use quick_xml::name::ResolveResult;

use super::wsdl::NAMESPACE;
use crate::fault::{Code, Fault};

/// Elements inside one another.
const MAX_DEPTH: usize = 16;
/// Elements of an envelope.
const MAX_ELEMENTS: usize = 256;

/// Which SOAP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    One,
    Two,
}

impl Version {
    fn namespace(self) -> &'static str {
        match self {
            Self::One => "http://schemas.xmlsoap.org/soap/envelope/",
            Self::Two => "http://www.w3.org/2003/05/soap-envelope",
        }
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::One => "text/xml; charset=utf-8",
            Self::Two => "application/soap+xml; charset=utf-8",
        }
    }

    fn of(namespace: &str) -> Option<Self> {
        [Self::One, Self::Two]
            .into_iter()
            .find(|version| version.namespace() == namespace)
    }
}

/// A call: the operation and its parameters in order, each by its local name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) version: Version,
    pub(super) operation: String,
    pub(super) parameters: Vec<(String, String)>,
}

fn bad(text: impl Into<String>) -> Fault {
    Fault::new(Code::DataFormat, text)
}

/// Reads an envelope.
pub(super) fn read(body: &[u8]) -> Result<Call, Fault> {
    let text = std::str::from_utf8(body).map_err(|_| bad("SOAP 消息应为 UTF-8 编码"))?;
    let mut reader = NsReader::from_str(text.trim_start_matches('\u{feff}'));
    reader.config_mut().expand_empty_elements = true;
    let mut state = Reading::default();
    loop {
        let (namespace, event) = reader.read_resolved_event().map_err(|error| bad(error.to_string()))?;
        match event {
            Event::Start(start) => {
                let namespace = match namespace {
                    ResolveResult::Bound(namespace) => namespace.0.to_owned(),
                    ResolveResult::Unbound => String::new(),
                    ResolveResult::Unknown(_) => return Err(bad("命名空间前缀未声明")),
                };
                state.open(&namespace, start.local_name().as_ref())?;
            }
            Event::End(_) | Event::Empty(_) => state.close(),
            Event::Text(text) => state.text(&text.xml10_content())?,
            Event::CData(text) => state.text(&text.xml10_content())?,
            Event::GeneralRef(name) => {
                let known = name.resolve_char_ref().map_err(|error| bad(error.to_string()))?;
                let character = match (known, &*name) {
                    (Some(character), _) => character,
                    (None, "lt") => '<',
                    (None, "gt") => '>',
                    (None, "amp") => '&',
                    (None, "quot") => '"',
                    (None, "apos") => '\'',
                    (None, _) => return Err(bad("未知的实体引用")),
                };
                state.text(character.encode_utf8(&mut [0; 4]))?;
            }
            Event::DocType(_) => return Err(bad("不接受 DOCTYPE")),
            Event::Decl(declaration) => {
                let utf8 = |name: &str| name.eq_ignore_ascii_case("utf-8");
                if let Some(Ok(encoding)) = declaration.encoding()
                    && !utf8(&encoding)
                {
                    return Err(bad("SOAP 消息应为 UTF-8 编码"));
                }
            }
            Event::PI(_) => return Err(bad("不接受处理指令")),
            Event::Comment(_) => {}
            Event::Eof => break,
        }
    }
    state.finish()
}

/// Where in the envelope the reader is.
#[derive(Default)]
struct Reading {
    version: Option<Version>,
    depth: usize,
    elements: usize,
    in_body: bool,
    operation: Option<String>,
    parameters: Vec<(String, String)>,
    done: bool,
}

impl Reading {
    fn open(&mut self, namespace: &str, name: &str) -> Result<(), Fault> {
        self.elements += 1;
        if self.depth == MAX_DEPTH || self.elements > MAX_ELEMENTS {
            return Err(bad("SOAP 消息过于复杂"));
        }
        match self.depth {
            0 => {
                if name != "Envelope" || self.version.is_some() {
                    return Err(bad("不是 SOAP 消息"));
                }
                self.version = Version::of(namespace);
                if self.version.is_none() {
                    return Err(bad("不是 SOAP 1.1 或 1.2"));
                }
            }
            1 => {
                let ours = self.version.is_some_and(|version| version.namespace() == namespace);
                self.in_body = ours && name == "Body";
                if self.in_body && std::mem::replace(&mut self.done, true) {
                    return Err(bad("多个 Body"));
                }
            }
            2 if self.in_body && self.operation.replace(name.to_owned()).is_some() => {
                return Err(bad("一次只能调用一个操作"));
            }
            3 if self.in_body => self.parameters.push((name.to_owned(), String::new())),
            4.. if self.in_body => return Err(bad("参数应为文本")),
            _ => {}
        }
        self.depth += 1;
        Ok(())
    }

    fn close(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    fn text(&mut self, text: &str) -> Result<(), Fault> {
        match self.parameters.last_mut() {
            Some((_, value)) if self.in_body && self.depth == 4 => value.push_str(text),
            _ if text.trim().is_empty() || !self.in_body => {}
            _ => return Err(bad("参数之外有文本")),
        }
        Ok(())
    }

    fn finish(self) -> Result<Call, Fault> {
        let (Some(version), Some(operation), 0) = (self.version, self.operation, self.depth) else {
            return Err(bad("SOAP 消息不完整"));
        };
        Ok(Call {
            version,
            operation,
            parameters: self.parameters,
        })
    }
}

fn wrapped(version: Version, inside: &str) -> String {
    let namespace = version.namespace();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><soap:Envelope xmlns:soap=\"{namespace}\"><soap:Body>{inside}</soap:Body></soap:Envelope>"
    )
}

/// An answer.
pub(super) fn answer(version: Version, operation: &str, value: &str) -> String {
    let value = escape(value);
    wrapped(
        version,
        &format!("<{operation}Response xmlns=\"{NAMESPACE}\"><return>{value}</return></{operation}Response>"),
    )
}

/// A fault.
pub(super) fn fault(version: Version, fault: &Fault) -> String {
    let clean: String = fault.to_string().chars().filter(|c| !c.is_control()).collect();
    let (text, ours) = (escape(&clean), fault.code.status() < 500);
    let detail = format!(
        "<refused xmlns=\"{NAMESPACE}\"><number>{}</number><code>{}</code></refused>",
        fault.code.number(),
        fault.code.name()
    );
    let inside = match version {
        Version::One => format!(
            "<soap:Fault><faultcode>soap:{}</faultcode><faultstring>{text}</faultstring><detail>{detail}</detail></soap:Fault>",
            if ours { "Client" } else { "Server" }
        ),
        Version::Two => format!(
            "<soap:Fault><soap:Code><soap:Value>soap:{}</soap:Value></soap:Code><soap:Reason><soap:Text xml:lang=\"zh\">{text}</soap:Text></soap:Reason><soap:Detail>{detail}</soap:Detail></soap:Fault>",
            if ours { "Sender" } else { "Receiver" }
        ),
    };
    wrapped(version, &inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(inside: &str) -> String {
        format!(
            "<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/'><s:Header><x><y/></x></s:Header><s:Body>{inside}</s:Body></s:Envelope>"
        )
    }

    #[test]
    fn a_call_is_read_with_its_parameters() {
        let text = envelope(
            "<q:SOF_SignData xmlns:q='urn:x'><CertID>1</CertID><q:InData>处方 &amp; <![CDATA[<a>]]>&#x4e00;</q:InData></q:SOF_SignData>",
        );
        let call = read(text.as_bytes()).expect("read");
        assert_eq!(call.operation, "SOF_SignData");
        assert_eq!(
            call.parameters,
            [
                ("CertID".to_owned(), "1".to_owned()),
                ("InData".to_owned(), "处方 & <a>一".to_owned())
            ]
        );
    }

    #[test]
    fn what_is_no_plain_call_is_refused() {
        let deep = format!("<a>{}{}</a>", "<b>".repeat(40), "</b>".repeat(40));
        for bad in [
            String::new(),
            "<a/>".to_owned(),
            "<!DOCTYPE a [<!ENTITY x 'y'>]><a/>".to_owned(),
            envelope(""),
            envelope("<a/><b/>"),
            envelope("<a><b><c/></b></a>"),
            envelope("<a>loose</a>"),
            envelope("<a><b>&evil;</b></a>"),
            envelope("<x:a/>"),
            envelope(&deep),
            envelope("<a>").replace("</s:Body></s:Envelope>", ""),
            "<Envelope xmlns='urn:other'><Body><a/></Body></Envelope>".to_owned(),
        ] {
            assert!(read(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(read(&[0xb4, 0xa6]).is_err(), "GBK");
    }
}
