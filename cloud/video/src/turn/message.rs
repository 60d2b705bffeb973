//! Answers to a client, and the checks before them.

use std::net::SocketAddr;
use std::time::Duration;

use records::Timestamp;
use ring::hmac;
use turn_types::attribute::{
    ChannelNumber, Data, Lifetime, RequestedAddressFamily, RequestedTransport, XorPeerAddress,
};
use turn_types::message::DATA;
use turn_types::stun::attribute::{
    AttributeType, ErrorCode, Fingerprint, MessageIntegrity, Nonce, Realm, UnknownAttributes, Username,
};
use turn_types::stun::message::{
    IntegrityAlgorithm, IntegrityKey, LongTermKeyCredentials, Message, MessageWriteVec, TransactionId,
};
use turn_types::stun::prelude::{Attribute, AttributeStaticType, AttributeWrite, MessageWrite, MessageWriteExt};

use super::{NONCE, credential};

/// What is told to a client that must (again) prove itself, or may not.
pub(crate) struct Refusal {
    pub(crate) code: u16,
    /// With realm and a new nonce, so that it can try again.
    pub(crate) challenge: bool,
}

impl Refusal {
    pub(crate) const fn plain(code: u16) -> Self {
        Self { code, challenge: false }
    }

    const fn challenge(code: u16) -> Self {
        Self { code, challenge: true }
    }
}

/// Who asks, proved.
#[derive(Clone)]
pub(crate) struct Proved {
    /// The whole user name.
    pub(crate) user: String,
    /// Whose allocations are counted together.
    pub(crate) name: String,
    pub(crate) key: IntegrityKey,
}

/// Knows who may use the relay.
pub(crate) struct Guard {
    secret: String,
    realm: String,
    nonces: hmac::Key,
}

impl Guard {
    pub(crate) fn new(secret: String, realm: String) -> Self {
        let nonces = hmac::Key::new(hmac::HMAC_SHA256, format!("nonce of {secret}").as_bytes());
        Self { secret, realm, nonces }
    }

    /// A nonce for this client that we know again without keeping it: its end, and our mark over that and the address.
    fn nonce(&self, client: SocketAddr, until: i64) -> String {
        let mark = hmac::sign(&self.nonces, format!("{until} {client}").as_bytes());
        let mark: String = mark.as_ref().iter().take(16).map(|b| format!("{b:02x}")).collect();
        format!("{until:x}-{mark}")
    }

    fn knows(&self, nonce: &str, client: SocketAddr, now: Timestamp) -> bool {
        let until = nonce
            .split_once('-')
            .and_then(|(until, _)| i64::from_str_radix(until, 16).ok());
        until.is_some_and(|until| now.as_seconds() < until && self.nonce(client, until) == nonce)
    }

    /// Who asks (RFC 8489 section 9.2.4).
    pub(crate) fn prove(&self, message: &Message<'_>, client: SocketAddr, now: Timestamp) -> Result<Proved, Refusal> {
        if !message.has_attribute(MessageIntegrity::TYPE) {
            return Err(Refusal::challenge(ErrorCode::UNAUTHORIZED));
        }
        let said = (
            message.attribute::<Username>(),
            message.attribute::<Realm>(),
            message.attribute::<Nonce>(),
        );
        let (Ok(user), Ok(_), Ok(nonce)) = said else {
            return Err(Refusal::plain(ErrorCode::BAD_REQUEST));
        };
        if !self.knows(nonce.nonce(), client, now) {
            return Err(Refusal::challenge(ErrorCode::STALE_NONCE));
        }
        let user = user.username().to_owned();
        let Some(name) = credential::name(&user, now).map(str::to_owned) else {
            return Err(Refusal::challenge(ErrorCode::UNAUTHORIZED));
        };
        let password = credential::password(&self.secret, &user);
        let key =
            LongTermKeyCredentials::new(user.clone(), password, self.realm.clone()).make_key(IntegrityAlgorithm::Sha1);
        match message.validate_integrity_with_key(&key) {
            Ok(_) => Ok(Proved { user, name, key }),
            Err(_) => Err(Refusal::challenge(ErrorCode::UNAUTHORIZED)),
        }
    }

    /// A refusal on the wire; signed once the client has proved itself.
    pub(crate) fn refuse(
        &self,
        message: &Message<'_>,
        refusal: &Refusal,
        key: Option<&IntegrityKey>,
        client: SocketAddr,
        now: Timestamp,
    ) -> Vec<u8> {
        let error = ErrorCode::builder(refusal.code).build().ok();
        let until = now.plus(Duration::from_secs(NONCE.as_secs())).as_seconds();
        let realm = Realm::new(&self.realm).ok().filter(|_| refusal.challenge);
        let nonce = Nonce::new(&self.nonce(client, until))
            .ok()
            .filter(|_| refusal.challenge);
        let mut all: Vec<&dyn AttributeWrite> = Vec::new();
        all.extend(error.as_ref().map(|a| a as &dyn AttributeWrite));
        all.extend(realm.as_ref().map(|a| a as &dyn AttributeWrite));
        all.extend(nonce.as_ref().map(|a| a as &dyn AttributeWrite));
        finish(Message::builder_error(message, MessageWriteVec::new()), &all, key)
    }
}

/// A success with these attributes.
pub(crate) fn success(message: &Message<'_>, all: &[&dyn AttributeWrite], key: Option<&IntegrityKey>) -> Vec<u8> {
    finish(Message::builder_success(message, MessageWriteVec::new()), all, key)
}

/// Data of the peer for a client without a channel.
pub(crate) fn indication(peer: SocketAddr, data: &[u8]) -> Vec<u8> {
    let write = Message::builder_indication(DATA, MessageWriteVec::new());
    let transaction: TransactionId = write.transaction_id();
    finish(
        write,
        &[&XorPeerAddress::new(peer, transaction), &Data::new(data)],
        None,
    )
}

fn finish(mut write: MessageWriteVec, all: &[&dyn AttributeWrite], key: Option<&IntegrityKey>) -> Vec<u8> {
    for attribute in all {
        if let Err(error) = write.add_attribute(*attribute) {
            tracing::error!(%error, "an answer could not be written whole");
        }
    }
    let signed = key.map_or(Ok(()), |key| {
        write.add_message_integrity_with_key(key, IntegrityAlgorithm::Sha1)
    });
    if let Err(error) = signed.and_then(|()| write.add_fingerprint()) {
        tracing::error!(%error, "an answer could not be signed");
    }
    write.finish()
}

/// The attributes of a request that must be understood and are not (RFC 8489 section 6.3.1), as an answer.
pub(crate) fn not_understood(message: &Message<'_>) -> Option<Vec<u8>> {
    const UNDERSTOOD: [AttributeType; 10] = [
        Username::TYPE,
        Realm::TYPE,
        Nonce::TYPE,
        MessageIntegrity::TYPE,
        Fingerprint::TYPE,
        Lifetime::TYPE,
        RequestedTransport::TYPE,
        RequestedAddressFamily::TYPE,
        XorPeerAddress::TYPE,
        ChannelNumber::TYPE,
    ];
    let unknown: Vec<AttributeType> = message
        .iter_attributes()
        .map(|(_, attribute)| attribute.get_type())
        .filter(|kind| kind.comprehension_required() && !UNDERSTOOD.contains(kind) && *kind != Data::TYPE)
        .collect();
    if unknown.is_empty() {
        return None;
    }
    let error = ErrorCode::builder(ErrorCode::UNKNOWN_ATTRIBUTE).build().ok()?;
    let write = Message::builder_error(message, MessageWriteVec::new());
    Some(finish(write, &[&error, &UnknownAttributes::new(&unknown)], None))
}
