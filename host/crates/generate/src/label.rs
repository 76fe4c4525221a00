//! Labels: which alerts must be raised, and which must not, valid at any time. The expectations of an attack are
//! recorded when it is planned. Here they are compared with the events that were really emitted, because a stream
//! may be stopped in the middle of an attack.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::event::Action;

/// Whether an alert must be raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Exactly one alert.
    Alert,
    /// None: a near miss.
    Silence,
}

/// An alert that the events must raise, or a near miss.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// The name of the [`Attack`](crate::Attack) that the events belong to.
    pub attack: Cow<'static, str>,
    pub expect: Outcome,
    /// The rule that must raise the alert, or must not.
    pub rule: Cow<'static, str>,
    /// What the alert is about: the values of the rule's key columns with `/` between them.
    pub key: String,
    /// `medium`, `high` or `critical`.
    pub severity: Cow<'static, str>,
    /// Why no alert must be raised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub near_miss: Option<Cow<'static, str>>,
    /// Event times in microseconds since 1970 in UTC, as a detector judges them: a time that is too far ahead is
    /// capped.
    pub window_start: i64,
    pub first_event: i64,
    pub last_event: i64,
    /// The number of events that count, including those after the rule tripped.
    pub count: u64,
    /// Their indexes in the stream, from 0.
    pub events: Vec<u64>,
}

/// An emitted event of an attack.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    pub(crate) index: u64,
    /// Event time as a detector judges it.
    pub(crate) at: i64,
    pub(crate) user: u32,
    pub(crate) action: Action,
    pub(crate) failed: bool,
    /// A number for addresses that a rule counts as one.
    pub(crate) place: u32,
    /// Exported rows.
    pub(crate) rows: u32,
}

/// When a rule trips. Spans are half-open: two events are within a span if they are less than it apart.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Trip {
    /// This many events.
    Events(usize),
    /// This many events within a span.
    Within(usize, i64),
    /// This many users failing within a span, and fewer that succeed.
    Users(usize, i64),
    /// More places than this within a span.
    Places(usize, i64),
    /// This many rows in total.
    Rows(u64),
}

/// An expected label.
#[derive(Debug, Clone)]
pub(crate) struct Expectation {
    pub(crate) rule: &'static str,
    pub(crate) key: String,
    pub(crate) severity: &'static str,
    /// Why there must be no alert, for a near miss.
    pub(crate) near_miss: Option<&'static str>,
    /// The events that count.
    pub(crate) counts: fn(&Seen) -> bool,
    pub(crate) trip: Trip,
    /// The start of the window, if it is not the first event.
    pub(crate) window_start: Option<i64>,
}

impl Expectation {
    /// An alert whose window starts with the first event.
    pub(crate) fn alert(rule: &'static str, severity: &'static str, trip: Trip) -> Self {
        Self {
            rule,
            key: String::new(),
            severity,
            near_miss: None,
            counts: |_| true,
            trip,
            window_start: None,
        }
    }

    /// No alert: valid from the first event on.
    pub(crate) fn silence(rule: &'static str, severity: &'static str, why: &'static str) -> Self {
        Self { near_miss: Some(why), ..Self::alert(rule, severity, Trip::Events(1)) }
    }

    pub(crate) fn of(self, counts: fn(&Seen) -> bool) -> Self {
        Self { counts, ..self }
    }

    pub(crate) fn about(self, key: &str) -> Self {
        Self { key: key.to_owned(), ..self }
    }

    pub(crate) fn from(self, window_start: i64) -> Self {
        Self { window_start: Some(window_start), ..self }
    }
}

/// The emitted events of one attack, and the labels that they have produced.
pub(crate) struct Tracker {
    attack: &'static str,
    expectations: Vec<(Expectation, Option<usize>)>,
    seen: Vec<Seen>,
}

impl Tracker {
    pub(crate) fn new(attack: &'static str, expectations: Vec<Expectation>) -> Self {
        let expectations = expectations.into_iter().map(|expected| (expected, None)).collect();
        Self { attack, expectations, seen: Vec::new() }
    }

    /// Adds an emitted event.
    pub(crate) fn see(&mut self, seen: Seen, labels: &mut Vec<Label>) {
        self.seen.push(seen);
        for (expected, label_idx) in &mut self.expectations {
            if !(expected.counts)(&seen) {
                continue;
            }
            if let Some(label) = label_idx.and_then(|idx| labels.get_mut(idx)) {
                label.add(&seen, expected.window_start);
                continue;
            }
            let counted = self.seen.iter().filter(|seen| (expected.counts)(seen));
            let counted: Vec<_> = counted.copied().collect();
            if expected.trip.is_tripped_by(&counted) {
                *label_idx = Some(labels.len());
                labels.push(label(self.attack, expected, &counted));
            }
        }
    }
}

fn label(attack: &'static str, expected: &Expectation, counted: &[Seen]) -> Label {
    let is_near_miss = expected.near_miss.is_some();
    let mut label = Label {
        attack: Cow::Borrowed(attack),
        expect: if is_near_miss { Outcome::Silence } else { Outcome::Alert },
        rule: Cow::Borrowed(expected.rule),
        key: expected.key.clone(),
        severity: Cow::Borrowed(expected.severity),
        near_miss: expected.near_miss.map(Cow::Borrowed),
        window_start: i64::MAX,
        first_event: i64::MAX,
        last_event: i64::MIN,
        count: 0,
        events: Vec::with_capacity(counted.len()),
    };
    for seen in counted {
        label.add(seen, expected.window_start);
    }
    label
}

impl Label {
    fn add(&mut self, seen: &Seen, window_start: Option<i64>) {
        self.first_event = self.first_event.min(seen.at);
        self.last_event = self.last_event.max(seen.at);
        self.window_start = window_start.unwrap_or(self.first_event);
        self.count += 1;
        self.events.push(seen.index);
    }
}

impl Trip {
    fn is_tripped_by(self, seen: &[Seen]) -> bool {
        match self {
            Self::Events(n) => seen.len() >= n,
            Self::Within(n, span) => any_window(seen, span, |window| window.count() >= n),
            Self::Users(n, span) => any_window(seen, span, |window| {
                let (mut failing, mut succeeding) = (BTreeSet::new(), BTreeSet::new());
                for seen in window {
                    (if seen.failed { &mut failing } else { &mut succeeding }).insert(seen.user);
                }
                failing.len() >= n && failing.len() > succeeding.len()
            }),
            Self::Places(n, span) => any_window(seen, span, |window| {
                window.map(|seen| seen.place).collect::<BTreeSet<_>>().len() > n
            }),
            Self::Rows(n) => seen.iter().map(|seen| u64::from(seen.rows)).sum::<u64>() >= n,
        }
    }
}

/// Whether a window that ends with one of the events passes. Attacks are small enough to try all of them.
fn any_window(
    seen: &[Seen],
    span: i64,
    passes: impl Fn(&mut dyn Iterator<Item = &Seen>) -> bool,
) -> bool {
    seen.iter().any(|last| {
        let within = |seen: &&Seen| seen.at <= last.at && last.at - seen.at < span;
        passes(&mut seen.iter().filter(within))
    })
}
