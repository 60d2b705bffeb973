//! All that requests are judged by, as one value that is replaced whole: a request sees the settings before a change or
//! after it, never between, and nothing is restarted or held up for it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use gm::{Certificate, Trust};

use crate::Refusal;
use crate::application::{Application, ApplicationId, ChainId, KeyIndex, Secret};
use crate::engine::open_key;
use crate::keys::device::Devices;
use crate::keys::{self, ServerKey};
use crate::trust::ChainSettings;
use crate::vault::{ApplicationRow, Unit};

/// SHA-256 of a certificate.
pub type Fingerprint = [u8; 32];

/// Certificates of one authority.
#[derive(Debug)]
pub struct Chain {
    /// Its id.
    pub id: ChainId,
    /// Its name, for people.
    pub name: String,
    /// Roots and intermediates.
    pub certificates: Vec<Certificate>,
    /// Where the state of its certificates is found out.
    pub settings: ChainSettings,
}

/// The state at one moment.
#[derive(Debug, Default)]
pub struct State {
    /// By index.
    pub keys: BTreeMap<KeyIndex, Arc<ServerKey>>,
    /// By id.
    pub applications: BTreeMap<ApplicationId, Arc<Application>>,
    /// By id.
    pub chains: BTreeMap<ChainId, Arc<Chain>>,
    /// What each application's chains come to: roots, and authorities below them.
    pub(crate) trusts: BTreeMap<ApplicationId, Arc<Trust>>,
    /// Who signs in by which certificate.
    pub(crate) by_certificate: HashMap<Fingerprint, ApplicationId>,
}

/// The owner's name under which an application's request key is wrapped.
pub(crate) fn secret_owner(application: &str) -> String {
    format!("application {application}")
}

impl State {
    /// Reads it, keeping what is open and what has been counted in `before`. Without `kek` what is wrapped stays shut.
    pub(crate) fn load(unit: &Unit<'_>, before: &Self, kek: Option<&[u8]>, devices: &Devices) -> Result<Self, Refusal> {
        let mut applications = BTreeMap::new();
        for row in unit.applications()? {
            let id = ApplicationId(row.id.clone());
            applications.insert(id, Arc::new(application(row, before, kek)?));
        }
        let mut by_certificate = HashMap::new();
        for row in unit.application_certificates()? {
            let fingerprint = row.fingerprint.try_into();
            let fingerprint: Fingerprint = fingerprint.map_err(|_| Refusal::Damaged("application's certificate"))?;
            by_certificate.insert(fingerprint, ApplicationId(row.application));
        }
        let mut chains = BTreeMap::new();
        for row in unit.chains()? {
            let certificates = row.certificates.iter().map(|der| Certificate::parse(der));
            let chain = Chain {
                id: ChainId(row.id.clone()),
                name: row.name,
                certificates: certificates.collect::<Result<_, _>>()?,
                settings: ChainSettings::read(&row.settings)?,
            };
            chains.insert(ChainId(row.id), Arc::new(chain));
        }
        let mut trusts = BTreeMap::new();
        for (id, application) in &applications {
            trusts.insert(id.clone(), Arc::new(trust(application, &chains)?));
        }
        Ok(Self {
            keys: keys::load(unit, &before.keys, kek, devices)?,
            applications,
            chains,
            trusts,
            by_certificate,
        })
    }
}

/// The chains that an application's policy names. Only roots are trusted by themselves.
fn trust(application: &Application, chains: &BTreeMap<ChainId, Arc<Chain>>) -> Result<Trust, Refusal> {
    let named = application.policy.chains.iter().filter_map(|id| chains.get(id));
    let (roots, below): (Vec<&Certificate>, Vec<&Certificate>) = named
        .flat_map(|chain| &chain.certificates)
        .partition(|certificate| certificate.is_issued_by(certificate).is_ok());
    let trust = Trust::new(roots.iter().map(|certificate| &certificate.der))?;
    Ok(trust.with_authorities(below.iter().map(|certificate| &certificate.der))?)
}

fn application(row: ApplicationRow, before: &State, kek: Option<&[u8]>) -> Result<Application, Refusal> {
    let id = ApplicationId(row.id.clone());
    let known = before.applications.get(&id);
    let open_already = known
        .filter(|known| known.wrapped_secret == row.secret)
        .and_then(|known| known.secret.clone());
    let secret = match (open_already, &row.secret, kek) {
        (Some(secret), _, _) => Some(secret),
        (None, Some(wrapped), Some(kek)) => {
            let owner = secret_owner(&row.id);
            Some(Arc::new(Secret(open_key(kek, wrapped, &owner, "application's key")?)))
        }
        _ => None,
    };
    Ok(Application {
        name: row.name,
        enabled: row.enabled,
        policy: serde_json::from_str(&row.policy).map_err(|_| Refusal::Damaged("application's policy"))?,
        secret,
        wrapped_secret: row.secret,
        limit: known.map(|known| Arc::clone(&known.limit)).unwrap_or_default(),
        id,
    })
}
