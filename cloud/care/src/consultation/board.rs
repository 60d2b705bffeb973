//! Telling the apps that a visit changed.

use base::{Audience, Ctx, Event, identity};
use records::TenantId;
use records::id::VisitId;
use store::{Scope, StoreError};

use super::store as sql;

/// Tells the patient, the doctor and the administrators that a visit changed. Call it after the commit; it never fails.
pub async fn announce(ctx: &Ctx, tenant: &TenantId, id: &VisitId) {
    let wanted = id.clone();
    let found = ctx
        .store
        .read(&Scope::system(tenant.clone()), move |tx| {
            let id = wanted.clone();
            Box::pin(async move {
                let Some(visit) = sql::find(tx, &id).await? else {
                    return Ok::<_, StoreError>(None);
                };
                let doctor = identity::staff::by_his_code(tx, &visit.doctor_code).await?;
                Ok(Some((visit.account_id, doctor.map(|d| d.id))))
            })
        })
        .await;
    let (account, doctor) = match found {
        Ok(Some(found)) => found,
        Ok(None) => return,
        Err(error) => return tracing::warn!(visit.id = %id, %error, "change not announced"),
    };
    let audiences = [
        Some(Audience::Visit(id.clone())),
        Some(Audience::Patient(account)),
        doctor.map(Audience::Staff),
        Some(Audience::Admins),
    ];
    for audience in audiences.into_iter().flatten() {
        ctx.events.publish(tenant, audience, Event::new("visit.changed", id));
    }
}
