//! Wrong columns and wrong rows in an answer.
//!
//! Each is wrong for a batch of one row too: a host that cuts a batch up until it has found the row must
//! find it.

use crate::abi::audit_host::plugin::types::{
    Column, ColumnValues, Judgement, Quarantined, Utf8Values,
};
use crate::configure::NASTY;
use crate::guest::{AGENT, agents};
use crate::options::{Behavior, Call, Table};

pub(crate) const TABLE: Table = &[
    ("short-column", Behavior::Spoil(short_column)),
    (
        "long-column",
        Behavior::Spoil(|_, answer| {
            with_agents(answer, |text| text.offsets.push(text.values.len() as i32))
        }),
    ),
    ("no-offsets", Behavior::Spoil(|_, answer| with_agents(answer, |text| text.offsets.clear()))),
    ("huge-column", Behavior::Spoil(huge_column)),
    ("huge-column-name", Behavior::Spoil(huge_column_name)),
    ("non-monotonic", Behavior::Spoil(non_monotonic)),
    (
        "negative-offset",
        Behavior::Spoil(|call, answer| with_agents(answer, |text| text.offsets[call.row] = -1)),
    ),
    (
        "offset-past-end",
        Behavior::Spoil(|call, answer| with_agents(answer, |text| past_end(call.row, text))),
    ),
    ("first-offset-not-zero", Behavior::Spoil(|_, answer| with_agents(answer, first_not_zero))),
    (
        "bytes-after-last-offset",
        Behavior::Spoil(|_, answer| with_agents(answer, |text| text.values.extend(b"more"))),
    ),
    (
        "bad-utf8",
        Behavior::Spoil(|call, answer| {
            with_agents(answer, |text| replace(text, call.row, b"\xff\xfe"))
        }),
    ),
    ("split-character", Behavior::Spoil(split_character)),
    ("validity-short", Behavior::Spoil(|_, answer| set_validity(answer, Some(Vec::new())))),
    (
        "validity-long",
        Behavior::Spoil(|call, answer| {
            set_validity(answer, Some(vec![0xff; call.n_rows.div_ceil(8) + 1]))
        }),
    ),
    ("null-with-value", Behavior::Spoil(null_with_value)),
    ("duplicate-columns", Behavior::Spoil(duplicate_columns)),
    ("undeclared-column", Behavior::Spoil(undeclared_column)),
    ("columns-from-detector", Behavior::Spoil(undeclared_column)),
    ("missing-column", Behavior::Spoil(|_, answer| answer.columns.clear())),
    ("wrong-name", Behavior::Spoil(|_, answer| rename(answer, "user_agemt"))),
    ("nasty-name", Behavior::Spoil(|_, answer| rename(answer, NASTY))),
    ("wrong-type", Behavior::Spoil(wrong_type)),
    ("quarantine", Behavior::Spoil(|call, answer| quarantine(answer, call.row, "as asked"))),
    ("quarantine-all", Behavior::Spoil(quarantine_all)),
    ("quarantine-nasty", Behavior::Spoil(quarantine_nasty)),
    (
        "row-out-of-range",
        Behavior::Spoil(|call, answer| quarantine(answer, call.n_rows, "no such row")),
    ),
    (
        "row-far-out-of-range",
        Behavior::Spoil(|_, answer| quarantine(answer, u32::MAX as usize, "no such row")),
    ),
    ("row-twice", Behavior::Spoil(row_twice)),
];

fn with_agents(answer: &mut Judgement, change: impl FnOnce(&mut Utf8Values)) {
    if let Some(text) = agents(answer) {
        change(text);
    }
}

fn set_validity(answer: &mut Judgement, validity: Option<Vec<u8>>) {
    if let Some(column) = answer.columns.first_mut() {
        column.validity = validity;
    }
}

fn rename(answer: &mut Judgement, name: &str) {
    if let Some(column) = answer.columns.first_mut() {
        name.clone_into(&mut column.name);
    }
}

/// The value of one row, replaced by bytes that need not be text.
fn replace(text: &mut Utf8Values, row: usize, bytes: &[u8]) {
    let (start, end) = (text.offsets[row], text.offsets[row + 1]);
    text.values.splice(start as usize..end as usize, bytes.iter().copied());
    let grown = bytes.len() as i32 - (end - start);
    for offset in &mut text.offsets[row + 1..] {
        *offset += grown;
    }
}

/// One row less, with values and offsets that agree.
fn short_column(_: &Call, answer: &mut Judgement) {
    with_agents(answer, |text| {
        text.offsets.pop();
        text.values.truncate(text.offsets.last().copied().unwrap_or_default() as usize);
    });
}

fn huge_column(call: &Call, answer: &mut Judgement) {
    with_agents(answer, |text| {
        // What came is freed first, as the memory hardly holds the value alone.
        *text = Utf8Values { offsets: Vec::new(), values: Vec::new() };
        text.values = vec![b'x'; call.options.bytes_or(60 << 20)];
        text.offsets = vec![0; call.n_rows];
        text.offsets.push(text.values.len() as i32);
    });
}

fn huge_column_name(call: &Call, answer: &mut Judgement) {
    rename(answer, &"n".repeat(call.options.bytes_or(20 << 20)));
}

fn non_monotonic(call: &Call, answer: &mut Judgement) {
    with_agents(answer, |text| text.offsets[call.row] = text.offsets[call.row + 1] + 1);
}

fn past_end(row: usize, text: &mut Utf8Values) {
    let end = text.values.len() as i32 + 1_000;
    text.offsets[row + 1..].fill(end);
}

fn first_not_zero(text: &mut Utf8Values) {
    text.values.insert(0, b'x');
    for offset in &mut text.offsets {
        *offset += 1;
    }
}

/// The values as a whole are text, but an offset lies within a character. For that a batch must have
/// two rows; one of one row gets an offset within a character of which the rest belongs to no row.
fn split_character(call: &Call, answer: &mut Judgement) {
    let (first, second) = "é".as_bytes().split_at(1);
    with_agents(answer, |text| {
        if call.n_rows == 1 {
            *text = Utf8Values { offsets: vec![0, 1], values: "é".as_bytes().to_vec() };
            return;
        }
        let row = call.row.min(call.n_rows - 2);
        replace(text, row, first);
        replace(text, row + 1, second);
    });
}

/// The row is null, and its value is not empty.
fn null_with_value(call: &Call, answer: &mut Judgement) {
    with_agents(answer, |text| replace(text, call.row, b"the value of a null row"));
    let mut validity = vec![0xff; call.n_rows.div_ceil(8)];
    validity[call.row / 8] &= !(1 << (call.row % 8));
    set_validity(answer, Some(validity));
}

fn duplicate_columns(_: &Call, answer: &mut Judgement) {
    let copy = answer.columns.first().cloned();
    answer.columns.extend(copy);
}

fn undeclared_column(call: &Call, answer: &mut Judgement) {
    let values = ColumnValues::Int64(vec![7; call.n_rows]);
    answer.columns.push(Column { name: "surplus".to_owned(), validity: None, values });
}

fn wrong_type(call: &Call, answer: &mut Judgement) {
    let values = ColumnValues::Int64(vec![7; call.n_rows]);
    answer.columns = vec![Column { name: AGENT.to_owned(), validity: None, values }];
}

fn quarantine(answer: &mut Judgement, row: usize, reason: &str) {
    answer.quarantined.push(Quarantined { row: row as u32, reason: reason.to_owned() });
}

fn quarantine_all(call: &Call, answer: &mut Judgement) {
    (0..call.n_rows).for_each(|row| quarantine(answer, row, "as asked"));
}

fn quarantine_nasty(call: &Call, answer: &mut Judgement) {
    let n_times = call.options.bytes_or(1 << 20) / NASTY.len();
    quarantine(answer, call.row, &NASTY.repeat(n_times));
}

fn row_twice(call: &Call, answer: &mut Judgement) {
    quarantine(answer, call.row, "once");
    quarantine(answer, call.row, "twice");
}
