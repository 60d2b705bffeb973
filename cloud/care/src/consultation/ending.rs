//! The end of a visit (结束服务) by its doctor. There is no request of its own for it: the context that keeps the doctor's
//! documents orders it in the unit of work in which everything is found signed.

use base::Ctx;
use records::id::VisitId;
use store::Tx;

use super::effects::{hand, perform};
use super::{VisitState, store as sql};
use crate::CareError;
use crate::messages::post_system;

/// What the room is told.
const BY_DOCTOR: &str = "医生结束了问诊";

/// Finishes the doctor's own visit; `false` when it was finished already. Announce it after the commit.
///
/// # Errors
/// When it is not this doctor's, has not begun, or ended otherwise.
pub async fn finish(tx: &mut Tx<'_>, ctx: &Ctx, id: &VisitId, doctor_code: &str) -> Result<bool, CareError> {
    let mut visit = sql::get(tx, id).await?;
    if visit.doctor_code != doctor_code {
        return Err(CareError::Absent);
    }
    // Both sides may press it; the second finds it done.
    if visit.state == VisitState::Finished {
        return Ok(false);
    }
    let moved = visit.progress().finish(&hand(tx))?;
    perform(tx, ctx, &mut visit, moved).await?;
    post_system(tx, &ctx.vault, id, BY_DOCTOR).await?;
    Ok(true)
}
