//! Greeting and good-bye: who is at the other end, and which of two connections is the current one.

use std::time::Duration;

use records::Timestamp;

use crate::effect::{Alarm, Channel, DownReason, Effect, Role};
use crate::frame::{self, Body, Bye, Hello, HelloAck, VERSION};
use crate::session::{Phase, Session};

/// A connection of the peer, as the cloud knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Generation {
    pub(crate) session: u64,
    pub(crate) boot: u64,
    pub(crate) attempt: u64,
}

impl Session {
    pub(crate) fn greet(&mut self, now: Duration, wall: Timestamp) {
        self.current.attempt += 1;
        self.current.session =
            (self.boot.rotate_left(17) ^ self.current.attempt.wrapping_mul(0x9E37_79B9_7F4A_7C15)).max(1);
        self.phase = Phase::Greeting {
            again_at: now + self.tuning.greet,
        };
        self.frames.push_back((
            Channel::Ctl,
            Body::Hello(Hello {
                edge: self.edge.clone(),
                boot: self.boot,
                attempt: self.current.attempt,
                min: VERSION,
                max: VERSION,
                wall_us: wall.as_micros(),
            }),
        ));
    }

    pub(crate) fn on_hello(&mut self, session: u64, hello: &Hello, now: Duration, wall: Timestamp) {
        let refuse = |code: &str| Effect::Send(Channel::Ctl, frame::encode(session, &bye(code)));
        if hello.edge != self.edge {
            self.effects.push_back(refuse("wrong_identity"));
            self.effects.push_back(Effect::Alarm(Alarm::WrongIdentity {
                claimed: hello.edge.clone(),
            }));
            return;
        }
        if hello.min > VERSION || hello.max < VERSION {
            self.effects.push_back(refuse("version"));
            self.effects.push_back(Effect::Alarm(Alarm::Version));
            return;
        }
        let newer = Generation {
            session,
            boot: hello.boot,
            attempt: hello.attempt,
        };
        let known = self.current.session != 0;
        if known && newer.boot == self.current.boot && newer.attempt <= self.current.attempt {
            if newer == self.current && self.is_up() {
                self.answer_hello(hello, wall);
            }
            return;
        }
        if known && newer.boot != self.current.boot && self.past.iter().any(|g| g.boot == newer.boot) {
            // A process that was superseded by another one never comes back, unless both are alive.
            self.effects.push_back(Effect::Alarm(Alarm::Cloned));
        }
        if self.is_up() {
            let fenced = frame::encode(self.current.session, &bye("fenced"));
            self.effects.push_back(Effect::Send(Channel::Ctl, fenced));
            self.go_down(DownReason::Fenced);
        }
        if known {
            self.past.push_back(self.current);
            if self.past.len() > 16 {
                self.past.pop_front();
            }
        }
        self.current = newer;
        self.answer_hello(hello, wall);
        self.check_clock(hello.wall_us.saturating_sub(wall.as_micros()));
        self.go_up(now);
    }

    fn answer_hello(&mut self, hello: &Hello, wall: Timestamp) {
        let ack = HelloAck {
            version: VERSION,
            wall_us: wall.as_micros(),
            echo_us: hello.wall_us,
        };
        self.frames.push_back((Channel::Ctl, Body::HelloAck(ack)));
    }

    pub(crate) fn check_clock(&mut self, offset_us: i64) {
        if offset_us.unsigned_abs() > 2_000_000 && !self.clock_alarmed {
            self.clock_alarmed = true;
            self.effects.push_back(Effect::Alarm(Alarm::ClockOffset(offset_us)));
        }
    }

    /// A frame of a connection that is not (or no longer) ours.
    pub(crate) fn turn_away(&mut self, session: u64, body: &Body, now: Duration) {
        if matches!(body, Body::Bye(_))
            || self
                .bye_at
                .is_some_and(|at| now.saturating_sub(at) < Duration::from_millis(200))
        {
            return;
        }
        self.bye_at = Some(now);
        let fenced = self.is_up()
            && self
                .past
                .iter()
                .any(|g| g.session == session && g.boot != self.current.boot);
        let code = if fenced { "fenced" } else { "unknown_session" };
        self.effects
            .push_back(Effect::Send(Channel::Ctl, frame::encode(session, &bye(code))));
    }

    pub(crate) fn on_hello_ack(&mut self, ack: HelloAck, now: Duration, wall: Timestamp) {
        if matches!(self.phase, Phase::Greeting { .. }) {
            let half_trip = wall.as_micros().saturating_sub(ack.echo_us) / 2;
            self.check_clock(ack.wall_us.saturating_sub(ack.echo_us).saturating_sub(half_trip));
            self.go_up(now);
        }
    }

    pub(crate) fn on_bye(&mut self, bye: &Bye, now: Duration) {
        let (reason, rest) = match bye.code.as_str() {
            "fenced" => (DownReason::Fenced, self.tuning.rest),
            "wrong_identity" | "version" => (DownReason::Refused, self.tuning.rest),
            _ => (DownReason::PeerRestarted, self.tuning.greet / 4),
        };
        if reason == DownReason::Fenced {
            self.effects.push_back(Effect::Alarm(Alarm::Fenced));
        }
        if reason == DownReason::Refused && !self.is_up() {
            self.effects.push_back(Effect::Down(reason));
        }
        self.go_down(reason);
        self.phase = match self.role {
            Role::Edge => Phase::Greeting { again_at: now + rest },
            Role::Cloud => Phase::Idle,
        };
    }
}

pub(crate) fn bye(code: &str) -> Body {
    Body::Bye(Bye { code: code.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::Tuning;

    /// A peer may name any time; the line comes up, and the clock is told of.
    #[test]
    fn the_earliest_time_a_peer_can_name_is_an_offset_like_any_other() {
        let mut cloud = Session::new(Role::Cloud, "edg_1", 1, Tuning::default());
        let hello = Hello {
            edge: "edg_1".to_owned(),
            boot: 2,
            attempt: 1,
            min: VERSION,
            max: VERSION,
            wall_us: i64::MIN,
        };
        cloud.on_hello(5, &hello, Duration::ZERO, Timestamp::from_seconds(1_795_305_600));
        assert!(cloud.is_up());
        assert!(cloud.effects.contains(&Effect::Alarm(Alarm::ClockOffset(i64::MIN))));
    }
}
