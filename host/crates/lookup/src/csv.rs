//! Tables from CSV (RFC 4180): a line of names, then rows, in UTF-8. White space around values is trimmed.

use std::io::Read;

use csv::{ByteRecord, ErrorKind, ReaderBuilder, Trim};

use crate::columns::{Columns, Limits};
use crate::error::Place;
use crate::records::{Fault, Records};

/// The place, if it is known, and what is wrong.
pub(crate) type Problem = (Option<Place>, String);

pub(crate) fn read(input: impl Read, limits: Limits) -> Result<Columns, Problem> {
    let input = Records::new(input);
    let mut reader = ReaderBuilder::new().trim(Trim::All).has_headers(false).from_reader(input);
    let mut record = ByteRecord::new();
    let mut columns: Option<Columns> = None;
    loop {
        let read = reader.read_byte_record(&mut record);
        if let Ok(false) = read {
            break;
        }
        let begun = reader.get_mut().next_record();
        // Reported before its consequences: too few values, or too many bytes.
        if let Some(fault) = begun.fault {
            return Err(fault_text(fault));
        }
        let place = Place::Line(begun.line);
        read.map_err(|error| problem(place, &error))?;
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

fn fault_text(fault: Fault) -> Problem {
    let (line, text) = match fault {
        Fault::NotClosed { line } => (line, "the quote that opens here is not closed"),
        Fault::TextBehind { line } => (
            line,
            "text follows the closing quote of the value that opens here: close it where the value ends, and \
             write a quote within it twice",
        ),
    };
    (Some(Place::Line(line)), text.to_owned())
}

/// The text of a reader's error, without the values that it holds.
fn problem(place: Place, error: &csv::Error) -> Problem {
    let text = match error.kind() {
        ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("{len} values, but the first line names {expected_len} columns")
        }
        ErrorKind::Io(error) => return (None, format!("it cannot be read: {error}")),
        ErrorKind::Utf8 { .. } => "it is not UTF-8".to_owned(),
        _ => "it is not valid CSV".to_owned(),
    };
    (Some(place), text)
}
