//! Inputs that look random and are the same in every run.

/// SplitMix64.
#[derive(Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit as u64) as usize
    }

    pub(crate) fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

/// Bits of what the tokenizer and the detectors look at.
pub(crate) const SOUP: &[&str] = &[
    "\"",
    "\\",
    "{",
    "}",
    "[",
    "]",
    ":",
    "::",
    ",",
    ".",
    "@",
    "%40",
    "-",
    "+",
    "(",
    ")",
    " ",
    "/",
    "_",
    "'",
    "0",
    "1",
    "4",
    "12",
    "255",
    "411",
    "1111",
    "078",
    "05",
    "1120",
    "212",
    "555",
    "0123",
    "a",
    "f",
    "db8",
    "xyz",
    "com",
    "é",
    "日",
    "\u{1f600}",
    "\n",
    "\\u0040",
    "\\n",
    "\\\"",
    "\\ud83d",
    "null",
    "true",
    "1e5",
    "granted_to",
    "bob@x.com",
    "4111111111111111",
    "10.0.0.1",
    "2001:db8::1",
    "078-05-1120",
    "(212) 555-0123",
    "550e8400-e29b-41d4-a716-446655440000",
    "*",
    "=",
    "%",
    "%34",
    "%25",
    "\u{200b}",
    "\u{ff14}",
    "\u{660}",
    "DE89370400440532013000",
    "password",
    "token=",
    "Bearer ",
    "aB3xY9qLw8Xv2Bc7",
    "AKIAIOSFODNN7EXAMPLE",
    "Ym9iQGV4YW1wbGUuY29t",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.c2ln",
    "phone: ",
    "+",
    "earer ",
    "Basic ",
    "ya29.a0AfH6SMBq7x9KZt",
    "mF_9.B5f-4.1JqMabc",
    "granted_to: ",
    "'granted_to': ",
    "ssn",
    "Card Number",
    "219099999",
    "e15",
    "4.111111111111111e15",
    "4111+1111+1111+1111",
    "2B49+30+901820",
    "\u{feff}",
    "password    ",
    "hunter2!",
    "AGJvYkBleGFtcGxlLmNvbQBodW50ZXIy",
    "\t",
    "#",
];

pub(crate) fn soup(random: &mut Random) -> String {
    (0..random.below(24)).map(|_| random.pick(SOUP)).collect()
}

/// A JSON document of some depth.
pub(crate) fn json(random: &mut Random, depth: usize) -> serde_json::Value {
    match random.below(if depth == 0 { 4 } else { 6 }) {
        0 => serde_json::Value::Null,
        1 => serde_json::Value::from(random.below(1_000_000)),
        2 | 3 => serde_json::Value::from(soup(random)),
        4 => (0..random.below(4)).map(|_| json(random, depth - 1)).collect(),
        _ => {
            let fields = (0..random.below(4)).map(|_| (soup(random), json(random, depth - 1)));
            serde_json::Value::Object(fields.collect())
        }
    }
}
