//! ARCHITECTURE.md names only what exists: a map with wrong names is worse than none.

use anyhow::Result;

use super::{Failure, Tree};
use crate::context::Context;
use crate::run;

const FILE: &str = "ARCHITECTURE.md";
const PATH_ENDINGS: &[&str] = &[".rs", ".toml", ".wit", ".md"];

pub(super) fn check(ctx: &Context, tree: &Tree) -> Result<Vec<Failure>> {
    if !tree.exists(FILE) {
        return Ok(Vec::new());
    }
    let mut metadata = run::cargo(ctx);
    metadata.args(["metadata", "--no-deps", "--format-version", "1"]);
    let metadata: serde_json::Value = serde_json::from_str(&run::output(&mut metadata)?)?;
    let packages = metadata["packages"].as_array();
    let is_crate = |name: &str| {
        packages.is_some_and(|packages| packages.iter().any(|package| package["name"] == name))
    };
    let exists = |token: &str| match kind(token) {
        Kind::Crate => is_crate(token),
        Kind::Path => path_exists(tree, token),
        Kind::Other => true,
    };
    let text = tree.text(FILE)?;
    let mut failures = Vec::new();
    for (line, token) in tokens(&text) {
        if !exists(token) {
            failures.push(Failure {
                rule: "architecture",
                file: FILE.into(),
                line,
                what: format!("`{token}` does not exist"),
                todo: "name what is there, or take it out",
            });
        }
    }
    Ok(failures)
}

#[derive(Debug, PartialEq)]
enum Kind {
    Crate,
    Path,
    Other,
}

fn kind(token: &str) -> Kind {
    let is_name = |letter: char| letter.is_alphanumeric() || "-_./*<>".contains(letter);
    // A command, an address, a topic of Kafka: not a path of this tree.
    if !token.chars().all(is_name) || token.starts_with('/') || token.starts_with('.') {
        return Kind::Other;
    }
    if token.contains('/') || PATH_ENDINGS.iter().any(|ending| token.ends_with(ending)) {
        return Kind::Path;
    }
    if token.starts_with("audit-") { Kind::Crate } else { Kind::Other }
}

/// A path from the root, from `host/` or from `host/crates/`, or the end of one (`pipeline.rs`).
/// A part in `<…>` or with `*` stands for anything.
fn path_exists(tree: &Tree, token: &str) -> bool {
    let token = token.trim_end_matches('/');
    if let Some(at) = token.find(['<', '*']) {
        let fixed = token.get(..at).unwrap_or_default();
        return tree.files.iter().any(|file| file.starts_with(fixed));
    }
    let bases = ["", "host/", "host/crates/"];
    bases.iter().any(|base| tree.exists(&format!("{base}{token}")))
        || tree.files.iter().any(|file| file.ends_with(&format!("/{token}")))
}

/// What stands in backticks, with its line; blocks of code are left out.
fn tokens(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut in_block = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if !in_block {
            found.extend(line.split('`').skip(1).step_by(2).map(|token| (index + 1, token)));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_stands_in_backticks() {
        let text = "see `host/src` and `a b`\n```\n`x/y`\n```\n`audit-core`\n";
        assert_eq!(tokens(text), [(1, "host/src"), (1, "a b"), (5, "audit-core")]);
    }

    #[test]
    fn tells_paths_from_crates_from_words() {
        let cases = [
            ("host/crates/core", Kind::Path),
            ("pipeline.rs", Kind::Path),
            ("audit-sink", Kind::Crate),
            ("Epoch", Kind::Other),
            ("/metrics", Kind::Other),
            ("cargo xtask tidy", Kind::Other),
            ("audit_host::main", Kind::Other),
        ];
        for (token, expected) in cases {
            assert_eq!(kind(token), expected, "{token}");
        }
    }
}
