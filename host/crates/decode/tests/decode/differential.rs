//! Mutated events: decode and serde_json must agree on which are good, why others are not, and on
//! every value.

use std::collections::BTreeMap;

use audit_core::stage::Decoder;
use audit_core::{Batch, RawBatch, ReasonClass};

use crate::events;
use crate::random::Random;
use crate::reference::{Expected, Field, Fields, expected, has_lone_surrogate};
use crate::{decoder, raw, row};

const N_EVENTS: usize = if cfg!(debug_assertions) { 20_000 } else { 1_000_000 };
const BATCH_RECORDS: usize = 1000;

/// Put into events at random places.
const SNIPPETS: [&str; 36] = [
    "\\u00e9",
    "\\ud83d\\ude00",
    "\\ud83d",
    "\\ude00",
    "\\n",
    "\\\"",
    "\\\\",
    "\\",
    "\\u0000",
    "é",
    "😀",
    "\u{feff}",
    "\t",
    "\r\n",
    "\0",
    "\u{1f}",
    "\u{7f}",
    "\"",
    ",",
    ":",
    "{",
    "}",
    "[",
    "]",
    "null",
    "true",
    "false",
    "-0.5e+3",
    "01",
    " ",
    "\"user_id\": \"again\", ",
    "\"x\": 1, ",
    "\"y\": {\"a\": [1, \"\\ud83d\", {}]}, ",
    "\"user\\u005femail\": null, ",
    "[[[[[[[[",
    "[1, {}]",
];

/// Events as producers write them, some with details nested or fields that we do not know.
fn originals(random: &mut Random) -> Vec<String> {
    let mut originals = Vec::new();
    for idx in 0..500 {
        let event = events::event(random, idx);
        let value: serde_json::Value = serde_json::from_str(&event).unwrap();
        let details = value["details"].as_str().unwrap();
        let quoted = serde_json::to_string(details).unwrap();
        originals.push(match idx % 5 {
            0 => event.replace(&quoted, details),
            1 => event.replace("\"user_id\"", "\"roles\": [\"é\", {\"n\": -1.5e3}], \"user_id\""),
            2 => serde_json::to_string_pretty(&value).unwrap(),
            _ => event,
        });
    }
    originals
}

fn mutate(random: &mut Random, record: &mut Vec<u8>) {
    let at = random.below(record.len() + 1);
    let end = (at + random.below(20)).min(record.len());
    match random.below(8) {
        0 | 1 => {
            let snippet = random.pick(&SNIPPETS);
            record.splice(at..at, snippet.bytes());
        }
        2 => {
            let snippet = random.pick(&SNIPPETS);
            record.splice(at..end, snippet.bytes());
        }
        3 => {
            let piece = record[at..end].to_vec();
            let to = random.below(record.len() + 1);
            record.splice(to..to, piece);
        }
        4 if at < record.len() => record[at] = random.pick(b"\"\\{}[],: 0123456789eE+-.untrfals/"),
        5 if at < record.len() => record[at] ^= 1 << random.below(8),
        6 if random.one_in(8) => record.truncate(at),
        _ => drop(record.drain(at..at.max(end.min(at + 3)))),
    }
}

#[derive(Debug, Default)]
struct Tally {
    n_rows: usize,
    rejected: BTreeMap<&'static str, usize>,
    n_unknown: usize,
    n_differences: usize,
    first_difference: Option<String>,
}

/// Runs mutated events through a decoder and compares what comes out.
fn compare(n_events: usize, mut decode: impl FnMut(RawBatch) -> Batch) -> Tally {
    let mut random = Random(0x61_75_64_69_74);
    let originals = originals(&mut random);
    let mut tally = Tally::default();
    for _ in 0..n_events.div_ceil(BATCH_RECORDS) {
        let records: Vec<Vec<u8>> = (0..BATCH_RECORDS)
            .map(|_| {
                let idx = random.below(originals.len());
                let mut record = originals[idx].clone().into_bytes();
                for _ in 0..random.below(4) {
                    mutate(&mut random, &mut record);
                }
                record
            })
            .collect();
        let batch = decode(raw(records.iter().map(Vec::as_slice)));
        assert_eq!(batch.record_of_row.len(), batch.columns.num_rows());
        assert_eq!(batch.record_of_row.len() + batch.rejected.len(), records.len());
        let mut rows = batch.record_of_row.iter().enumerate().peekable();
        let mut rejected = batch.rejected.iter().peekable();
        for (idx, record) in records.iter().enumerate() {
            let found = match rows.next_if(|(_, record_idx)| **record_idx as usize == idx) {
                Some((row_idx, _)) => Ok(row(&batch, row_idx)),
                None => Err(rejected.next().unwrap().class),
            };
            if let Err(difference) = tally.count(record, &found) {
                tally.n_differences += 1;
                let text = String::from_utf8_lossy(record);
                tally.first_difference.get_or_insert_with(|| format!("{difference}\n{text}"));
            }
        }
    }
    tally
}

impl Tally {
    fn count(
        &mut self,
        record: &[u8],
        found: &Result<[Option<String>; 13], ReasonClass>,
    ) -> Result<(), String> {
        match (expected(record), found) {
            (Expected::Row(fields, micros), Ok(row)) => {
                self.n_rows += 1;
                same_values(record, &fields, micros, row)
            }
            (Expected::Rejected(class), Err(found)) => {
                *self.rejected.entry(class.as_str()).or_default() += 1;
                // serde_json goes over half of a surrogate pair in a value that it skips, and finds
                // something else later.
                let skipped = *found == ReasonClass::InvalidJson
                    && has_lone_surrogate(&String::from_utf8_lossy(record));
                if *found == class || skipped {
                    Ok(())
                } else {
                    Err(format!("{class}, not {found}"))
                }
            }
            (Expected::Unknown, _) => {
                self.n_unknown += 1;
                Ok(())
            }
            (Expected::Row(..), Err(class)) => Err(format!("a row, not {class}")),
            (Expected::Rejected(class), Ok(_)) => Err(format!("{class}, not a row")),
        }
    }
}

fn same_values(
    record: &[u8],
    fields: &Fields,
    micros: i64,
    row: &[Option<String>; 13],
) -> Result<(), String> {
    for (idx, (field, found)) in fields.iter().zip(row).enumerate() {
        let same = match (field, found) {
            (Some(Some(_)), Some(found)) if idx == 1 => *found == micros.to_string(),
            (Some(Some(Field::Text(text))), Some(found)) => text == found,
            (Some(Some(Field::Nested(value))), Some(found)) => {
                let stands_there = str::from_utf8(record).unwrap().contains(found);
                stands_there && serde_json::from_str::<serde_json::Value>(found).unwrap() == *value
            }
            (Some(None) | None, None) => true,
            _ => false,
        };
        if !same {
            return Err(format!("field {idx}: {field:?}, not {found:?}"));
        }
    }
    Ok(())
}

#[test]
fn decode_agrees_with_serde_json() {
    let mut decoder = decoder();
    let tally = compare(N_EVENTS, |raw| decoder.decode(raw).unwrap());
    assert_eq!(tally.n_differences, 0, "{}", tally.first_difference.unwrap_or_default());
    // The mutations must reach every branch, and most records must count.
    assert!(tally.n_rows > N_EVENTS / 5, "{tally:?}");
    assert!(tally.n_unknown < N_EVENTS / 1000, "{tally:?}");
    for class in [
        ReasonClass::InvalidUtf8,
        ReasonClass::InvalidJson,
        ReasonClass::NotAnObject,
        ReasonClass::TrailingData,
        ReasonClass::DuplicateField,
        ReasonClass::WrongType,
        ReasonClass::MissingField,
        ReasonClass::BadTimestamp,
    ] {
        assert!(tally.rejected.contains_key(class.as_str()), "no {class}: {tally:?}");
    }
}

/// The comparison itself is tested with decoders that are wrong.
#[test]
fn the_comparison_notices_wrong_decoders() {
    let wrong = |change: fn(&[u8]) -> Vec<u8>| {
        let mut decoder = decoder();
        let tally = compare(20_000, |raw: RawBatch| {
            let changed: Vec<Vec<u8>> = raw.iter().map(|(_, record)| change(record)).collect();
            decoder.decode(crate::raw(changed.iter().map(Vec::as_slice))).unwrap()
        });
        tally.n_differences
    };
    let n_right = wrong(<[u8]>::to_vec);
    assert_eq!(n_right, 0);
    // Takes what follows the object.
    let n_forgiving = wrong(|record| {
        let end = record.iter().rposition(|byte| *byte == b'}').map_or(record.len(), |at| at + 1);
        record[..end].to_vec()
    });
    // Has a value wrong.
    let n_misreading = wrong(|record| {
        let misread = |byte: &u8| if *byte == b'@' { b'a' } else { *byte };
        record.iter().map(misread).collect()
    });
    // Takes control characters.
    let n_lax = wrong(|record| {
        let lax = |byte: &u8| if *byte == 0x1f { b'?' } else { *byte };
        record.iter().map(lax).collect()
    });
    assert!(n_forgiving > 0 && n_misreading > 0 && n_lax > 0);
}
