//! TLS of RFC 8998 over real sockets. Debian's OpenSSL cannot speak it, but makes and signs the certificates.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "what a test cannot set up fails the test"
)]

mod authority;
mod certificates;
mod handshake;
mod keys;
mod nothing_in_common;
mod records;
mod stream;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use authority::{Authority, Kind, Pair};
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, ClientConnection, Connection, Error, RootCertStore, ServerConfig, ServerConnection};
use smtls::Offer;

/// What one side has after a conversation.
#[derive(Debug)]
struct Talked {
    /// What it heard.
    heard: Vec<u8>,
    /// Suite, group, whether resumed, whether SM throughout.
    suite: u16,
    group: u16,
    resumed: bool,
    sm: bool,
    /// The other side's certificates.
    certificates: usize,
}

/// Both sides' results, client first.
type Both = (Result<Talked, Error>, Result<Talked, Error>);

fn roots(authority: &Authority) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate()).expect("root");
    roots
}

fn client(provider: Arc<CryptoProvider>, authority: &Authority, own: Option<&Pair>) -> Arc<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots(authority));
    Arc::new(match own {
        Some(own) => builder
            .with_client_auth_cert(own.chain(), own.key())
            .expect("own certificate"),
        None => builder.with_no_client_auth(),
    })
}

fn server(provider: Arc<CryptoProvider>, own: &Pair, clients: Option<&Authority>) -> Arc<ServerConfig> {
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("versions");
    let builder = match clients {
        Some(authority) => builder.with_client_cert_verifier(
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots(authority)), provider)
                .build()
                .expect("verifier"),
        ),
        None => builder.with_no_client_auth(),
    };
    Arc::new(
        builder
            .with_single_cert(own.chain(), own.key())
            .expect("own certificate"),
    )
}

/// An SM server and the authority of its certificate.
fn sm() -> (Authority, Pair) {
    let authority = Authority::new(Kind::Sm2, "Root");
    let pair = authority.issue(Kind::Sm2, "server", "DNS:localhost");
    (authority, pair)
}

/// Says `words` and hears what the other side says until it closes.
fn talk(mut connection: Connection, mut socket: TcpStream, words: &[u8]) -> Result<Talked, Error> {
    socket.set_read_timeout(Some(Duration::from_secs(120))).expect("socket");
    let mut heard = Vec::new();
    let (mut told, mut closed) = (false, false);
    loop {
        while connection.wants_write() {
            if connection.write_tls(&mut socket).is_err() {
                break; // the other side is gone; what it said last is still to be read
            }
        }
        if !told && !connection.is_handshaking() {
            connection.writer().write_all(words).expect("room");
            connection.send_close_notify();
            told = true;
            continue;
        }
        if closed {
            break;
        }
        let ended = matches!(connection.read_tls(&mut socket), Ok(0) | Err(_));
        let state = match connection.process_new_packets() {
            Ok(state) => state,
            Err(error) => {
                // The alert.
                while connection.wants_write() && connection.write_tls(&mut socket).is_ok() {}
                return Err(error);
            }
        };
        let mut some = vec![0; state.plaintext_bytes_to_read()];
        connection.reader().read_exact(&mut some).expect("there");
        heard.extend(some);
        // It may have said everything and closed before we came to speak: it is told all the same.
        closed = state.peer_has_closed();
        if ended {
            while connection.wants_write() && connection.write_tls(&mut socket).is_ok() {}
            break;
        }
    }
    if connection.is_handshaking() {
        return Err(Error::General("the other side went away".to_owned()));
    }
    Ok(Talked {
        heard,
        suite: connection
            .negotiated_cipher_suite()
            .map_or(0, |suite| suite.suite().into()),
        group: connection
            .negotiated_key_exchange_group()
            .map_or(0, |group| group.name().into()),
        resumed: connection.handshake_kind() == Some(rustls::HandshakeKind::Resumed),
        sm: smtls::is_sm(&connection),
        certificates: connection.peer_certificates().map_or(0, <[_]>::len),
    })
}

const QUESTION: &[u8] = "处方号?".as_bytes();
const ANSWER: &[u8] = "审方通过".as_bytes();

/// A conversation over a socket of this machine.
fn meet_as(name: &'static str, client: &Arc<ClientConfig>, server: &Arc<ServerConfig>) -> Both {
    let listener = TcpListener::bind("127.0.0.1:0").expect("port");
    let address = listener.local_addr().expect("address");
    let server = Arc::clone(server);
    let serving = std::thread::spawn(move || {
        let (socket, _) = listener.accept().expect("a client");
        talk(ServerConnection::new(server).expect("server").into(), socket, ANSWER)
    });
    let socket = TcpStream::connect(address).expect("connected");
    let connection = ClientConnection::new(Arc::clone(client), name.try_into().expect("name")).expect("client");
    let asked = talk(connection.into(), socket, QUESTION);
    (asked, serving.join().expect("server"))
}

fn meet(client: &Arc<ClientConfig>, server: &Arc<ServerConfig>) -> Both {
    meet_as("localhost", client, server)
}

/// Both sides heard each other.
fn heard((client, server): Both) -> (Talked, Talked) {
    let (client, server) = (client.expect("client"), server.expect("server"));
    assert_eq!((&client.heard[..], &server.heard[..]), (ANSWER, QUESTION));
    assert_eq!(
        (client.suite, client.group, client.resumed),
        (server.suite, server.group, server.resumed)
    );
    (client, server)
}

fn sm_provider() -> Arc<CryptoProvider> {
    Offer::Sm.provider()
}
