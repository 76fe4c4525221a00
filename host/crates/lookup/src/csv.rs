//! Tables out of CSV (RFC 4180): a line of names, then rows; UTF-8; white space around a value is cut.

use std::io::Read;

use csv::{ByteRecord, ErrorKind, ReaderBuilder, Trim};

use crate::columns::{Columns, Limits};
use crate::error::Place;

/// Where, if it is known, and what.
pub(crate) type Problem = (Option<Place>, String);

pub(crate) fn read(input: impl Read, limits: Limits) -> Result<Columns, Problem> {
    let mut reader = ReaderBuilder::new().trim(Trim::All).has_headers(false).from_reader(input);
    let mut record = ByteRecord::new();
    let mut columns: Option<Columns> = None;
    loop {
        match reader.read_byte_record(&mut record) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => return Err(problem(&error)),
        }
        let line = record.position().map_or(1, csv::Position::line);
        let place = Place::Line(u32::try_from(line).unwrap_or(u32::MAX));
        let wrong = |problem| (Some(place), problem);
        match &mut columns {
            None => {
                let names = names(&record).map_err(wrong)?;
                columns = Some(Columns::new(names, limits).map_err(wrong)?);
            }
            Some(columns) => add(columns, &record, place).map_err(wrong)?,
        }
    }
    columns.ok_or((None, "it is empty: the first line names the columns".to_owned()))
}

fn names(record: &ByteRecord) -> Result<Vec<String>, String> {
    record.iter().map(|name| text(name).map(ToOwned::to_owned)).collect()
}

fn add(columns: &mut Columns, record: &ByteRecord, place: Place) -> Result<(), String> {
    columns.begin_row(place, record.as_slice().len())?;
    for (idx, value) in record.iter().enumerate() {
        columns.push(idx, text(value)?);
    }
    Ok(())
}

fn text(value: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(value).map_err(|_| "it is not UTF-8".to_owned())
}

/// What the reader says without the values that it has.
fn problem(error: &csv::Error) -> Problem {
    let line = error.position().map(|at| u32::try_from(at.line()).unwrap_or(u32::MAX));
    let text = match error.kind() {
        ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("{len} values, and the first line names {expected_len} columns")
        }
        ErrorKind::Io(error) => format!("it cannot be read: {error}"),
        ErrorKind::Utf8 { .. } => "it is not UTF-8".to_owned(),
        _ => "it is no CSV".to_owned(),
    };
    (line.map(Place::Line), text)
}
