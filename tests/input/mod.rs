//! Bad input: every record ends as a row or as a dead letter with its reason, and harms no other.

mod records;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use audit_tests::case::{Case, DEAD_LETTERS, TABLE};
use audit_tests::json::text;
use audit_tests::{broker, files};
use serde_json::Value;

use records::{Expect, Record};

/// A run over thousands of partitions must stay below this.
const RSS_BYTES_MAX: u64 = 600 << 20;
/// For large records: each is held once by the client, once in its batch, once as a dead letter.
const RSS_BYTES_MAX_LARGE: u64 = 1 << 30;
const N_ACTIONS: usize = 10_000;
/// A key file of 32 bytes.
const KEY: &str = "0123456789abcdef0123456789abcdef";

/// What a dead letter of a record must say.
const LETTER: [&str; 8] = [
    "source_partition",
    "source_offset",
    "reason_class",
    "reason",
    "payload_bytes",
    "payload_sha256",
    "payload_form",
    "payload",
];

#[test]
fn every_kind_of_bad_record_ends_as_documented() -> Result<()> {
    let case = Case::new("bad-input", 1)?;
    let records = records::all();
    let payloads = records.iter().map(|record| (0, record.payload.clone()));
    broker::send(&case.topic, payloads)?;
    let ended = case.host_with(&["redact_pii"])?.args(&["--until-end"]).succeed()?;
    check_outcomes(&case, &records)?;
    check_files(&case)?;
    let peak = ended.peak_rss_bytes()?;
    ensure!(peak < RSS_BYTES_MAX_LARGE, "{} MiB of memory for large records", peak >> 20);
    Ok(())
}

/// Rows and dead letters by offset, which is the place in the list of records.
fn check_outcomes(case: &Case, records: &[Record]) -> Result<()> {
    let key = warehouse_key(&case.dir)?;
    let (table, rows) = case.reader().rows(TABLE, &["source_offset", "action_type"])?;
    let (_, letters) = case.reader().rows(DEAD_LETTERS, &LETTER)?;
    assert_eq!(table.n_rows()?, rows.len() as u64);
    assert_eq!(rows.len() + letters.len(), records.len(), "a record is lost or came twice");
    let rows = by_offset(&rows)?;
    let letters = by_offset(&letters)?;
    let mut wrong = Vec::new();
    for (offset, record) in (0..).zip(records) {
        let seen = match (rows.get(&offset), letters.get(&offset)) {
            (Some(row), None) => Expect::Row(text(&row["action_type"])),
            (None, Some(letter)) => {
                check_letter(&key, record, letter)?;
                Expect::DeadLetter(text(&letter["reason_class"]))
            }
            _ => Expect::Row("neither or both".to_owned()),
        };
        if seen != record.expect {
            let letter = letters.get(&offset).map(|letter| text(&letter["reason"]));
            wrong.push(format!("{}: {seen:?}, not {:?} {letter:?}", record.name, record.expect));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

fn by_offset(rows: &[Value]) -> Result<BTreeMap<i64, &Value>> {
    let offset = |row: &Value| row["source_offset"].as_i64().context("a row without offset");
    rows.iter().map(|row| Ok((offset(row)?, row))).collect()
}

/// Without a key a dead letter has size and digest of its record, and not its bytes.
fn check_letter(key: &[u8], record: &Record, letter: &Value) -> Result<()> {
    let payload = record.payload.as_deref().unwrap_or_default();
    let name = record.name;
    assert_eq!(letter["payload_bytes"], payload.len(), "{name}");
    assert_eq!(letter["payload_sha256"], digest(key, payload), "{name}");
    assert_eq!(letter["payload_form"], "digest-only", "{name}");
    assert_eq!(letter["payload"], Value::Null, "{name}");
    let reason = text(&letter["reason"]);
    ensure!(!reason.is_empty() && reason.len() < 500, "{name}: the reason is {reason:?}");
    ensure!(!reason.contains(records::MARK), "{name}: the reason shows the record: {reason}");
    Ok(())
}

/// No name of an action puts a file outside the folders of the two tables and the outbox.
fn check_files(case: &Case) -> Result<()> {
    let warehouse = case.dir.join("warehouse");
    let allowed = [
        "demo/audit_trail/data",
        "demo/audit_trail/metadata",
        "demo/audit_trail_dead_letters/data",
        "demo/audit_trail_dead_letters/metadata",
        ".audit-host",
    ];
    // What the test and the program write beside the warehouse.
    let known = ["run-", "catalog.db", "alerts.jsonl", "demo.audit_trail"];
    let is_known = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        path.parent() == Some(&case.dir) && known.iter().any(|known| name.starts_with(known))
    };
    let is_inside =
        |path: &Path| allowed.iter().any(|folder| path.starts_with(warehouse.join(folder)));
    let found = files::below(&case.dir)?;
    ensure!(found.iter().any(|path| is_inside(path)), "no file below {}", warehouse.display());
    let stray: Vec<_> = found.iter().filter(|path| !is_known(path) && !is_inside(path)).collect();
    ensure!(stray.is_empty(), "files in the wrong place: {stray:?}");
    Ok(())
}

#[test]
fn ten_thousand_actions_neither_fill_the_memory_nor_lose_a_row() -> Result<()> {
    let case = Case::new("many-actions", 1)?;
    let event = |n| records::event(&format!("action.{n}"), "2026-01-05T10:00:00Z");
    let record = |n: usize| (0, Some(event(n)));
    broker::send(&case.topic, (0..N_ACTIONS).map(record))?;
    let ended = case.host()?.args(&["--until-end"]).succeed()?;
    let peak = ended.peak_rss_bytes()?;
    ensure!(peak < RSS_BYTES_MAX, "{} MiB of memory at its peak", peak >> 20);
    // Opening so many files takes the readers a minute; the manifests have the same numbers.
    let files = &case.reader().manifests(TABLE)?.0["files"];
    assert_eq!(files["rows"], N_ACTIONS);
    assert_eq!(files["count"], N_ACTIONS);
    assert_eq!(files["by_partition_field"]["action_type"], N_ACTIONS);
    assert_eq!(files["absent"], serde_json::json!([]));
    check_files(&case)
}

/// How a dead letter's payload is kept under a configuration.
fn payloads_under(case: &Case, name: &str, config: &str) -> Result<Vec<Value>> {
    let case = case.beside(name)?;
    let key = case.dir.join("key");
    fs::write(&key, KEY)?;
    let file = case.dir.join("audit-host.toml");
    fs::write(&file, config.replace("KEY", &key.display().to_string()))?;
    let host = case.host()?.args(&["--config", &file.display().to_string()]);
    let ended = host.args(&["--until-end"]).succeed()?;
    ensure!(!ended.stderr.contains(records::MARK), "a log line shows a record: {}", ended.stderr);
    let (_, letters) = case.reader().rows(DEAD_LETTERS, &LETTER)?;
    assert_eq!(letters.len(), 2, "{name}");
    Ok(letters)
}

/// The digest of a payload that is no guess for those who lack the key.
fn digest(key: &[u8], payload: &[u8]) -> String {
    let id: String = files::sha256(key).chars().take(8).collect();
    format!("hmac-sha256:{id}:{}", hex::encode(files::hmac_sha256(key, payload)))
}

/// The key that a warehouse keeps, which nobody else may read.
fn warehouse_key(dir: &Path) -> Result<Vec<u8>> {
    let own = dir.join("warehouse/.audit-host");
    let path = own.join("keys/dead-letter-digests.key");
    for (path, expected) in [(&own, 0o700), (&path, 0o600)] {
        let mode = fs::metadata(path)?.permissions().mode() & 0o777;
        ensure!(mode == expected, "{} has mode {mode:o}", path.display());
    }
    Ok(hex::decode(fs::read_to_string(path)?.trim())?)
}

#[test]
fn a_dead_letter_keeps_its_payload_only_sealed_or_on_request() -> Result<()> {
    let case = Case::new("payloads", 1)?;
    let secret = format!("{} 4111111111111111", records::MARK).into_bytes();
    let record = || (0, Some(secret.clone()));
    broker::send(&case.topic, [record(), record()])?;
    let readable = hex::encode(&secret);

    for letter in payloads_under(&case, "payloads-no-key", "")? {
        assert_eq!(letter["payload_form"], "digest-only");
        assert_eq!(letter["payload"], Value::Null);
        let key = warehouse_key(&case.dir.with_file_name("payloads-no-key"))?;
        assert_eq!(letter["payload_sha256"], digest(&key, &secret));
    }
    let only_digest = "[dead-letters]\nkey-file = \"KEY\"\npayload = \"digest-only\"";
    for letter in payloads_under(&case, "payloads-digest", only_digest)? {
        assert_eq!(letter["payload_form"], "digest-only");
        assert_eq!(letter["payload"], Value::Null);
        let key = files::hmac_sha256(KEY.as_bytes(), b"audit-host digests of dead letters");
        assert_eq!(letter["payload_sha256"], digest(&key, &secret));
    }
    for letter in payloads_under(&case, "payloads-raw", "[dead-letters]\npayload = \"raw\"")? {
        assert_eq!(letter["payload_form"], "raw");
        assert_eq!(letter["payload"], readable);
    }
    let sealed = payloads_under(&case, "payloads-sealed", "[dead-letters]\nkey-file = \"KEY\"")?;
    let part = hex::encode(records::MARK);
    for letter in &sealed {
        assert_eq!(letter["payload_form"], "xchacha20poly1305");
        let kept = letter["payload"].as_str().context("a sealed payload")?;
        ensure!(!kept.contains(&part), "the payload can be read");
        ensure!(kept.len() > readable.len(), "a seal is longer than what it seals");
    }
    assert_ne!(sealed[0]["payload"], sealed[1]["payload"], "equal records can be recognized");
    Ok(())
}
