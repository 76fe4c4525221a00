//! How a value that a flag or a variable gives lies over that of the file.

use std::collections::BTreeMap;

use clap::ArgMatches;

/// The type of a setting that flags may give over the file.
pub(crate) trait Layer: Default {
    fn given(id: &str, matches: &mut ArgMatches) -> Self;
    fn over(self, file: Self) -> Self;
}

impl<T: Clone + Send + Sync + 'static> Layer for Option<T> {
    fn given(id: &str, matches: &mut ArgMatches) -> Self {
        matches.remove_one(id)
    }

    fn over(self, file: Self) -> Self {
        self.or(file)
    }
}

impl Layer for Vec<String> {
    fn given(id: &str, matches: &mut ArgMatches) -> Self {
        matches.remove_many(id).map(Iterator::collect).unwrap_or_default()
    }

    fn over(self, file: Self) -> Self {
        if self.is_empty() { file } else { self }
    }
}

impl Layer for bool {
    fn given(id: &str, matches: &mut ArgMatches) -> Self {
        matches.remove_one(id).unwrap_or_default()
    }

    fn over(self, file: Self) -> Self {
        self || file
    }
}

/// Only the file has maps. A flag that adds to one is read by itself, as it can be malformed.
impl Layer for BTreeMap<String, String> {
    fn given(_: &str, _: &mut ArgMatches) -> Self {
        Self::new()
    }

    fn over(self, mut file: Self) -> Self {
        file.extend(self);
        file
    }
}
