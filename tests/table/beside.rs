//! Every command beside a host that commits several times a second.

use anyhow::{Context, Result, ensure};
use audit_tests::case::{Case, TABLE};
use audit_tests::program::{LIMIT, wait_until};

use super::{USAGE, check_exactly_once, filled, lines_of, refused, send_bad_records, state};

#[test]
fn what_is_shown_is_what_the_table_holds() -> Result<()> {
    let case = filled("table-show")?;
    let before = state(&case)?;
    let shown = lines_of(&case.table_command(&["show"]))?;
    let reading = case.reader().read(TABLE)?;
    ensure!(shown.len() == 2, "{shown:?}");
    assert_eq!(shown[0]["rows"].as_u64(), Some(reading.n_rows()?));
    assert_eq!(shown[1]["rows"].as_u64(), Some(super::N_BAD as u64));
    assert_eq!(&shown[0]["metadata"], reading.field("metadata_location")?);
    assert_eq!(shown[0]["format"], "2");
    assert_eq!(shown[0]["problems"].as_array().map(Vec::len), Some(0), "{}", shown[0]);
    let group = &shown[0]["groups"][0];
    assert_eq!(
        (&group["group"], &group["lane"]["state"]),
        (&"audit-host".into(), &"released".into())
    );
    let ends = audit_tests::broker::watermarks(&case.topic, case.n_partitions)?;
    for (partition, end) in ends.iter().enumerate() {
        assert_eq!(group["offsets"][&case.topic][partition.to_string()].as_i64(), Some(*end));
    }
    assert_eq!(group["pending"].as_array().map(Vec::len), Some(0));

    let snapshots = lines_of(&case.table_command(&["snapshots"]))?;
    let n_rows: u64 = snapshots.iter().filter_map(|one| one["rows"].as_u64()).sum();
    assert_eq!(n_rows, reading.n_rows()?);
    let last = snapshots.last().context("no snapshot")?;
    ensure!(last["is_current"] == true && last["refs"][0] == "main", "{last}");
    let text = case.table_command(&["snapshots"]).succeed()?.stdout;
    ensure!(text.lines().count() == snapshots.len() + 1 && text.contains(" claim "), "{text}");
    let text = case.table_command(&["show"]).succeed()?.stdout;
    ensure!(
        text.contains("released") && text.contains("demo.audit_trail_dead_letters\n"),
        "{text}"
    );
    ensure!(state(&case)? == before, "a command that reads has changed something");
    Ok(())
}

#[test]
fn commands_beside_a_running_host_lose_and_double_nothing() -> Result<()> {
    let case = Case::new("table-beside", 2)?;
    let producer = case.generate(20_000, 3)?.args(&["--rate", "2000"]).start()?;
    send_bad_records(&case)?;
    let mut running = case.host()?.args(&["--trigger-interval", "200ms"]).start()?;
    let snapshots = case.table_command(&["snapshots"]);
    wait_until("some commits", LIMIT, || {
        ensure!(!running.has_ended()?, "the host ended: {}", running.log()?);
        Ok(running.log()?.contains("running") && lines_of(&snapshots)?.len() >= 5)
    })?;
    let pid = u64::from(running.pid());
    let shown = lines_of(&case.table_command(&["show"]))?;
    let lane = &shown[0]["groups"][0]["lane"];
    ensure!(lane["state"] == "running" && lane["pid"].as_u64() == Some(pid), "{lane}");
    for round in 0..4 {
        for verb in ["expire", "merge-manifests", "garbage", "show", "snapshots"] {
            case.table_command(&[verb]).succeed()?;
            ensure!(!running.has_ended()?, "round {round}, {verb}: {}", running.log()?);
        }
    }
    producer.wait(LIMIT)?.success()?;
    running.terminate()?;
    running.wait(LIMIT)?.success()?;
    case.host()?.args(&["--until-end"]).succeed()?;
    check_exactly_once(&case)
}

#[test]
fn upkeep_by_hand_says_what_it_would_do_and_the_second_run_does_nothing() -> Result<()> {
    let case = Case::new("table-upkeep", 1)?;
    let mut producer = case.generate(90_000, 3)?.args(&["--rate", "1500"]).start()?;
    let mut running = case.host()?.args(&["--trigger-interval", "100ms"]).start()?;
    // After a hundred commits the host merges manifests by itself; both readers read them below.
    let snapshots = case.table_command(&["snapshots"]);
    wait_until("a merge of manifests", LIMIT, || {
        ensure!(!running.has_ended()?, "the host ended: {}", running.log()?);
        if !running.log()?.contains("running") {
            return Ok(false);
        }
        let merged = lines_of(&snapshots)?.iter().any(|it| it["operation"] == "replace");
        ensure!(merged || !producer.has_ended()?, "no more events, and nothing was merged");
        Ok(merged)
    })?;
    producer.kill()?;
    running.terminate()?;
    running.wait(LIMIT)?.success()?;
    case.host()?.args(&["--until-end"]).succeed()?;
    for verb in ["expire", "merge-manifests", "garbage"] {
        let before = state(&case)?;
        case.table_command(&[verb, "--dry-run"]).succeed()?;
        ensure!(state(&case)? == before, "{verb} --dry-run has changed something");
        case.table_command(&[verb]).succeed()?;
        let after = state(&case)?;
        let again = case.table_command(&[verb]).succeed()?.stdout;
        ensure!(again.contains("nothing to do"), "{verb}: {again}");
        ensure!(state(&case)? == after, "the second {verb} has changed something");
    }
    check_exactly_once(&case)
}

/// Changes the properties of the audit table behind the catalog's back.
fn set_properties(case: &Case, set: &[(&str, &str)]) -> Result<()> {
    let metadata = state(case)?.1[0].as_str().context("no metadata")?.to_owned();
    let path = metadata.trim_start_matches("file://");
    let mut json: serde_json::Value = serde_json::from_slice(&std::fs::read(path)?)?;
    for (key, value) in set {
        json["properties"][*key] = (*value).into();
    }
    Ok(std::fs::write(path, json.to_string())?)
}

#[test]
fn a_table_of_a_newer_format_is_shown_and_left_alone() -> Result<()> {
    let case = filled("table-newer")?;
    set_properties(&case, &[("audit-host.format", "3")])?;
    let before = state(&case)?;
    let text = case.table_command(&["show"]).succeed()?.stdout;
    ensure!(text.contains("3, newer than this program"), "{text}");
    case.table_command(&["snapshots"]).succeed()?;
    for verb in
        [&["expire"][..], &["merge-manifests"], &["garbage"], &["drop", "--yes-drop", TABLE]]
    {
        refused(&case.table_command(verb), USAGE, &[TABLE, "format 3", "AH-0525"])?;
    }
    ensure!(state(&case)? == before, "something has changed");
    Ok(())
}

#[test]
fn properties_that_cannot_be_read_are_named_and_control_no_terminal() -> Result<()> {
    let case = filled("table-torn")?;
    let torn = [
        ("audit-host.g.events.0", "twelve"),
        ("audit-host.g..pending.e\u{1b}[2J", "{torn"),
        ("audit-host.g..lane.all", "nobody"),
        ("audit-host...garbage", "[]"),
    ];
    set_properties(&case, &torn)?;
    let text = case.table_command(&["show"]).succeed()?.stdout;
    for word in ["audit-host.g.events.0", "audit-host.g..pending.e [2J", "lane.all", "...garbage"] {
        ensure!(text.contains(word), "{word:?} is not in {text}");
    }
    ensure!(!text.contains('\u{1b}'), "{text}");
    Ok(())
}
