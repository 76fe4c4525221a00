//! Rewrites the JSON text of `details` in one pass, without building a document.
//!
//! Text between changes is copied as it is, so a value without findings keeps every byte. Text that is not JSON,
//! or nested too deep, is free text, and is replaced as a whole if a path could apply to it. If a path continues
//! in a string, JSON in that string is walked like the rest.

use std::ops::Range;

use crate::action::{self, Action};
use crate::detect::label::{self, Label};
use crate::detect::{Kind, is_card_written, value, whole_digits};
use crate::escape;
use crate::output::{Mark, Origin, Output};
use crate::path::{Down, Place};
use crate::text::{self, Searcher, Style};

/// The deepest nesting that is followed.
const DEPTH_MAX: usize = 128;

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// What a token costs besides its bytes: a key is compared with known names and with the paths.
const TOKEN_COST: usize = 8;

/// How many levels of JSON strings within JSON are followed. A deeper string is replaced.
const STRINGS_MAX: u32 = 3;

/// Writes a value of `details` with all changes. Returns whether there are any. If not, the caller discards what
/// was written.
pub(crate) fn rewrite(searcher: &mut Searcher<'_>, value: &[u8], out: &mut Output<'_>) -> bool {
    let start = Start { place: searcher.settings.paths.root(), depth: 0, n_strings: 0 };
    match rewrite_json(searcher, value, start, out) {
        Some(is_changed) => is_changed,
        None => searcher.settings.searches_details && text::rewrite(searcher, value, out),
    }
}

/// The start of a document: the whole text, or a string in another document.
#[derive(Debug, Clone, Copy)]
struct Start {
    place: Place,
    /// The number of levels outside of it.
    depth: usize,
    n_strings: u32,
}

/// Writes a document with all changes, or its placeholder. `None` if it is not JSON and no path could apply.
fn rewrite_json(
    searcher: &mut Searcher<'_>,
    text: &[u8],
    start: Start,
    out: &mut Output<'_>,
) -> Option<bool> {
    searcher.charge(text.len());
    let mark = out.mark();
    let mut document = Document::new(searcher, text, start, out);
    if document.walk().is_some() {
        let is_changed = document.copied > 0;
        document.copy_to(text.len());
        return Some(is_changed);
    }
    out.rewind(mark);
    let is_unreadable = is_container(text) && searcher.settings.paths.may_be_in(text);
    is_unreadable.then(|| {
        out.literal(action::REDACTED.as_bytes());
        true
    })
}

/// Whether a text starts like an object or an array, or like a string that holds one. Invisible characters may
/// come before it.
fn is_container(text: &[u8]) -> bool {
    let is_blank =
        |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'' | b'\\' | 0x80..);
    let first = text.iter().find(|byte| !is_blank(byte));
    matches!(first, Some(b'{' | b'['))
}

/// What may come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expect {
    Value,
    ValueOrEnd,
    Key,
    KeyOrEnd,
    CommaOrEnd,
    Nothing,
}

/// An object or array that is open.
#[derive(Debug, Clone, Copy)]
struct Level {
    is_object: bool,
    place: Place,
    /// What the key says about the values in it.
    label: Option<Label>,
    index: u32,
}

/// A pass over one text.
struct Document<'d, 'a, 'o> {
    searcher: &'d mut Searcher<'a>,
    text: &'d [u8],
    out: &'d mut Output<'o>,
    at: usize,
    /// The text before this position is in the output.
    copied: usize,
    levels: Vec<Level>,
    start: Start,
    /// The place of the next value.
    place: Place,
    /// What the key says about the next values.
    label: Option<Label>,
    /// The number of open levels outside a container that is replaced as a whole.
    muted_at: Option<usize>,
}

impl<'d, 'a, 'o> Document<'d, 'a, 'o> {
    fn new(
        searcher: &'d mut Searcher<'a>,
        text: &'d [u8],
        start: Start,
        out: &'d mut Output<'o>,
    ) -> Self {
        // RFC 8259 section 8.1: a byte order mark may be ignored.
        let at = if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
        Self {
            searcher,
            text,
            out,
            at,
            copied: 0,
            levels: Vec::new(),
            start,
            place: start.place,
            label: None,
            muted_at: None,
        }
    }

    /// Walks the whole text. `None` if it is not JSON or nested too deep.
    fn walk(&mut self) -> Option<()> {
        let mut expect = Expect::Value;
        loop {
            while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
                self.at += 1;
            }
            let Some(byte) = self.peek() else {
                return (expect == Expect::Nothing).then_some(());
            };
            self.searcher.charge(TOKEN_COST);
            let is_object = self.levels.last().is_some_and(|level| level.is_object);
            expect = match (expect, byte) {
                (Expect::Value | Expect::ValueOrEnd, b'{' | b'[') => self.open(byte == b'{')?,
                (Expect::Value | Expect::ValueOrEnd, b'"') => self.string()?,
                (Expect::Value | Expect::ValueOrEnd, _) if byte != b']' => self.word()?,
                (Expect::Key | Expect::KeyOrEnd, b'"') => self.key()?,
                (Expect::ValueOrEnd, b']') | (Expect::KeyOrEnd, b'}') => self.close(),
                (Expect::CommaOrEnd, b'}') if is_object => self.close(),
                (Expect::CommaOrEnd, b']') if !is_object => self.close(),
                (Expect::CommaOrEnd, b',') => self.comma(is_object),
                _ => return None,
            };
        }
    }

    fn open(&mut self, is_object: bool) -> Option<Expect> {
        if self.levels.len() == DEPTH_MAX {
            return None;
        }
        if self.muted_at.is_none()
            && let Some(action @ (Action::Redact | Action::Drop)) = self.place.action
        {
            self.copy_to(self.at);
            self.replace_value(action);
            self.muted_at = Some(self.levels.len());
        }
        self.at += 1;
        self.levels.push(Level { is_object, place: self.place, label: self.label, index: 0 });
        if is_object {
            return Some(Expect::KeyOrEnd);
        }
        self.place = self.below(Down::Index(0));
        Some(Expect::ValueOrEnd)
    }

    fn close(&mut self) -> Expect {
        self.at += 1;
        self.levels.pop();
        if self.muted_at == Some(self.levels.len()) {
            self.muted_at = None;
            self.copied = self.at;
        }
        self.after_value()
    }

    fn comma(&mut self, is_object: bool) -> Expect {
        self.at += 1;
        if is_object {
            return Expect::Key;
        }
        if let Some(level) = self.levels.last_mut() {
            level.index = level.index.saturating_add(1);
            let index = level.index;
            self.label = level.label;
            self.place = self.below(Down::Index(index));
        }
        Expect::Value
    }

    fn key(&mut self) -> Option<Expect> {
        let start = self.at;
        let (inside, has_escapes) = self.take_string()?;
        let text = self.text;
        let mut unescaped = Vec::new();
        let name = if has_escapes {
            escape::unescape(&text[inside.clone()], &mut unescaped);
            &unescaped
        } else {
            &text[inside.clone()]
        };
        let outside = self.levels.last().map(|level| level.place).unwrap_or_default();
        self.place = self.below(Down::Key(name));
        match outside.action {
            _ if self.muted_at.is_some() => {}
            // A longer path names a key here, not a value.
            Some(_) if self.place.is_named_below(outside) => {}
            Some(Action::Keep) => {}
            Some(action) => self.act(action, outside.rule, start, name),
            None => self.search(inside, has_escapes, None),
        }
        self.label = label::of_key(name);
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
        if self.peek() != Some(b':') {
            return None;
        }
        self.at += 1;
        Some(Expect::Value)
    }

    fn string(&mut self) -> Option<Expect> {
        let start = self.at;
        let (inside, has_escapes) = self.take_string()?;
        let place = self.place;
        // If the whole string is replaced, it need not be parsed.
        let is_whole = matches!(place.action, Some(Action::Redact | Action::Drop));
        let is_open = place.goes_on() && !is_whole && self.muted_at.is_none();
        if is_open && self.document_in(start, &inside) {
            return Some(self.after_value());
        }
        match place.action {
            _ if self.muted_at.is_some() => {}
            None => self.search(inside, has_escapes, self.label),
            Some(Action::Keep) => {}
            Some(action) => {
                let mut value = Vec::new();
                escape::unescape(&self.text[inside], &mut value);
                self.act(action, place.rule, start, &value);
            }
        }
        Some(self.after_value())
    }

    /// Walks a string that ends here as a document of its own, because paths continue in it. `false` if it does
    /// not start like one.
    fn document_in(&mut self, start: usize, inside: &Range<usize>) -> bool {
        let mut inner = Vec::new();
        self.searcher.charge(inside.len());
        escape::unescape(&self.text[inside.clone()], &mut inner);
        let is_document = is_container(&inner) || inner.trim_ascii_start().starts_with(b"\"");
        if !is_document {
            return false;
        }
        if self.start.n_strings == STRINGS_MAX {
            self.copy_to(start);
            self.replace_value(Action::Redact);
            self.copied = self.at;
            return true;
        }
        let below = Start {
            place: self.place,
            depth: self.start.depth + self.levels.len(),
            n_strings: self.start.n_strings + 1,
        };
        let mark = self.out.mark();
        self.out.open_string();
        let written = rewrite_json(self.searcher, &inner, below, self.out);
        self.out.close_string();
        self.keep_or_rewind(written == Some(true), mark, start, self.at);
        // A document without changes was searched. Text that is not a document was not.
        written.is_some()
    }

    /// A number, `true`, `false` or `null`.
    fn word(&mut self) -> Option<Expect> {
        let start = self.at;
        let is_part =
            |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        let text = self.text;
        self.at += text[start..].iter().take_while(|byte| is_part(byte)).count();
        let word = &text[start..self.at];
        let is_null = word == b"null";
        let is_number = is_number(word);
        if !is_number && !is_null && !matches!(word, b"true" | b"false") {
            return None;
        }
        match self.place.action {
            _ if self.muted_at.is_some() || is_null => {}
            None if is_number => self.search_number(start),
            None | Some(Action::Keep) => {}
            Some(action) => self.act(action, self.place.rule, start, word),
        }
        Some(self.after_value())
    }

    /// Replaces the value or key that starts at a position and ends here, by the action of a path.
    fn act(&mut self, action: Action, rule: usize, start: usize, value: &[u8]) {
        self.copy_to(start);
        match action {
            Action::Mask => {
                let mut masked = Vec::new();
                action::mask(value, &mut masked);
                self.out.literal(b"\"");
                self.out.escaped(&masked);
                self.out.literal(b"\"");
            }
            Action::Generalise => {
                let mut network = Vec::new();
                action::generalise(value, &mut network);
                self.out.literal(b"\"");
                self.out.literal(&network);
                self.out.literal(b"\"");
            }
            Action::SqlLiterals => {
                self.out.literal(b"\"");
                self.searcher.without_literals(value, Style::Escaped, self.out);
                self.out.literal(b"\"");
            }
            Action::Hash | Action::Token | Action::Encrypt => {
                self.out.literal(b"\"");
                self.out.keyed(action, Origin::Path(rule), value);
                self.out.literal(b"\"");
            }
            Action::Redact | Action::Drop | Action::Keep => self.replace_value(action),
        }
        self.copied = self.at;
    }

    fn replace_value(&mut self, action: Action) {
        if action == Action::Drop {
            self.out.literal(b"null");
        } else {
            self.out.literal(b"\"");
            self.out.literal(action::REDACTED.as_bytes());
            self.out.literal(b"\"");
        }
    }

    /// Searches the inside of a string and replaces what is found.
    fn search(&mut self, inside: Range<usize>, has_escapes: bool, label: Option<Label>) {
        if self.muted_at.is_some() || !self.searcher.settings.searches_details {
            return;
        }
        let text = self.text;
        let string = &text[inside.clone()];
        let mark = self.out.mark();
        let is_changed = if has_escapes {
            self.searcher.charge(string.len());
            let mut unescaped = Vec::new();
            escape::unescape(string, &mut unescaped);
            self.searcher.replace_or_redact(&unescaped, label, Style::Escaped, self.out)
        } else {
            self.searcher.replace(string, label, Style::Plain, self.out)
        };
        self.keep_or_rewind(is_changed, mark, inside.start, inside.end);
    }

    /// Keeps what was written since a mark for a part of the text, with the text before it, or discards it. Only what is
    /// kept costs a copy of the text before it, which may be long.
    fn keep_or_rewind(&mut self, is_changed: bool, mark: Mark, start: usize, end: usize) {
        if is_changed {
            self.out.insert(mark, &self.text[self.copied..start]);
            self.copied = end;
        } else {
            self.out.rewind(mark);
        }
    }

    /// Searches the digits of a number: a card number may be a JSON number, and others if the key says so.
    fn search_number(&mut self, start: usize) {
        let settings = self.searcher.settings;
        let number = &self.text[start..self.at];
        if !settings.searches_details {
            return;
        }
        let mut digits = whole_digits(number);
        let is_card = settings.kinds.has(Kind::Card) && is_card_written(number, &digits);
        let named = self.label.and_then(|label| value::of_number(label, &digits));
        let named = named.filter(|(kind, _)| settings.kinds.has(*kind));
        if !is_card && named.is_none() {
            return;
        }
        if let Some((_, n_digits)) = named {
            digits.splice(..0, std::iter::repeat_n(b'0', n_digits - digits.len()));
        }
        let mark = self.out.mark();
        self.out.literal(b"\"");
        let is_changed = self.searcher.replace(&digits, self.label, Style::Plain, self.out);
        self.out.literal(b"\"");
        self.keep_or_rewind(is_changed, mark, start, self.at);
    }

    /// Consumes a string. Returns the range of its content and whether it has escapes.
    fn take_string(&mut self) -> Option<(Range<usize>, bool)> {
        let start = self.at + 1;
        let mut at = start;
        let mut has_escapes = false;
        loop {
            match *self.text.get(at)? {
                b'"' => break,
                b'\\' => {
                    has_escapes = true;
                    at += escape_length(&self.text[at..])?;
                }
                // Control characters must be escaped.
                0..0x20 => return None,
                _ => at += 1,
            }
        }
        self.at = at + 1;
        Some((start..at, has_escapes))
    }

    fn below(&self, down: Down<'_>) -> Place {
        let depth = self.start.depth + self.levels.len().saturating_sub(1);
        let level = self.levels.last().map(|level| level.place).unwrap_or_default();
        self.searcher.settings.paths.down(level, depth, down)
    }

    fn copy_to(&mut self, end: usize) {
        if self.muted_at.is_none() {
            self.out.literal(&self.text[self.copied..end]);
            self.copied = end;
        }
    }

    fn after_value(&self) -> Expect {
        if self.levels.is_empty() { Expect::Nothing } else { Expect::CommaOrEnd }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }
}

/// The length of the escape at the start of a text. `None` if there is none.
fn escape_length(text: &[u8]) -> Option<usize> {
    match text.get(1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(2),
        b'u' => {
            let digits = text.get(2..6)?;
            digits.iter().all(u8::is_ascii_hexdigit).then_some(6)
        }
        _ => None,
    }
}

/// Whether a word is a number, RFC 8259 section 6.
fn is_number(word: &[u8]) -> bool {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let word = word.strip_prefix(b"-").unwrap_or(word);
    let n_whole = digits(word);
    if n_whole == 0 || (n_whole > 1 && word[0] == b'0') {
        return false;
    }
    let mut rest = &word[n_whole..];
    if let [b'.', fraction @ ..] = rest {
        let n_fraction = digits(fraction);
        if n_fraction == 0 {
            return false;
        }
        rest = &fraction[n_fraction..];
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let exponent =
            exponent.strip_prefix(b"+").or_else(|| exponent.strip_prefix(b"-")).unwrap_or(exponent);
        return !exponent.is_empty() && digits(exponent) == exponent.len();
    }
    rest.is_empty()
}
