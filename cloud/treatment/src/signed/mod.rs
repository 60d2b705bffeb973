//! What orders, prescriptions and consilia have in common: a member of staff finds their own, acts on it in one unit of
//! work, is shown it, and whoever it concerns is told after the commit. What a doctor drafts ([`Draft`]) is signed with the
//! PIN, always in the same order ([`sign`]). What each kind is made of, its states and what follows from its signature,
//! stays with the kind.

mod attempt;
mod parts;
mod trail;

use std::sync::Arc;

use async_trait::async_trait;
use base::session::Member;
use base::{ApiError, Ctx, Json, Staff};
use records::TenantId;
use records::id::VisitId;
use records::sign::Pin;
use store::{BoxFuture, Scope, StoreError, Tx};

pub(crate) use attempt::attempt;
pub(crate) use parts::{PersonView, intent, objected, patient, signer};
pub(crate) use trail::{Event, StepView, Trail};

use crate::signing::{self, Order, Signed};
use crate::visit;

/// A kept document: how it is found, whose it is, how it looks and whom it concerns.
#[async_trait]
pub(crate) trait Document: Sized + Send + Sync + 'static {
    /// Its number.
    type Id: Clone + Send + Sync + 'static;
    /// As the API shows it to the member of staff whose it is.
    type View: Send + 'static;

    /// The number a text names.
    fn number(text: &str) -> Option<Self::Id>;

    /// That of the number, in this hospital.
    async fn find(tx: &mut Tx<'_>, id: &Self::Id) -> Result<Option<Self>, StoreError>;

    /// Those of a visit, in the order in which they are shown.
    async fn of_visit(tx: &mut Tx<'_>, visit: &VisitId) -> Result<Vec<Self>, StoreError>;

    /// Whether this member of staff may know of it and act on it.
    fn is_of(&self, member: &Member) -> bool;

    /// As it is shown to its member of staff.
    async fn shown(&self, tx: &mut Tx<'_>, ctx: &Ctx, member: &Member) -> Result<Self::View, ApiError>;

    /// Tells everybody whom it concerns that it changed; after the commit.
    fn announce(&self, ctx: &Ctx, tenant: &TenantId);
}

/// A document that a doctor drafts and signs.
#[async_trait]
pub(crate) trait Draft: Document {
    /// What is signed: the canonical bytes of the draft, checked once more against what holds today. Refused when it is no
    /// draft any more or would not be written as it stands.
    async fn to_sign(&self, tx: &mut Tx<'_>, ctx: &Ctx, member: &Member) -> Result<Order, ApiError>;

    /// What the kept signature sets going: the transition, and what leaves for others.
    async fn take_effect(self, tx: &mut Tx<'_>, ctx: &Ctx, signed: &Signed) -> Result<Self, ApiError>;
}

/// The member's own document; anybody else finds nothing.
pub(crate) async fn own<D: Document>(tx: &mut Tx<'_>, member: &Member, id: &D::Id) -> Result<D, ApiError> {
    let found = D::find(tx, id).await?.filter(|document| document.is_of(member));
    found.ok_or_else(ApiError::not_found)
}

/// Shows the member's own document.
pub(crate) async fn show<D: Document>(
    ctx: &Ctx,
    scope: &Scope,
    member: &Member,
    id: &D::Id,
) -> Result<D::View, ApiError> {
    let (deps, member, id) = (ctx.clone(), member.clone(), id.clone());
    ctx.store
        .read(scope, move |tx| {
            let (ctx, member, id) = (deps.clone(), member.clone(), id.clone());
            Box::pin(async move { own::<D>(tx, &member, &id).await?.shown(tx, &ctx, &member).await })
        })
        .await
}

/// Shows the documents of a visit to its doctor; anybody else finds no such visit.
pub(crate) async fn of_visit<D: Document>(
    ctx: &Ctx,
    scope: &Scope,
    doctor: &Member,
    id: &VisitId,
) -> Result<Vec<D::View>, ApiError> {
    let (deps, member, id) = (ctx.clone(), doctor.clone(), id.clone());
    ctx.store
        .read(scope, move |tx| {
            let (ctx, member, id) = (deps.clone(), member.clone(), id.clone());
            Box::pin(async move {
                visit::of_doctor(tx, &ctx.vault, &id, &member.his_code).await?;
                let mut views = Vec::new();
                for document in D::of_visit(tx, &id).await? {
                    views.push(document.shown(tx, &ctx, &member).await?);
                }
                Ok(views)
            })
        })
        .await
}

/// Does something to the member's own document in one unit of work, shows and announces it.
pub(crate) async fn act<D, G, F>(ctx: &Ctx, staff: &Staff<G>, id: &str, f: F) -> Result<Json<D::View>, ApiError>
where
    D: Document,
    F: for<'a, 'c> Fn(&'a mut Tx<'c>, Ctx, D) -> BoxFuture<'a, Result<D, ApiError>> + Send + Sync + 'static,
{
    let id = D::number(id).ok_or_else(ApiError::not_found)?;
    act_as(ctx, &staff.scope(), &staff.member, &id, f).await.map(Json)
}

/// [`act`], for who comes by another door.
async fn act_as<D, F>(ctx: &Ctx, scope: &Scope, member: &Member, id: &D::Id, f: F) -> Result<D::View, ApiError>
where
    D: Document,
    F: for<'a, 'c> Fn(&'a mut Tx<'c>, Ctx, D) -> BoxFuture<'a, Result<D, ApiError>> + Send + Sync + 'static,
{
    let (deps, member, id, f) = (ctx.clone(), member.clone(), id.clone(), Arc::new(f));
    let (document, view) = ctx
        .store
        .write(scope, move |tx| {
            let (ctx, member, id, f) = (deps.clone(), member.clone(), id.clone(), f.clone());
            Box::pin(async move {
                let document = own::<D>(tx, &member, &id).await?;
                let document = f(tx, ctx.clone(), document).await?;
                let view = document.shown(tx, &ctx, &member).await?;
                Ok::<_, ApiError>((document, view))
            })
        })
        .await?;
    document.announce(ctx, &scope.tenant);
    Ok(view)
}

/// The doctor signs a draft of their own. The attempt is journaled before the signature server is asked; the signature is
/// kept, with everything it sets going, in one unit of work, and only when it was verified and the draft is what it was.
/// An unknown outcome leaves the draft: the next PIN goes on with the same attempt.
pub(crate) async fn sign<D: Draft>(
    ctx: &Ctx,
    scope: &Scope,
    doctor: &Member,
    id: &D::Id,
    pin: Pin,
) -> Result<D::View, ApiError> {
    let (member, wanted) = (doctor.clone(), id.clone());
    let signed = attempt(ctx, scope, pin, move |tx, ctx| {
        let (member, id) = (member.clone(), wanted.clone());
        Box::pin(async move { own::<D>(tx, &member, &id).await?.to_sign(tx, &ctx, &member).await })
    })
    .await?;
    let name = doctor.name.clone();
    act_as(ctx, scope, doctor, id, move |tx, ctx, draft: D| {
        let (signed, name) = (signed.clone(), name.clone());
        Box::pin(async move {
            signing::store::keep(tx, &ctx.vault, &signed, "doctor", &name).await?;
            draft.take_effect(tx, &ctx, &signed).await
        })
    })
    .await
}

/// Tells everybody whom the document of that number concerns that it changed; after the commit, by whoever does not hold
/// it.
pub(crate) async fn announce<D: Document>(ctx: &Ctx, tenant: &TenantId, id: &D::Id) -> Result<(), StoreError> {
    let wanted = id.clone();
    let found = ctx
        .store
        .read(&Scope::system(tenant.clone()), move |tx| {
            let id = wanted.clone();
            Box::pin(async move { D::find(tx, &id).await })
        })
        .await?;
    if let Some(document) = found {
        document.announce(ctx, tenant);
    }
    Ok(())
}
