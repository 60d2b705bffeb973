//! Certificates of signers at outside servers that are at their end or near it, found before anybody tries to sign.

use std::time::Duration;

use gm::Certificate;
use records::Timestamp;

use super::{BindingState, Server, chain};
use crate::Refusal;
use crate::engine::Engine;
use crate::revocation::Lists;
use crate::vault::BindingRow;

/// How a certificate ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// A list of its issuer revokes it.
    Revoked,
    /// Its time is over.
    Expired,
    /// Its time is over soon.
    Expires,
}

/// A signer who cannot sign with the accepted certificate any more, or soon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ending {
    /// The signer's id, as the hospital's platform has it.
    pub(crate) signer: String,
    /// Whom the certificate names.
    pub(crate) name: String,
    /// The key's index at the server.
    pub(crate) key_index: u32,
    pub(crate) how: How,
    /// Since when; where it still holds, until when.
    pub(crate) at: Timestamp,
    /// Whose certificate it is, where it is that of an authority above the signer.
    pub(crate) above: Option<String>,
    /// The server has another certificate, which waits to be accepted.
    pub(crate) another: bool,
}

impl Ending {
    fn of(row: &BindingRow, lists: &Lists, (now, within): (Timestamp, Duration)) -> Result<Option<Self>, Refusal> {
        let chain = chain(row)?;
        let own = chain.first().ok_or(Refusal::Damaged("certificate"))?;
        // As for a signature: the whole path counts.
        let revoked = chain.iter().find_map(|one| Some((one, lists.revoked(one, now)?)));
        let found = match revoked {
            Some((whose, since)) => Some((whose, How::Revoked, since)),
            None => first_end(&chain).and_then(|(whose, end)| {
                let how = if end < now { How::Expired } else { How::Expires };
                (end <= now.plus(within)).then_some((whose, how, end))
            }),
        };
        Ok(found.map(|(whose, how, at)| Self {
            signer: row.signer.clone(),
            name: own.subject.common_name.clone(),
            key_index: row.key_index,
            how,
            at,
            above: (whose.der != own.der).then(|| whose.subject.common_name.clone()),
            another: row.seen.is_some(),
        }))
    }
}

/// The certificate of a path that ends first.
fn first_end(chain: &[Certificate]) -> Option<(&Certificate, Timestamp)> {
    let ends = chain.iter().map(|one| (one, Timestamp::from_offset(one.not_after)));
    ends.min_by_key(|(_, end)| *end)
}

impl Engine {
    /// Whose certificate at a server is revoked or over, or will be over within this time; the first to end first.
    pub(crate) fn outside_endings(
        &self,
        server: &Server,
        lists: &Lists,
        within: (Timestamp, Duration),
    ) -> Result<Vec<Ending>, Refusal> {
        let mut found = Vec::new();
        for row in self.vault.read(|unit| unit.outside_signers(&server.name))? {
            if BindingState::of(&row)? != BindingState::Ended {
                found.extend(Ending::of(&row, lists, within)?);
            }
        }
        found.sort_by_key(|ending| ending.at);
        Ok(found)
    }
}
