//! The port to a hospital, over the line to its appliance.

use std::time::Duration;

use async_trait::async_trait;
use records::his::Operation;
use records::id::EdgeId;
use records::paper::PrintTemplate;
use records::patient_code::PatientCodeKey;
use records::{HisCommand, Lane, Outcome, PeerId, PrintJob, TenantId};
use serde_json::Value;
use store::{StoreError, Tx};

/// Asks a hospital something now. Implemented by the application over the line.
#[async_trait]
pub trait Hospital: Send + Sync {
    /// Sends a call and waits for its answer. Offline is `Later`: it was not sent. A call that was sent and not answered
    /// in time is `Unknown`.
    async fn call_raw(
        &self,
        tenant: &TenantId,
        method: &str,
        key: Option<&str>,
        deadline: Duration,
        body: Value,
    ) -> Outcome<Value>;

    /// Whether the hospital's appliance is connected.
    async fn online(&self, tenant: &TenantId) -> bool;

    /// Takes a file that the appliance sent up for an answer, and forgets it: what the hospital keeps is not kept here.
    /// `None` when it is not here (any more): ask again.
    async fn take_file(&self, digest: &str) -> Option<Vec<u8>>;

    /// Where a whole file lies that the appliance sent up to stay here: to be moved to its own place. `None` when it is not
    /// here (any more).
    async fn kept_file(&self, _digest: &str) -> Option<std::path::PathBuf> {
        None
    }
}

/// A typed call: `call::<records::his::SlotList>(&*ctx.hospital, &tenant, &question, None, deadline)`.
pub async fn call<O: Operation>(
    hospital: &dyn Hospital,
    tenant: &TenantId,
    request: &O::Request,
    key: Option<&str>,
    deadline: Duration,
) -> Outcome<O::Response> {
    let Ok(body) = serde_json::to_value(request) else {
        return Outcome::refused("unreadable", "请求内容有误");
    };
    match hospital.call_raw(tenant, O::METHOD, key, deadline, body).await {
        Outcome::Done(answer) => match serde_json::from_value(answer) {
            Ok(answer) => Outcome::Done(answer),
            Err(error) => {
                tracing::error!(his.method = O::METHOD, %error, "the answer has another shape");
                // A write may well have happened.
                if O::WRITES {
                    Outcome::Unknown
                } else {
                    Outcome::refused("unreadable_answer", "医院系统的答复无法识别")
                }
            }
        },
        Outcome::Refused { code, text } => Outcome::Refused { code, text },
        Outcome::Later { after_ms } => Outcome::Later { after_ms },
        Outcome::Unknown => Outcome::Unknown,
    }
}

/// Orders a HIS write that must happen: it leaves with this unit's commit and is executed exactly once in effect.
pub async fn command(tx: &mut Tx<'_>, command: &HisCommand) -> Result<(), StoreError> {
    send(tx, records::line::kind::HIS_COMMAND, &command.subject, command).await
}

/// Orders a slip of paper, likewise.
pub async fn print(tx: &mut Tx<'_>, job: &PrintJob) -> Result<(), StoreError> {
    send(tx, records::line::kind::PRINT_JOB, &job.subject, job).await
}

/// Says how a kind of printed document looks from now on, likewise.
pub async fn template(tx: &mut Tx<'_>, template: &PrintTemplate) -> Result<(), StoreError> {
    send(
        tx,
        records::line::kind::PRINT_TEMPLATE,
        template.kind.as_str(),
        template,
    )
    .await
}

/// Says what patient codes are judged with from now on, likewise.
pub async fn patient_code_key(tx: &mut Tx<'_>, key: &PatientCodeKey) -> Result<(), StoreError> {
    send(tx, records::line::kind::PATIENT_CODE_KEY, "patient_code", key).await
}

async fn send(tx: &mut Tx<'_>, kind: &str, subject: &str, body: &impl serde::Serialize) -> Result<(), StoreError> {
    let peer = appliance(tx).await?.ok_or_else(|| StoreError::Constraint {
        message: "this hospital has no appliance".to_owned(),
    })?;
    let body = serde_json::to_value(body).map_err(|e| StoreError::Constraint { message: e.to_string() })?;
    tx.append(&peer, Lane::Clinical, kind, subject, &body).await.map(drop)
}

/// The appliance bound to this unit's hospital.
pub async fn appliance(tx: &mut Tx<'_>) -> Result<Option<PeerId>, StoreError> {
    let tenant = tx.tenant().clone();
    let row: Option<(Option<EdgeId>,)> = tx
        .opt("SELECT edge_id FROM base_hospital WHERE tenant_id = $1", &[&tenant])
        .await?;
    Ok(row.and_then(|(edge,)| edge).map(|edge| PeerId::edge(&edge)))
}
