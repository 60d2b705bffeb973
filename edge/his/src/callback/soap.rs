//! Stop-clinic by SOAP: the hospital's shape, with our WSDL.

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::{Callbacks, Received, content_key};
use crate::charset::{self, Charset};
use crate::profile::SoapCallback;
use crate::source::Source;
use crate::xml;

const MAX_BODY: usize = 1024 * 1024;

enum Reply {
    /// Result code and words.
    Result(String, String),
    Fault(&'static str, String),
}

impl Callbacks {
    /// The SOAP server, when the profile has one.
    pub fn soap_router(&self) -> Option<Router> {
        let callback = self.bridge.hospital().profile.callbacks.soap.clone()?;
        let path = callback.path.clone();
        let state = (self.clone(), callback);
        Some(
            Router::new()
                .route(&path, get(wsdl).post(call))
                .layer(DefaultBodyLimit::max(MAX_BODY))
                .with_state(state),
        )
    }

    async fn soap_call(&self, callback: &SoapCallback, declared: Option<Charset>, body: &[u8]) -> (Reply, Charset) {
        let declared = declared.or_else(|| xml::declared_charset(body).and_then(Charset::by_name));
        let (text, charset) = match charset::decode(body, declared) {
            Ok(read) => read,
            Err(error) => {
                self.reject("soap", &error.to_string(), body).await;
                return (Reply::Fault("Client", "报文字符集无法识别".to_owned()), Charset::Utf8);
            }
        };
        match self.understood(callback, &text).await {
            Ok(reply) => (reply, charset),
            Err((reply, reason)) => {
                self.reject("soap", &reason, body).await;
                (reply, charset)
            }
        }
    }

    async fn understood(&self, callback: &SoapCallback, text: &str) -> Result<Reply, (Reply, String)> {
        let fault = |words: &str, reason: String| (Reply::Fault("Client", words.to_owned()), reason);
        let envelope = xml::parse(text).map_err(|e| fault("报文不是合规的 XML", format!("envelope: {e}")))?;
        let operation = envelope.child("Body").and_then(|b| b.children.first());
        let operation = operation.ok_or_else(|| fault("报文缺少 SOAP Body", "no operation in the body".to_owned()))?;
        if operation.name != callback.method {
            return Err(fault("未提供该方法", format!("unknown operation {}", operation.name)));
        }
        let argument = operation
            .child(&callback.argument)
            .ok_or_else(|| fault("缺少参数", format!("no {}", callback.argument)))?;
        let (_, _, wrong, again) = &callback.codes;
        let refused = |words: String, reason: String| (Reply::Result(wrong.clone(), words), reason);
        let parsed;
        let inner = match argument.children.first() {
            Some(child) => child,
            None => {
                parsed = xml::parse(&argument.text)
                    .map_err(|e| refused("参数不是合规的 XML".to_owned(), format!("argument: {e}")))?;
                &parsed
            }
        };
        let fields = inner.at(&callback.fields).ok_or_else(|| {
            refused(
                format!("参数缺少 {}", callback.fields),
                format!("argument has no {}", callback.fields),
            )
        })?;
        let notice = self
            .notice(&callback.notice, Source::Xml(fields), &callback.orders)
            .map_err(|e| refused(format!("停诊通知内容不完整：{e}"), e.clone()))?;
        let key = content_key("soap", &notice.notice_id, &notice);
        let (accepted, before, ..) = &callback.codes;
        Ok(match self.receive(key, "soap", &notice).await {
            Ok(Received::New) => Reply::Result(accepted.clone(), "已受理".to_owned()),
            Ok(Received::Before) => Reply::Result(before.clone(), "此前已受理".to_owned()),
            Err(error) => {
                tracing::error!(%error, "stop-clinic notice could not be kept");
                Reply::Result(again.clone(), "暂时无法受理，请重发".to_owned())
            }
        })
    }
}

async fn call(
    State((callbacks, callback)): State<(Callbacks, SoapCallback)>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let body = match body {
        Ok(body) => body,
        Err(error) => {
            callbacks.reject("soap", &error.body_text(), &[]).await;
            let fault = Reply::Fault("Client", "报文过大或没有完整收到".to_owned());
            return answer(&callback, fault, Charset::Utf8);
        }
    };
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|h| h.to_str().ok())
        .unwrap_or_default()
        .to_ascii_lowercase();
    let declared = content_type
        .split(';')
        .find_map(|p| p.trim().strip_prefix("charset=").and_then(Charset::by_name));
    let (reply, charset) = callbacks.soap_call(&callback, declared, &body).await;
    answer(&callback, reply, charset)
}

fn answer(callback: &SoapCallback, reply: Reply, charset: Charset) -> Response {
    let (status, inner) = match reply {
        Reply::Result(code, words) => {
            let method = &callback.method;
            let result = format!(
                "<response><resultCode>{}</resultCode><resultMessage>{}</resultMessage></response>",
                xml::escape(&code),
                xml::escape(&words)
            );
            let body = format!(
                "<{method}Response xmlns=\"{}\"><{method}Result>{}</{method}Result></{method}Response>",
                xml::escape(&callback.namespace),
                xml::escape(&result)
            );
            (StatusCode::OK, body)
        }
        Reply::Fault(code, words) => {
            let body = format!(
                "<soap:Fault><faultcode>soap:{code}</faultcode><faultstring>{}</faultstring></soap:Fault>",
                xml::escape(&words)
            );
            (StatusCode::INTERNAL_SERVER_ERROR, body)
        }
    };
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"{}\"?><soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\"><soap:Body>{inner}</soap:Body></soap:Envelope>",
        charset.name()
    );
    let content_type = format!("text/xml; charset={}", charset.name());
    (
        status,
        [(header::CONTENT_TYPE, content_type)],
        charset.encode(&text).into_owned(),
    )
        .into_response()
}

async fn wsdl(
    State((_, callback)): State<(Callbacks, SoapCallback)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    if !query.unwrap_or_default().eq_ignore_ascii_case("wsdl") {
        return (StatusCode::METHOD_NOT_ALLOWED, "POST").into_response();
    }
    let host = headers
        .get(header::HOST)
        .and_then(|h| h.to_str().ok())
        .unwrap_or("localhost");
    let text = include_str!("callback.wsdl")
        .replace("{namespace}", &xml::escape(&callback.namespace))
        .replace("{method}", &callback.method)
        .replace("{argument}", &callback.argument)
        .replace("{address}", &xml::escape(&format!("http://{host}{}", callback.path)));
    ([(header::CONTENT_TYPE, "text/xml; charset=utf-8")], text).into_response()
}
