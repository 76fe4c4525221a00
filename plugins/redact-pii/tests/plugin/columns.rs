//! Whole columns, the configuration, and what holds for any input.

use crate::common::{TEXT_ONLY, redact};
use audit_plugin_sdk::testing::{self, BatchBuilder, Transformer};
use redact_pii::RedactPii;

#[test]
fn the_defaults_write_what_they_can_change() {
    let plugin = Transformer::<RedactPii>::new("{}").expect("a good configuration");
    let columns = [
        "user_email",
        "details",
        "resource_name",
        "resource_id",
        "user_agent",
        "user_id",
        "session_id",
        "ip_address",
        "resource_type",
        "action_result",
    ];
    assert_eq!(plugin.reads(), columns);
    let writes: Vec<(&str, bool)> = plugin
        .writes()
        .iter()
        .map(|column| (column.name.as_str(), column.preserves_equality))
        .collect();
    // Addresses stay, so that detectors behind the plugin can count by them.
    assert_eq!(writes, columns.map(|column| (column, column == "ip_address")));
}

#[test]
fn a_batch_keeps_nulls_and_rows_without_findings() {
    let mut plugin = Transformer::<RedactPii>::new("{}").expect("a good configuration");
    let names = [Some("customer_data.transactions"), None, Some("report for bob@x.com")];
    let batch = BatchBuilder::new(3)
        .utf8("user_email", &[Some("alice@company.com"), None, Some("not an address")])
        .utf8("details", &[None, Some(r#"{"a":"10.0.0.1"}"#), Some("{}")])
        .utf8("resource_name", &names)
        .utf8("resource_id", &[Some("db_1.table_50"), Some(""), Some("file_1234")])
        .utf8("user_agent", &[Some("Mozilla/5.0"), None, Some("curl of bob@x.com")])
        .utf8("user_id", &[Some("alice"), Some("bob@company.com"), None])
        .utf8("session_id", &[Some("s-1"), None, Some("s-2")])
        .utf8("ip_address", &[Some("10.0.0.1"), Some("bob@x.com"), Some("::1, 10.0.0.2")])
        .utf8("resource_type", &[Some("table"), None, Some("table")])
        .utf8("action_result", &[Some("success"), None, Some("denied to bob@x.com")])
        .build();
    let judgement = plugin.process(&batch).expect("a judgement");
    let emails = [Some("a***@company.com"), None, Some("**********ress")];
    assert_eq!(testing::texts(&judgement, "user_email"), emails);
    assert_eq!(testing::texts(&judgement, "details"), [None, Some(r#"{"a":"[IP]"}"#), Some("{}")]);
    let names = [Some("customer_data.transactions"), None, Some("report for [EMAIL]")];
    assert_eq!(testing::texts(&judgement, "resource_name"), names);
    assert_eq!(
        testing::texts(&judgement, "resource_id"),
        [Some("db_1.table_50"), Some(""), Some("file_1234")]
    );
    let agents = [Some("Mozilla/5.0"), None, Some("curl of [EMAIL]")];
    assert_eq!(testing::texts(&judgement, "user_agent"), agents);
    // As a whole: `[EMAIL]` would make one user of all.
    let users = [Some("alice"), Some("b***@company.com"), None];
    assert_eq!(testing::texts(&judgement, "user_id"), users);
    let addresses = [Some("10.0.0.1"), Some("[EMAIL]"), Some("::1, 10.0.0.2")];
    assert_eq!(testing::texts(&judgement, "ip_address"), addresses);
    let results = [Some("success"), None, Some("denied to [EMAIL]")];
    assert_eq!(testing::texts(&judgement, "action_result"), results);
    assert!(testing::take_log().is_empty(), "values never reach the log");
}

#[test]
fn what_is_named_adds_to_the_defaults_and_keep_takes_away() {
    let writes = |config: &str| {
        testing::grant_key("pii", b"secret");
        let plugin = Transformer::<RedactPii>::new(config).expect("a good configuration");
        let names = plugin.writes().iter().map(|column| column.name.clone());
        names.collect::<Vec<_>>()
    };
    for config in [
        r#"{"fields": {"ip_address": "token"}, "token-key": "pii"}"#,
        r#"{"fields": {}}"#,
        r#"{"details-paths": {"a": "mask"}}"#,
        r#"{"fields": {"user_agent": "drop"}, "free-text": []}"#,
    ] {
        assert!(writes(config).contains(&"user_email".to_owned()), "{config}");
        assert!(writes(config).contains(&"details".to_owned()), "{config}");
    }
    assert!(!writes(r#"{"fields": {"user_email": "keep"}}"#).contains(&"user_email".to_owned()));
    let paths = r#"{"details-paths": {"granted_to": "keep"}, "free-text": []}"#;
    assert_eq!(writes(paths), ["user_email"]);
}

#[test]
fn with_a_key_users_stay_apart() {
    testing::grant_key("pii", b"secret");
    for (key, prefix) in [("token-key", "tok_"), ("hash-key", "hmac-sha256:")] {
        let config = format!(r#"{{"{key}": "pii", "free-text": ["user_id"]}}"#);
        let mut plugin = Transformer::<RedactPii>::new(&config).expect("a good configuration");
        let of = |name: &str| plugin.writes().iter().find(|column| column.name == name).cloned();
        assert!(of("user_email").is_some_and(|column| column.preserves_equality));
        assert!(of("user_id").is_some_and(|column| column.preserves_equality));
        let batch = BatchBuilder::new(3)
            .utf8("user_email", &[Some("ann@x.com"), Some("abe@x.com"), Some("ann@x.com")])
            .utf8("user_id", &[Some("ann@x.com"), Some("user_017"), None])
            .utf8("details", &[Some(r#"{"granted_to": "ann@x.com"}"#), None, None])
            .build();
        let judgement = plugin.process(&batch).expect("a judgement");
        let emails = testing::texts(&judgement, "user_email");
        assert!(emails[0].is_some_and(|email| email.starts_with(prefix)), "{emails:?}");
        assert_eq!(emails[0], emails[2]);
        assert_ne!(emails[0], emails[1]);
        // The same person has one name everywhere.
        assert_eq!(testing::texts(&judgement, "user_id"), [emails[0], Some("user_017"), None]);
        let details = testing::texts(&judgement, "details");
        assert!(
            details[0].is_some_and(|text| text.contains(emails[0].expect("set"))),
            "{details:?}"
        );
    }
}

#[test]
fn whole_columns() {
    testing::grant_key("pii", b"secret");
    let config = |action: &str| {
        format!(
            r#"{{"fields": {{"user_email": "keep", "c": {{"action": "{action}"}}}},
                "details-paths": {{"granted_to": "keep"}}, "free-text": [], "hash-key": "pii"}}"#
        )
    };
    let cases = [
        ("mask", "bob@x.com", "b***@x.com"),
        ("mask", "Bob bob@x.com", "*********.com"),
        ("mask", "12345678", "********"),
        ("mask", "123456789", "*****6789"),
        ("mask", "äöüäöüäöü", "*****üäöü"),
        ("mask", "", ""),
        ("redact", "anything", "[REDACTED]"),
        ("redact", "", "[REDACTED]"),
    ];
    for (action, value, expected) in cases {
        assert_eq!(redact(&config(action), "c", value), expected, "{action} {value}");
    }
    let mut plugin = Transformer::<RedactPii>::new(&config("drop")).expect("a good configuration");
    let batch = BatchBuilder::new(2).utf8("c", &[Some("x"), None]).build();
    let judgement = plugin.process(&batch).expect("a judgement");
    assert_eq!(testing::texts(&judgement, "c"), [None, None]);
}

#[test]
fn a_hashed_column_keeps_equality() {
    testing::grant_key("pii", b"secret");
    let config = r#"{"fields": {"user_email": "keep", "ip_address": "hash"},
        "details-paths": {"granted_to": "keep"}, "free-text": [], "hash-key": "pii"}"#;
    let mut plugin = Transformer::<RedactPii>::new(config).expect("a good configuration");
    assert!(plugin.writes()[0].preserves_equality);
    let batch = BatchBuilder::new(4)
        .utf8("ip_address", &[Some("10.0.0.1"), None, Some("10.0.0.2"), Some("10.0.0.1")])
        .build();
    let judgement = plugin.process(&batch).expect("a judgement");
    let hashes = testing::texts(&judgement, "ip_address");
    assert_eq!(hashes[0], hashes[3]);
    assert_ne!(hashes[0], hashes[2]);
    assert_eq!(hashes[1], None);
    let text = hashes[0].expect("a value");
    let id = audit_plugin_sdk::crypto::key_id("pii").expect("granted");
    let digest = text.strip_prefix(&format!("hmac-sha256:{id}:")).expect(text);
    assert!(digest.len() == 32 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()), "{text}");

    testing::grant_key("pii", b"the next secret");
    let judgement = plugin.process(&batch).expect("a judgement");
    let rotated = testing::texts(&judgement, "ip_address")[0].expect("a value").to_owned();
    assert!(!rotated.contains(&id), "a new key of the same name shows: {rotated}");
}

#[test]
fn a_wrong_configuration_names_its_key() {
    testing::grant_key("pii", b"secret");
    let cases = [
        (r#"{"feilds": {}}"#, "feilds", "unknown field"),
        (
            r#"{"fields": {"user_email": {"action": "msak"}}}"#,
            "fields.user_email.action",
            "unknown variant",
        ),
        (r#"{"fields": {"user_email": "msak"}}"#, "fields.user_email", "unknown variant"),
        (
            r#"{"fields": {"user_email": {"actoin": "mask"}}}"#,
            "fields.user_email.actoin",
            "unknown variant",
        ),
        (r#"{"fields": {"user_email": {}}}"#, "fields.user_email", "missing field `action`"),
        (r#"{"fields": {"user_email": 7}}"#, "fields.user_email", "an action"),
        (r#"{"details-paths": {"a..b": "mask"}}"#, "details-paths.a..b", "a path is written"),
        (r#"{"details-paths": {"a[x]": "mask"}}"#, "details-paths.a[x]", "a path is written"),
        (r#"{"details-paths": {"": "mask"}}"#, "details-paths.", "a path is written"),
        (r#"{"detectors": ["email", "passport"]}"#, "detectors[1]", "unknown variant"),
        (r#"{"detectors": ["unreadable"]}"#, "detectors[0]", "unknown variant"),
        (r#"{"free-text-action": "drop"}"#, "free-text-action", "masked, redacted or hashed"),
        (
            r#"{"free-text-action": "sql-literals"}"#,
            "free-text-action",
            "masked, redacted or hashed",
        ),
        (
            r#"{"fields": {"user_email": "keep", "a": "token"}}"#,
            "token-key",
            "fields.a is to be replaced by a token",
        ),
        (
            r#"{"fields": {"user_email": "keep", "a": "token"}, "token-key": "other"}"#,
            "token-key",
            "not granted",
        ),
        (
            r#"{"details-paths": {"a.b": "encrypt"}, "subject": "user_id"}"#,
            "encryption-key",
            "details-paths.a.b is to be encrypted",
        ),
        (
            r#"{"fields": {"user_email": "keep", "a": "encrypt"}, "encryption-key": "other", "subject": "user_id"}"#,
            "encryption-key",
            "not granted",
        ),
        (
            r#"{"fields": {"user_email": "keep", "a": "encrypt"}, "encryption-key": "pii"}"#,
            "subject",
            "needs a column such as user_id",
        ),
        (r#"{"subject": "user_id"}"#, "subject", "nothing is to be encrypted"),
        (r#"{"fields": {"user_email": "hash"}}"#, "hash-key", "fields.user_email is to be hashed"),
        (r#"{"free-text-action": "hash"}"#, "hash-key", "free-text is to be hashed"),
        (r#"{"free-text-action": "hash", "hash-key": "other"}"#, "hash-key", "not granted"),
        (r#"{"free-text-action": "hash", "hash-key": "a\"b"}"#, "hash-key", "letters"),
        (
            r#"{"fields": {"user_email": "keep"}, "details-paths": {"granted_to": "keep"}, "free-text": []}"#,
            "fields",
            "changes no column",
        ),
    ];
    for (config, key, message) in cases {
        let error = Transformer::<RedactPii>::new(config).expect_err(config);
        assert_eq!(error.key, key, "{config}: {}", error.message);
        assert!(error.message.contains(message), "{config}: {}", error.message);
    }
}

#[test]
fn a_column_in_fields_is_not_searched() {
    let config = r#"{"fields": {"user_email": "keep", "details": "keep", "resource_name": "redact"},
        "free-text": ["details", "resource_name"]}"#;
    let plugin = Transformer::<RedactPii>::new(config).expect("a good configuration");
    assert_eq!(plugin.reads(), ["resource_name"]);
}

#[test]
fn a_value_too_long_to_search_is_replaced() {
    let long = "x".repeat((1 << 20) + 1);
    assert_eq!(redact(TEXT_ONLY, "text", &long), "[REDACTED]");
    let longest = "x".repeat(1 << 20);
    assert_eq!(redact(TEXT_ONLY, "text", &longest), longest);
}
