//! What open files may take: a budget in bytes, whatever comes.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::record_batch::RecordBatch;
use audit_core::stage::Writer as _;
use audit_core::{DeadLetter, Offsets, Span, Staged, schema};
use audit_sink::{AuditTable, EpochWriter, Payloads, WriterSettings};
use parquet::file::reader::{FileReader as _, SerializedFileReader};

use crate::place::{Place, dead_letter, files_below, partition};

const DAY_US: i64 = 86_400_000_000;
const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
/// Less than a single open file takes.
const SMALL: usize = 2 * MIB;

/// Values as bad for memory as one likes: how many partitions, how large, how alike.
#[derive(Debug, Clone, Copy)]
struct Shape {
    n_rows: usize,
    batch_rows: usize,
    n_partitions: usize,
    text_bytes: usize,
    is_random: bool,
}

const SHAPES: [Shape; 5] = [
    // Few partitions, many rows that compress well.
    Shape { n_rows: 200_000, batch_rows: 4096, n_partitions: 3, text_bytes: 40, is_random: false },
    // Many partitions, rows that do not compress.
    Shape { n_rows: 100_000, batch_rows: 4096, n_partitions: 60, text_bytes: 40, is_random: true },
    // Large rows that do not compress.
    Shape {
        n_rows: 4_000,
        batch_rows: 256,
        n_partitions: 2,
        text_bytes: 16 * KIB,
        is_random: true,
    },
    // Rows that are larger than the smallest budget.
    Shape { n_rows: 40, batch_rows: 1, n_partitions: 5, text_bytes: 3 * MIB, is_random: true },
    // A partition per row.
    Shape { n_rows: 300, batch_rows: 100, n_partitions: 300, text_bytes: 10, is_random: true },
];

#[test]
fn open_files_stay_within_their_budget_whatever_comes_and_no_row_is_lost() {
    for budget in [SMALL, 24 * MIB] {
        for shape in SHAPES {
            let place = Place::new();
            let mut table = place.table();
            let mut writer = writer(&place, &table, budget);
            let mut largest = 0;
            for batch in batches(shape) {
                writer.write(&Arc::from("events"), batch).unwrap();
                largest = largest.max(writer.open_files_bytes());
            }
            assert!(largest <= budget, "{shape:?}: {largest} bytes of {budget}");
            let staged = writer.seal().unwrap();
            assert_eq!(staged.n_rows, shape.n_rows as u64, "{shape:?}");
            commit(&place, &mut table, staged, shape.n_rows);
            let rows: u64 = place.count("ns.t", schema::ACTION_TYPE).values().sum();
            assert_eq!(rows, shape.n_rows as u64, "{shape:?}: rows in the table");
        }
    }
}

#[test]
fn without_a_budget_the_same_rows_take_more_than_it() {
    // So the test above can fail: what it bounds is not small by itself.
    for shape in &SHAPES[..3] {
        let place = Place::new();
        let table = place.table();
        let mut writer = writer(&place, &table, usize::MAX);
        for batch in batches(*shape) {
            writer.write(&Arc::from("events"), batch).unwrap();
        }
        let held = writer.open_files_bytes();
        assert!(held > 4 * SMALL, "{shape:?}: {held} bytes");
        assert_eq!(writer.seal().unwrap().data_files.len(), shape.n_partitions, "{shape:?}");
    }
}

#[test]
fn a_budget_closes_the_largest_file_and_leaves_small_ones_open() {
    let place = Place::new();
    let table = place.table();
    let mut writer = writer(&place, &table, 24 * MIB);
    // Nine of ten rows are in one partition, and 30 partitions share the rest.
    for n in 0..400 {
        let large = Shape {
            n_rows: 90,
            batch_rows: 90,
            n_partitions: 1,
            text_bytes: 4 * KIB,
            is_random: true,
        };
        let small =
            Shape { n_rows: 10, batch_rows: 10, n_partitions: 30, text_bytes: 10, is_random: true };
        writer.write(&Arc::from("events"), rows(large, n * 100)).unwrap();
        writer.write(&Arc::from("events"), rows(small, n * 100 + 90)).unwrap();
    }
    let staged = writer.seal().unwrap();
    let n_small = staged.data_files.iter().filter(|file| !file.contains("action-0")).count();
    assert!(staged.data_files.len() > 31, "{} files: nothing was closed", staged.data_files.len());
    assert_eq!(n_small, 29, "each small partition has one file");
}

#[test]
fn payloads_of_dead_letters_are_within_the_budget() {
    let place = Place::new();
    let table = place.table();
    let settings = settings(8 * MIB, Payloads::Raw);
    let mut writer = {
        let _on_runtime = place.runtime.enter();
        table.writer(settings).unwrap()
    };
    let mut text = Text::new(7);
    for n in 0..64 {
        let payload = text.random(MIB).into_bytes();
        writer.write_dead_letters(vec![DeadLetter { payload, ..dead_letter(n) }]).unwrap();
        assert!(writer.open_files_bytes() <= 8 * MIB, "{}", writer.open_files_bytes());
    }
    let staged = writer.seal().unwrap();
    assert_eq!(staged.n_dead_letters, 64);
    assert!(staged.dead_letter_files.len() > 1, "{}", staged.dead_letter_files.len());
}

/// Files that are closed early hold one row group each, as others do: with several, iceberg 0.10.1 would derive
/// wrong bounds from the truncated statistics of long texts.
#[test]
fn files_that_are_closed_early_have_one_row_group() {
    let place = Place::new();
    let table = place.table();
    let mut writer = writer(&place, &table, SMALL);
    for batch in batches(SHAPES[2]) {
        writer.write(&Arc::from("events"), batch).unwrap();
    }
    assert!(writer.seal().unwrap().data_files.len() > 2);
    let is_parquet = |path: &Path| path.extension().is_some_and(|extension| extension == "parquet");
    for path in files_below(place.dir.path()).into_iter().filter(|path| is_parquet(path)) {
        let reader = SerializedFileReader::new(File::open(&path).unwrap()).unwrap();
        assert_eq!(reader.metadata().num_row_groups(), 1, "{}", path.display());
    }
}

fn settings(open_files_bytes_max: usize, payloads: Payloads) -> WriterSettings {
    WriterSettings {
        payloads,
        payload_bytes_max: 16 * MIB,
        open_partitions_max: 1_000,
        open_files_bytes_max,
    }
}

fn writer(place: &Place, table: &AuditTable, open_files_bytes_max: usize) -> EpochWriter {
    let _on_runtime = place.runtime.enter();
    table.writer(settings(open_files_bytes_max, Payloads::DigestOnly)).unwrap()
}

fn commit(place: &Place, table: &mut AuditTable, staged: Staged, n_rows: usize) {
    let mut covered = Offsets::default();
    let span = Span { start: 0, next: n_rows as i64, records: n_rows as u64, leader_epoch: None };
    covered.cover(partition(), span).unwrap();
    place.commit(table, &Place::epoch_of(staged, covered)).unwrap();
}

fn batches(shape: Shape) -> impl Iterator<Item = RecordBatch> {
    let starts = (0..shape.n_rows).step_by(shape.batch_rows);
    starts.map(move |start| {
        let n_rows = shape.batch_rows.min(shape.n_rows - start);
        rows(Shape { n_rows, ..shape }, start)
    })
}

fn rows(shape: Shape, start: usize) -> RecordBatch {
    let n = shape.n_rows;
    let partition = |row: usize| (start + row) % shape.n_partitions;
    let mut text = Text::new(start as u64 + 1);
    let decoded = schema::decoded();
    let columns = decoded.fields().iter().map(|field| -> ArrayRef {
        match field.name().as_str() {
            schema::EVENT_TIMESTAMP | schema::SOURCE_TIMESTAMP => {
                let times = (0..n).map(|row| (partition(row) / 50) as i64 * DAY_US);
                Arc::new(
                    TimestampMicrosecondArray::from_iter_values(times).with_timezone(schema::UTC),
                )
            }
            schema::SOURCE_PARTITION => Arc::new(Int32Array::from_value(0, n)),
            schema::SOURCE_OFFSET => {
                Arc::new(Int64Array::from_iter_values((start..start + n).map(|at| at as i64)))
            }
            schema::ACTION_TYPE => {
                let actions = (0..n).map(|row| format!("action-{}", partition(row)));
                Arc::new(StringArray::from_iter_values(actions))
            }
            "details" | "user_agent" if shape.is_random => {
                let texts = (0..n).map(|_| text.random(shape.text_bytes));
                Arc::new(StringArray::from_iter_values(texts))
            }
            _ => Arc::new(StringArray::from_iter_values((0..n).map(|row| {
                format!("{:0width$}", (start + row) % 1000, width = shape.text_bytes.min(40))
            }))),
        }
    });
    RecordBatch::try_new(Arc::clone(&decoded), columns.collect()).unwrap()
}

/// Text that no codec makes much smaller, the same for the same seed.
struct Text(u64);

impl Text {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn random(&mut self, n_bytes: usize) -> String {
        let bytes = (0..n_bytes).map(|_| {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            b' ' + (self.0 >> 32) as u8 % 94
        });
        bytes.map(char::from).collect()
    }
}
