//! What holds for any input: nothing that is planted survives, nothing is found twice, and JSON stays
//! JSON. The inputs look random and are the same in every run.

use audit_plugin_sdk::testing::{self, BatchBuilder, Transformer};
use redact_pii::RedactPii;

use crate::soup::{Random, SOUP, json, soup};

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
        r#"{{"fields": {{}}, "free-text": ["details", "text"], "free-text-action": "{action}"}}"#
    );
    Transformer::new(&config).expect("a good configuration")
}

/// Only of redaction: what a mask keeps may join with what stands beside it.
#[test]
fn nothing_is_found_in_what_was_redacted() {
    let mut random = Random(1);
    let values: Vec<String> = (0..60_000).map(|_| soup(&mut random)).collect();
    let mut plugin = plugin("redact");
    let [_, once] = rewrite(&mut plugin, &values);
    let [_, twice] = rewrite(&mut plugin, &once);
    for ((value, once), twice) in values.iter().zip(&once).zip(&twice) {
        assert_eq!(once, twice, "{value:?}");
    }
}

/// A path that starts with an index may apply to anything, so that every value is looked through. What is
/// ruled out without it must come out the same, wherever in the column it lies.
#[test]
fn nothing_is_ruled_out_that_would_change() {
    let thorough = r#"{"fields": {}, "free-text": ["details", "text"],
        "details-paths": {"[0].never": "redact"}}"#;
    let mut random = Random(5);
    let mut values: Vec<String> = (0..60_000).map(|_| soup(&mut random)).collect();
    // Bits of soup by themselves, so that values are short and meet in the middle of a block.
    values.extend((0..60_000).map(|_| random.pick(SOUP).to_owned()));
    let [_, sifted] = rewrite(&mut plugin("redact"), &values);
    let mut thorough = Transformer::new(thorough).expect("a good configuration");
    let [_, all] = rewrite(&mut thorough, &values);
    for ((value, sifted), all) in values.iter().zip(&sifted).zip(&all) {
        assert_eq!(sifted, all, "{value:?}");
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
    let mut random = Random(3);
    let mut values = Vec::new();
    let mut planted = Vec::new();
    for _ in 0..40_000 {
        let secret = random.pick(SECRETS);
        let (before, behind) = (soup(&mut random), soup(&mut random));
        // Quotes and brackets end what stands before; letters and digits could make it another thing.
        let text = format!("{before}<{secret}>{behind}");
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

/// Text made to be searched again and again: a megabyte of each takes well under a second, or this
/// test would take hours.
#[test]
fn long_hostile_values_take_linear_time() {
    let units = [
        "a%40bb.cc",
        "a@",
        "a@b.cc",
        "4111111111111111a",
        "01 ",
        "0123 ",
        "1 ",
        "1.",
        "1.1.1.1.",
        ":",
        "a:",
        "1::",
        "1:2:",
        "+1 ",
        "(",
        "(1",
        "078-05-1120-",
        "\\",
        "\\u0040",
        "[",
        "{\"a\":",
        "\"",
        "é",
        "550e8400-e29b-41d4-a716-446655440000",
        "%25",
        "%2540",
        "\u{200b}4",
        "key=",
        "key=aB3xY9qLw8Xv2Bc7",
        "token=a1",
        "Bearer a.",
        "eyJ",
        "eyJ.",
        "eyJhbGciOiJIUzI1NiJ9.",
        "ghp_",
        "Ym9iQGV4YW1wbGUuY29t",
        "Ym9i/",
        "DE89 ",
        "DE89",
        "DE89370400440532013000",
        "'",
        "x1",
    ];
    for unit in units {
        let value = unit.repeat((1 << 20) / unit.len());
        let [details, text] = rewrite(&mut plugin("redact"), std::slice::from_ref(&value));
        assert!(!details[0].contains("@b.cc") && !text[0].contains("@b.cc"), "{unit}");
    }
}
