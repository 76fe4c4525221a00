//! The rule by itself, natively: `cargo test`.

use audit_plugin_sdk::testing::{BatchBuilder, Detection};
use audit_plugin_sdk::{Alert, Batch};
use {{name}}::Plugin;

const CONFIG: &str = r#"{"threshold": 2, "window-seconds": 60, "max-users": 2}"#;
const MINUTE: i64 = 60_000_000;

/// Events of users at seconds of one minute.
fn batch(events: &[(&str, i64)]) -> Batch {
    let users: Vec<_> = events.iter().map(|(user, _)| Some(*user)).collect();
    let times: Vec<_> = events.iter().map(|(_, second)| Some(second * 1_000_000)).collect();
    let offsets: Vec<_> = (0..events.len()).map(|row| Some(row as i64)).collect();
    BatchBuilder::new(events.len())
        .utf8("user_id", &users)
        .timestamp("event_timestamp", &times)
        .int32("source_partition", &vec![Some(0); events.len()])
        .int64("source_offset", &offsets)
        .build()
}

fn alerts(plugin: &mut Detection<Plugin>, events: &[(&str, i64)]) -> Vec<Alert> {
    plugin.process(10 * MINUTE, &batch(events)).expect("a judgement").alerts().to_vec()
}

#[test]
fn more_than_the_threshold_raises_one_alert() {
    let mut plugin = Detection::<Plugin>::new(CONFIG).expect("a good configuration");
    assert!(alerts(&mut plugin, &[("ann", 1), ("bob", 2), ("ann", 3)]).is_empty());
    let raised = alerts(&mut plugin, &[("ann", 4), ("ann", 5), ("bob", 6)]);
    assert_eq!(raised.len(), 1);
    assert_eq!((raised[0].count, raised[0].key[0].value.as_str()), (3, "ann"));
    // The next window counts anew.
    assert!(alerts(&mut plugin, &[("ann", 61), ("ann", 62)]).is_empty());
}

#[test]
fn a_restart_changes_nothing() {
    let events = [("ann", 1), ("ann", 2), ("bob", 3), ("ann", 4), ("bob", 5), ("bob", 6)];
    for cut in 1..events.len() {
        let mut whole = Detection::<Plugin>::new(CONFIG).expect("a good configuration");
        let (before, after) = events.split_at(cut);
        let mut expected = alerts(&mut whole, before);
        expected.extend(alerts(&mut whole, after));

        let mut first = Detection::<Plugin>::new(CONFIG).expect("a good configuration");
        let mut seen = alerts(&mut first, before);
        let mut second = Detection::<Plugin>::new(CONFIG).expect("a good configuration");
        second.restore(1, &first.snapshot()).expect("its own state");
        seen.extend(alerts(&mut second, after));
        assert_eq!(seen, expected, "cut at {cut}");
        assert_eq!(second.snapshot(), whole.snapshot(), "cut at {cut}");
    }
}

#[test]
fn damaged_state_is_refused() {
    let mut plugin = Detection::<Plugin>::new(CONFIG).expect("a good configuration");
    alerts(&mut plugin, &[("ann", 1)]);
    let state = plugin.snapshot();
    assert!(plugin.restore(2, &state).is_err());
    assert!(plugin.restore(1, &state[..state.len() - 1]).is_err());
    assert!(plugin.restore(1, b"\xff\xff\xff\xff\xff").is_err());
}

#[test]
fn the_state_is_bounded() {
    let mut plugin = Detection::<Plugin>::new(CONFIG).expect("a good configuration");
    let crowd = [("ann", 1), ("bob", 1), ("cid", 1), ("cid", 1), ("cid", 1)];
    assert!(alerts(&mut plugin, &crowd).is_empty());
}
