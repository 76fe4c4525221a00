//! Times that are wrong: of 1970 and 2100, of producers whose clocks differ by a day, and the broker's own. Every
//! record is read, no partition stops the others for longer than the wait, and the alerts on events of the others
//! are found.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use audit_tests::broker::{self, create_topic_of_any_time, create_topic_with, send_messages};
use audit_tests::case::Case;
use audit_tests::env;

use super::feed::{Event, office, quiet, quiets, user_of};
use super::{
    SLACK, USUAL_WAIT, Watched, check_found, check_ids, check_rows, check_rows_of, filled, host,
    partition_of,
};

/// librdkafka takes 0 for "now".
const OF_1970: i64 = 1;
const OF_2100: i64 = 4_102_444_800_000;
const DAY: i64 = 86_400_000;
const N_FILLED: i32 = 8;
const WAIT: Duration = Duration::from_secs(2);

/// Quiet events of a further partition, the records of some of them with another time.
fn with_times(name: &str, time_of: impl Fn(usize, i64) -> i64) -> Vec<Event> {
    let mut events = quiets(name, 600);
    for (n, event) in events.iter_mut().enumerate() {
        event.time = time_of(n, event.time);
    }
    events
}

/// The office in eight partitions, and beside them these ones; read as a backlog, to the end and by a host that stays.
fn check_beside(
    name: &str,
    others: &[Vec<Event>],
    check_alerts: impl Fn(&Case) -> Result<()>,
) -> Result<()> {
    let n_partitions = N_FILLED + i32::try_from(others.len())?;
    let case = filled(name, n_partitions, N_FILLED)?;
    for (partition, events) in (N_FILLED..).zip(others) {
        send_messages(&case.topic, events.iter().map(|event| (partition, event.message())))?;
    }
    let ended = host(&case, "")?.args(&["--until-end"]).succeed()?;
    ensure!(ended.elapsed < USUAL_WAIT + SLACK, "{name}: it took {:?}", ended.elapsed);
    check_rows(&case)?;
    check_alerts(&case)?;

    let staying = case.beside(&format!("{name}-staying"))?;
    let n_rows = office().events.len() + others.iter().map(Vec::len).sum::<usize>();
    let mut watched = Watched::start(host(&staying, "")?.args(&["--alignment-wait", "2s"]))?;
    watched.wait_for_rows(n_rows as u64)?;
    watched.check_no_stall_beyond(WAIT)?;
    watched.stop()?;
    check_rows(&staying)?;
    check_alerts(&staying)
}

#[test]
fn single_records_of_1970_hold_nobody_up() -> Result<()> {
    let single =
        |at: usize| with_times("single", move |n, time| if n == at { OF_1970 } else { time });
    check_beside("order-1970", &[single(0), single(300), single(599)], check_ids)
}

#[test]
fn single_records_of_2100_hold_nobody_up() -> Result<()> {
    let single =
        |at: usize| with_times("single", move |n, time| if n == at { OF_2100 } else { time });
    check_beside("order-2100", &[single(0), single(300), single(599)], check_ids)
}

#[test]
fn a_partition_of_1970_and_one_of_2100_hold_nobody_up() -> Result<()> {
    check_beside(
        "order-whole",
        &[with_times("past", |_, _| OF_1970), with_times("future", |_, _| OF_2100)],
        check_ids,
    )
}

#[test]
fn a_partition_whose_producer_is_a_day_off_changes_no_alert() -> Result<()> {
    check_beside(
        "order-day-off",
        &[with_times("behind", |_, time| time - DAY), with_times("ahead", |_, time| time + DAY)],
        check_ids,
    )
}

#[test]
fn producers_a_day_apart_in_one_partition_cost_no_alert() -> Result<()> {
    let behind = |n: usize, time: i64| if n.is_multiple_of(2) { time - DAY } else { time };
    let ahead = |n: usize, time: i64| if n.is_multiple_of(3) { time + DAY } else { time };
    check_beside(
        "order-day-apart",
        &[with_times("behind", behind), with_times("ahead", ahead)],
        |case| check_found(case, |_| true),
    )
}

const WRONG: i32 = 3;

/// Each user has a partition, as in a topic that is keyed by user.
fn partition_of_user(user: &str) -> i32 {
    user.bytes().fold(0, |hash, byte| (hash * 31 + i32::from(byte)) % 997) % N_FILLED
}

/// The office keyed by user, where records of one partition have other times: all alerts about the users of the others
/// are found.
fn check_wrong_within(name: &str, time_of: impl Fn(usize, i64) -> i64) -> Result<()> {
    create_topic_of_any_time(name, N_FILLED)?;
    let case = Case { topic: name.to_owned(), n_partitions: N_FILLED, dir: env::folder(name)? };
    let (mut messages, mut n_wrong) = (Vec::new(), 0);
    for event in &office().events {
        let partition = partition_of_user(&user_of(&event.payload)?);
        let mut message = event.message();
        if partition == WRONG {
            message.time = Some(time_of(n_wrong, event.time));
            n_wrong += 1;
        }
        messages.push((partition, message));
    }
    ensure!(n_wrong > 1_000, "{n_wrong} records prove nothing");
    send_messages(&case.topic, messages)?;
    let ended = host(&case, "")?.args(&["--until-end"]).succeed()?;
    ensure!(ended.elapsed < USUAL_WAIT + SLACK, "it took {:?}", ended.elapsed);
    check_rows(&case)?;
    check_found(&case, |alert| {
        let user = alert["key"]["user_id"].as_str();
        user.is_some_and(|user| partition_of_user(user) != WRONG)
    })
}

#[test]
fn single_wrong_times_among_others_cost_other_partitions_no_alert() -> Result<()> {
    check_wrong_within("order-wrong-single", |n, time| match n {
        0 | 1_000 => OF_2100,
        300 | 700 => OF_1970,
        _ => time,
    })
}

#[test]
fn two_producers_a_day_apart_cost_other_partitions_no_alert() -> Result<()> {
    check_wrong_within("order-wrong-day", |n, time| if n % 2 == 0 { time - DAY } else { time })
}

#[test]
fn a_partition_full_of_wrong_times_costs_the_others_no_alert() -> Result<()> {
    check_wrong_within("order-wrong-all", |n, time| match n % 10 {
        0 => OF_1970,
        1 => OF_2100,
        2..6 => time - DAY,
        _ => time,
    })
}

#[test]
fn a_live_producer_whose_clock_is_a_day_ahead_holds_nobody_up() -> Result<()> {
    create_topic_of_any_time("order-ahead", 2)?;
    let dir = env::folder("order-ahead")?;
    let case = Case { topic: "order-ahead".into(), n_partitions: 2, dir };
    let now = || -> Result<i64> {
        Ok(i64::try_from(
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .context("a clock before 1970")?
                .as_millis(),
        )?)
    };
    let mut watched = Watched::start(host(&case, "")?)?;
    for round in 1..=5 {
        let (ahead, right) = (now()? + DAY, now()?);
        let pair = [(0, quiet("ahead", round, ahead)), (1, quiet("right", round, right))];
        send_messages(&case.topic, pair.map(|(at, event)| (at, event.message())))?;
        // Less than the usual wait: neither waits for the other.
        watched.wait_for_rows_within(2 * round as u64, USUAL_WAIT)?;
    }
    watched.stop()?;
    check_rows(&case)
}

#[test]
fn a_topic_with_the_brokers_times_is_read_beside_one_with_the_producers() -> Result<()> {
    let case = filled("order-create-time", 4, 4)?;
    let (beside, n_partitions) = ("order-append-time", 4);
    create_topic_with(beside, n_partitions, &[("message.timestamp.type", "LogAppendTime")])?;
    let messages = quiets("append", 2_000).into_iter().enumerate();
    let messages = messages.map(|(n, event)| (partition_of(n, n_partitions), event.message()));
    send_messages(beside, messages)?;
    let ended = host(&case, "")?.args(&["--topic", beside, "--until-end"]).succeed()?;
    ensure!(ended.elapsed < USUAL_WAIT + SLACK, "it took {:?}", ended.elapsed);
    let topics = [(case.topic.as_str(), case.n_partitions), (beside, n_partitions)];
    check_rows_of(&case, &broker::brokers()?, &topics)?;
    check_ids(&case)
}
