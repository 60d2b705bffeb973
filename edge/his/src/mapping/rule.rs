//! How a profile writes down what fills one target field.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::convert::Convert;

/// Target fields and how each is filled.
pub type Fields = BTreeMap<String, Rule>;

/// Named code maps: canonical code → wire code.
pub type Codes = BTreeMap<String, BTreeMap<String, String>>;

/// How one target field is filled. In a profile either a path (`"deptCode"`; with `?` at the end an absent value is
/// an empty text) or a table.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(from = "Written")]
pub struct Rule {
    pub(super) spec: Spec,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Path(String),
    Spec(Box<Spec>),
}

impl From<Written> for Rule {
    fn from(written: Written) -> Self {
        let spec = match written {
            Written::Spec(spec) => *spec,
            Written::Path(path) => match path.strip_suffix('?') {
                Some(path) => Spec {
                    from: Some(path.to_owned()),
                    other: Some(String::new()),
                    ..Spec::default()
                },
                None => Spec {
                    from: Some(path),
                    ..Spec::default()
                },
            },
        };
        Self { spec }
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Spec {
    /// Path in the source; `^path` is a path in the canonical request; `a|b` is the first that is present.
    pub(super) from: Option<String>,
    /// A fixed text.
    pub(super) r#const: Option<String>,
    /// Text with `{path}`, `{path:form}`, `{path@codes}`.
    pub(super) text: Option<String>,
    /// Sum of several money fields.
    pub(super) sum: Vec<String>,
    /// Form.
    pub(super) r#as: Convert,
    /// Code map.
    pub(super) map: Option<String>,
    /// Value when absent or not in the code map, in the target's own form.
    pub(super) other: Option<String>,
    /// Rules for each item of the list at `from`.
    pub(super) each: Option<Fields>,
    /// Rules for an object; null when there is nothing at `from`.
    pub(super) object: Option<Fields>,
    /// True when the text contains one of these.
    pub(super) marks: Vec<String>,
    /// Joins a list of texts.
    pub(super) join: Option<String>,
    /// Splits a text: for `has` and `pick`.
    pub(super) split: Option<String>,
    /// True when one of the parts is among these.
    pub(super) has: Vec<String>,
    /// First pair whose first word is among the parts gives its second.
    pub(super) pick: Vec<(String, String)>,
    /// Keeps what stands before.
    pub(super) before: Option<String>,
    /// `key=value;key=value`: the value of this key.
    pub(super) key: Option<String>,
    /// Absent is null.
    pub(super) optional: bool,
}
