//! SOAP 1.1 face: envelopes, the WSDL, and faults acted out on the raw connection.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rig::Fired;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::charset::Charset;
use crate::house::{House, Keep};
use crate::http::{self, Request};
use crate::wire::{Node, Reply, escape};
use crate::{ops, picture};

const PATH: &str = "/services/InternetHospital";
/// The namespace of every operation.
pub(crate) const NAMESPACE: &str = "http://tempuri.org/";

/// Serves connections until the process ends.
pub(crate) async fn serve(house: Arc<House>, listener: TcpListener) -> io::Result<()> {
    loop {
        let (stream, peer) = listener.accept().await?;
        let house = Arc::clone(&house);
        tokio::spawn(async move {
            if let Err(error) = converse(&house, stream).await {
                tracing::debug!(net.peer = %peer, "{error}");
            }
        });
    }
}

async fn converse(house: &House, stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    loop {
        let request = match http::read_request(&mut stream).await {
            Ok(Some(request)) => request,
            Ok(None) => return Ok(()),
            Err(error) => {
                let reply = http::response(400, "text/plain", error.to_string().as_bytes(), false);
                let _gone = stream.get_mut().write_all(&reply).await;
                return Err(error);
            }
        };
        let keep_alive = request.keep_alive;
        let path = request.target.split('?').next().unwrap_or("");
        let bytes = match (request.method.as_str(), path) {
            ("POST", PATH) => match operate(house, &request).await {
                Acted::Send(bytes) => bytes,
                Acted::SendAndClose(bytes) => {
                    stream.get_mut().write_all(&bytes).await?;
                    return stream.get_mut().shutdown().await;
                }
                Acted::Close => return Ok(()),
                Acted::Reset => {
                    http::reset(stream.into_inner());
                    return Ok(());
                }
            },
            ("GET", PATH) => {
                let text = wsdl(&format!("{}{PATH}", house.options().public_base));
                http::response(200, "text/xml; charset=utf-8", text.as_bytes(), keep_alive)
            }
            ("GET", file) => match exam_file(house, file) {
                Some(png) => http::response(200, "image/png", &png, keep_alive),
                None => http::response(404, "text/plain", b"not found", keep_alive),
            },
            _ => http::response(404, "text/plain", b"not found", keep_alive),
        };
        stream.get_mut().write_all(&bytes).await?;
        if !keep_alive {
            return stream.get_mut().shutdown().await;
        }
    }
}

fn exam_file(house: &House, path: &str) -> Option<Vec<u8>> {
    let id = path.strip_prefix("/files/exam/")?.strip_suffix(".png")?;
    let kind: i64 = house
        .db()
        .query_row("SELECT type FROM exam WHERE id = ?1 AND has_image", [id], |r| r.get(0))
        .ok()?;
    picture::exam(id, kind)
}

enum Acted {
    Send(Vec<u8>),
    SendAndClose(Vec<u8>),
    Close,
    Reset,
}

async fn operate(house: &House, request: &Request) -> Acted {
    let charset = house.options().charset;
    let (op, params) = match read_call(request) {
        Ok(call) => call,
        Err(why) => return Acted::Send(soap_fault(charset, "soap:Client", &why, request.keep_alive)),
    };
    let fired = house.faults.next(&op, &house.clock);
    act(house, request, &op, &params, fired.as_ref()).await
}

async fn act(house: &House, request: &Request, op: &str, params: &Node, fired: Option<&Fired>) -> Acted {
    let charset = house.options().charset;
    let kind = fired.map_or("", |fired| fired.kind.as_str());
    let number = |name: &str, default: u64| fired.map_or(default, |f| f.number(name, default));
    let told = || {
        let text = |name: &str, default: &str| fired.map_or(default.into(), |f| f.text(name, default));
        Reply::of(&text("code", "-1"), &text("message", "HIS系统繁忙"))
    };
    if kind == "delay" {
        tokio::time::sleep(Duration::from_millis(number("ms", 1000))).await;
    }
    let skipped = ["timeout_before_commit", "reset", "result", "http", "fault"].contains(&kind);
    let keep = if kind == "lie" { Keep::No } else { Keep::Yes };
    let done = if skipped { None } else { house.execute(op, params, keep) };
    let reply = match kind {
        "result" | "result_after_commit" => told(),
        _ => match &done {
            Some(reply) => reply.clone(),
            None if skipped => told(),
            None => {
                let why = format!("operation {op} is unknown");
                return Acted::Send(soap_fault(charset, "soap:Client", &why, request.keep_alive));
            }
        },
    };
    house.note_call("soap", op, key_of(params), &reply.code, fired.map(|f| f.kind.as_str()));
    let keep_alive = request.keep_alive;
    let whole = || envelope(op, &reply, charset, charset, keep_alive);
    match kind {
        "timeout_before_commit" | "timeout_after_commit" => {
            tokio::time::sleep(Duration::from_millis(number("ms", 60_000))).await;
            Acted::Close
        }
        "reset" | "reset_after_commit" => Acted::Reset,
        "answer_twice" => Acted::Send([whole(), whole()].concat()),
        "truncate" => cut(op, &reply, charset, fired),
        "wrong_charset" => Acted::Send(envelope(op, &reply, charset, charset.other(), keep_alive)),
        "empty" => Acted::Send(http::response(200, &content_type(charset), b"", keep_alive)),
        "http" => {
            let status = u16::try_from(number("status", 502)).unwrap_or(502);
            let page = b"<html><body><h1>Service Error</h1></body></html>";
            Acted::Send(http::response(status, "text/html", page, keep_alive))
        }
        "fault" => Acted::Send(soap_fault(
            charset,
            "soap:Server",
            "Object reference not set",
            keep_alive,
        )),
        _ => Acted::Send(whole()),
    }
}

fn cut(op: &str, reply: &Reply, charset: Charset, fired: Option<&Fired>) -> Acted {
    let body = body_of(op, reply, charset, charset);
    let half = body.get(..body.len() / 2).unwrap_or_default();
    if fired.is_some_and(|f| f.text("length", "") == "honest") {
        return Acted::Send(http::response(200, &content_type(charset), half, true));
    }
    let whole = http::response(200, &content_type(charset), &body, false);
    let end = whole.len() - (body.len() - half.len());
    Acted::SendAndClose(whole.get(..end).unwrap_or_default().to_vec())
}

/// The caller's key of a request, for the list of calls.
fn key_of(params: &Node) -> &str {
    [
        "psRefOrdNum",
        "psOrdNum",
        "rxNo",
        "waybillNo",
        "hisOrdNum",
        "patIdNo",
        "patCardNo",
    ]
    .into_iter()
    .map(|field| params.get(field))
    .find(|value| !value.is_empty())
    .unwrap_or("")
}

/// The operation and its `<params>`.
fn read_call(request: &Request) -> Result<(String, Node), String> {
    let declared = request
        .header("content-type")
        .and_then(|t| t.split("charset=").nth(1))
        .and_then(|c| Charset::named(c.split(';').next().unwrap_or(c)));
    let charset = declared.unwrap_or_else(|| declared_inside(&request.body));
    let text = charset
        .decode(&request.body)
        .ok_or_else(|| format!("the request is not {}", charset.name()))?;
    let envelope = Node::parse(&text)?;
    let body = envelope
        .child("Body")
        .filter(|_| envelope.name == "Envelope")
        .ok_or("not a SOAP envelope")?;
    let call = body.children.first().ok_or("the SOAP body is empty")?;
    let action = request.header("soapaction").unwrap_or("").trim_matches('"');
    if !action.is_empty() && action.rsplit('/').next() != Some(call.name.as_str()) {
        return Err(format!("SOAPAction {action} does not name {}", call.name));
    }
    let inner = call.child("requestXml").ok_or("requestXml is missing")?;
    let asked = Node::parse(&inner.text).map_err(|e| format!("requestXml: {e}"))?;
    if asked.name != "request" {
        return Err("requestXml does not hold <request>".into());
    }
    let params = asked.child("params").cloned().unwrap_or_default();
    Ok((call.name.clone(), params))
}

fn declared_inside(body: &[u8]) -> Charset {
    let head = String::from_utf8_lossy(body.get(..100.min(body.len())).unwrap_or_default()).to_lowercase();
    let name = head
        .split("encoding=")
        .nth(1)
        .and_then(|rest| rest.split(['"', '\'']).nth(1))
        .and_then(Charset::named);
    name.unwrap_or(Charset::Utf8)
}

fn content_type(charset: Charset) -> String {
    format!("text/xml; charset={}", charset.name().to_lowercase())
}

fn body_of(op: &str, reply: &Reply, declared: Charset, real: Charset) -> Vec<u8> {
    let inner = escape(&reply.to_xml(declared.name()));
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"{}\"?>\n<soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\"><soap:Body><{op}Response xmlns=\"{NAMESPACE}\"><{op}Result>{inner}</{op}Result></{op}Response></soap:Body></soap:Envelope>",
        declared.name().to_lowercase()
    );
    real.encode(&text)
}

fn envelope(op: &str, reply: &Reply, declared: Charset, real: Charset, keep_alive: bool) -> Vec<u8> {
    http::response(
        200,
        &content_type(declared),
        &body_of(op, reply, declared, real),
        keep_alive,
    )
}

fn soap_fault(charset: Charset, code: &str, why: &str, keep_alive: bool) -> Vec<u8> {
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"{}\"?>\n<soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\"><soap:Body><soap:Fault><faultcode>{code}</faultcode><faultstring>{}</faultstring></soap:Fault></soap:Body></soap:Envelope>",
        charset.name().to_lowercase(),
        escape(why)
    );
    http::response(500, &content_type(charset), &charset.encode(&text), keep_alive)
}

/// The static service description.
pub(crate) fn wsdl(address: &str) -> String {
    let mut elements = String::new();
    let mut messages = String::new();
    let mut port = String::new();
    let mut binding = String::new();
    for (op, _) in ops::ALL {
        elements += &format!(
            r#"<s:element name="{op}"><s:complexType><s:sequence><s:element minOccurs="0" maxOccurs="1" name="requestXml" type="s:string"/></s:sequence></s:complexType></s:element><s:element name="{op}Response"><s:complexType><s:sequence><s:element minOccurs="0" maxOccurs="1" name="{op}Result" type="s:string"/></s:sequence></s:complexType></s:element>"#
        );
        messages += &format!(
            r#"<wsdl:message name="{op}SoapIn"><wsdl:part name="parameters" element="tns:{op}"/></wsdl:message><wsdl:message name="{op}SoapOut"><wsdl:part name="parameters" element="tns:{op}Response"/></wsdl:message>"#
        );
        port += &format!(
            r#"<wsdl:operation name="{op}"><wsdl:input message="tns:{op}SoapIn"/><wsdl:output message="tns:{op}SoapOut"/></wsdl:operation>"#
        );
        binding += &format!(
            r#"<wsdl:operation name="{op}"><soap:operation soapAction="{NAMESPACE}{op}" style="document"/><wsdl:input><soap:body use="literal"/></wsdl:input><wsdl:output><soap:body use="literal"/></wsdl:output></wsdl:operation>"#
        );
    }
    format!(
        r#"<?xml version="1.0" encoding="utf-8"?>
<wsdl:definitions xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:s="http://www.w3.org/2001/XMLSchema" xmlns:tns="{NAMESPACE}" xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/" targetNamespace="{NAMESPACE}"><wsdl:types><s:schema elementFormDefault="qualified" targetNamespace="{NAMESPACE}">{elements}</s:schema></wsdl:types>{messages}<wsdl:portType name="InternetHospitalSoap">{port}</wsdl:portType><wsdl:binding name="InternetHospitalSoap" type="tns:InternetHospitalSoap"><soap:binding transport="http://schemas.xmlsoap.org/soap/http"/>{binding}</wsdl:binding><wsdl:service name="InternetHospital"><wsdl:port name="InternetHospitalSoap" binding="tns:InternetHospitalSoap"><soap:address location="{}"/></wsdl:port></wsdl:service></wsdl:definitions>"#,
        escape(address)
    )
}
