//! Removes the values of a row from what a guest says about it, more thoroughly than `mask` does for the whole batch:
//! here short words and the plugin's own are removed as well.
//!
//! The contract forbids guests to repeat values, but a traceback may do so all the same, and people who
//! read dead letters, alerts and the table may not be allowed to see them.

use std::fmt::Write as _;

use arrow::array::{Array as _, AsArray as _};
use arrow::record_batch::RecordBatch;

use crate::wasm::mask::HIDDEN;

/// Characters of a word that is looked up within values: shorter ones occur in any text.
const WORD_CHARS_MIN: usize = 4;
/// Characters of a value that is replaced as a whole.
const VALUE_CHARS_MIN: usize = 3;

/// The text without the row's values and without words that are part of one.
pub(crate) fn without_values(text: &str, columns: &RecordBatch, row: usize) -> String {
    let values: Vec<&str> = columns
        .columns()
        .iter()
        .filter_map(|column| column.as_string_opt::<i32>())
        .filter(|column| row < column.len() && column.is_valid(row))
        .map(|column| column.value(row))
        .collect();
    let mut text = text.to_owned();
    for value in &values {
        if value.chars().nth(VALUE_CHARS_MIN - 1).is_some() {
            text = text.replace(value, HIDDEN);
        }
    }
    let values: Vec<String> = values
        .iter()
        .flat_map(|value| [value.to_lowercase(), unescaped(&value.to_lowercase())])
        .collect();
    let mut kept = String::with_capacity(text.len());
    for word in text.split_inclusive(|c| !is_of_word(c)) {
        let end = word.trim_end_matches(|c| !is_of_word(c)).len();
        let (word, behind) = word.split_at(end);
        let is_value = is_of_value(&word.to_lowercase(), &values);
        // Writing to a string does not fail.
        let _ = write!(kept, "{}{behind}", if is_value { HIDDEN } else { word });
    }
    kept
}

/// Whether the word, or a part of it between separators, is part of a value.
fn is_of_value(word: &str, values: &[String]) -> bool {
    let is_known = |part: &str| {
        part.chars().nth(WORD_CHARS_MIN - 1).is_some()
            && values.iter().any(|value| value.contains(part))
    };
    is_known(word) || word.split(is_separator).any(is_known)
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || is_separator(c)
}

/// Characters that occur within words and after them.
fn is_separator(c: char) -> bool {
    matches!(c, '@' | '.' | '_' | '-' | '+')
}

/// The text with JSON's `\u` escapes decoded.
fn unescaped(text: &str) -> String {
    let mut parts = text.split("\\u");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.get(..4).and_then(|digits| u32::from_str_radix(digits, 16).ok());
        match (digits.and_then(char::from_u32), part.get(4..)) {
            (Some(character), Some(rest)) => {
                plain.push(character);
                plain.push_str(rest);
            }
            _ => plain.push_str(part),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, StringArray};

    use super::*;

    fn scrubbed(text: &str) -> String {
        let text_of = |values: Vec<Option<&str>>| Arc::new(StringArray::from(values)) as ArrayRef;
        let columns = RecordBatch::try_from_iter_with_nullable([
            ("user", text_of(vec![Some("someone.else"), Some("alice@example.com")]), true),
            ("name", text_of(vec![None, Some("Bo B")]), true),
            (
                "details",
                text_of(vec![None, Some(r#"{"card":"4111111111111111","n":"M\u00fcller"}"#)]),
                true,
            ),
            ("null", text_of(vec![Some("literal"), None]), true),
            ("n", Arc::new(Int64Array::from(vec![1, 2])), true),
        ]);
        without_values(text, &columns.unwrap(), 1)
    }

    #[test]
    fn values_and_their_parts_are_hidden() {
        for (text, expect) in [
            (
                "ValueError: invalid literal: 'alice@example.com'",
                "ValueError: invalid literal: '…'",
            ),
            ("no number: ALICE", "no number: …"),
            ("bad <Bo B>", "bad <…>"),
            ("4111111111111111 is no date", "… is no date"),
            ("the last four are 1111", "the last four are …"),
            ("panicked (src/lib.rs:57:41)", "panicked (src/lib.rs:57:41)"),
            ("bad pan 4111111111111111.", "bad pan …"),
            ("no mailbox for alice@example.com.", "no mailbox for …."),
            ("card_4111111111111111, -4111111111111111", "…, …"),
            ("cannot parse 'Müller'", "cannot parse '…'"),
            ("index 5 of 2", "index 5 of 2"),
            ("…: ü, someone.else", "…: ü, someone.else"),
            ("", ""),
        ] {
            assert_eq!(scrubbed(text), expect);
        }
    }
}
