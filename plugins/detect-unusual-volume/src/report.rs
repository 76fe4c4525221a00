//! The alerts. They carry user and action, counts, times and positions: no other text of an event.

use audit_detect::{field, key_field};
use audit_plugin_sdk::{Alert, Severity};

use crate::config::{HOUR_MICROS, Settings};
use crate::profile::{Finding, Reported};

/// Data from information repositories: <https://attack.mitre.org/techniques/T1213/>.
const ATTACK: &str = "T1213";

/// Separates action and user in a key. No action has one.
const SEPARATOR: u8 = 0;

/// The key of a user and an action, written over what the buffer held.
pub(crate) fn write_key(buffer: &mut Vec<u8>, user: &[u8], action: &[u8]) {
    buffer.clear();
    buffer.extend_from_slice(action);
    buffer.push(SEPARATOR);
    buffer.extend_from_slice(user);
}

/// The alert for an hour in which a user did more than usual. A rise has a rule of its own, because the host
/// takes two alerts with the same rule, key and window for one.
pub(crate) fn unusual(key: &[u8], finding: Finding, settings: &Settings) -> Alert {
    let at = key.iter().position(|&byte| byte == SEPARATOR).unwrap_or(key.len());
    let (action, user) = (&key[..at], key.get(at + 1..).unwrap_or_default());
    let hour = &finding.hour;
    let start = i64::from(hour.hour) * HOUR_MICROS;
    let rule = if finding.is_rise { "unusual-volume-escalated" } else { "unusual-volume" };
    let (basis, compared) = if let Some(median) = finding.median {
        let days = settings.history_days;
        (
            "history",
            format!("usual are about {median:.0}, by the same hours of the last {days} days"),
        )
    } else {
        let needed = settings.history_min;
        ("short-history", format!("with less than {needed} of history to compare"))
    };
    let mut labels = vec![
        field("attack", ATTACK),
        field("basis", basis),
        field("limit", &hour.limit.to_string()),
    ];
    labels.extend(finding.median.map(|median| field("usual", &median.to_string())));
    Alert {
        rule: rule.to_owned(),
        severity: if hour.reported == Reported::High { Severity::High } else { Severity::Medium },
        key: vec![
            key_field("user_id", user, settings.show_email),
            key_field("action_type", action, settings.show_email),
        ],
        window_start: start,
        first_event: start + i64::from(hour.first),
        last_event: start + i64::from(hour.last),
        count: hour.count.into(),
        events: finding.events,
        message: format!(
            "{} {} events of one user within an hour, where up to {} are not unusual ({compared}); see which resources \
             they touched and whether a task explains them, else suspend the user's sessions",
            hour.count,
            String::from_utf8_lossy(action),
            hour.limit
        ),
        labels,
    }
}
