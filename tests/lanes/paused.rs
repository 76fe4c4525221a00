//! An instance that was frozen while another one read on: what it still holds in memory must not come over
//! what the other one committed.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use audit_tests::broker::{Payload, create_topic_on, send_to};
use audit_tests::case::{Case, DEAD_LETTERS, TABLE};
use audit_tests::env;
use audit_tests::json::text;
use audit_tests::kafka::Kafka;
use audit_tests::program::{LIMIT, Program, signal};
use serde_json::json;

use super::metadata::pause_between_commits;
use super::{
    FAILED, GROUP, check_error, check_origins, claims, event, instance, n_rows, stop,
    wait_for_rows, wait_for_table, with_settings,
};

const ADDRESS: &str = "198.51.100.7";
/// Of Kafka's consumer: how long a broker keeps a request for records that are not there.
const FETCH_WAIT_MS: &str = "100";
/// A broker that stands still keeps its partitions for so long: nobody is elected in its place.
const SESSION_MS: &str = "120000";
const LEASE: &str = "2s";
/// Whoever is fenced off says so at its next commit; a partition that does not answer must not keep it.
const ENDS_WITHIN: Duration = Duration::from_secs(45);

/// The `n`th failure of the attack.
fn failed_login(n: usize) -> Vec<u8> {
    failed_login_from(ADDRESS, n)
}

fn failed_login_from(address: &str, n: usize) -> Vec<u8> {
    let event = json!({
        "audit_id": format!("attack-{n}"), "event_timestamp": format!("2025-06-02T09:00:{n:02}Z"),
        "user_id": "mallory", "action_type": "user_login", "action_result": "failure",
        "ip_address": address,
    });
    event.to_string().into_bytes()
}

/// A host with a detector whose state is sealed into the table.
fn detecting(case: &Case, brokers: &str, run: &str) -> Result<Program> {
    let plugin = env::plugin("detect_failed_logins")?;
    let host = case.host_of(brokers).args(&["--plugin", &plugin]);
    let kafka = format!("[kafka.properties]\n\"fetch.wait.max.ms\" = \"{FETCH_WAIT_MS}\"");
    with_settings(case, host, &format!("{run}\n{kafka}"))
}

/// The ids of the alerts on the attack, repeated deliveries not counted.
fn alerts(case: &Case) -> Result<BTreeSet<String>> {
    let all = case.alerts()?;
    let of_attack = all.iter().filter(|alert| text(&alert["key"]["ip_address"]) == ADDRESS);
    Ok(of_attack.map(|alert| format!("{} {}", text(&alert["rule"]), text(&alert["id"]))).collect())
}

/// Waits until the table of dead letters has so many.
fn wait_for_dead_letters(case: &Case, count: u64) -> Result<()> {
    let arrived = || Ok(n_rows(case, DEAD_LETTERS)? >= count);
    wait_for_table(&format!("{count} dead letters"), LIMIT, arrived)
}

/// Two brokers: the first one is the controller as well and leads partition 0, the second leads partition 1.
struct Cluster {
    first: Kafka,
    second: Kafka,
}

impl Cluster {
    fn start(name: &str) -> Result<Self> {
        let dir = env::folder(name)?;
        let session = [("broker.session.timeout.ms", SESSION_MS)];
        let first = Kafka::start(&env::kafka()?, &dir.join("first"), 0, &session)?;
        let second = first.join(&dir.join("second"), 2, &[])?;
        Ok(Self { first, second })
    }

    fn case(&self, name: &str) -> Result<Case> {
        create_topic_on(&self.first.bootstrap(), name, &[1, 2])?;
        Ok(Case { topic: name.to_owned(), n_partitions: 2, dir: env::folder(name)? })
    }

    fn send(
        &self,
        case: &Case,
        partition: i32,
        records: impl IntoIterator<Item = Payload>,
    ) -> Result<()> {
        let records = records.into_iter().map(|record| (partition, record));
        send_to(&self.first.bootstrap(), &case.topic, records)
    }
}

/// Its next epoch covers partition 0 alone, where the other one read nothing: the leader of partition 1
/// stands still. So no offset of the epoch shows that it was overtaken.
#[test]
fn a_paused_instance_does_not_put_its_old_state_over_a_newer_one() -> Result<()> {
    let cluster = Cluster::start("lanes-cluster")?;
    let case = cluster.case("lanes-paused")?;
    let brokers = cluster.first.bootstrap();
    let first = detecting(&case, &brokers, &instance("first", LEASE))?;
    let second = detecting(&case, &brokers, &instance("second", LEASE))?;
    let bad = || Some(b"no event".to_vec());

    let paused = first.start()?;
    cluster.send(&case, 0, [Some(event(0))])?;
    cluster.send(&case, 1, (0..3).map(failed_login).map(Some).chain([bad()]))?;
    wait_for_rows(&case, 4)?;
    wait_for_dead_letters(&case, 1)?;
    pause_between_commits(&case, &paused)?;
    let overtaking = second.start()?;
    let claimed = || Ok(claims(&case)?.iter().any(|claim| claim.instance == "second"));
    wait_for_table("the second takes over", LIMIT, claimed)?;
    cluster.send(&case, 1, (3..5).map(failed_login).map(Some).chain([bad()]))?;
    wait_for_rows(&case, 6)?;
    wait_for_dead_letters(&case, 2)?;
    stop(overtaking)?;

    signal(cluster.second.pid(), "STOP")?;
    // It changes the detector's state, so that the epoch has a state to write.
    cluster.send(&case, 0, [Some(failed_login_from("198.51.100.8", 0)), bad()])?;
    paused.resume()?;
    let fenced = paused.wait(ENDS_WITHIN);
    signal(cluster.second.pid(), "CONT")?;
    let fenced = fenced.context("the one that was paused")?;
    check_error("the one that was paused", &fenced, &[FAILED], &[GROUP, "second", TABLE])?;
    ensure!(fenced.stderr.contains("another instance"), "{}", fenced.stderr);

    cluster.send(&case, 1, [Some(failed_login(5))])?;
    let last = detecting(&case, &brokers, &instance("first", LEASE))?.args(&["--until-end"]);
    last.succeed()?;
    let rows = [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2), (1, 4), (1, 5), (1, 7)];
    check_origins(&case, &rows.into(), TABLE)?;
    check_origins(&case, &[(0, 2), (1, 3), (1, 6)].into(), DEAD_LETTERS)?;

    let unbroken = case.beside("lanes-unbroken")?;
    detecting(&unbroken, &brokers, "")?.args(&["--until-end"]).succeed()?;
    let (found, expected) = (alerts(&case)?, alerts(&unbroken)?);
    ensure!(expected.len() == 1, "six failures give {expected:?}");
    ensure!(found == expected, "found {found:?}, an unbroken run finds {expected:?}");
    Ok(())
}
