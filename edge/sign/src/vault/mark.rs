//! Up to which time requests signed with a key may have been accepted, by application, as rows.

use records::Timestamp;
use rusqlite::params;

use super::Unit;
use crate::Refusal;

impl Unit<'_> {
    /// Every application's mark.
    pub(crate) fn request_marks(&self) -> Result<Vec<(String, Timestamp)>, Refusal> {
        let mut marks = self.0.prepare_cached("SELECT application, until FROM request_mark")?;
        let marks = marks.query_map([], |row| Ok((row.get(0)?, Timestamp::from_micros(row.get(1)?))))?;
        Ok(marks.collect::<Result<_, _>>()?)
    }

    /// Raises an application's mark; it is never lowered by this.
    pub(crate) fn raise_request_mark(&self, application: &str, until: Timestamp) -> Result<(), Refusal> {
        let mut raise = self.0.prepare_cached(
            "INSERT INTO request_mark (application, until) VALUES (?1, ?2) \
             ON CONFLICT (application) DO UPDATE SET until = max(until, excluded.until)",
        )?;
        raise.execute(params![application, until.as_micros()])?;
        Ok(())
    }

    /// Lowers marks that lie after this time: a wrong clock left them there.
    pub(crate) fn lower_request_marks(&self, to: Timestamp) -> Result<(), Refusal> {
        let sql = "UPDATE request_mark SET until = ?1 WHERE until > ?1";
        self.0.execute(sql, [to.as_micros()])?;
        Ok(())
    }
}
