//! Words that do not belong in finished sources.

use super::tree::{Failure, Source};

/// The word, cut in two so that this file does not contain it, and what to do about it.
const FORBIDDEN: &[(&str, &str, &str)] = &[
    ("#[ig", "nore", "make the test quick and steady, or delete it"),
    ("#[should", "_panic", "return an error and assert on it"),
    ("to", "do!(", "write it, or leave it out"),
    ("unimpl", "emented!(", "write it, or leave it out"),
    ("db", "g!(", "remove it, or log an event"),
];

pub(super) fn check(sources: &[Source]) -> Vec<Failure> {
    let mut failures = Vec::new();
    for source in sources {
        for (index, line) in source.text.lines().enumerate() {
            if line.trim_start().starts_with("//") {
                continue;
            }
            for (head, tail, todo) in FORBIDDEN {
                let word = format!("{head}{tail}");
                if contains_word(line, &word) {
                    failures.push(Failure {
                        rule: "forbidden",
                        file: source.path.clone(),
                        line: index + 1,
                        what: format!("`{word}`"),
                        todo,
                    });
                }
            }
        }
    }
    failures
}

/// Whether the word stands there by itself, not as the end of a longer name.
fn contains_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line.as_bytes().get(at.wrapping_sub(1));
        !before.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_words_outside_comments_only() {
        let word = concat!("to", "do!(");
        let text = format!("{word})\n// {word})\nlet mas{word})\n");
        let failures = check(&[Source { path: "a.rs".into(), text }]);
        assert_eq!(failures.iter().map(|failure| failure.line).collect::<Vec<_>>(), [1]);
    }
}
