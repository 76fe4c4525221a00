//! Cases on the built-in plugins.

use audit_chain::{Engine, Keys, Limits, PluginSource};
use serde_json::{Value, json};

use super::*;
use crate::builtin;

/// A custom section with these cases, for tests of what reads them.
pub(crate) fn section_of(cases: &str) -> Vec<u8> {
    let mut section = Vec::new();
    audit_golden::append_custom(&mut section, audit_golden::SECTION, cases.as_bytes());
    section
}

/// A built-in plugin whose own cases are not found: their section has another name.
pub(crate) fn without_cases(builtin: &str) -> Vec<u8> {
    let mut component = builtin::component(builtin).unwrap_or_default().to_vec();
    let name = audit_golden::SECTION.as_bytes();
    let found = component.windows(name.len()).position(|bytes| bytes == name);
    if let Some(byte) = found.and_then(|at| component.get_mut(at)) {
        *byte = b'A';
    }
    component
}

fn plugin(name: &str) -> PluginSource {
    PluginSource::new(name, builtin::component(name).unwrap())
}

fn case(object: &Value) -> Case {
    let component = [b"\0asm\x0d\0\x01\0", section_of(&format!("[{object}]")).as_slice()].concat();
    embedded(&component).unwrap().remove(0)
}

fn login(minute: usize) -> Value {
    json!({
        "event_timestamp": format!("2025-01-16T08:{minute:02}:00Z"), "action_type": "user_login",
        "action_result": "failure", "ip_address": "192.0.2.1", "user_id": "u1",
        "user_email": "alice@example.com",
    })
}

fn texts(mismatches: &[Mismatch]) -> Vec<String> {
    mismatches.iter().map(ToString::to_string).collect()
}

#[test]
fn a_transform_gives_the_columns_that_it_writes_and_dead_letters() {
    let engine = Engine::new().unwrap();
    let config = json!({"fields": {"user_email": "mask"}, "free-text": [], "details-paths": {"granted_to": "keep"}});
    let mut case = case(&json!({
        "name": "x", "config": config, "events": [login(0), "no json", login(1)],
    }));
    let outcome = run(&engine, &plugin("redact_pii"), &case).unwrap();
    let row = |offset| json!({"offset": offset, "user_email": "a***@example.com"});
    assert_eq!(outcome.rows, [row(0), row(2)]);
    assert_eq!(outcome.split_rows, outcome.rows);
    let letter = &outcome.dead_letters[0];
    assert_eq!((&letter["offset"], &letter["class"]), (&json!(1), &json!("invalid-json")));
    assert!(outcome.writes_columns && !outcome.is_detector && outcome.alerts.is_empty());

    let missing = texts(&compare(&case, &outcome));
    assert_eq!(missing.len(), 2);
    assert!(missing[0].starts_with("there is no rows.jsonl"), "{missing:?}");
    case.expected = outcome.as_expected();
    assert_eq!(compare(&case, &outcome), []);
    case.expected.dead_letters = Some(vec![json!({"offset": 1, "class": "invalid-json"})]);
    assert_eq!(compare(&case, &outcome), [], "a reason that is left out matches any");
    case.expected.rows = Some(vec![row(0)]);
    let text = texts(&compare(&case, &outcome)).concat();
    assert_eq!(
        text,
        "rows.jsonl (- expected, + found):\n  + {\"offset\":2,\"user_email\":\"a***@example.com\"}"
    );
    let mut split = outcome.clone();
    case.expected = outcome.as_expected();
    split.split_rows.pop();
    assert!(texts(&compare(&case, &split))[0].contains("in two batches"));
}

#[test]
fn a_detector_gives_alerts_that_a_rebuild_does_not_change() {
    let engine = Engine::new().unwrap();
    let events: Vec<_> = (0..7).map(login).collect();
    let mut case = case(&json!({"name": "x", "events": events, "topic": "t", "rows": []}));
    let outcome = run(&engine, &plugin("detect_failed_logins"), &case).unwrap();
    assert_eq!((outcome.alerts.len(), outcome.rows.len()), (1, 7));
    let alert = &outcome.alerts[0];
    assert_eq!((&alert["rule"], &alert["count"]), (&json!("failed-logins"), &json!(6)));
    assert_eq!(alert["events"][0], json!({"topic": "t", "partition": 0, "offset": 0}));
    assert_eq!((alert.get("id"), alert.get("plugin")), (None, None));
    assert!(alert.to_string().starts_with("{\"count\":6,\"events\":["), "keys are in order");
    // Its rows are compared only where the case expects some.
    case.expected.alerts = Some(outcome.alerts.clone());
    assert_eq!(compare(&case, &outcome), []);
    case.expected.rows = Some(vec![json!({"offset": 0})]);
    assert_eq!(compare(&case, &outcome).len(), 1);
}

#[test]
fn the_clock_of_a_case_is_the_time_of_its_records() {
    let engine = Engine::new().unwrap();
    let events: Vec<_> = (0..7).map(login).collect();
    // An hour before the events, which are then cut to five minutes later: one moment.
    let clock = 1_737_010_800_000_000_i64;
    let case = case(&json!({"name": "x", "events": events, "clock": clock}));
    let outcome = run(&engine, &plugin("detect_failed_logins"), &case).unwrap();
    assert_eq!(outcome.alerts[0]["window_start"], "2025-01-16T07:05:00Z");
    assert_eq!(outcome.alerts[0]["window_start"], outcome.alerts[0]["last_event"]);
}

#[test]
fn a_case_has_keys_of_its_own_and_no_others() {
    let engine = Engine::new().unwrap();
    let config = json!({"fields": {"user_email": "hash"}, "hash-key": "k"});
    let object =
        json!({"name": "x", "config": config, "events": [login(0)], "keys": {"k": "test"}});
    let outcome = run(&engine, &plugin("redact_pii"), &case(&object)).unwrap();
    let hash = outcome.rows[0]["user_email"].as_str().unwrap();
    assert!(
        hash.starts_with(&format!("hmac-sha256:{}:", audit_chain::Key::new(b"test").id())),
        "{hash}"
    );

    let mut real = plugin("redact_pii");
    real.keys = Keys::from([("k".to_owned(), audit_chain::Key::new(b"a real secret"))]);
    let without = case(&json!({"name": "x", "config": config, "events": [login(0)]}));
    let refused = run(&engine, &real, &without).unwrap_err();
    assert!(matches!(refused, Error::Load { .. }), "{refused}");
}

#[test]
fn limits_hold_and_what_they_stop_is_a_dead_letter() {
    let engine = Engine::new().unwrap();
    let mut source = plugin("redact_pii");
    source.on_error = audit_chain::OnError::Halt;
    source.limits = Limits { memory_bytes: 4 << 20, ..Limits::default() };
    let large = json!({
        "event_timestamp": "2025-01-16T08:00:00Z", "action_type": "x",
        "details": "x".repeat(3 << 20),
    });
    let mut case = case(&json!({"name": "x", "events": [login(0)]}));
    case.events.push(large.to_string().into_bytes());
    let outcome = run(&engine, &source, &case).unwrap();
    assert_eq!(outcome.rows.len(), 1);
    let letter = &outcome.dead_letters[0];
    assert_eq!((&letter["offset"], &letter["class"]), (&json!(1), &json!("plugin-fault")));
    assert!(letter["reason"].as_str().unwrap().contains("bytes of memory"), "{letter}");
}

#[test]
fn a_component_proves_itself_by_the_cases_that_it_carries() {
    let engine = Engine::new().unwrap();
    let carrying = |cases: &Value| {
        let mut component = without_cases("redact_pii");
        component.extend(section_of(&cases.to_string()));
        PluginSource::new("x.wasm", component)
    };
    assert_eq!(prove(&engine, &carrying(&json!([]))).unwrap(), 0);
    assert!(prove(&engine, &plugin("redact_pii")).unwrap() > 0, "ours carry their own");
    let config = json!({"fields": {"user_email": "drop"}, "free-text": [], "details-paths": {"granted_to": "keep"}});
    let case = |name: &str, email: Value| {
        let rows = [json!({"offset": 0, "user_email": email})];
        json!({"name": name, "config": config, "events": [login(0)], "rows": rows})
    };
    let (good, bad) = (case("good", Value::Null), case("bad", json!("alice@example.com")));
    assert_eq!(prove(&engine, &carrying(&json!([good]))).unwrap(), 1);
    let refused = prove(&engine, &carrying(&json!([good, bad]))).unwrap_err().to_string();
    assert!(refused.starts_with("the golden case \"bad\" failed: rows.jsonl"), "{refused}");
    let unreadable = prove(&engine, &carrying(&json!([{"name": "x"}]))).unwrap_err();
    assert!(matches!(unreadable, Error::Format(_)), "{unreadable}");
}
