//! Bans, licences and sources of foreign code, by the list in `deny.toml`.
//!
//! The list is cargo-deny's, and so is the meaning of its keys. cargo-deny itself takes minutes to install, so
//! what needs no database is checked here, in every run; advisories need cargo-deny.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use toml::Table;

use super::spdx;
use super::tree::{Failure, Tree};
use crate::context::Context;
use crate::run;

const FILE: &str = "deny.toml";
/// What is read here. Another key would be obeyed by cargo-deny alone.
const KNOWN: &[(&str, &[&str])] = &[
    ("graph", &["targets", "all-features"]),
    ("advisories", &["version", "yanked", "ignore"]),
    ("licenses", &["version", "confidence-threshold", "allow", "exceptions", "private"]),
    ("bans", &["multiple-versions", "wildcards", "allow-wildcard-paths", "deny"]),
    ("sources", &["unknown-registry", "unknown-git"]),
];
const CRATES_IO: &[&str] =
    &["registry+https://github.com/rust-lang/crates.io-index", "sparse+https://index.crates.io/"];

pub(super) fn check(ctx: &Context, tree: &Tree) -> Result<Vec<Failure>> {
    let rules = Rules::parse(&tree.text(FILE)?).context(FILE)?;
    let mut metadata = ctx.cargo();
    metadata.args(["metadata", "--locked", "--all-features", "--format-version", "1"]);
    for target in &rules.targets {
        metadata.args(["--filter-platform", target]);
    }
    let metadata: Value = serde_json::from_str(&run::output(&mut metadata)?)?;
    let breaches = rules.breaches(&packages(&metadata)?);
    Ok(breaches.into_iter().map(|(what, todo)| failure(what, todo)).collect())
}

fn failure(what: String, todo: &'static str) -> Failure {
    Failure { rule: "deny", file: FILE.to_owned(), line: 1, what, todo }
}

/// A crate that is built for one of the targets, with all features.
struct Package {
    name: String,
    version: String,
    licence: Option<String>,
    /// `None` for a crate of this checkout.
    source: Option<String>,
    is_private: bool,
    /// Foreign crates that it takes in any version.
    wildcards: Vec<String>,
    /// The crates that depend on it directly.
    users: Vec<String>,
}

fn packages(metadata: &Value) -> Result<Vec<Package>> {
    let nodes =
        metadata["resolve"]["nodes"].as_array().context("cargo metadata resolved nothing")?;
    let built: BTreeSet<&str> = nodes.iter().filter_map(|node| node["id"].as_str()).collect();
    let all = metadata["packages"].as_array().context("cargo metadata names no packages")?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let dependents = |id: &Value| {
        let uses =
            |node: &&Value| node["dependencies"].as_array().is_some_and(|ids| ids.contains(id));
        let ids: Vec<&Value> = nodes.iter().filter(uses).map(|node| &node["id"]).collect();
        let found = all.iter().filter(|package| ids.contains(&&package["id"]));
        found.filter_map(|package| text(&package["name"])).collect()
    };
    let package = |package: &Value| {
        let used = package["dependencies"].as_array().into_iter().flatten();
        let wildcards = used.filter(|used| used["req"] == "*" && !used["source"].is_null());
        Package {
            name: text(&package["name"]).unwrap_or_default(),
            version: text(&package["version"]).unwrap_or_default(),
            licence: text(&package["license"]),
            source: text(&package["source"]),
            is_private: package["publish"].as_array().is_some_and(Vec::is_empty),
            wildcards: wildcards.filter_map(|used| text(&used["name"])).collect(),
            users: dependents(&package["id"]),
        }
    };
    let is_built = |package: &&Value| package["id"].as_str().is_some_and(|id| built.contains(id));
    Ok(all.iter().filter(is_built).map(package).collect())
}

/// A crate that only these others may depend on.
struct Banned {
    name: String,
    wrappers: Vec<String>,
    reason: String,
}

/// What `deny.toml` says, as far as it is checked here.
struct Rules {
    targets: Vec<String>,
    licences: Vec<String>,
    /// Licences that one crate alone may have.
    exceptions: BTreeMap<String, Vec<String>>,
    private_may_have_any: bool,
    banned: Vec<Banned>,
    once: Vec<(String, String)>,
}

impl Rules {
    fn parse(text: &str) -> Result<Self> {
        let file: Table = text.parse().context("not valid TOML")?;
        for (section, keys) in &file {
            let known = KNOWN.iter().find(|(name, _)| name == section).map(|(_, keys)| *keys);
            let keys = keys.as_table().into_iter().flat_map(Table::keys);
            for key in keys {
                let is_known = known.is_some_and(|known| known.contains(&key.as_str()));
                ensure!(is_known, "`{section}.{key}` is unknown to xtask/src/tidy/deny.rs");
            }
        }
        for (section, key) in
            [("bans", "wildcards"), ("sources", "unknown-registry"), ("sources", "unknown-git")]
        {
            let level = file.get(section).and_then(|section| section.get(key));
            ensure!(
                level.and_then(toml::Value::as_str) == Some("deny"),
                "xtask/src/tidy/deny.rs knows `{section}.{key}` only as \"deny\""
            );
        }
        let licenses = table(&file, "licenses")?;
        let private = licenses.get("private").and_then(|private| private.get("ignore"));
        let mut rules = Self {
            targets: strings(table(&file, "graph")?, "targets")?,
            licences: strings(licenses, "allow")?,
            exceptions: BTreeMap::new(),
            private_may_have_any: private.and_then(toml::Value::as_bool) == Some(true),
            banned: Vec::new(),
            once: Vec::new(),
        };
        for entry in entries(licenses, "exceptions") {
            rules.exceptions.insert(string(entry, "crate")?, strings(entry, "allow")?);
        }
        for entry in entries(table(&file, "bans")?, "deny") {
            let (name, reason) = (string(entry, "crate")?, string(entry, "reason")?);
            if entry.contains_key("deny-multiple-versions") {
                rules.once.push((name, reason));
            } else {
                let has_wrappers = entry.contains_key("wrappers");
                let wrappers = if has_wrappers { strings(entry, "wrappers")? } else { Vec::new() };
                rules.banned.push(Banned { name, wrappers, reason });
            }
        }
        Ok(rules)
    }

    fn breaches(&self, packages: &[Package]) -> Vec<(String, &'static str)> {
        let mut found = Vec::new();
        for package in packages {
            let Package { name, version, .. } = package;
            if let Some(problem) = self.licence_problem(package) {
                found.push((
                    format!("{name} {version} {problem}"),
                    "use another crate; or allow the licence there, if it asks for no more than a notice",
                ));
            }
            for used in &package.wildcards {
                found.push((format!("{name} takes any version of {used}"), "give the version"));
            }
            let source = package.source.as_deref();
            if source.is_some_and(|source| !CRATES_IO.contains(&source)) {
                found.push((
                    format!("{name} {version} comes from {}", source.unwrap_or_default()),
                    "take it from crates.io",
                ));
            }
            let banned = self.banned.iter().filter(|banned| banned.name == *name);
            for Banned { wrappers, reason, .. } in banned {
                let users = package.users.iter().filter(|user| !wrappers.contains(user));
                let users: Vec<&str> = users.map(String::as_str).collect();
                if !users.is_empty() {
                    found.push((
                        format!("{name} {version} is used by {}: {reason}", users.join(" and ")),
                        "`cargo tree --invert` shows what brings it: turn that feature off",
                    ));
                }
            }
        }
        for (name, reason) in &self.once {
            let versions = packages.iter().filter(|package| package.name == *name);
            let versions: Vec<_> = versions.map(|package| package.version.as_str()).collect();
            if versions.len() > 1 {
                found.push((
                    format!("{name} is there as {}: {reason}", versions.join(" and ")),
                    "use the version that the other crates use",
                ));
            }
        }
        found
    }

    fn licence_problem(&self, package: &Package) -> Option<String> {
        if package.is_private && self.private_may_have_any {
            return None;
        }
        let Some(licence) = &package.licence else { return Some("names no licence".to_owned()) };
        let of_crate = self.exceptions.get(&package.name).into_iter().flatten();
        let allowed: Vec<&str> = self.licences.iter().chain(of_crate).map(String::as_str).collect();
        match spdx::is_satisfied(licence, &allowed) {
            Ok(true) => None,
            Ok(false) => Some(format!("has the licence {licence}")),
            Err(error) => {
                Some(format!("has the licence {licence:?}, which cannot be read: {error}"))
            }
        }
    }
}

fn table<'a>(table: &'a Table, key: &str) -> Result<&'a Table> {
    table.get(key).and_then(toml::Value::as_table).with_context(|| format!("no table [{key}]"))
}

fn entries<'a>(table: &'a Table, key: &str) -> impl Iterator<Item = &'a Table> {
    let list = table.get(key).and_then(toml::Value::as_array).into_iter().flatten();
    list.filter_map(toml::Value::as_table)
}

fn string(table: &Table, key: &str) -> Result<String> {
    let text = table.get(key).and_then(toml::Value::as_str);
    text.map(str::to_owned).with_context(|| format!("an entry without `{key}`"))
}

fn strings(table: &Table, key: &str) -> Result<Vec<String>> {
    let Some(list) = table.get(key).and_then(toml::Value::as_array) else {
        bail!("`{key}` is not a list");
    };
    let texts = list.iter().map(|value| value.as_str().map(str::to_owned));
    texts.collect::<Option<_>>().with_context(|| format!("`{key}` is not a list of strings"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = r#"
        [graph]
        targets = ["wasm32-unknown-unknown"]
        [licenses]
        allow = ["MIT", "Apache-2.0 WITH LLVM-exception"]
        exceptions = [{ crate = "fuzz", allow = ["NCSA"] }]
        private = { ignore = true }
        [bans]
        wildcards = "deny"
        deny = [
            { crate = "openssl-sys", wrappers = ["rdkafka-sys"], reason = "rustls" },
            { crate = "tokio", deny-multiple-versions = true, reason = "one runtime" },
        ]
        [sources]
        unknown-registry = "deny"
        unknown-git = "deny"
    "#;

    fn package(name: &str, version: &str, licence: &str) -> Package {
        Package {
            name: name.to_owned(),
            version: version.to_owned(),
            licence: Some(licence.to_owned()),
            source: Some(CRATES_IO[0].to_owned()),
            is_private: false,
            wildcards: Vec::new(),
            users: vec!["user".to_owned()],
        }
    }

    fn said(packages: &[Package]) -> Vec<String> {
        let breaches = Rules::parse(LIST).unwrap().breaches(packages);
        breaches.into_iter().map(|(what, _)| what).collect()
    }

    #[test]
    fn what_the_list_allows_passes() {
        let ours =
            Package { licence: None, source: None, is_private: true, ..package("o", "1", "") };
        let packages = [
            package("serde", "1.0.0", "MIT OR Apache-2.0"),
            package("serde", "2.0.0", "MIT"),
            package("wasmtime", "48.0.8", "Apache-2.0 WITH LLVM-exception"),
            package("fuzz", "1.0.0", "MIT AND NCSA"),
            package("tokio", "1.48.0", "MIT"),
            Package {
                users: vec!["rdkafka-sys".to_owned()],
                ..package("openssl-sys", "1.0.0", "MIT")
            },
            ours,
        ];
        assert_eq!(said(&packages), [""; 0]);
    }

    #[test]
    fn each_breach_is_named() {
        let elsewhere =
            Package { source: Some("git+https://x".into()), ..package("near", "1.0.0", "MIT") };
        let any = Package { wildcards: vec!["rand".to_owned()], ..package("any", "1.0.0", "MIT") };
        let none = Package { licence: None, ..package("none", "1.0.0", "") };
        let packages = [
            package("copyleft", "1.0.0", "GPL-3.0-only"),
            package("other", "1.0.0", "MIT AND NCSA"),
            package("odd", "1.0.0", "MIT OR"),
            none,
            any,
            elsewhere,
            package("openssl-sys", "0.9.0", "MIT"),
            package("tokio", "0.2.0", "MIT"),
            package("tokio", "1.48.0", "MIT"),
        ];
        let expected = [
            "copyleft 1.0.0 has the licence GPL-3.0-only",
            "other 1.0.0 has the licence MIT AND NCSA",
            "odd 1.0.0 has the licence \"MIT OR\", which cannot be read: it ends too early",
            "none 1.0.0 names no licence",
            "any takes any version of rand",
            "near 1.0.0 comes from git+https://x",
            "openssl-sys 0.9.0 is used by user: rustls",
            "tokio is there as 0.2.0 and 1.48.0: one runtime",
        ];
        assert_eq!(said(&packages), expected);
    }

    #[test]
    fn a_key_that_is_not_obeyed_is_refused() {
        for (old, new) in [
            ("private =", "unused-allowed-license = \"deny\"\nprivate ="),
            ("unknown-git = \"deny\"", "unknown-git = \"warn\""),
            ("[graph]", "[output]\nfeature-depth = 1\n[graph]"),
        ] {
            assert!(Rules::parse(LIST).is_ok() && Rules::parse(&LIST.replace(old, new)).is_err());
        }
    }
}
