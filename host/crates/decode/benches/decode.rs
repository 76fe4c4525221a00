//! How long decode takes for a row, beside serde_json doing the same work.
//!
//! `cargo bench -p audit-decode -- --rows 200000`. One thread; batches of 4,096 records; the median of
//! seven rounds, so that a round that lost its core does not count.

#![allow(clippy::print_stdout, reason = "a benchmark reports to the terminal")]

#[path = "../tests/decode/events.rs"]
mod events;
#[path = "../tests/decode/random.rs"]
mod random;

use std::borrow::Cow;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{StringArray, StringBuilder};
use audit_core::RawBatch;
use audit_core::stage::Decoder;
use audit_decode::{JsonDecoder, Settings};
use random::Random;

const ROUNDS: usize = 7;
const BATCH_RECORDS: usize = 4096;
const ROWS_DEFAULT: usize = 200_000;
const SETTINGS: Settings = Settings { max_record_bytes: 1 << 20 };

fn main() {
    let n_rows = rows_wanted();
    let batches = make(n_rows);
    let n_bytes: usize = batches.iter().map(|batch| batch.bytes.len()).sum();
    println!("{n_rows} events, {} bytes each, batches of {BATCH_RECORDS}", n_bytes / n_rows);

    let ours = median(|| {
        let mut decoder = JsonDecoder::new(SETTINGS);
        timed(batches.clone(), |batch| {
            let rows = decoder.decode(batch).expect("the batch is small");
            assert!(rows.rejected.is_empty(), "a good event was rejected");
            rows
        })
    });
    report("audit-decode", ours, n_rows, n_bytes);
    let theirs = median(|| timed(batches.clone(), |batch| with_serde(&batch)));
    report("serde_json + text columns", theirs, n_rows, n_bytes);
    println!("ratio: {:.2}", theirs.as_secs_f64() / ours.as_secs_f64());
}

fn rows_wanted() -> usize {
    let mut args = std::env::args().skip_while(|arg| arg != "--rows").skip(1);
    args.next().and_then(|rows| rows.parse().ok()).unwrap_or(ROWS_DEFAULT).max(1)
}

fn make(n_rows: usize) -> Vec<RawBatch> {
    let mut random = Random(1);
    let mut batches = Vec::new();
    for start in (0..n_rows).step_by(BATCH_RECORDS) {
        let mut batch = RawBatch::empty(Arc::from("audit_events"));
        for idx in start..n_rows.min(start + BATCH_RECORDS) {
            let json = events::event(&mut random, idx);
            batch.push(0, idx as i64, Some(1_737_000_000_000), json.as_bytes());
        }
        batches.push(batch);
    }
    batches
}

/// Only `work` counts: neither copying its input nor freeing its output does.
fn timed<T>(batches: Vec<RawBatch>, mut work: impl FnMut(RawBatch) -> T) -> Duration {
    let mut total = Duration::ZERO;
    for batch in batches {
        let started = Instant::now();
        let output = black_box(work(black_box(batch)));
        total += started.elapsed();
        drop(output);
    }
    total
}

fn median(mut round: impl FnMut() -> Duration) -> Duration {
    let mut times: Vec<Duration> = (0..ROUNDS).map(|_| round()).collect();
    times.sort_unstable();
    times[ROUNDS / 2]
}

fn report(name: &str, time: Duration, n_rows: usize, n_bytes: usize) {
    let ns_per_row = time.as_nanos() as f64 / n_rows as f64;
    let megabytes = n_bytes as f64 / time.as_secs_f64() / 1e6;
    println!("{name:<26} {ns_per_row:>7.0} ns/row {megabytes:>7.0} MB/s");
}

/// What one would write with serde_json: a borrowed struct, then text columns. Times stay text, and
/// nothing says where a record came from: a little less work than ours.
fn with_serde(batch: &RawBatch) -> Vec<StringArray> {
    let mut columns: [StringBuilder; 13] = std::array::from_fn(|_| StringBuilder::new());
    for (_, payload) in batch.iter() {
        let event: Event = serde_json::from_slice(payload).expect("the event is good JSON");
        for (column, value) in columns.iter_mut().zip(event.fields()) {
            column.append_option(value.as_ref().map(|text| &*text.0));
        }
    }
    columns.iter_mut().map(StringBuilder::finish).collect()
}

/// Borrows where it can: serde does so for a `Cow`, but not for an `Option` of one.
#[derive(serde::Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(serde::Deserialize)]
#[allow(clippy::struct_field_names, reason = "the names are those of the JSON")]
struct Event<'a> {
    #[serde(borrow)]
    audit_id: Option<Text<'a>>,
    #[serde(borrow)]
    event_timestamp: Option<Text<'a>>,
    #[serde(borrow)]
    user_id: Option<Text<'a>>,
    #[serde(borrow)]
    user_email: Option<Text<'a>>,
    #[serde(borrow)]
    action_type: Option<Text<'a>>,
    #[serde(borrow)]
    resource_type: Option<Text<'a>>,
    #[serde(borrow)]
    resource_id: Option<Text<'a>>,
    #[serde(borrow)]
    resource_name: Option<Text<'a>>,
    #[serde(borrow)]
    action_result: Option<Text<'a>>,
    #[serde(borrow)]
    ip_address: Option<Text<'a>>,
    #[serde(borrow)]
    user_agent: Option<Text<'a>>,
    #[serde(borrow)]
    session_id: Option<Text<'a>>,
    #[serde(borrow)]
    details: Option<Text<'a>>,
}

impl<'a> Event<'a> {
    fn fields(&self) -> [&Option<Text<'a>>; 13] {
        [
            &self.audit_id,
            &self.event_timestamp,
            &self.user_id,
            &self.user_email,
            &self.action_type,
            &self.resource_type,
            &self.resource_id,
            &self.resource_name,
            &self.action_result,
            &self.ip_address,
            &self.user_agent,
            &self.session_id,
            &self.details,
        ]
    }
}
