//! What happens to a copy once it is here, whether its recorder is still there or not: sealed, uploaded, in the end removed.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use recorder::Fault;
use recorder::copy::{self, Control, Copied};
use records::footage::{ClipId, SealedFootage, kind};
use records::{Outcome, Timestamp};
use store::StoreError;
use tokio_util::sync::CancellationToken;

use crate::plan::{Class, Plan, Removable, Room};
use crate::ports::Carried;
use crate::rows::{self, Clip};
use crate::state::{ClipState, ClipStep, DockingState};
use crate::station::Docking;
use crate::{custody, register, report};

/// Between looks when nobody woke us.
const LOOK: Duration = Duration::from_secs(2);
/// Between tries after something did not go.
const AGAIN: Duration = Duration::from_secs(3);
/// How often what was kept long enough is looked for.
const HOUR: Duration = Duration::from_secs(3600);

/// When a copy was made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Copy {
    /// Right now: [`copy::copy`] has read it back already.
    JustNow,
    /// Before this start: what the disk holds now has to be looked at.
    OfBefore,
}

impl Docking {
    /// After a start: what was on its way when we ended.
    pub(crate) async fn recover(&self) -> Result<(), StoreError> {
        self.write(|tx| {
            Box::pin(async move {
                for row in rows::dockings(tx, u32::MAX).await? {
                    if row.state.is_open() {
                        let note = "采集途中系统中断，重新插入后继续";
                        rows::step_docking(tx, &row.id, crate::state::DockingStep::Interrupt, note).await?;
                    }
                }
                for clip in rows::clips_in(tx, &[ClipState::Copying], u32::MAX).await? {
                    rows::step_clip(tx, &clip.id, ClipStep::Fail, "").await?;
                }
                Ok(())
            })
        })
        .await?;
        let here = [
            ClipState::Copied,
            ClipState::Verified,
            ClipState::Sealing,
            ClipState::Sealed,
            ClipState::Uploaded,
        ];
        let clips = self
            .read(move |tx| Box::pin(async move { rows::clips_in(tx, &here, u32::MAX).await }))
            .await?;
        for clip in clips {
            let whole = std::fs::metadata(self.path(&clip.id)).is_ok_and(|m| m.len() == clip.size);
            if !whole {
                tracing::error!(clip.id = %clip.id, "our copy is gone; it is taken from the recorder again");
                self.step(&clip.id, ClipStep::Spoil, "本机副本丢失，将重新采集").await?;
            } else if clip.state == ClipState::Copied {
                self.verify(&clip, Copy::OfBefore).await?;
            }
        }
        Ok(())
    }

    /// Has a copy read back, and looks what it contains. `false` when it has to be taken again.
    pub(crate) async fn verify(&self, clip: &Clip, made: Copy) -> Result<bool, StoreError> {
        let decode = |text: &Option<String>| {
            let bytes = hex::decode(text.as_deref().unwrap_or_default()).ok()?;
            <[u8; 32]>::try_from(bytes).ok()
        };
        let (Some(sm3), Some(sha256)) = (decode(&clip.sm3), decode(&clip.sha256)) else {
            self.step(&clip.id, ClipStep::Spoil, "记录的摘要不完整，将重新采集")
                .await?;
            return Ok(false);
        };
        let expected = Copied {
            size: clip.size,
            sm3,
            sha256,
        };
        let path = self.path(&clip.id);
        let looked = tokio::task::spawn_blocking(move || {
            if made == Copy::OfBefore {
                copy::read_back(&path, &expected, &Control::default())?;
            }
            let facts = std::fs::File::open(&path).and_then(|mut file| recorder::container::probe(&mut file));
            facts.map_err(Fault::Disk)
        })
        .await
        .unwrap_or(Err(Fault::Stopped));
        let facts = match looked {
            Ok(facts) => facts,
            Err(fault) => {
                tracing::error!(clip.id = %clip.id, %fault, "a copy did not read back");
                self.step(&clip.id, ClipStep::Spoil, &fault.to_string()).await?;
                return Ok(false);
            }
        };
        let named = self.pattern().read(&clip.found().path);
        let began = facts.created_at.or(named.time).map(Timestamp::from_seconds);
        let (id, sha256) = (clip.id.clone(), clip.sha256.clone());
        let (container, condition, duration) = (facts.container.as_str(), facts.condition.as_str(), facts.duration_ms);
        let entry = clip.entry_sha256.clone();
        let verified = self
            .write(move |tx| {
                let (id, sha256, entry) = (id.clone(), sha256.clone(), entry.clone());
                Box::pin(async move {
                    if entry.is_some() && entry != sha256 {
                        // The recorder gives another content under the same name, size and time than the one that was sealed.
                        rows::step_clip(tx, &id, ClipStep::GiveUp, "内容与已签封的不同，请人工核对").await?;
                        return Ok(false);
                    }
                    let now = tx.now();
                    rows::set(
                        tx,
                        &id,
                        &[
                            ("container", &container),
                            ("condition", &condition),
                            ("recorded_at", &began),
                            ("duration_ms", &duration),
                            ("copied_at", &now),
                        ],
                    )
                    .await?;
                    rows::step_clip(tx, &id, ClipStep::Verify, "").await
                })
            })
            .await?;
        self.wake();
        Ok(verified)
    }

    /// Signs what is verified, until stopped.
    pub(crate) async fn keep_sealing(&self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            let woken = self.woken();
            let pause = match self.seal_next().await {
                Ok(Some(true)) => continue,
                Ok(Some(false)) => AGAIN,
                Ok(None) => LOOK,
                Err(error) => {
                    tracing::error!(%error, "footage cannot be sealed");
                    AGAIN
                }
            };
            self.rest(stop, woken, pause).await;
        }
    }

    async fn seal_next(&self) -> Result<Option<bool>, StoreError> {
        let (edge, ids) = (self.edge().clone(), self.ids().clone());
        let drafted = self
            .write(move |tx| {
                let (edge, ids) = (edge.clone(), ids.clone());
                Box::pin(async move {
                    if let Some(clip) = rows::clips_in(tx, &[ClipState::Verified], 1).await?.pop() {
                        custody::draft(tx, &edge, &clip).await?;
                    }
                    let Some(clip) = rows::clips_in(tx, &[ClipState::Sealing], 1).await?.pop() else {
                        return Ok(None);
                    };
                    let listed = register::listed(tx, &clip.recorder).await?;
                    let hospital = listed.map(|l| l.hospital).unwrap_or_default();
                    let fresh = register::fresh(&ids, edge.as_str(), &hospital);
                    let signer = register::signer(tx, &fresh).await?;
                    Ok(Some((clip, signer)))
                })
            })
            .await?;
        let Some((clip, signer)) = drafted else {
            return Ok(None);
        };
        let cms = match &clip.cms {
            Some(cms) => cms.clone(),
            None => match self
                .sealer()
                .seal(&signer, clip.id.as_str(), clip.entry.as_deref().unwrap_or_default())
                .await
            {
                Outcome::Done(cms) => cms,
                Outcome::Refused { code, text } => {
                    tracing::error!(clip.id = %clip.id, sign.refusal = code, sign.text = text, "custody entry not signed");
                    return Ok(Some(false));
                }
                Outcome::Later { .. } | Outcome::Unknown => return Ok(Some(false)),
            },
        };
        let id = clip.id.clone();
        self.write(move |tx| {
            let (id, cms) = (id.clone(), cms.clone());
            Box::pin(async move {
                rows::set(tx, &id, &[("cms", &cms)]).await?;
                rows::step_clip(tx, &id, ClipStep::Seal, "").await
            })
        })
        .await?;
        self.wake();
        Ok(Some(true))
    }

    /// Brings what is sealed to the cloud, until stopped.
    pub(crate) async fn keep_uploading(&self, stop: &CancellationToken) {
        let mut put_off = Vec::new();
        while !stop.is_cancelled() {
            let woken = self.woken();
            let done = tokio::select! {
                () = stop.cancelled() => return,
                done = self.upload_next(&mut put_off) => done,
            };
            let pause = match done {
                Ok(Some(true)) => continue,
                Ok(Some(false)) => AGAIN,
                Ok(None) => LOOK,
                Err(error) => {
                    tracing::error!(%error, "footage cannot be uploaded");
                    AGAIN
                }
            };
            self.rest(stop, woken, pause).await;
        }
    }

    /// Brings the next one. What did not go comes again after all others: one file the cloud does not take (too large, say)
    /// must not keep back the footage of every recorder.
    async fn upload_next(&self, put_off: &mut Vec<ClipId>) -> Result<Option<bool>, StoreError> {
        let most = u32::try_from(put_off.len()).unwrap_or(u32::MAX).saturating_add(1);
        let sealed = self
            .read(move |tx| Box::pin(async move { rows::clips_in(tx, &[ClipState::Sealed], most).await }))
            .await?;
        let fresh = sealed.iter().find(|c| !put_off.contains(&c.id));
        if fresh.is_none() {
            put_off.clear();
        }
        let Some(clip) = fresh.or_else(|| sealed.first()).cloned() else {
            return Ok(None);
        };
        match self.carrier().carry(&self.path(&clip.id)).await {
            Carried::Whole(sha256) if Some(&sha256) == clip.sha256.as_ref() => {}
            Carried::Whole(_) => {
                self.step(&clip.id, ClipStep::Spoil, "本机副本已损坏，将重新采集")
                    .await?;
                return Ok(Some(true));
            }
            Carried::Unreadable(why) => {
                tracing::error!(clip.id = %clip.id, why, "our copy cannot be read; it is taken from the recorder again");
                self.step(&clip.id, ClipStep::Spoil, "本机副本无法读取，将重新采集")
                    .await?;
                return Ok(Some(true));
            }
            Carried::Later(why) => {
                tracing::warn!(clip.id = %clip.id, why, "not uploaded yet");
                put_off.push(clip.id);
                return Ok(Some(false));
            }
        }
        let body = SealedFootage {
            clip: clip.id.clone(),
            entry: STANDARD.encode(clip.entry.as_deref().unwrap_or_default()),
            cms: clip.cms.clone().unwrap_or_default(),
        };
        self.write(move |tx| {
            let body = body.clone();
            Box::pin(async move {
                if rows::step_clip(tx, &body.clip, ClipStep::Upload, "").await? {
                    report::append(tx, kind::FOOTAGE_SEALED, body.clip.as_str(), &body).await?;
                }
                Ok(())
            })
        })
        .await?;
        Ok(Some(true))
    }

    /// Removes what was kept long enough, until stopped.
    pub(crate) async fn keep_tidy(&self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(error) = self.make_room(0).await {
                tracing::error!(%error, "old footage not removed");
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(HOUR) => {}
            }
        }
    }

    /// Removes confirmed copies as the plan says; answers the bytes that may be written.
    pub(crate) async fn make_room(&self, wanted: u64) -> Result<u64, StoreError> {
        let room = self.room().await?;
        let removable = self.removable().await?;
        let gone = self.plan().remove(room, wanted, removable, self.now());
        for id in &gone {
            match std::fs::remove_file(self.path(id)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    tracing::error!(clip.id = %id, %error, "an old copy stays");
                    continue;
                }
                _ => {}
            }
            let id = id.clone();
            self.write(move |tx| {
                let id = id.clone();
                Box::pin(async move {
                    let now = tx.now();
                    rows::set(tx, &id, &[("purged_at", &now)]).await
                })
            })
            .await?;
        }
        let room = if gone.is_empty() { room } else { self.room().await? };
        let taken = self.plan().taken(room);
        if taken >= Plan::WARNED_AT {
            tracing::warn!(footage.taken_percent = taken, "room for footage runs short");
        }
        Ok(self.plan().left(room))
    }

    pub(crate) async fn room(&self) -> Result<Room, StoreError> {
        let kept = self
            .read(|tx| Box::pin(async move { rows::kept_bytes(tx).await }))
            .await?;
        let free = fs2::available_space(self.folder()).unwrap_or(0);
        Ok(Room { kept, free })
    }

    async fn removable(&self) -> Result<Vec<Removable>, StoreError> {
        self.read(|tx| {
            Box::pin(async move {
                let open: Vec<_> = rows::dockings(tx, 1000)
                    .await?
                    .into_iter()
                    .filter(|d| d.state.is_open() && d.state != DockingState::Ready)
                    .map(|d| d.id)
                    .collect();
                let clips = rows::clips_in(tx, &[ClipState::Confirmed, ClipState::Cleared], u32::MAX).await?;
                Ok(clips
                    .into_iter()
                    .filter(|c| c.purged_at.is_none())
                    .filter(|c| c.state == ClipState::Cleared || !open.contains(&c.docking))
                    .map(|c| Removable {
                        size: c.size,
                        class: if c.class.as_deref() == Some("order") {
                            Class::Order
                        } else {
                            Class::Loose
                        },
                        cleared: c.state == ClipState::Cleared,
                        since: c.changed_at,
                        id: c.id,
                    })
                    .collect())
            })
        })
        .await
    }
}
