//! Dictionaries of the hospital that doctors search: diagnoses (ICD-10), drugs, herbs, routes, frequencies, examinations,
//! laboratory tests and their specimens. They come from the HIS, are kept in the database and refreshed by the tick; searched by code, name, or initials of the pinyin.

pub(crate) mod routes;
pub(crate) mod store;
#[cfg(test)]
mod tests;

use std::time::Duration;

use records::his::{DiagnosisTerm, Drug, ExamItem, Frequency, Herb, LabTest, Specimen, Term};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use routes::{orders_ready, ready};
pub use store::{lookup, search};

/// A kept dictionary older than this is fetched again.
pub(crate) const FRESH: Duration = Duration::from_secs(10 * 60);

/// An entry of a dictionary.
pub trait Entry: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    /// Name of the dictionary in the database.
    const DICTIONARY: &'static str;
    /// Code.
    fn code(&self) -> &str;
    /// Name.
    fn name(&self) -> &str;
    /// Initials of the pinyin, upper case; empty when the HIS has none.
    fn pinyin(&self) -> &str {
        ""
    }
}

macro_rules! entries {
    ($($ty:ty = $name:literal $(, $pinyin:ident)?;)*) => {$(
        impl Entry for $ty {
            const DICTIONARY: &'static str = $name;
            fn code(&self) -> &str {
                &self.code
            }
            fn name(&self) -> &str {
                &self.name
            }
            $(fn pinyin(&self) -> &str {
                &self.$pinyin
            })?
        }
    )*};
}

entries! {
    DiagnosisTerm = "diagnosis", pinyin;
    Drug = "drug", pinyin;
    Herb = "herb", pinyin;
    Term = "route";
    Frequency = "frequency";
    ExamItem = "exam_item", pinyin;
    LabTest = "lab_item", pinyin;
    Specimen = "specimen";
}

/// A search text in the form in which codes and initials are kept; signs that mean something to LIKE are dropped.
pub(crate) fn needle(q: &str) -> String {
    q.trim()
        .to_uppercase()
        .chars()
        .filter(|c| !matches!(c, '%' | '_' | '\\'))
        .take(40)
        .collect()
}
