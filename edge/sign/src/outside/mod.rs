//! Doctors' keys at a signature server of others 外部签名服务器: a province's platform, a certificate authority.
//!
//! The server is asked by the messages of GB/T 38629 ([`message`]) over HTTPS ([`line`]). It signs; everything else is done
//! here as for keys of our own: what it is given to sign are the signed attributes of a CMS message (some hundred bytes
//! with the document's digest), never the document.
//!
//! ```text
//! administrator binds              doctor sets up the signature, with the PIN
//!   waiting ─────────────────────────────▶ used ──other certificate seen──▶ changed ──accepted──▶ waiting
//!                                           ├────access password refused──▶ locked ───bound anew──▶ waiting
//!                                           └────unbound──────────────────▶ ended ────set up again─▶ (a key here)
//! ```
//! What holds:
//! * **The PIN as ever.** The access password of the key lies wrapped under the PIN as a key of our own would; between
//!   the binding and the doctor's setting up it lies under the key of keys. Nothing is asked for without the PIN.
//! * **No signature goes out unseen.** What comes back is verified with the certificate that was exported, led to the
//!   configured roots and accepted by an administrator. One that does not verify is dropped, logged and alarmed.
//! * **Counted before it is asked.** The count and a log entry are on the disk before the request leaves; one whose answer
//!   never comes stays counted and is logged as unknown. Asking again does no harm but counts.
//! * **A dead server holds up nobody.** Every call has a deadline, few run at a time, and while the server is known to be
//!   down nothing is sent but the tries of its keeper ([`server`]).

mod act;
mod asking;
mod config;
mod ending;
mod fault;
mod line;
mod message;
mod quota;
mod server;
mod signer;

use std::collections::BTreeMap;
use std::sync::Arc;

use gm::Certificate;
use gm::der::Reader;
use records::{Clock, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Refusal;
use crate::vault::{BindingRow, Vault};

pub(crate) use act::password_owner;
pub use act::{Bind, Found};
pub use config::{Beyond, ContractConfig, OutsideConfig};
pub(crate) use ending::{Ending, How};
pub(crate) use fault::Fault;
pub use quota::{Level, Use};
pub(crate) use server::Server;
pub use server::ServerView;
pub(crate) use signer::OutsideSigner;

/// How a binding stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum BindingState {
    /// Until the signer sets up the signature with the PIN.
    Waiting,
    /// The signer signs there.
    Used,
    /// The server has another certificate for it: refused until an administrator accepts that.
    Changed,
    /// The server refused the access password: refused until an administrator binds anew.
    Locked,
    /// Unbound: refused until the signer sets up a signature again, then with a key here.
    Ended,
}

impl BindingState {
    const ALL: [Self; 5] = [Self::Waiting, Self::Used, Self::Changed, Self::Locked, Self::Ended];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Used => "used",
            Self::Changed => "changed",
            Self::Locked => "locked",
            Self::Ended => "ended",
        }
    }

    pub(crate) fn of(row: &BindingRow) -> Result<Self, Refusal> {
        let found = Self::ALL.into_iter().find(|state| state.name() == row.state);
        found.ok_or(Refusal::Damaged("state of an outside signer"))
    }

    /// Why a signer bound so cannot sign, in plain words.
    pub(crate) fn refusal(self) -> Option<Refusal> {
        let (code, text) = match self {
            Self::Used => return None,
            Self::Waiting => (
                "outside_waiting",
                "外部签名服务器上的证书或口令已更换，请重新设置电子签名后再签名。",
            ),
            Self::Changed => (
                "outside_changed",
                "外部签名服务器上的证书与登记的不同，已暂停签名，请联系管理员确认新证书。",
            ),
            Self::Locked => (
                "outside_locked",
                "外部签名服务器拒绝了密钥口令，已暂停签名，请联系管理员重新登记口令。",
            ),
            Self::Ended => ("outside_ended", "您的外部电子签名已停用，请重新设置电子签名后再签名。"),
        };
        Some(Refusal::no(code, text))
    }
}

/// The certificates of a binding, the signer's own first.
pub(crate) fn chain(row: &BindingRow) -> Result<Vec<Certificate>, Refusal> {
    let mut reader = Reader::new(&row.chain, "chain");
    let mut chain = Vec::new();
    while !reader.is_empty() {
        chain.push(Certificate::parse(reader.any()?.raw)?);
    }
    if chain.is_empty() {
        return Err(Refusal::Damaged("certificate of an outside signer"));
    }
    Ok(chain)
}

/// The outside servers of the settings. Closed on drop.
#[derive(Default)]
pub(crate) struct Outside(BTreeMap<String, Arc<Server>>);

impl Outside {
    /// Begins to ask them. They need not be there; what is wrong with the settings is an error.
    pub(crate) fn start(
        configs: &[OutsideConfig],
        vault: &Arc<Vault>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, Refusal> {
        let mut servers = BTreeMap::new();
        for config in configs {
            config.check()?;
            let server = Server::start(config, Arc::clone(vault), Arc::clone(clock))?;
            if servers.insert(config.name.clone(), server).is_some() {
                let text = format!("配置中有两个名为 {} 的外部签名服务器。", config.name);
                return Err(Refusal::no("outside_name", text));
            }
        }
        Ok(Self(servers))
    }

    /// The one with this name, or that there is none.
    pub(crate) fn named(&self, name: &str) -> Result<&Arc<Server>, Refusal> {
        let unknown = || Refusal::no("outside_unknown", format!("配置中没有名为 {name} 的外部签名服务器。"));
        self.0.get(name).ok_or_else(unknown)
    }

    /// All of them.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Server>> {
        self.0.values()
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        self.all().for_each(|server| server.close());
    }
}

/// A binding, for people.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = OutsideSignerView)]
pub struct BindingView {
    /// The signer's id.
    pub signer: String,
    /// How it stands.
    pub state: BindingState,
    /// The key's index there.
    pub key_index: u32,
    /// By which name its certificate is exported there.
    pub identification: String,
    /// Whom the accepted certificate names.
    pub subject: String,
    /// Its organisation.
    pub organization: String,
    /// Who issued it.
    pub issuer: String,
    /// Its serial number, hexadecimal.
    pub serial: String,
    /// SHA-256 of it, hexadecimal.
    pub fingerprint: String,
    /// Its end.
    #[schema(value_type = String, format = DateTime)]
    pub not_after: Timestamp,
    /// Another certificate that the server has now.
    pub seen: Option<Found>,
    /// Which administrator bound it.
    pub bound_by: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub bound_at: Timestamp,
}
