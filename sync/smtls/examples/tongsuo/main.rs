//! Whether another implementation of RFC 8998 understands us: Tongsuo, both ways, with certificates on both sides.
//!
//! ```text
//! python3 -m venv target/peer && target/peer/bin/pip install tongsuopy==1.0.1
//! cargo run -p smtls --example tongsuo -- target/peer/bin/python
//! ```
//!
//! Not a test, because the package comes from another registry than all else that a test needs. Debian's OpenSSL 3.0 does
//! not speak RFC 8998; when one that does is in Debian, this becomes a test with it. Ends with failure when any of the
//! conversations goes otherwise than it should.

#![expect(clippy::expect_used, reason = "what cannot be set up ends it")]

#[path = "../../tests/wire/authority.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod authority;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use authority::{Authority, Kind, Pair};
use curve::{DEFAULT_ID, PublicKey};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, ClientConnection, Connection, RootCertStore, ServerConfig, ServerConnection};
use smtls::{HANDSHAKE_ID, LocalKey, Offer, SignerFailed, Sm2Signer};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/tongsuo/peer.py");

/// Signs the handshake under a given id.
#[derive(Debug)]
struct Under(&'static [u8], LocalKey);

impl Sm2Signer for Under {
    fn public_key(&self) -> PublicKey {
        self.1.public_key()
    }

    fn sign(&self, _: &[u8], message: &[u8]) -> Result<Vec<u8>, SignerFailed> {
        self.1.sign(self.0, message)
    }
}

struct World {
    python: String,
    authority: Authority,
    ours: Pair,
    theirs: Pair,
}

impl World {
    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.certificate()).expect("root");
        roots
    }

    fn signer(&self, id: &'static [u8]) -> Arc<rustls::sign::CertifiedKey> {
        let key = LocalKey::from_der(&self.ours.key()).expect("key");
        smtls::certified(self.ours.chain(), Arc::new(Under(id, key))).expect("pair")
    }

    fn peer(&self, side: &str, port: u16, says: &str) -> Child {
        let path = |folder: &Path, file: &str| folder.join(file).display().to_string();
        let theirs = self.theirs.folder.path();
        let mut child = Command::new(&self.python)
            .args([SCRIPT, side, &port.to_string(), "localhost"])
            .arg(path(self.authority.folder(), "certificate.pem"))
            .args([path(theirs, "certificate.pem"), path(theirs, "key.pem")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("python runs");
        let mut input = child.stdin.take().expect("piped");
        input.write_all(says.as_bytes()).expect("told");
        child
    }

    /// Our client asks their server: what both heard.
    fn ask(&self) -> Result<(String, String), String> {
        let mut child = self.peer("server", 0, "from Tongsuo");
        let mut output = BufReader::new(child.stdout.take().expect("piped"));
        let mut port = String::new();
        output.read_line(&mut port).expect("a port");
        let port: u16 = port.trim().parse().map_err(|_| ended(&mut child))?;
        let config = ClientConfig::builder_with_provider(Offer::Sm.provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("version")
            .with_root_certificates(self.roots())
            .with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(
                self.signer(HANDSHAKE_ID),
            )));
        let connection =
            ClientConnection::new(Arc::new(config), "localhost".try_into().expect("name")).expect("client");
        let heard = talk(
            connection.into(),
            TcpStream::connect(("127.0.0.1", port)).expect("connected"),
        )?;
        let mut seen = String::new();
        output.read_to_string(&mut seen).expect("text");
        let failed = ended(&mut child);
        if failed.is_empty() {
            Ok((heard, seen))
        } else {
            Err(failed)
        }
    }

    /// Their client asks our server, which signs under `id`: what both heard.
    fn serve(&self, id: &'static [u8]) -> Result<(String, String), String> {
        let listener = TcpListener::bind("127.0.0.1:0").expect("port");
        let mut child = self.peer("client", listener.local_addr().expect("address").port(), "from Tongsuo");
        let provider = Offer::Sm.provider();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(self.roots()), Arc::clone(&provider));
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("version")
            .with_client_cert_verifier(verifier.build().expect("verifier"))
            .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(self.signer(id))));
        let (socket, _) = listener.accept().expect("client");
        let connection = ServerConnection::new(Arc::new(config)).expect("server");
        let heard = talk(connection.into(), socket);
        let mut seen = String::new();
        child
            .stdout
            .take()
            .expect("piped")
            .read_to_string(&mut seen)
            .expect("text");
        let failed = ended(&mut child);
        if failed.is_empty() {
            Ok((heard?, seen))
        } else {
            Err(failed)
        }
    }
}

/// What the peer complained of.
fn ended(child: &mut Child) -> String {
    let mut text = String::new();
    if let Some(mut errors) = child.stderr.take() {
        errors.read_to_string(&mut text).expect("text");
    }
    child.wait().expect("ended");
    text
}

fn talk(mut connection: Connection, mut socket: TcpStream) -> Result<String, String> {
    let mut told = false;
    let mut heard = Vec::new();
    loop {
        while connection.wants_write() {
            connection.write_tls(&mut socket).map_err(|error| error.to_string())?;
        }
        if !told && !connection.is_handshaking() {
            connection.writer().write_all("来自医桥".as_bytes()).expect("room");
            connection.send_close_notify();
            told = true;
            continue;
        }
        let read = connection.read_tls(&mut socket).map_err(|error| error.to_string())?;
        let state = connection.process_new_packets();
        let state = state.map_err(|error| {
            connection.write_tls(&mut socket).ok();
            error.to_string()
        })?;
        let mut some = vec![0; state.plaintext_bytes_to_read()];
        connection.reader().read_exact(&mut some).expect("there");
        heard.extend(some);
        if read == 0 || state.peer_has_closed() {
            return if smtls::is_sm(&connection) {
                Ok(String::from_utf8_lossy(&heard).into_owned())
            } else {
                Err("not SM throughout".to_owned())
            };
        }
    }
}

fn main() {
    let python = std::env::args()
        .nth(1)
        .expect("the path of a python that has tongsuopy");
    let authority = Authority::new(Kind::Sm2, "Root");
    let ours = authority.issue(Kind::Sm2, "ours", "DNS:localhost");
    let theirs = authority.issue(Kind::Sm2, "theirs", "DNS:localhost");
    let world = World {
        python,
        authority,
        ours,
        theirs,
    };
    let wanted = ("from Tongsuo".to_owned(), "TLS_SM4_GCM_SM3 来自医桥\n".to_owned());
    assert_eq!(world.ask(), Ok(wanted.clone()));
    println!("our client, Tongsuo's server, certificates on both sides: understood");
    assert_eq!(world.serve(HANDSHAKE_ID), Ok(wanted));
    println!("Tongsuo's client, our server, certificates on both sides: understood");
    let refused = world.serve(DEFAULT_ID).expect_err("another id");
    println!(
        "our server signing under the id of certificates: refused by Tongsuo ({})",
        refused.trim()
    );
}
