//! The relay over real sockets: who is let in, to whom it relays, and that data crosses both ways over UDP, TCP and TLS.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics has failed"
)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use records::{ManualClock, Timestamp};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use turn_types::attribute::{ChannelNumber, Data, Lifetime, RequestedTransport, XorPeerAddress, XorRelayedAddress};
use turn_types::message::{ALLOCATE, CHANNEL_BIND, CREATE_PERMISSION, DATA, REFRESH, SEND};
use turn_types::stun::attribute::{ErrorCode, Nonce, Realm, Username, XorMappedAddress};
use turn_types::stun::message::{
    BINDING, IntegrityAlgorithm, LongTermKeyCredentials, Message, MessageClass, MessageWriteVec, Method, TransactionId,
};
use turn_types::stun::prelude::{AttributeWrite, MessageWrite, MessageWriteExt};
use video::turn::{LIFETIME, TurnConfig, TurnServer, TurnTls};

/// What browsers know the room server as; it really listens elsewhere, as behind a hospital's address translation.
const ROOM: &str = "203.0.113.7:5000";
/// Answers come at once, on a busy machine a little later.
const PATIENCE: Duration = Duration::from_secs(60);

struct House {
    relay: TurnServer,
    clock: Arc<ManualClock>,
    /// In the room server's place: says everything back, doubled.
    _room: tokio::task::JoinSet<()>,
    room: SocketAddr,
    authority: Option<rcgen::Certificate>,
}

impl House {
    async fn open() -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::parse("2026-11-21T01:00:00Z").unwrap()));
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let room = socket.local_addr().unwrap();
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(async move {
            let mut buffer = vec![0; 2048];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                let twice = [&buffer[..length], &buffer[..length]].concat();
                socket.send_to(&twice, from).await.unwrap();
            }
        });
        let (certificate, tls) = certificate();
        let config = TurnConfig {
            listen: "127.0.0.1:0".parse().unwrap(),
            public: None,
            tls: Some(TurnTls {
                listen: "127.0.0.1:0".parse().unwrap(),
                public: "localhost:5349".into(),
                config: tls,
            }),
            peer: ROOM.parse().unwrap(),
            peer_here: room,
            realm: "hospital.example".into(),
            secret: "north".into(),
            per_user: 2,
            in_total: 3,
        };
        Self {
            relay: TurnServer::start(config, clock.clone()).await.unwrap(),
            clock,
            _room: tasks,
            room,
            authority: Some(certificate),
        }
    }

    async fn udp(&self, who: &str) -> Client<Udp> {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect(self.relay.address()).await.unwrap();
        self.client(Udp(socket), who)
    }

    async fn tcp(&self, who: &str) -> Client<Stream<TcpStream>> {
        let stream = TcpStream::connect(self.relay.address()).await.unwrap();
        self.client(Stream(stream), who)
    }

    fn client<W: Wire>(&self, wire: W, who: &str) -> Client<W> {
        let given = self.relay.relay().ice_server(who, self.now());
        Client {
            wire,
            user: given.username.unwrap(),
            password: given.credential.unwrap(),
            realm: String::new(),
            nonce: String::new(),
        }
    }

    fn now(&self) -> Timestamp {
        records::Clock::now(&*self.clock)
    }
}

fn certificate() -> (rcgen::Certificate, Arc<rustls::ServerConfig>) {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["localhost".to_owned()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            rustls::pki_types::PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        )
        .unwrap();
    (certificate, Arc::new(config))
}

trait Wire {
    async fn send(&mut self, bytes: &[u8]);
    /// One message with its padding; `None` when the other side has closed.
    async fn receive(&mut self) -> Option<Vec<u8>>;
}

struct Udp(UdpSocket);

impl Wire for Udp {
    async fn send(&mut self, bytes: &[u8]) {
        self.0.send(bytes).await.unwrap();
    }

    async fn receive(&mut self) -> Option<Vec<u8>> {
        let mut buffer = vec![0; 2048];
        let length = self.0.recv(&mut buffer).await.unwrap();
        buffer.truncate(length);
        Some(buffer)
    }
}

struct Stream<S>(S);

impl<S: AsyncRead + AsyncWrite + Unpin> Wire for Stream<S> {
    async fn send(&mut self, bytes: &[u8]) {
        let padded = [bytes, &[0; 3][..bytes.len().next_multiple_of(4) - bytes.len()]].concat();
        // In two pieces: a stream knows no messages.
        let (first, second) = padded.split_at(padded.len() / 3);
        self.0.write_all(first).await.unwrap();
        self.0.flush().await.unwrap();
        tokio::task::yield_now().await;
        self.0.write_all(second).await.unwrap();
        self.0.flush().await.unwrap();
    }

    async fn receive(&mut self) -> Option<Vec<u8>> {
        let mut head = [0; 4];
        self.0.read_exact(&mut head).await.ok()?;
        let said = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let rest = if head[0] >= 0x40 {
            said.next_multiple_of(4)
        } else {
            16 + said
        };
        let mut message = head.to_vec();
        message.resize(4 + rest, 0);
        self.0.read_exact(&mut message[4..]).await.ok()?;
        Some(message)
    }
}

struct Client<W> {
    wire: W,
    user: String,
    password: String,
    realm: String,
    nonce: String,
}

impl<W: Wire> Client<W> {
    async fn hear(&mut self) -> Vec<u8> {
        let heard = tokio::time::timeout(PATIENCE, self.wire.receive()).await;
        heard.unwrap().unwrap()
    }

    async fn silence(&mut self) {
        let heard = tokio::time::timeout(Duration::from_millis(300), self.wire.receive()).await;
        assert!(heard.is_err(), "{heard:?}");
    }

    /// Asks with credentials and answers the answer.
    async fn ask(&mut self, method: Method, with: impl Fn(TransactionId) -> Vec<Box<dyn AttributeWrite>>) -> Vec<u8> {
        let mut write = Message::builder_request(method, MessageWriteVec::new());
        for attribute in with(write.transaction_id()) {
            write.add_attribute(&*attribute).unwrap();
        }
        if !self.nonce.is_empty() {
            write.add_attribute(&Username::new(&self.user).unwrap()).unwrap();
            write.add_attribute(&Realm::new(&self.realm).unwrap()).unwrap();
            write.add_attribute(&Nonce::new(&self.nonce).unwrap()).unwrap();
            let who = LongTermKeyCredentials::new(self.user.clone(), self.password.clone(), self.realm.clone());
            write
                .add_message_integrity(&who.into(), IntegrityAlgorithm::Sha1)
                .unwrap();
        }
        write.add_fingerprint().unwrap();
        self.wire.send(&write.finish()).await;
        let answer = self.hear().await;
        let message = Message::from_bytes(&answer).unwrap();
        if let (Ok(realm), Ok(nonce)) = (message.attribute::<Realm>(), message.attribute::<Nonce>()) {
            (self.realm, self.nonce) = (realm.realm().to_owned(), nonce.nonce().to_owned());
        }
        answer
    }

    async fn allocate(&mut self) -> Vec<u8> {
        if self.nonce.is_empty() {
            let answer = self.ask(ALLOCATE, udp_asked).await;
            assert_eq!(code(&answer), 401, "first it is asked who it is");
        }
        self.ask(ALLOCATE, udp_asked).await
    }

    async fn permit(&mut self, peer: &str) -> Vec<u8> {
        let peer = peer.parse().unwrap();
        self.ask(CREATE_PERMISSION, |t| vec![Box::new(XorPeerAddress::new(peer, t))])
            .await
    }

    async fn bind(&mut self, number: u16, peer: &str) -> Vec<u8> {
        let peer = peer.parse().unwrap();
        self.ask(CHANNEL_BIND, |t| {
            vec![
                Box::new(ChannelNumber::new(number)),
                Box::new(XorPeerAddress::new(peer, t)),
            ]
        })
        .await
    }

    async fn indicate(&mut self, peer: &str, data: &[u8]) {
        let mut write = Message::builder_indication(SEND, MessageWriteVec::new());
        let peer = XorPeerAddress::new(peer.parse().unwrap(), write.transaction_id());
        write.add_attribute(&peer).unwrap();
        write.add_attribute(&Data::new(data)).unwrap();
        self.wire.send(&write.finish()).await;
    }

    async fn channel(&mut self, number: u16, data: &[u8]) {
        let length = u16::try_from(data.len()).unwrap();
        self.wire
            .send(&[&number.to_be_bytes()[..], &length.to_be_bytes(), data].concat())
            .await;
    }
}

fn udp_asked(_: TransactionId) -> Vec<Box<dyn AttributeWrite>> {
    vec![Box::new(RequestedTransport::new(RequestedTransport::UDP))]
}

/// 0 when it succeeded.
fn code(answer: &[u8]) -> u16 {
    let message = Message::from_bytes(answer).unwrap();
    match message.class() {
        MessageClass::Success => 0,
        MessageClass::Error => message.attribute::<ErrorCode>().unwrap().code(),
        other => panic!("{other:?}"),
    }
}

/// Everything a browser does, over this wire.
async fn a_call<W: Wire>(client: &mut Client<W>) {
    let binding = client.ask(BINDING, |_| Vec::new()).await;
    assert!(
        Message::from_bytes(&binding)
            .unwrap()
            .attribute::<XorMappedAddress>()
            .is_ok()
    );
    let allocated = client.allocate().await;
    let message = Message::from_bytes(&allocated).unwrap();
    assert_eq!(code(&allocated), 0);
    let who = LongTermKeyCredentials::new(client.user.clone(), client.password.clone(), client.realm.clone());
    assert!(
        message.validate_integrity(&who.into()).is_ok(),
        "the relay proves itself too"
    );
    let relayed = message
        .attribute::<XorRelayedAddress>()
        .unwrap()
        .addr(message.transaction_id());
    assert_eq!(relayed.ip().to_string(), "203.0.113.7");
    assert_eq!(
        u64::from(message.attribute::<Lifetime>().unwrap().seconds()),
        LIFETIME.as_secs()
    );

    // Before a permission nothing passes.
    client.indicate(ROOM, b"early").await;
    client.silence().await;
    assert_eq!(
        code(&client.permit("203.0.113.7:1").await),
        0,
        "permissions are for addresses"
    );
    client.indicate(ROOM, b"room").await;
    let heard = client.hear().await;
    let message = Message::from_bytes(&heard).unwrap();
    assert_eq!((message.class(), message.method()), (MessageClass::Indication, DATA));
    assert_eq!(message.attribute::<Data<'_>>().unwrap().data(), b"roomroom");
    let from = message
        .attribute::<XorPeerAddress>()
        .unwrap()
        .addr(message.transaction_id());
    assert_eq!(from, ROOM.parse().unwrap());

    assert_eq!(code(&client.bind(0x4001, ROOM).await), 0);
    for data in [&b"a"[..], b"picture", &[7; 500]] {
        client.channel(0x4001, data).await;
        let heard = client.hear().await;
        assert_eq!(u16::from_be_bytes([heard[0], heard[1]]), 0x4001);
        let length = usize::from(u16::from_be_bytes([heard[2], heard[3]]));
        assert_eq!(&heard[4..4 + length], [data, data].concat());
    }
    client.channel(0x4002, b"unbound").await;
    client.silence().await;

    let refreshed = client.ask(REFRESH, |_| vec![Box::new(Lifetime::new(60))]).await;
    assert_eq!(code(&refreshed), 0);
    let ended = client.ask(REFRESH, |_| vec![Box::new(Lifetime::new(0))]).await;
    assert_eq!(code(&ended), 0);
    client.channel(0x4001, b"after the end").await;
    client.silence().await;
}

#[tokio::test]
async fn a_call_crosses_the_relay_both_ways_over_udp() {
    let house = House::open().await;
    a_call(&mut house.udp("con_1/patient").await).await;
}

#[tokio::test]
async fn a_call_crosses_the_relay_both_ways_over_tcp() {
    let house = House::open().await;
    a_call(&mut house.tcp("con_1/patient").await).await;
}

#[tokio::test]
async fn a_call_crosses_the_relay_both_ways_over_tls() {
    let mut house = House::open().await;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(house.authority.take().unwrap().der().clone()).unwrap();
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tcp = TcpStream::connect(house.relay.tls_address().unwrap()).await.unwrap();
    let stream = tokio_rustls::TlsConnector::from(Arc::new(config))
        .connect("localhost".try_into().unwrap(), tcp)
        .await
        .unwrap();
    a_call(&mut house.client(Stream(stream), "con_1/patient")).await;
}

/// Any port that is free for streams may be somebody else's for datagrams.
#[tokio::test]
async fn a_relay_at_any_port_takes_one_that_is_free_for_streams_and_datagrams() {
    let mut others = Vec::new();
    for _ in 0..300 {
        others.push(UdpSocket::bind("127.0.0.1:0").await.unwrap());
    }
    for _ in 0..200 {
        House::open().await;
    }
}

#[tokio::test]
async fn the_addresses_for_browsers_name_every_way_in() {
    let house = House::open().await;
    let port = house.relay.address().port();
    assert_eq!(
        house.relay.relay().urls,
        [
            format!("turn:203.0.113.7:{port}?transport=udp"),
            format!("turn:203.0.113.7:{port}?transport=tcp"),
            "turns:localhost:5349?transport=tcp".to_owned(),
        ]
    );
}

#[tokio::test]
async fn nobody_is_let_in_with_a_wrong_password_or_an_expired_or_invented_name() {
    let house = House::open().await;
    let mut wrong = house.udp("con_1/patient").await;
    wrong.password = "south".into();
    assert_eq!(code(&wrong.allocate().await), 401);

    let mut late = house.tcp("con_1/patient").await;
    house.clock.advance(Duration::from_secs(6 * 3600));
    assert_eq!(code(&late.allocate().await), 401);

    let mut invented = house.udp("con_1/patient").await;
    invented.user = "root".into();
    assert_eq!(code(&invented.allocate().await), 401);
}

#[tokio::test]
async fn an_old_or_foreign_nonce_is_stale_and_a_new_one_is_given() {
    let house = House::open().await;
    let (mut one, mut two) = (house.udp("con_1/patient").await, house.udp("con_1/doctor").await);
    assert_eq!(code(&one.allocate().await), 0);
    two.realm.clone_from(&one.realm);
    two.nonce.clone_from(&one.nonce);
    assert_eq!(
        code(&two.ask(ALLOCATE, udp_asked).await),
        438,
        "a nonce is for one address"
    );
    assert_eq!(code(&two.ask(ALLOCATE, udp_asked).await), 0);
    house.clock.advance(Duration::from_secs(3601));
    assert_eq!(code(&one.ask(REFRESH, |_| Vec::new()).await), 438);
    assert_eq!(code(&one.ask(REFRESH, |_| Vec::new()).await), 0);
}

/// A relay that is open to any peer would be a way into our own network, and from ours into others'.
#[tokio::test]
async fn no_peer_but_the_room_server_is_permitted_or_reached() {
    let house = House::open().await;
    let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut client = house.tcp("con_1/patient").await;
    assert_eq!(
        code(&client.permit(ROOM).await),
        401,
        "not even a question without a name"
    );
    assert_eq!(code(&client.permit(ROOM).await), 437, "nor without an allocation");
    let allocated = client.allocate().await;
    assert_eq!(code(&allocated), 0);
    let foreign = stranger.local_addr().unwrap().to_string();
    for peer in [&foreign, "169.254.169.254:80", "10.0.0.1:22", "203.0.113.8:5000"] {
        assert_eq!(code(&client.permit(peer).await), 403, "{peer}");
        assert_eq!(code(&client.bind(0x4001, peer).await), 403, "{peer}");
    }
    assert_eq!(
        code(&client.bind(0x4001, "203.0.113.7:22").await),
        403,
        "the room server's machine, another port"
    );
    assert_eq!(code(&client.permit(ROOM).await), 0);
    client.indicate(&foreign, b"out").await;
    client.indicate("203.0.113.7:22", b"out").await;
    client.silence().await;
    let mut buffer = [0; 16];
    assert!(stranger.try_recv(&mut buffer).is_err(), "nothing came out there");

    assert_eq!(code(&client.ask(ALLOCATE, udp_asked).await), 437, "one allocation each");

    // Nor does what a stranger sends to the allocation's port come in.
    let message = Message::from_bytes(&allocated).unwrap();
    let relayed = message
        .attribute::<XorRelayedAddress>()
        .unwrap()
        .addr(message.transaction_id());
    let at = SocketAddr::new(house.room.ip(), relayed.port());
    let _ = stranger.send_to(b"spoofed", at).await;
    client.silence().await;
    client.indicate(ROOM, b"x").await;
    assert!(Message::from_bytes(&client.hear().await).is_ok());
}

#[tokio::test]
async fn allocations_are_bounded_for_each_user_and_in_total_and_given_back() {
    let house = House::open().await;
    let mut own = Vec::new();
    for _ in 0..2 {
        let mut client = house.tcp("con_1/patient").await;
        assert_eq!(code(&client.allocate().await), 0);
        own.push(client);
    }
    assert_eq!(
        code(&house.udp("con_1/patient").await.allocate().await),
        486,
        "this one has enough"
    );
    let mut other = house.udp("con_1/doctor").await;
    assert_eq!(code(&other.allocate().await), 0);
    assert_eq!(
        code(&house.udp("con_2/doctor").await.allocate().await),
        508,
        "we have enough"
    );

    // A connection that is closed gives its place back.
    own.clear();
    let mut next = house.tcp("con_2/patient").await;
    let taken = tokio::time::timeout(PATIENCE, async {
        while code(&next.allocate().await) != 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    taken.await.unwrap();

    // Credentials of somebody else do not act on an allocation.
    let mut thief = house.tcp("con_3/patient").await;
    std::mem::swap(&mut thief.wire, &mut next.wire);
    thief.nonce.clone_from(&next.nonce);
    thief.realm.clone_from(&next.realm);
    assert_eq!(code(&thief.permit(ROOM).await), 441);
}

#[tokio::test]
async fn what_is_no_turn_ends_the_connection_and_other_ways_to_relay_are_refused() {
    let house = House::open().await;
    let mut web = house.tcp("con_1/patient").await;
    web.wire.send(b"GET / HTTP/1.1\r\n\r\n").await;
    let closed = tokio::time::timeout(PATIENCE, web.wire.receive()).await;
    assert_eq!(closed.unwrap(), None);

    let mut client = house.tcp("con_1/patient").await;
    assert_eq!(code(&client.ask(ALLOCATE, udp_asked).await), 401);
    let tcp = client
        .ask(ALLOCATE, |_| {
            vec![Box::new(RequestedTransport::new(RequestedTransport::TCP))]
        })
        .await;
    assert_eq!(code(&tcp), 442);
    assert_eq!(code(&client.ask(ALLOCATE, |_| Vec::new()).await), 400);
    let fragment = |_| -> Vec<Box<dyn AttributeWrite>> { vec![Box::new(turn_types::attribute::DontFragment::new())] };
    assert_eq!(code(&client.ask(ALLOCATE, fragment).await), 420);
}
