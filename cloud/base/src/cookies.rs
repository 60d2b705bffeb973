//! How a request carries its session: `Authorization: Bearer`, or a cookie. A browser may be signed in twice, as a
//! patient and as staff; each has a cookie of its own, and signing in as one leaves the other alone.
//!
//! Which of the two is meant, the route says by whom it lets in. Routes for both (messages, files, events, who am I)
//! take what the page names: the header `x-yiqiao-as`, else `?as=`, else the app in whose page the request was made
//! (`Referer`). None of these proves anything: they only choose among the browser's own sessions.

use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri, header};

/// The two kinds of people who sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An account holder.
    Patient,
    /// A member of staff.
    Staff,
}

impl Kind {
    /// Word in the database and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Patient => "patient",
            Self::Staff => "staff",
        }
    }

    /// Name of the cookie.
    pub const fn cookie(self) -> &'static str {
        match self {
            Self::Patient => "yq_patient",
            Self::Staff => "yq_staff",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::Patient, Self::Staff].into_iter().find(|k| k.as_str() == word)
    }
}

/// The one cookie of both kinds that was given out before there were two. Honoured until its session ends (30 days at
/// the latest), never given out.
pub(crate) const OLD: &str = "yq_session";

/// What carries the session of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Carried {
    /// A token in the header.
    Bearer(String),
    /// Tokens in cookies that may be meant, the likeliest first.
    Cookies(Vec<String>),
}

/// A cookie of the request.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, wanted: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == wanted)
        .map(|(_, token)| token)
}

/// What the request carries of this kind, or of either.
pub(crate) fn carried(headers: &HeaderMap, kind: Option<Kind>) -> Carried {
    let bearer = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    if let Some(token) = bearer {
        return Carried::Bearer(token.trim().to_owned());
    }
    let names: &[&str] = match kind {
        Some(Kind::Patient) => &[Kind::Patient.cookie(), OLD],
        Some(Kind::Staff) => &[Kind::Staff.cookie(), OLD],
        None => &[Kind::Patient.cookie(), Kind::Staff.cookie(), OLD],
    };
    let tokens = names.iter().filter_map(|name| cookie(headers, name));
    Carried::Cookies(tokens.map(str::to_owned).collect())
}

/// Which kind of session the page says it means.
pub(crate) fn meant(parts: &Parts) -> Option<Kind> {
    let named = parts.headers.get("x-yiqiao-as").and_then(|v| v.to_str().ok());
    let asked = || {
        let pairs = parts.uri.query().unwrap_or_default().split('&');
        pairs.filter_map(|pair| pair.strip_prefix("as=")).next()
    };
    named.or_else(asked).and_then(Kind::parse).or_else(|| {
        let page = parts.headers.get(header::REFERER).and_then(|v| v.to_str().ok())?;
        let page: Uri = page.parse().ok()?;
        match page.path().split('/').nth(1)? {
            "patient" => Some(Kind::Patient),
            "doctor" | "admin" => Some(Kind::Staff),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    type Headers<'a> = &'a [(&'a str, &'a str)];

    fn parts(uri: &str, headers: Headers<'_>) -> Parts {
        let mut request = Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_page_means_its_own_kind_of_session() {
        let cases: [(&str, Headers<'_>, Option<Kind>); 7] = [
            ("/auth/me", &[], None),
            ("/auth/me", &[("x-yiqiao-as", "staff")], Some(Kind::Staff)),
            ("/events?visit=v&as=patient", &[], Some(Kind::Patient)),
            (
                "/blobs/b",
                &[("referer", "https://h.example/doctor/visits/v?x=/patient/")],
                Some(Kind::Staff),
            ),
            (
                "/blobs/b",
                &[("referer", "http://h.example:8443/patient/")],
                Some(Kind::Patient),
            ),
            (
                "/blobs/b",
                &[("x-yiqiao-as", "nobody"), ("referer", "not an address")],
                None,
            ),
            ("/blobs/b", &[("referer", "https://h.example/")], None),
        ];
        for (uri, headers, kind) in cases {
            assert_eq!(meant(&parts(uri, headers)), kind, "{uri} {headers:?}");
        }
    }

    #[test]
    fn each_kind_has_its_cookie_and_the_old_one_comes_last() {
        let both = parts(
            "/",
            &[("cookie", "yq_session=o; yq_staff=s"), ("cookie", "x=1; yq_patient=p")],
        );
        let of = |kind| carried(&both.headers, kind);
        let cookies = |tokens: &[&str]| Carried::Cookies(tokens.iter().map(|t| (*t).to_owned()).collect());
        assert_eq!(of(Some(Kind::Patient)), cookies(&["p", "o"]));
        assert_eq!(of(Some(Kind::Staff)), cookies(&["s", "o"]));
        assert_eq!(of(None), cookies(&["p", "s", "o"]));
        let bearer = parts("/", &[("authorization", "Bearer b"), ("cookie", "yq_staff=s")]);
        assert_eq!(carried(&bearer.headers, None), Carried::Bearer("b".to_owned()));
    }
}
