//! From a signer to a trusted root.

use time::OffsetDateTime;

use crate::{Certificate, Refused};

/// Authorities between the signer and the root, at most.
const MAX_BETWEEN: usize = 4;

/// The roots that are trusted.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    roots: Vec<Certificate>,
}

impl Trust {
    /// Trusts these roots (DER).
    pub fn new<B: AsRef<[u8]>>(roots: impl IntoIterator<Item = B>) -> Result<Self, Refused> {
        let roots = roots
            .into_iter()
            .map(|der| Certificate::parse(der.as_ref()))
            .collect::<Result<_, _>>()?;
        Ok(Self { roots })
    }

    /// The path from `leaf` (first) to the root (last), each link verified and valid `at` that time.
    ///
    /// Candidates are tried by name, so that a message stuffed with look-alikes cannot make this expensive: at most
    /// [`MAX_BETWEEN`] links are followed and the first issuer that verifies is taken.
    pub fn path(
        &self,
        leaf: &Certificate,
        others: &[Certificate],
        at: OffsetDateTime,
    ) -> Result<Vec<Certificate>, Refused> {
        let mut path = vec![leaf.clone()];
        leaf.is_valid_at(at)?;
        let mut current = leaf.clone();
        let mut why = Refused::Untrusted;
        for below in 0..=MAX_BETWEEN {
            if let Some(root) = self.issuer_of(&current, &self.roots, &mut why) {
                root.is_valid_at(at)?;
                root.may_issue(below)?;
                if root.der != current.der {
                    path.push(root.clone());
                }
                return Ok(path);
            }
            let Some(next) = self.issuer_of(&current, others, &mut why) else {
                return Err(why);
            };
            if path.iter().any(|seen| seen.der == next.der) {
                return Err(why); // a root in the message that nobody trusts
            }
            next.is_valid_at(at)?;
            next.may_issue(below)?;
            current = next.clone();
            path.push(next.clone());
        }
        Err(Refused::Untrusted)
    }

    fn issuer_of<'a>(&self, of: &Certificate, among: &'a [Certificate], why: &mut Refused) -> Option<&'a Certificate> {
        among.iter().find(|candidate| match of.is_issued_by(candidate) {
            Ok(()) => true,
            Err(Refused::Untrusted) => false,
            Err(reason) => {
                *why = reason;
                false
            }
        })
    }
}
