//! Licences, banned crates and the direction of dependencies, read from `policy.toml` and held against
//! `cargo metadata`, so that the rules are data and need no network.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Policy {
    licences: Vec<String>,
    ban: Vec<Ban>,
    only: Vec<Only>,
    folders: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ban {
    name: String,
    below: Option<String>,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Only {
    name: String,
    by: Vec<String>,
    reason: String,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    license_file: Option<String>,
    source: Option<String>,
    manifest_path: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
    path: Option<String>,
}

/// Fails with every breach in one message.
pub(crate) fn run(root: &Path) -> Result<()> {
    let policy: Policy =
        toml::from_str(&std::fs::read_to_string(root.join("tests/xtask/policy.toml"))?).context("policy.toml")?;
    let output = crate::build::cargo(root)
        .args([
            "metadata",
            "--format-version",
            "1",
            "--locked",
            "--filter-platform",
            "x86_64-unknown-linux-gnu",
        ])
        .output()
        .context("cargo metadata")?;
    if !output.status.success() {
        bail!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    }
    let metadata: Metadata = serde_json::from_slice(&output.stdout).context("cargo metadata")?;
    let mut breaches = Vec::new();
    for package in &metadata.packages {
        licence(&policy, package, &mut breaches);
        banned(&policy, package, &mut breaches);
        if package.source.is_none() {
            wrappers(&policy, package, &mut breaches);
            folders(&policy, root, package, &mut breaches);
        }
    }
    if breaches.is_empty() {
        Ok(())
    } else {
        bail!("{}", breaches.join("\n"))
    }
}

fn licence(policy: &Policy, package: &Package, breaches: &mut Vec<String>) {
    let Some(expression) = &package.license else {
        if package.license_file.is_none() {
            breaches.push(format!("{} {} names no licence", package.name, package.version));
        }
        return;
    };
    let allowed = |term: &str| {
        policy
            .licences
            .iter()
            .any(|l| l == term.trim().trim_matches(['(', ')']).trim())
    };
    let fits = expression
        .replace('/', " OR ")
        .split(" AND ")
        .all(|part| part.split(" OR ").any(allowed));
    if !fits {
        breaches.push(format!(
            "{} {}: licence {expression} is not allowed",
            package.name, package.version
        ));
    }
}

fn banned(policy: &Policy, package: &Package, breaches: &mut Vec<String>) {
    for ban in policy.ban.iter().filter(|b| b.name == package.name) {
        let hit = ban
            .below
            .as_ref()
            .is_none_or(|below| parts(&package.version) < parts(below));
        if hit {
            breaches.push(format!(
                "{} {} is banned: {}",
                package.name, package.version, ban.reason
            ));
        }
    }
}

fn parts(version: &str) -> Vec<u64> {
    version.split(['.', '-', '+']).map_while(|p| p.parse().ok()).collect()
}

fn wrappers(policy: &Policy, package: &Package, breaches: &mut Vec<String>) {
    for only in &policy.only {
        let depends = package
            .dependencies
            .iter()
            .any(|d| d.name == only.name && d.kind.as_deref() != Some("dev"));
        if depends && !only.by.contains(&package.name) {
            breaches.push(format!(
                "{} may not depend on {}: {}",
                package.name, only.name, only.reason
            ));
        }
    }
}

fn folders(policy: &Policy, root: &Path, package: &Package, breaches: &mut Vec<String>) {
    let folder_of = |path: &str| {
        Path::new(path)
            .strip_prefix(root)
            .ok()?
            .components()
            .next()?
            .as_os_str()
            .to_str()
            .map(str::to_owned)
    };
    let Some(own) = folder_of(&package.manifest_path) else {
        return;
    };
    let Some(allowed) = policy.folders.get(&own) else {
        return;
    };
    for dependency in package.dependencies.iter().filter(|d| d.kind.as_deref() != Some("dev")) {
        if let Some(other) = dependency.path.as_deref().and_then(folder_of)
            && !allowed.contains(&other)
        {
            breaches.push(format!(
                "{} ({own}) may not depend on {} ({other})",
                package.name, dependency.name
            ));
        }
    }
}
