//! Consilia over HTTP: inviting (`invite`), the acts of both sides (`act`), what the expert reads (`read`).

mod act;
mod invite;
mod read;

use async_trait::async_trait;
use base::session::Member;
use base::{ApiError, Audience, Ctx, Event as Notice};
use records::TenantId;
use records::id::{StaffId, VisitId};
use store::{Scope, StoreError, Tx};
use utoipa_axum::router::OpenApiRouter;

use super::store::{self as table, Row, Said};
use super::{ConsiliumId, ConsiliumView, Refusal, view};
use crate::signed::Document;

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Self::conflict("consilium_state", refusal.to_string())
    }
}

#[async_trait]
impl Document for Row {
    type Id = ConsiliumId;
    type View = ConsiliumView;

    fn number(text: &str) -> Option<ConsiliumId> {
        ConsiliumId::parse(text)
    }

    async fn find(tx: &mut Tx<'_>, id: &ConsiliumId) -> Result<Option<Self>, StoreError> {
        table::find(tx, id).await
    }

    async fn of_visit(tx: &mut Tx<'_>, visit: &VisitId) -> Result<Vec<Self>, StoreError> {
        table::of_visit(tx, visit).await
    }

    /// Both doctors', whichever side they stand on.
    fn is_of(&self, member: &Member) -> bool {
        self.inviter_id == member.id || self.expert_id == member.id
    }

    async fn shown(&self, tx: &mut Tx<'_>, ctx: &Ctx, member: &Member) -> Result<ConsiliumView, ApiError> {
        view::of(tx, ctx, self, member).await
    }

    fn announce(&self, ctx: &Ctx, tenant: &TenantId) {
        announce(ctx, tenant, self.id.as_str(), [&self.inviter_id, &self.expert_id]);
    }
}

fn number(text: &str) -> Result<ConsiliumId, ApiError> {
    ConsiliumId::parse(text).ok_or_else(ApiError::not_found)
}

/// Words within a limit, trimmed.
fn words(field: &'static str, what: &str, text: &str, longest: usize) -> Result<String, ApiError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(ApiError::field(field, format!("请填写{what}")));
    }
    if text.chars().count() > longest {
        return Err(ApiError::field(field, format!("{what}不超过{longest}字")));
    }
    Ok(text.to_owned())
}

/// Tells both doctors; after the commit.
fn announce(ctx: &Ctx, tenant: &TenantId, id: &str, both: [&StaffId; 2]) {
    for doctor in both {
        let notice = Notice::new("consilium.changed", id);
        ctx.events.publish(tenant, Audience::Staff(doctor.clone()), notice);
    }
}

/// Ends what nobody answered in time, in one hospital. Idempotent.
pub(crate) async fn lapse(ctx: &Ctx, tenant: &TenantId) -> Result<(), ApiError> {
    let own = ctx.clone();
    let ended = ctx
        .store
        .write(&Scope::system(tenant.clone()), move |tx| {
            let ctx = own.clone();
            Box::pin(async move {
                let now = tx.now();
                let mut ended = table::overdue(tx).await?;
                for row in &mut ended {
                    let to = row.consilium().lapse(now)?;
                    table::moved(tx, &ctx.vault, row, to, Said::default()).await?;
                }
                Ok::<_, ApiError>(ended)
            })
        })
        .await?;
    for row in ended {
        row.announce(ctx, tenant);
    }
    Ok(())
}

pub(crate) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new()
        .merge(invite::routes())
        .merge(act::routes())
        .merge(read::routes())
}
