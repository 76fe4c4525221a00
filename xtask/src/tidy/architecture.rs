//! ARCHITECTURE.md names only what exists: a map with wrong names is worse than none.

use std::path::Path;

use anyhow::Result;

use super::tree::{Failure, Package, Tree};

const FILE: &str = "ARCHITECTURE.md";
/// What a path may leave out at its beginning.
const BASES: [&str; 3] = ["", "host/", "host/crates/"];
const PATH_ENDINGS: &[&str] = &[".rs", ".toml", ".wit", ".md"];

pub(super) fn check(packages: &[Package], tree: &Tree) -> Result<Vec<Failure>> {
    if !tree.exists(FILE) {
        return Ok(Vec::new());
    }
    let is_crate = |name: &str| packages.iter().any(|package| package.name == name);
    let exists = |token: &str| match kind(token) {
        Kind::Crate => is_crate(token),
        Kind::Path => path_exists(tree, token),
        Kind::Other => true,
    };
    let text = tree.text(FILE)?;
    let mut failures = Vec::new();
    let lines: Vec<&str> = text.lines().collect();
    for (line, token) in tokens(&text) {
        let what = if !exists(token) {
            format!("`{token}` does not exist")
        } else if !is_in_row(tree, lines[line - 1], token) {
            format!("`{token}` is not below the folder that its row begins with")
        } else {
            continue;
        };
        failures.push(Failure {
            rule: "architecture",
            file: FILE.into(),
            line,
            what,
            todo: "name what is there, or take it out",
        });
    }
    Ok(failures)
}

fn is_rust(file: &str) -> bool {
    Path::new(file).extension().is_some_and(|extension| extension == "rs")
}

/// Whether a file without a folder, in a table whose row begins with folders, is in one of them.
fn is_in_row(tree: &Tree, line: &str, token: &str) -> bool {
    let first_cell = line.strip_prefix('|').and_then(|rest| rest.split('|').next());
    let folders = first_cell.into_iter().flat_map(|cell| cell.split('`').skip(1).step_by(2));
    let mut folders = folders.filter(|folder| folder.ends_with('/')).peekable();
    if folders.peek().is_none() || token.contains('/') || !is_rust(token) {
        return true;
    }
    folders.any(|folder| {
        let is_below = |base: &str, file: &str| {
            let below = file.strip_prefix(base).and_then(|file| file.strip_prefix(folder));
            below.is_some_and(|file| file == token || file.ends_with(&format!("/{token}")))
        };
        BASES.iter().any(|base| tree.files.iter().any(|file| is_below(base, file)))
    })
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
    BASES.iter().any(|base| tree.exists(&format!("{base}{token}")))
        || tree.files.iter().any(|file| file.ends_with(&format!("/{token}")))
}

/// What stands in backticks, with its line; blocks of code are left out.
pub(super) fn tokens(text: &str) -> Vec<(usize, &str)> {
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
    fn a_file_is_looked_for_in_the_folder_of_its_row() {
        let files = ["host/crates/chain/src/plan.rs".to_owned(), "xtask/src/run.rs".to_owned()];
        let tree = Tree { root: "/".into(), files: files.to_vec() };
        let row = "| `host/crates/chain/` | `plan.rs` and `run.rs` |";
        assert!(is_in_row(&tree, row, "plan.rs") && !is_in_row(&tree, row, "run.rs"));
        assert!(is_in_row(&tree, "| `chain/src/` | |", "plan.rs"));
        assert!(is_in_row(&tree, "| 4 commit | `plan.rs` |", "run.rs"));
        assert!(is_in_row(&tree, "Start with `run.rs`.", "run.rs"));
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
