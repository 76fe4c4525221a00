//! Files and functions short enough to be read at once.
//!
//! Functions are found by their lines: rustfmt puts the closing brace at the indentation of `fn`.

use super::tree::{Failure, Source};

const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 70;

pub(super) fn check(sources: &[Source]) -> Vec<Failure> {
    let mut failures = Vec::new();
    for source in sources {
        let n_lines = source.text.lines().count();
        if n_lines > FILE_LINES_MAX {
            failures.push(Failure {
                rule: "file-length",
                file: source.path.clone(),
                line: 1,
                what: format!("{n_lines} lines, allowed are {FILE_LINES_MAX}"),
                todo: "split it by what its parts know",
            });
        }
        for (line, name, length) in functions(&source.text) {
            if length > FUNCTION_LINES_MAX {
                failures.push(Failure {
                    rule: "function-length",
                    file: source.path.clone(),
                    line,
                    what: format!("`{name}` has {length} lines, allowed are {FUNCTION_LINES_MAX}"),
                    todo: "keep the decisions in it and move the work out",
                });
            }
        }
    }
    failures
}

/// First line, name and number of lines of each function with a body.
pub(super) fn functions(text: &str) -> Vec<(usize, &str, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else { continue };
        if let Some(length) = body_length(&lines[index..]) {
            found.push((index + 1, name, length));
        }
    }
    found
}

/// The name, if the line begins a function.
fn function_name(line: &str) -> Option<&str> {
    const BEFORE: &[&str] = &["async", "const", "default", "extern", "unsafe", "\"C\""];
    let (before, after) = line.split_once("fn ")?;
    let is_qualifier = |word: &str| {
        word.starts_with("pub")
            || word.starts_with("in ")
            || BEFORE.contains(&word)
            || word.ends_with(')')
    };
    if !before.split_whitespace().all(is_qualifier) {
        return None;
    }
    let end = after.find(|letter: char| !(letter.is_alphanumeric() || letter == '_'))?;
    after.get(..end).filter(|name| !name.is_empty())
}

/// From the line of `fn` to the brace at its indentation; nothing for a function without a body.
fn body_length(lines: &[&str]) -> Option<usize> {
    let indent = lines.first()?.find(|letter: char| letter != ' ')?;
    for (index, line) in lines.iter().enumerate() {
        let at = line.find(|letter: char| letter != ' ').unwrap_or(usize::MAX);
        let one_line = index == 0 && line.ends_with('}');
        if one_line || (at == indent && line.trim_start().starts_with('}')) {
            return Some(index + 1);
        }
        let no_body = line.ends_with(';') && (index == 0 || at == indent);
        if no_body {
            return None;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_functions_by_their_braces() {
        let text = "\
trait T {
    fn declared(&self) -> u32;
    fn declared_long(
        &self,
    ) -> u32;
}
fn one() {}
pub(crate) async fn two(
    a: u32,
) -> u32 {
    if a > 1 {
        // fn comment() {
    }
    a
}
impl T for () {
    pub(in crate::x) const unsafe fn three() -> u32 {
        3
    }
}
";
        assert_eq!(functions(text), [(7, "one", 1), (8, "two", 8), (17, "three", 3)]);
    }

    #[test]
    fn names_what_is_too_long() {
        let body = "    work();\n".repeat(FUNCTION_LINES_MAX);
        let text = format!("fn long() {{\n{body}}}\n");
        let failures = check(&[Source { path: "a.rs".into(), text }]);
        assert_eq!(failures.len(), 1);
        assert!(
            failures[0].to_string().starts_with("function-length: a.rs:1: `long` has 72 lines")
        );
    }
}
