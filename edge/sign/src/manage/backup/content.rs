//! The configuration as tables: which ones, and which of their columns are secrets under which owner's name.

use std::collections::BTreeMap;

use rusqlite::types::Value;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::custodians::recovery_owner;
use crate::Refusal;
use crate::engine::{authority_owner, signer_root_owner};
use crate::keys::key_owner;
use crate::manage::sign_in::totp_owner;
use crate::settings::CARRIED;
use crate::state::secret_owner;
use crate::vault::Unit;

/// A table that is carried.
pub(crate) struct Table {
    pub(crate) name: &'static str,
    /// Its columns. New ones are added at the end; a file without them leaves their default.
    pub(crate) columns: &'static [&'static str],
    /// How many of them, from the first, are the primary key.
    pub(crate) key: usize,
    /// Columns that are wrapped, with the part of the owner's name that is theirs.
    secrets: &'static [(&'static str, &'static str)],
}

/// Parents before children.
pub(crate) const TABLES: &[Table] = &[
    Table {
        name: "account",
        columns: &[
            "id",
            "name",
            "person",
            "role",
            "state",
            "salt",
            "password",
            "change_password",
            "totp",
            "totp_last",
            "made_at",
            "changed_at",
        ],
        key: 1,
        secrets: &[("totp", "")],
    },
    Table {
        name: "account_certificate",
        columns: &["fingerprint", "account", "certificate", "added_at"],
        key: 1,
        secrets: &[],
    },
    Table {
        name: "authority",
        columns: &[
            "organisation",
            "root",
            "root_key",
            "issuing",
            "issuing_key",
            "seal_root",
            "seal_root_key",
            "seal",
            "seal_key",
            "made_at",
        ],
        key: 1,
        secrets: &[
            ("root_key", "root"),
            ("issuing_key", "issuing"),
            ("seal_root_key", "seal root"),
            ("seal_key", "seal"),
        ],
    },
    Table {
        name: "revoked_certificate",
        columns: &[
            "fingerprint",
            "issuer",
            "serial",
            "subject",
            "reason",
            "revoked_at",
            "revoked_by",
        ],
        key: 1,
        secrets: &[],
    },
    Table {
        // A list's number never goes back, on another device neither.
        name: "own_list",
        columns: &["issuer", "name", "number", "issued_at", "list", "entries"],
        key: 1,
        secrets: &[],
    },
    Table {
        name: "server_key",
        columns: &[
            "key_index",
            "label",
            "algorithm",
            "custody",
            "reference",
            "wrapped",
            "public_key",
            "state",
            "access_code",
            "made_at",
            "changed_at",
        ],
        key: 1,
        secrets: &[("wrapped", "")],
    },
    Table {
        name: "server_key_purpose",
        columns: &["key_index", "purpose"],
        key: 1,
        secrets: &[],
    },
    Table {
        name: "server_certificate",
        columns: &["key_index", "number", "certificate", "chain", "imported_at"],
        key: 2,
        secrets: &[],
    },
    Table {
        name: "application",
        columns: &["id", "name", "enabled", "policy", "secret", "made_at", "changed_at"],
        key: 1,
        secrets: &[("secret", "")],
    },
    Table {
        name: "application_certificate",
        columns: &["fingerprint", "application", "certificate", "added_at"],
        key: 1,
        secrets: &[],
    },
    Table {
        name: "chain",
        columns: &["id", "name", "settings", "made_at"],
        key: 1,
        secrets: &[],
    },
    Table {
        name: "chain_certificate",
        columns: &["chain", "fingerprint", "certificate", "added_at"],
        key: 2,
        secrets: &[],
    },
    Table {
        name: "certificate",
        columns: &[
            "fingerprint",
            "serial",
            "subject",
            "issuer",
            "not_before",
            "not_after",
            "algorithm",
            "note",
            "certificate",
            "imported_at",
        ],
        key: 1,
        secrets: &[],
    },
    Table {
        name: "setting",
        columns: &["name", "value", "changed_at"],
        key: 1,
        secrets: &[],
    },
    Table {
        name: "custody_group",
        columns: &["id", "needed", "wrapped", "made_at"],
        key: 1,
        secrets: &[("wrapped", "")],
    },
    Table {
        name: "custodian",
        columns: &["custody_group", "number", "name", "taken_at"],
        key: 2,
        secrets: &[],
    },
];

/// Signers with the roots of their keys: for an attested appliance, not for a file that lies about. A signer's own key needs
/// the PIN besides, and stays as it is wrapped.
const SIGNERS: &[Table] = &[
    Table {
        name: "signer_root",
        columns: &["id", "wrapped", "made_at"],
        key: 1,
        secrets: &[("wrapped", "")],
    },
    Table {
        name: "signer",
        columns: &[
            "id",
            "organisation",
            "name",
            "role",
            "certificate",
            "wrapped",
            "salt",
            "tries_left",
            "enrolled_at",
        ],
        key: 1,
        secrets: &[],
    },
    Table {
        name: "signer_wrapping",
        columns: &["signer", "root"],
        key: 1,
        secrets: &[],
    },
];

/// A value of a row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Cell {
    /// Absent.
    Null(()),
    /// A number.
    Integer(i64),
    /// Text.
    Text(String),
    /// Bytes, hexadecimal.
    Bytes {
        /// The bytes.
        hex: String,
    },
}

impl Cell {
    pub(crate) fn bytes(bytes: &[u8]) -> Self {
        Self::Bytes {
            hex: hex::encode(bytes),
        }
    }

    pub(crate) fn as_text(&self) -> String {
        match self {
            Self::Null(()) => String::new(),
            Self::Integer(number) => number.to_string(),
            Self::Text(text) => text.clone(),
            Self::Bytes { hex } => hex.clone(),
        }
    }

    pub(crate) fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            _ => None,
        }
    }

    fn of(value: Value) -> Result<Self, Refusal> {
        Ok(match value {
            Value::Null => Self::Null(()),
            Value::Integer(number) => Self::Integer(number),
            Value::Text(text) => Self::Text(text),
            Value::Blob(bytes) => Self::bytes(&bytes),
            Value::Real(_) => return Err(Refusal::Damaged("table")),
        })
    }

    pub(crate) fn value(&self) -> Result<Value, Refusal> {
        Ok(match self {
            Self::Null(()) => Value::Null,
            Self::Integer(number) => Value::Integer(*number),
            Self::Text(text) => Value::Text(text.clone()),
            Self::Bytes { hex } => Value::Blob(hex::decode(hex).map_err(|_| damaged())?),
        })
    }
}

/// A row, by column.
pub(crate) type Row = BTreeMap<String, Cell>;

/// Rows of the tables.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Content(BTreeMap<String, Vec<Row>>);

pub(crate) fn damaged() -> Refusal {
    Refusal::no("backup_damaged", "备份文件已损坏或不是备份文件，未恢复。")
}

pub(crate) fn cell<'r>(row: &'r Row, column: &str) -> Result<&'r Cell, Refusal> {
    row.get(column).ok_or_else(damaged)
}

impl Table {
    pub(crate) fn named(name: &str) -> Result<&'static Self, Refusal> {
        let found = TABLES.iter().chain(SIGNERS).find(|table| table.name == name);
        found.ok_or(Refusal::Damaged("table"))
    }

    /// The primary key of a row.
    pub(crate) fn key_of(&self, row: &Row) -> Result<Vec<Cell>, Refusal> {
        let columns = self.columns.iter().take(self.key);
        columns.map(|column| cell(row, column).cloned()).collect()
    }

    /// The name under which a row's secret is wrapped.
    fn owner(&self, row: &Row, part: &str) -> Result<String, Refusal> {
        let id = cell(row, self.columns.first().copied().unwrap_or_default())?;
        Ok(match (self.name, id) {
            ("account", Cell::Text(id)) => totp_owner(id),
            ("authority", Cell::Text(organisation)) => authority_owner(part, organisation),
            ("server_key", Cell::Integer(index)) => key_owner(u32::try_from(*index).map_err(|_| damaged())?),
            ("application", Cell::Text(id)) => secret_owner(id),
            ("signer_root", Cell::Text(id)) => signer_root_owner(id),
            ("custody_group", Cell::Bytes { hex }) => recovery_owner(&hex::decode(hex).map_err(|_| damaged())?),
            _ => return Err(damaged()),
        })
    }
}

impl Content {
    /// What is there now; secrets still wrapped under the key of keys.
    pub(crate) fn read(unit: &Unit<'_>) -> Result<Self, Refusal> {
        Self::read_tables(unit, TABLES.iter())
    }

    /// The same, and the signers.
    pub(crate) fn read_with_signers(unit: &Unit<'_>) -> Result<Self, Refusal> {
        Self::read_tables(unit, TABLES.iter().chain(SIGNERS))
    }

    fn read_tables(unit: &Unit<'_>, wanted: impl Iterator<Item = &'static Table>) -> Result<Self, Refusal> {
        let mut tables = BTreeMap::new();
        for table in wanted {
            let mut rows = Vec::new();
            for values in unit.dump(table.name, table.columns)? {
                let mut row = Row::new();
                for (column, value) in table.columns.iter().zip(values) {
                    row.insert((*column).to_owned(), Cell::of(value)?);
                }
                let carried = table.name != "setting" || CARRIED.contains(&cell(&row, "name")?.as_text().as_str());
                if carried {
                    rows.push(row);
                }
            }
            tables.insert(table.name.to_owned(), rows);
        }
        Ok(Self(tables))
    }

    /// These tables of it.
    pub(crate) fn only(mut self, tables: &[&str]) -> Self {
        self.0.retain(|table, _| tables.contains(&table.as_str()));
        self
    }

    /// Leaves out the rows of a table that are not to be kept; those that are may be changed.
    pub(crate) fn retain(&mut self, table: &str, keep: impl FnMut(&mut Row) -> bool) {
        if let Some(rows) = self.0.get_mut(table) {
            rows.retain_mut(keep);
        }
    }

    pub(crate) fn rows(&self, table: &str) -> &[Row] {
        self.0.get(table).map(Vec::as_slice).unwrap_or_default()
    }

    /// Puts what `seal` makes of each secret in its place: `seal(owner, secret as it is kept)`.
    pub(crate) fn secrets(
        mut self,
        seal: impl Fn(&str, &[u8]) -> Result<Zeroizing<Vec<u8>>, Refusal>,
    ) -> Result<Self, Refusal> {
        for table in TABLES.iter().chain(SIGNERS) {
            for row in self.0.get_mut(table.name).into_iter().flatten() {
                for (column, part) in table.secrets {
                    let Cell::Bytes { hex } = cell(row, column)? else {
                        continue;
                    };
                    let kept = hex::decode(hex).map_err(|_| damaged())?;
                    let owner = table.owner(row, part)?;
                    row.insert((*column).to_owned(), Cell::bytes(&seal(&owner, &kept)?));
                }
            }
        }
        Ok(self)
    }
}
