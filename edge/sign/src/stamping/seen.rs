//! Time stamps from an application's side: what it asks a unit for, and what a stamp in its hands is worth.

use std::sync::Arc;

use gm::stamp::{Imprint, Request, Token, token_of};
use gm::{Certificate, Refused};
use records::Timestamp;

use crate::application::Format;
use crate::fault::{Code, Fault};
use crate::service::{Caller, Level, Service, bounded};
use crate::wrap;

/// A time stamp that holds.
#[derive(Debug)]
pub(crate) struct SeenStamp {
    /// The time that it proves.
    pub(crate) at: Timestamp,
    /// The unit's certificate.
    pub(crate) unit: Certificate,
    /// The digest that it is over.
    pub(crate) digest: Vec<u8>,
}

impl Service {
    /// A request over data, for this server's unit or another's.
    pub(crate) async fn ask_stamp(self: &Arc<Self>, caller: &Caller, data: Vec<u8>) -> Result<Vec<u8>, Fault> {
        let (bytes, hash) = (data.len(), self.stamp_hash());
        self.perform(caller, "stamp.asked", Some(Format::Stamp), bytes, move |_| {
            bounded(bytes)?;
            let request = Request::over(hash, &data).with_nonce(&wrap::random::<16>()?);
            let over = hex::encode(&request.imprint.digest);
            Ok((request.to_der(), format!("over {over}")))
        })
        .await
    }

    /// Verifies a unit's reply over data, or, without data, over whatever it is.
    pub(crate) async fn verify_stamp(
        self: &Arc<Self>,
        caller: &Caller,
        reply: Vec<u8>,
        data: Option<Vec<u8>>,
    ) -> Result<SeenStamp, Fault> {
        let bytes = reply.len() + data.as_ref().map_or(0, Vec::len);
        self.perform(caller, "stamp.verified", Some(Format::Stamp), bytes, move |desk| {
            bounded(bytes)?;
            let stamped = token_of(&reply).and_then(Token::read).and_then(|token| {
                let imprint = match &data {
                    Some(data) => Imprint::of(token.info.imprint.hash, data),
                    None => token.info.imprint.clone(),
                };
                token.verify(&imprint, &desk.trust(), desk.now.offset())
            });
            let stamped = stamped.map_err(|reason| invalid(&reason))?;
            desk.unrevoked(&stamped.path, Level::Policy)?;
            let seen = SeenStamp {
                at: Timestamp::from_offset(stamped.info.at),
                digest: stamped.info.imprint.digest,
                unit: stamped.unit,
            };
            let detail = format!("unit {} over {}", seen.unit.serial_hex(), hex::encode(&seen.digest));
            Ok((seen, detail))
        })
        .await
    }
}

/// Which of the unit's reply does not hold.
fn invalid(reason: &Refused) -> Fault {
    Fault::new(Code::StampInvalid, reason.person())
}
