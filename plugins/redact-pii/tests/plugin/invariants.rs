//! What holds for any input: nothing that is planted survives, nothing is found twice, and JSON stays
//! JSON. The inputs look random and are the same in every run.

use audit_plugin_sdk::testing::{self, BatchBuilder, Transformer};
use redact_pii::RedactPii;

use crate::costly::UNITS;
use crate::soup::{Random, json, soup};

/// Rewrites values of both kinds of column. The harness checks that they are UTF-8.
fn rewrite(plugin: &mut Transformer<RedactPii>, values: &[String]) -> [Vec<String>; 2] {
    let column: Vec<Option<&str>> = values.iter().map(|value| Some(value.as_str())).collect();
    let batch =
        BatchBuilder::new(values.len()).utf8("details", &column).utf8("text", &column).build();
    let judgement = plugin.process(&batch).expect("a judgement");
    ["details", "text"].map(|name| {
        let texts = testing::texts(&judgement, name);
        texts.into_iter().map(|text| text.expect("no nulls").to_owned()).collect()
    })
}

fn plugin(action: &str) -> Transformer<RedactPii> {
    let config = format!(
        r#"{{"fields": {{"user_email": "keep"}}, "free-text": ["details", "text"], "free-text-action": "{action}"}}"#
    );
    Transformer::new(&config).expect("a good configuration")
}

/// Looks through every value, whatever the prefilter says: a path of an index alone may apply to anything.
fn thorough() -> Transformer<RedactPii> {
    let config = r#"{"fields": {"user_email": "keep"}, "free-text": ["details", "text"],
        "details-paths": {"[4000000000]": "redact"}}"#;
    Transformer::new(config).expect("a good configuration")
}

/// Only of redaction: what a mask keeps may join with what stands beside it.
#[test]
fn nothing_is_found_in_what_was_redacted() {
    let mut random = Random(1);
    let values: Vec<String> = (0..60_000).map(|_| soup(&mut random)).collect();
    let [_, once] = rewrite(&mut plugin("redact"), &values);
    let [_, twice] = rewrite(&mut thorough(), &once);
    for ((value, once), twice) in values.iter().zip(&once).zip(&twice) {
        assert_eq!(once, twice, "{value:?}");
    }
}

#[test]
fn json_stays_json_and_nothing_is_found_in_it() {
    let mut random = Random(2);
    let values: Vec<String> = (0..20_000)
        .map(|_| {
            let document = json(&mut random, 4);
            if random.below(2) == 0 { document.to_string() } else { format!("{document:#}") }
        })
        .collect();
    let mut plugin = plugin("redact");
    let [once, _] = rewrite(&mut plugin, &values);
    let [twice, _] = rewrite(&mut plugin, &once);
    for ((value, once), twice) in values.iter().zip(&once).zip(&twice) {
        assert!(serde_json::from_str::<serde_json::Value>(once).is_ok(), "{value} became {once}");
        // A path masks again what it masked, so only texts are compared. What stands for a match at the start
        // of a bare string makes it look like an array.
        if !value.contains("granted_to") && !value.starts_with('"') {
            assert_eq!(once, twice, "{value}");
        }
    }
}

#[test]
fn what_is_planted_does_not_survive() {
    const SECRETS: &[&str] = &[
        "planted.person@pii.example",
        "4012 8888 8888 1881",
        "536-22-8726",
        "198.51.100.77",
        "+49 30 90182099",
    ];
    // What may stand before a value and behind it. Letters and digits could make it another thing.
    const AROUND: &[(&str, &str)] = &[
        ("<", ">"),
        ("\"", "\""),
        ("'", "'"),
        (" ", " "),
        ("\n", "\n"),
        ("\t", "\r\n"),
        (",", ","),
        (";", ";"),
        ("|", "|"),
        ("(", ")"),
        ("[", "]"),
        ("{", "}"),
        ("?x=", "&"),
        ("é ", " é"),
    ];
    let mut random = Random(3);
    let mut values = Vec::new();
    let mut planted = Vec::new();
    for _ in 0..80_000 {
        let secret = random.pick(SECRETS);
        let (before, behind) = (soup(&mut random), soup(&mut random));
        let (left, right) = AROUND[random.below(AROUND.len())];
        let text = format!("{before}{left}{secret}{right}{behind}");
        values.push(match random.below(3) {
            0 => text,
            1 => serde_json::json!({ before: [text] }).to_string(),
            _ => serde_json::json!({ "a": { secret: behind } }).to_string(),
        });
        planted.push(secret);
    }
    for action in ["redact", "mask"] {
        let [details, texts] = rewrite(&mut plugin(action), &values);
        for ((value, secret), (detail, text)) in
            values.iter().zip(&planted).zip(details.iter().zip(&texts))
        {
            assert!(!detail.contains(secret), "{action}: {value} became {detail}");
            assert!(!text.contains(secret), "{action}: {value} became {text}");
        }
    }
}

/// Whatever part of an e-mail address is written as an escape, it is found.
#[test]
fn any_character_may_be_escaped() {
    let address = "bob.smith@example.com";
    let mut plugin = plugin("redact");
    let mut random = Random(4);
    let values: Vec<String> = (0..5_000)
        .map(|_| {
            let escaped: String = address
                .chars()
                .map(|character| match random.below(3) {
                    0 => format!("\\u{:04x}", u32::from(character)),
                    1 => format!("\\u{:04X}", u32::from(character)),
                    _ => character.to_string(),
                })
                .collect();
            format!("{{\"key {escaped}\": \"to {escaped}, now\"}}")
        })
        .collect();
    let [details, _] = rewrite(&mut plugin, &values);
    for (value, detail) in values.iter().zip(&details) {
        assert_eq!(detail, "{\"key [EMAIL]\": \"to [EMAIL], now\"}", "{value}");
    }
}

/// Behind a megabyte of anything, what is planted is found, or nothing is left at all.
#[test]
fn nothing_survives_behind_long_hostile_values() {
    const SECRET: &str = "planted.person@pii.example";
    for unit in UNITS {
        let n_units = ((1 << 20) - 64) / unit.len();
        let value = format!("{}<{SECRET}>", unit.repeat(n_units));
        let [details, text] = rewrite(&mut plugin("redact"), std::slice::from_ref(&value));
        assert!(!details[0].contains(SECRET) && !text[0].contains(SECRET), "{unit:?}");
        let shorter = format!("{}<{SECRET}>", unit.repeat(n_units / 4));
        let inside = serde_json::json!({ "note": shorter }).to_string();
        let [details, _] = rewrite(&mut plugin("redact"), std::slice::from_ref(&inside));
        assert!(!details[0].contains(SECRET), "{unit:?} in a string");
    }
}

/// Nesting has a limit, behind which text is free text, and the longest values are walked like others.
#[test]
fn deep_and_long_documents_hide_nothing() {
    let nested = |inner: &str, n: usize| format!("{}{inner}{}", "[".repeat(n), "]".repeat(n));
    let objects =
        |inner: &str, n: usize| format!("{}{inner}{}", "{\"a\":".repeat(n), "}".repeat(n));
    for n in [127, 128, 129, 10_000] {
        for make in [&nested as &dyn Fn(&str, usize) -> String, &objects] {
            let value = make("\"planted.person@pii.example\"", n);
            let [details, _] = rewrite(&mut plugin("redact"), &[value]);
            assert_eq!(details[0], make("\"[EMAIL]\"", n));
            let value = make("{\"granted_to\":\"Bob Smith\"}", n);
            let [details, _] = rewrite(&mut plugin("redact"), &[value]);
            // Of less nesting the path is known not to apply.
            assert_eq!(details[0] == "[REDACTED]", n >= 128, "{n} deep");
        }
    }
    let row = r#"{"mail":"planted.person@pii.example","n":4111111111111111,"granted_to":1},"#;
    let n_rows = ((1 << 20) - 64) / row.len();
    let value = format!("[{}{{\"granted_to\":\"Bob\"}}]", row.repeat(n_rows));
    let [details, _] = rewrite(&mut plugin("redact"), std::slice::from_ref(&value));
    assert_eq!(details[0].matches("[EMAIL]").count(), n_rows);
    assert_eq!(details[0].matches("[CARD]").count(), n_rows);
    assert!(!details[0].contains("planted"));
    let object = format!("{{\"rows\":{value},\"granted_to\":\"Bob\"}}");
    let [details, _] = rewrite(&mut plugin("redact"), &[object]);
    assert!(details[0].ends_with("\"granted_to\":\"***\"}"));
}
