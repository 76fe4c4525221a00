//! Events of a file or a pipe, one per line, in batches of bounded size.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};

use crate::config::{Error, RECORD_BYTES_MAX};

/// Lines of one batch, as in a run that is behind.
const BATCH_LINES_MAX: usize = 4096;
/// Bytes after which a batch is full.
const BATCH_BYTES_MAX: usize = 16 << 20;

pub(super) struct Lines {
    input: Box<dyn BufRead>,
}

impl Lines {
    /// `-` is standard input.
    pub(super) fn open(input: &str) -> Result<Self, Error> {
        if input == "-" {
            return Ok(Self { input: Box::new(BufReader::new(io::stdin())) });
        }
        let file = File::open(input).map_err(|cause| Error::Value {
            key: "--input".to_owned(),
            value: input.to_owned(),
            problem: format!("cannot be read: {cause}"),
        })?;
        Ok(Self { input: Box::new(BufReader::new(file)) })
    }

    /// The next lines; none at the end. Blank lines are skipped.
    pub(super) fn batch(&mut self) -> io::Result<Vec<Vec<u8>>> {
        let (mut lines, mut n_bytes) = (Vec::new(), 0);
        while lines.len() < BATCH_LINES_MAX && n_bytes < BATCH_BYTES_MAX {
            let Some(line) = self.line()? else { break };
            let line = line.trim_ascii();
            if !line.is_empty() {
                n_bytes += line.len();
                lines.push(line.to_vec());
            }
        }
        Ok(lines)
    }

    /// The next line. One that is too long for a record is cut where that shows.
    fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        let limit = RECORD_BYTES_MAX + 1;
        let n_read = (&mut self.input).take(limit).read_until(b'\n', &mut line)?;
        if n_read as u64 == limit && line.last() != Some(&b'\n') {
            self.skip_line()?;
        }
        Ok((n_read > 0).then_some(line))
    }

    fn skip_line(&mut self) -> io::Result<()> {
        loop {
            let bytes = self.input.fill_buf()?;
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let n_bytes = end.map_or(bytes.len(), |end| end + 1);
            if n_bytes == 0 {
                return Ok(());
            }
            self.input.consume(n_bytes);
            if end.is_some() {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(bytes: &'static [u8]) -> Lines {
        Lines { input: Box::new(bytes) }
    }

    #[test]
    fn lines_are_batched_and_blank_ones_left_out() {
        let mut lines = lines(b"a\r\n\n  \nb\nc");
        assert_eq!(lines.batch().unwrap(), [b"a", b"b", b"c"]);
        assert_eq!(lines.batch().unwrap().len(), 0);
        let many = b"x\n".repeat(BATCH_LINES_MAX + 1).leak();
        let mut lines = self::lines(many);
        assert_eq!(lines.batch().unwrap().len(), BATCH_LINES_MAX);
        assert_eq!(lines.batch().unwrap().len(), 1);
    }

    #[test]
    fn a_line_without_end_takes_no_memory_without_end() {
        let long = vec![b'x'; 3 * RECORD_BYTES_MAX as usize];
        let bytes = [&long, b"\nnext\n".as_slice()].concat().leak();
        let mut lines = lines(bytes);
        assert_eq!(lines.batch().unwrap()[0].len() as u64, RECORD_BYTES_MAX + 1);
        assert_eq!(lines.batch().unwrap(), [b"next"]);
    }
}
