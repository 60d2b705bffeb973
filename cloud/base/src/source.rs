//! Where a request comes from.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::HeaderMap;
use axum::http::request::Parts;

/// The address of the one who asks, as far as it can be known.
///
/// A reverse proxy on this machine or in our own network names the one before it in `X-Forwarded-For`, last; from
/// anybody else that header is only a claim and is not looked at. `None` where a request comes without a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source(pub Option<IpAddr>);

impl Source {
    /// From the connection and the headers.
    pub fn of(peer: Option<SocketAddr>, headers: &HeaderMap) -> Self {
        let Some(peer) = peer.map(|p| p.ip().to_canonical()) else {
            return Self(None);
        };
        let forwarded = headers.get_all("x-forwarded-for").iter().next_back();
        let nearest = forwarded
            .and_then(|v| v.to_str().ok())
            .and_then(|v| v.rsplit(',').next())
            .and_then(|v| v.trim().parse::<IpAddr>().ok());
        match nearest {
            Some(before) if is_ours(peer) => Self(Some(before.to_canonical())),
            _ => Self(Some(peer)),
        }
    }
}

/// The machine itself, or its own network (RFC 1918, RFC 4193).
fn is_ours(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local(),
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(address) => address.fmt(f),
            None => f.write_str("-"),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Source {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|c| c.0);
        Ok(Self::of(peer, &parts.headers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_proxy_is_believed() {
        let mut headers = HeaderMap::new();
        let proxy: SocketAddr = "10.0.0.2:443".parse().unwrap();
        let stranger: SocketAddr = "203.0.113.9:5000".parse().unwrap();
        assert_eq!(Source::of(Some(proxy), &headers).to_string(), "10.0.0.2");
        headers.insert("x-forwarded-for", "1.1.1.1, 198.51.100.7".parse().unwrap());
        assert_eq!(Source::of(Some(proxy), &headers).to_string(), "198.51.100.7");
        assert_eq!(Source::of(Some(stranger), &headers).to_string(), "203.0.113.9");
        assert_eq!(Source::of(None, &headers), Source(None));
        headers.insert("x-forwarded-for", "nonsense".parse().unwrap());
        assert_eq!(Source::of(Some(proxy), &headers).to_string(), "10.0.0.2");
    }
}
