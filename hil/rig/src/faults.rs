use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value, json};

use crate::{Clock, Rng};

/// Rules that make a peer misbehave, and the record of every time one did.
#[derive(Debug)]
pub struct Faults {
    kinds: &'static [&'static str],
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next_id: u64,
    rules: Vec<Rule>,
    firings: Vec<Value>,
}

#[derive(Debug)]
struct Rule {
    id: u64,
    op: String,
    kind: String,
    left: Option<u64>,
    chance: Option<(f64, Rng)>,
    skip: u64,
    fired: u64,
    asked: Map<String, Value>,
}

/// A rule that fired for the present call.
#[derive(Debug, Clone)]
pub struct Fired {
    /// The rule's kind, as named in the control request.
    pub kind: String,
    asked: Map<String, Value>,
}

impl Fired {
    /// A numeric parameter of the rule.
    pub fn number(&self, name: &str, default: u64) -> u64 {
        self.asked.get(name).and_then(Value::as_u64).unwrap_or(default)
    }

    /// A textual parameter of the rule; numbers are taken as text.
    pub fn text(&self, name: &str, default: &str) -> String {
        match self.asked.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => default.to_owned(),
        }
    }
}

impl Faults {
    /// Rules limited to the kinds the peer knows how to act out.
    pub fn new(kinds: &'static [&'static str]) -> Self {
        Self {
            kinds,
            state: Mutex::new(State::default()),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a rule from its JSON form and answers its number, or says what is wrong with it.
    pub fn add(&self, rule: &Value) -> Result<u64, String> {
        let asked = rule.as_object().ok_or("a rule is a JSON object")?.clone();
        let text = |name: &str| asked.get(name).and_then(Value::as_str);
        let kind = text("kind").ok_or("kind is missing")?.to_owned();
        if !self.kinds.contains(&kind.as_str()) {
            return Err(format!("unknown kind {kind}; known: {}", self.kinds.join(" ")));
        }
        let op = text("op").unwrap_or("*").to_owned();
        let number = |name: &str| asked.get(name).and_then(Value::as_u64);
        let chance = asked
            .get("probability")
            .and_then(Value::as_f64)
            .map(|p| (p, Rng::new(number("seed").unwrap_or(1))));
        let left = match (number("times"), &chance) {
            (Some(times), _) => Some(times),
            (None, Some(_)) => None,
            (None, None) => Some(1),
        };
        let skip = number("skip").unwrap_or(0);
        let mut state = self.state();
        state.next_id += 1;
        let id = state.next_id;
        state.rules.push(Rule {
            id,
            op,
            kind,
            left,
            chance,
            skip,
            fired: 0,
            asked,
        });
        Ok(id)
    }

    /// The first rule that applies to this operation now; its count goes down and the firing is recorded.
    pub fn next(&self, op: &str, clock: &Clock) -> Option<Fired> {
        self.next_of(op, clock, |_| true)
    }

    /// As [`Faults::next`], among rules whose kind is accepted.
    pub fn next_of(&self, op: &str, clock: &Clock, accept: impl Fn(&str) -> bool) -> Option<Fired> {
        let mut state = self.state();
        let rule = state.rules.iter_mut().find_map(|rule| {
            let applies = (rule.op == "*" || rule.op == op) && accept(&rule.kind);
            (applies && rule.take()).then_some(rule)
        })?;
        let fired = Fired {
            kind: rule.kind.clone(),
            asked: rule.asked.clone(),
        };
        let note = json!({"at": clock.moment(), "rule": rule.id, "op": op, "kind": rule.kind});
        state.firings.push(note);
        tracing::info!(fault.op = op, fault.kind = %fired.kind, "fault fired");
        Some(fired)
    }

    /// Rules with their counts, and all firings.
    pub fn list(&self) -> Value {
        let state = self.state();
        let rules: Vec<Value> = state
            .rules
            .iter()
            .map(|rule| {
                json!({"id": rule.id, "op": rule.op, "kind": rule.kind, "fired": rule.fired,
                       "left": rule.left, "rule": rule.asked})
            })
            .collect();
        json!({"rules": rules, "firings": state.firings})
    }

    /// Removes one rule, or all rules and the record of firings.
    pub fn remove(&self, id: Option<u64>) {
        let mut state = self.state();
        match id {
            Some(id) => state.rules.retain(|rule| rule.id != id),
            None => {
                state.rules.clear();
                state.firings.clear();
            }
        }
    }
}

impl Rule {
    fn take(&mut self) -> bool {
        if self.left == Some(0) {
            return false;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        if let Some((probability, rng)) = &mut self.chance
            && !rng.chance(*probability)
        {
            return false;
        }
        self.left = self.left.map(|left| left - 1);
        self.fired += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Faults;
    use crate::Clock;

    #[test]
    fn a_rule_fires_as_often_as_asked_and_says_so() {
        let (faults, clock) = (Faults::new(&["delay"]), Clock::default());
        faults
            .add(&json!({"op": "getDepts", "kind": "delay", "times": 2, "skip": 1, "ms": 5}))
            .unwrap();
        let fired: Vec<bool> = (0..4).map(|_| faults.next("getDepts", &clock).is_some()).collect();
        assert_eq!(fired, [false, true, true, false]);
        assert!(faults.next("getDoctors", &clock).is_none());
        let list = faults.list();
        assert_eq!(list["rules"][0]["fired"], 2);
        assert_eq!(list["firings"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn a_chance_repeats_with_its_seed() {
        let clock = Clock::default();
        let draw = || {
            let faults = Faults::new(&["delay"]);
            faults
                .add(&json!({"kind": "delay", "probability": 0.3, "seed": 9}))
                .unwrap();
            (0..50)
                .map(|_| faults.next("any", &clock).is_some())
                .collect::<Vec<_>>()
        };
        let (first, count) = (draw(), draw().iter().filter(|hit| **hit).count());
        assert_eq!(first, draw());
        assert!((5..30).contains(&count), "{count}");
    }

    #[test]
    fn an_unknown_kind_is_refused() {
        let refused = Faults::new(&["delay"]).add(&json!({"kind": "explode"}));
        assert!(refused.unwrap_err().contains("unknown kind"));
    }
}
