//! A guarantee that names its test names one that exists.

use std::collections::BTreeSet;

use anyhow::Result;

use super::architecture::tokens;
use super::lengths::functions;
use super::tree::{Failure, Source, Tree};

const PAGES: &[&str] = &["README.md", "STYLE.md", "docs/guarantees.md"];
/// A name with at least so many words is a test's: they are sentences.
const WORDS_MIN: usize = 4;
/// Names of lints, which look like it.
const LINTS: &[&str] = &["allow_attributes_without_reason", "fn_params_excessive_bools"];

pub(super) fn check(rust: &[Source], tree: &Tree) -> Result<Vec<Failure>> {
    let known: BTreeSet<&str> =
        rust.iter().flat_map(|source| functions(&source.text)).map(|(_, name, _)| name).collect();
    let mut failures = Vec::new();
    for page in PAGES.iter().filter(|page| tree.exists(page)) {
        let text = tree.text(page)?;
        for (line, name) in names(&text) {
            if !known.contains(name) {
                failures.push(Failure {
                    rule: "named-tests",
                    file: (*page).to_owned(),
                    line,
                    what: format!("there is no test `{name}`"),
                    todo: "name the test that shows it, or write it",
                });
            }
        }
    }
    Ok(failures)
}

/// What looks like the name of a test, with its line.
fn names(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (line, token) in tokens(text) {
        let name = token.rsplit("::").next().unwrap_or(token);
        let is_part =
            |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
        let is_name = name.chars().all(is_part);
        if is_name && name.split('_').count() >= WORDS_MIN && !LINTS.contains(&name) {
            found.push((line, name));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_tests_are_told_from_others() {
        let text = "`no_record_is_lost`, `crash::it_ends_exactly_once` and `disallowed_methods`\n\
                    `fn_params_excessive_bools`, `tests/crash`, `a b`, `redact_pii`\n";
        assert_eq!(names(text), [(1, "no_record_is_lost"), (1, "it_ends_exactly_once")]);
    }
}
