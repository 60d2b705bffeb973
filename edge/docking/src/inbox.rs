//! What the cloud tells the station, each in the unit that moves the inbox cursor: who is on the white list, what was issued,
//! which footage is kept. Call [`Docking::wake`] after the commit.

use records::footage::{
    FootageConfirmed, FootageRefusal, FootageRefused, RecorderIssue, RecorderListed, RecorderReturn, RecorderUnlisted,
};
use store::{StoreError, Tx};

use crate::register;
use crate::rows;
use crate::state::ClipStep;
use crate::station::Docking;

/// Said of footage that neither the cloud nor we have any more.
const GONE: &str = "云端缺少该片段，本机副本已按保留期清除，无法补传；若记录仪中仍有该文件，请重新插入采集";

impl Docking {
    /// A recorder is on the white list.
    ///
    /// # Errors
    /// Of the database.
    pub async fn list(tx: &mut Tx<'_>, body: &RecorderListed) -> Result<(), StoreError> {
        register::list(tx, body).await
    }

    /// A recorder is not (any more).
    ///
    /// # Errors
    /// Of the database.
    pub async fn unlist(tx: &mut Tx<'_>, body: &RecorderUnlisted) -> Result<(), StoreError> {
        register::unlist(tx, body).await
    }

    /// A recorder was given to a person.
    ///
    /// # Errors
    /// Of the database.
    pub async fn issue(tx: &mut Tx<'_>, body: &RecorderIssue) -> Result<(), StoreError> {
        register::issue(tx, body).await
    }

    /// An issue ended.
    ///
    /// # Errors
    /// Of the database.
    pub async fn give_back(tx: &mut Tx<'_>, body: &RecorderReturn) -> Result<(), StoreError> {
        register::give_back(tx, body).await
    }

    /// The cloud keeps a clip. A hash that is not ours confirms nothing.
    ///
    /// # Errors
    /// Of the database.
    pub async fn confirm(tx: &mut Tx<'_>, body: &FootageConfirmed) -> Result<(), StoreError> {
        let Some(clip) = rows::clip(tx, &body.clip).await? else {
            tracing::error!(clip.id = %body.clip, "confirmation of a clip that is not ours");
            return Ok(());
        };
        if clip.sha256.as_deref() != Some(body.sha256.as_str()) {
            tracing::error!(clip.id = %body.clip, "confirmation with another hash; the clip stays on its recorder");
            return Ok(());
        }
        rows::step_clip(tx, &body.clip, ClipStep::Confirm, "").await.map(drop)
    }

    /// The cloud could not confirm a clip.
    ///
    /// # Errors
    /// Of the database.
    pub async fn refuse(tx: &mut Tx<'_>, body: &FootageRefused) -> Result<(), StoreError> {
        let kept = rows::clip(tx, &body.clip).await?.is_some_and(|c| c.purged_at.is_none());
        let (step, words) = match body.reason {
            FootageRefusal::Missing if kept => (ClipStep::SendAgain, body.text.as_str()),
            // Confirmed long ago, then removed to make room: saying "sent again" would be a promise nobody can keep.
            FootageRefusal::Missing => (ClipStep::Miss, GONE),
            FootageRefusal::Unsound => (ClipStep::Refuse, body.text.as_str()),
        };
        if rows::step_clip(tx, &body.clip, step, words).await? && step == ClipStep::Miss {
            tracing::error!(clip.id = %body.clip, "the cloud misses footage that was removed here after it had confirmed it");
        }
        Ok(())
    }
}
