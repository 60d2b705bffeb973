//! Every fuzzer as one command. Each is a test whose short form runs with all the others.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// A fuzzer: the tests of a package whose names begin so.
struct Fuzzer {
    name: &'static str,
    package: &'static str,
    tests: &'static [&'static str],
    filter: &'static str,
}

const FUZZERS: &[Fuzzer] = &[
    Fuzzer {
        name: "der",
        package: "gm",
        tests: &["evidence", "outside"],
        filter: "fuzz::",
    },
    Fuzzer {
        name: "xml",
        package: "xmldsig",
        tests: &["xml"],
        filter: "flips::",
    },
    Fuzzer {
        name: "http",
        package: "sign",
        tests: &["service"],
        filter: "fuzz::",
    },
    Fuzzer {
        name: "sdf",
        package: "custody",
        tests: &["devices"],
        filter: "lies::no_reply",
    },
];

/// The properties of the whole workspace: tests over cases that `proptest` draws.
const PROPERTIES: &str = "properties";

/// Seed of the properties' cases (an environment variable of `proptest`).
pub(crate) const PROPERTY_SEED: &str = "PROPTEST_RNG_SEED";

/// Runs one fuzzer or all; answers whether nothing was found.
pub(crate) fn run(root: &Path, name: Option<&str>, times: u32, seed: u64) -> Result<bool> {
    let mut well = true;
    let mut known = false;
    for fuzzer in FUZZERS
        .iter()
        .filter(|fuzzer| name.is_none_or(|name| name == fuzzer.name))
    {
        known = true;
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["test", "-p", fuzzer.package]);
        for test in fuzzer.tests {
            cargo.args(["--test", test]);
        }
        cargo.args([fuzzer.filter, "--", "--nocapture"]);
        cargo
            .current_dir(root)
            .env("FUZZ_TIMES", times.to_string())
            .env("FUZZ_SEED", seed.to_string());
        println!(
            "{}: {times} times the cases of the tests, from seed {seed}",
            fuzzer.name
        );
        well &= cargo.status()?.success();
    }
    if name.is_none_or(|name| name == PROPERTIES) {
        known = true;
        well &= properties(root, times, seed)?;
    }
    if !known {
        let mut names: Vec<_> = FUZZERS.iter().map(|fuzzer| fuzzer.name).collect();
        names.push(PROPERTIES);
        bail!("no such fuzzer; there are: {}", names.join(", "));
    }
    Ok(well)
}

/// Every property with `times` seeds one after the other; stops at the first that finds something.
fn properties(root: &Path, times: u32, seed: u64) -> Result<bool> {
    let mut found = Found::default();
    found.look(root, None)?;
    for seed in (seed..).take(times as usize) {
        println!("{PROPERTIES}: the {} of the tests, seed {seed}", found.tests.len());
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["test", "--tests", "--no-fail-fast"]);
        cargo.args(found.packages.iter().flat_map(|package| ["-p", package]));
        cargo.arg("--").args(&found.tests);
        cargo.current_dir(root).env(PROPERTY_SEED, seed.to_string());
        if !cargo.status()?.success() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The tests in `proptest!`, and the packages that hold them.
#[derive(Default)]
struct Found {
    packages: BTreeSet<String>,
    tests: BTreeSet<String>,
}

impl Found {
    fn look(&mut self, folder: &Path, package: Option<&str>) -> Result<()> {
        let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
        let named = manifest
            .lines()
            .find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'));
        let package = named.or(package);
        for entry in std::fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.is_dir() {
                if !name.starts_with('.') && !matches!(&*name, "node_modules" | "dist" | "target") {
                    self.look(&path, package)?;
                }
            } else if let Some(package) = package
                && path.extension().is_some_and(|extension| extension == "rs")
            {
                let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
                let tests = properties_of(&text);
                if !tests.is_empty() {
                    self.packages.insert(package.to_owned());
                    self.tests.extend(tests);
                }
            }
        }
        Ok(())
    }
}

/// Names of the functions between `proptest! {` and the brace that closes it, and of those around `proptest!(|`.
fn properties_of(text: &str) -> Vec<String> {
    let mut tests = Vec::new();
    let mut closing: Option<String> = None;
    let mut around = None;
    for line in text.lines() {
        let bare = line.trim_start();
        let function = bare
            .strip_prefix("fn ")
            .and_then(|rest| rest.split_once('('))
            .map(|(name, _)| name.to_owned());
        if bare == "proptest! {" {
            let indent = line.strip_suffix(bare).unwrap_or_default();
            closing = Some(format!("{indent}}}"));
        } else if bare.starts_with("proptest!(|") {
            tests.extend(around.take());
        } else if closing.as_deref() == Some(line) {
            closing = None;
        } else if function.is_some() {
            if closing.is_some() {
                tests.extend(function);
            } else {
                around = function;
            }
        }
    }
    tests
}
