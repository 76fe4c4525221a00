//! Wrong alerts. For a transform any alert is wrong.

use crate::abi::audit_host::plugin::types::{Alert, Judgement, Position};
use crate::configure::NASTY;
use crate::counter::{field, finding};
use crate::options::{Behavior, Call, Table};

pub(crate) const TABLE: Table = &[
    ("alert", Behavior::Spoil(|_, answer| push(answer, |_| ()))),
    ("alert-from-transform", Behavior::Spoil(|_, answer| push(answer, |_| ()))),
    ("alert-twice", Behavior::Spoil(alert_twice)),
    ("too-many-alerts", Behavior::Spoil(too_many)),
    (
        "alert-time-max",
        Behavior::Spoil(|_, answer| push(answer, |alert| set_times(alert, i64::MAX))),
    ),
    (
        "alert-time-min",
        Behavior::Spoil(|_, answer| push(answer, |alert| set_times(alert, i64::MIN))),
    ),
    (
        "alert-times-reversed",
        Behavior::Spoil(|_, answer| push(answer, |alert| alert.last_event -= 10)),
    ),
    ("alert-count-max", Behavior::Spoil(|_, answer| push(answer, |alert| alert.count = u64::MAX))),
    (
        "alert-nasty-message",
        Behavior::Spoil(|_, answer| push(answer, |alert| NASTY.clone_into(&mut alert.message))),
    ),
    ("alert-huge-message", Behavior::Spoil(huge_message)),
    ("alert-empty-rule", Behavior::Spoil(|_, answer| push(answer, |alert| alert.rule.clear()))),
    (
        "alert-nasty-rule",
        Behavior::Spoil(|_, answer| push(answer, |alert| NASTY.clone_into(&mut alert.rule))),
    ),
    ("alert-huge-rule", Behavior::Spoil(huge_rule)),
    ("alert-undeclared-key", Behavior::Spoil(|_, answer| push(answer, undeclared_key))),
    (
        "alert-key-twice",
        Behavior::Spoil(|_, answer| push(answer, |alert| alert.key.extend_from_within(..))),
    ),
    ("alert-nasty-labels", Behavior::Spoil(|_, answer| push(answer, nasty_labels))),
    ("alert-many-labels", Behavior::Spoil(many_labels)),
    ("alert-many-events", Behavior::Spoil(many_events)),
    ("alert-foreign-events", Behavior::Spoil(|_, answer| push(answer, foreign_events))),
];

/// Adds an alert that is correct except for the change.
fn push(answer: &mut Judgement, change: impl FnOnce(&mut Alert)) {
    let mut alert = finding(0, 0);
    change(&mut alert);
    answer.alerts.push(alert);
}

fn alert_twice(_: &Call, answer: &mut Judgement) {
    push(answer, |_| ());
    push(answer, |alert| alert.count = 2);
}

fn too_many(call: &Call, answer: &mut Judgement) {
    answer.alerts = (0..call.options.n_or(10_000)).map(|idx| finding(0, idx as i64)).collect();
}

fn set_times(alert: &mut Alert, time: i64) {
    (alert.window_start, alert.first_event, alert.last_event) = (time, time, time);
}

fn huge_message(call: &Call, answer: &mut Judgement) {
    push(answer, |alert| alert.message = "m".repeat(call.options.bytes_or(1 << 20)));
}

fn huge_rule(call: &Call, answer: &mut Judgement) {
    push(answer, |alert| alert.rule = "r".repeat(call.options.bytes_or(1 << 20)));
}

fn undeclared_key(alert: &mut Alert) {
    alert.key.push(field(("no_such_key", "x".to_owned())));
}

fn nasty_labels(alert: &mut Alert) {
    alert.labels = vec![field((NASTY, NASTY.to_owned())), field(("", String::new()))];
}

fn many_labels(call: &Call, answer: &mut Judgement) {
    let label = |idx| field((&format!("label{idx}"), "x".to_owned()));
    push(answer, |alert| alert.labels = (0..call.options.n_or(1_000)).map(label).collect());
}

fn many_events(call: &Call, answer: &mut Judgement) {
    let event = |idx: usize| Position { partition: 0, offset: idx as i64 };
    push(answer, |alert| alert.events = (0..call.options.n_or(10_000)).map(event).collect());
}

/// Records that the topic does not have.
fn foreign_events(alert: &mut Alert) {
    alert.events = vec![
        Position { partition: -1, offset: i64::MIN },
        Position { partition: i32::MAX, offset: i64::MAX },
    ];
}
