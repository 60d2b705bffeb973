//! Bodies of HL7 messages as a profile writes them: a segment a line, with placeholders and three directives:
//! `@each path` … `@end` repeats for each item (`^path` inside is a path in the whole request), `@if path` or
//! `@if path=value` … `@end` includes, `@list name path first template` makes `{$name}`, the items of a list joined by
//! `~` with those whose field `first` is true in front (`-`: none).

use crate::hl7::{Separators, escape};
use crate::mapping::{Context, MapError};
use crate::source::Source;

/// Why a body could not be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// A value did not fit.
    #[error(transparent)]
    Map(#[from] MapError),
    /// A directive without `@end`, or the reverse.
    #[error("unbalanced @each, @if or @end in the profile's message body")]
    Unbalanced,
}

/// Writes the segments, each ended by CR.
///
/// # Errors
/// See [`BodyError`].
pub fn write(body: &str, context: &Context<'_>, source: Source<'_>) -> Result<String, BodyError> {
    let lines: Vec<&str> = body.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    let mut out = String::new();
    block(&lines, context, source, &mut out)?;
    Ok(out)
}

fn block(lines: &[&str], context: &Context<'_>, source: Source<'_>, out: &mut String) -> Result<(), BodyError> {
    let mut rest = lines;
    let mut lists: Vec<(String, String)> = Vec::new();
    while let Some((line, tail)) = rest.split_first() {
        rest = tail;
        if let Some(path) = line.strip_prefix("@each ") {
            let (inner, after) = split(tail)?;
            for (i, item) in source.list(path.trim()).into_iter().enumerate() {
                block(
                    inner,
                    &Context {
                        index: i + 1,
                        ..*context
                    },
                    item,
                    out,
                )?;
            }
            rest = after;
        } else if let Some(condition) = line.strip_prefix("@if ") {
            let (inner, after) = split(tail)?;
            let (path, wanted) = condition
                .split_once('=')
                .map_or((condition, None), |(p, w)| (p, Some(w.trim())));
            let found = source.text(path.trim()).filter(|t| !t.is_empty());
            if found.is_some_and(|t| wanted.is_none_or(|w| w == t)) {
                block(inner, context, source, out)?;
            }
            rest = after;
        } else if let Some(list) = line.strip_prefix("@list ") {
            lists.push(listed(list, context, source)?);
        } else if *line == "@end" {
            return Err(BodyError::Unbalanced);
        } else {
            segment(line, &lists, context, source, out)?;
        }
    }
    Ok(())
}

fn escaped(template: &str, context: &Context<'_>, source: Source<'_>) -> Result<String, MapError> {
    context.interpolate(template, source, &|t| escape(t, Separators::default()).into_owned())
}

/// A line with its lists. What a list holds is never interpolated again.
fn segment(
    line: &str,
    lists: &[(String, String)],
    context: &Context<'_>,
    source: Source<'_>,
    out: &mut String,
) -> Result<(), BodyError> {
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("{$") {
        out.push_str(&escaped(before, context, source)?);
        let (name, tail) = after.split_once('}').ok_or(BodyError::Unbalanced)?;
        let list = lists.iter().find(|(n, _)| n == name).ok_or(BodyError::Unbalanced)?;
        out.push_str(&list.1);
        rest = tail;
    }
    out.push_str(&escaped(rest, context, source)?);
    out.push('\r');
    Ok(())
}

fn listed(words: &str, context: &Context<'_>, source: Source<'_>) -> Result<(String, String), BodyError> {
    let mut words = words.splitn(4, ' ');
    let (Some(name), Some(path), Some(first), Some(template)) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(BodyError::Unbalanced);
    };
    let mut items = match path.strip_prefix('^') {
        Some(path) => Source::Canonical(context.request).list(path),
        None => source.list(path),
    };
    items.sort_by_key(|item| item.text(first).is_none_or(|t| t != "1"));
    let parts = items
        .into_iter()
        .map(|item| escaped(template, context, item))
        .collect::<Result<Vec<_>, _>>()?;
    Ok((name.to_owned(), parts.join("~")))
}

/// The lines up to the matching `@end`, and those after it.
fn split<'s, 't>(lines: &'s [&'t str]) -> Result<(&'s [&'t str], &'s [&'t str]), BodyError> {
    let mut depth = 0usize;
    for (at, line) in lines.iter().enumerate() {
        if line.starts_with("@each ") || line.starts_with("@if ") {
            depth += 1;
        } else if *line == "@end" {
            if depth == 0 {
                let (inner, after) = lines.split_at(at);
                return Ok((inner, after.get(1..).unwrap_or_default()));
            }
            depth -= 1;
        }
    }
    Err(BodyError::Unbalanced)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::{Direction, Habits};
    use crate::mapping::Codes;
    use records::Timestamp;
    use serde_json::json;

    #[test]
    fn a_message_body_is_written_with_repeats_and_conditions() {
        let request = json!({"rx":"rx|1","kind":"western","at":"2026-11-21T07:00:00Z","items":[{"code":"W1","name":"A&B"},{"code":"W2","name":"C"}],"none":null});
        let (habits, codes) = (Habits::default(), Codes::new());
        let cx = Context {
            habits: &habits,
            codes: &codes,
            request: &request,
            now: Timestamp::from_seconds(0),
            way: Direction::Out,
            index: 0,
        };
        let body = "PID|1\n@if kind=western\n@each items\nORC|NW|{^rx}.{@index}|{^at:moment14}\nRXO|{code}^{name}\n@end\n@end\n@if kind=herbal\nRXC|x\n@end\n@if none\nNTE\n@end\n";
        let text = write(body, &cx, Source::Canonical(&request)).unwrap();
        assert_eq!(
            text,
            "PID|1\rORC|NW|rx\\F\\1.1|20261121150000\rRXO|W1^A\\T\\B\rORC|NW|rx\\F\\1.2|20261121150000\rRXO|W2^C\r"
        );
        let dx = json!({"d":[{"c":"J00","n":"a~{c}"},{"c":"I10","n":"b","main":true}]});
        let cx = Context { request: &dx, ..cx };
        let text = write("@list dx ^d main {c}^{n}\nRXO|x|{$dx}|y", &cx, Source::Canonical(&dx)).unwrap();
        assert_eq!(text, "RXO|x|I10^b~J00^a\\R\\{c}|y\r");
        assert_eq!(
            write("@each items\nX", &cx, Source::Canonical(&request)),
            Err(BodyError::Unbalanced)
        );
        assert_eq!(
            write("@end", &cx, Source::Canonical(&request)),
            Err(BodyError::Unbalanced)
        );
    }
}
