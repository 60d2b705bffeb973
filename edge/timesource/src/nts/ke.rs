//! The key exchange over TLS 1.3 (RFC 8915, 4).

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::{CertificateError, ClientConfig};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

use super::records::{self, ANSWER_LEN};
use super::{Key, Session, tls};
use crate::error::{SourceError, plain};
use crate::policy::NTP_PORT;

const EXPORTER: &[u8] = b"EXPORTER-network-time-security";

/// Agrees keys with the server at one of `addresses`, which must prove to be `host`.
pub(crate) async fn agree(
    host: &str,
    addresses: &[SocketAddr],
    config: Arc<ClientConfig>,
) -> Result<Session, SourceError> {
    let name = ServerName::try_from(host.to_owned()).map_err(|_| SourceError::Name { host: host.to_owned() })?;
    let tcp = connect(addresses).await?;
    let mut stream = TlsConnector::from(config)
        .connect(name, tcp)
        .await
        .map_err(|e| tls_error(&e))?;
    if stream.get_ref().1.alpn_protocol() != Some(tls::ALPN) {
        return Err(SourceError::KeyExchangeAnswer("对方端口不是 NTS 密钥协商服务"));
    }
    stream
        .write_all(&records::question())
        .await
        .map_err(|e| tls_error(&e))?;
    stream.flush().await.map_err(|e| tls_error(&e))?;
    let mut answer = Vec::new();
    let granted = loop {
        if let Some(granted) = records::answer(&answer)? {
            break granted;
        }
        if answer.len() >= ANSWER_LEN {
            return Err(SourceError::KeyExchangeAnswer("应答过长"));
        }
        let count = stream.read_buf(&mut answer).await.map_err(|e| tls_error(&e))?;
        if count == 0 {
            return Err(SourceError::KeyExchangeAnswer("应答不完整"));
        }
    };
    let key = |context: &[u8]| -> Result<Key, SourceError> {
        let mut key = Zeroizing::new([0; 32]);
        stream
            .get_ref()
            .1
            .export_keying_material(&mut key[..], EXPORTER, Some(context))
            .map_err(|_| SourceError::KeyExchangeAnswer("无法导出密钥"))?;
        Ok(key)
    };
    Ok(Session {
        to_server: key(&records::TO_SERVER)?,
        from_server: key(&records::FROM_SERVER)?,
        cookies: VecDeque::from(granted.cookies),
        host: granted.host,
        port: granted.port.unwrap_or(NTP_PORT),
    })
}

async fn connect(addresses: &[SocketAddr]) -> Result<TcpStream, SourceError> {
    let mut last = None;
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(tcp) => return Ok(tcp),
            Err(error) => last = Some(error),
        }
    }
    let why = last.map_or_else(|| "没有地址".to_owned(), |error| plain(&error));
    Err(SourceError::KeyExchange(why))
}

fn tls_error(error: &io::Error) -> SourceError {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(why)) => SourceError::Certificate(certificate(why)),
        Some(rustls::Error::NoApplicationProtocol | rustls::Error::AlertReceived(_)) => {
            SourceError::KeyExchangeAnswer("对方端口不提供 NTS 密钥协商")
        }
        Some(_) => SourceError::KeyExchangeAnswer("TLS 1.3 握手失败"),
        None => SourceError::KeyExchange(plain(error)),
    }
}

fn certificate(why: &CertificateError) -> String {
    match why {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "已过期（也请检查本机时间是否正确）".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "尚未生效（请检查本机时间是否正确）".to_owned()
        }
        CertificateError::UnknownIssuer => "不是受信任的机构签发，请在策略中填写其 CA 证书".to_owned(),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "与配置的地址不符".to_owned()
        }
        CertificateError::Revoked => "已被吊销".to_owned(),
        _ => "内容或签名无效".to_owned(),
    }
}
