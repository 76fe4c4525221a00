//! The alerts. They carry the address, counts, times and positions: no user, no text of an event.

use audit_plugin_sdk::{Alert, Field, Position, Severity};

use crate::address::{Failure, Told, Window};
use crate::config::Settings;

/// Password guessing: <https://attack.mitre.org/techniques/T1110/001/>.
const ATTACK: &str = "T1110.001";

/// The most events that an alert cites, as the host keeps no more.
const EVENTS_MAX: usize = 100;

/// The alert for a window that the host does not know, or not as urgent. The second kind has a rule
/// of its own, as the host takes two alerts with the same rule, key and window for one.
pub(crate) fn burst(address: &[u8], window: &Window, settings: &Settings) -> Alert {
    let is_escalation = window.told == Told::Medium;
    let length = settings.window;
    let n_failures = window.n_failures;
    Alert {
        rule: if is_escalation { "failed-logins-escalated" } else { "failed-logins" }.to_owned(),
        severity: if window.is_high { Severity::High } else { Severity::Medium },
        key: vec![field("ip_address", &String::from_utf8_lossy(address))],
        window_start: window.start,
        first_event: window.start,
        last_event: window.last,
        count: n_failures,
        events: newest(&window.failures),
        message: format!(
            "{n_failures} failed logins from one address within {length}, more than {} allowed; see whether a login \
             from it has succeeded since, then block it or reset the accounts it tried",
            settings.threshold
        ),
        labels: vec![
            field("attack", ATTACK),
            field("distinct-users", &window.n_users().to_string()),
        ],
    }
}

/// The alert for addresses forgotten for want of room.
pub(crate) fn evictions(n_evicted: u64, clock: i64, day_start: i64) -> Alert {
    Alert {
        rule: "state-evicted".to_owned(),
        severity: Severity::Low,
        key: Vec::new(),
        window_start: day_start,
        first_event: clock,
        last_event: clock,
        count: n_evicted,
        events: Vec::new(),
        message: format!(
            "{n_evicted} addresses with failed logins were forgotten for want of room, so bursts may have been missed; \
             raise max-keys, or look for a scan from many addresses"
        ),
        labels: Vec::new(),
    }
}

/// The positions of the newest failures, the oldest of them first.
fn newest(failures: &[Failure]) -> Vec<Position> {
    let skipped = failures.len().saturating_sub(EVENTS_MAX);
    let position =
        |failure: &Failure| Position { partition: failure.partition, offset: failure.offset };
    failures.iter().skip(skipped).map(position).collect()
}

fn field(name: &str, value: &str) -> Field {
    Field { name: name.to_owned(), value: value.to_owned() }
}
