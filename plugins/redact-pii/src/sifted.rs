//! Checks the prefilter against the rest: no value that would change may be ruled out.

use audit_plugin_sdk::{Config, testing};

use crate::config::Settings;
use crate::details;
use crate::output::Output;
use crate::prefilter::VALUE_BYTES_MAX;
use crate::soup::{Random, SOUP, json, soup};
use crate::text::{self, Searcher};

/// Values that were once wrongly ruled out, and similar ones.
const KNOWN: &[&str] = &[
    r#"{"headers":["Bearer ya29.a0AfH6SMBq7x9KZtQw"]}"#,
    "Bearer v4.local.Zk3nT9qLw8Xv2Bc7dd",
    r#"{"auth":"Bearer mF_9.B5f-4.1JqMabc"}"#,
    "{'granted_to': 'Bob Smith'}",
    "{granted_to: Bob}",
    r#"{"password    ":"hunter2!"}"#,
    "+(4930901820)",
    "to=SA03+80AB+C0D0+E608+F101+G675+19",
];

/// What generated values are put together from, besides soup: the start of something and its end.
const FRAMES: &[(&str, &str)] = &[
    ("{'granted_to': '", "'}"),
    ("{granted_to: ", "}"),
    ("{\"headers\":[\"Bearer ", "\"]}"),
    ("Basic ", ""),
    ("{\"password\": \"", "\"}"),
    ("{\"Phone Number\":\"", "\"}"),
    ("{\"card\":", "}"),
    ("?ssn=", "&x=1"),
    ("", ""),
];

fn settings(rest: &str) -> Settings {
    let config = format!(
        r#"{{"fields": {{"user_email": "keep"}}, "free-text": ["details", "text"]{rest}}}"#
    );
    Settings::from_config(&Config::new(config)).expect("a good configuration")
}

/// Letters, digits and signs of one word, from few to many.
fn word(random: &mut Random) -> String {
    const SIGNS: &[u8] =
        b"abcdefghijklmnopqrstuvwxyzABCXYZ0123456789012345678901234567890._-+/~= (";
    let length = 1 + random.below(30);
    (0..length).map(|_| char::from(SIGNS[random.below(SIGNS.len())])).collect()
}

/// Ids of sessions and requests, with more decimal digits than chance would give them.
fn uuid(random: &mut Random) -> String {
    const DIGITS: &[&[u8]] = &[b"0123456789abcdef", b"0123456789ABCDEF", b"0123456789e"];
    let digits = DIGITS[random.below(DIGITS.len())];
    let digit = |at: usize| match at {
        8 | 13 | 18 | 23 => '-',
        _ => char::from(digits[random.below(digits.len())]),
    };
    (0..36).map(digit).collect()
}

fn value(random: &mut Random) -> String {
    let (start, end) = FRAMES[random.below(FRAMES.len())];
    match random.below(6) {
        0 => soup(random),
        1 => random.pick(SOUP).to_owned(),
        2 => json(random, 3).to_string(),
        3 => uuid(random),
        4 => format!("{start}{}{end}", word(random)),
        _ => format!("{start}{}{end}{}", random.pick(SOUP), random.pick(SOUP)),
    }
}

fn check(settings: &Settings, values: &[String]) {
    let rows: Vec<Option<&str>> = values.iter().map(|value| Some(value.as_str())).collect();
    let column = testing::utf8(&rows);
    let suspects = settings.prefilter.suspects(&column);
    let mut searcher = Searcher::new(settings);
    let mut out = Output::new(&settings.keys, None);
    let mut n_changed = 0;
    for (row, value) in values.iter().enumerate() {
        assert!(value.len() <= VALUE_BYTES_MAX, "too long to be searched");
        for rewrite in [details::rewrite, text::rewrite] {
            out.start_row(row);
            let is_changed = rewrite(&mut searcher, value.as_bytes(), &mut out);
            assert!(!is_changed || suspects.binary_search(&row).is_ok(), "{value:?} is ruled out");
            n_changed += usize::from(is_changed);
        }
    }
    assert!(n_changed > 0, "nothing would change, so nothing is compared");
}

#[test]
fn nothing_is_ruled_out_that_would_change() {
    let mut random = Random(6);
    let mut values: Vec<String> = KNOWN.iter().map(|&value| value.to_owned()).collect();
    values.extend((0..150_000).map(|_| value(&mut random)));
    check(&settings(""), &values);
    let paths = r#", "details-paths": {"a.granted_to": "redact", "x[*].password": "mask"}"#;
    check(&settings(paths), &values);
}

/// With one detector at a time, no other one can bring a value in.
#[test]
fn nothing_is_ruled_out_that_one_detector_would_change() {
    let mut random = Random(7);
    let values: Vec<String> = (0..30_000).map(|_| value(&mut random)).collect();
    for detector in ["email", "card", "ssn", "iban", "ip", "phone", "jwt", "api-key"] {
        let rest =
            format!(r#", "details-paths": {{"granted_to": "keep"}}, "detectors": ["{detector}"]"#);
        check(&settings(&rest), &values);
    }
}
