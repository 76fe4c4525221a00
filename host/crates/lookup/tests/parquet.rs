//! Tables out of Parquet: what becomes text, what cannot, and what would become too much.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, Date32Array, DictionaryArray, Int32Array, Int64Array, ListArray,
    StringArray, TimestampMillisecondArray,
};
use arrow::datatypes::{Int32Type, Int64Type};
use arrow::record_batch::RecordBatch;
use audit_lookup::{KeyKind, Table, TableDefinition};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::Encoding;
use parquet::file::properties::WriterProperties;
use tempfile::TempDir;

/// 2025-01-01T00:00:00Z.
const NEW_YEAR: i64 = 1_735_689_600_000_000;
const NEW_YEAR_DAY: i32 = 20_089;
/// 9999-12-31.
const LAST_DAY: i32 = 2_932_896;

fn exact(folder: &TempDir) -> TableDefinition {
    TableDefinition {
        file: folder.path().join("t.parquet"),
        kind: KeyKind::Exact,
        key: "k".to_owned(),
        valid_from: None,
        valid_to: None,
        file_bytes_max: None,
        rows_max: None,
    }
}

fn temporal(folder: &TempDir) -> TableDefinition {
    let (from, to) = (Some("from".to_owned()), Some("to".to_owned()));
    TableDefinition { valid_from: from, valid_to: to, ..exact(folder) }
}

fn load(definition: &TableDefinition) -> Result<Table, String> {
    let loaded = Table::load("lookups.t", definition);
    loaded.map(|(table, _)| table).map_err(|error| error.to_string())
}

fn find(table: &Table, column: &str, key: &str, time: Option<i64>) -> Option<String> {
    let found = table.find(column, [key.as_bytes()].into_iter(), |_| time, 1 << 20);
    let found = found.expect("a column").expect("little");
    (found.validity == [1]).then(|| String::from_utf8(found.values).unwrap())
}

/// With the types of Arrow in the file, or with those of Parquet alone.
fn write(path: &Path, columns: Vec<(&str, ArrayRef)>, has_arrow_types: bool) {
    let properties = WriterProperties::builder().build();
    write_as(path, columns, has_arrow_types, properties);
}

fn write_as(
    path: &Path,
    columns: Vec<(&str, ArrayRef)>,
    has_arrow_types: bool,
    properties: WriterProperties,
) {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let options = ArrowWriterOptions::new()
        .with_properties(properties)
        .with_skip_arrow_metadata(!has_arrow_types);
    let file = fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new_with_options(file, batch.schema(), options).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn keys(n_rows: i64) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(0..n_rows))
}

#[test]
fn bytes_that_are_no_text_are_refused_and_leave_no_row_valid_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let definition = temporal(&folder);
    let from: ArrayRef = Arc::new(StringArray::from(vec!["2024-01-01"; 3]));
    let bytes = |last: &'static [u8]| -> ArrayRef {
        Arc::new(BinaryArray::from(vec![Some(&b"2025-01-01"[..]), None, Some(last)]))
    };
    for has_arrow_types in [true, false] {
        let columns = |to| vec![("k", keys(3)), ("from", Arc::clone(&from)), ("to", to)];
        write(&definition.file, columns(bytes(b"2025-01-01")), has_arrow_types);
        let table = load(&definition).unwrap();
        assert_eq!(find(&table, "k", "0", Some(NEW_YEAR)), None);
        assert_eq!(find(&table, "k", "1", Some(NEW_YEAR)).as_deref(), Some("1"));

        write(&definition.file, columns(bytes(b"2025\xff")), has_arrow_types);
        let said = load(&definition).unwrap_err();
        let says = "t.parquet, row 3: the value of column \"to\" cannot be converted to text";
        assert!(said.contains(says), "{said}");
    }
}

#[test]
fn times_that_no_clock_has_are_refused_by_row_and_the_last_day_is_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let definition = temporal(&folder);
    let from: ArrayRef = Arc::new(Date32Array::from(vec![None, Some(NEW_YEAR_DAY)]));
    let columns = |to: ArrayRef| vec![("k", keys(2)), ("from", Arc::clone(&from)), ("to", to)];
    // The second day is of the year 12,008.
    let days = vec![Some(LAST_DAY), Some(LAST_DAY + 733_600)];
    write(&definition.file, columns(Arc::new(Date32Array::from(days))), true);
    let table = load(&definition).unwrap();
    assert_eq!(find(&table, "to", "0", Some(i64::MAX - 1)).as_deref(), Some("9999-12-31"));
    assert_eq!(find(&table, "to", "1", Some(i64::MAX - 1)).as_deref(), Some("+12008-07-11"));
    assert_eq!(find(&table, "k", "1", Some(NEW_YEAR - 1)), None);

    let days = vec![Some(LAST_DAY), Some(i32::MAX)];
    write(&definition.file, columns(Arc::new(Date32Array::from(days))), true);
    let said = load(&definition).unwrap_err();
    assert!(
        said.contains("row 2: the value of column \"to\" cannot be converted to text"),
        "{said}"
    );
    // Microseconds of it do not fit.
    let times = TimestampMillisecondArray::from(vec![Some(253_402_300_799_000), Some(i64::MAX)]);
    write(&definition.file, columns(Arc::new(times)), true);
    let said = load(&definition).unwrap_err();
    assert!(
        said.contains("row 2: the value of column \"to\" cannot be converted to text"),
        "{said}"
    );
}

#[test]
fn dictionaries_are_read_as_what_they_hold() {
    let folder = tempfile::tempdir().unwrap();
    let definition = exact(&folder);
    let codes = || Int32Array::from(vec![Some(1), Some(0), None, Some(2)]);
    let dictionary = |values: ArrayRef| -> ArrayRef {
        Arc::new(DictionaryArray::<Int32Type>::try_new(codes(), values).unwrap())
    };
    let texts = Arc::new(StringArray::from(vec![Some("a"), Some("b"), None]));
    let numbers = Arc::new(Int64Array::from(vec![Some(7), Some(8), None]));
    let columns = |bytes: &[&[u8]]| {
        let bytes = BinaryArray::from_iter_values(bytes);
        vec![
            ("k", keys(4)),
            ("text", dictionary(Arc::clone(&texts) as ArrayRef)),
            ("number", dictionary(Arc::clone(&numbers) as ArrayRef)),
            ("bytes", dictionary(Arc::new(bytes))),
        ]
    };
    for has_arrow_types in [true, false] {
        write(&definition.file, columns(&[b"x", b"y", b"z"]), has_arrow_types);
        let table = load(&definition).unwrap();
        for (key, expect) in [("0", "b8y"), ("1", "a7x"), ("2", ""), ("3", "z")] {
            let of_row = ["text", "number", "bytes"].map(|name| find(&table, name, key, None));
            assert_eq!(of_row.map(Option::unwrap).concat(), expect, "{key}");
        }
        write(&definition.file, columns(&[b"x", b"\xff", b"z"]), has_arrow_types);
        let said = load(&definition).unwrap_err();
        assert!(said.contains("row 1: the value of column \"bytes\" cannot"), "{said}");
    }
}

#[test]
fn a_column_of_columns_has_no_text() {
    let folder = tempfile::tempdir().unwrap();
    let definition = exact(&folder);
    let lists = [Some(vec![Some(1_i64)]), Some(vec![Some(2)])];
    let lists: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(lists));
    write(&definition.file, vec![("k", keys(2)), ("groups", lists)], true);
    let said = load(&definition).unwrap_err();
    assert!(said.contains("t.parquet: the column \"groups\" is List"), "{said}");
    assert!(said.contains("which cannot be converted to text"), "{said}");
}

#[test]
fn little_that_becomes_much_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let definition = TableDefinition { file_bytes_max: Some(1 << 20), ..exact(&folder) };
    let value = StringArray::from(vec!["x".repeat(16 << 10)]);
    let codes = Int32Array::from(vec![0; 4096]);
    let values: ArrayRef =
        Arc::new(DictionaryArray::<Int32Type>::try_new(codes, Arc::new(value)).unwrap());
    let once = WriterProperties::builder().build();
    let by_difference = WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_column_encoding("v".into(), Encoding::DELTA_BYTE_ARRAY)
        .build();
    for (properties, has_arrow_types) in [(once, true), (by_difference, false)] {
        let columns = vec![("k", keys(4096)), ("v", Arc::clone(&values))];
        write_as(&definition.file, columns, has_arrow_types, properties);
        assert!(fs::metadata(&definition.file).unwrap().len() < 1 << 20, "it is small");
        let said = load(&definition).unwrap_err();
        let says = "t.parquet, row 64: its values have more than 1048576 bytes (file-bytes-max)";
        assert!(said.contains(says), "{said}");
    }
}
