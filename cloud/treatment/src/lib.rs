//! What follows the talk between doctor and patient: medical record and its review, orders, prescription, signatures, an
//! expert's opinion, pharmacist's review, the end of service, dispensing, and the proof that anyone can check.
//!
//! The application merges [`routes`] (which need a [`money::Cashier`] as extension), runs [`MIGRATIONS`], registers
//! [`PrescriptionPayments`] with the cashier, hands results and print states to [`on_command_result`] and
//! [`on_print_state`], and calls [`tick`] now and then.

mod catalogue;
pub mod consilium;
pub mod dispensing;
mod ending;
pub mod issue;
pub mod medical_record;
pub mod orders;
pub mod prescribing;
pub mod record_review;
pub mod review;
mod signed;
pub mod signing;
pub mod verify;
mod visit;

use async_trait::async_trait;
use base::Ctx;
use care::consultation::{PrescriptionBrief, RecordBrief, VisitExtras};
use records::TenantId;
use records::id::{PrescriptionId, VisitId};
use store::{Migration, Scope, StoreError, Tx};
use utoipa_axum::router::OpenApiRouter;

use prescribing::store::Chart;
use signed::Document as _;

pub use catalogue::PrescribingSettings;
pub use dispensing::{PrescriptionPayments, on_command_result, on_print_state};

/// Tables of this crate.
pub const MIGRATIONS: &[Migration] = &[
    Migration {
        name: "treatment/0001_prescriptions",
        sql: include_str!("schema.sql"),
    },
    Migration {
        name: "treatment/0002_by_hand",
        sql: include_str!("by_hand.sql"),
    },
    Migration {
        name: "treatment/0003_record_pdf",
        sql: include_str!("record_pdf.sql"),
    },
    Migration {
        name: "treatment/0004_orders",
        sql: include_str!("orders.sql"),
    },
    Migration {
        name: "treatment/0007_handwriting",
        sql: include_str!("handwriting.sql"),
    },
    Migration {
        name: "treatment/0005_record_review",
        sql: include_str!("record_review.sql"),
    },
    Migration {
        name: "treatment/0006_consilium",
        sql: include_str!("consilium.sql"),
    },
];

/// Settings of this crate, for the page that shows them all.
pub fn settings() -> Vec<base::settings::Kind> {
    vec![
        base::settings::kind::<signing::SigningSettings>(),
        base::settings::kind::<PrescribingSettings>(),
    ]
}

/// The routes of this crate.
pub fn routes() -> OpenApiRouter<Ctx> {
    medical_record::routes()
        .merge(prescribing::routes())
        .merge(orders::routes())
        .merge(ending::routes())
        .merge(record_review::routes())
        .merge(consilium::routes())
        .merge(signing::routes())
        .merge(review::routes())
        .merge(dispensing::routes())
        .merge(verify::routes())
}

/// Tells everybody whom a prescription concerns that it changed; after the commit.
pub async fn announce(ctx: &Ctx, tenant: &TenantId, id: &PrescriptionId) {
    if let Err(error) = signed::announce::<Chart>(ctx, tenant, id).await {
        tracing::warn!(rx.id = %id, %error, "change not announced");
    }
}

/// One round of timers for every hospital: prescriptions past their last day expire. Idempotent.
pub async fn tick(ctx: &Ctx) {
    let tenants = match base::tenants::all(&ctx.store).await {
        Ok(tenants) => tenants,
        Err(error) => return tracing::error!(%error, "hospitals not read"),
    };
    for tenant in tenants {
        let own = ctx.clone();
        let expired = ctx
            .store
            .write(&Scope::system(tenant.id.clone()), move |tx| {
                let ctx = own.clone();
                Box::pin(async move {
                    let today = tx.now().local_date();
                    dispensing::expire(tx, &ctx, today).await
                })
            })
            .await;
        if let Err(error) = consilium::lapse(ctx, &tenant.id).await {
            tracing::error!(tenant.id = %tenant.id, %error, "round of consilia failed");
        }
        match expired {
            Ok(charts) => charts.iter().for_each(|chart| chart.announce(ctx, &tenant.id)),
            Err(error) => tracing::error!(tenant.id = %tenant.id, %error, "expiry round failed"),
        }
    }
}

/// What record and prescribing add to a visit.
#[derive(Clone, Copy, Debug, Default)]
pub struct PrescriptionsOfVisit;

#[async_trait]
impl VisitExtras for PrescriptionsOfVisit {
    async fn prescriptions(
        &self,
        tx: &mut Tx<'_>,
        visit: &VisitId,
        for_doctor: bool,
    ) -> Result<Vec<PrescriptionBrief>, StoreError> {
        let charts = prescribing::store::of_visit(tx, visit).await?;
        let seen =
            |c: &Chart| for_doctor || !matches!(c.state, prescribing::State::Draft | prescribing::State::Revised);
        let brief = |c: Chart| PrescriptionBrief {
            id: c.id.into_string(),
            state: c.state.as_str().to_owned(),
            state_text: c.state.text().to_owned(),
        };
        Ok(charts.into_iter().filter(seen).map(brief).collect())
    }

    async fn record(&self, tx: &mut Tx<'_>, visit: &VisitId) -> Result<Option<RecordBrief>, StoreError> {
        let newest = medical_record::issue::newest(tx, visit).await?;
        Ok(newest.map(|issue| RecordBrief {
            version: issue.version,
            signed_at: issue.signed_at,
            has_pdf: issue.pdf_blob.is_some(),
            // Before the file is there, nobody has anything to verify.
            verify_code: issue.verify_code.filter(|_| issue.pdf_blob.is_some()),
        }))
    }
}
