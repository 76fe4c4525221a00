//! An office is what its labels say: an oracle for each rule, written from the rule's definition and
//! knowing nothing of how events are made, finds guilty events where labels are and nowhere else.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod events;
mod oracle;
mod thresholds;

use std::collections::{BTreeMap, BTreeSet};

use audit_generate::{
    Attack, Disorder, Generator, Intensity, Label, Outcome, Population, Settings,
};

use events::{Event, Stream, fingerprint};
use oracle::{MINUTE, RULES};

const SPRING: &str = "2025-03-10T06:00:00Z";

fn settings(seed: u64, count: u64) -> Settings {
    let attacks = Attack::ALL.to_vec();
    let start = SPRING.parse().unwrap();
    Settings { seed, attacks, intensity: Intensity::High, ..Settings::office(count, start) }
}

fn disordered(seed: u64, count: u64) -> Settings {
    Settings { disorder: Disorder::ALL.to_vec(), ..settings(seed, count) }
}

/// Every guilty event belongs to an alert's label, every such label has one, no near miss has any.
fn check(settings: Settings) -> Stream {
    let context = format!("{settings:?}");
    let stream = Stream::of(settings);
    for (rule, judge) in RULES {
        let guilty: BTreeSet<u64> = judge(&stream).into_iter().collect();
        let of_rule = |outcome| {
            let labels = stream.labels.iter().filter(move |label| label.expect == outcome);
            labels.filter(|label| label.rule == *rule)
        };
        let mut explained: BTreeSet<u64> = BTreeSet::new();
        for label in of_rule(Outcome::Alert) {
            let has_guilty = label.events.iter().any(|index| guilty.contains(index));
            assert!(has_guilty, "nothing to alert on: {label:?}, {context}");
            explained.extend(&label.events);
        }
        for label in of_rule(Outcome::Silence) {
            let wrong = label.events.iter().find(|index| guilty.contains(index));
            assert_eq!(wrong, None, "{rule} trips: {label:?}, {context}");
        }
        let unexplained = guilty.iter().find(|index| !explained.contains(index));
        let event = unexplained.map(|index| &stream.events[*index as usize]);
        assert!(event.is_none(), "{rule} trips without a label: {event:?}, {context}");
    }
    for label in &stream.labels {
        check_label(label, &stream);
    }
    stream
}

/// What a label says of its events is so.
fn check_label(label: &Label, stream: &Stream) {
    let events: Vec<&Event> =
        label.events.iter().map(|index| &stream.events[*index as usize]).collect();
    let times: Vec<_> = events.iter().map(|event| event.judged).collect();
    assert_eq!(label.count as usize, events.len());
    assert_eq!(Some(&label.first_event), times.iter().min());
    assert_eq!(Some(&label.last_event), times.iter().max());
    assert!(label.window_start <= label.first_event, "{label:?}");
    assert_eq!(label.near_miss.is_some(), label.expect == Outcome::Silence);
    for event in events {
        let keys =
            [event.ip.clone(), event.user.clone(), format!("{}/{}", event.user, event.action)];
        assert!(keys.contains(&label.key), "{label:?}: {event:?}");
    }
}

fn counts(stream: &Stream) -> BTreeMap<(String, Outcome), usize> {
    let mut counts = BTreeMap::new();
    for label in &stream.labels {
        let outcome = label.expect;
        *counts.entry((label.rule.to_string(), outcome)).or_default() += 1;
    }
    counts
}

#[test]
fn labels_are_what_the_oracles_find() {
    for seed in 0..3 {
        check(settings(seed, 25_000));
        check(Settings { intensity: Intensity::Low, ..settings(seed, 25_000) });
    }
}

#[test]
fn labels_are_right_in_disorder_too() {
    for seed in 0..3 {
        check(disordered(seed, 25_000));
        check(Settings { intensity: Intensity::Low, ..disordered(seed, 25_000) });
    }
}

#[test]
fn seven_weeks_have_every_attack_and_every_near_miss() {
    let stream = check(disordered(7, 260_000));
    let counts = counts(&stream);
    for (rule, _) in RULES {
        let n = |outcome| counts.get(&((*rule).to_owned(), outcome)).copied().unwrap_or(0);
        assert!(n(Outcome::Alert) >= 5, "{rule}: {counts:?}");
        assert!(n(Outcome::Silence) >= 5, "{rule}: {counts:?}");
    }
    let labels = [stream.labels, Stream::of(disordered(8, 260_000)).labels].concat();
    let whys: BTreeSet<_> = labels.iter().filter_map(|label| label.near_miss.clone()).collect();
    assert_eq!(whys.len(), 32, "{whys:#?}");
}

#[test]
fn nobody_is_guilty_without_attackers() {
    let stream = check(Settings { attacks: Vec::new(), ..disordered(3, 60_000) });
    assert!(stream.labels.is_empty());
    let large = Settings { users: 2_000, attacks: Vec::new(), ..disordered(4, 60_000) };
    assert!(check(large).labels.is_empty());
}

#[test]
fn disorder_is_what_was_asked_for() {
    let n = |disorder: &[Disorder]| {
        let chosen = Settings { disorder: disorder.to_vec(), ..settings(5, 20_000) };
        let stream = Stream::of(chosen);
        let ids: BTreeSet<_> = stream.events.iter().map(|event| &event.id).collect();
        let n_doubles = stream.events.len() - ids.len();
        let mut n = [n_doubles, 0, 0, 0, 0];
        let mut latest = i64::MIN;
        for event in &stream.events {
            n[1] += usize::from((MINUTE..=20 * MINUTE).contains(&(event.received - event.at)));
            n[2] += usize::from(event.at < latest && latest - event.at < MINUTE);
            n[3] += usize::from((1..=4 * MINUTE).contains(&(event.at - event.received)));
            n[4] += usize::from((event.at - event.received).abs() > 1_000 * MINUTE);
            latest = latest.max(event.at.min(event.received));
        }
        n
    };
    assert_eq!(n(&[]), [0; 5]);
    let some = |n: [usize; 5], which: usize| assert!(n[which] > 10, "{n:?}");
    let doubles = n(&[Disorder::Duplicates]);
    some(doubles, 0);
    some(n(&[Disorder::Late]), 1);
    some(n(&[Disorder::OutOfOrder]), 2);
    some(n(&[Disorder::Future]), 3);
    some(n(&[Disorder::Forged]), 4);
    let all = n(&Disorder::ALL);
    (0..5).for_each(|which| some(all, which));
}

#[test]
fn arrivals_never_go_back_and_without_disorder_events_do_not_either() {
    for settings in [settings(1, 20_000), disordered(1, 20_000)] {
        let is_ordered = settings.disorder.is_empty();
        let stream = Stream::of(settings);
        assert!(stream.events.is_sorted_by_key(|event| event.received));
        assert_eq!(stream.events.is_sorted_by_key(|event| event.at), is_ordered);
    }
}

#[test]
fn a_double_is_the_same_to_the_byte() {
    let mut generator = Generator::new(Settings { pii: true, ..disordered(2, 20_000) });
    let mut by_id = BTreeMap::new();
    let (mut out, mut n_doubles) = (Vec::new(), 0);
    while generator.next_event(&mut out).is_some() {
        let event = std::mem::take(&mut out);
        if let Some(first) = by_id.insert(event[14..50].to_vec(), event.clone()) {
            assert_eq!(first, event);
            n_doubles += 1;
        }
    }
    assert!(n_doubles > 100, "{n_doubles}");
}

#[test]
fn a_stopped_stream_has_the_labels_of_what_went_out() {
    let whole = Stream::of(settings(6, 30_000));
    for count in [0, 1, 500, 3_000, 9_999, 20_000] {
        let part = Stream::of(settings(6, count));
        for label in &part.labels {
            assert!(label.events.iter().all(|index| *index < count));
            let same = whole.labels.iter().find(|one| {
                (&one.rule, &one.key, one.events[0]) == (&label.rule, &label.key, label.events[0])
            });
            assert!(same.unwrap().events.starts_with(&label.events));
        }
    }
    check(settings(6, 9_999));
}

#[test]
fn odd_settings_do_no_harm() {
    let odd = |start: &str, users| {
        let start = start.parse().unwrap();
        check(Settings { start, users, ..disordered(1, 3_000) });
    };
    odd("1900-01-01T00:00:00Z", 0);
    odd("2024-12-24T23:59:59Z", 20);
    odd("9999-12-30T00:00:00Z", 21);
    odd("2025-10-25T12:00:00Z", 1_000);
    let twice = [Attack::MassExport; 2].to_vec();
    check(Settings { attacks: twice, ..settings(1, 3_000) });
}

#[test]
fn ten_thousand_events_have_these_fingerprints() {
    assert_eq!(
        (fingerprint(settings(7, 10_000)), fingerprint(disordered(7, 10_000))),
        (6_889_719_253_550_571_347, 2_295_955_649_420_095_281),
        "the bytes of a seed changed: published figures rely on them"
    );
    assert_ne!(fingerprint(settings(8, 10_000)), fingerprint(settings(7, 10_000)));
}

#[test]
fn the_population_is_chosen_by_name() {
    assert_eq!("office".parse(), Ok(Population::Office));
    assert_eq!("high".parse(), Ok(Intensity::High));
    assert_eq!("forged".parse(), Ok(Disorder::Forged));
    let error = "chaos".parse::<Disorder>().unwrap_err().to_string();
    assert_eq!(
        error,
        "unknown disorder `chaos`; available: duplicates, late, out-of-order, future, forged"
    );
}
