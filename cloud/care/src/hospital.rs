//! Calls to the HIS with the deadlines of this crate.

use std::time::Duration;

use base::Ctx;
use base::hospital::call;
use records::his::Operation;
use records::{Outcome, TenantId};

/// A person waits for the answer.
pub(crate) const READ: Duration = Duration::from_secs(6);
/// A write that a person waits for. The appliance does not begin one whose deadline has passed.
pub(crate) const WRITE: Duration = Duration::from_secs(10);
/// A catalogue: thousands of rows, nobody waits.
pub(crate) const CATALOGUE: Duration = Duration::from_secs(30);

/// Asks the HIS something that changes nothing.
pub(crate) async fn ask<O: Operation>(ctx: &Ctx, tenant: &TenantId, request: &O::Request) -> Outcome<O::Response> {
    call::<O>(&*ctx.hospital, tenant, request, None, READ).await
}

/// Fetches a catalogue.
pub(crate) async fn fetch<O: Operation>(ctx: &Ctx, tenant: &TenantId, request: &O::Request) -> Outcome<O::Response> {
    call::<O>(&*ctx.hospital, tenant, request, None, CATALOGUE).await
}

/// Asks the HIS to do something; the key makes a repeat harmless.
pub(crate) async fn act<O: Operation>(
    ctx: &Ctx,
    tenant: &TenantId,
    key: &str,
    request: &O::Request,
) -> Outcome<O::Response> {
    call::<O>(&*ctx.hospital, tenant, request, Some(key), WRITE).await
}
