//! Nursing at home (网约护理): orders of visits with their track, forms and alarms ([`order`]), and nursing devices (护理设备):
//! work recorders with their register and white list, who has which for what, their dockings, and the footage taken from them
//! with its custody entries.
//!
//! A clip counts only after three things held here: its custody entry is signed by the hospital's own appliance, the bytes
//! that came have both hashes of the entry, and the entry fits its chain. Then, and only then, the appliance is told that it
//! may clear the recorder ([`footage`]).

pub mod alarm;
pub mod footage;
mod form;
pub mod order;
mod patient;
pub mod recorder;

use base::Ctx;
use store::Migration;
use utoipa_axum::router::OpenApiRouter;

/// Tables of this crate.
pub const MIGRATIONS: &[Migration] = &[
    Migration {
        name: "nursing/0001_recorders",
        sql: include_str!("schema.sql"),
    },
    Migration {
        name: "nursing/0002_patients",
        sql: include_str!("schema-0002.sql"),
    },
    Migration {
        name: "nursing/0003_derived",
        sql: include_str!("schema-0003.sql"),
    },
    Migration {
        name: "nursing/0004_orders",
        sql: include_str!("schema-0004.sql"),
    },
    Migration {
        name: "nursing/0005_taking",
        sql: include_str!("schema-0005.sql"),
    },
    Migration {
        name: "nursing/0006_parts",
        sql: include_str!("schema-0006.sql"),
    },
];

/// The settings of this crate.
pub fn settings() -> Vec<base::settings::Kind> {
    vec![
        base::settings::kind::<recorder::RecorderSettings>(),
        base::settings::kind::<order::OrderSettings>(),
    ]
}

/// The routes of this crate.
pub fn routes() -> OpenApiRouter<Ctx> {
    recorder::routes()
        .merge(footage::routes())
        .merge(order::routes())
        .merge(alarm::routes())
        .merge(form::routes())
}

/// One round of what this crate looks after: footage that came and is not judged yet.
pub async fn tick(ctx: &Ctx) {
    for hospital in base::tenants::all(&ctx.store).await.unwrap_or_default() {
        if let Err(error) = footage::judge_new(ctx, &hospital.id).await {
            tracing::error!(%error, "footage not judged");
        }
    }
}
