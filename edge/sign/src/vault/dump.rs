//! Tables as a backup carries them. Names of tables and columns are the program's own, never of a file.

use rusqlite::types::Value;

use super::Unit;
use crate::Refusal;

impl Unit<'_> {
    /// All rows of a table, in the order of its first column.
    pub(crate) fn dump(&self, table: &'static str, columns: &[&'static str]) -> Result<Vec<Vec<Value>>, Refusal> {
        let sql = format!("SELECT {} FROM {table} ORDER BY 1, 2", columns.join(", "));
        let mut rows = self.0.prepare(&sql)?;
        let rows = rows.query_map([], |row| (0..columns.len()).map(|n| row.get(n)).collect())?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Puts a row in, or in the place of the one with its key.
    pub(crate) fn put_row(
        &self,
        table: &'static str,
        keys: &[&str],
        values: Vec<(&'static str, Value)>,
    ) -> Result<(), Refusal> {
        let columns: Vec<&str> = values.iter().map(|(column, _)| *column).collect();
        let places: Vec<String> = (1..=columns.len()).map(|n| format!("?{n}")).collect();
        let set = columns.iter().filter(|column| !keys.contains(column));
        let set: Vec<String> = set.map(|column| format!("{column} = excluded.{column}")).collect();
        let sql = format!(
            "INSERT INTO {table} ({}) VALUES ({}) ON CONFLICT ({}) DO UPDATE SET {}",
            columns.join(", "),
            places.join(", "),
            keys.join(", "),
            set.join(", ")
        );
        let values = values.into_iter().map(|(_, value)| value);
        self.0
            .prepare_cached(&sql)?
            .execute(rusqlite::params_from_iter(values))?;
        Ok(())
    }

    /// Removes all rows of a table.
    pub(crate) fn clear(&self, table: &str) -> Result<(), Refusal> {
        self.0.execute(&format!("DELETE FROM {table}"), [])?;
        Ok(())
    }

    /// Removes these settings.
    pub(crate) fn clear_settings(&self, names: &[&str]) -> Result<(), Refusal> {
        for name in names {
            self.0.execute("DELETE FROM setting WHERE name = ?1", [name])?;
        }
        Ok(())
    }

    /// Removes the certificates of a key.
    pub(crate) fn clear_key_certificates(&self, index: i64) -> Result<(), Refusal> {
        self.0
            .execute("DELETE FROM server_certificate WHERE key_index = ?1", [index])?;
        Ok(())
    }

    /// Removes an account whose name goes to another one.
    pub(crate) fn forget_account(&self, id: &str) -> Result<(), Refusal> {
        self.0.execute("DELETE FROM account WHERE id = ?1", [id])?;
        Ok(())
    }

    /// Whether signers of an organisation are enrolled.
    pub(crate) fn has_signers(&self, organisation: &str) -> Result<bool, Refusal> {
        let sql = "SELECT EXISTS (SELECT 1 FROM signer WHERE organisation = ?1)";
        Ok(self.0.query_row(sql, [organisation], |row| row.get(0))?)
    }
}
