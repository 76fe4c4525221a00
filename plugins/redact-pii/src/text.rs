//! Searches free text and replaces what is found.

use crate::action::{self, Action};
use crate::config::Settings;
use crate::detect::{Finder, Kind, Label, Match, Work};
use crate::escape;
use crate::output::{Origin, Output};
use crate::sql;

/// So many times text may be escaped over: JSON in a JSON string in a JSON string.
const ESCAPE_DEPTH_MAX: usize = 4;

/// Searches text, with buffers that are kept from value to value.
#[derive(Debug)]
pub(crate) struct Searcher<'a> {
    pub(crate) settings: &'a Settings,
    finder: Finder,
    scratch: Vec<u8>,
    /// How much was found, by kind.
    pub(crate) counts: [u64; Kind::COUNT],
    /// How many values exhausted their budget.
    pub(crate) n_exhausted: u64,
}

/// How text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// As it is: a whole value, or the inside of a JSON string without escapes.
    Plain,
    /// As the inside of a JSON string.
    Escaped,
}

/// Writes a value with all that is found in it replaced. Returns whether that changed it; if not,
/// nothing is written.
pub(crate) fn rewrite(searcher: &mut Searcher<'_>, value: &[u8], out: &mut Output<'_>) -> bool {
    searcher.replace_or_redact(value, None, Style::Plain, out)
}

impl<'a> Searcher<'a> {
    pub(crate) fn new(settings: &'a Settings) -> Self {
        let (finder, scratch) = (Finder::default(), Vec::new());
        Self { settings, finder, scratch, counts: [0; Kind::COUNT], n_exhausted: 0 }
    }

    /// Rewrites one value within its budget. `None` if that is exhausted: the value must be replaced as a whole, and what
    /// was written of it discarded.
    pub(crate) fn within_budget<T>(
        &mut self,
        value: &[u8],
        rewrite: impl FnOnce(&mut Self) -> T,
    ) -> Option<T> {
        let counts = self.counts;
        self.finder.work = Work::on(value.len());
        let result = rewrite(self);
        if self.finder.work.is_exhausted() {
            self.counts = counts;
            self.n_exhausted += 1;
            return None;
        }
        Some(result)
    }

    /// The work on the last value.
    #[cfg(test)]
    pub(crate) fn work(&self) -> &Work {
        &self.finder.work
    }

    /// Counts bytes that are looked at outside of the search.
    pub(crate) fn charge(&mut self, n_bytes: usize) {
        self.finder.work.charge(n_bytes);
    }

    /// Writes text with the matches in it replaced. Returns whether there were any; if not, nothing is
    /// written. `label` says what the text is called.
    pub(crate) fn replace(
        &mut self,
        text: &[u8],
        label: Option<Label>,
        style: Style,
        out: &mut Output<'_>,
    ) -> bool {
        self.finder.find(text, label, self.settings.kinds);
        let matches = self.finder.take_matches();
        self.write(matches, text, style, out)
    }

    /// The same, but text is redacted as a whole if escapes hide something in it that is not seen in the text as it is: it
    /// may be cut JSON, or JSON in a string.
    pub(crate) fn replace_or_redact(
        &mut self,
        text: &[u8],
        label: Option<Label>,
        style: Style,
        out: &mut Output<'_>,
    ) -> bool {
        let kinds = self.settings.kinds;
        if kinds.is_empty() || !text.contains(&b'\\') {
            return self.replace(text, label, style, out);
        }
        let rest = self.finder.rest(text, label, kinds);
        let matches = self.finder.take_matches();
        if rest.into_iter().any(|part| self.hides_below(&text[part])) {
            out.literal(action::REDACTED.as_bytes());
            return true;
        }
        self.write(matches, text, style, out)
    }

    fn write(
        &mut self,
        matches: Vec<Match>,
        text: &[u8],
        style: Style,
        out: &mut Output<'_>,
    ) -> bool {
        let is_changed = !matches.is_empty();
        let write = |bytes: &[u8], out: &mut Output<'_>| match style {
            Style::Plain => out.literal(bytes),
            Style::Escaped => out.escaped(bytes),
        };
        let mut copied = 0;
        for found in &matches {
            self.counts[found.kind as usize] += 1;
            write(&text[copied..found.start], out);
            replace_match(found, text, self.settings.text_action, &mut self.scratch, out);
            copied = found.end;
        }
        if is_changed {
            write(&text[copied..], out);
        }
        self.finder.give_back(matches);
        is_changed
    }

    /// Writes a statement without its literals, and with what is found in the rest replaced.
    pub(crate) fn without_literals(&mut self, sql: &[u8], style: Style, out: &mut Output<'_>) {
        // A few bytes are read again: the ends of quotes and comments are looked for first.
        self.charge(4 * sql.len());
        let mut plain = Vec::with_capacity(sql.len());
        sql::rewrite(sql, &mut plain);
        // What stays, as names in backticks do, may be written with escapes.
        if self.replace_or_redact(&plain, None, style, out) {
            return;
        }
        match style {
            Style::Plain => out.literal(&plain),
            Style::Escaped => out.escaped(&plain),
        }
    }

    /// Whether text in which nothing is found holds something once it is unescaped.
    fn hides_below(&mut self, text: &[u8]) -> bool {
        let mut inner = text.to_vec();
        for _ in 0..ESCAPE_DEPTH_MAX {
            if self.finder.work.is_exhausted() {
                return false;
            }
            self.charge(2 * inner.len());
            let mut unescaped = Vec::with_capacity(inner.len());
            escape::unescape(&inner, &mut unescaped);
            if unescaped == inner {
                return false;
            }
            if !self.finder.find(&unescaped, None, self.settings.kinds).is_empty() {
                return true;
            }
            inner = unescaped;
        }
        // More layers than anything honest has.
        inner.contains(&b'\\')
    }
}

/// Writes what stands for a match. None of it needs escapes: masks keep letters, digits and the
/// punctuation of their kind only.
fn replace_match(
    found: &Match,
    text: &[u8],
    action: Action,
    scratch: &mut Vec<u8>,
    out: &mut Output<'_>,
) {
    let value = &text[found.start..found.end];
    scratch.clear();
    let is_written = match action {
        Action::Hash | Action::Token | Action::Encrypt => {
            out.keyed(action, Origin::Column, value);
            return;
        }
        Action::Mask if !found.is_merged => {
            action::mask_match(found.kind, value, scratch);
            true
        }
        Action::Generalise if !found.is_merged && found.kind == Kind::Ip => {
            action::generalise_match(value, &text[found.end..], scratch)
        }
        // The configuration allows no other action for free text.
        _ => false,
    };
    if is_written {
        out.literal(scratch);
    } else {
        out.literal(found.kind.placeholder().as_bytes());
    }
}
