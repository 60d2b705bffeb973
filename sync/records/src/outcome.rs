//! What became of an act outside.

use serde::{Deserialize, Serialize};

/// The answer of anything asked of the outside (a HIS, a channel, the appliance).
///
/// On the wire: `{"done":…}`, `{"refused":{"code","text"}}`, `{"later":{"after_ms"}}` or `"unknown"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome<T> {
    /// It happened.
    Done(T),
    /// It was refused and did not happen; asking again the same way will be refused again.
    Refused {
        /// Stable word for programs, e.g. `slot_full`, `his_-1`.
        code: String,
        /// Plain words for the person.
        text: String,
    },
    /// It did not happen and may safely be asked again.
    Later {
        /// Milliseconds to wait before asking again.
        after_ms: u64,
    },
    /// It may have happened: query before asking again.
    Unknown,
}

impl<T> Outcome<T> {
    /// Applies `f` to a done answer.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Outcome<U> {
        match self {
            Self::Done(t) => Outcome::Done(f(t)),
            Self::Refused { code, text } => Outcome::Refused { code, text },
            Self::Later { after_ms } => Outcome::Later { after_ms },
            Self::Unknown => Outcome::Unknown,
        }
    }

    /// A refusal.
    pub fn refused(code: impl Into<String>, text: impl Into<String>) -> Self {
        Self::Refused {
            code: code.into(),
            text: text.into(),
        }
    }

    /// The answer, if it is done.
    pub fn done(self) -> Option<T> {
        match self {
            Self::Done(t) => Some(t),
            _ => None,
        }
    }

    /// Whether nothing more will come of asking: done or refused.
    pub const fn is_settled(&self) -> bool {
        matches!(self, Self::Done(_) | Self::Refused { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::Outcome;

    #[test]
    fn outcomes_have_their_wire_shape() {
        let shapes = [
            serde_json::to_string(&Outcome::Done(1)).unwrap(),
            serde_json::to_string(&Outcome::<i32>::refused("slot_full", "号源已满")).unwrap(),
            serde_json::to_string(&Outcome::<i32>::Later { after_ms: 500 }).unwrap(),
            serde_json::to_string(&Outcome::<i32>::Unknown).unwrap(),
        ];
        assert_eq!(
            shapes,
            [
                r#"{"done":1}"#,
                r#"{"refused":{"code":"slot_full","text":"号源已满"}}"#,
                r#"{"later":{"after_ms":500}}"#,
                r#""unknown""#
            ]
        );
    }
}
