//! Reads JSON from left to right, strictly by RFC 8259, and rejects lone surrogates as well.
//!
//! Never recurses: a record decides how deep it is nested, and must not decide how much stack is used.
//! No `unsafe`: the record is a checked `&str`, and text is cut out of it at quotes and backslashes,
//! which are always character boundaries.

use crate::fault::{Fault, What};

/// Levels of objects and arrays, the event itself included. Producers stay under 20; the number is the limit of
/// other JSON readers in such a pipeline.
pub(crate) const NESTING_MAX: usize = 512;

/// A string's text: a slice of the record or, if it had escapes, of the scratch buffer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Text<'a> {
    Plain(&'a str),
    Unescaped { start: usize, end: usize },
}

pub(crate) struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    pos: usize,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, bytes: text.as_bytes(), pos: 0 }
    }

    pub(crate) fn pos(&self) -> usize {
        self.pos
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.pos).copied()
    }

    /// The next `N` bytes, if there are as many.
    pub(crate) fn window<const N: usize>(&self) -> Option<&'a [u8; N]> {
        self.bytes.get(self.pos..)?.first_chunk()
    }

    pub(crate) fn advance(&mut self, n_bytes: usize) {
        self.pos += n_bytes;
    }

    /// The record's text from `start` to the position of the scanner.
    pub(crate) fn since(&self, start: usize) -> &'a str {
        self.slice(start, self.pos)
    }

    #[inline]
    pub(crate) fn skip_whitespace(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.pos += 1;
        }
    }

    /// Skips the white space on both sides of a colon, and the colon.
    #[inline]
    pub(crate) fn colon(&mut self) -> Result<(), Fault> {
        self.skip_whitespace();
        match self.peek() {
            Some(b':') => self.pos += 1,
            Some(_) => return Err(What::NoColon.at(self.pos)),
            None => return Err(What::EndsEarly.at(self.pos)),
        }
        self.skip_whitespace();
        Ok(())
    }

    /// Reads a string; the scanner is after its opening quote.
    #[inline]
    pub(crate) fn string(&mut self, scratch: &mut String) -> Result<Text<'a>, Fault> {
        match self.plain_string() {
            Some(text) => Ok(Text::Plain(text)),
            None => self.unescape(scratch),
        }
    }

    /// Reads a string without escapes. `None`: it has escapes or a fault, and nothing was read.
    #[inline]
    fn plain_string(&mut self) -> Option<&'a str> {
        let stop = find_special(self.bytes, self.pos);
        if self.bytes.get(stop) != Some(&b'"') {
            return None;
        }
        let text = self.text.get(self.pos..stop)?;
        self.pos = stop + 1;
        Some(text)
    }

    #[inline(never)]
    fn unescape(&mut self, scratch: &mut String) -> Result<Text<'a>, Fault> {
        let from = scratch.len();
        loop {
            let start = self.pos;
            let stop = self.run()?;
            scratch.push_str(self.slice(start, self.pos - 1));
            if stop == b'"' {
                return Ok(Text::Unescaped { start: from, end: scratch.len() });
            }
            scratch.push(self.escape()?);
        }
    }

    /// Checks and skips any value. `depth` is the number of objects and arrays around it.
    pub(crate) fn skip_value(&mut self, depth: usize) -> Result<(), Fault> {
        let mut nesting = Nesting::inside(depth);
        loop {
            self.skip_whitespace();
            let Some(byte) = self.peek() else { return Err(What::EndsEarly.at(self.pos)) };
            match byte {
                b'"' => {
                    self.pos += 1;
                    self.skip_string()?;
                }
                b'{' => {
                    nesting.open(Level::Object, self.pos)?;
                    self.pos += 1;
                    self.skip_whitespace();
                    if self.peek() != Some(b'}') {
                        self.skip_key()?;
                        continue;
                    }
                }
                b'[' => {
                    nesting.open(Level::Array, self.pos)?;
                    self.pos += 1;
                    self.skip_whitespace();
                    if self.peek() != Some(b']') {
                        continue;
                    }
                }
                b'-' | b'0'..=b'9' => self.skip_number()?,
                b't' => self.literal("true")?,
                b'f' => self.literal("false")?,
                b'n' => self.literal("null")?,
                _ => return Err(What::NoValue.at(self.pos)),
            }
            if self.close(&mut nesting)? {
                return Ok(());
            }
        }
    }

    /// Skips `word`, the only literal that can begin here.
    pub(crate) fn literal(&mut self, word: &str) -> Result<(), Fault> {
        let rest = self.bytes.get(self.pos..).unwrap_or_default();
        if rest.starts_with(word.as_bytes()) {
            self.pos += word.len();
            Ok(())
        } else {
            Err(What::BadLiteral.at(self.pos))
        }
    }

    /// Closes the levels that end here. True: the outermost value is complete. False: another value follows.
    fn close(&mut self, nesting: &mut Nesting) -> Result<bool, Fault> {
        while let Some(level) = nesting.innermost() {
            self.skip_whitespace();
            match (level, self.peek()) {
                (Level::Object, Some(b'}')) | (Level::Array, Some(b']')) => {
                    self.pos += 1;
                    nesting.close();
                }
                (Level::Object, Some(b',')) => {
                    self.pos += 1;
                    self.skip_whitespace();
                    self.skip_key()?;
                    return Ok(false);
                }
                (Level::Array, Some(b',')) => {
                    self.pos += 1;
                    return Ok(false);
                }
                (_, None) => return Err(What::EndsEarly.at(self.pos)),
                (Level::Object, _) => return Err(What::NoCommaOrBrace.at(self.pos)),
                (Level::Array, _) => return Err(What::NoCommaOrBracket.at(self.pos)),
            }
        }
        Ok(true)
    }

    fn skip_key(&mut self) -> Result<(), Fault> {
        match self.peek() {
            Some(b'"') => self.pos += 1,
            Some(_) => return Err(What::NoKey.at(self.pos)),
            None => return Err(What::EndsEarly.at(self.pos)),
        }
        self.skip_string()?;
        self.colon()
    }

    fn skip_string(&mut self) -> Result<(), Fault> {
        while self.run()? != b'"' {
            self.escape()?;
        }
        Ok(())
    }

    fn skip_number(&mut self) -> Result<(), Fault> {
        let start = self.pos;
        if self.peek() == Some(b'-') {
            self.pos += 1;
        }
        let zero = self.peek() == Some(b'0');
        let n_digits = self.digits();
        if n_digits == 0 {
            return Err(What::BadNumber.at(start));
        }
        if zero && n_digits > 1 {
            return Err(What::LeadingZero.at(start));
        }
        if self.peek() == Some(b'.') {
            self.pos += 1;
            if self.digits() == 0 {
                return Err(What::BadNumber.at(start));
            }
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.pos += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.pos += 1;
            }
            if self.digits() == 0 {
                return Err(What::BadNumber.at(start));
            }
        }
        Ok(())
    }

    fn digits(&mut self) -> usize {
        let start = self.pos;
        while let Some(b'0'..=b'9') = self.peek() {
            self.pos += 1;
        }
        self.pos - start
    }

    /// Skips past the next quote or backslash of a string, and returns it.
    #[inline]
    fn run(&mut self) -> Result<u8, Fault> {
        let stop = find_special(self.bytes, self.pos);
        match self.bytes.get(stop) {
            Some(&byte) if byte >= b' ' => {
                self.pos = stop + 1;
                Ok(byte)
            }
            Some(_) => Err(What::ControlCharacter.at(stop)),
            None => Err(What::OpenString.at(stop)),
        }
    }

    /// The character of an escape; the scanner is after the backslash.
    #[inline]
    fn escape(&mut self) -> Result<char, Fault> {
        let at = self.pos - 1;
        let Some(byte) = self.peek() else { return Err(What::OpenString.at(self.pos)) };
        self.pos += 1;
        match byte {
            b'"' | b'\\' | b'/' => Ok(char::from(byte)),
            b'n' => Ok('\n'),
            b't' => Ok('\t'),
            b'r' => Ok('\r'),
            b'b' => Ok('\u{8}'),
            b'f' => Ok('\u{c}'),
            b'u' => self.unicode_escape(at),
            _ => Err(What::BadEscape.at(at)),
        }
    }

    fn unicode_escape(&mut self, at: usize) -> Result<char, Fault> {
        let high = self.hex_digits(at)?;
        if let Some(character) = char::from_u32(high) {
            return Ok(character);
        }
        // Only surrogates are not characters; only a high one followed by a low one makes a character.
        if high >= 0xDC00 || self.window() != Some(b"\\u") {
            return Err(What::LoneSurrogate.at(at));
        }
        let low_at = self.pos;
        self.pos += 2;
        let low = self.hex_digits(low_at)?;
        if !(0xDC00..=0xDFFF).contains(&low) {
            return Err(What::LoneSurrogate.at(at));
        }
        let code = 0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00);
        char::from_u32(code).ok_or(What::LoneSurrogate.at(at))
    }

    fn hex_digits(&mut self, at: usize) -> Result<u32, Fault> {
        let digits = self.window::<4>().ok_or(What::BadHexEscape.at(at))?;
        let mut code = 0;
        for &byte in digits {
            let digit = char::from(byte).to_digit(16).ok_or(What::BadHexEscape.at(at))?;
            code = code * 16 + digit;
        }
        self.pos += 4;
        Ok(code)
    }

    #[inline]
    fn slice(&self, start: usize, end: usize) -> &'a str {
        self.text.get(start..end).expect("the scanner stops at ASCII bytes only")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Object,
    Array,
}

/// Which of the open levels are objects, one bit each.
struct Nesting {
    objects: [u64; NESTING_MAX / 64],
    outside: usize,
    depth: usize,
}

impl Nesting {
    fn inside(depth: usize) -> Self {
        Self { objects: [0; NESTING_MAX / 64], outside: depth, depth }
    }

    fn open(&mut self, level: Level, at: usize) -> Result<(), Fault> {
        let word = self.objects.get_mut(self.depth / 64).ok_or(What::TooDeep.at(at))?;
        let bit = 1 << (self.depth % 64);
        match level {
            Level::Object => *word |= bit,
            Level::Array => *word &= !bit,
        }
        self.depth += 1;
        Ok(())
    }

    fn close(&mut self) {
        self.depth -= 1;
    }

    fn innermost(&self) -> Option<Level> {
        if self.depth == self.outside {
            return None;
        }
        let top = self.depth - 1;
        let word = self.objects.get(top / 64)?;
        Some(if word & (1 << (top % 64)) == 0 { Level::Array } else { Level::Object })
    }
}

/// The place of the first quote, backslash or control character from `from` on; the length of `bytes`
/// or more if there is none.
#[inline]
fn find_special(bytes: &[u8], from: usize) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    let (words, _) = rest.as_chunks::<8>();
    let mut pos = from;
    for word in words {
        let mask = special(u64::from_le_bytes(*word));
        if mask != 0 {
            return pos + (mask.trailing_zeros() / 8) as usize;
        }
        pos += 8;
    }
    find_special_slowly(bytes, pos)
}

/// The same, byte by byte: for the last seven bytes of a record.
#[cold]
fn find_special_slowly(bytes: &[u8], from: usize) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    let is_special = |byte: &u8| *byte < b' ' || *byte == b'"' || *byte == b'\\';
    from + rest.iter().position(is_special).unwrap_or(rest.len())
}

/// Eight bytes at once: the lowest bit that is set is in the first special byte. Subtracting from
/// a byte that is smaller sets its top bit; the borrow can set wrong bits, but only above the first.
#[inline]
fn special(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = 0x8080_8080_8080_8080;
    // Exclusive-or with 2 moves the quote next to the control characters, and the space out of its way.
    const QUOTE_MOVER: u64 = ONES * 0x02;
    const BELOW: u64 = ONES * 0x21;
    const BACKSLASHES: u64 = ONES * b'\\' as u64;
    let is_quote_or_control = (word ^ QUOTE_MOVER).wrapping_sub(BELOW);
    let is_backslash = (word ^ BACKSLASHES).wrapping_sub(ONES);
    (is_quote_or_control | is_backslash) & !word & TOPS
}
