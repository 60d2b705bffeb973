//! What a list covers: `IssuingDistributionPoint` of RFC 5280 5.2.5.

use crate::der::{Reader, tag};
use crate::evidence::Unfit;
use crate::extension::{self, Particulars};
use crate::{Certificate, Refused};

/// Which certificates of its issuer a list speaks of. The default is all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// Addresses of this list; a certificate must name one of them.
    pub addresses: Vec<String>,
    /// A distribution point is named in a way no certificate here can be matched with.
    pub(super) other_name: bool,
    /// End-entity certificates only.
    pub users_only: bool,
    /// Certificates of authorities only.
    pub authorities_only: bool,
}

impl Scope {
    pub(super) fn read(value: &[u8]) -> Result<Self, Refused> {
        let mut outer = Reader::new(value, "issuing distribution point");
        let mut point = outer.sequence("issuing distribution point")?;
        outer.finish()?;
        let mut scope = Self::default();
        if let Some(name) = point.optional(tag::context(0))? {
            scope.addresses = extension::point_addresses(name.value)?;
            scope.other_name = scope.addresses.is_empty();
        }
        scope.users_only = extension::flag(&mut point, tag::context_primitive(1))?;
        scope.authorities_only = extension::flag(&mut point, tag::context_primitive(2))?;
        let some_reasons = point.optional(tag::context_primitive(3))?.is_some();
        let indirect = extension::flag(&mut point, tag::context_primitive(4))?;
        let attributes = extension::flag(&mut point, tag::context_primitive(5))?;
        point.finish()?;
        for (present, name) in [
            (some_reasons, "of some reasons only"),
            (indirect, "of other issuers (indirect)"),
            (attributes, "of attribute certificates"),
            (scope.other_name, "whose distribution point has no address"),
        ] {
            if present {
                return Err(Unfit::Unsupported(name).into());
            }
        }
        if scope.users_only && scope.authorities_only {
            return Err(Refused::Malformed {
                at: "issuing distribution point",
            });
        }
        Ok(scope)
    }

    /// Whether a certificate is among those covered.
    pub(super) fn covers(&self, certificate: &Certificate) -> Result<(), Refused> {
        let authority = certificate.authority.is_some();
        if self.users_only && authority {
            return Err(Unfit::OutOfScope("end-entity certificates").into());
        }
        if self.authorities_only && !authority {
            return Err(Unfit::OutOfScope("certificates of authorities").into());
        }
        if !self.addresses.is_empty() {
            // RFC 5280 6.3.3 (b)(2)(i): one of the names must be one of the certificate's.
            let named = Particulars::of(certificate)?;
            let here = |address: &String| self.addresses.contains(address);
            if !named.crls.iter().chain(&named.delta_crls).any(here) {
                return Err(Unfit::OutOfScope("certificates of another distribution point").into());
            }
        }
        Ok(())
    }
}
