//! What the tests share: logins as rows, and a detector to feed them to.

use audit_plugin_sdk::testing::{BatchBuilder, Detection};
use audit_plugin_sdk::{Alert, Batch};
use detect_failed_logins::DetectFailedLogins;

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
    let times: Vec<_> = logins.iter().map(|login| login.time.map(|time| START + time)).collect();
    let received: Vec<_> =
        logins.iter().map(|login| login.received.map(|time| START + time)).collect();
    let offsets: Vec<_> = logins.iter().map(|login| Some(login.offset)).collect();
    BatchBuilder::new(logins.len())
        .utf8("action_type", &column(|login| login.action))
        .utf8("action_result", &column(|login| login.result))
        .utf8("ip_address", &addresses)
        .utf8("user_id", &column(|login| login.user))
        .timestamp("event_timestamp", &times)
        .timestamp("source_timestamp", &received)
        .int32("source_partition", &vec![Some(3); logins.len()])
        .int64("source_offset", &offsets)
        .build()
}

/// A detector.
pub(crate) fn detector(config: &str) -> Detection<DetectFailedLogins> {
    Detection::new(config).expect("a good configuration")
}

/// Judges logins in one batch, under the clock that the host would give.
pub(crate) fn judge(detector: &mut Detection<DetectFailedLogins>, logins: &[Login]) -> Vec<Alert> {
    let newest = logins.iter().filter_map(|login| login.received).max().unwrap_or(0);
    let judgement = detector.process(START + newest, &batch(logins)).expect("a judgement");
    judgement.alerts().to_vec()
}

/// Judges every login in a batch of its own.
pub(crate) fn judge_singly(
    detector: &mut Detection<DetectFailedLogins>,
    logins: &[Login],
) -> Vec<Alert> {
    logins.iter().flat_map(|login| judge(detector, std::slice::from_ref(login))).collect()
}

/// The names of the rules of alerts.
pub(crate) fn rules(alerts: &[Alert]) -> Vec<&str> {
    alerts.iter().map(|alert| alert.rule.as_str()).collect()
}

/// Ten users.
pub(crate) const USERS: [&str; 10] = [
    "user_001", "user_002", "user_003", "user_004", "user_005", "user_006", "user_007", "user_008",
    "user_009", "user_010",
];

/// Numbers that look random and are the same in every run (SplitMix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}
