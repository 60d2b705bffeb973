//! The small language in which a profile says how canonical fields and wire fields correspond.

mod rule;

use records::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

pub use rule::{Codes, Fields, Rule};

use crate::convert::{Convert, Converted, Direction, Habits};
use crate::source::Source;
use rule::Spec;

/// Why a mapping failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MapError {
    /// A value that must be there is not.
    #[error("{field}: nothing at {path}")]
    Missing {
        /// Target field.
        field: String,
        /// Where it was looked for.
        path: String,
    },
    /// A value has not the form it should.
    #[error("{field}: value at {path} has not the form {form:?}")]
    Form {
        /// Target field.
        field: String,
        /// Where it was found.
        path: String,
        /// What was expected.
        form: Convert,
    },
    /// A code without counterpart.
    #[error("{field}: code without counterpart in the map {map}")]
    Code {
        /// Target field.
        field: String,
        /// Name of the code map.
        map: String,
    },
}

/// Everything a rule may refer to beside its source.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The hospital's habits.
    pub habits: &'a Habits,
    /// Code maps.
    pub codes: &'a Codes,
    /// The canonical request, for `^path`.
    pub request: &'a Value,
    /// The present, for `@now`.
    pub now: Timestamp,
    /// Which way.
    pub way: Direction,
    /// Number of the item in an `@each`, from 1, for `@index`.
    pub index: usize,
}

impl Context<'_> {
    /// Fills all fields. Absent ones are left out on the way out.
    ///
    /// # Errors
    /// See [`MapError`].
    pub fn fill(&self, fields: &Fields, source: Source<'_>) -> Result<Map<String, Value>, MapError> {
        let mut out = Map::new();
        for (field, rule) in fields {
            if let Some(value) = self.value(field, &rule.spec, source)? {
                out.insert(field.clone(), value);
            }
        }
        Ok(out)
    }

    fn value(&self, field: &str, spec: &Spec, source: Source<'_>) -> Result<Option<Value>, MapError> {
        if let Some(text) = &spec.r#const {
            return self.finish(field, spec, "const", text).map(Some);
        }
        if let Some(template) = &spec.text {
            return self
                .interpolate(template, source, &|t| t.to_owned())
                .map(|t| Some(Value::String(t)));
        }
        if !spec.sum.is_empty() {
            return self.sum(field, spec, source).map(Some);
        }
        let path = spec.from.as_deref().unwrap_or(field);
        if let Some(each) = &spec.each {
            let items = source
                .list(path)
                .into_iter()
                .map(|item| self.fill(each, item).map(Value::Object));
            return Ok(Some(Value::Array(items.collect::<Result<_, _>>()?)));
        }
        if let Some(object) = &spec.object {
            return Ok(match self.text(path, source) {
                Some(_) => Some(Value::Object(self.fill(object, source)?)),
                None if self.way == Direction::In => Some(Value::Null),
                None => None,
            });
        }
        if let Some(glue) = &spec.join {
            let parts: Vec<_> = source.list(path).into_iter().filter_map(|i| i.text(".")).collect();
            return Ok(Some(Value::String(parts.join(glue))));
        }
        // What is copied from the request is canonical already.
        if self.way == Direction::In
            && let Some(inner) = path.strip_prefix('^')
        {
            let found = Source::Canonical(self.request).canonical(inner).cloned();
            return Ok(Some(
                found
                    .or_else(|| spec.other.clone().map(Value::String))
                    .unwrap_or(Value::Null),
            ));
        }
        match self.text(path, source).and_then(|t| narrow(spec, t)) {
            Some(text) => self.finish(field, spec, path, &text).map(Some),
            None => self.absent(field, spec, path),
        }
    }

    fn absent(&self, field: &str, spec: &Spec, path: &str) -> Result<Option<Value>, MapError> {
        match (&spec.other, self.way) {
            _ if !spec.has.is_empty() => Ok(Some(Value::Bool(false))),
            (Some(other), _) => Ok(Some(literal(other, spec.r#as, self.way))),
            (None, Direction::Out) => Ok(None),
            (None, Direction::In) if spec.optional => Ok(Some(Value::Null)),
            (None, Direction::In) => Err(MapError::Missing {
                field: field.to_owned(),
                path: path.to_owned(),
            }),
        }
    }

    fn text(&self, path: &str, source: Source<'_>) -> Option<String> {
        path.split('|').find_map(|p| self.text_at(p, source))
    }

    fn text_at(&self, path: &str, source: Source<'_>) -> Option<String> {
        match path.strip_prefix('^') {
            Some(inner) => Source::Canonical(self.request).text(inner).map(|t| t.into_owned()),
            None if path == "@now" => Some(self.now.to_string()),
            None if path == "@index" => Some(self.index.to_string()),
            None => source.text(path).map(|t| t.into_owned()),
        }
    }

    fn sum(&self, field: &str, spec: &Spec, source: Source<'_>) -> Result<Value, MapError> {
        let mut total = 0i64;
        let mut seen = false;
        for path in &spec.sum {
            let Some(text) = source.text(path) else { continue };
            seen = true;
            let form = || MapError::Form {
                field: field.to_owned(),
                path: path.clone(),
                form: Convert::Money,
            };
            match self
                .habits
                .convert(&text, Convert::Money, Direction::In)
                .map_err(|_| form())?
            {
                Converted::Number(n) => total = total.checked_add(n).ok_or_else(form)?,
                _ => return Err(form()),
            }
        }
        match (seen, spec.optional) {
            (true, _) => Ok(Value::from(total)),
            (false, true) => Ok(Value::Null),
            (false, false) => Err(MapError::Missing {
                field: field.to_owned(),
                path: spec.sum.join("+"),
            }),
        }
    }

    fn finish(&self, field: &str, spec: &Spec, path: &str, text: &str) -> Result<Value, MapError> {
        if !spec.marks.is_empty() {
            let marked = spec.marks.iter().any(|m| text.contains(m.as_str()));
            return Ok(if self.way == Direction::Out {
                Value::from(i64::from(marked))
            } else {
                Value::Bool(marked)
            });
        }
        if let Some(separator) = &spec.split {
            let parts: Vec<&str> = text.split(separator.as_str()).map(str::trim).collect();
            if !spec.has.is_empty() {
                return Ok(Value::Bool(spec.has.iter().any(|w| parts.contains(&w.as_str()))));
            }
            let picked = spec
                .pick
                .iter()
                .find(|(word, _)| parts.contains(&word.as_str()))
                .map(|(_, v)| v.clone());
            return Ok(Value::String(picked.or_else(|| spec.other.clone()).unwrap_or_default()));
        }
        if let Some(map) = &spec.map {
            let coded = self.coded(map, text).or_else(|| spec.other.clone());
            let coded = coded.ok_or_else(|| MapError::Code {
                field: field.to_owned(),
                map: map.clone(),
            })?;
            return Ok(literal(&coded, spec.r#as, self.way));
        }
        let form = MapError::Form {
            field: field.to_owned(),
            path: path.to_owned(),
            form: spec.r#as,
        };
        match self.habits.convert(text, spec.r#as, self.way) {
            Ok(Converted::Text(t)) => Ok(Value::String(t)),
            Ok(Converted::Number(n)) => Ok(Value::from(n)),
            Ok(Converted::Bool(b)) => Ok(Value::Bool(b)),
            Err(_) if self.way == Direction::In && spec.optional => Ok(Value::Null),
            Err(_) => Err(form),
        }
    }

    fn coded(&self, map: &str, text: &str) -> Option<String> {
        let map = self.codes.get(map)?;
        match self.way {
            Direction::Out => map.get(text).cloned(),
            Direction::In => map
                .iter()
                .find(|(_, wire)| wire.as_str() == text)
                .map(|(canonical, _)| canonical.clone()),
        }
    }

    /// Replaces `{path}`, `{path:form}` and `{path@codes}` in a template; `escape` is applied to each value. An absent
    /// value is empty.
    ///
    /// # Errors
    /// See [`MapError`].
    pub fn interpolate(
        &self,
        template: &str,
        source: Source<'_>,
        escape: &dyn Fn(&str) -> String,
    ) -> Result<String, MapError> {
        let mut out = String::with_capacity(template.len() * 2);
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            out.push_str(before);
            let Some((inside, tail)) = after.split_once('}') else {
                out.push('{');
                rest = after;
                continue;
            };
            out.push_str(&escape(&self.placeholder(inside, source)?));
            rest = tail;
        }
        out.push_str(rest);
        Ok(out)
    }

    fn placeholder(&self, inside: &str, source: Source<'_>) -> Result<String, MapError> {
        let (path, form, map) = match (
            inside.split_once(':'),
            inside.rsplit_once('@').filter(|(p, _)| !p.is_empty()),
        ) {
            (Some((path, form)), _) => (path, Some(form), None),
            (None, Some((path, map))) => (path, None, Some(map)),
            (None, None) => (inside, None, None),
        };
        let Some(text) = self.text(path, source) else {
            return Ok(String::new());
        };
        let form = form.map_or(Ok(Convert::Text), |f| {
            Convert::deserialize(serde::de::value::StrDeserializer::<serde::de::value::Error>::new(f))
        });
        let spec = Spec {
            r#as: form.map_err(|_| MapError::Form {
                field: inside.to_owned(),
                path: path.to_owned(),
                form: Convert::Text,
            })?,
            map: map.map(str::to_owned),
            ..Spec::default()
        };
        Ok(match self.finish(inside, &spec, path, &text)? {
            Value::String(t) => t,
            other => other.to_string(),
        })
    }
}

fn narrow(spec: &Spec, text: String) -> Option<String> {
    let text = match &spec.key {
        Some(key) => text
            .split(';')
            .filter_map(|p| p.split_once('='))
            .find(|(k, _)| k.trim() == key)?
            .1
            .trim()
            .to_owned(),
        None => text,
    };
    Some(match &spec.before {
        Some(mark) => text.split(mark.as_str()).next().unwrap_or_default().to_owned(),
        None => text,
    })
}

fn literal(text: &str, form: Convert, way: Direction) -> Value {
    match (form, way) {
        (Convert::Money | Convert::Int | Convert::PerGram | Convert::Times | Convert::PerDays, Direction::In) => {
            text.parse::<i64>().map_or(Value::Null, Value::from)
        }
        (Convert::Bool, Direction::In) => Value::Bool(text == "1" || text == "true"),
        _ => Value::String(text.to_owned()),
    }
}

impl Rule {
    /// The code map this rule or a rule below needs, for checking a profile.
    pub(crate) fn maps(&self) -> Vec<&str> {
        let below = self
            .spec
            .each
            .iter()
            .chain(&self.spec.object)
            .flat_map(|f| f.values())
            .flat_map(Self::maps);
        self.spec.map.as_deref().into_iter().chain(below).collect()
    }
}

#[cfg(test)]
mod tests;
