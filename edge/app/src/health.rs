//! Health of the appliance: sent when something changes, and at least every minute.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dock::{Bay, Charge, DockState, Fault, Lock};
use docking::board::{Board, Renewals};
use docking::{Docking, Overview};
use his::Bridge;
use hub::Hub;
use link::LinkStatus;
use records::line::{ApplianceHealth, BayHealth, DockHealth, DockedHealth, DockingHealth, kind};
use records::{Clock, Lane, Outcome, PeerId, Timestamp};
use serde_json::json;
use sign::Client;
use store::{Scope, Store, StoreError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::identity::Standing;

const LOOK: Duration = Duration::from_secs(3);
const AT_LEAST: Duration = Duration::from_secs(60);

/// Takes and sends the appliance's health.
pub(crate) struct Health {
    pub(crate) store: Store,
    pub(crate) scope: Scope,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) bridge: Bridge,
    pub(crate) hub: Hub,
    pub(crate) signd: Client,
    pub(crate) link: watch::Receiver<LinkStatus>,
    pub(crate) standing: watch::Receiver<Standing>,
    pub(crate) data: PathBuf,
    pub(crate) entity: String,
    /// When there is a recorder dock.
    pub(crate) dock: Option<watch::Receiver<DockState>>,
    /// The same.
    pub(crate) board: Option<Board>,
    /// The same.
    pub(crate) renewals: Option<Renewals>,
    pub(crate) docking: Docking,
}

impl Health {
    /// The present health.
    pub(crate) async fn take(&self) -> ApplianceHealth {
        let standing = self.standing.borrow().clone();
        let depth = self.link.borrow().buffer_depth;
        let open: Result<u64, StoreError> = self
            .store
            .read(&self.scope, |tx| {
                Box::pin(async move { his::journal::open_commands(tx).await })
            })
            .await;
        let signd = self.signd.clone().patience(Duration::from_secs(2));
        // Any definite answer shows that the server works; the signer does not exist.
        let signd = match signd
            .call_raw("sign.status", None, json!({"signer_id": "stf_health"}))
            .await
        {
            Outcome::Done(_) | Outcome::Refused { .. } => "ok".to_owned(),
            Outcome::Later { .. } => "签名服务未运行".to_owned(),
            Outcome::Unknown => "签名服务无应答".to_owned(),
        };
        ApplianceHealth {
            at: self.clock.now(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            buffer_depth: depth,
            tpm: standing.tpm,
            signd,
            printers: self.hub.health().await.unwrap_or_default(),
            his: self.bridge.health(),
            commands_open: open.unwrap_or_default(),
            disk_free_bytes: fs2::available_space(&self.data).unwrap_or(0),
            certificate_not_after: standing.not_after,
            dock: self.dock().await,
            docking: self.docking.overview().await.map(|seen| docking_health(&seen)).ok(),
        }
    }

    async fn dock(&self) -> Option<DockHealth> {
        let mut health = dock_health(&self.dock.as_ref()?.borrow());
        if let Some(board) = &self.board {
            health.warnings.extend(board.warnings());
        }
        if let Some(renewals) = &self.renewals {
            let latest = crate::dock::latest(renewals, 1).await.unwrap_or_default();
            health.renewal = latest.into_iter().next();
        }
        Some(health)
    }

    /// Sends until stopped.
    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) -> anyhow::Result<()> {
        let mut last: Option<ApplianceHealth> = None;
        loop {
            let now = self.take().await;
            let due = last
                .as_ref()
                .is_none_or(|last| now.at.since(last.at) >= AT_LEAST || differs(last, &now));
            if due {
                let (body, entity) = (serde_json::to_value(&now)?, self.entity.clone());
                let sent = self.store.write(&self.scope, move |tx| {
                    let (body, entity) = (body.clone(), entity.clone());
                    Box::pin(async move {
                        tx.append(
                            &PeerId::cloud(),
                            Lane::Telemetry,
                            kind::APPLIANCE_HEALTH,
                            &entity,
                            &body,
                        )
                        .await
                    })
                });
                if let Err(error) = sent.await {
                    let error: StoreError = error;
                    tracing::warn!(%error, "health could not be kept");
                }
                last = Some(now);
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }
}

fn dock_health(state: &DockState) -> DockHealth {
    let word = if state.online {
        "ok".to_owned()
    } else {
        state.trouble.clone()
    };
    let board = state.board.filter(|_| state.online);
    let low = board.filter(|b| b.supply_low);
    DockHealth {
        state: word,
        bays: state.bays.iter().map(|bay| bay.present).collect(),
        details: state.bays.iter().map(bay_health).collect(),
        firmware: board.map(|b| b.firmware.to_string()).unwrap_or_default(),
        warnings: low
            .map(|_| "供电电压过低，已停止充电，请检查采集坞电源".to_owned())
            .into_iter()
            .collect(),
        renewal: None,
    }
}

fn docking_health(seen: &Overview) -> DockingHealth {
    let there = seen.dockings.iter().filter(|d| d.state.is_open());
    DockingHealth {
        recorders: there
            .map(|d| {
                let (clips, through) = seen.progress.get(&d.id).copied().unwrap_or_default();
                DockedHealth {
                    serial: d.serial.clone(),
                    place: d.place.clone(),
                    state: d.state.as_str().to_owned(),
                    clips,
                    through,
                }
            })
            .collect(),
        waiting_clips: seen.open_clips,
        waiting_bytes: seen.open_bytes,
        taken_percent: seen.taken_percent,
        warnings: seen.warnings.clone(),
    }
}

/// As health and calls name it.
pub(crate) const fn charge_word(charge: Charge) -> &'static str {
    match charge {
        Charge::Absent => "absent",
        Charge::Idle => "idle",
        Charge::Charging => "charging",
        Charge::Full => "full",
        Charge::Fault => "fault",
    }
}

fn bay_health(bay: &Bay) -> BayHealth {
    let charge = charge_word(bay.charge);
    let fault = match bay.fault {
        None => "",
        Some(Fault::OverCurrent) => "充电电流过大，已断电，请取出记录仪检查",
        Some(Fault::LockStuck) => "锁舌卡住，请检查槽位",
        Some(Fault::Forced) => "记录仪被强行取出",
    };
    BayHealth {
        serial: bay.serial.to_string(),
        charge: charge.to_owned(),
        locked: bay.lock == Lock::Closed,
        fault: fault.to_owned(),
    }
}

/// Whether something changed that a person would want to see now; what always moves is left out.
fn differs(a: &ApplianceHealth, b: &ApplianceHealth) -> bool {
    let plain = |h: &ApplianceHealth| ApplianceHealth {
        at: Timestamp::default(),
        buffer_depth: h.buffer_depth / 100,
        disk_free_bytes: h.disk_free_bytes >> 30,
        ..h.clone()
    };
    plain(a) != plain(b)
}
