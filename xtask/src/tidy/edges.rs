//! Which crate may depend on which: ARCHITECTURE.md shows the picture, this table is the law.

use std::collections::BTreeMap;

use super::tree::{Failure, Package};

/// What each crate of the host may use of the others. Siblings never import one another.
const HOST: &[(&str, &[&str])] = &[
    ("audit-core", &[]),
    ("audit-source", &["audit-core"]),
    ("audit-decode", &["audit-core"]),
    ("audit-lookup", &[]),
    ("audit-chain", &["audit-core", "audit-golden", "audit-lookup"]),
    ("audit-sink", &["audit-core"]),
    ("audit-alert", &["audit-core"]),
    ("audit-generate", &["audit-core"]),
    ("audit-golden", &[]),
    ("audit-toolchain", &["audit-golden"]),
    (
        "audit-host",
        &[
            "audit-core",
            "audit-source",
            "audit-decode",
            "audit-lookup",
            "audit-chain",
            "audit-sink",
            "audit-alert",
            "audit-generate",
            "audit-golden",
            "audit-toolchain",
        ],
    ),
];
/// What rule authors depend on.
const SDK: &str = "audit-plugin-sdk";
/// What the built-in plugins share. With the SDK the only crates of ours that a plugin may use.
const TOOLKITS: &[&str] = &["audit-detect", "audit-hours"];
/// They drive everything from outside, so they may use any crate, and no crate may use them.
const DRIVERS: &[&str] = &["audit-evaluate", "audit-fuzz", "audit-tests", "xtask"];
/// Outside crates (a final `*` stands for any ending) and the crates that may use each.
const HOMES: &[(&str, &[&str])] = &[
    ("rdkafka*", &["audit-source"]),
    ("openssl*", &["audit-source"]),
    ("wasmtime*", &["audit-chain"]),
    ("wit-component", &["audit-toolchain"]),
    ("iceberg*", &["audit-sink"]),
    ("parquet", &["audit-sink", "audit-lookup"]),
    ("sqlx*", &["audit-sink"]),
];

const TODO: &str = "move the code to where the dependency belongs (xtask/src/tidy/edges.rs)";

/// Guests: plugins and the examples of plugins.
fn is_guest(member: &Package) -> bool {
    member.manifest.starts_with("plugins/") || member.manifest.starts_with("examples/")
}

pub(super) fn check(members: &[Package]) -> Vec<Failure> {
    let by_name: BTreeMap<&str, &Package> =
        members.iter().map(|member| (member.name.as_str(), member)).collect();
    let mut failures = Vec::new();
    for member in members {
        for used in &member.dependencies {
            let what = match by_name.get(used.as_str()) {
                Some(_) => inside(member, used),
                None => outside(member, used),
            };
            if let Some(what) = what {
                let (rule, todo) = ("edges", TODO);
                failures.push(Failure { rule, file: member.manifest.clone(), line: 1, what, todo });
            }
        }
        if let Some(failure) = unknown(member) {
            failures.push(failure);
        }
    }
    failures
}

/// What is wrong with a dependency on another crate of the workspace.
fn inside(member: &Package, used: &str) -> Option<String> {
    let name = &member.name;
    if DRIVERS.contains(&used) {
        return Some(format!("{name} depends on {used}, which nothing may use"));
    }
    if DRIVERS.contains(&name.as_str()) {
        return None;
    }
    if is_guest(member) {
        let is_toolkit = TOOLKITS.contains(&name.as_str());
        let allowed = name != SDK && (used == SDK || (!is_toolkit && TOOLKITS.contains(&used)));
        return (!allowed).then(|| format!("{name} depends on {used}; a guest may use only {SDK}"));
    }
    let allowed =
        HOST.iter().find(|(host, _)| host == name).is_some_and(|(_, u)| u.contains(&used));
    (!allowed).then(|| format!("{name} depends on {used}"))
}

/// What is wrong with a dependency on a crate from outside.
fn outside(member: &Package, used: &str) -> Option<String> {
    let (_, homes) = HOMES.iter().find(|(pattern, _)| match pattern.strip_suffix('*') {
        Some(start) => used.starts_with(start),
        None => used == *pattern,
    })?;
    let name = member.name.as_str();
    let allowed = homes.contains(&name) || DRIVERS.contains(&name);
    (!allowed).then(|| format!("{name} depends on {used}, whose home is {}", homes.join(" and ")))
}

fn unknown(member: &Package) -> Option<Failure> {
    let known = HOST.iter().any(|(host, _)| *host == member.name)
        || DRIVERS.contains(&member.name.as_str())
        || is_guest(member);
    (!known).then(|| Failure {
        rule: "edges",
        file: member.manifest.clone(),
        line: 1,
        what: format!("{} has no place in the picture", member.name),
        todo: "say in xtask/src/tidy/edges.rs and ARCHITECTURE.md what it may use",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, manifest: &str, dependencies: &[&str]) -> Vec<String> {
        let member = |name: &str, manifest: &str, used: &[&str]| Package {
            name: name.to_owned(),
            manifest: format!("{manifest}/Cargo.toml"),
            dependencies: used.iter().map(ToString::to_string).collect(),
            roots: Vec::new(),
        };
        let mut members = vec![
            member("audit-core", "host/crates/core", &[]),
            member("audit-sink", "host/crates/sink", &["audit-core", "iceberg"]),
            member("audit-tests", "tests", &["audit-sink", "rdkafka"]),
            member(SDK, "plugins/sdk", &["wit-bindgen"]),
        ];
        members.retain(|other| other.name != name);
        members.push(member(name, manifest, dependencies));
        super::check(&members).into_iter().map(|failure| failure.what).collect()
    }

    #[test]
    fn the_picture_is_allowed() {
        assert!(check("audit-host", "host", &["audit-core", "audit-sink"]).is_empty());
        assert!(check("mask-ip", "plugins/mask-ip", &[SDK, "serde"]).is_empty());
        assert!(check("audit-detect", "plugins/detect", &[SDK]).is_empty());
    }

    #[test]
    fn what_leaves_the_picture_is_named() {
        let cases: &[(&str, &str, &str, &str)] = &[
            (
                "audit-decode",
                "host/crates/decode",
                "audit-sink",
                "audit-decode depends on audit-sink",
            ),
            ("mask-ip", "plugins/mask-ip", "audit-core", "a guest may use only"),
            (SDK, "plugins/sdk", "audit-core", "a guest may use only"),
            ("audit-host", "host", "audit-tests", "which nothing may use"),
            ("audit-host", "host", "iceberg-catalog-sql", "whose home is audit-sink"),
            ("audit-new", "host/crates/new", "serde", "has no place in the picture"),
        ];
        for (name, manifest, used, what) in cases {
            let said = check(name, manifest, &[used]);
            assert!(said.len() == 1 && said[0].contains(what), "{name} -> {used}: {said:?}");
        }
    }
}
