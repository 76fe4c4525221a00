//! The words that a component itself contains: what a plugin says in its own words is no value of an event.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

/// Bytes of the words that are kept. Engines of scripting languages have more; then more is hidden than need be.
const BYTES_MAX: usize = 4 << 20;
/// Characters of a word: shorter ones are never hidden.
const WORD_BYTES_MIN: usize = 4;
/// From so many bytes on, a part of a word counts as one: compilers put texts next to each other.
const PART_BYTES_MIN: usize = 6;
/// Words of which it is remembered whether they are known.
const REMEMBERED_MAX: usize = 4096;

/// Words of a component and of its configuration, in lower case.
#[derive(Default)]
pub(crate) struct Vocabulary {
    /// Each on a line of its own.
    words: String,
    remembered: Mutex<HashMap<String, bool>>,
}

impl Vocabulary {
    pub(crate) fn of(component: &[u8], config: &str) -> Self {
        let mut seen: HashSet<&[u8]> = HashSet::new();
        let mut words = String::new();
        for source in [config.as_bytes(), component] {
            for run in source.split(|byte| !is_of_run(*byte)) {
                let is_word =
                    run.len() >= WORD_BYTES_MIN && run.iter().any(u8::is_ascii_alphabetic);
                if !is_word || words.len() + run.len() > BYTES_MAX || !seen.insert(run) {
                    continue;
                }
                words.push('\n');
                words.extend(run.iter().map(|byte| char::from(byte.to_ascii_lowercase())));
            }
        }
        words.push('\n');
        Self { words, remembered: Mutex::default() }
    }

    /// Whether the component contains a word, which is in lower case.
    pub(crate) fn contains(&self, word: &str) -> bool {
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(is_known) = remembered.get(word) {
            return *is_known;
        }
        let is_known = self.find(word);
        if remembered.len() < REMEMBERED_MAX {
            remembered.insert(word.to_owned(), is_known);
        }
        is_known
    }

    fn find(&self, word: &str) -> bool {
        if word.len() >= PART_BYTES_MIN {
            return self.words.contains(word);
        }
        let is_part = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
        let bytes = self.words.as_bytes();
        self.words.match_indices(word).any(|(at, _)| {
            let before = at.checked_sub(1).and_then(|before| bytes.get(before));
            !is_part(before) && !is_part(bytes.get(at + word.len()))
        })
    }
}

fn is_of_run(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'@' | b'.' | b'_' | b'-' | b'+')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_knows_its_own_words() {
        let component = b"\0\x01too many failed logins\0basisshort-historyT1110.001\xffab\0rows";
        let vocabulary = Vocabulary::of(component, r#"{"table": "Customers"}"#);
        for word in ["failed", "logins", "many", "rows", "short-history", "t1110.001", "customers"]
        {
            assert!(vocabulary.contains(word) && vocabulary.contains(word), "{word}");
        }
        for word in ["alice", "asis", "hist", "ab", "failedx", "4111111111111111"] {
            assert!(!vocabulary.contains(word), "{word}");
        }
        assert!(!Vocabulary::default().contains("failed"));
    }
}
