//! Whatever text goes into an event comes out of it.

use audit_core::schema::EVENT_FIELDS;

use crate::random::Random;
use crate::{decode, row};

const N_EVENTS: usize = if cfg!(debug_assertions) { 2_000 } else { 50_000 };

fn random_char(random: &mut Random) -> char {
    let range =
        random.pick(&[(0, 0x20), (0x20, 0x7f), (0x20, 0x7f), (0x7f, 0x800), (0x800, 0x11_0000)]);
    if random.one_in(8) {
        return random.pick(&['"', '\\', '/']);
    }
    let code = range.0 + random.below(range.1 - range.0) as u32 as usize;
    char::from_u32(code as u32).unwrap_or('\u{fffd}')
}

fn random_text(random: &mut Random) -> String {
    // Lengths around the scanner's step of eight bytes, and a few long ones.
    let n_chars = if random.one_in(50) { random.below(5000) } else { random.below(40) };
    let plain = random.one_in(2);
    let mut one = || if plain { 'x' } else { random_char(random) };
    (0..n_chars).map(|_| one()).collect()
}

/// One of the ways to write a text as JSON.
fn quoted(random: &mut Random, text: &str) -> String {
    let mut json = String::from('"');
    for char in text.chars() {
        let must = char < ' ' || char == '"' || char == '\\';
        let short = match char {
            '"' => Some("\\\""),
            '\\' => Some("\\\\"),
            '/' => Some("\\/"),
            '\u{8}' => Some("\\b"),
            '\u{c}' => Some("\\f"),
            '\n' => Some("\\n"),
            '\r' => Some("\\r"),
            '\t' => Some("\\t"),
            _ => None,
        };
        if !must && !random.one_in(6) {
            json.push(char);
        } else if let (Some(short), false) = (short, random.one_in(3)) {
            json.push_str(short);
        } else {
            for unit in char.encode_utf16(&mut [0; 2]) {
                let hex = format!("{unit:04x}");
                let hex = if random.one_in(2) { hex.to_uppercase() } else { hex };
                json.push_str("\\u");
                json.push_str(&hex);
            }
        }
    }
    json + "\""
}

fn space(random: &mut Random) -> &'static str {
    random.pick(&["", "", "", " ", "\n\t", "\r\n    "])
}

/// An event with random texts, keys in random order, and fields between that are not ours.
fn random_event(random: &mut Random) -> (String, [Option<String>; 13]) {
    let mut texts: [Option<String>; 13] =
        std::array::from_fn(|_| (!random.one_in(4)).then(|| random_text(random)));
    texts[1] = Some("1970-01-01T00:00:00.000042Z".to_owned());
    texts[4] = Some("x".repeat(1 + random.below(64)));
    let mut order: Vec<usize> = (0..13).collect();
    if random.one_in(2) {
        for idx in (1..13).rev() {
            order.swap(idx, random.below(idx + 1));
        }
    }
    let mut members = Vec::new();
    for idx in order {
        let value = match &texts[idx] {
            Some(text) => quoted(random, text),
            None if random.one_in(2) => "null".to_owned(),
            None => continue,
        };
        let key = quoted(random, EVENT_FIELDS[idx]);
        members.push(format!("{key}{}:{}{value}", space(random), space(random)));
        if random.one_in(8) {
            let name = random_text(random);
            let key = quoted(random, &format!("{name}!"));
            members.push(format!("{key}:[{key},{{\"a\":-1.5}}]"));
        }
    }
    let comma = format!("{},{}", space(random), space(random));
    let json = format!("{}{{{}}}{}", space(random), members.join(&comma), space(random));
    texts[1] = Some("42".to_owned());
    (json, texts)
}

#[test]
fn random_texts_come_out_as_they_went_in() {
    let mut random = Random(0x72_74);
    for _ in 0..N_EVENTS / 100 {
        let events: Vec<_> = (0..100).map(|_| random_event(&mut random)).collect();
        let batch = decode(events.iter().map(|(json, _)| json.as_bytes()));
        assert_eq!(batch.rejected, []);
        for (idx, (json, texts)) in events.iter().enumerate() {
            serde_json::from_str::<serde::de::IgnoredAny>(json).unwrap();
            assert_eq!(&row(&batch, idx), texts, "{json}");
        }
    }
}
