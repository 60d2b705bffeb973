//! Every fuzzer as one command. Each is a test whose short form runs with all the others.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

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
    if !known {
        let names: Vec<_> = FUZZERS.iter().map(|fuzzer| fuzzer.name).collect();
        bail!("no such fuzzer; there are: {}", names.join(", "));
    }
    Ok(well)
}
