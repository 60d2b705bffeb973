//! Who may what: one table of route × role. A route that is not here is refused.

use super::Role::{self, Administrator, Auditor, Operator};

/// Who may ask for a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anyone: it is how one signs in.
    Open,
    /// A paired appliance: what it sends says whose it is, and is judged by that.
    Peer,
    /// These roles.
    Roles(&'static [Role]),
}

const OPEN: Access = Access::Open;
const PEER: Access = Access::Peer;
const ALL: Access = Access::Roles(&Role::ALL);
const ADMINISTRATOR: Access = Access::Roles(&[Administrator]);
const OPERATOR: Access = Access::Roles(&[Operator]);
const AUDITOR: Access = Access::Roles(&[Auditor]);
const OVERSIGHT: Access = Access::Roles(&[Administrator, Auditor]);

/// Method, path, access.
pub const TABLE: &[(&str, &str, Access)] = &[
    ("GET", "/manage/v1/openapi.json", OPEN),
    ("GET", "/manage/v1/session", OPEN),
    ("POST", "/manage/v1/session", OPEN),
    ("POST", "/manage/v1/session/certificate", OPEN),
    ("POST", "/manage/v1/session/first", OPEN),
    ("POST", "/manage/v1/setup", OPEN),
    ("DELETE", "/manage/v1/session", ALL),
    ("POST", "/manage/v1/session/password", ALL),
    ("GET", "/manage/v1/overview", ALL),
    ("GET", "/manage/v1/meter", ALL),
    ("POST", "/manage/v1/self-test", ALL),
    ("GET", "/manage/v1/accounts", OVERSIGHT),
    ("POST", "/manage/v1/accounts", ADMINISTRATOR),
    ("PUT", "/manage/v1/accounts/{id}", ADMINISTRATOR),
    ("DELETE", "/manage/v1/accounts/{id}", ADMINISTRATOR),
    ("POST", "/manage/v1/accounts/{id}/recover", ADMINISTRATOR),
    ("POST", "/manage/v1/accounts/{id}/certificates", ADMINISTRATOR),
    (
        "DELETE",
        "/manage/v1/accounts/{id}/certificates/{fingerprint}",
        ADMINISTRATOR,
    ),
    ("GET", "/manage/v1/keys", ALL),
    ("POST", "/manage/v1/keys", ADMINISTRATOR),
    ("POST", "/manage/v1/keys/{index}/request", ADMINISTRATOR),
    ("POST", "/manage/v1/keys/{index}/certificate", ADMINISTRATOR),
    ("POST", "/manage/v1/keys/{index}/certify", ADMINISTRATOR),
    ("POST", "/manage/v1/keys/{index}/activate", ADMINISTRATOR),
    ("POST", "/manage/v1/keys/{index}/retire", ADMINISTRATOR),
    ("POST", "/manage/v1/keys/{index}/destroy", ADMINISTRATOR),
    ("POST", "/manage/v1/keys/adopt", ADMINISTRATOR),
    ("POST", "/manage/v1/keys/import", ADMINISTRATOR),
    ("GET", "/manage/v1/devices", ALL),
    ("GET", "/manage/v1/devices/{name}/keys", ADMINISTRATOR),
    ("POST", "/manage/v1/devices/{name}/retry", ADMINISTRATOR),
    ("POST", "/manage/v1/devices/{name}/pin", ADMINISTRATOR),
    ("GET", "/manage/v1/outside", ALL),
    ("GET", "/manage/v1/outside/{name}/signers", OVERSIGHT),
    ("POST", "/manage/v1/outside/{name}/signers", ADMINISTRATOR),
    ("POST", "/manage/v1/outside/{name}/certificate", ADMINISTRATOR),
    ("POST", "/manage/v1/outside/{name}/retry", ADMINISTRATOR),
    (
        "POST",
        "/manage/v1/outside/{name}/signers/{signer}/accept",
        ADMINISTRATOR,
    ),
    ("DELETE", "/manage/v1/outside/{name}/signers/{signer}", ADMINISTRATOR),
    ("GET", "/manage/v1/tls", OVERSIGHT),
    ("POST", "/manage/v1/tls/{interface}/import", ADMINISTRATOR),
    ("POST", "/manage/v1/tls/{interface}/renew", ADMINISTRATOR),
    ("GET", "/manage/v1/custodians", OVERSIGHT),
    ("POST", "/manage/v1/custodians", ADMINISTRATOR),
    ("POST", "/manage/v1/custodians/{number}/share", ADMINISTRATOR),
    ("POST", "/manage/v1/backup", ADMINISTRATOR),
    ("POST", "/manage/v1/restore", ADMINISTRATOR),
    ("POST", "/manage/v1/restore/{token}", ADMINISTRATOR),
    ("GET", "/manage/v1/replica", OVERSIGHT),
    ("POST", "/manage/v1/replica/peers", ADMINISTRATOR),
    ("POST", "/manage/v1/replica/peers/{id}/approve", ADMINISTRATOR),
    ("DELETE", "/manage/v1/replica/peers/{id}", ADMINISTRATOR),
    ("POST", "/manage/v1/replica/peers/{id}/package", ADMINISTRATOR),
    ("POST", "/manage/v1/replica/import", ADMINISTRATOR),
    ("POST", "/manage/v1/replica/packages", PEER),
    ("GET", "/manage/v1/applications", ALL),
    ("POST", "/manage/v1/applications", OPERATOR),
    ("PUT", "/manage/v1/applications/{id}", OPERATOR),
    ("POST", "/manage/v1/applications/{id}/certificates", OPERATOR),
    (
        "DELETE",
        "/manage/v1/applications/{id}/certificates/{fingerprint}",
        OPERATOR,
    ),
    ("POST", "/manage/v1/applications/{id}/secret", OPERATOR),
    ("GET", "/manage/v1/chains", ALL),
    ("POST", "/manage/v1/chains", OPERATOR),
    ("POST", "/manage/v1/chains/own", OPERATOR),
    ("DELETE", "/manage/v1/chains/{id}", OPERATOR),
    ("DELETE", "/manage/v1/chains/{id}/certificates/{fingerprint}", OPERATOR),
    ("PUT", "/manage/v1/chains/{id}/revocation", OPERATOR),
    ("GET", "/manage/v1/revocation", ALL),
    ("POST", "/manage/v1/revocation/fetch", OPERATOR),
    ("POST", "/manage/v1/revocation/import", OPERATOR),
    ("GET", "/manage/v1/revocation/own", ALL),
    ("POST", "/manage/v1/revocation/own", ADMINISTRATOR),
    ("GET", "/manage/v1/stamping", ALL),
    ("PUT", "/manage/v1/stamping", ADMINISTRATOR),
    ("POST", "/manage/v1/stamping/keys/{index}/certify", ADMINISTRATOR),
    ("GET", "/manage/v1/certificates", ALL),
    ("POST", "/manage/v1/certificates", OPERATOR),
    ("GET", "/manage/v1/certificates/{fingerprint}", ALL),
    ("GET", "/manage/v1/certificates/{fingerprint}/file", ALL),
    ("POST", "/manage/v1/certificates/{fingerprint}/remove", OPERATOR),
    ("GET", "/manage/v1/settings", ALL),
    ("PUT", "/manage/v1/settings/web-service", OPERATOR),
    ("PUT", "/manage/v1/settings/syslog", OPERATOR),
    ("PUT", "/manage/v1/settings/time", OPERATOR),
    ("PUT", "/manage/v1/settings/log", AUDITOR),
    ("PUT", "/manage/v1/settings/own-lists", ADMINISTRATOR),
    ("GET", "/manage/v1/time", ALL),
    ("GET", "/manage/v1/time/history", ALL),
    ("POST", "/manage/v1/time/poll", OPERATOR),
    ("GET", "/manage/v1/syslog", ALL),
    ("GET", "/manage/v1/log", AUDITOR),
    ("POST", "/manage/v1/log/check", AUDITOR),
    ("GET", "/manage/v1/log/check", AUDITOR),
    ("GET", "/manage/v1/log.csv", AUDITOR),
    ("GET", "/manage/v1/log/checkpoints", AUDITOR),
];

/// What a follower gets from its source: not to be changed on it, for the next package would undo that without a word.
const FROM_SOURCE: [&str; 7] = [
    "/manage/v1/keys",
    "/manage/v1/applications",
    "/manage/v1/chains",
    "/manage/v1/certificates",
    "/manage/v1/revocation/own",
    "/manage/v1/stamping/keys",
    "/manage/v1/restore/{token}",
];

/// Whether a request changes what a follower gets from its source.
#[must_use]
pub fn is_from_source(method: &str, path: &str) -> bool {
    method != "GET" && FROM_SOURCE.iter().any(|begin| path.starts_with(begin))
}

/// Who may ask for a route; `None` when it is not in the table.
#[must_use]
pub fn access(method: &str, path: &str) -> Option<Access> {
    let found = TABLE.iter().find(|(m, p, _)| *m == method && *p == path);
    found.map(|(_, _, access)| *access)
}

impl Access {
    /// Whether this role may.
    #[must_use]
    pub fn grants(self, role: Role) -> bool {
        match self {
            Self::Open | Self::Peer => true,
            Self::Roles(roles) => roles.contains(&role),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::manage::document;

    #[test]
    fn every_route_has_its_roles_and_every_line_of_the_table_is_a_route() {
        let mut served = BTreeSet::from([("GET".to_owned(), "/manage/v1/openapi.json".to_owned())]);
        for (path, item) in document().paths.paths {
            for (method, there) in [
                ("GET", item.get.is_some()),
                ("POST", item.post.is_some()),
                ("PUT", item.put.is_some()),
                ("DELETE", item.delete.is_some()),
            ] {
                if there {
                    served.insert((method.to_owned(), path.clone()));
                }
            }
        }
        let table: BTreeSet<(String, String)> = TABLE
            .iter()
            .map(|(m, p, _)| ((*m).to_owned(), (*p).to_owned()))
            .collect();
        assert_eq!(table.len(), TABLE.len(), "a route stands twice in the table");
        assert_eq!(table, served);
    }

    #[test]
    fn duties_are_separated() {
        for (method, path, access) in TABLE {
            let Access::Roles(roles) = access else { continue };
            let changes = *method != "GET";
            let shared = [
                "/manage/v1/session",
                "/manage/v1/session/password",
                "/manage/v1/self-test",
            ];
            if changes && !shared.contains(path) {
                assert_eq!(roles.len(), 1, "{method} {path} is one role's duty");
            }
        }
    }
}
