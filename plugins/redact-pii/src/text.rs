//! Searches free text and replaces what is found.

use crate::action::{self, Action};
use crate::config::Settings;
use crate::detect::{Finder, Kind, Label, Match};
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
    if searcher.is_hiding(value) {
        out.literal(action::REDACTED.as_bytes());
        return true;
    }
    searcher.replace(value, None, Style::Plain, out)
}

impl<'a> Searcher<'a> {
    pub(crate) fn new(settings: &'a Settings) -> Self {
        let (finder, scratch) = (Finder::default(), Vec::new());
        Self { settings, finder, scratch, counts: [0; Kind::COUNT] }
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
        let matches = self.finder.find(text, label, self.settings.kinds);
        if matches.is_empty() {
            return false;
        }
        let write = |bytes: &[u8], out: &mut Output<'_>| match style {
            Style::Plain => out.literal(bytes),
            Style::Escaped => out.escaped(bytes),
        };
        let action = self.settings.text_action;
        let mut copied = 0;
        for found in matches {
            self.counts[found.kind as usize] += 1;
            write(&text[copied..found.start], out);
            replace_match(found, text, action, &mut self.scratch, out);
            copied = found.end;
        }
        write(&text[copied..], out);
        true
    }

    /// Writes a statement without its literals, and with what is found in the rest replaced.
    pub(crate) fn without_literals(&mut self, sql: &[u8], style: Style, out: &mut Output<'_>) {
        let mut plain = Vec::with_capacity(sql.len());
        sql::rewrite(sql, &mut plain);
        // What stays, as names in backticks do, may be written with escapes.
        if self.is_hiding(&plain) {
            out.literal(action::REDACTED.as_bytes());
            return;
        }
        if self.replace(&plain, None, style, out) {
            return;
        }
        match style {
            Style::Plain => out.literal(&plain),
            Style::Escaped => out.escaped(&plain),
        }
    }

    /// Whether escapes hide something that is not seen in the text as it is: the text may be cut
    /// JSON, or JSON in a string.
    pub(crate) fn is_hiding(&mut self, text: &[u8]) -> bool {
        let kinds = self.settings.kinds;
        if kinds.is_empty() || !text.contains(&b'\\') {
            return false;
        }
        let rest = self.finder.rest(text, kinds);
        rest.into_iter().any(|part| self.hides_below(&text[part]))
    }

    /// Whether text in which nothing is found holds something once it is unescaped.
    fn hides_below(&mut self, text: &[u8]) -> bool {
        let mut inner = text.to_vec();
        for _ in 0..ESCAPE_DEPTH_MAX {
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
