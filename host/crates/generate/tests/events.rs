//! What the events look like: the pattern's fields, values and frequencies, byte for byte
//! repeatable.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use audit_generate::{Attack, Generator, PiiKind, Settings};
use serde_json::Value;

const FIELDS: [&str; 13] = [
    "audit_id",
    "event_timestamp",
    "user_id",
    "user_email",
    "action_type",
    "resource_type",
    "resource_id",
    "resource_name",
    "action_result",
    "ip_address",
    "user_agent",
    "session_id",
    "details",
];

fn settings(count: u64) -> Settings {
    Settings { seed: 7, ..Settings::new(count, "2025-01-16T08:30:00.123456Z".parse().unwrap()) }
}

fn everything(count: u64) -> Settings {
    Settings { attacks: vec![Attack::FailedLogins], pii: true, users: 50, ..settings(count) }
}

fn lines(settings: Settings) -> (Generator, Vec<String>) {
    let mut generator = Generator::new(settings);
    let mut lines = Vec::new();
    let mut out = Vec::new();
    while generator.next_event(&mut out).is_some() {
        lines.push(String::from_utf8(std::mem::take(&mut out)).unwrap());
    }
    (generator, lines)
}

fn parsed(lines: &[String]) -> Vec<BTreeMap<String, String>> {
    lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// FNV-1a, the simplest hash that shows whether ten thousand events changed.
fn fingerprint(settings: Settings) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325;
    for byte in lines(settings).1.join("\n").bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash
}

#[test]
fn the_first_events_are_these() {
    let (_, lines) = lines(settings(3));
    assert_eq!(lines, GOLDEN);
}

#[test]
fn ten_thousand_events_have_these_fingerprints() {
    assert_eq!(
        (fingerprint(settings(10_000)), fingerprint(everything(10_000))),
        (1_084_611_403_980_431_398, 6_654_316_889_391_333_284),
        "the bytes of a seed changed: tests and published figures elsewhere rely on them"
    );
}

#[test]
fn the_same_settings_give_the_same_bytes_and_another_seed_others() {
    assert_eq!(lines(everything(500)).1, lines(everything(500)).1);
    assert_ne!(lines(everything(500)).1, lines(Settings { seed: 8, ..everything(500) }).1);
}

#[test]
fn attacks_and_pii_do_not_reshuffle_the_background() {
    let plain = parsed(&lines(settings(1000)).1);
    let mixed = parsed(&lines(Settings { users: 5, ..everything(1000) }).1);
    let mut mixed = mixed.iter().filter(|event| !event["ip_address"].starts_with("198."));
    for event in plain.iter().take(900) {
        assert_eq!(event["audit_id"], mixed.next().unwrap()["audit_id"]);
    }
}

#[test]
fn every_event_is_json_with_the_patterns_fields_in_order() {
    for line in lines(everything(20_000)).1 {
        let event: BTreeMap<String, String> = serde_json::from_str(&line).unwrap();
        let mut rest = line.as_str();
        for field in FIELDS {
            rest = rest.split_once(&format!("\"{field}\": \"")).unwrap().1;
        }
        assert_eq!(event.len(), FIELDS.len());
        let details: Value = serde_json::from_str(&event["details"]).unwrap();
        assert!(details.is_object());
        assert_eq!(event["event_timestamp"].len(), 26);
        for id in ["audit_id", "session_id"] {
            check_uuid(&event[id]);
        }
    }
}

fn check_uuid(uuid: &str) {
    let groups: Vec<_> = uuid.split('-').collect();
    assert_eq!(groups.iter().map(|group| group.len()).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
    assert!(groups.concat().bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')));
    assert!(groups[2].starts_with('4') && groups[3].starts_with(['8', '9', 'a', 'b']), "{uuid}");
}

#[test]
fn values_are_distributed_as_in_the_pattern() {
    let (_, lines) = lines(settings(100_000));
    let events = parsed(&lines);
    let share = |field: &str| {
        let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
        for event in &events {
            *counts.entry(&event[field]).or_default() += 1;
        }
        counts
    };
    for (field, n) in [("user_email", 5), ("action_type", 14), ("ip_address", 7), ("user_agent", 4)]
    {
        let counts = share(field);
        assert_eq!(counts.len(), n as usize, "{field}");
        let expected = 100_000 / n;
        let near = expected - expected / 20..expected + expected / 20;
        assert!(counts.values().all(|count| near.contains(count)), "{field}: {counts:?}");
    }
    let failures = |login: bool| {
        let of_kind = events.iter().filter(|event| (event["action_type"] == "user_login") == login);
        let (n, n_failed) = of_kind.fold((0.0, 0.0), |(n, n_failed), event| {
            (n + 1.0, n_failed + f64::from(u8::from(event["action_result"] == "failure")))
        });
        n_failed / n
    };
    assert!((failures(true) - 0.05).abs() < 0.01 && (failures(false) - 0.02).abs() < 0.002);
    let mean = lines.iter().map(String::len).sum::<usize>() / lines.len();
    assert!((495..515).contains(&mean), "mean size {mean} B, the pattern's is 505.6 B");
    let ids: BTreeSet<_> = events.iter().map(|event| &event["audit_id"]).collect();
    assert_eq!(ids.len(), events.len());
}

#[test]
fn a_session_lasts_from_login_to_login() {
    let mut sessions: BTreeMap<String, String> = BTreeMap::new();
    for event in parsed(&lines(settings(5000)).1) {
        let (user, session) = (event["user_id"].clone(), event["session_id"].clone());
        if event["action_type"] == "user_login" {
            assert_ne!(sessions.insert(user, session.clone()), Some(session));
        } else if let Some(current) = sessions.get(&user) {
            assert_eq!(*current, session);
        }
    }
    assert_eq!(sessions.len(), 5);
}

#[test]
fn event_times_are_steps_apart_and_metas_agree() {
    let step = Duration::from_millis(9);
    let mut generator = Generator::new(Settings { step, ..settings(100) });
    let start = settings(0).start.as_microsecond();
    let mut out = Vec::new();
    for index in 0..100 {
        let meta = generator.next_event(&mut out).unwrap();
        assert_eq!((meta.index, meta.event_time_us), (index, start + 9000 * index as i64));
    }
    assert_eq!(generator.next_event(&mut out), None);
    let last = String::from_utf8(out).unwrap();
    assert!(last.contains(r#""event_timestamp": "2025-01-16T08:30:01.014456""#));
}

#[test]
fn pii_values_are_exactly_what_stands_in_the_events() {
    let (generator, lines) = lines(everything(3000));
    let details: String =
        parsed(&lines).iter().map(|event| event["details"].clone() + "\n").collect();
    let all = lines.join("\n");
    let values = generator.pii_values();
    for kind in [PiiKind::Email, PiiKind::Card, PiiKind::Ssn, PiiKind::Phone, PiiKind::IpAddress] {
        assert!(values.values().filter(|value| **value == kind).count() > 50, "{kind:?}");
    }
    for (value, kind) in &values {
        assert!(all.contains(value), "{value}");
        match kind {
            PiiKind::Card => assert!(passes_luhn(value), "{value}"),
            PiiKind::Email => {}
            _ => assert!(details.contains(value), "{value}"),
        }
    }
    let words = all.split(['"', '\\', ' ', '\'']);
    for word in words.filter(|word| word.contains('@')) {
        assert_eq!(values.get(word), Some(&PiiKind::Email), "{word}");
    }
}

fn passes_luhn(card: &str) -> bool {
    let digits = card.chars().filter_map(|c| c.to_digit(10)).rev().enumerate();
    let sum: u32 = digits
        .map(|(place, digit)| match place % 2 {
            0 => digit,
            _ => digit * 2 / 10 + digit * 2 % 10,
        })
        .sum();
    sum.is_multiple_of(10)
}

#[test]
fn without_pii_only_users_addresses_are_sensitive() {
    let (generator, _) = lines(settings(250));
    let emails =
        ["alice", "bob", "charlie", "diana", "eve"].map(|name| format!("{name}@company.com"));
    assert_eq!(generator.pii_values().into_keys().collect::<Vec<_>>(), emails);
}

#[test]
fn an_unknown_attack_lists_the_known_ones() {
    assert_eq!("failed-logins".parse(), Ok(Attack::FailedLogins));
    let error = "failed_logins".parse::<Attack>().unwrap_err();
    let message = "unknown attack `failed_logins`; available: failed-logins, password-spray, \
                   login-after-attack, off-hours, ip-spread, privilege-change, unusual-volume, \
                   mass-export";
    assert_eq!(error.to_string(), message);
}

const GOLDEN: [&str; 3] = [
    "{\"audit_id\": \"5f1cec99-26fe-49cf-a34d-ff5b9bb8f53d\", \
     \"event_timestamp\": \"2025-01-16T08:30:00.123456\", \"user_id\": \"user_001\", \
     \"user_email\": \"alice@company.com\", \"action_type\": \"data_read\", \
     \"resource_type\": \"database\", \"resource_id\": \"db_3.table_43\", \
     \"resource_name\": \"customer_data.transactions\", \"action_result\": \"success\", \
     \"ip_address\": \"192.168.1.11\", \
     \"user_agent\": \"Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/120.0\", \
     \"session_id\": \"b9704bb4-e33a-4e09-b6b7-0bba88db3712\", \
     \"details\": \"{\\\"action\\\": \\\"data_read\\\"}\"}",
    "{\"audit_id\": \"f0a17085-eb1f-43e5-8fe1-de41d6c27961\", \
     \"event_timestamp\": \"2025-01-16T08:30:30.123456\", \"user_id\": \"user_002\", \
     \"user_email\": \"bob@company.com\", \"action_type\": \"data_export\", \
     \"resource_type\": \"file\", \"resource_id\": \"file_4839\", \
     \"resource_name\": \"export_20250116.csv\", \"action_result\": \"success\", \
     \"ip_address\": \"10.0.0.50\", \"user_agent\": \"Python/3.9 requests/2.28.0\", \
     \"session_id\": \"afc54233-bf91-46bc-8dd9-5f621935208b\", \
     \"details\": \"{\\\"format\\\": \\\"CSV\\\", \\\"rows_exported\\\": 12555, \
     \\\"file_size_mb\\\": 263.74}\"}",
    "{\"audit_id\": \"36273070-e43c-4241-afcd-dad1dd9d6a66\", \
     \"event_timestamp\": \"2025-01-16T08:31:00.123456\", \"user_id\": \"user_005\", \
     \"user_email\": \"eve@company.com\", \"action_type\": \"data_delete\", \
     \"resource_type\": \"database\", \"resource_id\": \"db_1.table_4\", \
     \"resource_name\": \"customer_data.transactions\", \"action_result\": \"success\", \
     \"ip_address\": \"203.0.113.46\", \
     \"user_agent\": \"Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/120.0\", \
     \"session_id\": \"481ba952-9573-4f03-80cb-a4379786f94a\", \
     \"details\": \"{\\\"action\\\": \\\"data_delete\\\"}\"}",
];
