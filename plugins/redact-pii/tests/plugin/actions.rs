//! Actions that the host does under its keys, networks, and statements without literals.

use audit_plugin_sdk::testing::{self, BatchBuilder, Transformer};
use redact_pii::RedactPii;

use crate::common::redact;

fn plugin(config: &str) -> Transformer<RedactPii> {
    testing::grant_key("pii", b"0123456789abcdef0123456789abcdef");
    Transformer::new(config).expect("a good configuration")
}

#[test]
fn tokens_keep_equality() {
    let mut plugin = plugin(
        r#"{"fields": {"user_email": "keep", "who": "token"}, "free-text": ["text"],
            "details-paths": {"granted_to": "keep"},
            "free-text-action": "token", "token-key": "pii"}"#,
    );
    let keeping: Vec<bool> =
        plugin.writes().iter().map(|column| column.preserves_equality).collect();
    assert_eq!(keeping, [true, false]);
    let batch = BatchBuilder::new(3)
        .utf8("who", &[Some("bob@x.com"), None, Some("bob@x.com")])
        .utf8("text", &[Some("by bob@x.com, eve@x.com!"), Some("nobody"), Some("bob@x.com")])
        .build();
    let judgement = plugin.process(&batch).expect("a judgement");
    let who = testing::texts(&judgement, "who");
    let token = who[0].expect("a value");
    assert!(token.starts_with("tok_") && !token.contains('@'), "{token}");
    assert_eq!((who[1], who[2]), (None, Some(token)));
    let texts = testing::texts(&judgement, "text");
    let first = texts[0].expect("a value");
    assert!(first.starts_with(&format!("by {token}, tok_")) && first.ends_with('!'), "{first}");
    assert_eq!(texts[1..], [Some("nobody"), Some(token)]);
}

#[test]
fn values_are_encrypted_for_their_subject() {
    let mut plugin = plugin(
        r#"{"fields": {"user_email": "keep", "mail": "encrypt"}, "free-text": ["details"],
            "free-text-action": "encrypt",
            "details-paths": {"name": "encrypt"}, "encryption-key": "pii", "subject": "user_id"}"#,
    );
    assert!(plugin.writes().iter().all(|column| !column.preserves_equality));
    let details = Some(r#"{"name": "Bob", "note": "ask bob@x.com"}"#);
    let batch = BatchBuilder::new(4)
        .utf8("mail", &[Some("bob@x.com"), Some("bob@x.com"), Some("bob@x.com"), None])
        .utf8("details", &[details, details, details, None])
        .utf8("user_id", &[Some("u1"), Some("u2"), None, Some("u4")])
        .build();
    let judgement = plugin.process(&batch).expect("a judgement");
    let mails = testing::texts(&judgement, "mail");
    let first = mails[0].expect("a value");
    assert!(first.starts_with("enc_v1."), "{first}");
    assert_ne!(mails[0], mails[1], "another subject has another key");
    assert_eq!(mails[2..], [Some("[REDACTED]"), None], "nobody to encrypt for");
    let details = testing::texts(&judgement, "details");
    let text = details[0].expect("a value");
    assert!(!text.contains("Bob") && !text.contains("bob@"), "{text}");
    let values: serde_json::Value = serde_json::from_str(text).expect("still JSON");
    assert!(values["name"].as_str().is_some_and(|name| name.starts_with("enc_v1.")), "{text}");
    assert!(values["note"].as_str().is_some_and(|note| note.starts_with("ask enc_v1.")), "{text}");
    assert_eq!(details[2], Some(r#"{"name": "[REDACTED]", "note": "ask [REDACTED]"}"#));
    assert_eq!(details[3], None);
}

#[test]
fn addresses_become_networks() {
    let config = r#"{"fields": {"user_email": "keep", "c": "generalise"},
        "details-paths": {"granted_to": "keep"}, "free-text": []}"#;
    for (value, expected) in [
        ("203.0.113.45", "203.0.113.0/24"),
        ("2001:db8:85a3:1:2:8a2e:370:7334", "2001:db8:85a3::/48"),
        ("::ffff:192.0.2.128", "::ffff:192.0.2.0/120"),
        ("203.0.113.999", "[REDACTED]"),
        ("bob", "[REDACTED]"),
        ("", "[REDACTED]"),
    ] {
        assert_eq!(redact(config, "c", value), expected, "{value}");
    }
    let config = r#"{"fields": {"user_email": "keep"}, "details-paths": {"ip": "generalise"}, "free-text": ["details"],
        "free-text-action": "generalise"}"#;
    let details =
        r#"{"ip":"10.1.2.3","text":"10.1.2.3, 10.9.8.7/16 and 2001:db8:1::2 of bob@x.com"}"#;
    let expected =
        r#"{"ip":"10.1.2.0/24","text":"10.1.2.0/24, 10.9.8.0/16 and 2001:db8:1::/48 of [EMAIL]"}"#;
    assert_eq!(redact(config, "details", details), expected);
    let text = r#"{"text":"10.1.2.0/24, 10.9.8.0/16 and 2001:db8:1::/48 of [EMAIL]"}"#;
    assert_eq!(redact(config, "details", text), text, "it is not found again");
}

#[test]
fn statements_lose_their_literals() {
    let config = r#"{"fields": {"user_email": "keep", "resource_name": "sql-literals"}, "free-text": ["details"],
        "details-paths": {"query": "sql-literals"}}"#;
    let details =
        r#"{"query":"SELECT * FROM \"t\" WHERE name = 'O''Neill' AND n > 1000","rows":5000}"#;
    let expected = r#"{"query":"SELECT * FROM \"t\" WHERE name = ? AND n > ?","rows":5000}"#;
    let batch_of = |value: &str| {
        BatchBuilder::new(1).utf8("details", &[Some(value)]).utf8("resource_name", &[None]).build()
    };
    let judgement = plugin(config).process(&batch_of(details)).expect("a judgement");
    assert_eq!(testing::texts(&judgement, "details"), [Some(expected)]);
    let config = r#"{"fields": {"user_email": "keep", "c": "sql-literals"},
        "details-paths": {"granted_to": "keep"}, "free-text": []}"#;
    let sql = "SELECT a FROM t WHERE b IN ('x', 2) -- for bob@x.com";
    assert_eq!(redact(config, "c", sql), "SELECT a FROM t WHERE b IN (?, ?) ");
    assert_eq!(redact(config, "c", "SELECT `bob@x.com`"), "SELECT `[EMAIL]`");
    assert_eq!(redact(config, "c", "SELECT `bob\\u0040x.com`"), "[REDACTED]");
    for statement in ["SELECT 1 # Bob", "SELECT 1 /* a /* b */ Bob */", "SELECT '''Bob's'''"] {
        assert!(!redact(config, "c", statement).contains("Bob"), "{statement}");
    }
}

#[test]
fn counts_are_logged_on_request_and_values_never() {
    let config = r#"{"fields": {"user_email": "keep"}, "details-paths": {"granted_to": "keep"},
        "free-text": ["c"], "log-counts": true}"#;
    redact(config, "c", "bob@x.com, eve@x.com from 10.0.0.1");
    let lines = testing::take_log();
    let texts: Vec<&str> = lines.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(texts, ["found email 2, ip 1"]);
    redact(config, "c", "nothing");
    assert!(testing::take_log().is_empty());
}
