//! What the line does here: entries from the cloud go into the journal, the spool and to the terminals; calls go to the
//! bridge, to `signd`, to the printers, fetch pictures, or ask for the appliance's health.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use docking::Docking;
use docking::board::{Board, Renewals};
use his::Bridge;
use hub::Hub;
use link::{ApplyError, Call, Calls, Inbox};
use records::footage::{RecorderIssue, kind as footage};
use records::his::Operation;
use records::line::kind;
use records::paper::PrintTemplate;
use records::patient_code::PatientCodeKey;
use records::picture::ExamPicture;
use records::{HisCommand, Outcome, PeerId, PrintJob};
use serde::de::DeserializeOwned;
use serde_json::Value;
use sign::Client;
use store::{Entry, StoreError, Tx};

use crate::health::Health;
use crate::pictures::Pictures;

/// The parts the line speaks to. They come up after the line, which must be there before anything is appended; until
/// then everything is asked to come again.
pub(crate) struct Parts {
    pub(crate) bridge: Bridge,
    pub(crate) docking: Docking,
    pub(crate) hub: Hub,
    pub(crate) signd: Client,
    pub(crate) health: Arc<Health>,
    pub(crate) pictures: Pictures,
    /// When there is a recorder dock.
    pub(crate) board: Option<Board>,
    /// The same.
    pub(crate) renewals: Option<Renewals>,
}

/// This end of the line.
#[derive(Clone, Default)]
pub(crate) struct Ends(pub(crate) Arc<OnceLock<Parts>>);

#[async_trait]
impl Inbox for Ends {
    async fn apply(&self, tx: &mut Tx<'_>, _from: &PeerId, entry: &Entry) -> Result<(), ApplyError> {
        let Some(parts) = self.0.get() else {
            return Err(StoreError::Busy.into());
        };
        match entry.kind.as_str() {
            kind::HIS_COMMAND => {
                let command: HisCommand = read(entry)?;
                Bridge::accept(tx, &command).await?;
                kiosk::accept_prescription(tx, &command).await?;
                let bridge = parts.bridge.clone();
                tx.after_commit(move || bridge.wake());
            }
            kind::PRINT_JOB => {
                let job: PrintJob = read(entry)?;
                Hub::accept(tx, &job).await?;
                let hub = parts.hub.clone();
                tx.after_commit(move || hub.wake());
            }
            kind::PRINT_TEMPLATE => {
                let template: PrintTemplate = read(entry)?;
                Hub::accept_template(tx, &template).await?;
            }
            kind::PATIENT_CODE_KEY => {
                let key: PatientCodeKey = read(entry)?;
                kiosk::accept_key(tx, &key).await?;
            }
            _ => return docked(parts, tx, entry).await,
        }
        Ok(())
    }
}

/// What concerns recorders and their footage.
async fn docked(parts: &Parts, tx: &mut Tx<'_>, entry: &Entry) -> Result<(), ApplyError> {
    match entry.kind.as_str() {
        footage::RECORDER_LISTED => Docking::list(tx, &read(entry)?).await?,
        footage::RECORDER_UNLISTED => Docking::unlist(tx, &read(entry)?).await?,
        footage::RECORDER_ISSUED => {
            let issue: RecorderIssue = read(entry)?;
            Docking::issue(tx, &issue).await?;
            let docking = parts.docking.clone();
            tx.after_commit(move || docking.offer(&issue.serial));
        }
        footage::RECORDER_RETURNED => Docking::give_back(tx, &read(entry)?).await?,
        footage::FOOTAGE_CONFIRMED => Docking::confirm(tx, &read(entry)?).await?,
        footage::FOOTAGE_REFUSED => Docking::refuse(tx, &read(entry)?).await?,
        other => return Err(ApplyError::unknown_kind(other)),
    }
    let docking = parts.docking.clone();
    tx.after_commit(move || docking.wake());
    Ok(())
}

fn read<T: DeserializeOwned>(entry: &Entry) -> Result<T, ApplyError> {
    serde_json::from_str(&entry.body).map_err(|_| ApplyError::Park(format!("{} cannot be read", entry.kind)))
}

#[async_trait]
impl Calls for Ends {
    async fn handle(&self, call: Call) -> Outcome<Value> {
        let Some(parts) = self.0.get() else {
            return Outcome::Later { after_ms: 1_000 };
        };
        let method = call.method.as_str();
        if method == kind::APPLIANCE_HEALTH {
            let health = parts.health.take().await;
            return serde_json::to_value(&health).map_or(Outcome::Unknown, Outcome::Done);
        }
        if method == ExamPicture::METHOD {
            return parts.pictures.exam(call.body, call.remaining).await;
        }
        if method.starts_with("sign.") {
            let signd = parts.signd.clone().patience(call.remaining);
            return signd.call_raw(method, call.key.as_deref(), call.body).await;
        }
        if method.starts_with("dock.") {
            let dock = crate::dock::Dock {
                docking: &parts.docking,
                board: parts.board.as_ref(),
                renewals: parts.renewals.as_ref(),
            };
            return crate::dock::call(dock, method, call.body).await;
        }
        if method.starts_with("print.") {
            return crate::printing::call(&parts.hub, method, call.body, parts.health.clock.now()).await;
        }
        parts
            .bridge
            .call(method, call.key.as_deref(), call.remaining, call.body)
            .await
    }
}
