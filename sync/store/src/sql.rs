//! One SQL text for both databases: the two small rewritings it needs.

use std::borrow::Cow;

/// Walks `sql`, calling `word` with each run of code outside quotes and comments.
fn outside_quotes(sql: &str, mut code: impl FnMut(&str, &mut String)) -> String {
    let mut out = String::with_capacity(sql.len() + 8);
    let mut rest = sql;
    while !rest.is_empty() {
        let next = rest
            .find(['\'', '"'])
            .into_iter()
            .chain(rest.find("--"))
            .min()
            .unwrap_or(rest.len());
        let (plain, quoted) = rest.split_at(next);
        code(plain, &mut out);
        let end = match quoted.chars().next() {
            None => break,
            Some('-') => quoted.find('\n').unwrap_or(quoted.len()),
            Some(quote) => quoted
                .char_indices()
                .skip(1)
                .find(|(_, c)| *c == quote)
                .map_or(quoted.len(), |(at, c)| at + c.len_utf8()),
        };
        let (kept, after) = quoted.split_at(end);
        out.push_str(kept);
        rest = after;
    }
    out
}

/// `$1` is a *named* parameter to SQLite, numbered by first appearance; `?1` is the numbered one.
pub(crate) fn for_sqlite(sql: &str) -> Cow<'_, str> {
    if !sql.contains('$') {
        return Cow::Borrowed(sql);
    }
    Cow::Owned(outside_quotes(sql, |code, out| {
        out.push_str(&code.replace('$', "?"));
    }))
}

/// Column type `BLOB` is `BYTEA` there.
pub(crate) fn ddl_for_postgres(sql: &str) -> String {
    outside_quotes(sql, |code, out| {
        let mut word = String::new();
        for c in code.chars() {
            if c.is_ascii_alphanumeric() || c == '_' {
                word.push(c);
                continue;
            }
            flush(&mut word, out);
            out.push(c);
        }
        flush(&mut word, out);
    })
}

fn flush(word: &mut String, out: &mut String) {
    out.push_str(if word.eq_ignore_ascii_case("blob") {
        "BYTEA"
    } else {
        word
    });
    word.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_rewritten_only_in_code() {
        assert_eq!(
            for_sqlite("SELECT '$1', \"a$2\" FROM t WHERE a = $2 AND b = $10 -- $3\n AND c = $1"),
            "SELECT '$1', \"a$2\" FROM t WHERE a = ?2 AND b = ?10 -- $3\n AND c = ?1"
        );
        assert_eq!(for_sqlite("it''s '' $1"), "it''s '' ?1");
    }

    #[test]
    fn only_the_column_type_blob_changes_for_postgres() {
        assert_eq!(
            ddl_for_postgres("CREATE TABLE blob_part(bytes BLOB NOT NULL, kind TEXT DEFAULT 'BLOB')"),
            "CREATE TABLE blob_part(bytes BYTEA NOT NULL, kind TEXT DEFAULT 'BLOB')"
        );
    }
}
