//! What only looks like personal data.

use super::base64::base64;
use super::entities::with_luhn;
use super::random::{Random, Split};

/// The names of all negatives, which templates may ask for. `negative` is any of them.
const NAMES: &[&str] = &[
    "uuid",
    "trace-id",
    "traceparent",
    "span-id",
    "digest",
    "version",
    "build",
    "time",
    "timestamp",
    "ticks",
    "mac",
    "eui64",
    "fingerprint",
    "user-agent",
    "epoch",
    "file",
    "path",
    "price",
    "date",
    "ticket",
    "luhn-order",
    "date-order",
    "amazon-order",
    "isbn",
    "arn",
    "oid",
    "package",
    "handle",
    "table",
    "pod",
    "coordinates",
    "noise",
    "setting",
    "ratio",
    "counter",
];

/// The negative that a template asks for.
pub(super) fn value(name: &str, split: Split, random: &mut Random) -> (&'static str, String) {
    let name = if name == "negative" {
        random.pick(NAMES)
    } else {
        let known = NAMES.iter().find(|known| **known == name);
        known.copied().unwrap_or_else(|| panic!("no negative is called {name}"))
    };
    let text = text(name, split, random);
    (name, text)
}

fn text(name: &str, split: Split, random: &mut Random) -> String {
    let pick = |random: &mut Random, tuning: &[&'static str], scoring: &[&'static str]| {
        random.pick(split.choose(tuning, scoring))
    };
    match name {
        "uuid" => uuid(random),
        "trace-id" => random.hex(32),
        "traceparent" => format!("00-{}-{}-01", random.hex(32), random.hex(16)),
        "span-id" => random.hex(16),
        "digest" => {
            let length = random.pick(split.choose(&[32, 40][..], &[64, 40, 128][..]));
            random.hex(length)
        }
        "user-agent" => user_agent(split, random),
        "handle" => {
            pick(random, &["@ops-team", "root@localhost", "react@18.2.0"], HANDLES).to_owned()
        }
        "table" => {
            let schema = pick(random, &["public", "sales"], &["hr_2024", "dw"]);
            let table = pick(random, &["orders", "accounts_v2"], &["ledger_17", "contacts"]);
            format!("{schema}.{table}")
        }
        "noise" => noise(random),
        "setting" => {
            pick(random, &["password: required", "token=null", "key=primary"], SETTINGS).to_owned()
        }
        _ => number(name, split, random).unwrap_or_else(|| named_thing(name, split, random)),
    }
}

const HANDLES: &[&str] = &["@channel", "svc@db01", "lodash@4.17.21", "@types/node@20.1.0", "a @ b"];
const SETTINGS: &[&str] = &[
    "password=expired",
    "token: missing",
    "secret = unset",
    "key=user_id",
    "page_token=start",
    "password_policy=strict",
];

/// Times, dates, numbers and amounts.
fn number(name: &str, split: Split, random: &mut Random) -> Option<String> {
    let year = random.between(2019, 2026);
    let (month, day) = (random.between(1, 12), random.between(1, 28));
    let (hour, minute, second) = (random.below(24), random.below(60), random.below(60));
    let clock = format!("{hour:02}:{minute:02}:{second:02}");
    let is_tuning = split == Split::Tuning;
    Some(match name {
        "time" if is_tuning => clock,
        "time" => format!("{clock}.{:03}", random.below(1000)),
        "timestamp" if is_tuning => format!("{year}-{month:02}-{day:02}T{clock}Z"),
        "timestamp" => {
            let (micros, zone) = (random.digits(6), random.pick(&["+01:00", "-0500", "Z"]));
            format!("{year}-{month:02}-{day:02} {clock}.{micros}{zone}")
        }
        // Counters with colons, as in logs and time codes.
        "ticks" if is_tuning => format!("{clock}:{:02}", random.below(25)),
        "ticks" => format!("{}:{clock}:{:03}", random.below(100), random.below(1000)),
        "epoch" => {
            let seconds = random.between(1_550_000_000, 1_790_000_000).to_string();
            let n_more = random.pick(&[0, 3, 6, 9]);
            seconds + &random.digits(n_more)
        }
        "price" if is_tuning => format!("${}.{:02}", random.between(1, 9999), random.below(100)),
        "price" => {
            let (thousands, rest) = (random.between(1, 999), random.below(1000));
            format!("{thousands}.{rest:03},{:02} EUR", random.below(100))
        }
        "date" if is_tuning => format!("{year}-{month:02}-{day:02}"),
        "date" => match random.below(3) {
            0 => format!("{day:02}.{month:02}.{year}"),
            1 => format!("{month:02}/{day:02}/{year}"),
            _ => format!("{year}{month:02}{day:02}"),
        },
        "luhn-order" => {
            let length = random.between(9, 18) as usize;
            let first = random.between(1, 9);
            with_luhn(&format!("{first}{}", random.digits(length - 1)))
        }
        "date-order" => with_luhn(&format!("{year}{month:02}{day:02}{}", random.digits(7))),
        "amazon-order" => {
            format!("{}-{}-{}", random.between(100, 199), random.digits(7), random.digits(7))
        }
        "isbn" => format!(
            "978-{}-{}-{}-{}",
            random.below(8),
            random.digits(2),
            random.digits(6),
            random.below(10)
        ),
        "ratio" => {
            let n_digits = random.between(6, 16) as usize;
            format!("0.{}", random.digits(n_digits))
        }
        "counter" => random.between(100, 9_999_999).to_string(),
        _ => return None,
    })
}

/// Names of things that hold numbers.
fn named_thing(name: &str, split: Split, random: &mut Random) -> String {
    let is_tuning = split == Split::Tuning;
    let [major, minor, patch] = [0; 3].map(|_: u64| random.below(30));
    match name {
        "version" if is_tuning => format!("v{major}.{minor}.{patch}"),
        "version" => {
            let tail = random.pick(&["-rc.1", "+build.77", "", ".Final"]);
            format!("{major}.{minor}.{patch}{tail}")
        }
        "build" if is_tuning => format!("version {major}.{minor}.{patch}.{}", random.below(99)),
        "build" => format!("build {major}.{minor}.{}.{}", random.below(256), random.below(256)),
        "mac" => hex_pairs(random, 6, if is_tuning { ":" } else { "-" }),
        "eui64" => hex_pairs(random, 8, ":"),
        "fingerprint" => hex_pairs(random, if is_tuning { 16 } else { 20 }, ":"),
        "file" if is_tuning => format!("export_{}_{}.csv", random.digits(8), random.digits(6)),
        "file" => format!("IMG-{}-WA{}.jpg", random.digits(8), random.digits(4)),
        "path" if is_tuning => format!("/var/log/app/{}.log.{}", random.digits(8), minor),
        "path" => {
            format!("s3://bucket-7/dt=2025-{:02}-01/part-{}.parquet", 1 + patch % 12, uuid(random))
        }
        "ticket" if is_tuning => format!("INC{}", random.digits(10)),
        "ticket" => {
            let (first, second) = (random.digits(3), random.digits(3));
            format!("CASE-{first}-{second}-{}", random.digits(4))
        }
        "arn" => format!("arn:aws:iam::{}:role/reader", random.digits(12)),
        "oid" => format!("1.3.6.1.4.1.{}.{minor}", random.between(1000, 60_000)),
        "package" if is_tuning => format!("serde-{major}.{minor}.{patch}.crate"),
        "package" => format!("libssl3_{major}.{minor}.{patch}-1ubuntu0.{}_amd64.deb", 1 + minor),
        "pod" => format!("api-{}-{}", random.hex(10), random.hex(5)),
        "coordinates" => {
            format!("52.{}, 13.{}", random.digits(6), random.digits(6))
        }
        _ => panic!("no negative is called {name}"),
    }
}

fn uuid(random: &mut Random) -> String {
    let parts = [8, 4, 4, 4, 12].map(|length| random.hex(length));
    parts.join("-")
}

fn hex_pairs(random: &mut Random, n: usize, separator: &str) -> String {
    (0..n).map(|_| random.hex(2)).collect::<Vec<_>>().join(separator)
}

fn user_agent(split: Split, random: &mut Random) -> String {
    let version = random.between(90, 140);
    match split {
        Split::Tuning => format!(
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
             Chrome/{version}.0.0.0 Safari/537.36"
        ),
        Split::Scoring => random
            .pick(&[
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4_1 like Mac OS X) Version/17.4.1 Mobile/15E148",
                "Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/NNN.0",
                "okhttp/4.12.0",
                "aws-cli/2.15.30 Python/3.11.8 Linux/6.5.0-1018-aws exe/x86_64.ubuntu.22",
                "Mozilla/5.0 Edg/NNN.0.2365.92 Chrome/NNN.0.6312.86",
            ])
            .replace("NNN", &version.to_string()),
    }
}

/// Random bytes in base64, as of signatures and images.
fn noise(random: &mut Random) -> String {
    let bytes: String = (0..24)
        .map(|_| char::from_u32(random.between(0x20, 0x2ff) as u32).unwrap_or('?'))
        .collect();
    let mut text = base64(&bytes);
    // Shifted by a character, it is no text any more.
    text.remove(0);
    text
}
