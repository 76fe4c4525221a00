//! Clocks, partitions and the rules.

use crate::common::{Login, TRIAL, failure, received, success};
use audit_detect::testing::{DAY, HOUR, MINUTE, SECOND, START, TIME_MAX, TIME_MIN, rules};

/// A day: a burst from `a` at noon, single failures from `b` all day, and a login from `a`.
fn day(shift: i64) -> Vec<Login> {
    let mut logins: Vec<Login> = (0..24).map(|hour| failure("b", hour * HOUR)).collect();
    logins.extend((0..6).map(|minute| failure("a", 12 * HOUR + minute * MINUTE)));
    logins.push(success("a", "user_002", 13 * HOUR));
    logins.sort_by_key(|login| login.time);
    let received = |login: Login| Login { received: login.time.map(|time| time + shift), ..login };
    logins.into_iter().map(received).collect()
}

/// The whole day comes again, a day later, with the event times that it had: the windows are the same, so
/// the host takes the alerts for the ones that it knows.
#[test]
fn a_replayed_day_gives_the_same_alerts_again() {
    let mut detector = TRIAL.detector("{}");
    let first = TRIAL.judge(&mut detector, &day(0));
    assert_eq!(rules(&first), ["failed-logins", "login-after-attack"]);
    let again = TRIAL.judge(&mut detector, &day(DAY));
    let identity = |alerts: &[audit_plugin_sdk::Alert]| -> Vec<_> {
        alerts.iter().map(|alert| (alert.rule.clone(), alert.window_start)).collect()
    };
    assert_eq!(identity(&again), identity(&first));
}

/// At once, while the windows are still known: nothing new.
#[test]
fn a_burst_replayed_at_once_says_nothing_new() {
    let logins: Vec<Login> = (0..6).map(|minute| failure("a", minute * MINUTE)).collect();
    let mut detector = TRIAL.detector(r#"{"high-count": 100}"#);
    assert_eq!(TRIAL.judge(&mut detector, &logins).len(), 1);
    assert!(TRIAL.judge(&mut detector, &logins).is_empty());
}

#[test]
fn a_week_of_silence_ends_what_was_before() {
    let mut detector = TRIAL.detector("{}");
    let burst = |from: i64, n: i64| -> Vec<Login> {
        (0..n).map(|minute| failure("a", from + minute * MINUTE)).collect()
    };
    assert!(TRIAL.judge(&mut detector, &burst(0, 5)).is_empty());
    assert!(TRIAL.judge(&mut detector, &burst(7 * DAY, 1)).is_empty(), "the five are long gone");
    assert_eq!(TRIAL.judge(&mut detector, &burst(7 * DAY + MINUTE, 5)).len(), 1);
    assert!(TRIAL.judge(&mut detector, &[success("a", "user_002", 14 * DAY)]).is_empty());
}

/// Kafka time goes back by two hours, as after a change of the broker's clock.
#[test]
fn a_clock_that_steps_back_loses_nothing() {
    let mut detector = TRIAL.detector("{}");
    let before: Vec<Login> = (0..3).map(|minute| failure("a", minute * MINUTE)).collect();
    assert!(TRIAL.judge(&mut detector, &before).is_empty());
    let other: Vec<Login> =
        (0..50).map(|index| failure(&format!("10.0.0.{index}"), -2 * HOUR)).collect();
    assert!(TRIAL.judge(&mut detector, &other).is_empty());
    let after: Vec<Login> =
        (3..6).map(|minute| received("a", minute * MINUTE, -2 * HOUR)).collect();
    let alerts = TRIAL.judge(&mut detector, &after);
    // Times are cut to five minutes behind the clock that is now: the three are bursts of their own.
    assert!(alerts.is_empty());
    let on_time: Vec<Login> = (3..6).map(|minute| failure("a", minute * MINUTE)).collect();
    assert_eq!(rules(&TRIAL.judge(&mut detector, &on_time)), ["failed-logins"]);
}

/// Two partitions of one topic, one of them an hour behind, read in turns; the address stands in both.
#[test]
fn a_partition_that_lags_an_hour_is_judged_like_the_other() {
    for window in ["10m", "1h"] {
        let config = format!(r#"{{"window": "{window}", "high-count": 1000}}"#);
        let mut detector = TRIAL.detector(&config);
        let mut alerts = Vec::new();
        for second in 0..6 {
            let ahead = failure("b", HOUR + second * SECOND);
            let lagging = failure("a", second * SECOND);
            let ahead_too = failure("a", HOUR + second * SECOND);
            alerts.extend(TRIAL.judge(&mut detector, &[ahead, lagging, ahead_too]));
        }
        let bursts: Vec<_> = alerts
            .iter()
            .filter(|alert| alert.rule == "failed-logins" && alert.window_start < START + HOUR)
            .collect();
        let keys: Vec<&str> = bursts.iter().map(|alert| alert.key[0].value.as_str()).collect();
        assert_eq!(keys, ["a"], "{window}");
        assert_eq!(bursts[0].count, 6);
    }
}

/// One record is not believed when it claims that all others are old.
#[test]
fn one_forged_time_far_ahead_forgets_nobody() {
    let mut detector = TRIAL.detector("{}");
    let addresses: Vec<String> = (0..20).map(|index| format!("10.0.0.{index}")).collect();
    for second in 0..5 {
        let logins: Vec<Login> =
            addresses.iter().map(|address| failure(address, second * SECOND)).collect();
        assert!(TRIAL.judge(&mut detector, &logins).is_empty());
    }
    TRIAL.judge(&mut detector, &[received("b", MINUTE, 365 * DAY)]);
    let logins: Vec<Login> = addresses.iter().map(|address| failure(address, MINUTE)).collect();
    assert_eq!(rules(&TRIAL.judge(&mut detector, &logins)), ["failed-logins"; 20]);
}

/// A few failures that claim to have come later hide nothing of what comes now.
#[test]
fn a_burst_stamped_ahead_hides_nothing() {
    let mut logins = vec![received("a", 5 * MINUTE, 0); 6];
    logins.extend((0..4).map(|second| received("a", second * SECOND, MINUTE)));
    let alerts = TRIAL.judge(&mut TRIAL.detector("{}"), &logins);
    assert_eq!(rules(&alerts), ["failed-logins", "failed-logins-escalated"]);
    assert!(alerts.iter().all(|alert| alert.window_start == START + 5 * MINUTE), "one id");
    assert_eq!((alerts[1].first_event, alerts[1].count), (START, 10));
    TRIAL.batches_of_any_size("{}", &logins);
    TRIAL.restart_anywhere("{}", &logins.chunks(1).collect::<Vec<_>>());
}

/// The year 1 is the zero value of times in Go and .NET.
#[test]
fn the_first_and_the_last_time_are_times() {
    for time in [TIME_MIN, TIME_MAX] {
        let mut logins = vec![failure("a", time - START); 6];
        logins.push(success("a", "user_002", time - START));
        let alerts = TRIAL.judge(&mut TRIAL.detector("{}"), &logins);
        assert_eq!(rules(&alerts), ["failed-logins", "login-after-attack"]);
    }
}
