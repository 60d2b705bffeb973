//! Appliances as the administrator sees them: what they last reported, and how their line stands.

use axum::Extension;
use axum::extract::State;
use base::permission::SeesAppliances;
use base::{ApiError, Ctx, Json, Staff, audit};
use fleet::Fleet;
use records::line::{ApplianceHealth, CardCheck, CardCheckOutcome};
use records::{PeerId, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};
use store::{Migration, StoreError, Tx};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::line::Line;

/// Last report of each appliance.
pub(crate) const MIGRATIONS: &[Migration] = &[Migration {
    name: "app/0001_appliance",
    sql: "CREATE TABLE app_appliance(tenant_id TEXT NOT NULL, edge_id TEXT NOT NULL, health TEXT NOT NULL, at BIGINT NOT NULL,
              PRIMARY KEY (tenant_id, edge_id));
          CREATE TABLE app_merchant(tenant_id TEXT PRIMARY KEY, sealed BLOB NOT NULL, changed_at BIGINT NOT NULL);",
}];

/// Keeps what an appliance reported.
pub(crate) async fn reported(tx: &mut Tx<'_>, from: &PeerId, body: &Value) -> Result<(), StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    tx.exec(
        "INSERT INTO app_appliance(tenant_id, edge_id, health, at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (tenant_id, edge_id) DO UPDATE SET health = EXCLUDED.health, at = EXCLUDED.at",
        &[&tenant, from, body, &now],
    )
    .await
    .map(drop)
}

/// Notes in the audit that the bearer of a hospital card was asked for more at a terminal.
pub(crate) async fn card_checked(tx: &mut Tx<'_>, check: &CardCheck) -> Result<(), StoreError> {
    let action = match check.outcome {
        CardCheckOutcome::Passed => "terminal.card_passed",
        CardCheckOutcome::Wrong => "terminal.card_refused",
    };
    let detail = json!({
        "terminal": check.terminal, "wrong": check.wrong, "card_locked_until": check.card_locked_until,
        "terminal_locked_until": check.terminal_locked_until, "at": check.at,
    });
    audit::record(tx, action, &check.his_patient_id, detail).await
}

/// An appliance.
#[derive(Debug, Serialize, ToSchema)]
struct ApplianceView {
    /// Id.
    id: String,
    /// Serial number on the label.
    serial: String,
    /// State in the fleet: claimed, attested, active, suspended, revoked.
    state: String,
    /// `online` or `offline`.
    link: &'static str,
    /// When the line last changed, or the last report came.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_seen: Option<Timestamp>,
    /// Entries that wait there for us.
    buffer_depth: u64,
    /// Entries that wait here for it.
    downward_depth: u64,
    /// Round trip in milliseconds.
    rtt_ms: Option<u64>,
    /// `ok`, or plain words.
    tpm: String,
    /// `ok`, or plain words.
    signd: String,
    /// Printers.
    #[schema(value_type = Vec<Object>)]
    printers: Vec<records::line::PrinterHealth>,
    /// HIS endpoints.
    #[schema(value_type = Vec<Object>)]
    his: Vec<records::line::EndpointHealth>,
    /// The recorder dock, when there is one.
    #[schema(value_type = Option<Object>)]
    dock: Option<records::line::DockHealth>,
    /// Recorder docking: what is plugged, what waits, how full the room for footage is.
    #[schema(value_type = Option<Object>)]
    docking: Option<records::line::DockingHealth>,
    /// HIS commands that are not settled.
    commands_open: u64,
    /// Version of its software.
    version: String,
    /// Free bytes.
    disk_free_bytes: u64,
    /// End of its certificate.
    #[schema(value_type = Option<String>, format = DateTime)]
    certificate_not_after: Option<Timestamp>,
}

/// The appliances of the hospital.
#[utoipa::path(get, path = "/admin/appliances", tag = "admin", responses((status = 200, body = Vec<ApplianceView>)))]
async fn list(
    State(ctx): State<Ctx>,
    staff: Staff<SeesAppliances>,
    Extension(line): Extension<Line>,
    Extension(fleet): Extension<Fleet>,
) -> Result<Json<Vec<ApplianceView>>, ApiError> {
    let listed = fleet.list(Some(&staff.tenant)).await.map_err(ApiError::internal)?;
    let reports: Vec<(String, Value, Timestamp)> = ctx
        .store
        .read(&staff.scope(), |tx| {
            Box::pin(async move {
                let tenant = tx.tenant().clone();
                tx.all(
                    "SELECT edge_id, health, at FROM app_appliance WHERE tenant_id = $1",
                    &[&tenant],
                )
                .await
            })
        })
        .await
        .map_err(|e: StoreError| e)?;
    let view = |listed: fleet::Listed| {
        let edge = &listed.appliance.edge_id;
        let report = reports.iter().find(|(id, _, _)| id == edge.as_str());
        let health: ApplianceHealth = report
            .and_then(|(_, health, _)| serde_json::from_value(health.clone()).ok())
            .unwrap_or_default();
        let status = line.status(edge);
        let seen = status.as_ref().map(|s| s.since).max(report.map(|(_, _, at)| *at));
        ApplianceView {
            id: edge.to_string(),
            serial: listed.appliance.serial.clone(),
            state: listed.appliance.state.name().to_owned(),
            link: if status.as_ref().is_some_and(|s| s.online) {
                "online"
            } else {
                "offline"
            },
            last_seen: seen,
            buffer_depth: health.buffer_depth,
            downward_depth: status.as_ref().map_or(0, |s| s.buffer_depth),
            rtt_ms: status
                .and_then(|s| s.rtt)
                .and_then(|rtt| u64::try_from(rtt.as_millis()).ok()),
            tpm: health.tpm,
            signd: health.signd,
            printers: health.printers,
            his: health.his,
            dock: health.dock,
            docking: health.docking,
            commands_open: health.commands_open,
            version: health.version,
            disk_free_bytes: health.disk_free_bytes,
            certificate_not_after: listed.certificate_not_after,
        }
    };
    Ok(Json(listed.into_iter().map(view).collect()))
}

pub(crate) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new().routes(routes!(list))
}
