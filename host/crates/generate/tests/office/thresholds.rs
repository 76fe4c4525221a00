//! How near attacks and near misses come to the thresholds: at the lowest intensity no event of an attack
//! is one too many, and one event or one microsecond more makes an attack of a near miss.

use std::collections::BTreeMap;

use audit_generate::{Disorder, Intensity, Label, Outcome, Settings};

use crate::events::{Event, Stream};
use crate::oracle::{MINUTE, RULES};
use crate::{check, settings};

const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

fn low(seed: u64) -> Settings {
    Settings { intensity: Intensity::Low, ..settings(seed, 260_000) }
}

/// A stream by user and by address.
struct Grouped<'a> {
    stream: &'a Stream,
    groups: BTreeMap<&'a str, Vec<&'a Event>>,
}

impl<'a> Grouped<'a> {
    fn of(stream: &'a Stream) -> Self {
        let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for event in &stream.events {
            groups.entry(event.user.as_str()).or_default().push(event);
            groups.entry(event.ip.as_str()).or_default().push(event);
        }
        Self { stream, groups }
    }

    /// A stream of those events alone that share the label's user or address, changed.
    fn beside(&self, label: &Label, change: impl FnOnce(&mut Vec<Event>)) -> Stream {
        let key = label.key.split('/').next().unwrap();
        let mut events: Vec<Event> = self.groups[key].iter().copied().cloned().collect();
        change(&mut events);
        Stream { events, labels: Vec::new(), lookups: self.stream.lookups.clone() }
    }
}

/// Whether the rule of a label finds one of its events guilty.
fn trips(stream: &Stream, label: &Label) -> bool {
    let (_, judge) = RULES.iter().find(|(rule, _)| *rule == label.rule).unwrap();
    judge(stream).iter().any(|index| label.events.contains(index))
}

/// Whether a label is about the same events, and worse.
fn is_worse(other: &Label, label: &Label) -> bool {
    let (worse, rule) = (other.rule.as_ref(), label.rule.as_ref());
    let escalates = worse != rule && worse.starts_with(rule)
        || (worse, rule) == ("mass-export-critical", "mass-export-escalated");
    escalates && other.key == label.key && other.events.iter().any(|e| label.events.contains(e))
}

#[test]
fn at_the_threshold_no_event_is_one_too_many() {
    let mut n_checked: BTreeMap<String, usize> = BTreeMap::new();
    for seed in 0..2 {
        let stream = check(low(seed));
        let grouped = Grouped::of(&stream);
        let alerts = stream.labels.iter().filter(|label| label.expect == Outcome::Alert);
        for label in alerts {
            // A burst that is worse, or nearly so, has more events than a burst needs.
            if stream.labels.iter().any(|other| is_worse(other, label)) {
                continue;
            }
            assert!(trips(&grouped.beside(label, |_| {}), label));
            for gone in label.events.iter().copied().take(2) {
                let without =
                    grouped.beside(label, |events| events.retain(|event| event.index != gone));
                assert!(!trips(&without, label), "one too many, seed {seed}: {label:?}");
            }
            *n_checked.entry(label.rule.to_string()).or_default() += 1;
        }
    }
    for (rule, _) in RULES {
        assert!(n_checked.get(*rule).is_some_and(|n| *n > 1), "{rule}: {n_checked:?}");
    }
}

/// The least that makes an attack of a near miss.
#[derive(Debug, Clone, Copy)]
enum Nudge {
    /// The last event once more.
    Again,
    /// The last event a microsecond earlier.
    Earlier,
    /// One row more.
    Row,
}

const NUDGES: [(&str, Nudge); 18] = [
    ("as many failures as the rule allows", Nudge::Again),
    ("nine failures in ten minutes: a burst, but not urgent", Nudge::Again),
    ("one export fewer than a mass export has", Nudge::Again),
    ("as many as are believed of somebody who is new", Nudge::Again),
    ("a busy hour, but too few events to be worth a look", Nudge::Again),
    ("a busy hour, but not beyond what the user's own weeks explain", Nudge::Again),
    ("one row fewer than a mass export has", Nudge::Row),
    ("one row fewer than 50,000", Nudge::Row),
    ("one row fewer than 100,000", Nudge::Row),
    ("a burst whose tenth failure comes ten minutes after the first", Nudge::Earlier),
    ("the fifth user fails 20 minutes after the first", Nudge::Earlier),
    ("the last export comes five minutes after the first", Nudge::Earlier),
    ("50,000 rows, but the last come an hour after the first", Nudge::Earlier),
    ("100,000 rows, but the last come an hour after the first", Nudge::Earlier),
    ("many rows, but an hour apart", Nudge::Earlier),
    ("a traveller: the third address comes an hour after the first", Nudge::Earlier),
    ("the very moment at which the office opens", Nudge::Earlier),
    ("a look at night, and a loss at the very moment at which the office opens", Nudge::Earlier),
];

#[test]
fn a_near_miss_is_short_of_an_attack_by_one() {
    let mut n_checked: BTreeMap<&str, usize> = BTreeMap::new();
    for seed in 0..2 {
        let stream = check(settings(seed, 260_000));
        let grouped = Grouped::of(&stream);
        // The end cuts off some.
        let until = stream.events[stream.events.len() - 1].received - 6 * HOUR;
        for label in stream.labels.iter().filter(|label| label.last_event < until) {
            let why = label.near_miss.as_deref();
            let nudge = NUDGES.iter().find(|(known, _)| why == Some(*known));
            let Some((why, nudge)) = nudge.filter(|_| is_nudged(label)) else { continue };
            let last = label.events[label.events.len() - 1];
            let nudged = grouped.beside(label, |events| {
                let at = events.iter().position(|event| event.index == last).unwrap();
                match nudge {
                    Nudge::Again => events.insert(at, events[at].clone()),
                    Nudge::Earlier => events[at].judged -= 1,
                    Nudge::Row => events[at].rows += 1,
                }
            });
            assert!(trips(&nudged, label), "far from an attack, seed {seed}: {label:?}");
            *n_checked.entry(*why).or_default() += 1;
        }
    }
    assert_eq!(n_checked.len(), NUDGES.len(), "{n_checked:?}");
}

/// A near miss of a spray has a label of a burst as well, of which it is far from being one.
fn is_nudged(label: &Label) -> bool {
    label.attack != "password-spray" || label.rule == "password-spray"
}

#[test]
fn unusual_volume_is_tried_at_every_limit() {
    let in_disorder = Settings { disorder: Disorder::ALL.to_vec(), ..low(5) };
    for settings in [low(3), in_disorder] {
        let weeks = settings.start.as_microsecond() + 14 * DAY;
        let stream = check(settings);
        let counts = |expect, is_new: bool| -> Vec<u64> {
            let labels = stream.labels.iter().filter(|label| {
                label.rule == "unusual-volume"
                    && label.expect == expect
                    && (label.window_start < weeks) == is_new
            });
            labels.map(|label| label.count).collect()
        };
        let new = (counts(Outcome::Alert, true), counts(Outcome::Silence, true));
        assert!(new.0.contains(&201) && new.1.contains(&200), "{new:?}");
        let known = (counts(Outcome::Alert, false), counts(Outcome::Silence, false));
        assert!(known.0.iter().filter(|n| (30..60).contains(*n)).count() > 2, "{known:?}");
        assert!(known.1.contains(&29), "{known:?}");
        assert!(known.1.iter().any(|n| (30..60).contains(n)), "{known:?}");
    }
}
