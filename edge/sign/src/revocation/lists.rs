//! The lists in force, and which list may take the place of which.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use gm::Certificate;
use gm::crl::Crl;
use gm::evidence::{Moment, Status};
use records::Timestamp;

use super::Trouble;

/// A list dated this far ahead of the clock is not believed.
const AHEAD: std::time::Duration = std::time::Duration::from_secs(300);

/// A list's place: issuer, the issuer's key, what it covers. SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ListId(pub(crate) [u8; 32]);

impl ListId {
    fn of(crl: &Crl) -> Self {
        let (head, mut bytes) = (crl.head(), Vec::new());
        let mut part = |piece: &[u8]| {
            bytes.extend_from_slice(&(piece.len() as u64).to_be_bytes());
            bytes.extend_from_slice(piece);
        };
        part(&head.issuer_der);
        part(&crl.issuer().public_key.to_spki());
        part(&[u8::from(head.scope.users_only), u8::from(head.scope.authorities_only)]);
        for address in &head.scope.addresses {
            part(address.as_bytes());
        }
        Self(gm::key::sha256(&bytes))
    }
}

impl fmt::Display for ListId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A list in force.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) id: ListId,
    /// The full list as it was issued: what deltas are applied to.
    base: Arc<Crl>,
    /// The same, brought up to date.
    pub(crate) crl: Arc<Crl>,
    /// Bytes of a list of our own authority.
    pub(crate) own: Option<Arc<[u8]>>,
}

impl Kept {
    /// Name of the issuer, for people.
    pub(crate) fn issuer(&self) -> &str {
        &self.crl.issuer().subject.common_name
    }

    /// A delta has been applied.
    pub(crate) fn is_updated(&self) -> bool {
        !Arc::ptr_eq(&self.base, &self.crl)
    }
}

/// What became of a list that was offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It is in force.
    New(ListId),
    /// It is what there was already.
    Known(ListId),
}

impl Taken {
    /// Its place.
    pub(crate) fn id(&self) -> ListId {
        match self {
            Self::New(id) | Self::Known(id) => *id,
        }
    }
}

/// All of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lists {
    kept: BTreeMap<ListId, Kept>,
    crls: Vec<Arc<Crl>>,
}

impl Lists {
    pub(crate) fn all(&self) -> impl Iterator<Item = &Kept> {
        self.kept.values()
    }

    pub(crate) fn get(&self, id: &ListId) -> Option<&Kept> {
        self.kept.get(id)
    }

    /// As evidence.
    pub(crate) fn crls(&self) -> &[Arc<Crl>] {
        &self.crls
    }

    /// Whether a list of the certificate's issuer revokes it now. For our own keys: no list at all is no reason to stop.
    pub(crate) fn revoke(&self, certificate: &Certificate, now: Timestamp) -> bool {
        self.revoked(certificate, now).is_some()
    }

    /// Since when a list of the certificate's issuer revokes it, where one does now.
    pub(crate) fn revoked(&self, certificate: &Certificate, now: Timestamp) -> Option<Timestamp> {
        let moment = Moment::present(now.offset());
        let named = self
            .crls
            .iter()
            .filter(|crl| crl.head().issuer_der == certificate.issuer_der);
        // Asked at every signature: the issuer's signature is looked at only where a list has the number.
        named
            .filter_map(|crl| match crl.status(certificate, moment) {
                Ok(Status::Revoked(revoked)) => Some((crl, revoked.at)),
                _ => None,
            })
            .find(|(crl, _)| certificate.is_issued_by(crl.issuer()).is_ok())
            .map(|(_, at)| Timestamp::from_offset(at))
    }

    /// Puts a verified list into force when it is better than what there is.
    pub(super) fn offer(&mut self, crl: &Arc<Crl>, now: Timestamp) -> Result<Taken, Trouble> {
        if crl.head().this_update > now.plus(AHEAD).offset() {
            return Err(Trouble::Worse("签发时间在将来"));
        }
        let id = ListId::of(crl);
        let before = self.kept.get(&id);
        let (base, served) = match (before, crl.head().base.is_some()) {
            (None, false) => (Arc::clone(crl), Arc::clone(crl)),
            (None, true) => return Err(Trouble::NoBase),
            (Some(kept), false) => {
                // A full list that its own deltas have overtaken is no step back; there is nothing to gain from it.
                if !better(crl, &kept.base, now)? || !better(crl, &kept.crl, now).unwrap_or(false) {
                    return Ok(Taken::Known(id));
                }
                (Arc::clone(crl), Arc::clone(crl))
            }
            (Some(kept), true) => {
                // Nor is a delta that a newer full list has overtaken.
                let overtaken = crl.head().number.as_ref().zip(kept.crl.head().number.as_ref());
                if overtaken.is_some_and(|(delta, full)| delta <= full) || !better(crl, &kept.crl, now)? {
                    return Ok(Taken::Known(id));
                }
                let updated = kept.base.apply(crl).map_err(Trouble::list)?;
                (Arc::clone(&kept.base), Arc::new(updated))
            }
        };
        self.put(Kept {
            id,
            base,
            crl: served,
            own: None,
        });
        Ok(Taken::New(id))
    }

    pub(super) fn put_own(&mut self, crl: Arc<Crl>, bytes: Arc<[u8]>) {
        self.put(Kept {
            id: ListId::of(&crl),
            base: Arc::clone(&crl),
            crl,
            own: Some(bytes),
        });
    }

    /// Puts a list from the disk back, unless a better one came meanwhile.
    pub(super) fn put_kept(&mut self, id: ListId, base: Arc<Crl>, updated: Option<Arc<Crl>>) {
        let crl = updated.unwrap_or_else(|| Arc::clone(&base));
        let newer = |kept: &Kept| kept.crl.head().this_update >= crl.head().this_update;
        if id == ListId::of(&base) && !self.kept.get(&id).is_some_and(newer) {
            self.put(Kept {
                id,
                base,
                crl,
                own: None,
            });
        }
    }

    /// Takes out the lists of those who are no longer among the issuers; ours stay. Answers whose.
    pub(super) fn forget_all_but(&mut self, issuers: &[Certificate]) -> Vec<ListId> {
        let known = |kept: &Kept| {
            let signer = kept.crl.issuer();
            kept.own.is_some() || issuers.iter().any(|issuer| issuer.public_key == signer.public_key)
        };
        let gone: Vec<ListId> = self
            .kept
            .values()
            .filter(|kept| !known(kept))
            .map(|kept| kept.id)
            .collect();
        self.kept.retain(|id, _| !gone.contains(id));
        self.crls = self.kept.values().map(|kept| Arc::clone(&kept.crl)).collect();
        gone
    }

    fn put(&mut self, kept: Kept) {
        self.kept.insert(kept.id, kept);
        self.crls = self.kept.values().map(|kept| Arc::clone(&kept.crl)).collect();
    }
}

/// Whether a list is newer than the one in force; a worse one is an error that says why, so that nobody brings an old list
/// back in which a certificate was not yet revoked.
fn better(new: &Crl, old: &Crl, now: Timestamp) -> Result<bool, Trouble> {
    let (new_head, old_head) = (new.head(), old.head());
    match (&new_head.number, &old_head.number) {
        (Some(new), Some(old)) if new < old => return Err(Trouble::Worse("编号小于现有列表")),
        (None, Some(_)) => return Err(Trouble::Worse("没有编号，而现有列表有编号")),
        _ => {}
    }
    if new_head.this_update < old_head.this_update {
        return Err(Trouble::Worse("签发时间早于现有列表"));
    }
    if new.is_stale(now.offset()) && !old.is_stale(now.offset()) {
        return Err(Trouble::Worse("已过期，而现有列表仍有效"));
    }
    let same_number = new_head.number.is_some() && new_head.number == old_head.number;
    let same_time = new_head.this_update == old_head.this_update;
    Ok(!(same_time && (same_number || new_head.number.is_none())))
}
