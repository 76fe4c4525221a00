//! What the tests share: logins as rows, and a detector to feed them to.

use audit_detect::testing::{self, Trial};
use audit_plugin_sdk::testing::{BatchBuilder, Detection};
use audit_plugin_sdk::{Alert, Batch};
use detect_failed_logins::DetectFailedLogins;

pub(crate) use audit_detect::testing::{Random, rules};

pub(crate) const SECOND: i64 = 1_000_000;
pub(crate) const MINUTE: i64 = 60 * SECOND;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;

/// A day in the present, at midnight.
pub(crate) const START: i64 = 20_000 * DAY;

/// One row. Times count from `START`.
#[derive(Debug, Clone)]
pub(crate) struct Login {
    pub(crate) action: &'static str,
    pub(crate) result: &'static str,
    pub(crate) address: Option<String>,
    /// Empty for none.
    pub(crate) user: &'static str,
    pub(crate) time: Option<i64>,
    pub(crate) received: Option<i64>,
    pub(crate) offset: i64,
}

/// A failure that was received when it happened.
pub(crate) fn failure(address: &str, time: i64) -> Login {
    Login {
        action: "user_login",
        result: "failure",
        address: Some(address.to_owned()),
        user: "user_001",
        time: Some(time),
        received: Some(time),
        offset: time / SECOND,
    }
}

/// A failure that was received at another time than it says.
pub(crate) fn received(address: &str, time: i64, received: i64) -> Login {
    Login { received: Some(received), ..failure(address, time) }
}

/// A login that succeeded.
pub(crate) fn success(address: &str, user: &'static str, time: i64) -> Login {
    Login { result: "success", user, ..failure(address, time) }
}

/// A failure of a certain user.
pub(crate) fn failure_of(user: &'static str, address: &str, time: i64) -> Login {
    Login { user, ..failure(address, time) }
}

/// A batch of logins.
pub(crate) fn batch(logins: &[Login]) -> Batch {
    let column = |value: fn(&Login) -> &str| {
        logins.iter().map(|login| Some(value(login))).collect::<Vec<_>>()
    };
    let addresses: Vec<_> = logins.iter().map(|login| login.address.as_deref()).collect();
    let user = |login: &Login| Some(login.user).filter(|user| !user.is_empty());
    let users: Vec<_> = logins.iter().map(user).collect();
    let times: Vec<_> =
        logins.iter().map(|login| login.time.map(|time| START.saturating_add(time))).collect();
    let received: Vec<_> =
        logins.iter().map(|login| login.received.map(|time| START.saturating_add(time))).collect();
    let offsets: Vec<_> = logins.iter().map(|login| Some(login.offset)).collect();
    BatchBuilder::new(logins.len())
        .utf8("action_type", &column(|login| login.action))
        .utf8("action_result", &column(|login| login.result))
        .utf8("ip_address", &addresses)
        .utf8("user_id", &users)
        .timestamp("event_timestamp", &times)
        .timestamp("source_timestamp", &received)
        .int32("source_partition", &vec![Some(3); logins.len()])
        .int64("source_offset", &offsets)
        .build()
}

/// How the promises of all detectors are checked of this one.
pub(crate) const TRIAL: Trial<DetectFailedLogins, Login> = Trial { version: 3, detector, judge };

/// A detector.
pub(crate) fn detector(config: &str) -> Detection<DetectFailedLogins> {
    Detection::new(config).expect("a good configuration")
}

/// Judges logins in one batch, under the clock that the host would give.
pub(crate) fn judge(detector: &mut Detection<DetectFailedLogins>, logins: &[Login]) -> Vec<Alert> {
    let newest = logins.iter().filter_map(|login| login.received).max().unwrap_or(0);
    testing::judge(detector, START.saturating_add(newest), &batch(logins))
}

/// Judges every login in a batch of its own.
pub(crate) fn judge_singly(
    detector: &mut Detection<DetectFailedLogins>,
    logins: &[Login],
) -> Vec<Alert> {
    logins.iter().flat_map(|login| judge(detector, std::slice::from_ref(login))).collect()
}

/// Ten users.
pub(crate) const USERS: [&str; 10] = [
    "user_001", "user_002", "user_003", "user_004", "user_005", "user_006", "user_007", "user_008",
    "user_009", "user_010",
];
