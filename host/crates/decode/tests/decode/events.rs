//! Audit events with the shapes of the seed's generator, written as Python's `json.dumps` does.

use std::fmt::Write;

use super::random::Random;

const USERS: [(&str, &str); 5] = [
    ("user_001", "alice@company.com"),
    ("user_002", "bob@company.com"),
    ("user_003", "charlie@company.com"),
    ("user_004", "diana@company.com"),
    ("user_005", "eve@company.com"),
];

const ACTIONS: [&str; 14] = [
    "user_login",
    "user_logout",
    "data_read",
    "data_write",
    "data_delete",
    "data_export",
    "data_download",
    "permission_grant",
    "permission_revoke",
    "query_execute",
    "report_generate",
    "config_update",
    "user_create",
    "user_delete",
];

const RESOURCE_TYPES: [&str; 7] =
    ["database", "table", "file", "report", "user", "role", "system_config"];

const ADDRESSES: [&str; 7] = [
    "192.168.1.10",
    "192.168.1.11",
    "192.168.1.12",
    "10.0.0.50",
    "10.0.0.51",
    "203.0.113.45",
    "203.0.113.46",
];

const AGENTS: [&str; 4] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/120.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Safari/17.0",
    "API Client/1.0",
    "Python/3.9 requests/2.28.0",
];

/// One event; `idx` gives its time, 30 seconds after the one before.
pub(crate) fn event(random: &mut Random, idx: usize) -> String {
    let (user, email) = random.pick(&USERS);
    let action = random.pick(&ACTIONS);
    let result = if random.one_in(50) { "failure" } else { "success" };
    let (resource_type, resource_id, resource_name) = resource(random, action);
    let fields = [
        ("audit_id", uuid(random)),
        ("event_timestamp", time(random, idx)),
        ("user_id", user.to_owned()),
        ("user_email", email.to_owned()),
        ("action_type", action.to_owned()),
        ("resource_type", resource_type),
        ("resource_id", resource_id),
        ("resource_name", resource_name),
        ("action_result", result.to_owned()),
        ("ip_address", random.pick(&ADDRESSES).to_owned()),
        ("user_agent", random.pick(&AGENTS).to_owned()),
        ("session_id", uuid(random)),
        ("details", details(random, action).replace('"', "\\\"")),
    ];
    let mut json = String::with_capacity(640);
    for (name, value) in fields {
        let separator = if json.is_empty() { "{" } else { ", " };
        write!(json, "{separator}\"{name}\": \"{value}\"").expect("a String takes everything");
    }
    json.push('}');
    json
}

fn resource(random: &mut Random, action: &str) -> (String, String, String) {
    match action {
        "data_read" | "data_write" | "data_delete" | "query_execute" => {
            let id = format!("db_{}.table_{}", 1 + random.below(10), 1 + random.below(50));
            (
                random.pick(&["database", "table"]).to_owned(),
                id,
                "customer_data.transactions".into(),
            )
        }
        "data_export" | "data_download" => {
            let id = format!("file_{}", 1000 + random.below(9000));
            ("file".into(), id, "export_20250116.csv".into())
        }
        "permission_grant" | "permission_revoke" => {
            let id = format!("role_{}", random.pick(&["analyst", "admin", "viewer"]));
            ("role".into(), id.clone(), id)
        }
        _ => {
            let kind = random.pick(&RESOURCE_TYPES);
            let id = format!("{kind}_{}", 1 + random.below(100));
            (kind.to_owned(), id.clone(), id)
        }
    }
}

fn details(random: &mut Random, action: &str) -> String {
    match action {
        "query_execute" => format!(
            "{{\"query\": \"SELECT * FROM customer_data.transactions WHERE amount > 1000\", \
             \"rows_returned\": {}}}",
            10 + random.below(9990)
        ),
        "data_export" => format!(
            "{{\"format\": \"CSV\", \"rows_exported\": {}, \"file_size_mb\": {}.{}}}",
            100 + random.below(49_900),
            1 + random.below(499),
            random.below(100)
        ),
        "permission_grant" => {
            format!("{{\"permission\": \"READ\", \"granted_to\": \"{}\"}}", random.pick(&USERS).1)
        }
        _ => format!("{{\"action\": \"{action}\"}}"),
    }
}

fn time(random: &mut Random, idx: usize) -> String {
    let seconds = idx * 30;
    let (day, hour) = (1 + seconds / 86_400 % 28, seconds / 3600 % 24);
    let (minute, second) = (seconds / 60 % 60, seconds % 60);
    let micros = random.below(1_000_000);
    format!("2025-01-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}")
}

fn uuid(random: &mut Random) -> String {
    let (high, low) = (random.next(), random.next());
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xFFFF,
        high & 0xFFF,
        0x8000 | low >> 48 & 0x3FFF,
        low & 0xFFFF_FFFF_FFFF
    )
}
