//! Labels are the truth: an independent count over the events finds what they say and nothing else.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use audit_generate::{Attack, Generator, Label, Settings};

const HOUR: i64 = 3_600_000_000;

/// Place in the stream and event time of each failed login, by address.
type Failures = BTreeMap<String, Vec<(u64, i64)>>;

fn settings(seed: u64, count: u64, step: Duration) -> Settings {
    let start = "2025-01-16T08:30:00.123456Z".parse().unwrap();
    Settings { seed, step, attacks: vec![Attack::FailedLogins], ..Settings::new(count, start) }
}

fn run(settings: Settings) -> (Vec<Label>, Failures) {
    let count = settings.count;
    let mut generator = Generator::new(settings);
    let mut failures = Failures::new();
    let mut tries: BTreeMap<String, Vec<(i64, String, bool)>> = BTreeMap::new();
    let (mut out, mut n_events, mut before) = (Vec::new(), 0, i64::MIN);
    while let Some(meta) = generator.next_event(&mut out) {
        assert_eq!(meta.index, n_events);
        assert!(meta.event_time_us >= before, "event times go back");
        (n_events, before) = (n_events + 1, meta.event_time_us);
        let event: BTreeMap<&str, std::borrow::Cow<str>> = serde_json::from_slice(&out).unwrap();
        let time = format!("{}Z", event["event_timestamp"]).parse::<jiff::Timestamp>().unwrap();
        assert_eq!(time.as_microsecond(), meta.event_time_us);
        if event["action_type"] == "user_login" {
            let of_address = tries.entry(event["ip_address"].to_string()).or_default();
            let failed = event["action_result"] == "failure";
            of_address.push((meta.event_time_us, event["user_id"].to_string(), failed));
        }
        if event["action_type"] == "user_login" && event["action_result"] == "failure" {
            let of_address = failures.entry(event["ip_address"].to_string()).or_default();
            of_address.push((meta.index, meta.event_time_us));
        }
        out.clear();
    }
    assert_eq!(n_events, count);
    let (labels, sprays): (Vec<_>, Vec<_>) =
        generator.labels().iter().cloned().partition(|label| label.rule == "failed-logins");
    check_sprays(&sprays, &tries);
    (labels, failures)
}

/// A spray is labelled exactly where five users fail within 20 minutes, and fewer succeed.
fn check_sprays(sprays: &[Label], tries: &BTreeMap<String, Vec<(i64, String, bool)>>) {
    let guilty = tries.iter().filter(|(_, tries)| {
        tries.iter().any(|(last, ..)| {
            let window = tries.iter().filter(|(at, ..)| *at <= *last && last - at < HOUR / 3);
            let (failing, succeeding): (BTreeSet<_>, BTreeSet<_>) =
                window.map(|(_, user, failed)| (user, *failed)).partition(|(_, failed)| *failed);
            failing.len() >= 5 && failing.len() > succeeding.len()
        })
    });
    let guilty: BTreeSet<_> = guilty.map(|(ip, _)| ip).collect();
    assert_eq!(guilty, sprays.iter().map(|label| &label.key).collect());
    assert!(sprays.iter().all(|label| label.rule == "password-spray"));
}

/// The most failures that a window of an hour can hold which begins with one of them.
fn most_in_an_hour(failures: &[(u64, i64)]) -> usize {
    let in_window =
        |begin: i64| failures.iter().filter(|(_, at)| (begin..begin + HOUR).contains(at)).count();
    failures.iter().map(|(_, begin)| in_window(*begin)).max().unwrap_or(0)
}

fn check(settings: Settings) -> (Vec<Label>, Failures) {
    let context = format!("{settings:?}");
    let (labels, failures) = run(settings);
    let guilty: BTreeSet<_> =
        failures.iter().filter(|(_, of_ip)| most_in_an_hour(of_ip) > 5).map(|(ip, _)| ip).collect();
    let labelled: BTreeSet<_> = labels.iter().map(|label| &label.key).collect();
    assert_eq!(guilty, labelled, "{context}");
    assert_eq!(labels.len(), labelled.len(), "an address with two labels: {context}");
    for label in &labels {
        let (events, times): (Vec<_>, Vec<_>) = failures[&label.key].iter().copied().unzip();
        assert_eq!(label.rule, "failed-logins");
        assert_eq!(label.events, events, "{context}");
        assert_eq!(label.count, events.len() as u64);
        assert!((6..=40).contains(&label.count));
        assert_eq!((label.window_start, label.first_event), (times[0], times[0]));
        assert_eq!(label.last_event, times[times.len() - 1]);
        assert!(label.last_event - label.first_event <= HOUR / 60 * 50);
    }
    (labels, failures)
}

/// How many addresses fail exactly five times within an hour, and how many six times but never so.
fn near_misses(failures: &Failures) -> (usize, usize) {
    let strangers = failures.iter().filter(|(ip, _)| ip.starts_with("198."));
    let near: Vec<_> = strangers
        .filter(|(_, of_ip)| most_in_an_hour(of_ip) == 5)
        .map(|(_, of_ip)| of_ip.len())
        .collect();
    let count = |n| near.iter().filter(|len| **len == n).count();
    (count(5), count(6))
}

#[test]
fn labels_are_what_an_independent_count_finds() {
    for seed in 0..4 {
        for step in [Duration::from_secs(30), Duration::from_millis(9), Duration::from_millis(1)] {
            for count in [100, 250, 4_000, 20_000] {
                let (labels, _) = check(settings(seed, count, step));
                assert!(labels.len() as u64 >= (count / 5000).max(2) - 1, "too few bursts");
                assert!(labels[0].events[5] < 200, "the first alert comes late");
            }
        }
    }
}

#[test]
fn a_long_dense_stream_keeps_its_labels() {
    let (labels, failures) = check(settings(11, 600_000, Duration::from_millis(9)));
    assert!(labels.len() > 110, "{}", labels.len());
    let (five, six) = near_misses(&failures);
    assert!(five > 50 && six > 10, "near misses: {five}, {six}");
}

#[test]
fn a_stream_of_an_hour_has_both_near_misses_and_some_are_exact() {
    let mut exact = 0;
    for seed in 0..20 {
        let (_, failures) = check(settings(seed, 400, Duration::from_secs(30)));
        assert_eq!(near_misses(&failures), (1, 1), "seed {seed}");
        exact += failures.values().filter(|of_ip| is_six_in_an_hour_sharp(of_ip)).count();
    }
    assert!(exact > 3, "{exact}");
}

fn is_six_in_an_hour_sharp(failures: &[(u64, i64)]) -> bool {
    failures.len() == 6 && failures[5].1 - failures[0].1 == HOUR
}

#[test]
fn the_background_alone_would_trip_the_rule() {
    let dense = settings(3, 40_000, Duration::from_millis(9));
    let (labels, failures) = run(Settings { attacks: Vec::new(), ..dense.clone() });
    assert!(labels.is_empty());
    assert!(failures.values().all(|of_ip| most_in_an_hour(of_ip) > 5));
    let (_, failures) = check(dense);
    let background = failures.iter().filter(|(ip, _)| !ip.starts_with("198."));
    assert!(background.into_iter().all(|(_, of_ip)| of_ip.len() == 5));
}

#[test]
fn odd_settings_do_no_harm() {
    for count in 0..60 {
        check(settings(1, count, Duration::from_secs(30)));
    }
    check(settings(1, 500, Duration::ZERO));
    check(settings(1, 500, Duration::from_nanos(1)));
    check(settings(1, 500, Duration::MAX));
    check(settings(1, 500, Duration::from_hours(24)));
    check(Settings { users: 0, ..settings(1, 500, Duration::from_secs(30)) });
    let twice = vec![Attack::FailedLogins; 2];
    check(Settings { attacks: twice, ..settings(1, 500, Duration::from_secs(30)) });
    check(Settings { start: jiff::Timestamp::MAX, ..settings(1, 500, Duration::from_secs(30)) });
}

#[test]
fn labels_of_a_stopped_stream_are_true_so_far() {
    let whole = settings(5, 250, Duration::from_secs(30));
    let mut generator = Generator::new(whole.clone());
    let label = check(whole).0.remove(0);
    let mut out = Vec::new();
    while let Some(meta) = generator.next_event(&mut out) {
        let so_far = label.events.iter().filter(|index| **index <= meta.index).count();
        let mut bursts = generator.labels().iter().filter(|label| label.rule == "failed-logins");
        let reported = bursts.next().map_or(0, |label| label.count as usize);
        assert_eq!(reported, if so_far > 5 { so_far } else { 0 });
    }
}

#[test]
fn a_label_is_one_line_of_json() {
    let (labels, _) = check(settings(0, 250, Duration::from_secs(30)));
    let line = serde_json::to_string(&labels[0]).unwrap();
    let start = concat!(
        r#"{"attack":"failed-logins","expect":"alert","rule":"failed-logins","#,
        r#""key":"198.51.100."#
    );
    assert!(line.starts_with(start), "{line}");
    assert_eq!(serde_json::from_str::<Label>(&line).unwrap(), labels[0]);
}
