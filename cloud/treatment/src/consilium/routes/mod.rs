//! Consilia over HTTP: inviting (`invite`), the acts of both sides (`act`), what the expert reads (`read`).

mod act;
mod invite;
mod read;

use base::permission::Treats;
use base::session::Member;
use base::{ApiError, Audience, Ctx, Event as Notice, Staff};
use records::TenantId;
use records::id::StaffId;
use store::{Scope, Tx};
use utoipa_axum::router::OpenApiRouter;

use super::store::{self as table, Row, Said};
use super::{ConsiliumId, ConsiliumView, Refusal, view};

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Self::conflict("consilium_state", refusal.to_string())
    }
}

/// A doctor's own consilium, whichever side they stand on; anybody else finds nothing.
async fn own(tx: &mut Tx<'_>, member: &Member, id: &ConsiliumId) -> Result<Row, ApiError> {
    let found = table::find(tx, id).await?;
    found
        .filter(|row| row.inviter_id == member.id || row.expert_id == member.id)
        .ok_or_else(ApiError::not_found)
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

type Acted<'a> = store::BoxFuture<'a, Result<Row, ApiError>>;

/// Does something to a doctor's own consilium, shows and announces it.
async fn acted<F>(ctx: &Ctx, staff: &Staff<Treats>, id: ConsiliumId, f: F) -> Result<ConsiliumView, ApiError>
where
    F: for<'a, 'c> Fn(&'a mut Tx<'c>, Ctx, Row) -> Acted<'a> + Send + Sync + 'static,
{
    let (deps, member) = (ctx.clone(), staff.member.clone());
    let f = std::sync::Arc::new(f);
    let (row, view) = ctx
        .store
        .write(&staff.scope(), move |tx| {
            let (ctx, member, id, f) = (deps.clone(), member.clone(), id.clone(), f.clone());
            Box::pin(async move {
                let row = own(tx, &member, &id).await?;
                let row = f(tx, ctx.clone(), row).await?;
                let view = view::of(tx, &ctx, &row, &member).await?;
                Ok::<_, ApiError>((row, view))
            })
        })
        .await?;
    announce(ctx, &staff.tenant, row.id.as_str(), [&row.inviter_id, &row.expert_id]);
    Ok(view)
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
        announce(ctx, tenant, row.id.as_str(), [&row.inviter_id, &row.expert_id]);
    }
    Ok(())
}

pub(crate) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new()
        .merge(invite::routes())
        .merge(act::routes())
        .merge(read::routes())
}
