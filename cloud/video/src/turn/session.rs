//! One client of the relay, by its address, as a state machine without I/O.
//!
//! ```text
//! stranger ─ allocate (proved) ─▶ pending ─ socket open ─▶ allocated ─ refresh 0 · lifetime over ─▶ stranger
//! ```

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use records::Timestamp;
use turn_types::AddressFamily;
use turn_types::attribute::{
    ChannelNumber, Data, Lifetime, RequestedAddressFamily, RequestedTransport, XorPeerAddress, XorRelayedAddress,
};
use turn_types::message::{ALLOCATE, CHANNEL_BIND, CREATE_PERMISSION, REFRESH, SEND};
use turn_types::stun::attribute::{ErrorCode, XorMappedAddress};
use turn_types::stun::message::{BINDING, IntegrityKey, Message, MessageClass, TransactionId};

use super::limits::{Full, Limits, Place};
use super::message::{Guard, Proved, Refusal, indication, not_understood, success};
use super::{CHANNEL, LIFETIME, PERMISSION, frame};

/// What every client of a relay has in common.
pub(crate) struct House {
    pub(crate) guard: Guard,
    pub(crate) limits: Arc<Limits>,
    /// The one peer: the room server, as browsers know it.
    pub(crate) peer: SocketAddr,
    /// The address under which allocations are told.
    pub(crate) relayed: IpAddr,
}

/// What a message of the client leads to.
pub(crate) enum Reaction {
    Nothing,
    /// To the client.
    Reply(Vec<u8>),
    /// To the peer.
    Relay(Vec<u8>),
    /// A socket to the peer is to be opened, then [`Session::allocated`].
    Allocate(Box<Pending>),
}

/// An allocation that waits for its socket.
pub(crate) struct Pending {
    request: Vec<u8>,
    who: Proved,
    place: Place,
}

struct Allocation {
    user: String,
    transaction: TransactionId,
    /// The answer, for a request that comes again.
    answer: Vec<u8>,
    until: Instant,
    permitted_until: Option<Instant>,
    channel: Option<(u16, Instant)>,
    _place: Place,
}

/// One client.
pub(crate) struct Session {
    house: Arc<House>,
    client: SocketAddr,
    on_stream: bool,
    allocation: Option<Allocation>,
}

type Answered = Result<Reaction, Refusal>;

impl Session {
    pub(crate) const fn new(house: Arc<House>, client: SocketAddr, on_stream: bool) -> Self {
        Self {
            house,
            client,
            on_stream,
            allocation: None,
        }
    }

    /// Until when there is an allocation, if there is one.
    pub(crate) fn until(&self) -> Option<Instant> {
        self.allocation.as_ref().map(|a| a.until)
    }

    /// Ends what is over.
    pub(crate) fn tick(&mut self, now: Instant) {
        self.allocation = self.allocation.take().filter(|a| now < a.until);
    }

    /// A message of the client. What is no message, or none for us, is dropped, as the standard has it.
    pub(crate) fn hear_client(&mut self, bytes: &[u8], now: Instant, wall: Timestamp) -> Reaction {
        self.tick(now);
        if let Some((number, data)) = frame::channel_data(bytes) {
            return self.on_channel_data(number, data, now);
        }
        let Ok(message) = Message::from_bytes(bytes) else {
            return Reaction::Nothing;
        };
        match message.class() {
            MessageClass::Request => self.on_request(&message, now, wall),
            MessageClass::Indication if message.method() == SEND => self.on_send(&message, now),
            _ => Reaction::Nothing,
        }
    }

    /// Data of the peer, as it goes to the client.
    pub(crate) fn hear_peer(&self, data: &[u8], now: Instant) -> Option<Vec<u8>> {
        let allocation = self.allocation.as_ref().filter(|a| a.permits(now))?;
        Some(match allocation.channel.filter(|(_, until)| now < *until) {
            Some((number, _)) => frame::channel(number, data, self.on_stream),
            None => indication(self.house.peer, data),
        })
    }

    fn on_channel_data(&self, number: u16, data: &[u8], now: Instant) -> Reaction {
        let channel = self.allocation.as_ref().and_then(|a| a.channel);
        match channel {
            Some((bound, until)) if bound == number && now < until => Reaction::Relay(data.to_vec()),
            _ => Reaction::Nothing,
        }
    }

    fn on_send(&self, message: &Message<'_>, now: Instant) -> Reaction {
        let permitted = self.allocation.as_ref().is_some_and(|a| a.permits(now));
        let (Ok(peer), Ok(data)) = (message.attribute::<XorPeerAddress>(), message.attribute::<Data<'_>>()) else {
            return Reaction::Nothing;
        };
        if permitted && peer.addr(message.transaction_id()) == self.house.peer {
            Reaction::Relay(data.data().to_vec())
        } else {
            Reaction::Nothing
        }
    }

    fn on_request(&mut self, message: &Message<'_>, now: Instant, wall: Timestamp) -> Reaction {
        if let Some(answer) = not_understood(message) {
            return Reaction::Reply(answer);
        }
        if message.method() == BINDING {
            let seen = XorMappedAddress::new(self.client, message.transaction_id());
            return Reaction::Reply(success(message, &[&seen], None));
        }
        let house = self.house.clone();
        let refuse = |refusal: &Refusal, key: Option<&IntegrityKey>| {
            Reaction::Reply(house.guard.refuse(message, refusal, key, self.client, wall))
        };
        let who = match house.guard.prove(message, self.client, wall) {
            Ok(who) => who,
            Err(refusal) => return refuse(&refusal, None),
        };
        let client = self.client;
        match self.act(message, &who, now) {
            Ok(reaction) => reaction,
            Err(refusal) => Reaction::Reply(house.guard.refuse(message, &refusal, Some(&who.key), client, wall)),
        }
    }

    fn act(&mut self, message: &Message<'_>, who: &Proved, now: Instant) -> Answered {
        if message.method() == ALLOCATE {
            return self.allocate(message, who);
        }
        // Nobody takes over an allocation with credentials of their own.
        let mismatch = Refusal::plain(ErrorCode::ALLOCATION_MISMATCH);
        let allocation = self.allocation.as_mut().ok_or(mismatch)?;
        if allocation.user != who.user {
            return Err(Refusal::plain(ErrorCode::WRONG_CREDENTIALS));
        }
        match message.method() {
            REFRESH => self.refresh(message, who, now),
            CREATE_PERMISSION => allocation.permit(message, who, self.house.peer, now),
            CHANNEL_BIND => allocation.bind(message, who, self.house.peer, now),
            _ => Err(Refusal::plain(ErrorCode::BAD_REQUEST)),
        }
    }

    fn allocate(&self, message: &Message<'_>, who: &Proved) -> Answered {
        if let Some(allocation) = &self.allocation {
            return if allocation.transaction == message.transaction_id() {
                Ok(Reaction::Reply(allocation.answer.clone()))
            } else {
                Err(Refusal::plain(ErrorCode::ALLOCATION_MISMATCH))
            };
        }
        let Ok(transport) = message.attribute::<RequestedTransport>() else {
            return Err(Refusal::plain(ErrorCode::BAD_REQUEST));
        };
        if transport.protocol() != RequestedTransport::UDP {
            return Err(Refusal::plain(ErrorCode::UNSUPPORTED_TRANSPORT_PROTOCOL));
        }
        let family = match message.attribute::<RequestedAddressFamily>() {
            Ok(asked) => asked.family(),
            Err(_) => AddressFamily::IPV4,
        };
        if (family == AddressFamily::IPV4) != self.house.peer.is_ipv4() {
            return Err(Refusal::plain(ErrorCode::ADDRESS_FAMILY_NOT_SUPPORTED));
        }
        let place = self.house.limits.take(&who.name).map_err(|full| match full {
            Full::User => Refusal::plain(ErrorCode::ALLOCATION_QUOTA_REACHED),
            Full::Total => Refusal::plain(ErrorCode::INSUFFICIENT_CAPACITY),
        })?;
        Ok(Reaction::Allocate(Box::new(Pending {
            request: message.as_bytes().to_vec(),
            who: who.clone(),
            place,
        })))
    }

    /// The socket to the peer is open at this port, or could not be opened. Answers what is told to the client.
    pub(crate) fn allocated(
        &mut self,
        pending: Pending,
        port: Option<u16>,
        now: Instant,
        wall: Timestamp,
    ) -> Option<Vec<u8>> {
        let Pending { request, who, place } = pending;
        let message = Message::from_bytes(&request).ok()?;
        let Some(port) = port else {
            let refusal = Refusal::plain(ErrorCode::INSUFFICIENT_CAPACITY);
            let guard = &self.house.guard;
            return Some(guard.refuse(&message, &refusal, Some(&who.key), self.client, wall));
        };
        let transaction = message.transaction_id();
        let relayed = XorRelayedAddress::new(SocketAddr::new(self.house.relayed, port), transaction);
        let seen = XorMappedAddress::new(self.client, transaction);
        let lifetime = seconds(LIFETIME);
        let answer = success(&message, &[&relayed, &lifetime, &seen], Some(&who.key));
        self.allocation = Some(Allocation {
            user: who.user,
            transaction,
            answer: answer.clone(),
            until: now + LIFETIME,
            permitted_until: None,
            channel: None,
            _place: place,
        });
        Some(answer)
    }

    fn refresh(&mut self, message: &Message<'_>, who: &Proved, now: Instant) -> Answered {
        let end = message.attribute::<Lifetime>().is_ok_and(|asked| asked.seconds() == 0);
        if end {
            self.allocation = None;
        } else if let Some(allocation) = self.allocation.as_mut() {
            allocation.until = now + LIFETIME;
        }
        let left = if end { Lifetime::new(0) } else { seconds(LIFETIME) };
        Ok(Reaction::Reply(success(message, &[&left], Some(&who.key))))
    }
}

fn seconds(duration: std::time::Duration) -> Lifetime {
    Lifetime::new(u32::try_from(duration.as_secs()).unwrap_or(u32::MAX))
}

impl Allocation {
    fn permits(&self, now: Instant) -> bool {
        self.permitted_until.is_some_and(|until| now < until)
    }

    /// Permissions are for an address whatever the port (RFC 8656 section 9); ours for one address only.
    fn permit(&mut self, message: &Message<'_>, who: &Proved, peer: SocketAddr, now: Instant) -> Answered {
        let transaction = message.transaction_id();
        let mut asked = 0..;
        let mut any = false;
        while let Some(one) = asked
            .next()
            .and_then(|n| message.nth_attribute::<XorPeerAddress>(n).ok())
        {
            any = true;
            allowed(one.addr(transaction).ip() == peer.ip())?;
        }
        if !any {
            return Err(Refusal::plain(ErrorCode::BAD_REQUEST));
        }
        self.permitted_until = Some(now + PERMISSION);
        Ok(Reaction::Reply(success(message, &[], Some(&who.key))))
    }

    fn bind(&mut self, message: &Message<'_>, who: &Proved, peer: SocketAddr, now: Instant) -> Answered {
        let said = (
            message.attribute::<ChannelNumber>(),
            message.attribute::<XorPeerAddress>(),
        );
        let (Ok(number), Ok(asked)) = said else {
            return Err(Refusal::plain(ErrorCode::BAD_REQUEST));
        };
        allowed(asked.addr(message.transaction_id()) == peer)?;
        let number = number.channel();
        let other = self
            .channel
            .is_some_and(|(bound, until)| bound != number && now < until);
        if other || !(0x4000..=0x4FFF).contains(&number) {
            return Err(Refusal::plain(ErrorCode::BAD_REQUEST));
        }
        self.channel = Some((number, now + CHANNEL));
        self.permitted_until = Some(now + PERMISSION);
        Ok(Reaction::Reply(success(message, &[], Some(&who.key))))
    }
}

const fn allowed(yes: bool) -> Result<(), Refusal> {
    if yes {
        Ok(())
    } else {
        Err(Refusal::plain(ErrorCode::FORBIDDEN))
    }
}
