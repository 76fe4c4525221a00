//! The golden cases, as far as they need no component: what the host runs with the component, this runs
//! natively.

use std::fs;
use std::path::{Path, PathBuf};

use audit_plugin_sdk::testing::{self, BatchBuilder, Transformer};
use redact_pii::RedactPii;
use serde_json::Value;

fn read(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap_or_default()
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

fn check(folder: &Path) {
    let case = folder.display();
    let described = read(folder, "case.json");
    if !described.is_empty() {
        let described: Value = serde_json::from_str(&described).expect("a case");
        for (name, secret) in described["keys"].as_object().into_iter().flatten() {
            testing::grant_key(name, secret.as_str().expect("a key").as_bytes());
        }
    }
    let config = Some(read(folder, "config.json")).filter(|config| !config.is_empty());
    let config = config.unwrap_or_else(|| "{}".to_owned());
    let mut plugin = Transformer::<RedactPii>::new(&config).expect("a good configuration");
    let events = lines(&read(folder, "events.jsonl"));
    let rows = lines(&read(folder, "rows.jsonl"));
    assert_eq!(events.len(), rows.len(), "{case}");
    let mut batch = BatchBuilder::new(events.len());
    for column in plugin.reads() {
        let values: Vec<Option<&str>> = events.iter().map(|event| event[column].as_str()).collect();
        batch = batch.utf8(column, &values);
    }
    let written: Vec<String> = plugin.writes().iter().map(|column| column.name.clone()).collect();
    let judgement = plugin.process(&batch.build()).expect("a judgement");
    for column in written {
        let got = testing::texts(&judgement, &column);
        for (row, got) in rows.iter().zip(got) {
            assert_eq!(row[&column].as_str(), got, "{case}: {column} of {row}");
        }
    }
}

#[test]
fn every_golden_case_holds() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden");
    let mut n_cases = 0;
    for folder in fs::read_dir(root).expect("golden cases") {
        check(&folder.expect("a folder").path());
        n_cases += 1;
    }
    assert!(n_cases > 0);
}
