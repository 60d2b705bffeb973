//! The recorder dock's board as this daemon is configured, and what the cloud asks of it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use docking::board::{Progress, Renewal, RenewalState, Renewals};
use records::Outcome;
use records::dock::{DockPackage, DockRenewal, DockRenewals, DockUpdate};
use records::his::Operation;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::StoreError;

/// Renewals shown.
const LATEST: u32 = 10;

/// The recorder dock.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Its serial port.
    pub(crate) port: PathBuf,
    /// Bays, from 1 as on their labels, by the USB port they are wired to (`2-1.3`; the name of the folder where recorders
    /// appear as folders).
    #[serde(default)]
    pub(crate) ports: BTreeMap<String, u8>,
}

impl Config {
    /// Bays are counted from 1, and none is wired to two ports.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let mut bays: Vec<u8> = self.ports.values().copied().collect();
        bays.sort_unstable();
        anyhow::ensure!(!bays.contains(&0), "[dock.ports]: bays are counted from 1");
        anyhow::ensure!(
            bays.windows(2).all(|w| w.first() != w.last()),
            "[dock.ports]: two ports have the same bay"
        );
        Ok(())
    }
}

/// Answers one call.
pub(crate) async fn call(renewals: Option<&Renewals>, method: &str, body: Value) -> Outcome<Value> {
    let Some(renewals) = renewals else {
        return Outcome::refused("no_dock", "本机没有配置采集坞");
    };
    match method {
        DockUpdate::METHOD => {
            let Ok(asked) = serde_json::from_value::<DockPackage>(body) else {
                return Outcome::refused("unreadable", "请求内容有误");
            };
            let Ok(package) = STANDARD.decode(&asked.package) else {
                return Outcome::refused("unreadable", "固件包编码有误，请重新上传");
            };
            match renewals.ask(&package, &asked.by).await {
                Ok(Ok(one)) => done(&view(&one, None)),
                Ok(Err(refused)) => Outcome::refused("dock_firmware", refused.to_string()),
                Err(error) => failed(&error),
            }
        }
        DockRenewals::METHOD => match latest(renewals, LATEST).await {
            Ok(latest) => done(&latest),
            Err(error) => failed(&error),
        },
        _ => Outcome::refused("unknown_method", "前置机不支持这项操作，请升级"),
    }
}

/// The latest renewals as others see them, the newest first.
pub(crate) async fn latest(renewals: &Renewals, limit: u32) -> Result<Vec<DockRenewal>, StoreError> {
    let progress = *renewals.progress().borrow();
    let latest = renewals.latest(limit).await?;
    Ok(latest.iter().map(|one| view(one, progress)).collect())
}

fn view(one: &Renewal, progress: Option<Progress>) -> DockRenewal {
    let percent = match progress.filter(|_| one.state == RenewalState::Running) {
        Some(Progress::Carried(percent)) => Some(percent),
        Some(Progress::Trying) => Some(100),
        None => None,
    };
    DockRenewal {
        id: one.id.clone(),
        version: one.version.clone(),
        state: one.state.as_str().to_owned(),
        percent,
        note: one.note.clone(),
        asked_by: one.asked_by.clone(),
        asked_at: one.asked_at,
        changed_at: one.changed_at,
    }
}

fn done(answer: &impl Serialize) -> Outcome<Value> {
    serde_json::to_value(answer).map_or(Outcome::Unknown, Outcome::Done)
}

/// Nothing was done: the database is busy or broken.
fn failed(error: &StoreError) -> Outcome<Value> {
    tracing::error!(%error, "dock firmware cannot be looked at");
    Outcome::Later { after_ms: 1_000 }
}
