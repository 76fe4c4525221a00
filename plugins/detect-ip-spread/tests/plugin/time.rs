//! Clocks, partitions and the rule.

use crate::common::{Seen, TRIAL, at, received, seen};
use audit_detect::testing::{DAY, HOUR, MINUTE, SECOND, START, TIME_MAX, TIME_MIN, rules};

/// Event times are capped at the Kafka time.
#[test]
fn a_forged_future_time_silences_nothing() {
    for forged in [HOUR, 365 * DAY, i64::MAX / 2] {
        let mut rows = Vec::new();
        for minute in 0..3 {
            let address = format!("203.0.113.{minute}");
            rows.push(seen("a", &address, minute * MINUTE));
            rows.push(received("a", "203.0.113.0", forged, minute * MINUTE));
            rows.push(received("b", &address, minute * MINUTE + forged, minute * MINUTE));
        }
        let found = TRIAL.alerts("{}", &rows);
        let mut keys: Vec<&str> = found.iter().map(|alert| &*alert.key[0].value).collect();
        keys.sort_unstable();
        assert_eq!(keys, ["a", "b"], "{forged}");
        assert!(found.iter().all(|alert| alert.last_event <= START + 10 * MINUTE), "{found:?}");
    }
}

/// Producers repeat themselves: that adds no address.
#[test]
fn duplicates_change_nothing() {
    let rows = at(&[(0, 1), (1, 2), (1, 2), (0, 1), (2, 1), (2, 2)]);
    assert!(TRIAL.alerts("{}", &vec![rows; 20].concat()).is_empty());
    assert_eq!(TRIAL.alerts("{}", &vec![at(&[(0, 1), (1, 2), (2, 3)]); 3].concat()).len(), 1);
}

/// A day comes again a day later, with the event times that it had: the same windows, so the host takes
/// the alerts for those that it knows.
#[test]
fn a_replayed_day_gives_the_same_alerts_again() {
    let day = |shift: i64| -> Vec<Seen> {
        let rows = at(&[(0, 1), (300, 2), (720, 1), (721, 2), (725, 3), (900, 4)]);
        let late = |seen: Seen| Seen { received: seen.time.map(|time| time + shift), ..seen };
        rows.into_iter().map(late).collect()
    };
    let mut detector = TRIAL.detector("{}");
    let first = TRIAL.judge(&mut detector, &day(0));
    assert_eq!(rules(&first), ["ip-spread"]);
    let again = TRIAL.judge(&mut detector, &day(DAY));
    let identity = |alert: &audit_plugin_sdk::Alert| (alert.rule.clone(), alert.window_start);
    assert_eq!(again.iter().map(identity).collect::<Vec<_>>(), [identity(&first[0])]);
}

#[test]
fn a_week_of_silence_ends_what_was_before() {
    let mut detector = TRIAL.detector("{}");
    assert!(TRIAL.judge(&mut detector, &at(&[(0, 1), (1, 2)])).is_empty());
    let week = 7 * 24 * 60;
    assert!(TRIAL.judge(&mut detector, &at(&[(week, 3)])).is_empty());
    assert!(TRIAL.judge(&mut detector, &at(&[(week + 1, 4)])).is_empty());
    assert_eq!(TRIAL.judge(&mut detector, &at(&[(week + 2, 5)])).len(), 1);
}

#[test]
fn a_clock_that_steps_back_loses_nothing() {
    let mut detector = TRIAL.detector("{}");
    assert!(TRIAL.judge(&mut detector, &at(&[(0, 1), (1, 2)])).is_empty());
    let others: Vec<Seen> =
        (0..50).map(|index| seen(&format!("user_{index}"), "203.0.113.1", -2 * HOUR)).collect();
    assert!(TRIAL.judge(&mut detector, &others).is_empty());
    assert_eq!(TRIAL.judge(&mut detector, &at(&[(2, 3)])).len(), 1);
}

#[test]
fn a_partition_that_lags_an_hour_is_judged_like_the_other() {
    for config in ["{}", r#"{"window": "10m"}"#] {
        let mut detector = TRIAL.detector(config);
        let mut found = Vec::new();
        for second in 0..3 {
            let address = format!("203.0.113.{second}");
            let lagging = seen("u", &address, second * SECOND);
            let ahead = seen("u", "203.0.113.0", HOUR + MINUTE + second * SECOND);
            let other = seen("v", "203.0.113.1", HOUR + second * SECOND);
            // The other partition says one address, an hour and less ahead.
            let ahead = Seen { received: Some(HOUR + second * SECOND), ..ahead };
            found.extend(TRIAL.judge(&mut detector, &[ahead, lagging, other]));
        }
        let reported: Vec<_> =
            found.iter().map(|alert| (&*alert.rule, alert.window_start)).collect();
        assert_eq!(reported, [("ip-spread", START)], "{config}");
    }
}

/// The year 1 is the zero value of times in Go and .NET.
#[test]
fn the_first_and_the_last_time_are_times() {
    for time in [TIME_MIN, TIME_MAX] {
        let rows: Vec<Seen> =
            (0..3).map(|end| seen("u", &format!("203.0.113.{end}"), time - START)).collect();
        assert_eq!(rules(&TRIAL.alerts("{}", &rows)), ["ip-spread"]);
    }
}
