//! Text from guests and libraries, made safe for one line of a log, an error or a table.

use std::error::Error;

/// Whether a character could forge a line of its own, or show a line in another order than it has
/// (Unicode's explicit directional formatting, its isolates, and the separators of lines and paragraphs).
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// The text on one line, without unprintable characters, cut at a character to at most `bytes_max` bytes.
pub fn clipped(text: &str, bytes_max: usize) -> String {
    let mut line = String::with_capacity(text.len().min(bytes_max));
    for c in text.chars() {
        let c = if is_unprintable(c) { ' ' } else { c };
        if line.len() + c.len_utf8() > bytes_max {
            break;
        }
        line.push(c);
    }
    line
}

/// An error and its causes on one line, from what was attempted to why it failed.
pub fn one_line(error: &(dyn Error + 'static)) -> String {
    let mut line = clipped(&error.to_string(), usize::MAX);
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = clipped(&error.to_string(), usize::MAX);
        // Libraries repeat the text of a cause in their own.
        if !line.ends_with(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        cause = error.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clipped_text_is_one_line_within_its_limit() {
        assert_eq!(clipped("a\nb\u{1b}[31m\u{202e}c\u{2028}d", 100), "a b [31m c d");
        assert_eq!(clipped(&"é".repeat(20), 7), "ééé");
        assert_eq!(clipped("", 0), "");
    }

    #[test]
    fn causes_follow_the_attempt_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("opening x")]
        struct Attempt(#[source] std::io::Error);
        let error = Attempt(std::io::Error::other("no\nroom"));
        assert_eq!(one_line(&error), "opening x: no room");
    }
}
