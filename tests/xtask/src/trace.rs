//! Which requirement rows are demonstrated: tests name them in a comment line `Rows: AP-001, YZ-P-002..YZ-P-005`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Row {
    id: String,
    text: String,
    area: String,
}

#[derive(Deserialize)]
struct NotSoftware {
    id: String,
    #[serde(rename = "reason")]
    _reason: String,
}

#[derive(Default, Serialize)]
struct Count {
    shown: usize,
    total: usize,
}

#[derive(Serialize)]
struct Report {
    shown: usize,
    total: usize,
    not_software: usize,
    by_area: BTreeMap<String, Count>,
    by_file: BTreeMap<String, Count>,
}

/// Prints the report; fails on an id no table knows.
pub(crate) fn run(root: &Path, requirements: &Path, missing: Option<&str>, json: bool) -> Result<bool> {
    let tables = tables(&root.join(requirements))?;
    let known: BTreeSet<&str> = tables.values().flatten().map(|r| r.id.as_str()).collect();
    let mut named = BTreeMap::new();
    for folder in [
        "sync",
        "devices",
        "edge",
        "cloud",
        "provisioning",
        "hil",
        "tests",
        "firmware",
    ] {
        collect(&root.join(folder), &mut named)?;
    }
    let unknown: Vec<String> = named
        .iter()
        .filter(|(id, _)| !known.contains(id.as_str()))
        .map(|(id, file)| format!("{id} in {file}"))
        .collect();
    if !unknown.is_empty() {
        bail!("tests name requirement ids that no table has: {}", unknown.join(", "));
    }
    let excluded = not_software(root)?;
    if let Some(id) = excluded.iter().find(|id| !known.contains(id.as_str())) {
        bail!("not-software.csv names {id}, which no table has");
    }
    if let Some(area) = missing {
        return list_missing(&tables, &named, &excluded, area, json);
    }
    let report = count(&tables, &named, &excluded);
    if json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print(&report);
    }
    Ok(true)
}

fn tables(folder: &Path) -> Result<BTreeMap<String, Vec<Row>>> {
    let mut tables = BTreeMap::new();
    let entries = std::fs::read_dir(folder).with_context(|| {
        format!(
            "no requirement tables in {}: name their folder with --requirements",
            folder.display()
        )
    })?;
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "csv") {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let rows = csv::Reader::from_path(&path)?
                .deserialize()
                .collect::<Result<Vec<Row>, _>>()
                .with_context(|| format!("reading {name}"))?;
            tables.insert(name, rows);
        }
    }
    if tables.is_empty() {
        bail!("no requirement tables in {}", folder.display());
    }
    Ok(tables)
}

fn not_software(root: &Path) -> Result<BTreeSet<String>> {
    let path = root.join("tests/xtask/not-software.csv");
    let rows = csv::Reader::from_path(&path)?
        .deserialize()
        .collect::<Result<Vec<NotSoftware>, _>>()
        .context("reading not-software.csv")?;
    Ok(rows.into_iter().map(|r| r.id).collect())
}

/// Finds `Rows:` lines in Rust and TypeScript sources, remembering the first file that names an id.
fn collect(folder: &Path, named: &mut BTreeMap<String, String>) -> Result<()> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Ok(());
    };
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if !matches!(name.as_str(), "node_modules" | "dist" | "target" | "xtask") {
                collect(&path, named)?;
            }
        } else if path.extension().is_some_and(|e| e == "rs" || e == "ts" || e == "mjs") {
            let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
            for line in text.lines() {
                for id in ids_of(line)? {
                    named.entry(id).or_insert_with(|| path.display().to_string());
                }
            }
        }
    }
    Ok(())
}

fn ids_of(line: &str) -> Result<Vec<String>> {
    let trimmed = line.trim_start();
    let Some(list) = trimmed
        .strip_prefix("//")
        .map(|l| l.trim_start_matches('/').trim_start())
        .and_then(|l| l.strip_prefix("Rows:"))
    else {
        return Ok(Vec::new());
    };
    let mut ids = Vec::new();
    for item in list
        .split([',', ' ', '、'])
        .map(|i| i.trim().trim_end_matches('.'))
        .filter(|i| !i.is_empty())
    {
        match item.split_once("..") {
            Some((first, last)) => ids.extend(range(first, last).with_context(|| format!("range {item}"))?),
            None => ids.push(item.to_owned()),
        }
    }
    Ok(ids)
}

fn range(first: &str, last: &str) -> Result<Vec<String>> {
    let (prefix, from) = first.rsplit_once('-').context("an id ends in -NUMBER")?;
    let to = last.rsplit_once('-').map_or(last, |(_, n)| n);
    let width = from.len();
    Ok((from.parse::<u32>()?..=to.parse::<u32>()?)
        .map(|n| format!("{prefix}-{n:0width$}"))
        .collect())
}

fn count(tables: &BTreeMap<String, Vec<Row>>, named: &BTreeMap<String, String>, excluded: &BTreeSet<String>) -> Report {
    let mut report = Report {
        shown: 0,
        total: 0,
        not_software: excluded.len(),
        by_area: BTreeMap::new(),
        by_file: BTreeMap::new(),
    };
    for (file, rows) in tables {
        for row in rows.iter().filter(|r| !excluded.contains(&r.id)) {
            let shown = usize::from(named.contains_key(&row.id));
            report.shown += shown;
            report.total += 1;
            for count in [
                report.by_area.entry(row.area.clone()).or_default(),
                report.by_file.entry(file.clone()).or_default(),
            ] {
                count.shown += shown;
                count.total += 1;
            }
        }
    }
    report
}

fn print(report: &Report) {
    println!(
        "requirement rows demonstrated: {} of {} ({} are not software)",
        report.shown, report.total, report.not_software
    );
    for (name, count) in report.by_file.iter().chain(&report.by_area) {
        println!("  {name:<18} {:>4} / {}", count.shown, count.total);
    }
}

fn list_missing(
    tables: &BTreeMap<String, Vec<Row>>,
    named: &BTreeMap<String, String>,
    excluded: &BTreeSet<String>,
    area: &str,
    json: bool,
) -> Result<bool> {
    let rows: Vec<&Row> = tables
        .values()
        .flatten()
        .filter(|r| r.area == area && !named.contains_key(&r.id) && !excluded.contains(&r.id))
        .collect();
    if json {
        let list: Vec<_> = rows
            .iter()
            .map(|r| serde_json::json!({ "id": r.id, "text": r.text }))
            .collect();
        println!("{}", serde_json::json!({ "area": area, "missing": list }));
    } else {
        for row in rows {
            println!("{}  {}", row.id, row.text);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_from_comment_lines_only() {
        assert_eq!(
            ids_of("    /// Rows: AP-001, YZ-P-009..YZ-P-011").unwrap(),
            ["AP-001", "YZ-P-009", "YZ-P-010", "YZ-P-011"]
        );
        assert_eq!(ids_of("// Rows: FT-110..118").unwrap().len(), 9);
        assert!(ids_of("let x = \"Rows: AP-001\";").unwrap().is_empty());
    }
}
