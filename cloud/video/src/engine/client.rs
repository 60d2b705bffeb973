//! One browser in a room, as a state machine without I/O.

use std::sync::Arc;
use std::time::{Duration, Instant};

use std::net::SocketAddr;
use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::media::{Direction, KeyframeRequest, KeyframeRequestKind, MediaData, MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, IceConnectionState, Input, Output, Rtc, RtcConfig, RtcError};
use tokio::sync::mpsc;

use super::film::Recorder;
use super::webm::Track;
use super::{Guest, Signal};

/// Key frames are asked for at most this often.
const KEY_FRAME_EVERY: Duration = Duration::from_secs(1);

/// A picture or sound the browser sends.
#[derive(Debug)]
struct Incoming {
    mid: Mid,
    kind: MediaKind,
    asked_at: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    ToOpen,
    Opening(Mid),
    Open(Mid),
    ToStop(Mid),
    Stopping(Mid),
}

/// A picture or sound of another client, sent to the browser.
#[derive(Debug)]
struct Outgoing {
    origin: u64,
    mid: Mid,
    kind: MediaKind,
    stage: Stage,
}

/// What a client wants the room to do.
#[derive(Debug)]
pub(crate) enum Wish {
    /// A new track for the others.
    Opened(Mid, MediaKind),
    /// A frame for the others.
    Forward(Box<MediaData>),
    /// A key frame of another client's track.
    KeyFrame {
        origin: u64,
        mid: Mid,
        request: KeyframeRequest,
    },
}

/// What one look at a client gave.
pub(crate) enum Step {
    /// A datagram to send.
    Send(SocketAddr, Vec<u8>),
    /// Something for the room.
    Wish(Wish),
    /// Nothing until then.
    Rest(Instant),
    /// Gone.
    Dead,
}

pub(crate) struct Client {
    pub(crate) id: u64,
    pub(crate) guest: Guest,
    rtc: Rtc,
    down: mpsc::Sender<Signal>,
    pending: Option<SdpPendingOffer>,
    /// The browser's first offer was answered.
    met: bool,
    incoming: Vec<Incoming>,
    outgoing: Vec<Outgoing>,
    pub(crate) recorder: Option<Recorder>,
}

impl Client {
    pub(crate) fn new(
        id: u64,
        guest: Guest,
        announce: SocketAddr,
        down: mpsc::Sender<Signal>,
        now: Instant,
    ) -> Result<Self, RtcError> {
        let mut rtc = RtcConfig::new()
            .set_crypto_provider(super::crypto::provider())
            .set_ice_lite(true)
            .clear_codecs()
            .enable_opus(true, false)
            // One codec that every browser has and WebM carries: the recording needs no transcoding.
            .enable_vp8(true)
            .build(now);
        rtc.add_local_candidate(Candidate::host(announce, "udp").map_err(|e| RtcError::RemoteSdp(e.to_string()))?);
        Ok(Self {
            id,
            guest,
            rtc,
            down,
            pending: None,
            met: false,
            incoming: Vec::new(),
            outgoing: Vec::new(),
            recorder: None,
        })
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.rtc.is_alive() && !self.down.is_closed()
    }

    /// Tells the browser; one that does not read is lost.
    pub(crate) fn tell(&mut self, signal: Signal) {
        if self.down.try_send(signal).is_err() {
            self.rtc.disconnect();
        }
    }

    pub(crate) fn accepts(&self, input: &Input<'_>) -> bool {
        self.rtc.accepts(input)
    }

    pub(crate) fn input(&mut self, input: Input<'_>) {
        if self.rtc.is_alive()
            && let Err(error) = self.rtc.handle_input(input)
        {
            tracing::debug!(video.client = self.id, %error, "client lost");
            self.rtc.disconnect();
        }
    }

    /// Takes a signal of the browser.
    pub(crate) fn hear(&mut self, signal: Signal) {
        let heard = match signal {
            Signal::Offer { sdp } => self.offered(&sdp),
            Signal::Answer { sdp } => self.answered(&sdp),
            Signal::Candidate { candidate } => {
                // An unreadable or hidden (mDNS) candidate is no loss: the server is reached at its own address.
                if let Ok(candidate) = Candidate::from_sdp_string(&candidate.candidate) {
                    self.rtc.add_remote_candidate(candidate);
                }
                Ok(())
            }
            _ => Ok(()),
        };
        if let Err(error) = heard {
            tracing::warn!(video.client = self.id, %error, "unusable session description");
            self.tell(Signal::Error {
                reason: "视频协商失败，请刷新后重试".to_owned(),
            });
            self.rtc.disconnect();
        }
    }

    fn offered(&mut self, sdp: &str) -> Result<(), RtcError> {
        let offer = SdpOffer::from_sdp_string(sdp).map_err(|e| RtcError::RemoteSdp(e.to_string()))?;
        let answer = self.rtc.sdp_api().accept_offer(offer)?;
        // An offer of ours that was under way is void now and made again.
        self.pending = None;
        for out in &mut self.outgoing {
            match out.stage {
                Stage::Opening(_) => out.stage = Stage::ToOpen,
                Stage::Stopping(mid) => out.stage = Stage::ToStop(mid),
                _ => {}
            }
        }
        self.met = true;
        self.tell(Signal::Answer {
            sdp: answer.to_sdp_string(),
        });
        Ok(())
    }

    fn answered(&mut self, sdp: &str) -> Result<(), RtcError> {
        let Some(pending) = self.pending.take() else {
            return Ok(());
        };
        let answer = SdpAnswer::from_sdp_string(sdp).map_err(|e| RtcError::RemoteSdp(e.to_string()))?;
        self.rtc.sdp_api().accept_answer(pending, answer)?;
        for out in &mut self.outgoing {
            if let Stage::Opening(mid) = out.stage {
                out.stage = Stage::Open(mid);
            }
        }
        self.outgoing.retain(|o| !matches!(o.stage, Stage::Stopping(_)));
        Ok(())
    }

    /// Tracks of this client, for one who comes later.
    pub(crate) fn tracks(&self) -> Vec<(Mid, MediaKind)> {
        self.incoming.iter().map(|i| (i.mid, i.kind)).collect()
    }

    /// Another client's track is to be sent to this browser.
    pub(crate) fn open(&mut self, origin: u64, mid: Mid, kind: MediaKind) {
        self.outgoing.push(Outgoing {
            origin,
            mid,
            kind,
            stage: Stage::ToOpen,
        });
    }

    /// Another client is gone.
    pub(crate) fn gone(&mut self, origin: u64) {
        let theirs = |o: &Outgoing| o.origin == origin;
        self.outgoing.retain(|o| !(theirs(o) && o.stage == Stage::ToOpen));
        for out in self.outgoing.iter_mut().filter(|o| theirs(o)) {
            if let Stage::Open(mid) | Stage::Opening(mid) = out.stage {
                out.stage = Stage::ToStop(mid);
            }
        }
    }

    /// Offers the browser what changed, unless something is being negotiated.
    fn negotiate(&mut self) -> bool {
        if !self.met || self.pending.is_some() {
            return false;
        }
        let mut change = self.rtc.sdp_api();
        for out in &mut self.outgoing {
            match out.stage {
                Stage::ToOpen => {
                    let stream = Some(out.origin.to_string());
                    let mid = change.add_media(out.kind, Direction::SendOnly, stream, None, None);
                    out.stage = Stage::Opening(mid);
                }
                Stage::ToStop(mid) => {
                    change.stop_media(mid);
                    out.stage = Stage::Stopping(mid);
                }
                _ => {}
            }
        }
        if !change.has_changes() {
            return false;
        }
        let Some((offer, pending)) = change.apply() else {
            return false;
        };
        self.pending = Some(pending);
        self.tell(Signal::Offer {
            sdp: offer.to_sdp_string(),
        });
        true
    }

    /// One look.
    pub(crate) fn step(&mut self) -> Step {
        loop {
            if !self.is_alive() {
                return Step::Dead;
            }
            if self.negotiate() {
                continue;
            }
            let event = match self.rtc.poll_output() {
                Ok(Output::Timeout(at)) => return Step::Rest(at),
                Ok(Output::Transmit(datagram)) => return Step::Send(datagram.destination, datagram.contents.to_vec()),
                Ok(Output::Event(event)) => event,
                Err(error) => {
                    tracing::debug!(video.client = self.id, %error, "client lost");
                    self.rtc.disconnect();
                    return Step::Dead;
                }
            };
            if let Some(wish) = self.happened(event) {
                return Step::Wish(wish);
            }
        }
    }

    fn happened(&mut self, event: Event) -> Option<Wish> {
        match event {
            Event::IceConnectionStateChange(IceConnectionState::Disconnected) => {
                self.rtc.disconnect();
                None
            }
            Event::MediaAdded(added) if added.direction.is_receiving() => {
                self.incoming.push(Incoming {
                    mid: added.mid,
                    kind: added.kind,
                    asked_at: None,
                });
                Some(Wish::Opened(added.mid, added.kind))
            }
            Event::MediaData(data) => {
                if !data.contiguous {
                    self.ask_key_frame(data.mid, KeyframeRequestKind::Fir, data.network_time);
                }
                Some(Wish::Forward(Box::new(data)))
            }
            Event::KeyframeRequest(request) => {
                let out = self.outgoing.iter().find(|o| o.stage == Stage::Open(request.mid))?;
                Some(Wish::KeyFrame {
                    origin: out.origin,
                    mid: out.mid,
                    request,
                })
            }
            _ => None,
        }
    }

    /// Keeps a frame of this client.
    pub(crate) fn film(&mut self, data: &MediaData) {
        if let Some(recorder) = &mut self.recorder {
            let video = data.params.spec().codec.is_video();
            let track = if video { Track::Video } else { Track::Audio };
            recorder.frame(track, data.network_time, Arc::clone(&data.data));
        }
    }

    /// Asks the browser for a key frame of one of its tracks.
    pub(crate) fn ask_key_frame(&mut self, mid: Mid, kind: KeyframeRequestKind, now: Instant) {
        let Some(track) = self
            .incoming
            .iter_mut()
            .find(|i| i.mid == mid && i.kind == MediaKind::Video)
        else {
            return;
        };
        if track
            .asked_at
            .is_some_and(|at| now.saturating_duration_since(at) < KEY_FRAME_EVERY)
        {
            return;
        }
        track.asked_at = Some(now);
        if let Some(mut writer) = self.rtc.writer(mid)
            && let Err(error) = writer.request_keyframe(None, kind)
        {
            tracing::debug!(video.client = self.id, %error, "key frame not asked for");
        }
    }

    /// Sends a frame of another client to this browser.
    pub(crate) fn forward(&mut self, origin: u64, data: &MediaData) {
        let open = self.outgoing.iter().find_map(|o| match o.stage {
            Stage::Open(mid) if o.origin == origin && o.mid == data.mid => Some(mid),
            _ => None,
        });
        let Some(writer) = open.and_then(|mid| self.rtc.writer(mid)) else {
            return;
        };
        let Some(pt) = writer.match_params(data.params) else {
            return;
        };
        if let Err(error) = writer.write(pt, data.network_time, data.time, Arc::clone(&data.data)) {
            tracing::debug!(video.client = self.id, %error, "client lost");
            self.rtc.disconnect();
        }
    }
}

/// A datagram as str0m reads it; `None` when it is none of WebRTC.
pub(crate) fn datagram<'a>(
    now: Instant,
    source: SocketAddr,
    destination: SocketAddr,
    bytes: &'a [u8],
) -> Option<Input<'a>> {
    let contents = bytes.try_into().ok()?;
    Some(Input::Receive(
        now,
        Receive {
            proto: Protocol::Udp,
            source,
            destination,
            contents,
        },
    ))
}
