//! What it costs to cross the boundary: `copy_column` does nothing else.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use arrow::array::{
    Array, ArrayRef, BooleanArray, Int64Array, StringArray, TimestampMicrosecondArray,
};
use audit_core::{Batch, schema};
use serde_json::{Value, json};

use crate::chains::{self, BATCH_ROWS, Bench, per, ratio};
use crate::events;
use crate::table::{Table, rounded};

const N_COLUMNS: [usize; 5] = [1, 2, 4, 8, 13];
/// As long as an address or an id.
const SHORT_BYTES: usize = 16;
/// As long as a browser's name or the details of an event.
const LONG_BYTES: usize = 256;
/// Batches of one row each: what is left is the cost of a call.
const CALLS: usize = 2_000;

/// A column's name, what it holds, and how it is made.
type Typed<'a> = (&'a str, &'a str, &'a dyn Fn(usize) -> ArrayRef);

/// A plugin's configuration, and its times.
struct Case {
    name: Value,
    read: Value,
    copy: Value,
    /// What it is given: many rows, and the same columns in batches of one row.
    batches: Vec<Batch>,
    calls: Vec<Batch>,
    times: Times,
}

#[derive(Default)]
struct Times {
    read: Vec<Duration>,
    read_calls: Vec<Duration>,
    copy: Vec<Duration>,
    copy_calls: Vec<Duration>,
    memory: Vec<Duration>,
}

pub(crate) fn tables(bench: &Bench) -> Result<Vec<Table>> {
    let about = format!("{}; calls: {CALLS} batches of one row", bench.about());
    Ok(vec![
        measured(
            bench,
            format!("Boundary by columns of {SHORT_BYTES} bytes; {about}"),
            by_number(bench)?,
        )?,
        measured(bench, format!("Boundary by type, one column; {about}"), by_type(bench)?)?,
    ])
}

fn by_number(bench: &Bench) -> Result<Vec<Case>> {
    let mut cases = vec![case(bench, json!(0), &[], "utf8", &text(SHORT_BYTES))?];
    for n in N_COLUMNS {
        let names = &schema::EVENT_FIELDS[..n];
        cases.push(case(bench, json!(n), names, "utf8", &text(SHORT_BYTES))?);
    }
    Ok(cases)
}

fn by_type(bench: &Bench) -> Result<Vec<Case>> {
    let int64 = |n: usize| Arc::new(Int64Array::from_iter_values(0..n as i64)) as ArrayRef;
    let time = |n: usize| {
        let times = TimestampMicrosecondArray::from_iter_values((0..n as i64).map(|us| us * 1_000));
        Arc::new(times.with_timezone(schema::UTC)) as ArrayRef
    };
    let boolean = |n: usize| {
        Arc::new((0..n).map(|row| Some(row % 3 == 0)).collect::<BooleanArray>()) as ArrayRef
    };
    let (short, long) = (text(SHORT_BYTES), text(LONG_BYTES));
    let types: [Typed<'_>; 5] = [
        ("utf8 of 16 bytes", "utf8", &short),
        ("utf8 of 256 bytes", "utf8", &long),
        ("int64", "int64", &int64),
        ("timestamp", "timestamp", &time),
        ("boolean", "boolean", &boolean),
    ];
    types
        .iter()
        .map(|(name, of, array)| case(bench, json!(name), &["details"], of, array))
        .collect()
}

fn text(n_bytes: usize) -> impl Fn(usize) -> ArrayRef {
    move |n| {
        let values = (0..n).map(|row| format!("{row:0n_bytes$}"));
        Arc::new(StringArray::from_iter_values(values)) as ArrayRef
    }
}

/// All of `names` hold the same values, so that only their number counts.
fn case(
    bench: &Bench,
    name: Value,
    names: &[&str],
    of: &str,
    array: &dyn Fn(usize) -> ArrayRef,
) -> Result<Case> {
    let filled = |n_rows: usize, batch_rows: usize| -> Result<Vec<Batch>> {
        let given = events::batches(n_rows, batch_rows)?;
        let filled = given.iter().map(|batch| {
            let array = array(batch.columns.num_rows());
            let columns: Vec<_> = names.iter().map(|name| (*name, Arc::clone(&array))).collect();
            chains::with_columns(batch, &columns)
        });
        filled.collect()
    };
    let copied =
        |name: &&str| json!({ "column": name, "to": format!("copy_of_{name}"), "type": of });
    Ok(Case {
        name,
        read: json!({ "read": names, "copy": [] }),
        copy: json!({ "read": [], "copy": names.iter().map(copied).collect::<Vec<_>>() }),
        batches: filled(bench.n_rows, BATCH_ROWS)?,
        calls: filled(CALLS, 1)?,
        times: Times::default(),
    })
}

fn measured(bench: &Bench, title: String, mut cases: Vec<Case>) -> Result<Table> {
    let component = chains::guest("copy_column")?;
    let through = |config: &Value, batches: &[Batch]| {
        let mut chain = chains::chain(&bench.engine, vec![chains::source(&component, config)])?;
        chains::judge_all(&mut chain, batches)
    };
    for _ in 0..bench.n_runs {
        for case in &mut cases {
            case.times.read.push(through(&case.read, &case.batches)?);
            case.times.read_calls.push(through(&case.read, &case.calls)?);
            case.times.copy.push(through(&case.copy, &case.batches)?);
            case.times.copy_calls.push(through(&case.copy, &case.calls)?);
            case.times.memory.push(copied(&case.read, &case.batches));
        }
    }
    let columns = [
        "columns",
        "memory copy, ns/row",
        "read, ns/row",
        "to copy",
        "read, ns/call",
        "read and returned, ns/row",
        "to copy",
        "read and returned, ns/call",
    ];
    let mut table = Table::new(title, &columns);
    for Case { name, times, .. } in cases {
        let is_empty = name == json!(0);
        let to_copy = |of: &[Duration]| {
            if is_empty { Value::Null } else { rounded(ratio(of, &times.memory), 1) }
        };
        table.push([
            name,
            rounded(per(&times.memory, bench.n_rows), 2),
            rounded(per(&times.read, bench.n_rows), 2),
            to_copy(&times.read),
            rounded(per(&times.read_calls, CALLS), 0),
            rounded(per(&times.copy, bench.n_rows), 2),
            to_copy(&times.copy),
            rounded(per(&times.copy_calls, CALLS), 0),
        ]);
    }
    Ok(table)
}

/// The least that a boundary could cost: the same buffers, copied once within this process.
fn copied(read: &Value, batches: &[Batch]) -> Duration {
    let names = read["read"].as_array().map_or(&[][..], Vec::as_slice);
    let mut total = Duration::ZERO;
    for batch in batches {
        let columns = names.iter().filter_map(|name| batch.columns.column_by_name(name.as_str()?));
        let columns: Vec<_> = columns.map(Array::to_data).collect();
        let buffers: Vec<_> = columns.iter().flat_map(arrow::array::ArrayData::buffers).collect();
        let started = Instant::now();
        // All are kept until the last one is copied, as in a guest.
        let kept: Vec<Vec<u8>> = buffers.iter().map(|buffer| buffer.as_slice().to_vec()).collect();
        drop(black_box(kept));
        total += started.elapsed();
    }
    total
}
