//! The one way to a signature: the attempt is journaled with its exact bytes before the signature server is asked.

use std::sync::Arc;

use ::store::{BoxFuture, Scope, Tx};
use base::{ApiError, Ctx};
use records::sign::Pin;
use serde::de::DeserializeOwned;

use crate::signing::{self, Order, Signed, store};

/// Has something signed: `order` says what, in the unit of work that journals the attempt; only then is the signature server
/// asked, and its answer verified. Nothing takes effect before the caller keeps the signature ([`store::keep`]).
pub(crate) async fn attempt<F>(ctx: &Ctx, scope: &Scope, pin: Pin, order: F) -> Result<Signed, ApiError>
where
    F: for<'a, 'c> Fn(&'a mut Tx<'c>, Ctx) -> BoxFuture<'a, Result<Order, ApiError>> + Send + Sync + 'static,
{
    let (deps, order) = (ctx.clone(), Arc::new(order));
    let attempt = ctx
        .store
        .write(scope, move |tx| {
            let (ctx, order) = (deps.clone(), order.clone());
            Box::pin(async move {
                let order = order(tx, ctx.clone()).await?;
                store::begin(tx, &ctx.vault, &ctx.ids, &order).await
            })
        })
        .await?;
    signing::call(ctx, scope, attempt, pin).await
}

impl Signed {
    /// The document whose bytes were signed.
    pub(crate) fn document<D: DeserializeOwned>(&self) -> Result<D, ApiError> {
        serde_json::from_slice(&self.attempt.document).map_err(ApiError::internal)
    }
}
