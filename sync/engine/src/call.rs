//! Both halves of a call: the asking end counts and queues, the answering end runs and remembers.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::effect::{Channel, Effect};
use crate::frame::{Body, Call, Cancel, MAX_FRAME_BYTES, Reply};

/// A call to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutgoingCall {
    /// Random, unique per call.
    pub rid: [u8; 16],
    /// Canonical operation name.
    pub method: String,
    /// Idempotency key; present exactly when the call writes.
    pub key: Option<String>,
    /// When the asker stops waiting, on the session's clock.
    pub deadline: Duration,
    /// JSON text.
    pub body: Vec<u8>,
}

/// A call to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncomingCall {
    /// As sent by the asker.
    pub rid: [u8; 16],
    /// Canonical operation name.
    pub method: String,
    /// Idempotency key; present exactly when the call writes.
    pub key: Option<String>,
    /// When the asker stops waiting, on this session's clock.
    pub deadline: Duration,
    /// JSON text.
    pub body: Vec<u8>,
}

/// What became of an outgoing call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The other end's JSON.
    Replied(Vec<u8>),
    /// Too many calls are waiting, here or there; it was not started.
    Busy,
    /// The line is down or the deadline passed before it was started.
    NotStarted,
    /// It was sent and nothing came back in time: it may have happened.
    Unknown,
    /// It happened and its answer does not fit into a frame.
    TooLarge,
}

const ANSWERED: u8 = 0;
const BUSY: u8 = 1;
const EXPIRED: u8 = 2;
const TOO_LARGE: u8 = 3;

#[derive(Debug, Default)]
pub(crate) struct Asking {
    flight: BTreeMap<[u8; 16], (OutgoingCall, u32)>,
    queue: VecDeque<OutgoingCall>,
}

/// Limits of one peer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) running: usize,
    pub(crate) queued: usize,
}

impl Asking {
    pub(crate) fn ask(
        &mut self,
        call: OutgoingCall,
        up: bool,
        now: Duration,
        limits: Limits,
        out: &mut VecDeque<(Channel, Body)>,
        effects: &mut VecDeque<Effect>,
    ) {
        let refuse = |answer| Effect::Answered { rid: call.rid, answer };
        if !up || call.deadline <= now {
            effects.push_back(refuse(Answer::NotStarted));
        } else if self.flight.len() < limits.running {
            self.send(call, 0, now, out);
        } else if self.queue.len() < limits.queued {
            self.queue.push_back(call);
        } else {
            effects.push_back(refuse(Answer::Busy));
        }
    }

    fn send(&mut self, call: OutgoingCall, attempt: u32, now: Duration, out: &mut VecDeque<(Channel, Body)>) {
        out.push_back((Channel::Ctl, frame(&call, attempt, now)));
        self.flight.insert(call.rid, (call, attempt));
    }

    pub(crate) fn on_reply(
        &mut self,
        reply: Reply,
        now: Duration,
        limits: Limits,
        out: &mut VecDeque<(Channel, Body)>,
        effects: &mut VecDeque<Effect>,
    ) {
        let Ok(rid) = <[u8; 16]>::try_from(reply.rid.as_slice()) else {
            return;
        };
        if self.flight.remove(&rid).is_none() {
            return;
        }
        let answer = match reply.status {
            ANSWERED => Answer::Replied(reply.body),
            BUSY => Answer::Busy,
            EXPIRED => Answer::NotStarted,
            TOO_LARGE => Answer::TooLarge,
            _ => Answer::Unknown,
        };
        effects.push_back(Effect::Answered { rid, answer });
        self.refill(now, limits, out, effects);
    }

    fn refill(
        &mut self,
        now: Duration,
        limits: Limits,
        out: &mut VecDeque<(Channel, Body)>,
        effects: &mut VecDeque<Effect>,
    ) {
        while self.flight.len() < limits.running {
            let Some(call) = self.queue.pop_front() else { return };
            if call.deadline <= now {
                effects.push_back(Effect::Answered {
                    rid: call.rid,
                    answer: Answer::NotStarted,
                });
            } else {
                self.send(call, 0, now, out);
            }
        }
    }

    /// The line is up again: what was under way is asked again under the same id. Writing calls are answered from
    /// the journal by their key; reading calls are repeated once.
    pub(crate) fn up(&mut self, now: Duration, out: &mut VecDeque<(Channel, Body)>) {
        for (call, attempt) in self.flight.values_mut() {
            if call.key.is_some() || *attempt == 0 {
                *attempt += 1;
                out.push_back((Channel::Ctl, frame(call, *attempt, now)));
            }
        }
    }

    /// The line is down: what only waited is answered at once.
    pub(crate) fn down(&mut self, effects: &mut VecDeque<Effect>) {
        for call in self.queue.drain(..) {
            effects.push_back(Effect::Answered {
                rid: call.rid,
                answer: Answer::NotStarted,
            });
        }
    }

    pub(crate) fn tick(
        &mut self,
        now: Duration,
        limits: Limits,
        out: &mut VecDeque<(Channel, Body)>,
        effects: &mut VecDeque<Effect>,
    ) {
        self.flight.retain(|rid, (call, _)| {
            let waiting = call.deadline > now;
            if !waiting {
                out.push_back((Channel::Ctl, Body::Cancel(Cancel { rid: rid.to_vec() })));
                effects.push_back(Effect::Answered {
                    rid: *rid,
                    answer: Answer::Unknown,
                });
            }
            waiting
        });
        self.queue.retain(|call| {
            let waiting = call.deadline > now;
            if !waiting {
                effects.push_back(Effect::Answered {
                    rid: call.rid,
                    answer: Answer::NotStarted,
                });
            }
            waiting
        });
        self.refill(now, limits, out, effects);
    }

    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        let flight = self.flight.values().map(|(c, _)| c.deadline);
        flight.chain(self.queue.iter().map(|c| c.deadline)).min()
    }
}

fn frame(call: &OutgoingCall, attempt: u32, now: Duration) -> Body {
    let remaining = call.deadline.saturating_sub(now).as_millis();
    Body::Call(Call {
        rid: call.rid.to_vec(),
        method: call.method.clone(),
        key: call.key.clone(),
        remaining_ms: u64::try_from(remaining).unwrap_or(u64::MAX),
        attempt,
        body: call.body.clone(),
    })
}

#[derive(Debug, Default)]
pub(crate) struct Answering {
    /// Whether the running call writes.
    running: BTreeMap<[u8; 16], bool>,
    queue: VecDeque<IncomingCall>,
    /// Answers kept for a while, so that a repeated call is not run twice.
    done: VecDeque<([u8; 16], Reply)>,
}

const REMEMBERED: usize = 128;
const REMEMBERED_BYTES: usize = 64 * 1024;

impl Answering {
    pub(crate) fn on_call(
        &mut self,
        call: Call,
        now: Duration,
        limits: Limits,
        out: &mut VecDeque<(Channel, Body)>,
        effects: &mut VecDeque<Effect>,
    ) {
        let Ok(rid) = <[u8; 16]>::try_from(call.rid.as_slice()) else {
            return;
        };
        if self.running.contains_key(&rid) || self.queue.iter().any(|c| c.rid == rid) {
            return;
        }
        if let Some((_, reply)) = self.done.iter().find(|(done, _)| *done == rid) {
            out.push_back((Channel::Ctl, Body::Reply(reply.clone())));
            return;
        }
        let call = IncomingCall {
            rid,
            method: call.method,
            key: call.key,
            deadline: now + Duration::from_millis(call.remaining_ms),
            body: call.body,
        };
        if call.deadline <= now {
            out.push_back((Channel::Ctl, status(rid, EXPIRED)));
        } else if self.running.len() < limits.running {
            self.run(call, effects);
        } else if self.queue.len() < limits.queued {
            self.queue.push_back(call);
        } else {
            out.push_back((Channel::Ctl, status(rid, BUSY)));
        }
    }

    fn run(&mut self, call: IncomingCall, effects: &mut VecDeque<Effect>) {
        self.running.insert(call.rid, call.key.is_some());
        effects.push_back(Effect::Run(call));
    }

    /// The handler's answer; sent only while the line is up, but remembered anyway.
    pub(crate) fn answered(
        &mut self,
        rid: [u8; 16],
        body: Vec<u8>,
        now: Duration,
        limits: Limits,
        out: &mut VecDeque<(Channel, Body)>,
        effects: &mut VecDeque<Effect>,
    ) {
        if self.running.remove(&rid).is_none() {
            return;
        }
        let fits = body.len() + 256 <= MAX_FRAME_BYTES;
        let (state, body) = if fits {
            (ANSWERED, body)
        } else {
            (TOO_LARGE, Vec::new())
        };
        let reply = Reply {
            rid: rid.to_vec(),
            status: state,
            body,
        };
        if reply.body.len() <= REMEMBERED_BYTES {
            self.done.push_back((rid, reply.clone()));
            if self.done.len() > REMEMBERED {
                self.done.pop_front();
            }
        }
        out.push_back((Channel::Ctl, Body::Reply(reply)));
        while self.running.len() < limits.running {
            let Some(call) = self.queue.pop_front() else { return };
            if call.deadline <= now {
                out.push_back((Channel::Ctl, status(call.rid, EXPIRED)));
            } else {
                self.run(call, effects);
            }
        }
    }

    /// The asker gave up. What only waits is dropped; a running read is stopped; a running write goes on, because
    /// stopping it half-way would only make its outcome unknown.
    pub(crate) fn on_cancel(&mut self, cancel: &Cancel, effects: &mut VecDeque<Effect>) {
        let Ok(rid) = <[u8; 16]>::try_from(cancel.rid.as_slice()) else {
            return;
        };
        self.queue.retain(|c| c.rid != rid);
        if self.running.get(&rid) == Some(&false) {
            self.running.remove(&rid);
            effects.push_back(Effect::Abort { rid });
        }
    }
}

fn status(rid: [u8; 16], status: u8) -> Body {
    Body::Reply(Reply {
        rid: rid.to_vec(),
        status,
        body: Vec::new(),
    })
}
