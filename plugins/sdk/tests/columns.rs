//! Columns as the host sends them and as plugins build them.

use audit_plugin_sdk::{Fault, Utf8Builder, Utf8Column, Utf8Edit, testing};

fn values(column: &Utf8Column) -> Vec<Option<&str>> {
    (0..column.rows()).map(|row| column.get_str(row)).collect()
}

#[test]
fn a_batch_gives_columns_by_name_and_type() {
    let batch = testing::BatchBuilder::new(3)
        .utf8("text", &[Some("a"), None, Some("")])
        .int32("small", &[Some(-1), None, Some(3)])
        .int64("large", &[None, Some(i64::MIN), Some(3)])
        .float64("ratio", &[Some(0.5), None, None])
        .boolean("flag", &[Some(true), None, Some(false)])
        .timestamp("time", &[Some(7), Some(8), None])
        .build();
    assert_eq!(batch.rows(), 3);
    let text = batch.utf8("text").expect("a column");
    assert_eq!(values(text), [Some("a"), None, Some("")]);
    assert_eq!(text.get(3), None, "a row that does not exist");
    let small = batch.int32("small").expect("a column");
    assert_eq!([0, 1, 2, 3].map(|row| small.get(row)), [Some(-1), None, Some(3), None]);
    let large = batch.int64("large").expect("a column");
    assert_eq!([0, 1, 2].map(|row| large.get(row)), [None, Some(i64::MIN), Some(3)]);
    let flag = batch.boolean("flag").expect("a column");
    assert_eq!([0, 1, 2].map(|row| flag.get(row)), [Some(true), None, Some(false)]);
    let ratio = batch.float64("ratio").expect("a column");
    assert_eq!([0, 1].map(|row| ratio.get(row)), [Some(0.5), None]);
    let time = batch.timestamp("time").expect("a column");
    assert_eq!([0, 2].map(|row| time.get(row)), [Some(7), None]);
    let missing = Fault::BadInput(
        "no column nothing in the batch: `configure` did not ask for it".to_owned(),
    );
    assert_eq!(batch.utf8("nothing"), Err(missing));
    let mistyped = Fault::BadInput("column time is timestamp, not int64".to_owned());
    assert_eq!(batch.int64("time"), Err(mistyped));
}

/// Every way to change a column against the same on a plain vector, over columns around the edges of
/// the validity bytes.
#[test]
fn an_edit_changes_what_it_is_told_and_nothing_else() {
    for rows in [0_usize, 1, 7, 8, 9, 16, 17] {
        for nulls_every in [0_usize, 1, 3] {
            let before: Vec<Option<String>> = (0..rows)
                .map(|row| {
                    (nulls_every == 0 || row % nulls_every != 0).then(|| "é".repeat(row % 4))
                })
                .collect();
            let borrowed: Vec<Option<&str>> = before.iter().map(|value| value.as_deref()).collect();
            let column = testing::utf8(&borrowed);
            for changed_every in [1_usize, 2, 5, 100] {
                let mut expected = before.clone();
                let mut edit = Utf8Edit::new(&column);
                for row in (0..rows).filter(|row| row % changed_every == changed_every - 1) {
                    if row % 3 == 0 {
                        edit.set_null(row);
                        expected[row] = None;
                    } else {
                        edit.set(row, b"changed");
                        expected[row] = Some("changed".to_owned());
                    }
                }
                let after = edit.finish();
                let expected: Vec<Option<&str>> =
                    expected.iter().map(|value| value.as_deref()).collect();
                assert_eq!(values(&after), expected);
            }
        }
    }
}

#[test]
fn a_builder_takes_values_nulls_and_runs() {
    let from = testing::utf8(&[Some("a"), None, Some("bc"), Some("d")]);
    let mut builder = Utf8Builder::with_capacity(0, 0);
    builder.push(b"first");
    builder.copy_run(&from, 1..3);
    builder.push_null();
    builder.push_with(|out| out.extend_from_slice(b"last"));
    builder.copy_run(&from, 2..2);
    assert_eq!(builder.rows(), 5);
    let column = builder.finish();
    assert_eq!(values(&column), [Some("first"), None, Some("bc"), None, Some("last")]);
    assert_eq!(column.offsets(), [0, 5, 5, 7, 7, 11]);
}

#[test]
fn bytes_are_overwritten_only_inside_their_value() {
    let mut column = testing::utf8(&[Some("aaaa"), Some("bbbb")]);
    column.overwrite(0, 1, b"xy");
    column.overwrite(0, 3, b"toolong");
    column.overwrite(9, 0, b"z");
    assert_eq!(values(&column), [Some("axya"), Some("bbbb")]);
}

/// RFC 4231, test case 2.
#[test]
fn the_harness_hashes_as_the_host_does() {
    testing::grant_key("k", b"Jefe");
    let column = testing::utf8(&[Some("what do ya want for nothing?"), None]);
    let digests = audit_plugin_sdk::crypto::keyed_hash("k", &column).expect("the key is granted");
    let digest = digests.get(0).expect("two rows");
    assert_eq!(digest[..4], [0x5b, 0xdc, 0xc1, 0x46]);
    assert_eq!(digests.get(2), None);
    assert!(audit_plugin_sdk::crypto::has_key("k"));
    assert!(audit_plugin_sdk::crypto::keyed_hash("other", &column).is_err());
}

#[test]
fn log_lines_are_kept() {
    audit_plugin_sdk::log::warn("careful");
    let lines = testing::take_log();
    assert_eq!(lines, [(audit_plugin_sdk::log::Level::Warn, "careful".to_owned())]);
    assert!(testing::take_log().is_empty());
}
