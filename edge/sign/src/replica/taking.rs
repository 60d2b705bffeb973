//! A follower takes a package: whole or not at all, once, and only from its source.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::introduction::{Judged, id};
use super::package::{Sealed, damaged};
use super::{PeerRole, PeerState, Replica, content};
use crate::Refusal;
use crate::engine::open_key;
use crate::manage::backup::content::Content;
use crate::vault::{PeerRow, Unit};
use crate::wrap::Wrapping;

/// What a follower says of a package it took, signed by its TPM.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct Receipt {
    /// The package's number.
    pub(super) number: i64,
    /// The follower's signature over the package's fingerprint and number, hexadecimal.
    pub(super) signature: String,
}

/// In the place of a person in the log: the line between appliances.
pub(super) const LINE: &str = "replica";

/// What a receipt signs.
pub(super) fn receipt_text(package: &[u8], number: i64) -> Vec<u8> {
    format!("signd replica receipt\n{number}\n{}", hex::encode(gm::sm3(package))).into_bytes()
}

/// The approved source that a package says it is from.
fn source(unit: &Unit<'_>, fingerprint: &str) -> Result<PeerRow, Refusal> {
    let bytes = hex::decode(fingerprint).ok().and_then(|bytes| bytes.try_into().ok());
    let bytes: [u8; 32] = bytes.ok_or_else(damaged)?;
    let row = unit.peer(&id(&bytes))?;
    let row = row.filter(|row| row.state == PeerState::Approved.name() && row.role == PeerRole::Source.name());
    row.ok_or_else(unpaired)
}

pub(super) fn unpaired() -> Refusal {
    let text = "制作复制包的设备没有作为主设备与本设备配对（或配对尚未批准、已解除），未导入。";
    Refusal::no("replica_unpaired", text)
}

/// A number is taken once.
fn is_new(row: &PeerRow, number: i64) -> Result<(), Refusal> {
    if number > row.number {
        return Ok(());
    }
    let text = format!(
        "这个复制包（编号 {number}）不比本设备已收到的（编号 {}）新，未导入。",
        row.number
    );
    Err(Refusal::no("replica_replayed", text))
}

impl Replica {
    /// Takes a package that was carried here as a file, or came by the line (`by` nobody). A refusal is an entry in the log
    /// as well.
    pub(crate) fn take(&self, by: Option<&str>, package: &[u8]) -> Result<Receipt, Refusal> {
        let person = by.unwrap_or(LINE);
        let taken = self.try_take(person, package);
        let engine = self.engine();
        let now = engine.clock.now();
        if let Err(Refusal::No { code, .. }) = &taken
            && (by.is_some() || self.enters_refusal(now))
        {
            let detail = format!("package {} {code}", hex::encode(gm::sm3(package)));
            engine
                .vault
                .write(|unit| unit.log(now, "replica.refused", person, &detail))?;
        }
        taken
    }

    fn try_take(&self, by: &str, package: &[u8]) -> Result<Receipt, Refusal> {
        let sealed = Sealed::read(package)?;
        let engine = self.engine();
        let own = self.own()?;
        let row = engine.vault.read(|unit| source(unit, &sealed.header.source))?;
        let judged: Judged = self.judged(&row)?;
        sealed.is_from(&judged)?;
        if sealed.header.target != hex::encode(own.keys.fingerprint()) {
            let text = "这个复制包是为另一台设备制作的，未导入。";
            return Err(Refusal::no("replica_target", text));
        }
        let number = sealed.header.number;
        is_new(&row, number)?;
        let key = sealed.key(&own)?;
        let body = sealed.open(&key)?;
        let there: Content = serde_json::from_slice(&body).map_err(|_| damaged())?;
        let kek = engine.kek()?;
        let digest = gm::sm3(&body).to_vec();
        let rewrapped = there.secrets(|owner, kept| {
            let secret = open_key(&key, kept, owner, "key")?;
            Ok(Wrapping::derive(&kek, None, owner)?.wrap(&secret, owner)?.into())
        })?;
        let signature = own.sign(&receipt_text(package, number))?;
        let now = engine.clock.now();
        engine.vault.write(|unit| {
            // As it is now: another package, or an administrator, may have come in between.
            let mut row = source(unit, &sealed.header.source)?;
            is_new(&row, number)?;
            content::apply(unit, &rewrapped, &kek)?;
            (row.number, row.digest, row.settled_at) = (number, digest, Some(now));
            row.trouble = String::new();
            unit.put_peer(&row, now)?;
            let keys = rewrapped.rows("server_key").len();
            let detail = format!(
                "from {} {} number {number} made {} version {}, {keys} keys",
                row.id, row.name, sealed.header.made_at, sealed.header.version
            );
            unit.log(now, "replica.taken", by, &detail)
        })?;
        Ok(Receipt {
            number,
            signature: hex::encode(signature),
        })
    }
}
