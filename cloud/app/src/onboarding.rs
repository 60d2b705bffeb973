//! Taking hospitals and appliances in, by the vendor's operator at the command line. Each import may be repeated.

use std::path::Path;

use anyhow::{Context, Result, bail};
use base::identity::staff::{self, NewStaff, PreparedStaff};
use base::settings::Kind;
use base::{Role, audit, tenants};
use ca::Ca;
use evidence::{ClaimCode, FactoryRecord};
use fleet::Fleet;
use records::id::{EdgeId, StaffId};
use records::{Actor, TenantId};
use serde::Deserialize;
use serde_json::{Value, json};
use store::{Scope, Store, StoreError, Tx};

use crate::config::Config;
use crate::merchants::{self, Account};
use crate::{Appliance, contexts, say, start};

/// A hospital's file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    hospital: Named,
    #[serde(default)]
    staff: Vec<Person>,
    /// By name of the setting.
    #[serde(default)]
    settings: std::collections::BTreeMap<String, Value>,
    #[serde(default)]
    merchant: Option<Account>,
    /// The appliance's claim code, as on its label.
    #[serde(default)]
    claim_code: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    code: String,
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Person {
    login: String,
    password: String,
    totp_secret: String,
    name: String,
    roles: Vec<Role>,
    #[serde(default)]
    title: String,
    #[serde(default)]
    department_code: String,
    #[serde(default)]
    department_name: String,
    #[serde(default)]
    his_code: String,
}

/// All of a file, checked and sealed, ready for one unit of work.
#[derive(Clone)]
struct Prepared {
    code: String,
    name: String,
    edge: Option<EdgeId>,
    staff: Vec<(StaffId, PreparedStaff)>,
    settings: Vec<(String, Value)>,
    merchant: Option<Vec<u8>>,
}

/// Takes a hospital in, or brings it up to date.
pub(crate) async fn import(config: &Config, path: &Path) -> Result<TenantId> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let file: File = serde_json::from_str(&text).with_context(|| format!("in {}", path.display()))?;
    let fits = |code: &str| {
        !code.is_empty() && code.len() <= 40 && code.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    if !fits(&file.hospital.code) {
        bail!("hospital.code takes lower-case letters and digits only");
    }
    let store = start::store(config).await?;
    let known = tenants::all(&store)
        .await?
        .into_iter()
        .find(|t| t.code == file.hospital.code);
    let tenant = known.map_or_else(|| TenantId::generate(&start::ids(), store.clock().now()), |t| t.id);
    let edge = match &file.claim_code {
        Some(code) => Some(claim(config, &store, &tenant, code).await?),
        None => None,
    };
    let prepared = prepare(config, &store, &tenant, file, edge)?;
    store
        .write(&Scope::new(tenant.clone(), Actor::System), move |tx| {
            let prepared = prepared.clone();
            Box::pin(async move { keep(tx, &prepared).await })
        })
        .await?;
    Ok(tenant)
}

fn prepare(config: &Config, store: &Store, tenant: &TenantId, file: File, edge: Option<EdgeId>) -> Result<Prepared> {
    let ids = start::ids();
    let vault = start::vault(config, &ids)?;
    let kinds = contexts::settings();
    for (name, value) in &file.settings {
        check_setting(&kinds, name, value)?;
    }
    let merchant = file
        .merchant
        .as_ref()
        .map(|account| merchants::seal(&vault, tenant, account))
        .transpose()?;
    let mut people = Vec::new();
    for person in file.staff {
        let login = person.login.to_lowercase();
        let new = NewStaff {
            login: login.clone(),
            password: person.password,
            totp_secret: person.totp_secret,
            name: person.name,
            roles: person.roles,
            title: person.title,
            department_code: person.department_code,
            department_name: person.department_name,
            his_code: person.his_code,
        };
        let prepared = staff::prepare(&vault, &ids, tenant, new).with_context(|| format!("staff {login}"))?;
        people.push((StaffId::generate(&ids, store.clock().now()), prepared));
    }
    Ok(Prepared {
        code: file.hospital.code,
        name: file.hospital.name,
        edge,
        staff: people,
        settings: file.settings.into_iter().collect(),
        merchant,
    })
}

fn check_setting(kinds: &[Kind], name: &str, value: &Value) -> Result<()> {
    let Some(kind) = kinds.iter().find(|kind| kind.name == name) else {
        bail!("no setting is called {name}");
    };
    (kind.check)(value.clone()).map_err(|why| anyhow::anyhow!("setting {name}: {why}"))
}

async fn keep(tx: &mut Tx<'_>, prepared: &Prepared) -> Result<(), StoreError> {
    tenants::put(tx, &prepared.code, &prepared.name, prepared.edge.as_ref()).await?;
    for (fresh, person) in &prepared.staff {
        let id = staff::put(tx, fresh, person).await?;
        audit::record(tx, "staff.import", id.as_str(), Value::Null).await?;
    }
    for (name, value) in &prepared.settings {
        base::settings::put_raw(tx, name, value).await?;
    }
    if let Some(sealed) = &prepared.merchant {
        merchants::put(tx, sealed).await?;
    }
    let detail = json!({"staff": prepared.staff.len(), "merchant": prepared.merchant.is_some()});
    audit::record(tx, "hospital.import", &prepared.code, detail).await
}

fn registry(config: &Config, store: &Store) -> Result<Fleet> {
    let ca = Ca::open_or_create(&config.edge.ca, store.clock().now()).context("opening the certificate authority")?;
    Ok(Fleet::new(store.clone(), ca.into(), start::ids()))
}

async fn claim(config: &Config, store: &Store, tenant: &TenantId, code: &str) -> Result<EdgeId> {
    let code = ClaimCode::typed(code).context("the claim code is not one")?;
    let claimed = registry(config, store)?
        .claim(&code, tenant.clone(), Actor::System)
        .await;
    Ok(claimed.context("claiming the appliance")?.edge_id)
}

/// `cloud appliance …`.
pub(crate) async fn appliance(command: Appliance) -> Result<()> {
    match command {
        Appliance::Import { with, file } => {
            let config = Config::read(&with.config)?;
            let text = std::fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
            let record: FactoryRecord =
                serde_json::from_str(&text).with_context(|| format!("in {}", file.display()))?;
            let store = start::store(&config).await?;
            let edge = registry(&config, &store)?.import(&record, Actor::System).await?;
            say(edge.as_str())
        }
        Appliance::Suspend(one) => step(one, Step::Suspend).await,
        Appliance::Resume(one) => step(one, Step::Resume).await,
        Appliance::Revoke(one) => step(one, Step::Revoke).await,
    }
}

enum Step {
    Suspend,
    Resume,
    Revoke,
}

async fn step(one: crate::OneAppliance, step: Step) -> Result<()> {
    let config = Config::read(&one.with.config)?;
    let store = start::store(&config).await?;
    let (fleet, edge) = (
        registry(&config, &store)?,
        EdgeId::parse(&one.id).context("not an appliance's id")?,
    );
    let appliance = match step {
        Step::Suspend => fleet.suspend(&edge, Actor::System, &one.note).await?,
        Step::Resume => fleet.resume(&edge, Actor::System, &one.note).await?,
        Step::Revoke => fleet.revoke(&edge, Actor::System, &one.note).await?,
    };
    say(appliance.state.name())
}
