//! What is remembered of values changes nothing: each gets what it would get as the first one of all.

use audit_plugin_sdk::testing::{self, BatchBuilder, Transformer};
use audit_plugin_sdk::{Batch, testing::grant_key};
use redact_pii::RedactPii;

use crate::soup::{Random, json, soup};

const COLUMNS: [&str; 4] = ["details", "text", "user_id", "ip_address"];
const ROWS: usize = 96;

const CONFIGS: [&str; 4] = [
    r#"{"free-text": ["details", "text", "user_id", "ip_address"], "fields": {"user_email": "keep"}}"#,
    r#"{"free-text": ["details", "text", "user_id", "ip_address"], "fields": {"user_email": "keep"},
        "free-text-action": "mask", "log-counts": true}"#,
    r#"{"free-text": ["details", "text", "user_id", "ip_address"], "fields": {"user_email": "keep"},
        "free-text-action": "token", "token-key": "pseudonyms"}"#,
    r#"{"free-text": ["details", "text", "ip_address"], "fields": {"user_email": "keep"},
        "free-text-action": "encrypt", "encryption-key": "subjects", "subject": "user_id"}"#,
];

type Row = [Option<String>; COLUMNS.len()];

fn value(random: &mut Random) -> Option<String> {
    match random.below(6) {
        0 => None,
        1 => Some(json(random, 3).to_string()),
        2 => Some(format!("10.1.{}.{}", random.below(3), random.below(9))),
        3 => Some("x".repeat(random.below(600))),
        _ => Some(soup(random)),
    }
}

fn batch(rows: &[Row]) -> Batch {
    let builder = BatchBuilder::new(rows.len());
    let with_column = |builder: BatchBuilder, (at, name): (usize, &&str)| {
        let values: Vec<Option<&str>> = rows.iter().map(|row| row[at].as_deref()).collect();
        builder.utf8(name, &values)
    };
    COLUMNS.iter().enumerate().fold(builder, with_column).build()
}

/// What the plugin writes, by column.
fn written(plugin: &mut Transformer<RedactPii>, rows: &[Row]) -> Vec<Vec<Option<String>>> {
    let names: Vec<String> = plugin.writes().iter().map(|column| column.name.clone()).collect();
    let judgement = plugin.process(&batch(rows)).expect("a judgement");
    let texts = |name: &String| {
        testing::texts(&judgement, name).into_iter().map(|text| text.map(str::to_owned)).collect()
    };
    names.iter().map(texts).collect()
}

fn new(config: &str) -> Transformer<RedactPii> {
    Transformer::new(config).expect("a good configuration")
}

/// Batches of few values, of many, and of the same again.
#[test]
fn a_value_gets_the_same_however_often_and_wherever_it_stands() {
    grant_key("pseudonyms", &[7; 32]);
    grant_key("subjects", &[8; 32]);
    let mut random = Random(11);
    for config in CONFIGS {
        let mut plugin = new(config);
        let mut n_changed = 0;
        for round in 0..60 {
            let n_values = [3, 20, 400][round % 3];
            let values: Vec<Option<String>> = (0..n_values).map(|_| value(&mut random)).collect();
            let mut any = || values[random.below(values.len())].clone();
            let rows: Vec<Row> = (0..ROWS).map(|_| std::array::from_fn(|_| any())).collect();
            let all = [written(&mut plugin, &rows), written(&mut plugin, &rows)];
            let alone = rows.iter().map(|row| written(&mut new(config), std::slice::from_ref(row)));
            for (at, alone) in alone.enumerate() {
                for (column, alone) in alone.iter().enumerate() {
                    assert_eq!(all[0][column][at], alone[0], "{config}: {:?}", rows[at]);
                    assert_eq!(all[1][column][at], alone[0], "again, {config}: {:?}", rows[at]);
                    let name = &plugin.writes()[column].name;
                    let place = COLUMNS.iter().position(|own| own == name).expect("a column");
                    n_changed += usize::from(rows[at][place] != alone[0]);
                }
            }
        }
        assert!(n_changed > 1000, "{config}: {n_changed} values changed, so little was compared");
    }
}

/// The log says how much was found in a batch, not how much of it was new.
#[test]
fn what_is_known_is_counted_again() {
    let mut plugin = new(CONFIGS[1]);
    let rows: Vec<Row> =
        (0..ROWS).map(|_| [None, Some("mail bob@example.org".to_owned()), None, None]).collect();
    for _ in 0..2 {
        testing::take_log();
        written(&mut plugin, &rows);
        let log = testing::take_log();
        assert!(log.iter().any(|(_, line)| *line == format!("found email {ROWS}")), "{log:?}");
    }
}
