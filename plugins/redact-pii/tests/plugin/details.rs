//! The JSON text of `details`: paths, escapes, numbers, keys, and what is no JSON.

use crate::common::redact;
use audit_plugin_sdk::testing;

fn check(config: &str, cases: &[(&str, &str)]) {
    let mut wrong = Vec::new();
    for &(text, expected) in cases {
        let got = redact(config, "details", text);
        if got != expected {
            wrong.push(format!("{text} became {got}, not {expected}"));
        }
        let was_json = serde_json::from_str::<serde_json::Value>(text).is_ok();
        let is_json = serde_json::from_str::<serde_json::Value>(&got).is_ok();
        if was_json && !is_json {
            wrong.push(format!("{text} became {got}, which is no JSON"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

const DETAILS_ONLY: &str = r#"{"fields": {"user_email": "keep"}, "free-text": ["details"]}"#;

#[test]
fn the_seed_with_the_defaults() {
    check(
        DETAILS_ONLY,
        &[
            (
                r#"{"permission": "READ", "granted_to": "alice@company.com"}"#,
                r#"{"permission": "READ", "granted_to": "a***@company.com"}"#,
            ),
            (
                r#"{"query": "SELECT * FROM customer_data.transactions WHERE amount > 1000", "rows_returned": 5000}"#,
                r#"{"query": "SELECT * FROM customer_data.transactions WHERE amount > 1000", "rows_returned": 5000}"#,
            ),
            (
                r#"{"format": "CSV", "rows_exported": 41234, "file_size_mb": 123.45}"#,
                r#"{"format": "CSV", "rows_exported": 41234, "file_size_mb": 123.45}"#,
            ),
            (r#"{"action": "user_login"}"#, r#"{"action": "user_login"}"#),
            (
                r#"{"query": "SELECT 1 FROM u WHERE email = 'bob@x.com'"}"#,
                r#"{"query": "SELECT 1 FROM u WHERE email = '[EMAIL]'"}"#,
            ),
        ],
    );
}

#[test]
fn escapes_hide_nothing() {
    check(
        DETAILS_ONLY,
        &[
            (r#"{"a":"bob\u0040x.com"}"#, r#"{"a":"[EMAIL]"}"#),
            (
                r#"{"a":"say \"hi\" to bob\u0040x.com\n\u0001"}"#,
                r#"{"a":"say \"hi\" to [EMAIL]\n\u0001"}"#,
            ),
            (r#"{"a":"\u0034111111111111111"}"#, r#"{"a":"[CARD]"}"#),
            (r#"{"grant\u0065d_to":"somebody else"}"#, r#"{"grant\u0065d_to":"*********else"}"#),
            (r#"{"a":"030\/90182012"}"#, r#"{"a":"[PHONE]"}"#),
            (r#"{"a":"\ud83d\ude00 bob\u0040x.com"}"#, "{\"a\":\"\u{1f600} [EMAIL]\"}"),
            (r#"{"a":"\ud83d bob\u0040x.com"}"#, "{\"a\":\"\u{fffd} [EMAIL]\"}"),
            (r#"{"a":"plain \u0041 \"text\""}"#, r#"{"a":"plain \u0041 \"text\""}"#),
            // JSON in a string.
            (r#"{"a":"{\"mail\":\"bob@x.com\"}"}"#, r#"{"a":"{\"mail\":\"[EMAIL]\"}"}"#),
            (r#"{"a":"{\"mail\":\"bob\\u0040x.com\"}"}"#, r#"{"a":"[REDACTED]"}"#),
            (r#"{"a":"{\\\"mail\\\":\\\"bob\\\\u0040x.com\\\"}"}"#, r#"{"a":"[REDACTED]"}"#),
        ],
    );
}

#[test]
fn keys_numbers_and_bare_values_are_searched() {
    check(
        DETAILS_ONLY,
        &[
            (r#"{"bob@x.com":1}"#, r#"{"[EMAIL]":1}"#),
            (r#"{"a":4111111111111111}"#, r#"{"a":"[CARD]"}"#),
            (r#"{"a":-4111111111111111}"#, r#"{"a":"[CARD]"}"#),
            (r#"{"a":4111111111111111.0}"#, r#"{"a":"[CARD]"}"#),
            (r#"{"a":4.111111111111111e15}"#, r#"{"a":"[CARD]"}"#),
            ("[4111111111111111, 4111111111111112]", r#"["[CARD]", 4111111111111112]"#),
            (r#""bob@x.com""#, r#""[EMAIL]""#),
            ("4111111111111111", r#""[CARD]""#),
            (r#" {"a" : [ "x", {"b":"10.0.0.1"} ] } "#, r#" {"a" : [ "x", {"b":"[IP]"} ] } "#),
            (
                r#"{"at":"2025-01-16T10:20:30+01:00","n":1736985600000}"#,
                r#"{"at":"2025-01-16T10:20:30+01:00","n":1736985600000}"#,
            ),
            (
                r#"{"id":"550e8400-e29b-41d4-a716-446655440000"}"#,
                r#"{"id":"550e8400-e29b-41d4-a716-446655440000"}"#,
            ),
        ],
    );
}

#[test]
fn paths() {
    let config = r#"{"fields": {"user_email": "keep"}, "detectors": [], "free-text": [], "details-paths": {
        "name": "redact", "a.b": {"action": "mask"}, "items[*].email": "drop", "$.rows[1]": "redact",
        "box": "mask", "box.open": "keep", "gone": "drop", "deep": "redact"}}"#;
    check(
        config,
        &[
            (r#"{"name":"Bob","b":"x"}"#, r#"{"name":"[REDACTED]","b":"x"}"#),
            (r#"{"x":{"name":"Bob"}}"#, r#"{"x":{"name":"Bob"}}"#),
            (r#"{"a":{"b":"0123456789","c":"y"}}"#, r#"{"a":{"b":"******6789","c":"y"}}"#),
            (r#"{"a":{"b":12345678901}}"#, r#"{"a":{"b":"*******8901"}}"#),
            (r#"{"a":{"b":null}}"#, r#"{"a":{"b":null}}"#),
            (r#"{"a":{"b":true}}"#, r#"{"a":{"b":"****"}}"#),
            (r#"{"a":[{"b":"untouched"}]}"#, r#"{"a":[{"b":"untouched"}]}"#),
            (r#"{"a":{"b":"quote\"back\\ss\n\""}}"#, r#"{"a":{"b":"***********ss\n\""}}"#),
            (
                r#"{"items":[{"email":"x"},{"email":"y","z":1}]}"#,
                r#"{"items":[{"email":null},{"email":null,"z":1}]}"#,
            ),
            (r#"{"rows":["a","b","c"]}"#, r#"{"rows":["a","[REDACTED]","c"]}"#),
            (
                r#"{"box":{"open":"abcdefghij","shut":["abcdefghij"]}}"#,
                r#"{"box":{"open":"abcdefghij","****":["******ghij"]}}"#,
            ),
            (r#"{"gone":{"x":[1,{"y":2}]},"z":[]}"#, r#"{"gone":null,"z":[]}"#),
            (r#"{"deep":[[["x"]]],"name":"n"}"#, r#"{"deep":"[REDACTED]","name":"[REDACTED]"}"#),
            ("{}", "{}"),
        ],
    );
    let config = r#"{"fields": {"user_email": "keep"}, "detectors": [], "free-text": [], "details-paths": {"[*].n": "redact"}}"#;
    check(config, &[(r#"[{"n":1},{"m":1}]"#, r#"[{"n":"[REDACTED]"},{"m":1}]"#)]);
}

#[test]
fn what_is_no_json_is_free_text_or_nothing() {
    let deep = format!("{}\"bob@x.com\"{}", "[".repeat(200), "]".repeat(200));
    let deep_redacted = deep.replace("bob@x.com", "[EMAIL]");
    let deep_path = format!("{}{{\"granted_to\":\"bob\"}}{}", "[".repeat(200), "]".repeat(200));
    check(
        DETAILS_ONLY,
        &[
            ("login by bob@x.com failed", "login by [EMAIL] failed"),
            (r#"{"a":"bob@x.com"#, r#"{"a":"[EMAIL]"#),
            (r#"{"a":"bob@x.com",}"#, r#"{"a":"[EMAIL]",}"#),
            (r#"{"a":"b"} trailing bob@x.com"#, r#"{"a":"b"} trailing [EMAIL]"#),
            ("{'a':'bob@x.com'}", "{'a':'[EMAIL]'}"),
            (r#"{"a":01,"b":"bob@x.com"}"#, r#"{"a":01,"b":"[EMAIL]"}"#),
            (r#"{"granted_to":"somebody"#, "[REDACTED]"),
            (r#"{"granted\u005fto":"somebody"#, "[REDACTED]"),
            (r"say bob\u0040x.com", "[REDACTED]"),
            (r"C:\temp\x bob@x.com", r"C:\temp\x [EMAIL]"),
            ("", ""),
            (&deep, &deep_redacted),
            (&deep_path, "[REDACTED]"),
        ],
    );
}

#[test]
fn hashes_are_filled_in_by_row() {
    testing::grant_key("pii", b"secret");
    let config = r#"{"fields": {"user_email": "keep"}, "free-text-action": "hash", "free-text": ["details"],
        "details-paths": {"who": "hash"}, "hash-key": "pii"}"#;
    let hash = |value: &str| {
        let column = testing::utf8(&[Some(value)]);
        let digests = audit_plugin_sdk::crypto::keyed_hash("pii", &column).expect("granted");
        let digest = digests.get(0).expect("one");
        let first = u128::from_be_bytes(*digest.first_chunk().expect("32 bytes"));
        let id = audit_plugin_sdk::crypto::key_id("pii").expect("granted");
        format!("hmac-sha256:{id}:{first:032x}")
    };
    let mut plugin =
        testing::Transformer::<redact_pii::RedactPii>::new(config).expect("a good configuration");
    let values = [
        Some(r#"{"who":"Bob \"B\"","mail":"bob@x.com, eve@x.com"}"#),
        None,
        Some(r#"{"nothing":1}"#),
        Some(r#"{"mail":"eve@x.com", broken"#),
        Some(r#"{"mail":"say \"hi\" bob\u0040x.com"}"#),
    ];
    let batch = testing::BatchBuilder::new(5).utf8("details", &values).build();
    let judgement = plugin.process(&batch).expect("a judgement");
    let (bob, eve) = (hash("bob@x.com"), hash("eve@x.com"));
    let first = format!(r#"{{"who":"{}","mail":"{bob}, {eve}"}}"#, hash("Bob \"B\""));
    let fourth = format!(r#"{{"mail":"{eve}", broken"#);
    let fifth = format!(r#"{{"mail":"say \"hi\" {bob}"}}"#);
    let expected = [Some(&*first), None, values[2], Some(&*fourth), Some(&*fifth)];
    assert_eq!(testing::texts(&judgement, "details"), expected);
}
