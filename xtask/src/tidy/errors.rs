//! Each error that a user can meet has a code of its own, a cause and a remedy, and the page that lists them is
//! what `cargo xtask docs` makes.

use std::collections::BTreeMap;

use anyhow::Result;

use super::tree::{Failure, Tree};
use crate::context::Context;
use crate::docs::codes::{self, Coded, Codes};
use crate::docs::errors;

/// How many codes an area has, of those in [`errors::AREAS`]; the first one begins in the middle.
const AREA_SIZE: u32 = 100;

/// Enums of errors that no user meets as such: what wraps them has the code.
const INNER: &[(&str, &str)] = &[
    ("host/crates/sink/src/catalog/pointer.rs", "PointerError"),
    ("host/crates/chain/src/wasm/keys.rs", "KeyIdError"),
    ("host/crates/chain/src/wasm/keys.rs", "OpenError"),
];

pub(super) fn check(ctx: &Context, tree: &Tree) -> Result<Vec<Failure>> {
    let codes = codes::read(ctx)?;
    let mut failures = breaches(&codes, INNER);
    let is_current = tree.exists(errors::PAGE) && tree.text(errors::PAGE)? == errors::page(&codes);
    if !is_current {
        let what = "it is not what the code declares".to_owned();
        failures.push(failure(errors::PAGE, what, "run `cargo xtask docs`"));
    }
    Ok(failures)
}

fn failure(file: &str, what: String, todo: &'static str) -> Failure {
    Failure { rule: "errors", file: file.to_owned(), line: 1, what, todo }
}

fn breaches(codes: &Codes, inner: &[(&str, &str)]) -> Vec<Failure> {
    let mut failures = Vec::new();
    let mut by_code: BTreeMap<&str, &Coded> = BTreeMap::new();
    for coded in &codes.declared {
        let Coded { code, name, file, .. } = coded;
        let mut fail = |what, todo| failures.push(failure(file, what, todo));
        if let Some(first) = by_code.insert(code, coded) {
            let what = format!("{code} is of {name} and of {} in {}", first.name, first.file);
            fail(what, "give each a code of its own");
        }
        if [&coded.title, &coded.cause, &coded.remedy].into_iter().any(String::is_empty) {
            let what =
                format!("the comment of {name} ({code}) lacks a title, `Cause:` or `Remedy:`");
            fail(what, "write the three paragraphs");
        }
        let is_in_range =
            errors::area(file).zip(codes::number(code)).is_some_and(|(area, number)| {
                (area.1..(area.1 / AREA_SIZE + 1) * AREA_SIZE).contains(&number)
            });
        if !is_in_range {
            fail(
                format!("{code} is not of this crate"),
                "take one of its range (xtask/src/docs/errors.rs)",
            );
        }
    }
    for (code, file) in &codes.used {
        if !by_code.contains_key(code.as_str()) {
            let what = format!("{code} is declared nowhere");
            failures.push(failure(
                file,
                what,
                "declare it in the error.rs of the crate, by `fn code`",
            ));
        }
    }
    for (file, name) in &codes.without {
        if !inner.contains(&(file.as_str(), name.as_str())) {
            let what = format!("the errors of {name} have no codes");
            failures.push(failure(
                file,
                what,
                "give it `fn code`, or name what wraps it (xtask/src/tidy/errors.rs)",
            ));
        }
    }
    failures
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "host/crates/core/src/error.rs";

    fn said(text: &str, inner: &[(&str, &str)]) -> Vec<String> {
        let mut codes = Codes::default();
        codes.add(FILE, text).unwrap();
        breaches(&codes, inner).into_iter().map(|failure| failure.what).collect()
    }

    /// An enum of two errors with these codes.
    fn sample(a: &str, b: &str) -> String {
        let docs = "/// Title.\n///\n/// Cause: it.\n///\n/// Remedy: that.\n";
        format!(
            "enum Error {{\n{docs}#[error(\"a\")] A,\n{docs}#[error(\"b\")] B }}\nimpl Error {{ fn code(&self) -> \
             &'static str {{ match self {{ Self::A => \"{a}\", Self::B => \"{b}\" }} }} }}"
        )
    }

    #[test]
    fn a_code_is_documented_used_once_and_in_its_range() {
        assert!(said(&sample("AH-0050", "AH-0099"), &[]).is_empty());
        let twice = said(&sample("AH-0050", "AH-0050"), &[]);
        assert_eq!(twice, [format!("AH-0050 is of Error::B and of Error::A in {FILE}")]);
        for outside in ["AH-0049", "AH-0100"] {
            let expected = format!("{outside} is not of this crate");
            assert_eq!(said(&sample("AH-0050", outside), &[]), [expected]);
        }
        let bare = sample("AH-0050", "AH-0051").replacen("/// Remedy: that.", "/// Do: that.", 1);
        let expected = "the comment of Error::A (AH-0050) lacks a title, `Cause:` or `Remedy:`";
        assert_eq!(said(&bare, &[]), [expected]);
    }

    #[test]
    fn codes_without_declaration_and_errors_without_code_are_named() {
        assert_eq!(said("const C: &str = \"AH-0077\";", &[]), ["AH-0077 is declared nowhere"]);
        let text = "enum Error { #[error(\"a\")] A }";
        assert_eq!(said(text, &[]), ["the errors of Error have no codes"]);
        assert!(said(text, &[(FILE, "Error")]).is_empty());
    }
}
