//! Paired appliances, as rows.

use records::Timestamp;
use rusqlite::{OptionalExtension, Row, params};

use super::Unit;
use crate::Refusal;

/// An appliance that was proposed for pairing, or is paired, or was.
#[derive(Debug, Clone)]
pub(crate) struct PeerRow {
    /// `dev_` and the beginning of its fingerprint.
    pub(crate) id: String,
    /// Its introduction, as it was given.
    pub(crate) introduction: String,
    /// Its name, for people.
    pub(crate) name: String,
    /// Where its management interface is reached; empty when packages are carried as files.
    pub(crate) url: String,
    /// `source` or `follower`: what it is to this appliance.
    pub(crate) role: String,
    /// `proposed`, `approved` or `ended`.
    pub(crate) state: String,
    /// `certificate` or `people`: what its endorsement key was believed by.
    pub(crate) judged: String,
    pub(crate) proposed_by: String,
    pub(crate) approved_by: String,
    /// Of a follower: number of the last package made for it; of a source: of the last one taken.
    pub(crate) number: i64,
    /// SM3 of the content that was last confirmed by it (follower) or taken from it (source).
    pub(crate) digest: Vec<u8>,
    /// When that was.
    pub(crate) settled_at: Option<Timestamp>,
    /// Why it does not go on at present, in plain words; empty when it does.
    pub(crate) trouble: String,
}

const COLUMNS: &str = "id, introduction, name, url, role, state, judged, proposed_by, approved_by, number, digest, settled_at, \
                       trouble";

impl Unit<'_> {
    /// All of them, the newest first.
    pub(crate) fn peers(&self) -> Result<Vec<PeerRow>, Refusal> {
        let sql = format!("SELECT {COLUMNS} FROM replica_peer ORDER BY made_at DESC, id");
        let mut rows = self.0.prepare_cached(&sql)?;
        let rows = rows.query_map([], read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// By id.
    pub(crate) fn peer(&self, id: &str) -> Result<Option<PeerRow>, Refusal> {
        let sql = format!("SELECT {COLUMNS} FROM replica_peer WHERE id = ?1");
        Ok(self.0.prepare_cached(&sql)?.query_row([id], read).optional()?)
    }

    /// Puts it in, or in the place of the one with its id.
    pub(crate) fn put_peer(&self, row: &PeerRow, at: Timestamp) -> Result<(), Refusal> {
        self.0.execute(
            "INSERT INTO replica_peer (id, introduction, name, url, role, state, judged, proposed_by, approved_by, number, \
             digest, settled_at, trouble, made_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14) \
             ON CONFLICT (id) DO UPDATE SET introduction = excluded.introduction, name = excluded.name, \
             url = excluded.url, role = excluded.role, state = excluded.state, judged = excluded.judged, \
             proposed_by = excluded.proposed_by, approved_by = excluded.approved_by, number = excluded.number, \
             digest = excluded.digest, settled_at = excluded.settled_at, trouble = excluded.trouble",
            params![
                row.id,
                row.introduction,
                row.name,
                row.url,
                row.role,
                row.state,
                row.judged,
                row.proposed_by,
                row.approved_by,
                row.number,
                row.digest,
                row.settled_at.map(Timestamp::as_micros),
                row.trouble,
                at.as_micros()
            ],
        )?;
        Ok(())
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<PeerRow> {
    Ok(PeerRow {
        id: row.get(0)?,
        introduction: row.get(1)?,
        name: row.get(2)?,
        url: row.get(3)?,
        role: row.get(4)?,
        state: row.get(5)?,
        judged: row.get(6)?,
        proposed_by: row.get(7)?,
        approved_by: row.get(8)?,
        number: row.get(9)?,
        digest: row.get(10)?,
        settled_at: row.get::<_, Option<i64>>(11)?.map(Timestamp::from_micros),
        trouble: row.get(12)?,
    })
}
