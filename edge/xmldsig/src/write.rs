//! A signature element as text.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gm::Certificate;

use crate::canonical::{self, Canonical, Form};
use crate::sign::Draft;
use crate::structure::{DSIG, ENVELOPED, EXCLUSIVE};

/// One reference to be written.
pub(crate) struct Line {
    pub(crate) uri: String,
    /// `Type`, or nothing.
    pub(crate) kind: &'static str,
    pub(crate) enveloped: bool,
    pub(crate) method: Option<Canonical>,
}

/// The parts of a signature element.
pub(crate) struct Shape<'a> {
    pub(crate) draft: &'a Draft,
    pub(crate) id: Option<String>,
    pub(crate) lines: Vec<Line>,
    pub(crate) signature_uri: &'a str,
    pub(crate) digest_uri: &'a str,
    pub(crate) chain: &'a [Certificate],
    /// `Object`s, or nothing.
    pub(crate) objects: String,
}

/// Text before and after the signature.
pub(crate) struct Place<'a> {
    pub(crate) before: Cow<'a, str>,
    pub(crate) after: Cow<'a, str>,
}

impl Shape<'_> {
    /// The whole document with the signature in its place.
    pub(crate) fn whole(&self, place: &Place<'_>, digests: &[String], value: &str) -> String {
        let certificates: String = self
            .chain
            .iter()
            .map(|certificate| {
                let text = STANDARD.encode(&certificate.der);
                format!("<ds:X509Certificate>{text}</ds:X509Certificate>")
            })
            .collect();
        let key_info = if certificates.is_empty() {
            String::new()
        } else {
            format!("<ds:KeyInfo><ds:X509Data>{certificates}</ds:X509Data></ds:KeyInfo>")
        };
        let references: String = self
            .lines
            .iter()
            .zip(digests)
            .map(|(line, digest)| line.whole(self.digest_uri, digest))
            .collect();
        let id = self.id.as_ref().map_or(String::new(), |id| format!(r#" Id="{id}""#));
        let parts: [&str; 9] = [
            &place.before,
            &format!(r#"<ds:Signature xmlns:ds="{DSIG}"{id}><ds:SignedInfo>"#),
            &method_element("CanonicalizationMethod", &self.draft.canonical),
            &format!(r#"<ds:SignatureMethod Algorithm="{}"/>"#, escaped(self.signature_uri)),
            &format!("{references}</ds:SignedInfo>"),
            &format!("<ds:SignatureValue>{value}</ds:SignatureValue>{key_info}"),
            &self.objects,
            "</ds:Signature>",
            &place.after,
        ];
        parts.concat()
    }
}

impl Line {
    fn whole(&self, digest_uri: &str, digest: &str) -> String {
        let mut transforms = String::new();
        if self.enveloped {
            transforms.push_str(&format!(r#"<ds:Transform Algorithm="{ENVELOPED}"/>"#));
        }
        if let Some(method) = &self.method {
            transforms.push_str(&method_element("Transform", method));
        }
        if !transforms.is_empty() {
            transforms = format!("<ds:Transforms>{transforms}</ds:Transforms>");
        }
        let kind = if self.kind.is_empty() {
            String::new()
        } else {
            format!(r#" Type="{}""#, self.kind)
        };
        format!(
            r#"<ds:Reference URI="{}"{kind}>{transforms}<ds:DigestMethod Algorithm="{}"/><ds:DigestValue>{digest}</ds:DigestValue></ds:Reference>"#,
            escaped(&self.uri),
            escaped(digest_uri)
        )
    }
}

fn method_element(name: &str, method: &Canonical) -> String {
    let uri = method.uri();
    if method.form != Form::Exclusive || method.prefixes.is_empty() {
        return format!(r#"<ds:{name} Algorithm="{uri}"/>"#);
    }
    let prefixes = method.prefixes.iter().map(String::as_str);
    let prefixes: Vec<&str> = prefixes
        .map(|prefix| if prefix.is_empty() { "#default" } else { prefix })
        .collect();
    format!(
        r#"<ds:{name} Algorithm="{uri}"><ec:InclusiveNamespaces xmlns:ec="{EXCLUSIVE}" PrefixList="{}"/></ds:{name}>"#,
        escaped(&prefixes.join(" "))
    )
}

pub(crate) fn escaped(value: &str) -> String {
    let mut out = Vec::with_capacity(value.len());
    canonical::escape_value(&mut out, value);
    String::from_utf8(out).unwrap_or_default()
}
