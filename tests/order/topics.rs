//! Several topics: each in its own order.

use anyhow::{Result, ensure};
use audit_tests::broker::{self, create_topic, send_messages};
use audit_tests::json::text;

use super::feed::{Event, office, quiets};
use super::{Expected, SLACK, USUAL_WAIT, Watched, check_rows_of, filled, host, ids};

/// One address with seven failures within a minute, between quiet events.
fn failures() -> Vec<Event> {
    let mut events = quiets("slow", 60);
    let at = office().time_at(40);
    events.extend((0..7).map(|n| {
        let time = at + n * 5_000;
        let written =
            jiff::Timestamp::from_millisecond(time).expect("a time of a test").to_string();
        let event = serde_json::json!({
            "audit_id": format!("failure-{n}"), "event_timestamp": written, "user_id": "user_slow",
            "action_type": "user_login", "action_result": "failure", "ip_address": "203.0.113.200",
        });
        Event { payload: event.to_string().into_bytes(), time }
    }));
    events.sort_by_key(|event| event.time);
    events
}

#[test]
fn a_slow_topic_and_a_busy_one_are_each_read_in_order() -> Result<()> {
    let case = filled("order-busy", 8, 8)?;
    let slow = "order-slow";
    create_topic(slow, 3)?;
    let events = failures();
    let n_rows = (office().events.len() + events.len()) as u64;
    // One partition of it is empty.
    let spread = (0..).zip(&events).map(|(n, event)| (n % 2, event.message()));
    send_messages(slow, spread)?;
    let program = host(&case, "")?.args(&["--topic", slow]);
    let ended = program.clone().args(&["--until-end"]).succeed()?;
    ensure!(ended.elapsed < USUAL_WAIT + SLACK, "it took {:?}", ended.elapsed);
    check_rows_of(&case, &broker::brokers()?, &[(&case.topic, 8), (slow, 3)])?;
    let found = ids(&case)?;
    let missed = Expected::get()?.ids.difference(&found).count();
    ensure!(missed == 0, "{missed} alerts of the busy topic are missing");
    let others =
        case.alerts()?.into_iter().filter(|alert| text(&alert["key"]).contains("203.0.113.200"));
    let rules: Vec<_> = others.map(|alert| text(&alert["rule"])).collect();
    ensure!(rules == ["failed-logins"], "of the slow topic: {rules:?}");
    ensure!(found.len() == Expected::get()?.ids.len() + 1, "{} alerts", found.len());

    // The same by a host that stays: the slow topic's end holds nobody for longer than the wait.
    let staying = case.beside("order-busy-staying")?;
    let mut watched = Watched::start(host(&staying, "")?.args(&["--topic", slow]))?;
    watched.wait_for_rows(n_rows)?;
    watched.check_no_stall_beyond(USUAL_WAIT)?;
    watched.stop()?;
    ensure!(ids(&staying)? == found, "a host that stays raises other alerts");
    Ok(())
}
