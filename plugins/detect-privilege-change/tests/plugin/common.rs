//! Changes as rows, and the roles of the actors.

use audit_detect::testing::{DAY, MINUTE, Row, RowEvent, Trial, column};
use audit_plugin_sdk::Alert;
use audit_plugin_sdk::testing::{BatchBuilder, Table, give_table};
use detect_privilege_change::DetectPrivilegeChange;

pub(crate) const TRIAL: Trial<Change> = Trial::new();

/// 2026-11-23T00:00:00Z.
pub(crate) const START: i64 = 20_780 * DAY;

/// The least that a configuration holds.
pub(crate) const CONFIG: &str = r#"{"roles": "roles"}"#;

/// One row. Times count from `START`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Change {
    pub(crate) action: &'static str,
    pub(crate) result: &'static str,
    pub(crate) actor: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) resource: Option<String>,
    pub(crate) details: Option<String>,
    pub(crate) time: Option<i64>,
    pub(crate) received: Option<i64>,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

/// A grant to somebody else, received when it happened. Each has a resource of its own.
pub(crate) fn grant(actor: &str, time: i64) -> Change {
    Change {
        action: "permission_grant",
        result: "success",
        actor: Some(actor.to_owned()),
        email: Some(format!("{actor}@company.com")),
        resource: Some(format!("role_{time}")),
        details: Some(r#"{"permission": "READ", "granted_to": "diana@company.com"}"#.to_owned()),
        time: Some(time),
        received: Some(time),
        partition: 3,
        offset: time / MINUTE,
    }
}

pub(crate) fn revoke(actor: &str, time: i64) -> Change {
    Change { action: "permission_revoke", details: None, ..grant(actor, time) }
}

/// A grant to the actor itself.
pub(crate) fn self_grant(actor: &str, time: i64) -> Change {
    let details = format!(r#"{{"permission": "READ", "granted_to": "{actor}@Company.COM"}}"#);
    Change { details: Some(details), ..grant(actor, time) }
}

/// A grant that was received at another time than it says.
pub(crate) fn received(actor: &str, time: i64, received: i64) -> Change {
    Change { received: Some(received), ..grant(actor, time) }
}

impl Change {
    /// The same of a resource that others may have as well.
    pub(crate) fn of(self, resource: &str) -> Self {
        Self { resource: Some(resource.to_owned()), ..self }
    }
}

impl Row for Change {
    type Detector = DetectPrivilegeChange;
    const STATE_VERSION: u32 = 2;
    const START: i64 = START;

    fn event(&self) -> RowEvent {
        let &Self { time, received, partition, offset, .. } = self;
        RowEvent { time, received, partition, offset }
    }

    fn columns(rows: &[Self], batch: BatchBuilder) -> BatchBuilder {
        batch
            .utf8("action_type", &column(rows, |row| Some(row.action)))
            .utf8("action_result", &column(rows, |row| Some(row.result)))
            .utf8("user_id", &column(rows, |row| row.actor.as_deref()))
            .utf8("user_email", &column(rows, |row| row.email.as_deref()))
            .utf8("resource_id", &column(rows, |row| row.resource.as_deref()))
            .utf8("details", &column(rows, |row| row.details.as_deref()))
    }

    fn grant() {
        give_roles();
    }
}

/// `boss` is an admin, `former` was one until noon, `clerk` never was, `twofold` is a clerk as well.
pub(crate) fn give_roles() {
    let text = "user_id,role,valid_from,valid_to
        boss,admin,2026-01-01T00:00:00Z,
        former,admin,2026-01-01T00:00:00Z,2026-11-23T12:00:00Z
        former,clerk,2026-11-23T12:00:00Z,
        twofold,clerk; admin,2026-01-01T00:00:00Z,
        clerk,clerk,2026-01-01T00:00:00Z,";
    give_table("roles", Table::from_csv("user_id", text).temporal("valid_from", "valid_to"));
}

/// The value of a label.
pub(crate) fn label<'a>(alert: &'a Alert, name: &str) -> Option<&'a str> {
    alert.labels.iter().find(|label| label.name == name).map(|label| label.value.as_str())
}
