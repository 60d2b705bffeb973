//! What can go wrong with the storage, in words for the operator.

/// Failures of a unit of work. Cloneable, because one failed shared commit answers many callers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// A unique key exists already. `constraint` names it: the columns on SQLite (`slot.tenant_id, slot.id`),
    /// the constraint on PostgreSQL (`slot_pkey`); log it, do not branch on it.
    #[error("unique key exists already: {constraint}")]
    Unique {
        /// The key, in the database's own words.
        constraint: String,
    },
    /// Another constraint (NOT NULL, CHECK, foreign key; on PostgreSQL, no U+0000 in a text) refused the row.
    #[error("constraint refused the row: {message}")]
    Constraint {
        /// The database's own words.
        message: String,
    },
    /// The database stayed locked, or kept losing races, for longer than we wait. Safe to repeat.
    #[error("database busy")]
    Busy,
    /// The disk, or the size set for this database, is full. Nothing was written.
    #[error("database full")]
    Full,
    /// The store was closed, or the server went away. Whether a write that got this happened is unknown.
    #[error("database closed")]
    Closed,
    /// A statement failed.
    #[error("{message} (statement: {sql})")]
    Sql {
        /// The statement, shortened.
        sql: String,
        /// The database's own words.
        message: String,
    },
    /// `one` found no row.
    #[error("no row (statement: {sql})")]
    Missing {
        /// The statement, shortened.
        sql: String,
    },
    /// A column could not be read as the asked type.
    #[error("column {column}: {message}")]
    Column {
        /// Position in the row, from 0.
        column: usize,
        /// What was wrong.
        message: String,
    },
    /// A statement failed earlier in this unit; nothing more can be done in it. Both databases behave so.
    #[error("an earlier statement of this unit of work failed")]
    Aborted,
    /// The closure awaited something other than its `Tx`.
    #[error("a unit of work awaited something other than the database")]
    Awaited,
    /// The closure panicked; its unit was rolled back.
    #[error("a unit of work panicked")]
    Panicked,
    /// A statement wrote inside `read`.
    #[error("a read-only unit of work tried to write")]
    ReadOnly,
    /// A migration failed, or the text of one already applied was changed.
    #[error("migration {name}: {message}")]
    Migration {
        /// Name of the migration.
        name: String,
        /// What was wrong.
        message: String,
    },
    /// The database could not be opened.
    #[error("cannot open {what}: {message}")]
    Open {
        /// Path or server, without password.
        what: String,
        /// What was wrong.
        message: String,
    },
}

impl StoreError {
    /// Whether repeating the same unit later may succeed and cannot do it twice.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Busy | Self::Full)
    }
}

pub(crate) fn shorten(sql: &str) -> String {
    let flat = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    flat.chars().take(160).collect()
}

pub(crate) fn from_sqlite(sql: &str, error: rusqlite::Error) -> StoreError {
    use rusqlite::ErrorCode;
    if let rusqlite::Error::SqliteFailure(cause, text) = &error {
        let message = text.clone().unwrap_or_else(|| cause.to_string());
        match cause.code {
            ErrorCode::DiskFull => return StoreError::Full,
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => return StoreError::Busy,
            ErrorCode::ReadOnly => return StoreError::ReadOnly,
            ErrorCode::ConstraintViolation => {
                return match message.strip_prefix("UNIQUE constraint failed: ") {
                    Some(columns) => StoreError::Unique {
                        constraint: columns.to_owned(),
                    },
                    None => StoreError::Constraint { message },
                };
            }
            _ => {}
        }
    }
    StoreError::Sql {
        sql: shorten(sql),
        message: error.to_string(),
    }
}

pub(crate) fn from_postgres(sql: &str, error: &tokio_postgres::Error) -> StoreError {
    let Some(cause) = error.as_db_error() else {
        if error.is_closed() {
            return StoreError::Closed;
        }
        return StoreError::Sql {
            sql: shorten(sql),
            message: chain(error),
        };
    };
    match cause.code().code() {
        "23505" => StoreError::Unique {
            constraint: cause.constraint().unwrap_or_else(|| cause.message()).to_owned(),
        },
        // The last: a text with U+0000.
        "23502" | "23503" | "23514" | "22021" => StoreError::Constraint {
            message: cause.message().to_owned(),
        },
        "40001" | "40P01" | "55P03" => StoreError::Busy,
        "53100" => StoreError::Full,
        "25006" => StoreError::ReadOnly,
        "57P01" | "57P02" | "57P03" => StoreError::Closed,
        code => StoreError::Sql {
            sql: shorten(sql),
            message: format!("{} ({code})", cause.message()),
        },
    }
}

/// An error with all its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
