//! Records at the edges of JSON, UTF-8, time and Kafka, through every detector and the redactor: each ends as
//! `docs/events.md` says, and no address and no card number is to be seen.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result, ensure};
use audit_tests::broker::Message;
use audit_tests::case::{Case, DEAD_LETTERS, TABLE};
use audit_tests::json::text;
use audit_tests::{broker, env};
use serde_json::{Value, json};

use crate::hostile::grants::{EMAIL, host};

/// The largest of the records has 5 MB.
const RSS_BYTES_MAX: u64 = 256 << 20;
const CARD: &str = "4111111111111111";
/// What a record becomes that is no dead letter.
const ROW: &str = "row";

/// A record, and the classes as which it may end, separated by `|`.
type Shape = (Message, &'static str);

fn shape(payload: impl Into<Vec<u8>>, expected: &'static str) -> Shape {
    (Message::from(Some(payload.into())), expected)
}

/// An event with more fields.
fn event(fields: &str) -> String {
    let time = "2025-01-16T08:00:00Z";
    format!("{{\"event_timestamp\":\"{time}\",\"action_type\":\"a\",\"audit_id\":\"o\",{fields}}}")
}

/// Bytes in the place of a text in an event.
fn event_of_bytes(field: &str, bytes: &[u8]) -> Vec<u8> {
    let (before, after) = (event(&format!("\"{field}\":\"")), "\"}");
    let before = before.trim_end_matches('}').as_bytes();
    [before, bytes, after.as_bytes()].concat()
}

fn nested(open: &str, leaf: &str, close: &str, times: usize) -> String {
    format!("{}{leaf}{}", open.repeat(times), close.repeat(times))
}

fn all() -> Vec<Shape> {
    let mut shapes = no_events();
    shapes.extend(numbers_and_names());
    shapes.extend(characters());
    shapes.extend(depths());
    shapes.extend(hidden());
    shapes.extend(times());
    shapes.extend(actions());
    shapes.extend(around());
    // So many fields that nobody asked for, each of another name.
    shapes.extend((0..20).map(|n| {
        let fields: Vec<_> = (0..50).map(|field| format!("\"x{field}\":{field}")).collect();
        let fields = fields.join(",");
        shape(event(&format!("\"k{n}\":{{}},{fields},\"user_email\":\"{EMAIL}\"")), ROW)
    }));
    shapes
}

fn no_events() -> Vec<Shape> {
    vec![
        (Message::from(None), "empty-payload"),
        shape("", "empty-payload"),
        shape(" \n\t", "empty-payload"),
        shape("\0{}", "invalid-json"),
        shape("\u{feff}{}", "invalid-json"),
    ]
}

fn numbers_and_names() -> Vec<Shape> {
    let nines = |n: usize| "9".repeat(n);
    vec![
        shape(event("\"details\":1e99999"), "wrong-type"),
        shape(event("\"x\":1e99999"), ROW),
        shape(event(&format!("\"x\":{}", nines(1_000_000))), ROW),
        shape(event(&format!("\"details\":{{\"n\":{}}}", nines(200_000))), ROW),
        shape(event(r#""details":{"a":-0,"b":1E+400,"c":0.0e-0}"#), ROW),
        shape(event(r#""x":1,"x":2"#), ROW),
        shape(event(r#""user_id":null,"user_id":null"#), "duplicate-field"),
        shape(event(r#""user_id":"a","user\u005fid":"b""#), "duplicate-field"),
    ]
}

fn characters() -> Vec<Shape> {
    vec![
        shape(event(r#""user_id":"\ud83d""#), "invalid-json"),
        shape(event(r#""user_id":"\ude00\ud83d""#), "invalid-json"),
        shape(event(r#""x":"\ud83d""#), "invalid-json"),
        // A surrogate, a zero in two bytes, and a character past the last.
        shape(event_of_bytes("user_id", b"\xed\xa0\xbd"), "invalid-utf8"),
        shape(event_of_bytes("user_id", b"\xc0\x80"), "invalid-utf8"),
        shape(event_of_bytes("x", b"\xf4\x90\x80\x80"), "invalid-utf8"),
        shape([event("\"x\":1").as_bytes(), b"\xff"].concat(), "invalid-utf8|trailing-data"),
    ]
}

fn depths() -> Vec<Shape> {
    let arrays = |times| event(&format!("\"x\":{}", nested("[", "", "]", times)));
    let objects = nested("{\"a\":", "1", "}", 511);
    let brackets = "[".repeat(5_000_000);
    vec![
        shape(arrays(511), ROW),
        shape(arrays(512), "nested-too-deep"),
        shape(event(&format!("\"details\":{objects}")), ROW),
        shape(brackets, "nested-too-deep|not-an-object|invalid-json"),
    ]
}

/// An address and a card number where they are not at once seen.
fn hidden() -> Vec<Shape> {
    let agent = |value: String| shape(event(&format!("\"user_agent\":\"{value}\"")), ROW);
    let escaped = r"al\u0069ce\u0040company.com";
    let within = format!(r#""\"{{\\\"email\\\":\\\"{EMAIL}\\\"}}\"""#);
    vec![
        shape(event(&format!(r#""details":{{"card":{CARD},"e":"{escaped}"}}"#)), ROW),
        shape(event(&format!(r#""details":{{"{EMAIL}":{{"{EMAIL}":1,"{EMAIL}":2}}}}"#)), ROW),
        shape(event(&format!("\"details\":{within}")), ROW),
        agent(format!(r"\u0000{EMAIL}\u0000")),
        agent(format!("{} {EMAIL}", "a".repeat(600_000))),
        agent(format!("{} {EMAIL}", "a".repeat(1 << 20))),
    ]
}

fn times() -> Vec<Shape> {
    let by_kafka = |time| {
        let (message, expected) = shape(event(&format!("\"user_email\":\"{EMAIL}\"")), ROW);
        (Message { time: Some(time), ..message }, expected)
    };
    // The last millisecond of the year 9999, the one after it, and more than microseconds can count.
    let kafka =
        [1, 253_402_300_799_999, 253_402_300_800_000, i64::MAX, i64::MAX / 1000, 4_102_444_800_000];
    let of = |time: &&str, expected| {
        let rest = format!("\"action_type\":\"a\",\"user_email\":\"{EMAIL}\"");
        shape(format!("{{\"event_timestamp\":\"{time}\",{rest}}}"), expected)
    };
    let good = ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"];
    let bad = [
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "0000-12-31T23:59:59Z",
        "2025-01-16T08:00:60Z",
        "\u{ff12}025-01-16T08:00:00Z",
        r"2025-01-16T08:00:00Z\u0000",
    ];
    let mut shapes: Vec<_> = kafka.into_iter().map(by_kafka).collect();
    shapes.extend(good.iter().map(|time| of(time, ROW)));
    shapes.extend(bad.iter().map(|time| of(time, "bad-timestamp")));
    shapes
}

fn actions() -> Vec<Shape> {
    let time = "\"event_timestamp\":\"2025-01-16T08:00:00Z\"";
    let of = |action: &str, expected| {
        shape(format!("{{{time},\"action_type\":\"{action}\"}}"), expected)
    };
    let long = "a".repeat(65);
    let bad = ["..", ".", "a/b", "a b", "é", r"a\u0000", &long, EMAIL, "a%2fb"];
    let mut shapes: Vec<_> = bad.iter().map(|action| of(action, "bad-action")).collect();
    shapes.extend(["CON", "-"].map(|action| of(action, ROW)));
    shapes
}

/// What stands around an event: a key, headers, bytes behind it.
fn around() -> Vec<Shape> {
    let with_email = event(&format!("\"user_email\":\"{EMAIL}\""));
    let header = |n: usize| {
        let name = if n.is_multiple_of(3) { String::new() } else { format!("h\0\u{1f600}{n}") };
        (name, (!n.is_multiple_of(2)).then(|| vec![0; n]))
    };
    let (message, expected) = shape(with_email.as_bytes(), ROW);
    let key = Some(EMAIL.repeat(50_000).into_bytes());
    let headers = (0..300).map(header).collect();
    let unread = format!(r#""\u0000user_id":"{EMAIL}","USER_EMAIL":"x""#);
    let letters = format!(r#""granted":11111,"details":"{}""#, r"\u0041".repeat(100_000));
    vec![
        (Message { key, headers, ..message }, expected),
        shape(format!("{with_email}{{}}"), "trailing-data"),
        shape(format!("{with_email}\0"), "trailing-data"),
        shape(event(&format!("\"user_email\":\"{EMAIL}\",")), "invalid-json"),
        shape(event(&unread), ROW),
        shape(event(&letters), ROW),
    ]
}

/// All detectors, with what they look things up in, and the redactor.
fn config(case: &Case) -> Result<String> {
    fs::write(case.dir.join("roles.csv"), "user_id,role\nada,clerk\n")?;
    let mut entries = vec![String::from(
        "[lookups.roles]\nfile = \"roles.csv\"\nkey = \"user_id\"\n\
         [calendars.office]\ntime-zone = \"Europe/Berlin\"\nhours = [\"mon-fri 09:00-17:00\"]\n",
    )];
    for (name, granted) in [
        ("detect_failed_logins", ""),
        ("detect_ip_spread", ""),
        ("detect_mass_export", ""),
        ("detect_privilege_change", "lookups = [\"roles\"]\nconfig = { roles = \"roles\" }\n"),
        ("detect_unusual_volume", ""),
        ("detect_off_hours", "lookups = [\"office\"]\nconfig = { calendar = \"office\" }\n"),
        ("redact_pii", ""),
    ] {
        entries.push(format!("[[plugin]]\npath = {:?}\n{granted}", env::plugin(name)?));
    }
    Ok(entries.concat())
}

/// What of these texts is in the columns of a table.
fn found(case: &Case, table: &str, needles: &[&str]) -> Result<Value> {
    let path = case.dir.join("needles");
    fs::write(&path, needles.join("\n"))?;
    Ok(case.reader().grep(table, &path)?.0["grep"]["by_column"].clone())
}

fn by_offset(rows: &[Value]) -> Result<BTreeMap<i64, &Value>> {
    let of_records = rows.iter().filter(|row| !row["source_offset"].is_null());
    let offset = |row: &Value| row["source_offset"].as_i64().context("a row without offset");
    of_records.map(|row| Ok((offset(row)?, row))).collect()
}

#[test]
fn odd_records_end_as_documented_and_show_nothing() -> Result<()> {
    let topic = "strangers-odd-records";
    broker::create_topic_of_any_time(topic, 1)?;
    let case = Case { topic: topic.to_owned(), n_partitions: 1, dir: env::folder(topic)? };
    let (messages, expected): (Vec<_>, Vec<_>) = all().into_iter().unzip();
    let starts: Vec<String> = messages.iter().map(start).collect();
    broker::send_messages(topic, messages.into_iter().map(|message| (0, message)))?;
    let ended = host(&case, &config(&case)?)?.args(&["--until-end"]).succeed()?;
    let peak = ended.peak_rss_bytes()?;
    ensure!(peak < RSS_BYTES_MAX, "{} MiB of memory", peak >> 20);
    ensure!(!ended.stderr.contains(EMAIL) && !ended.stderr.contains(CARD), "{}", ended.stderr);

    let (_, rows) = case.reader().rows(TABLE, &["source_offset"])?;
    let letters = ["source_offset", "reason_class", "reason"];
    let (_, letters) = case.reader().rows(DEAD_LETTERS, &letters)?;
    ensure!(rows.len() + letters.len() == expected.len(), "a record is lost or came twice");
    let (rows, letters) = (by_offset(&rows)?, by_offset(&letters)?);
    let mut wrong = Vec::new();
    for (offset, (expected, start)) in (0..).zip(expected.iter().zip(&starts)) {
        let seen = match (rows.get(&offset), letters.get(&offset)) {
            (Some(_), None) => ROW.to_owned(),
            (None, Some(letter)) => text(&letter["reason_class"]),
            _ => "both or neither".to_owned(),
        };
        if !expected.split('|').any(|class| class == seen) {
            wrong.push(format!("{offset}: {seen}, not {expected}: {start}"));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    // One text of each table is looked for that is in it.
    let stored = found(&case, TABLE, &["alice@company", CARD, "CON"])?;
    ensure!(stored == json!({ "action_type": { "CON": 1 } }), "stored: {stored}");
    let kept = found(&case, DEAD_LETTERS, &["alice@company", CARD, "wrong-type"])?;
    ensure!(kept == json!({ "reason_class": { "wrong-type": 1 } }), "kept: {kept}");
    Ok(())
}

/// The beginning of a record, for an error.
fn start(message: &Message) -> String {
    let payload = message.payload.as_deref().unwrap_or(b"null payload");
    String::from_utf8_lossy(payload).chars().skip(60).take(100).collect()
}
