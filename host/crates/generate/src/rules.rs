//! The rules that attacks are made for: the defaults of the built-in detectors. A population stays
//! below all of them by construction, attacks go above, near misses stop just short.

use std::time::Duration;

pub(crate) const SECOND: i64 = 1_000_000;
pub(crate) const MINUTE: i64 = 60 * SECOND;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;

/// Failed logins from one address within [`WINDOW`] that do not alert yet.
pub const FAILURES_ALLOWED: usize = 5;
/// Two events are in one window if their event times are less than this apart.
pub const WINDOW: Duration = Duration::from_hours(1);

pub(crate) const WINDOW_US: i64 = WINDOW.as_micros() as i64;

/// This many failed logins within this span are urgent.
pub(crate) const URGENT_FAILURES: usize = 10;
pub(crate) const URGENT_SPAN: i64 = 10 * MINUTE;

/// This many users failing from one address within this span are a password spray, if at least as many fail as
/// succeed.
pub(crate) const SPRAY_USERS: usize = 5;
pub(crate) const SPRAY_SPAN: i64 = 20 * MINUTE;

/// A success within this time after an attack on logins is one by the attacker.
pub(crate) const AFTER_ATTACK: i64 = 3 * HOUR;

/// Distinct addresses of one user within an hour that do not alert yet.
pub(crate) const ADDRESSES_ALLOWED: usize = 2;

/// This many exports and downloads within this span are a mass export.
pub(crate) const EXPORTS: usize = 20;
pub(crate) const EXPORTS_SPAN: i64 = 5 * MINUTE;
/// The exported rows within an hour that are a mass export, by severity.
pub(crate) const EXPORTED_ROWS: [u64; 3] = [10_000, 50_000, 100_000];

/// Fewer events of one user and action in an hour are never unusual.
pub(crate) const VOLUME_FLOOR: u32 = 30;
/// The limit for a user with little history.
pub(crate) const VOLUME_BELIEVED: u32 = 200;

/// How far a detector accepts an event ahead of its Kafka time.
pub(crate) const FUTURE_BELIEVED: i64 = 5 * MINUTE;

pub(crate) mod names {
    pub(crate) const FAILED_LOGINS: &str = "failed-logins";
    pub(crate) const FAILED_LOGINS_ESCALATED: &str = "failed-logins-escalated";
    pub(crate) const PASSWORD_SPRAY: &str = "password-spray";
    pub(crate) const LOGIN_AFTER_ATTACK: &str = "login-after-attack";
    pub(crate) const OFF_HOURS: &str = "off-hours-access";
    pub(crate) const OFF_HOURS_ESCALATED: &str = "off-hours-access-escalated";
    pub(crate) const IP_SPREAD: &str = "ip-spread";
    pub(crate) const PRIVILEGE_CHANGE: &str = "privilege-change";
    pub(crate) const UNUSUAL_VOLUME: &str = "unusual-volume";
    pub(crate) const MASS_EXPORT: &str = "mass-export";
    pub(crate) const MASS_EXPORT_ESCALATED: &str = "mass-export-escalated";
    pub(crate) const MASS_EXPORT_CRITICAL: &str = "mass-export-critical";
}
