//! Searches free text and replaces what is found.

use crate::action::{self, Action};
use crate::config::Settings;
use crate::detect::{Finder, Match};
use crate::escape;
use crate::output::Output;

/// So many times text may be escaped over: JSON in a JSON string in a JSON string.
const ESCAPE_DEPTH_MAX: usize = 4;

/// Searches text, with buffers that are kept from value to value.
#[derive(Debug)]
pub(crate) struct Searcher<'a> {
    pub(crate) settings: &'a Settings,
    finder: Finder,
    scratch: Vec<u8>,
}

/// How text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// As it is: a whole value, or the inside of a JSON string without escapes.
    Plain,
    /// As the inside of a JSON string.
    Escaped,
}

/// Writes a value with all that is found in it replaced. Gives whether that changed it; if not,
/// nothing is written.
pub(crate) fn rewrite(searcher: &mut Searcher<'_>, value: &[u8], out: &mut Output<'_>) -> bool {
    if searcher.is_hiding(value) {
        out.literal(action::REDACTED.as_bytes());
        return true;
    }
    searcher.replace(value, Style::Plain, out)
}

impl<'a> Searcher<'a> {
    pub(crate) fn new(settings: &'a Settings) -> Self {
        Self { settings, finder: Finder::default(), scratch: Vec::new() }
    }

    /// Writes text with the matches in it replaced. Gives whether there were any; if not, nothing is
    /// written.
    pub(crate) fn replace(&mut self, text: &[u8], style: Style, out: &mut Output<'_>) -> bool {
        let matches = self.finder.find(text, self.settings.kinds);
        if matches.is_empty() {
            return false;
        }
        let write = |bytes: &[u8], out: &mut Output<'_>| match style {
            Style::Plain => out.literal(bytes),
            Style::Escaped => out.escaped(bytes),
        };
        let mut copied = 0;
        for found in matches {
            write(&text[copied..found.start], out);
            replace_match(
                found,
                &text[found.start..found.end],
                self.settings.text_action,
                &mut self.scratch,
                out,
            );
            copied = found.end;
        }
        write(&text[copied..], out);
        true
    }

    /// Whether escapes hide something that is not seen in the text as it stands: the text may be cut
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
            if !self.finder.find(&unescaped, self.settings.kinds).is_empty() {
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
    match action {
        Action::Hash => out.hash(text),
        Action::Mask if !found.is_merged => {
            scratch.clear();
            action::mask_match(found.kind, text, scratch);
            out.literal(scratch);
        }
        // The configuration allows no other action for free text.
        _ => out.literal(found.kind.placeholder().as_bytes()),
    }
}
