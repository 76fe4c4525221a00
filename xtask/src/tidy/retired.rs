//! Words and names that gave way to the field's own: they do not come back, neither in code nor in docs.
//!
//! Only exact phrases and identifiers stand here, never words of plain English.

use anyhow::Result;

use super::tree::{Failure, Source, Tree};

/// The phrase, cut in two so that this file does not contain it, and what is said instead.
const RETIRED: &[(&str, &str, &str)] = &[
    ("kept ", "aside", "say `dead-lettered`, or `becomes a dead letter`"),
    ("took a plugin ", "into the chain", "say `plugin loaded`"),
    ("a plugin was ", "not taken", "say `plugin reload rejected; keeping the running version`"),
    ("a lookup was ", "not taken", "say `lookup reload rejected; keeping the running version`"),
    ("the chain is ", "as it was", "say `keeping the running version`"),
    ("is no ", "time", "say `invalid duration`, or `invalid timestamp`"),
    ("; there ", "are: ", "say `; available: `"),
    ("; there ", "are {", "say `; available: `"),
    ("Says everything ", "that stands between", "say `Report everything that prevents …`"),
    ("nor the ", "begin of", "say `nor a prefix of`"),
    ("is the ", "begin of", "say `is a prefix of`"),
    ("no look ", "at it", "say `cannot stat`"),
    ("What becomes ", "of an input", "say `How inputs are handled`"),
    ("where things ", "stand", "say `table properties`"),
    ("table tells ", "on its host", "say `plugin change log`"),
    ("is your ", "word", "say `not verified`"),
    ("exchange of ", "a plugin", "say `reload`, or `swap` between two batches"),
    ("is no plugin ", "of the chain", "say `the chain has no plugin …`"),
    ("take_", "news", "it is `drain_events`"),
    ("finish_what_", "a_crash_left", "it is `recover_pending`"),
    ("LENT_", "FOR", "it is `CATCH_UP_LEASE`"),
    ("is_held_", "back", "it is `is_partial`"),
    ("last_", "words", "it is `last_error`"),
    ("Stand::", "Elsewhere", "it is `CommitCheck::Conflict`"),
    ("Way::", "Probe", "it is `HalfOpen`"),
];

/// Where they are looked for. What was released, and what history says, stays as it was.
const ENDINGS: &[&str] = &[".rs", ".md", ".wit", ".py", ".js"];
const LEFT_OUT: &[&str] = &["wit/released/", "CHANGELOG.md"];

pub(super) fn check(tree: &Tree) -> Result<Vec<Failure>> {
    let mut failures = Vec::new();
    for ending in ENDINGS {
        for source in tree.sources(ending)? {
            if !LEFT_OUT.iter().any(|start| source.path.starts_with(start)) {
                failures.extend(check_one(&source));
            }
        }
    }
    Ok(failures)
}

fn check_one(source: &Source) -> Vec<Failure> {
    let mut failures = Vec::new();
    let lines: Vec<&str> = source.text.lines().collect();
    for (index, line) in lines.iter().enumerate() {
        // Prose is wrapped anywhere: a phrase may begin on one line and end on the next.
        let next = lines.get(index + 1).map_or("", |next| bare(next));
        let line = line.trim_end_matches([' ', '\\']);
        let text = format!("{line} {next}");
        for (head, tail, todo) in RETIRED {
            let phrase = format!("{head}{tail}");
            if text.find(&phrase).is_some_and(|at| at < line.len()) {
                failures.push(Failure {
                    rule: "retired",
                    file: source.path.clone(),
                    line: index + 1,
                    what: format!("`{phrase}`"),
                    todo,
                });
            }
        }
    }
    failures
}

/// A line without its indentation and the marks of a comment or a quotation.
fn bare(line: &str) -> &str {
    line.trim_start().trim_start_matches(['/', '!', '#', '>', '*', '"']).trim_start()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<usize> {
        let failures = check_one(&Source { path: "a.rs".into(), text: text.into() });
        failures.iter().map(|failure| failure.line).collect()
    }

    #[test]
    fn phrases_are_found_in_lines_and_across_them() {
        let phrase = concat!("kept ", "aside");
        assert_eq!(lines(&format!("fine\nit is {phrase}.\n")), [2]);
        assert_eq!(lines("/// and is kept\n/// aside, and so\n"), [1]);
        assert_eq!(lines("    \"it is kept \\\n     aside\"\n"), [1]);
        assert_eq!(lines("it is kept\n\naside\n"), [0_usize; 0]);
        assert_eq!(lines(concat!("chain.take_", "news()\n")), [1]);
    }
}
