//! What the console shows of the station: dockings, clips that wait, the room for footage, and what a person has to look at.

use std::collections::BTreeMap;

use records::footage::DockingId;
use store::StoreError;

use crate::plan::{Plan, Room};
use crate::rows::{self, DockingRow};
use crate::state::{ClipState, DockingState};
use crate::station::Docking;

/// What the console shows.
#[derive(Clone, Debug)]
pub struct Overview {
    /// Dockings: those whose recorder is there first.
    pub dockings: Vec<DockingRow>,
    /// Clips of those, by docking: how many, and how many are through (confirmed or cleared).
    pub progress: BTreeMap<DockingId, (u64, u64)>,
    /// Clips that wait for the cloud or a person.
    pub open_clips: u64,
    /// Their bytes.
    pub open_bytes: u64,
    /// Clips by state, without those cleared.
    pub states: Vec<Standing>,
    /// Percent of the room for footage that is taken.
    pub taken_percent: u64,
    /// Bytes of copies here.
    pub kept_bytes: u64,
    /// Bytes that may still be written.
    pub left_bytes: u64,
    /// What a person has to look at, in plain words.
    pub warnings: Vec<String>,
}

store::row! {
    /// How many clips are in a state.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Standing {
        /// The state.
        pub state: ClipState,
        /// Clips.
        pub count: u64,
        /// Their bytes.
        pub bytes: u64,
    }
}

fn warnings(dockings: &[DockingRow], states: &[Standing], taken_percent: u64) -> Vec<String> {
    let mut warnings = Vec::new();
    if taken_percent >= Plan::WARNED_AT {
        warnings.push(format!("视音频存储空间已用{taken_percent}%，请检查云端线路或扩容"));
    }
    for one in dockings {
        if matches!(one.state, DockingState::Held | DockingState::Kept) {
            let who = if one.serial.is_empty() { &one.place } else { &one.serial };
            warnings.push(format!("记录仪 {who}：{}", one.note));
        }
    }
    let count = |state| states.iter().find(|s| s.state == state).map_or(0, |s| s.count);
    for (state, words) in [
        (ClipState::Refused, "个片段被云端拒收，仍保留在记录仪中，请人工核对"),
        (ClipState::Lost, "个片段在采集前已从记录仪消失"),
        (ClipState::Missing, "个片段云端缺失且本机副本已清除，无法补传"),
    ] {
        if count(state) > 0 {
            warnings.push(format!("{}{words}", count(state)));
        }
    }
    warnings
}

impl Docking {
    /// How it stands.
    ///
    /// # Errors
    /// Of the database.
    pub async fn overview(&self) -> Result<Overview, StoreError> {
        let room: Room = self.room().await?;
        let (dockings, progress, states) = self
            .read(|tx| {
                Box::pin(async move {
                    let tenant = tx.tenant().clone();
                    let states: Vec<Standing> = tx
                        .all(
                            // What was cleared long ago is most of the table, and nothing anybody waits for.
                            "SELECT state, COUNT(*) AS count, CAST(SUM(size) AS BIGINT) AS bytes FROM docking_clip
                             WHERE tenant_id = $1 AND state IN ('found', 'copying', 'copied', 'verified', 'sealing', 'sealed',
                                'uploaded', 'confirmed', 'unreadable', 'refused', 'lost', 'missing')
                             GROUP BY state ORDER BY state",
                            &[&tenant],
                        )
                        .await?;
                    let (dockings, mut progress) = (rows::dockings(tx, 40).await?, BTreeMap::new());
                    for docking in dockings.iter().filter(|d| d.state.is_open()) {
                        let clips = rows::clips_in_docking(tx, &docking.id).await?;
                        let through = clips.iter().filter(|c| c.state.is_through()).count();
                        progress.insert(docking.id.clone(), (clips.len() as u64, through as u64));
                    }
                    Ok((dockings, progress, states))
                })
            })
            .await?;
        let open = states.iter().filter(|s| !s.state.is_through());
        let (open_clips, open_bytes) = open.fold((0, 0u64), |(n, b), s| (n + s.count, b.saturating_add(s.bytes)));
        let taken_percent = self.plan().taken(room);
        Ok(Overview {
            warnings: warnings(&dockings, &states, taken_percent),
            dockings,
            progress,
            open_clips,
            open_bytes,
            states,
            taken_percent,
            kept_bytes: room.kept,
            left_bytes: self.plan().left(room),
        })
    }
}
