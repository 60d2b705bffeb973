//! Tables for spreadsheets.

/// UTF-8 with its mark, so that spreadsheets of this country's offices read it right.
const MARK: &str = "\u{feff}";

/// One cell: quoted, and never a formula for the spreadsheet that opens it.
fn cell(text: &str) -> String {
    let safe = match text.chars().next() {
        Some('=' | '+' | '-' | '@' | '\t' | '\r') => format!("'{text}"),
        _ => text.to_owned(),
    };
    format!("\"{}\"", safe.replace('"', "\"\""))
}

/// A table (RFC 4180): the head, then the rows.
pub fn table<'a>(rows: impl IntoIterator<Item = Vec<std::borrow::Cow<'a, str>>>) -> String {
    let mut out = String::from(MARK);
    for row in rows {
        let cells: Vec<String> = row.iter().map(|text| cell(text)).collect();
        out.push_str(&cells.join(","));
        out.push_str("\r\n");
    }
    out
}

/// The answer that makes a browser save a table under a name.
pub fn download(name: &'static str, table: String) -> axum::response::Response {
    use axum::http::header;
    use axum::response::IntoResponse;
    let named = format!("attachment; filename=\"{name}\"");
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, named),
    ];
    (headers, table).into_response()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_cell_is_never_a_formula_and_never_two_cells() {
        let table = super::table([vec!["=1+1".into(), "a\"b,c".into(), "心内科".into()]]);
        assert_eq!(table, "\u{feff}\"'=1+1\",\"a\"\"b,c\",\"心内科\"\r\n");
    }
}
