//! Records that no producer should send, and how `docs/events.md` says each is handled.

use audit_tests::broker::Payload;
use serde_json::{Value, json};

/// Is part of bad records, and must not be seen in a reason or a log line.
pub(crate) const MARK: &str = "SENSITIVE-VALUE";

const TIME: &str = "2026-01-05T10:00:00Z";
const NESTED: usize = 100_000;

/// How a record ends.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Expect {
    /// A row with this action.
    Row(String),
    /// A dead letter of this class.
    DeadLetter(String),
}

pub(crate) struct Record {
    pub(crate) name: &'static str,
    pub(crate) payload: Payload,
    pub(crate) expect: Expect,
}

/// An event with this action at this time.
pub(crate) fn event(action: &str, time: &str) -> Vec<u8> {
    bytes(&json!({"audit_id": "1", "event_timestamp": time, "action_type": action}))
}

fn bytes(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

/// An event in which one field is replaced, or added.
fn event_with(field: &str, value: Value) -> Vec<u8> {
    let mut event = json!({"audit_id": "1", "event_timestamp": TIME, "action_type": "data_read"});
    event[field] = value;
    bytes(&event)
}

fn event_without(field: &str) -> Vec<u8> {
    let mut event = json!({"audit_id": "1", "event_timestamp": TIME, "action_type": "data_read"});
    event.as_object_mut().map(|fields| fields.remove(field));
    bytes(&event)
}

fn dead(name: &'static str, class: &str, payload: impl Into<Payload>) -> Record {
    let expect = Expect::DeadLetter(class.to_owned());
    Record { name, payload: payload.into(), expect }
}

fn row(name: &'static str, payload: impl Into<Payload>) -> Record {
    Record { name, payload: payload.into(), expect: Expect::Row("data_read".to_owned()) }
}

pub(crate) fn all() -> Vec<Record> {
    // Good records first, last and between: a bad one must not affect its neighbors.
    let good = || row("a good record", event("data_read", TIME));
    let mut records = vec![good()];
    records.extend(no_events());
    records.push(good());
    records.extend(fields());
    records.extend(times());
    records.push(good());
    records.extend(actions());
    records.extend(sizes());
    records.push(good());
    records
}

fn no_events() -> Vec<Record> {
    let one = event("data_read", TIME);
    let two = [one.as_slice(), b"\n", &one].concat();
    let mut with_mark = b"\xef\xbb\xbf".to_vec();
    with_mark.extend(&one);
    vec![
        dead("not JSON", "invalid-json", MARK.as_bytes().to_vec()),
        dead("half an object", "invalid-json", one[..one.len() - 1].to_vec()),
        dead("a byte order mark", "invalid-json", with_mark),
        dead("a schema registry's header", "invalid-json", b"\0\0\0\0\x07{}".to_vec()),
        dead("an array", "not-an-object", b"[{}]".to_vec()),
        dead("text", "not-an-object", format!("\"{MARK}\"").into_bytes()),
        dead("a number", "not-an-object", b"42".to_vec()),
        dead("true", "not-an-object", b"true".to_vec()),
        dead("null", "not-an-object", b"null".to_vec()),
        dead("two objects", "trailing-data", two),
        dead("an object and rubbish", "trailing-data", [&one[..], b"}"].concat()),
        dead("no bytes", "empty-payload", b"".to_vec()),
        dead("white space", "empty-payload", b" \r\n\t".to_vec()),
        dead("a null payload", "empty-payload", None),
        dead("no UTF-8", "invalid-utf8", b"{\"action_type\":\"\xff\xfe\"}".to_vec()),
        dead("UTF-16", "invalid-utf8", b"\xff\xfe{\0}\0".to_vec()),
        dead("open brackets", "nested-too-deep", "[".repeat(NESTED).into_bytes()),
        dead("nested arrays", "nested-too-deep", nested("[", "]")),
        dead("nested objects", "nested-too-deep", nested("{\"a\":", "}")),
    ]
}

/// An event with 100,000 levels in a field that nobody reads.
fn nested(open: &str, close: &str) -> Vec<u8> {
    let deep = format!("{}1{}", open.repeat(NESTED), close.repeat(NESTED));
    format!(r#"{{"event_timestamp":"{TIME}","action_type":"data_read","x":{deep}}}"#).into_bytes()
}

fn fields() -> Vec<Record> {
    let twice = |field: &str, value: &str| {
        let more = format!(r#""{field}":"{value}","{field}":"{value}""#);
        format!(r#"{{"event_timestamp":"{TIME}","action_type":"data_read",{more}}}"#).into_bytes()
    };
    vec![
        dead("a field twice", "duplicate-field", twice("user_id", MARK)),
        dead("a required field twice", "duplicate-field", twice("action_type", MARK)),
        row("an unknown field twice", twice("colour", "red")),
        dead("a number as user", "wrong-type", event_with("user_id", json!(42))),
        dead("true as user", "wrong-type", event_with("user_id", json!(true))),
        dead("an object as user", "wrong-type", event_with("user_id", json!({"is": MARK}))),
        dead("an array as address", "wrong-type", event_with("ip_address", json!(["1.2.3.4"]))),
        dead("a number as details", "wrong-type", event_with("details", json!(42))),
        row("an object as details", event_with("details", json!({"a": [1, null]}))),
        row("odd text as details", event_with("details", json!("{\"a\":"))),
        row("an unknown field", event_with("colour", json!({"of": ["any", "type"]}))),
        row("a null field", event_with("user_id", Value::Null)),
        row("only what is required", event_without("audit_id")),
        dead("no action", "missing-field", event_without("action_type")),
        dead("a null action", "missing-field", event_with("action_type", Value::Null)),
        dead("no time", "missing-field", event_without("event_timestamp")),
        dead("a null time", "missing-field", event_with("event_timestamp", Value::Null)),
        dead("nothing at all", "missing-field", b"{}".to_vec()),
    ]
}

fn times() -> Vec<Record> {
    let good = [
        "9999-12-31T23:59:59.999999Z",
        "0001-01-01T00:00:00Z",
        "1969-12-31T23:59:59.999999Z",
        "2026-01-05 10:00:00",
        "2026-01-05T10:00:00.123456789+02:00",
    ];
    let bad = [
        MARK,
        "",
        "0000-01-01T00:00:00Z",
        "-0001-01-01T00:00:00Z",
        "10000-01-01T00:00:00Z",
        "9999-12-31T23:59:59-01:00",
        "2026-02-30T00:00:00Z",
        "2026-01-05T24:00:00Z",
        "2026-01-05",
        "1767607200",
    ];
    let mut records: Vec<_> =
        good.iter().map(|time| row("a good time", event("data_read", time))).collect();
    let letter = |time: &&str| dead("a bad time", "bad-timestamp", event("data_read", time));
    records.extend(bad.iter().map(letter));
    let number = event_with("event_timestamp", json!(1_767_607_200));
    records.push(dead("a number as time", "wrong-type", number));
    records
}

/// An action names a folder: what is no plain token is a dead letter.
fn actions() -> Vec<Record> {
    let odd =
        ["null".to_owned(), "__HIVE_DEFAULT_PARTITION__".into(), "..a".into(), "x".repeat(64)];
    let row = |action: String| Record {
        name: "an odd action",
        payload: Some(event(&action, TIME)),
        expect: Expect::Row(action),
    };
    let actions = [
        String::new(),
        ".".into(),
        "..".into(),
        "../../../../../../tmp/escaped".into(),
        "/".into(),
        "/etc/escaped".into(),
        "%".into(),
        "%2e%2e%2f".into(),
        "%00".into(),
        "a\0b".into(),
        "a\nb".into(),
        "a=b/c=d".into(),
        " ".into(),
        "ünïcödé 🦀".into(),
        "C:\\windows".into(),
        "?a#b&c".into(),
        "alice@company.com".into(),
        "x".repeat(65),
        "x".repeat(300),
        "🦀".repeat(300),
    ];
    let letter = |action: String| dead("no action", "bad-action", event(&action, TIME));
    odd.map(row).into_iter().chain(actions.map(letter)).collect()
}

fn sizes() -> Vec<Record> {
    let large = |n_bytes: usize| event_with("details", json!("x".repeat(n_bytes)));
    vec![
        row("1 MiB", large(1 << 20)),
        dead("1 MiB of no JSON", "invalid-json", vec![b'x'; 1 << 20]),
        dead("100 MiB", "record-too-large", large(100 << 20)),
        dead("100 MiB of no JSON", "record-too-large", vec![b'['; 100 << 20]),
    ]
}
