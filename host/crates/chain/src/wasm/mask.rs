//! Hides values of events in what a guest says: in log lines, alerts, reasons, faults and errors.
//!
//! The contract forbids guests to repeat values. This holds those that do it all the same, by mistake or plainly. It
//! cannot hold one that spells a value, encodes it or cuts it up: which columns a plugin reads decides what it knows.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder};
use arrow::array::AsArray as _;
use arrow::record_batch::RecordBatch;

use crate::wasm::vocabulary::Vocabulary;

/// What replaces a value.
pub(crate) const HIDDEN: &str = "…";
/// Characters of a word that is looked for: shorter ones occur in any batch.
const WORD_CHARS_MIN: usize = 4;
/// Digits of a number that is looked for: shorter ones are counts, ports and years.
const DIGITS_MIN: usize = 9;
/// The same for numbers with at least two separators, such as addresses and dates.
const SEPARATED_DIGITS_MIN: usize = 4;
/// Words that are looked for at once. Texts with more are hidden as a whole.
const WORDS_MAX: usize = 2000;

/// Values that must not be repeated, and the plugin's own words, which may.
#[derive(Clone, Default)]
pub(crate) struct Values {
    columns: Option<RecordBatch>,
    state: Option<Arc<[u8]>>,
    vocabulary: Arc<Vocabulary>,
}

impl Values {
    /// The values of a batch.
    pub(crate) fn of_batch(columns: &RecordBatch, vocabulary: &Arc<Vocabulary>) -> Self {
        let vocabulary = Arc::clone(vocabulary);
        Self { columns: Some(columns.clone()), state: None, vocabulary }
    }

    /// The values that a state holds as text.
    pub(crate) fn of_state(state: &Arc<[u8]>, vocabulary: &Arc<Vocabulary>) -> Self {
        let vocabulary = Arc::clone(vocabulary);
        Self { columns: None, state: Some(Arc::clone(state)), vocabulary }
    }

    /// With those of a batch, too.
    pub(crate) fn and_batch(self, columns: Option<&RecordBatch>) -> Self {
        Self { columns: columns.cloned(), ..self }
    }

    /// A text without values.
    pub(crate) fn hide(&self, text: &str) -> String {
        let mut text = text.to_owned();
        self.hide_in(&mut [(&mut text, &HashSet::new())]);
        text
    }

    /// Hides values in texts; the words of each second set may stay in its text.
    pub(crate) fn hide_in(&self, texts: &mut [(&mut String, &HashSet<String>)]) {
        if self.columns.is_none() && self.state.is_none() {
            return;
        }
        let mut places: HashMap<String, Vec<(usize, Range<usize>)>> = HashMap::new();
        for (idx, (text, allowed)) in texts.iter().enumerate() {
            for (word, range) in words(text) {
                if !allowed.contains(&word) && self.may_be_value(&word) {
                    places.entry(word).or_default().push((idx, range));
                }
            }
        }
        if places.is_empty() {
            return;
        }
        let Some(found) = self.found(&places) else {
            for (text, _) in texts.iter_mut() {
                HIDDEN.clone_into(text);
            }
            return;
        };
        let mut ranges: Vec<Vec<Range<usize>>> = vec![Vec::new(); texts.len()];
        for (idx, range) in
            places.into_iter().filter(|(word, _)| found.contains(word)).flat_map(|(_, at)| at)
        {
            if let Some(of_text) = ranges.get_mut(idx) {
                of_text.push(range);
            }
        }
        for ((text, _), ranges) in texts.iter_mut().zip(ranges) {
            if !ranges.is_empty() {
                **text = without(text, ranges);
            }
        }
    }

    /// Whether a word is worth looking for.
    fn may_be_value(&self, word: &str) -> bool {
        if word.chars().any(char::is_alphabetic) {
            return word.chars().nth(WORD_CHARS_MIN - 1).is_some()
                && !self.vocabulary.contains(word);
        }
        let n_digits = word.chars().filter(char::is_ascii_digit).count();
        let n_separators = word.chars().filter(|c| is_separator(*c)).count();
        n_digits >= DIGITS_MIN || (n_digits >= SEPARATED_DIGITS_MIN && n_separators >= 2)
    }

    /// The words that are part of a value; `None` if they are too many to look for.
    fn found<T>(&self, words: &HashMap<String, T>) -> Option<HashSet<String>> {
        if words.len() > WORDS_MAX {
            return None;
        }
        let mut patterns: Vec<(String, &String)> = Vec::new();
        for word in words.keys() {
            patterns.push((word.clone(), word));
            if !word.is_ascii() {
                // As JSON may write it.
                patterns.push((escaped(word), word));
                patterns.push((word.to_uppercase(), word));
                patterns.push((capitalized(word), word));
            }
        }
        let finder = finder(patterns.iter().map(|(pattern, _)| pattern))?;
        let mut found = HashSet::new();
        for haystack in self.haystacks() {
            for hit in finder.find_overlapping_iter(haystack) {
                if let Some((_, word)) = patterns.get(hit.pattern().as_usize()) {
                    found.insert((*word).clone());
                }
            }
        }
        Some(found)
    }

    /// Every text of the batch and of the state. The values of a column lie in one piece.
    fn haystacks(&self) -> impl Iterator<Item = &[u8]> {
        let columns = self.columns.iter().flat_map(RecordBatch::columns);
        let texts = columns.filter_map(|column| {
            let column = column.as_string_opt::<i32>()?;
            let (first, last) = (column.value_offsets().first()?, column.value_offsets().last()?);
            let range = usize::try_from(*first).ok()?..usize::try_from(*last).ok()?;
            column.value_data().get(range)
        });
        texts.chain(self.state.as_deref())
    }
}

/// The words of a text and of the fields that may stay in it, in lower case.
pub(crate) fn words_of<'a>(texts: impl IntoIterator<Item = &'a String>) -> HashSet<String> {
    texts.into_iter().flat_map(|text| words(text)).map(|(word, _)| word).collect()
}

/// The words of a text in lower case, and the parts between their separators; each with the place of the whole word.
fn words(text: &str) -> Vec<(String, Range<usize>)> {
    let mut found = Vec::new();
    let mut at = 0;
    for piece in text.split_inclusive(|c| !is_of_word(c)) {
        let start = at;
        at += piece.len();
        let word = piece.trim_matches(|c| !is_of_word(c) || is_separator(c));
        let Some(offset) = piece.find(word).filter(|_| !word.is_empty()) else { continue };
        let range = start + offset..start + offset + word.len();
        found.push((word.to_lowercase(), range.clone()));
        if word.contains(is_separator) {
            let parts = word.split(is_separator).filter(|part| !part.is_empty());
            found.extend(parts.map(|part| (part.to_lowercase(), range.clone())));
        }
    }
    found
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || is_separator(c)
}

/// Characters that occur within words, addresses and numbers, and after them.
fn is_separator(c: char) -> bool {
    matches!(c, '@' | '.' | '_' | '-' | '+' | ':' | '%')
}

/// Finds every pattern, also within others. `None` if that takes too much memory.
fn finder<'a>(patterns: impl Iterator<Item = &'a String>) -> Option<AhoCorasick> {
    AhoCorasickBuilder::new().ascii_case_insensitive(true).build(patterns).ok()
}

/// With JSON's `\u` escapes for what is not ASCII.
fn escaped(word: &str) -> String {
    let mut text = String::with_capacity(word.len());
    for c in word.chars() {
        if c.is_ascii() {
            text.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            // Writing to a string does not fail.
            let _ = write!(text, "\\u{unit:04x}");
        }
    }
    text
}

fn capitalized(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// The text with each range replaced.
fn without(text: &str, mut ranges: Vec<Range<usize>>) -> String {
    ranges.sort_by_key(|range| (range.start, std::cmp::Reverse(range.end)));
    let mut kept = String::with_capacity(text.len());
    let mut at = 0;
    for range in ranges {
        if range.start < at {
            continue;
        }
        kept.push_str(text.get(at..range.start).unwrap_or_default());
        kept.push_str(HIDDEN);
        at = range.end;
    }
    kept.push_str(text.get(at..).unwrap_or_default());
    kept
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array, StringArray};

    use super::*;

    fn columns() -> RecordBatch {
        let text_of = |values: Vec<Option<&str>>| Arc::new(StringArray::from(values)) as ArrayRef;
        let all = RecordBatch::try_from_iter_with_nullable([
            (
                "user",
                text_of(vec![Some("cut.off"), Some("Alice@example.com"), Some("bob"), None]),
                true,
            ),
            (
                "details",
                text_of(vec![
                    None,
                    Some(r#"{"card":"4111111111111111","rows":1200,"n":"M\u00fcller"}"#),
                    Some(r#"{"ssn":"123-45-6789","failed":"Jörg","at":"2001:db8::17"}"#),
                    Some("10.1.2.3"),
                ]),
                true,
            ),
            ("n", Arc::new(Int64Array::from(vec![1, 2, 3, 4])), true),
        ]);
        all.unwrap().slice(1, 3)
    }

    fn hidden(text: &str) -> String {
        let vocabulary = Arc::new(Vocabulary::of(b"too many failed logins, rows, card", ""));
        Values::of_batch(&columns(), &vocabulary).hide(text)
    }

    #[test]
    fn values_of_any_row_are_hidden() {
        for (text, expected) in [
            ("it was alice@example.com.", "it was …."),
            ("it was ALICE", "it was …"),
            ("card=4111111111111111; 123-45-6789", "card=…; …"),
            ("card 1111111111111", "card …"),
            ("from 10.1.2.3, 2001:db8::17", "from …, …"),
            ("Müller, müller and Jörg", "…, … and …"),
            // The plugin's own words, counts, and what no event of the batch holds.
            ("too many failed logins: 1200 rows", "too many failed logins: 1200 rows"),
            ("panicked (src/lib.rs:57:41)", "panicked (src/lib.rs:57:41)"),
            ("bob has 2001", "bob has 2001"),
            ("cut.off", "cut.off"),
            ("", ""),
        ] {
            assert_eq!(hidden(text), expected);
        }
    }

    #[test]
    fn words_of_the_key_may_stay() {
        let values = Values::of_batch(&columns(), &Arc::default());
        let allowed = words_of([&"alice@example.com".to_owned()]);
        let (mut first, mut second) =
            ("Alice@example.com 10.1.2.3".to_owned(), "alice@example.com".to_owned());
        values.hide_in(&mut [(&mut first, &allowed), (&mut second, &HashSet::new())]);
        assert_eq!((first.as_str(), second.as_str()), ("Alice@example.com …", "…"));
    }

    #[test]
    fn a_state_has_values_too() {
        let state: Arc<[u8]> = b"\x05alice@example.com\x01".as_slice().into();
        let values = Values::of_state(&state, &Arc::default());
        assert_eq!(values.hide("no alice@example.com"), "no …");
        assert_eq!(Values::default().hide("no alice@example.com"), "no alice@example.com");
    }

    #[test]
    fn texts_with_too_many_words_are_hidden_as_a_whole() {
        let many: Vec<String> = (0..=WORDS_MAX).map(|idx| format!("word{idx}")).collect();
        assert_eq!(hidden(&many.join(" ")), HIDDEN);
        assert_eq!(hidden(&many[1..].join(" ")), many[1..].join(" "));
    }
}
