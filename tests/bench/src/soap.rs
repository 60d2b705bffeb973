//! The bench hospital asked directly, by the wire its own document describes.

use anyhow::{Result, bail};

use crate::http::{Connection, Reply, request};

const NAMESPACE: &str = "http://tempuri.org/";

/// The bytes of a call.
pub(crate) fn call(operation: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    let fields: String = fields
        .iter()
        .map(|(name, value)| format!("<{name}>{value}</{name}>"))
        .collect();
    let inner = escape(&format!(
        "<request><params><branchCode>H01</branchCode>{fields}</params></request>"
    ));
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\">\
         <soap:Body><{operation} xmlns=\"{NAMESPACE}\"><requestXml>{inner}</requestXml></{operation}></soap:Body></soap:Envelope>"
    );
    let action = format!("\"{NAMESPACE}{operation}\"");
    let headers = [("Content-Type", "text/xml; charset=utf-8"), ("SOAPAction", &action)];
    request("POST", "/services/InternetHospital", &headers, body.as_bytes())
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Whether the hospital's result code is 0.
pub(crate) fn is_done(reply: &Reply) -> bool {
    reply.is_success() && String::from_utf8_lossy(&reply.body).contains("&lt;resultCode&gt;0&lt;")
}

/// Asks; anything but done is an error.
pub(crate) async fn ask(connection: &mut Connection, call: &[u8]) -> Result<()> {
    let reply = connection.ask(call).await?;
    if !is_done(&reply) {
        bail!(
            "the hospital answered {} {}",
            reply.status,
            String::from_utf8_lossy(&reply.body)
        );
    }
    Ok(())
}
