//! Clocks, partitions and the rule.

use crate::common::{Export, TRIAL, export, received};
use audit_detect::testing::{DAY, HOUR, MINUTE, SECOND, START, TIME_MAX, TIME_MIN, rules};

/// Event times are capped at the Kafka time.
#[test]
fn a_forged_future_time_silences_nothing() {
    for forged in [HOUR, 365 * DAY, i64::MAX / 2] {
        let mut exports = Vec::new();
        for minute in 0..10 {
            exports.push(export("a", 1_000, minute * MINUTE));
            exports.push(received("a", 0, forged, minute * MINUTE));
            exports.push(received("b", 1_000, minute * MINUTE + forged, minute * MINUTE));
        }
        let found = TRIAL.alerts("{}", &exports);
        let mut keys: Vec<&str> = found.iter().map(|alert| &*alert.key[0].value).collect();
        keys.sort_unstable();
        assert_eq!(keys, ["a", "b"], "{forged}");
        assert!(found.iter().all(|alert| alert.last_event <= START + 15 * MINUTE), "{found:?}");
    }
}

#[test]
fn out_of_order_and_twice() {
    let times = [50, 3, 17, 59, 0, 21, 33, 8, 40, 12];
    let exports: Vec<Export> =
        times.iter().map(|&minute| export("u", 1_000, minute * MINUTE)).collect();
    let found = TRIAL.alerts("{}", &exports);
    assert_eq!((found.len(), found[0].count), (1, 10));
    assert_eq!(found[0].window_start, START);
    // A producer's duplicates are records of their own: they count.
    assert_eq!(TRIAL.alerts("{}", &vec![export("u", 1_000, 0); 10]).len(), 1);
}

/// A day comes again a day later, with the event times that it had: the same windows, so the host takes
/// the alerts for those that it knows.
#[test]
fn a_replayed_day_gives_the_same_alerts_again() {
    let day = |shift: i64| -> Vec<Export> {
        let hours = (0..24).map(|hour| received("u", 9_000, hour * HOUR, hour * HOUR + shift));
        let spree = received("u", 9_000, 12 * HOUR + MINUTE, 12 * HOUR + MINUTE + shift);
        let mut day: Vec<Export> = hours.chain([spree]).collect();
        day.sort_by_key(|export| export.received);
        day
    };
    let mut detector = TRIAL.detector("{}");
    let first = TRIAL.judge(&mut detector, &day(0));
    assert_eq!(rules(&first), ["mass-export"]);
    let again = TRIAL.judge(&mut detector, &day(DAY));
    assert_eq!(
        (again[0].rule.clone(), again[0].window_start),
        (first[0].rule.clone(), first[0].window_start)
    );
    assert_eq!(again.len(), 1);
}

#[test]
fn a_week_of_silence_ends_what_was_before() {
    let mut detector = TRIAL.detector("{}");
    assert!(TRIAL.judge(&mut detector, &[export("u", 9_999, 0)]).is_empty());
    assert!(TRIAL.judge(&mut detector, &[export("u", 9_999, 7 * DAY)]).is_empty());
    assert_eq!(TRIAL.judge(&mut detector, &[export("u", 1, 7 * DAY + 1)]).len(), 1);
}

#[test]
fn a_clock_that_steps_back_loses_nothing() {
    let mut detector = TRIAL.detector("{}");
    assert!(TRIAL.judge(&mut detector, &[export("u", 6_000, 0)]).is_empty());
    let others: Vec<Export> =
        (0..50).map(|index| export(&format!("user_{index}"), 1, -2 * HOUR)).collect();
    assert!(TRIAL.judge(&mut detector, &others).is_empty());
    assert_eq!(TRIAL.judge(&mut detector, &[export("u", 6_000, MINUTE)]).len(), 1);
}

#[test]
fn a_partition_that_lags_an_hour_is_judged_like_the_other() {
    for config in ["{}", r#"{"window": "10m"}"#] {
        let mut detector = TRIAL.detector(config);
        let mut found = Vec::new();
        for second in 0..10 {
            let lagging = export("u", 1_000, second * SECOND);
            let ahead = export("u", 10, HOUR + 30 * MINUTE + second * SECOND);
            let other = export("v", 10, HOUR + second * SECOND);
            // An hour and less behind what came before it.
            let ahead = Export { received: Some(HOUR + second * SECOND), ..ahead };
            found.extend(TRIAL.judge(&mut detector, &[ahead, lagging, other]));
        }
        let reported: Vec<_> =
            found.iter().map(|alert| (&*alert.rule, alert.window_start)).collect();
        assert_eq!(reported, [("mass-export", START)], "{config}");
    }
}

/// A little that claims to have come later must not hide what comes now: it belongs to the same burst, makes
/// it worse, and leaves the start by which the host knows it.
#[test]
fn a_burst_stamped_ahead_hides_nothing() {
    let noon = 12 * HOUR;
    for (stamped, times) in [
        ("ahead", [1, 2, 3, 4].map(|minute| noon + minute * MINUTE)),
        ("back-dated", [-5, -20, -40, -54].map(|minute| noon + minute * MINUTE)),
    ] {
        let bait = received("u", 0, noon + 5 * MINUTE, noon);
        let mut exports = vec![bait; 20];
        exports.extend(times.map(|time| received("u", 1_000_000, time, noon + 4 * MINUTE)));
        let found = TRIAL.alerts("{}", &exports);
        assert_eq!(rules(&found), ["mass-export", "mass-export-critical"], "{stamped}");
        let start = START + noon + 5 * MINUTE;
        assert!(found.iter().all(|alert| alert.window_start == start), "{stamped}: one id");
        assert_eq!((found[1].first_event, found[1].count), (START + times[0], 21), "{stamped}");
        TRIAL.batches_of_any_size("{}", &exports);
        TRIAL.restart_anywhere("{}", &exports.chunks(3).collect::<Vec<_>>());
    }
}

/// The year 1 is the zero value of times in Go and .NET.
#[test]
fn the_first_and_the_last_time_are_times() {
    for time in [TIME_MIN, TIME_MAX] {
        let bulk =
            |received| Export { received: Some(received), ..export("u", 10_000, time - START) };
        assert_eq!(
            rules(&TRIAL.alerts("{}", &[bulk(0)])),
            ["mass-export"],
            "cut to the Kafka time at least"
        );
        let mut detector = TRIAL.detector(r#"{"max-keys": 1}"#);
        let other = Export { user: Some("v".to_owned()), ..bulk(time - START) };
        let found = TRIAL.judge(&mut detector, &[bulk(time - START), other]);
        assert_eq!(rules(&found), ["mass-export", "mass-export", "state-evicted"]);
    }
}
