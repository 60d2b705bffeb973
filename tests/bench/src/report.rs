//! What is reported: rows with the peer of the same run, as JSON or as a table.

use serde::Serialize;

use crate::timing::Samples;

/// One measured figure.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    /// What was measured.
    pub(crate) name: String,
    /// How much.
    pub(crate) value: f64,
    /// Of what.
    pub(crate) unit: &'static str,
    /// What it is compared with, measured in the same run (a budget is named so).
    pub(crate) peer: Option<String>,
    /// The peer's figure, in the same unit.
    pub(crate) peer_value: Option<f64>,
    /// `value / peer_value`.
    pub(crate) ratio: Option<f64>,
    /// Median of single times in milliseconds.
    pub(crate) p50: Option<f64>,
    /// 99th percentile of single times in milliseconds.
    pub(crate) p99: Option<f64>,
    /// Median of the peer's single times in milliseconds.
    pub(crate) peer_p50: Option<f64>,
    /// 99th percentile of the peer's single times in milliseconds.
    pub(crate) peer_p99: Option<f64>,
    /// Refused or failed operations; they are not part of `value`.
    pub(crate) errors: u64,
    /// How many operations `value` rests on.
    pub(crate) samples: u64,
    /// What one must know to read the row.
    pub(crate) note: String,
}

impl Row {
    /// A figure without a peer yet.
    pub(crate) fn new(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self {
            name: name.into(),
            value,
            unit,
            peer: None,
            peer_value: None,
            ratio: None,
            p50: None,
            p99: None,
            peer_p50: None,
            peer_p99: None,
            errors: 0,
            samples: 1,
            note: String::new(),
        }
    }

    /// Beside this peer.
    pub(crate) fn beside(mut self, peer: impl Into<String>, value: f64) -> Self {
        self.peer = Some(peer.into());
        self.peer_value = Some(value);
        self.ratio = (value != 0.0).then(|| self.value / value);
        self
    }

    /// With the times of single operations.
    pub(crate) fn times(mut self, times: &Samples) -> Self {
        self.p50 = times.percentile(0.50);
        self.p99 = times.percentile(0.99);
        self.samples = times.len();
        self
    }

    /// With the times of the peer's single operations.
    pub(crate) fn peer_times(mut self, times: &Samples) -> Self {
        self.peer_p50 = times.percentile(0.50);
        self.peer_p99 = times.percentile(0.99);
        self
    }

    /// With what failed.
    pub(crate) fn errors(mut self, errors: u64) -> Self {
        self.errors = errors;
        self
    }

    /// With how many operations stand behind the value.
    pub(crate) fn samples(mut self, samples: u64) -> Self {
        self.samples = samples;
        self
    }

    /// With an explanation.
    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }
}

/// The machine of a run.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Machine {
    cores: usize,
    /// Load average of the last minute before the run: a busy machine tells on every figure.
    load_before: f64,
    /// `release` or `debug`; only the first is a figure.
    build: &'static str,
}

impl Machine {
    pub(crate) fn here() -> Self {
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        Self {
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            load_before: load
                .split_whitespace()
                .next()
                .and_then(|l| l.parse().ok())
                .unwrap_or(0.0),
            build: if cfg!(debug_assertions) { "debug" } else { "release" },
        }
    }
}

/// A whole run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) results: Vec<Row>,
}

impl Report {
    /// As a table for people.
    pub(crate) fn table(&self) -> String {
        let m = &self.machine;
        let mut out = format!(
            "{} cores, {} build, load {:.2} before the run; times in ms\n\n",
            m.cores, m.build, m.load_before
        );
        let head = [
            "", "value", "unit", "p50", "p99", "errors", "peer", "ratio", "peer p50", "p99",
        ];
        let mut lines = vec![head.map(str::to_owned)];
        for row in &self.results {
            lines.push([
                row.name.clone(),
                short(Some(row.value)),
                row.unit.to_owned(),
                short(row.p50),
                short(row.p99),
                row.errors.to_string(),
                short(row.peer_value),
                short(row.ratio),
                short(row.peer_p50),
                short(row.peer_p99),
            ]);
        }
        let mut widths = [0; 10];
        for line in &lines {
            for (width, cell) in widths.iter_mut().zip(line) {
                *width = (*width).max(cell.chars().count());
            }
        }
        for line in &lines {
            for (at, (cell, width)) in line.iter().zip(widths).enumerate() {
                let text = if at == 0 || at == 2 {
                    format!("{cell:<width$}  ")
                } else {
                    format!("{cell:>width$}  ")
                };
                out.push_str(&text);
            }
            out.push('\n');
        }
        for row in &self.results {
            let peer = row.peer.as_deref().unwrap_or("none");
            out.push_str(&format!("\n{} — peer: {peer}", row.name));
            if !row.note.is_empty() {
                out.push_str(&format!("; {}", row.note));
            }
        }
        out
    }
}

/// A number as a person wants it: three significant digits.
fn short(value: Option<f64>) -> String {
    match value {
        None => "–".to_owned(),
        Some(v) if v.abs() >= 100.0 => format!("{v:.0}"),
        Some(v) if v.abs() >= 10.0 => format!("{v:.1}"),
        Some(v) if v.abs() >= 1.0 || v == 0.0 => format!("{v:.2}"),
        Some(v) => format!("{v:.3}"),
    }
}
