//! Two hosts of one table: of one group they must read the same topics; of two groups they run side by side.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use audit_tests::broker;
use audit_tests::case::{Case, TABLE};
use audit_tests::json::text;

use super::{USAGE, check_error, send_events, stop, wait_for_rows};

/// Topic and offset of every row.
fn origins(case: &Case) -> Result<Vec<(String, i64)>> {
    let (_, rows) = case.reader().rows(TABLE, &["source_topic", "source_offset"])?;
    let origin =
        |row: &serde_json::Value| (text(&row["source_topic"]), row["source_offset"].as_i64());
    Ok(rows.iter().map(origin).map(|(topic, at)| (topic, at.unwrap_or(-1))).collect())
}

#[test]
fn of_the_default_group_on_two_topics_the_second_is_refused() -> Result<()> {
    const N_EVENTS: usize = 40;
    let case = Case::new("lanes-orders", 1)?;
    let other = Case { topic: "lanes-payments".to_owned(), n_partitions: 1, dir: case.dir.clone() };
    broker::create_topic(&other.topic, 1)?;
    send_events(&case, N_EVENTS)?;
    send_events(&other, N_EVENTS)?;
    let first = case.host()?.args(&["--trigger-interval", "500ms"]).start()?;
    wait_for_rows(&case, N_EVENTS as u64)?;

    let second = other.host()?.args(&["--trigger-interval", "500ms", "--until-end"]);
    let refused = second.run()?;
    let words = [TABLE, "audit-host", &case.topic, &other.topic, "--group"];
    check_error("the second", &refused, &[USAGE], &words)?;
    let before = origins(&case)?;
    ensure!(before.len() == N_EVENTS, "{} rows after a refusal", before.len());

    second.args(&["--group", "payments"]).succeed()?;
    send_events(&case, N_EVENTS)?;
    wait_for_rows(&case, 3 * N_EVENTS as u64)?;
    stop(first)?;
    // It is refused as well when the first one does not run.
    let refused = other.host()?.args(&["--until-end"]).run()?;
    check_error("the second, alone", &refused, &[USAGE], &words)?;

    let rows = origins(&case)?;
    let distinct: BTreeSet<_> = rows.iter().cloned().collect();
    let records = |topic: &str, count: usize| {
        (0..count).map(move |at| (topic.to_owned(), at as i64)).collect::<Vec<_>>()
    };
    let expected = [records(&case.topic, 2 * N_EVENTS), records(&other.topic, N_EVENTS)].concat();
    ensure!(rows.len() == distinct.len(), "rows came twice");
    ensure!(distinct == expected.into_iter().collect(), "{} rows", distinct.len());
    Ok(())
}
