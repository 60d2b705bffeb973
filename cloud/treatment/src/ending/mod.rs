//! The end of service (结束服务): what the doctor has not signed yet of a visit, the medical record (病历) and the orders
//! (医嘱), is signed in one go with one PIN and submitted for review; then the visit is finished.
//!
//! Each document is signed by its own context, one after the other, each with an attempt and a key of its own. When one
//! fails, those before it are signed, it and those after it are not, and the visit goes on: the list says so, and what is
//! asked again signs only what is left. The first failure ends the round, so that a wrong PIN costs one try and not as
//! many as there are documents.
//!
//! The record comes first: orders and prescriptions are signed with its diagnoses.

mod documents;
mod routes;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub(crate) use routes::routes;

/// Kinds of documents, in the order in which they are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = EndingKind)]
pub(crate) enum Kind {
    /// 病历.
    Record,
    /// 检查检验申请.
    Order,
    /// 处方.
    Prescription,
}

/// A document as the doctor saw it: another saving of it is another document.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub(crate) struct Seen {
    /// Kind.
    pub(crate) kind: Kind,
    /// Id; of the record, that of the visit.
    pub(crate) id: String,
    /// Counts the savings.
    pub(crate) edition: u32,
}

/// A document of the visit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct EndingDocument {
    /// Which, and how it was saved.
    #[serde(flatten)]
    pub(crate) seen: Seen,
    /// What it is.
    pub(crate) title: String,
    /// What it says, in short.
    pub(crate) summary: String,
    /// It carries the doctor's signature.
    pub(crate) signed: bool,
    /// Where it stands, in words.
    pub(crate) state_text: String,
}

/// Something that should be there before the visit ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Missing {
    /// `no_record` or `record_incomplete`.
    pub(crate) code: &'static str,
    /// The kind of document where it can be mended.
    pub(crate) kind: Kind,
    /// In words.
    pub(crate) text: &'static str,
}

/// The documents of a visit and what is missing among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Papers {
    /// Everything there is, in the order of signing.
    pub(crate) documents: Vec<EndingDocument>,
    /// What is not there, or cannot be signed as it is.
    pub(crate) missing: Vec<Missing>,
}

impl Papers {
    /// What is to be signed, in the order of signing.
    pub(crate) fn unsigned(&self) -> Vec<&EndingDocument> {
        let mut left: Vec<_> = self.documents.iter().filter(|d| !d.signed).collect();
        left.sort_by_key(|d| d.seen.kind);
        left
    }

    /// The first document that would be signed unseen.
    pub(crate) fn unseen(&self, seen: &[Seen]) -> Option<&EndingDocument> {
        self.unsigned().into_iter().find(|d| !seen.contains(&d.seen))
    }
}
