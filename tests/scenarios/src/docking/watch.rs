//! Looks into the bench while a run goes on: whether something was cleared too early, and how far the appliance is.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use bench_recorder::Recorder;
use rusqlite::{Connection, OpenFlags};
use site::Addresses;

use super::Break;
use crate::client::DEADLINE;

/// Looks all the time whether something is gone from a recorder that the cloud has not confirmed.
pub(super) struct Watch {
    database: PathBuf,
    shelf: PathBuf,
    files: Vec<(String, PathBuf, String)>,
}

impl Watch {
    pub(super) fn new(addresses: &Addresses, recorders: &[Recorder], broke: Break) -> Self {
        let mut files = Vec::new();
        for recorder in recorders {
            for file in recorder.recorded() {
                // What will be recorded on has another content by then; the proof at the end knows it.
                let grows = broke == Break::Grow && file.path.to_string_lossy().ends_with("_0000.mp4");
                if !grows {
                    files.push((recorder.serial().to_owned(), file.path.clone(), file.sha256.clone()));
                }
            }
        }
        Self {
            database: addresses.data.join("cloud/cloud.sqlite"),
            shelf: addresses.data.join("bench/recorders"),
            files,
        }
    }

    pub(super) fn until(&self, ended: &AtomicBool) -> Result<Vec<String>> {
        let mut early = Vec::new();
        while !ended.load(Ordering::Relaxed) && early.is_empty() {
            // First the recorders, then the cloud: what is confirmed stays so.
            let gone: Vec<_> = self
                .files
                .iter()
                .filter(|(serial, path, _)| !self.there(serial, path))
                .collect();
            if !gone.is_empty() {
                let confirmed = self.confirmed()?;
                early = gone
                    .into_iter()
                    .filter(|(_, _, sha256)| !confirmed.contains(sha256))
                    // A recorder on its way from one folder to the next is looked at once more.
                    .filter(|(serial, path, _)| !self.settled_there(serial, path))
                    .map(|(serial, path, _)| {
                        format!("{serial} {}: cleared before the cloud confirmed it", path.display())
                    })
                    .collect();
            }
            std::thread::sleep(Duration::from_millis(40));
        }
        Ok(early)
    }

    fn settled_there(&self, serial: &str, path: &Path) -> bool {
        std::thread::sleep(Duration::from_millis(100));
        self.there(serial, path)
    }

    fn there(&self, serial: &str, path: &Path) -> bool {
        let Ok(folders) = std::fs::read_dir(&self.shelf) else {
            return false;
        };
        folders
            .filter_map(Result::ok)
            .any(|folder| folder.file_name().to_string_lossy().contains(serial) && folder.path().join(path).exists())
    }

    fn confirmed(&self) -> Result<BTreeSet<String>> {
        let db = looked_at(&self.database)?;
        let mut statement = db.prepare("SELECT sha256 FROM nursing_clip WHERE state = 'confirmed'")?;
        let rows = statement.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

fn looked_at(database: &Path) -> Result<Connection> {
    let db = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    // Its owner may just be recovering it after a kill.
    db.busy_timeout(DEADLINE)?;
    Ok(db)
}

/// How far the appliance is with a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reached {
    /// It does not copy from the recorder yet.
    Nothing,
    /// It copies from the recorder, and this recording is not read to its end.
    Copying,
    /// It tried to read it, and the card did not give it.
    Failed,
    /// It has it.
    Taken,
}

/// The appliance's own books.
pub(super) struct Books(Connection);

impl Books {
    /// Opens them, to be read only.
    pub(super) fn open(data: &Path) -> Result<Self> {
        looked_at(&data.join("edge/edge.sqlite")).map(Self)
    }

    /// How far it is with a recording of a recorder.
    pub(super) fn reached(&self, serial: &str, file: &str) -> Result<Reached> {
        let mut asked = self.0.prepare_cached(
            "SELECT d.state, c.state, EXISTS (SELECT 1 FROM docking_trail t WHERE t.tenant_id = c.tenant_id
                AND t.subject = c.id AND t.did = 'fail' AND t.note <> '')
             FROM docking d LEFT JOIN docking_clip c ON c.tenant_id = d.tenant_id AND c.docking = d.id AND c.file = ?2
             WHERE d.serial = ?1 ORDER BY d.arrived_at DESC LIMIT 1",
        )?;
        let mut rows = asked.query((serial, file))?;
        let Some(row) = rows.next()? else {
            return Ok(Reached::Nothing);
        };
        let (docking, clip): (String, Option<String>) = (row.get(0)?, row.get(1)?);
        Ok(match (docking.as_str(), clip.as_deref(), row.get::<_, bool>(2)?) {
            (_, _, true) => Reached::Failed,
            ("arrived" | "held", ..) => Reached::Nothing,
            ("copying", None | Some("found" | "copying"), false) => Reached::Copying,
            _ => Reached::Taken,
        })
    }
}
