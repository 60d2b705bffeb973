//! What restoring would change: both sides row by row, with what belongs to each.

use std::collections::BTreeMap;

use super::content::{Cell, Content, Row, Table, cell};
use super::{Change, Kind, What};
use crate::Refusal;
use crate::manage::account::REMOVED;

/// A kind, its table, the column that names a row; the table of what belongs to a row, and the column that says to which.
type Shown = (Kind, &'static str, &'static str, Option<(&'static str, &'static str)>);

/// Tables that people think of.
const SHOWN: [Shown; 7] = [
    (
        Kind::Account,
        "account",
        "name",
        Some(("account_certificate", "account")),
    ),
    (
        Kind::Key,
        "server_key",
        "label",
        Some(("server_certificate", "key_index")),
    ),
    (Kind::Authority, "authority", "organisation", None),
    (
        Kind::Application,
        "application",
        "name",
        Some(("application_certificate", "application")),
    ),
    (Kind::Chain, "chain", "name", Some(("chain_certificate", "chain"))),
    (Kind::Certificate, "certificate", "subject", None),
    (Kind::Setting, "setting", "name", None),
];

/// Columns that say when, not what.
const VOLATILE: [&str; 4] = ["changed_at", "totp_last", "added_at", "imported_at"];

/// Both sides carry digests in the place of secrets.
pub(super) fn changes(here: &Content, there: &Content) -> Result<Vec<Change>, Refusal> {
    let mut changes = Vec::new();
    for (kind, table, name, children) in SHOWN {
        let (mut before, after) = (things(here, table, children)?, things(there, table, children)?);
        let mut say = |row: &Row, what| -> Result<(), Refusal> {
            let mut shown = cell(row, name)?.as_text();
            if kind == Kind::Key {
                shown = format!("{} {shown}", cell(row, "key_index")?.as_text());
            }
            changes.push(Change {
                kind,
                name: shown,
                what,
            });
            Ok(())
        };
        for (key, (row, whole)) in &after {
            match before.remove(key) {
                None => say(row, What::Added)?,
                Some((old, _)) if is_destroyed(kind, &old) && !is_destroyed(kind, row) => say(&old, What::Kept)?,
                Some((_, old)) if old != *whole => say(row, What::Changed)?,
                Some(_) => {}
            }
        }
        for (row, _) in before.values() {
            let stays = matches!(kind, Kind::Key | Kind::Authority);
            say(row, if stays { What::Kept } else { What::Removed })?;
        }
    }
    Ok(changes)
}

pub(super) fn is_destroyed(kind: Kind, row: &Row) -> bool {
    kind == Kind::Key && row.get("state").is_some_and(|state| state.as_text() == "destroyed")
}

/// A row, and the row with what belongs to it, without what is volatile.
type Thing = (Row, Vec<Row>);

fn things(
    content: &Content,
    table: &str,
    children: Option<(&str, &str)>,
) -> Result<BTreeMap<Vec<Cell>, Thing>, Refusal> {
    let still = |row: &Row| -> Row {
        let kept = row.iter().filter(|(column, _)| !VOLATILE.contains(&column.as_str()));
        kept.map(|(column, cell)| (column.clone(), cell.clone())).collect()
    };
    let mut found = BTreeMap::new();
    for row in content.rows(table) {
        if table == "account" && cell(row, "state")?.as_text() == REMOVED {
            continue;
        }
        let key = Table::named(table)?.key_of(row)?;
        let mut whole = vec![still(row)];
        if let Some((child, parent)) = children {
            let own = content.rows(child).iter().filter(|of| of.get(parent) == key.first());
            let mut own: Vec<Row> = own.map(still).collect();
            own.sort();
            whole.append(&mut own);
        }
        found.insert(key, (row.clone(), whole));
    }
    Ok(found)
}
