//! The alerts. They carry the address, counts, times and positions: no user, no text of an event.

use audit_detect::{Event, Finding, field, key_field, positions};
use audit_plugin_sdk::{Alert, Field, Severity};

use crate::attack::Attack;
use crate::config::Settings;
use crate::rules::{is_success, n_users};

/// Password guessing: <https://attack.mitre.org/techniques/T1110/001/>.
const GUESSING: &str = "T1110.001";
/// Password spraying: <https://attack.mitre.org/techniques/T1110/003/>.
const SPRAYING: &str = "T1110.003";
/// Valid accounts: <https://attack.mitre.org/techniques/T1078/>.
const VALID_ACCOUNTS: &str = "T1078";

/// Too many failures.
pub(crate) fn guessing(address: &[u8], finding: &Finding, settings: &Settings) -> Alert {
    let burst = &finding.burst;
    let message = format!(
        "{} failed logins from one address within {}, more than {} allowed; see whether a login \
         from it has succeeded since, then block it or reset the accounts it tried",
        burst.n_events, settings.window, settings.threshold
    );
    let users = n_users(burst.kept.iter()).to_string();
    let labels = vec![field("attack", GUESSING), field("distinct-users", &users)];
    finding.alert("failed-logins", key(address), message, labels)
}

/// Too many users who fail.
pub(crate) fn spraying(address: &[u8], finding: &Finding, settings: &Settings) -> Alert {
    let kept = &finding.burst.kept;
    let failures = || kept.iter().filter(|sighting| !is_success(sighting));
    let n_failing = n_users(failures());
    let message = format!(
        "{n_failing} users failed to log in from one address within {}, and fewer succeeded: one password \
         may be tried on many accounts; see whether a login from it has succeeded since, then block it",
        settings.spray_window
    );
    let labels = vec![field("attack", SPRAYING), field("distinct-users", &n_failing.to_string())];
    let alert = finding.alert("password-spray", key(address), message, labels);
    Alert {
        first_event: failures().next().map_or(alert.first_event, |first| first.event.time),
        last_event: failures().next_back().map_or(alert.last_event, |last| last.event.time),
        count: n_failing as u64,
        events: positions(failures()),
        ..alert
    }
}

/// A login from an address that was alerted on.
pub(crate) fn login(address: &[u8], attack: &Attack, success: Event, settings: &Settings) -> Alert {
    Alert {
        rule: "login-after-attack".to_owned(),
        severity: Severity::High,
        key: key(address),
        window_start: attack.start,
        first_event: attack.start,
        last_event: success.time,
        count: 1,
        events: vec![success.position()],
        message: format!(
            "a login succeeded from an address within {} after too many failed ones: take the cited account for \
             compromised, end its sessions, reset it and see what it has done since",
            settings.after_attack
        ),
        labels: vec![field("attack", VALID_ACCOUNTS)],
    }
}

fn key(address: &[u8]) -> Vec<Field> {
    vec![key_field("ip_address", address, false)]
}
