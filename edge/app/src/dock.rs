//! The recorder dock's board as this daemon is configured, and what the cloud asks of it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dock::DockError;
use docking::Docking;
use docking::board::{Board, NotOpened, Progress, Renewal, RenewalState, Renewals};
use records::Outcome;
use records::dock::{
    DockPackage, DockRecorders, DockRelease, DockReleaseQuestion, DockReleased, DockRenewal, DockRenewals, DockUpdate,
    DockedRecorder,
};
use records::his::Operation;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::StoreError;

use crate::health::charge_word;

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

/// Who answers for the dock.
pub(crate) struct Dock<'a> {
    /// Who stands in it.
    pub(crate) docking: &'a Docking,
    /// Its board, when there is one.
    pub(crate) board: Option<&'a Board>,
    /// The same.
    pub(crate) renewals: Option<&'a Renewals>,
}

/// Answers one call.
pub(crate) async fn call(dock: Dock<'_>, method: &str, body: Value) -> Outcome<Value> {
    // Recorders stand here also without a board: behind a plain hub.
    if method == DockRecorders::METHOD {
        return match recorders(&dock).await {
            Ok(there) => done(&there),
            Err(error) => failed(&error),
        };
    }
    let (Some(renewals), Some(board)) = (dock.renewals, dock.board) else {
        return Outcome::refused("no_dock", "本机没有配置采集坞");
    };
    match method {
        DockRelease::METHOD => match serde_json::from_value::<DockReleaseQuestion>(body) {
            Ok(asked) => release(board, &asked.serial).await,
            Err(_) => Outcome::refused("unreadable", "请求内容有误"),
        },
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

async fn release(board: &Board, serial: &str) -> Outcome<Value> {
    match board.hand_out(serial).await {
        Ok(opened) => done(&DockReleased {
            place: opened.place,
            seconds: opened.seconds,
        }),
        Err(NotOpened::Board(DockError::Unknown)) => Outcome::Unknown,
        Err(why @ NotOpened::NotHere) => Outcome::refused("not_docked", why.to_string()),
        Err(why) => Outcome::refused("dock_board", why.to_string()),
    }
}

/// Recorders that stand here, with what their bays say of them.
async fn recorders(dock: &Dock<'_>) -> Result<Vec<DockedRecorder>, StoreError> {
    let seen = dock.docking.overview().await?;
    let there = seen
        .dockings
        .into_iter()
        .filter(|d| d.state.is_open() && !d.serial.is_empty());
    let told = |serial: &str| dock.board.and_then(|board| board.charge_of(serial));
    Ok(there
        .map(|d| DockedRecorder {
            charge: told(&d.serial).map(charge_word).unwrap_or_default().to_owned(),
            serial: d.serial,
            place: d.place,
            state: d.state.as_str().to_owned(),
            battery: d.battery,
        })
        .collect())
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
