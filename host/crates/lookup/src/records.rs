//! Finds where the records of a CSV file start, and whether their quotes are closed. The `csv` reader does
//! not count lines that end with CR alone, counts blank lines as part of the next record, and takes
//! everything after an unclosed quote as part of the value: rows would be lost without an error.
//!
//! The bytes pass through here on their way to that reader. Both have the same rules for quotes and line ends.

use std::collections::VecDeque;
use std::io::{self, Read};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A record, and the first fault of its quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record {
    /// The line of its first byte, counted from 1.
    pub(crate) line: u32,
    pub(crate) fault: Option<Fault>,
}

/// A faulty quote, and the line on which it opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    NotClosed { line: u32 },
    TextBehind { line: u32 },
}

/// Passes bytes on and inspects them.
pub(crate) struct Records<R> {
    input: R,
    is_begun: bool,
    state: State,
    line: u32,
    is_behind_cr: bool,
    quote_line: u32,
    /// Records that were not requested yet: at most those of one buffer of the reader, and the one before.
    waiting: VecDeque<Record>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    BeforeRecord,
    BeforeValue,
    InValue,
    InQuotes,
    /// After a quote within quotes: either the first of two, or the closing one.
    AtQuote,
    /// In white space after the closing quote, which is trimmed.
    BehindQuotes,
}

impl<R> Records<R> {
    pub(crate) fn new(input: R) -> Self {
        Self {
            input,
            is_begun: false,
            state: State::BeforeRecord,
            line: 1,
            is_behind_cr: false,
            quote_line: 1,
            waiting: VecDeque::new(),
        }
    }

    /// The next record. Call it when all of it was read.
    pub(crate) fn next_record(&mut self) -> Record {
        self.waiting.pop_front().unwrap_or(Record { line: self.line, fault: None })
    }

    fn inspect(&mut self, byte: u8) {
        use State::{AtQuote, BeforeRecord, BeforeValue, BehindQuotes, InQuotes, InValue};
        let is_end = byte == b'\n' || byte == b'\r';
        if self.state == BeforeRecord && !is_end {
            self.waiting.push_back(Record { line: self.line, fault: None });
        }
        self.state = match (self.state, byte) {
            (InQuotes, b'"') => AtQuote,
            (InQuotes, _) | (AtQuote, b'"') => InQuotes,
            (_, b'\n' | b'\r') => BeforeRecord,
            (_, b',') => BeforeValue,
            (BeforeRecord | BeforeValue, b'"') => {
                self.quote_line = self.line;
                InQuotes
            }
            (AtQuote | BehindQuotes, byte) if byte.is_ascii_whitespace() => BehindQuotes,
            (AtQuote | BehindQuotes, _) => {
                self.note(Fault::TextBehind { line: self.quote_line });
                InValue
            }
            _ => InValue,
        };
        // CR and LF together end one line.
        if is_end && !(byte == b'\n' && self.is_behind_cr) {
            self.line = self.line.saturating_add(1);
        }
        self.is_behind_cr = byte == b'\r';
    }

    fn note(&mut self, fault: Fault) {
        if let Some(record) = self.waiting.back_mut() {
            record.fault.get_or_insert(fault);
        }
    }
}

impl<R: Read> Read for Records<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n_bytes = self.input.read(buffer)?;
        let mut bytes = buffer.get(..n_bytes).unwrap_or_default();
        if n_bytes == 0 && self.state == State::InQuotes {
            self.note(Fault::NotClosed { line: self.quote_line });
        }
        if !self.is_begun {
            bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
            self.is_begun = true;
        }
        for byte in bytes {
            self.inspect(*byte);
        }
        Ok(n_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The records of a text that is read some bytes at a time.
    fn records(text: &str, n_bytes: usize) -> Vec<Record> {
        let mut records = Records::new(text.as_bytes());
        let mut buffer = vec![0; n_bytes];
        while records.read(&mut buffer).unwrap() > 0 {}
        std::iter::from_fn(|| records.waiting.pop_front()).collect()
    }

    fn check(text: &str, lines: &[u32], fault: Option<Fault>) {
        for n_bytes in [3, 4, 4096] {
            let found = records(text, n_bytes);
            let of_records: Vec<u32> = found.iter().map(|record| record.line).collect();
            assert_eq!(of_records, lines, "{text:?}");
            assert_eq!(found.iter().find_map(|record| record.fault), fault, "{text:?}");
        }
    }

    #[test]
    fn a_record_begins_on_the_line_of_its_first_byte() {
        check("", &[], None);
        check("a\nb\nc", &[1, 2, 3], None);
        check("a\r\nb\r\nc\r\n", &[1, 2, 3], None);
        check("a\rb\rc\r", &[1, 2, 3], None);
        check("\n\na\n\n\nb\n\n", &[3, 6], None);
        check("\r\n\r\na\r\n\r\nb", &[3, 5], None);
        check("\r\ra\r\rb", &[3, 5], None);
        check("a\n\r\nb\r\r\nc", &[1, 3, 5], None);
        check("\u{feff}\"a\"\n b\n,\n", &[1, 2, 3], None);
        check("\"a\nb\",\"\r\n\r\"\nc\n", &[1, 5], None);
    }

    #[test]
    fn quotes_are_closed_before_a_value_ends() {
        let not_closed = |line| Some(Fault::NotClosed { line });
        let text_behind = |line| Some(Fault::TextBehind { line });
        check("\"a\"\"b\",\"\" \t,\"\"\"\"\n\"c\"", &[1, 2], None);
        // Within a value a quote is an ordinary character.
        check("a\"b,5\"\n \"c\n", &[1, 2], None);
        check("a,\"b\nc,d\n", &[1], not_closed(1));
        check("a\n\"b\"\"\nc\n", &[1, 2], not_closed(2));
        check("a,\"b\nc\",\"d\n", &[1], not_closed(2));
        check("a\n\"", &[1, 2], not_closed(2));
        check("a,\"b\nc,\"d\"\ne,f\n", &[1, 3], text_behind(1));
        check("\"a\"b\n", &[1], text_behind(1));
        check("\"a\" \"b\"\n", &[1], text_behind(1));
        check("\u{feff}\"a\n", &[1], not_closed(1));
    }
}
