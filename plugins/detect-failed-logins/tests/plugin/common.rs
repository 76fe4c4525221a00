//! Logins as rows.

use audit_detect::testing::{Row, RowEvent, SECOND, Trial, column};
use audit_plugin_sdk::Alert;
use audit_plugin_sdk::testing::{BatchBuilder, Detection};
use detect_failed_logins::DetectFailedLogins;

pub(crate) const TRIAL: Trial<Login> = Trial::new();

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

impl Row for Login {
    type Detector = DetectFailedLogins;
    const STATE_VERSION: u32 = 3;

    fn event(&self) -> RowEvent {
        let &Self { time, received, offset, .. } = self;
        RowEvent { time, received, partition: 3, offset }
    }

    fn columns(rows: &[Self], batch: BatchBuilder) -> BatchBuilder {
        batch
            .utf8("action_type", &column(rows, |row| Some(row.action)))
            .utf8("action_result", &column(rows, |row| Some(row.result)))
            .utf8("ip_address", &column(rows, |row| row.address.as_deref()))
            .utf8("user_id", &column(rows, |row| Some(row.user).filter(|user| !user.is_empty())))
    }
}

/// Judges every login in a batch of its own.
pub(crate) fn judge_singly(
    detector: &mut Detection<DetectFailedLogins>,
    logins: &[Login],
) -> Vec<Alert> {
    logins.iter().flat_map(|login| TRIAL.judge(detector, std::slice::from_ref(login))).collect()
}

/// Ten users.
pub(crate) const USERS: [&str; 10] = [
    "user_001", "user_002", "user_003", "user_004", "user_005", "user_006", "user_007", "user_008",
    "user_009", "user_010",
];
