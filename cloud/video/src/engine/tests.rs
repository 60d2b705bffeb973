//! Two callers over real UDP: what one sends the other gets and the recording holds.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::media::{Direction, Frequency, MediaKind, MediaTime, Mid};
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig};
use tokio::net::UdpSocket;

use super::client::datagram;
use super::{Guest, RoomServer, Seat, ServerConfig, Signal, VideoEngine};

struct Caller {
    rtc: Rtc,
    socket: UdpSocket,
    address: SocketAddr,
    seat: Seat,
    pending: Option<SdpPendingOffer>,
    audio: Mid,
    video: Mid,
    connected: bool,
    sent: u64,
    /// Video and audio frames that came from the other side.
    got: (usize, usize),
    heard: Vec<Signal>,
    begun: Instant,
}

fn picture(n: u64) -> Vec<u8> {
    // Every tenth is a key frame of 640×480; the rest says so in its first bit.
    let first = if n.is_multiple_of(10) { 0x10 } else { 0x11 };
    let mut frame = vec![first, 0, 0, 0x9D, 0x01, 0x2A, 0x80, 0x02, 0xE0, 0x01];
    frame.extend([u8::try_from(n % 251).unwrap(); 700]);
    frame
}

impl Caller {
    async fn join(server: &RoomServer, who: &str, recording: &str) -> Self {
        let guest = Guest {
            room: "con_1".into(),
            who: who.into(),
            recording: recording.into(),
        };
        let seat = server.join(guest).await.unwrap();
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = socket.local_addr().unwrap();
        let now = Instant::now();
        let mut rtc = RtcConfig::new()
            .set_crypto_provider(super::crypto::provider())
            .build(now);
        rtc.add_local_candidate(Candidate::host(address, "udp").unwrap());
        let mut change = rtc.sdp_api();
        let audio = change.add_media(MediaKind::Audio, Direction::SendRecv, None, None, None);
        let video = change.add_media(MediaKind::Video, Direction::SendRecv, None, None, None);
        let (offer, pending) = change.apply().unwrap();
        let sdp = offer.to_sdp_string();
        seat.up.send(Signal::Offer { sdp }).await.unwrap();
        Self {
            rtc,
            socket,
            address,
            seat,
            pending: Some(pending),
            audio,
            video,
            connected: false,
            sent: 0,
            got: (0, 0),
            heard: Vec::new(),
            begun: now,
        }
    }

    fn hear(&mut self, signal: Signal) {
        match &signal {
            Signal::Answer { sdp } => {
                let answer = SdpAnswer::from_sdp_string(sdp).unwrap();
                let pending = self.pending.take().unwrap();
                self.rtc.sdp_api().accept_answer(pending, answer).unwrap();
            }
            Signal::Offer { sdp } => {
                let offer = SdpOffer::from_sdp_string(sdp).unwrap();
                let sdp = self.rtc.sdp_api().accept_offer(offer).unwrap().to_sdp_string();
                self.seat.up.try_send(Signal::Answer { sdp }).unwrap();
            }
            _ => {}
        }
        self.heard.push(signal);
    }

    fn poll(&mut self) -> Instant {
        loop {
            match self.rtc.poll_output().unwrap() {
                Output::Timeout(at) => return at,
                Output::Transmit(t) => {
                    let _ = self.socket.try_send_to(&t.contents, t.destination);
                }
                Output::Event(Event::Connected) => self.connected = true,
                Output::Event(Event::MediaData(data)) => {
                    if data.params.spec().codec.is_video() {
                        self.got.0 += 1;
                    } else {
                        self.got.1 += 1;
                    }
                }
                Output::Event(_) => {}
            }
        }
    }

    /// A picture and a sound every 20 ms.
    fn speak(&mut self) {
        let now = Instant::now();
        if !self.connected || now.duration_since(self.begun) < Duration::from_millis(20 * self.sent) {
            return;
        }
        let (n, frame) = (self.sent, picture(self.sent));
        for (mid, rate, data) in [(self.video, 90_000, frame), (self.audio, 48_000, vec![0xFC; 80])] {
            let writer = self.rtc.writer(mid).unwrap();
            let pt = writer.payload_params().next().unwrap().pt();
            let time = MediaTime::new(n * rate / 50, Frequency::new(u32::try_from(rate).unwrap()).unwrap());
            writer.write(pt, now, time, data).unwrap();
        }
        self.sent += 1;
    }

    async fn live(&mut self, buffer: &mut [u8]) {
        self.speak();
        let until = self.poll().min(Instant::now() + Duration::from_millis(5));
        tokio::select! {
            signal = self.seat.down.recv() => if let Some(signal) = signal { self.hear(signal) },
            got = self.socket.recv_from(buffer) => {
                let (length, source) = got.unwrap();
                if let Some(input) = datagram(Instant::now(), source, self.address, &buffer[..length]) {
                    self.rtc.handle_input(input).unwrap();
                }
            }
            () = tokio::time::sleep_until(until.into()) => {}
        }
        self.rtc.handle_input(Input::Timeout(Instant::now())).unwrap();
    }
}

async fn until(callers: &mut [&mut Caller], what: &str, done: impl Fn(&[&mut Caller]) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(120);
    let mut buffer = vec![0; 2048];
    while !done(callers) {
        assert!(Instant::now() < deadline, "{what} did not happen");
        for caller in callers.iter_mut() {
            caller.live(&mut buffer).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_callers_see_and_hear_each_other_one_comes_back_and_both_are_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let server = RoomServer::start(ServerConfig {
        bind: (Ipv4Addr::LOCALHOST, 0).into(),
        announce: None,
        recordings: folder.path().to_owned(),
    })
    .await
    .unwrap();
    let mut doctor = Caller::join(&server, "doctor", "rec_d").await;
    until(&mut [&mut doctor], "the doctor's connection", |c| c[0].connected).await;
    let mut patient = Caller::join(&server, "patient", "rec_p").await;
    until(&mut [&mut doctor, &mut patient], "pictures both ways", |c| {
        c.iter().all(|c| c.got.0 > 30 && c.got.1 > 30)
    })
    .await;

    // The patient's page is reloaded: the doctor hears of it and sees them again.
    drop(patient);
    until(&mut [&mut doctor], "the patient's leaving", |c| {
        c[0].heard.contains(&Signal::Left)
    })
    .await;
    doctor.got = (0, 0);
    let mut patient = Caller::join(&server, "patient", "rec_p2").await;
    until(&mut [&mut doctor, &mut patient], "pictures after coming back", |c| {
        c.iter().all(|c| c.got.0 > 30 && c.got.1 > 30)
    })
    .await;

    server.close("con_1").await;
    until(&mut [&mut doctor, &mut patient], "the end", |c| {
        c.iter().all(|c| c.heard.contains(&Signal::Ended))
    })
    .await;
    for id in ["rec_d", "rec_p", "rec_p2"] {
        let waited = Instant::now();
        while server.is_writing(id) {
            assert!(waited.elapsed() < Duration::from_secs(60), "{id} is not finished");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let film = std::fs::read(server.recording(id)).unwrap();
        assert!(film.starts_with(&[0x1A, 0x45, 0xDF, 0xA3]), "{id}");
        let pictures = film
            .windows(7)
            .filter(|w| w[1..] == [0, 0, 0x9D, 0x01, 0x2A, 0x80])
            .count();
        assert!(pictures > 30, "{id}: {pictures} pictures");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_window_takes_the_seat_and_the_first_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let server = RoomServer::start(ServerConfig {
        bind: (Ipv4Addr::LOCALHOST, 0).into(),
        announce: None,
        recordings: folder.path().to_owned(),
    })
    .await
    .unwrap();
    let guest = |recording: &str| Guest {
        room: "con_1".into(),
        who: "doctor".into(),
        recording: recording.into(),
    };
    let mut first = server.join(guest("rec_1")).await.unwrap();
    let second = server.join(guest("rec_2")).await.unwrap();
    let told = first.down.recv().await.unwrap();
    assert!(matches!(told, Signal::Error { .. }), "{told:?}");
    assert_eq!(first.down.recv().await, None);
    second.up.send(Signal::Offer { sdp: "nonsense".into() }).await.unwrap();
    let mut second = second;
    assert!(matches!(second.down.recv().await, Some(Signal::Error { .. })));
}
