//! The web service, switched on and off.

use gm::certificate::Purpose;

use crate::site::{App, Site, b64, switch};

fn envelope(operation: &str, parameters: &[(&str, &str)]) -> String {
    let inside: String = parameters
        .iter()
        .map(|(name, value)| format!("<{name}>{}</{name}>", value.replace('&', "&amp;").replace('<', "&lt;")))
        .collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\"><soapenv:Body><{operation} xmlns=\"urn:yiqiao:signd:sof\">{inside}</{operation}></soapenv:Body></soapenv:Envelope>"
    )
}

async fn raw(his: &App, body: String) -> String {
    let headers = [("content-type", "text/xml; charset=utf-8"), ("soapaction", "\"\"")];
    his.send("/soap", &headers, body).await.text()
}

async fn call(his: &App, operation: &str, parameters: &[(&str, &str)]) -> String {
    let text = raw(his, envelope(operation, parameters)).await;
    let found = text
        .split_once("<return>")
        .and_then(|(_, rest)| rest.split_once("</return>"));
    let value = found.unwrap_or_else(|| panic!("{operation}: {text}")).0;
    value
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&amp;", "&")
}

/// The code of a fault.
async fn fault(his: &App, body: String) -> String {
    let text = raw(his, body).await;
    assert!(text.contains("<soap:Fault>"), "{text}");
    let found = text
        .split_once("<code>")
        .and_then(|(_, rest)| rest.split_once("</code>"));
    found.expect("code").0.to_owned()
}

#[tokio::test]
async fn hospital_systems_sign_and_verify_by_web_service() {
    let site = Site::with(&["sm2"], "", |engine| switch(engine, true));
    let his = site.his();
    let wsdl = his.get("/soap?wsdl").await.text();
    site.write("sof.wsdl", &wsdl);
    site.must("xmllint", &["--noout", "sof.wsdl"]);

    let data = "处方 <1> & \"饭后\"";
    let cert = call(&his, "SOF_GetServerCertificate", &[]).await;
    let signature = call(&his, "SOF_SignData", &[("CertID", "1"), ("InData", data)]).await;
    let verify = [
        ("Cert", cert.as_str()),
        ("InData", data),
        ("SignValue", signature.as_str()),
    ];
    assert_eq!(call(&his, "SOF_VerifySignedData", &verify).await, "true");
    // Clients that number their parameters.
    let numbered = [("arg0", cert.as_str()), ("arg1", data), ("arg2", signature.as_str())];
    assert_eq!(call(&his, "SOF_VerifySignedData", &numbered).await, "true");
    let p7 = call(&his, "SOF_SignDataByP7", &[("InData", data)]).await;
    assert_eq!(call(&his, "SOF_VerifySignedDataByP7", &[("P7Data", &p7)]).await, "true");
    assert_eq!(
        call(&his, "SOF_GetP7SignDataInfo", &[("P7Data", &p7), ("Type", "1")]).await,
        data
    );
    assert_eq!(
        call(&his, "SOF_GetP7SignDataInfo", &[("P7Data", &p7), ("Type", "2")]).await,
        cert
    );
    let message = call(&his, "SOF_SignMessage", &[("Flag", "0"), ("InData", data)]).await;
    let both = [("SignedMessage", message.as_str()), ("InData", data)];
    assert_eq!(call(&his, "SOF_VerifySignedMessage", &both).await, "true");
    let message = call(&his, "SOF_SignMessageDetach", &[("InData", data)]).await;
    let both = [("SignedMessage", message.as_str()), ("InData", data)];
    assert_eq!(call(&his, "SOF_VerifySignedMessageDetach", &both).await, "true");
    let xml = call(&his, "SOF_SignDataXML", &[("InData", "<rx>阿莫西林</rx>")]).await;
    assert_eq!(call(&his, "SOF_VerifySignedDataXML", &[("InData", &xml)]).await, "true");
    assert_eq!(
        call(&his, "SOF_GetCertInfo", &[("Cert", &cert), ("Type", "49")]).await,
        "签名服务器"
    );
    assert!(
        !call(&his, "SOF_GetCertInfoByOid", &[("Cert", &cert), ("Oid", "2.5.29.15")])
            .await
            .is_empty()
    );
    assert_eq!(call(&his, "SOF_ValidateCert", &[("Cert", &cert)]).await, "true");
    assert_eq!(call(&his, "SOF_GenRandom", &[("RandomLen", "16")]).await.len(), 24);

    let wrong = [
        ("Cert", cert.as_str()),
        ("InData", "other"),
        ("SignValue", signature.as_str()),
    ];
    assert_eq!(
        fault(&his, envelope("SOF_VerifySignedData", &wrong)).await,
        "signature_invalid"
    );
    site.logged("signature_invalid");
    let (old, _) = site.foreign.person("旧", Purpose::Documents, (-30, -1));
    let refused = fault(&his, envelope("SOF_ValidateCert", &[("Cert", &b64(&old.der))])).await;
    assert_eq!(refused, "certificate_expired");
    assert_eq!(fault(&his, envelope("SOF_Login", &[])).await, "not_found");
    site.logged("not_found");
    let good = envelope("SOF_SignData", &[("InData", "x")]);
    let doctype = good.replace("?>", "?><!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]>");
    for bad in [doctype, good[..good.len() - 20].to_owned(), "<a/>".to_owned()] {
        assert_eq!(fault(&his, bad).await, "data_format");
        site.logged("data_format");
    }
    assert_eq!(fault(&site.caller(None), good).await, "unauthenticated");
    site.logged("unauthenticated");
}

/// Rows: AP-237
#[tokio::test]
async fn the_web_service_answers_only_while_it_is_switched_on() {
    let mut site = Site::new(&["sm2"]);
    let body = envelope("SOF_SignData", &[("InData", "x")]);
    assert_eq!(fault(&site.his(), body.clone()).await, "switched_off");
    site.logged("switched_off");
    assert!(site.his().get("/soap?wsdl").await.text().contains("switched_off"));
    site.again("", |engine| switch(engine, true));
    assert!(raw(&site.his(), body.clone()).await.contains("<return>"));
    site.again("", |engine| switch(engine, false));
    assert_eq!(fault(&site.his(), body).await, "switched_off");
}
