//! Who is trusted: several chains of authorities (证书链) side by side, paths to them, and the state of what lies on a path.
//!
//! ```text
//! let trust = Trust::new(roots)?.with_authorities(intermediates)?;
//! let path = trust.path(&signer, &certificates_in_the_message, at)?;
//! let judged = trust.judge(&path, rule, &evidence, moment);
//! judged.verdict?;                       // and judged.checked says for each certificate what was seen, by what
//!
//! // Years later, by what was kept with the signature:
//! let kept = verify_kept(&message, content, (&trust, &stampers), rule, None, now)?.accepted()?;
//! ```

mod judge;
mod kept;
mod stapled;

use time::OffsetDateTime;

pub use judge::{By, Checked, Evidence, Failure, Finding, Judged, Rule, Source};
pub use kept::{Kept, verify_kept};
pub use stapled::{Opened, Stapled};

use crate::{Certificate, Refused};

/// Authorities between the signer and the root, at most.
const MAX_BETWEEN: usize = 4;
/// Signatures of certificates verified in the search for one path, at most: a message stuffed with look-alikes of an
/// authority (same name, same key id) costs no more than this.
const MAX_TRIES: usize = 32;

/// The roots that are trusted, and authorities below them that messages need not carry.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    roots: Vec<Certificate>,
    authorities: Vec<Certificate>,
}

/// What a search has cost, and the best reason it has found for there being no path.
struct Search {
    tries: usize,
    why: Option<Refused>,
}

impl Search {
    /// The first reason is the one that lies nearest to the signer.
    fn note(&mut self, reason: Refused) {
        self.why.get_or_insert(reason);
    }
}

impl Trust {
    /// Trusts these roots (DER).
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn new<B: AsRef<[u8]>>(roots: impl IntoIterator<Item = B>) -> Result<Self, Refused> {
        Ok(Self {
            roots: parse(roots)?,
            authorities: Vec::new(),
        })
    }

    /// Knows these intermediate authorities (DER) as well: they are not trusted, but lead to roots that are.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn with_authorities<B: AsRef<[u8]>>(mut self, more: impl IntoIterator<Item = B>) -> Result<Self, Refused> {
        self.authorities.extend(parse(more)?);
        Ok(self)
    }

    /// The roots.
    #[must_use]
    pub fn roots(&self) -> &[Certificate] {
        &self.roots
    }

    /// The intermediate authorities known here.
    #[must_use]
    pub fn authorities(&self) -> &[Certificate] {
        &self.authorities
    }

    /// The path from `leaf` (first) to the root (last), each link verified, allowed to issue and valid `at` that time.
    ///
    /// Authorities are looked for among those known here and in `others`; where several fit by name and key id (a renewed
    /// or cross-certified authority), each is tried. When there is no path the reason nearest to the leaf is given.
    ///
    /// # Errors
    /// No path, with the reason.
    pub fn path(
        &self,
        leaf: &Certificate,
        others: &[Certificate],
        at: OffsetDateTime,
    ) -> Result<Vec<Certificate>, Refused> {
        self.path_to(&self.roots, leaf, others, at)
    }

    /// Likewise, to one of these roots alone.
    fn path_to(
        &self,
        roots: &[Certificate],
        leaf: &Certificate,
        others: &[Certificate],
        at: OffsetDateTime,
    ) -> Result<Vec<Certificate>, Refused> {
        leaf.is_valid_at(at)?;
        let mut search = Search { tries: 0, why: None };
        let mut path = vec![leaf];
        if self.climb(roots, &mut path, others, at, &mut search) {
            Ok(path.into_iter().cloned().collect())
        } else {
            Err(search.why.unwrap_or(Refused::Untrusted))
        }
    }

    fn climb<'a>(
        &'a self,
        roots: &'a [Certificate],
        path: &mut Vec<&'a Certificate>,
        others: &'a [Certificate],
        at: OffsetDateTime,
        search: &mut Search,
    ) -> bool {
        let Some(current) = path.last().copied() else {
            return false;
        };
        let below = path.len() - 1;
        for root in roots {
            if issues(root, current, below, at, search) {
                if root.der != current.der {
                    path.push(root);
                }
                return true;
            }
        }
        if below >= MAX_BETWEEN {
            return false;
        }
        for next in self.authorities.iter().chain(others) {
            // No authority twice, under whatever certificate (RFC 4158 2.4.2): a detour proves nothing more.
            let seen = path
                .iter()
                .any(|seen| seen.subject_der == next.subject_der && seen.public_key == next.public_key);
            if !seen && issues(next, current, below, at, search) {
                path.push(next);
                if self.climb(roots, path, others, at, search) {
                    return true;
                }
                path.pop();
            }
        }
        false
    }
}

/// Whether `issuer` stands above `subject`, with this many authorities between them and the leaf.
fn issues(issuer: &Certificate, subject: &Certificate, below: usize, at: OffsetDateTime, search: &mut Search) -> bool {
    // The cheap half first: a signature is verified only for a candidate that fits by name.
    if issuer.subject_der != subject.issuer_der {
        return false;
    }
    if search.tries == MAX_TRIES {
        search.why = Some(Refused::TooLarge {
            at: "candidates for the certificate path",
        });
        return false;
    }
    search.tries += 1;
    let fits = subject
        .is_issued_by(issuer)
        .and_then(|()| issuer.is_valid_at(at))
        .and_then(|()| issuer.may_issue(below));
    match fits {
        Ok(()) => true,
        Err(Refused::Untrusted) => false,
        Err(reason) => {
            search.note(reason);
            false
        }
    }
}

fn parse<B: AsRef<[u8]>>(all: impl IntoIterator<Item = B>) -> Result<Vec<Certificate>, Refused> {
    all.into_iter().map(|der| Certificate::parse(der.as_ref())).collect()
}
