//! Where the records of a CSV file begin, and whether their quotes are closed. The reader of CSV counts no
//! line that ends with CR alone, counts blank lines to the record behind them, and takes whatever follows
//! a quote that nobody closed for a part of the value: rows would be gone without a word.
//!
//! The bytes pass through on their way to that reader. What a quote and the end of a line are is the same
//! for both.

use std::collections::VecDeque;
use std::io::{self, Read};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A record, and the first thing that is wrong with its quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record {
    /// Of its first byte, counted from 1.
    pub(crate) line: u32,
    pub(crate) fault: Option<Fault>,
}

/// What is wrong with a quote, by the line on which it opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    NotClosed { line: u32 },
    TextBehind { line: u32 },
}

/// Passes bytes on and looks at them.
pub(crate) struct Records<R> {
    input: R,
    is_begun: bool,
    state: State,
    line: u32,
    is_behind_cr: bool,
    quote_line: u32,
    /// Records that nobody has asked for: no more than one buffer of the reader has, and the one before.
    waiting: VecDeque<Record>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    BeforeRecord,
    BeforeValue,
    InValue,
    InQuotes,
    /// Behind a quote in quotes, which is one of two or the closing one.
    AtQuote,
    /// In white space behind the closing quote, which is cut.
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

    /// The record that follows the one that was asked for last. To be called when all of it was read.
    pub(crate) fn next_record(&mut self) -> Record {
        self.waiting.pop_front().unwrap_or(Record { line: self.line, fault: None })
    }

    fn look_at(&mut self, byte: u8) {
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
        // CR and LF together are one end.
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
            self.look_at(*byte);
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
        // Within a value it is a letter as any other.
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
