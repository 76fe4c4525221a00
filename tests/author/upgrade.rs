//! `plugin check NEW --replaces OLD` on versions of a detector: they differ in the version of their state.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use audit_tests::program::{Ended, Program};
use audit_tests::{env, hostile};
use serde_json::{Value, json};

use super::SECTION;

/// The counting detector in a mode, with a golden case in it.
fn version(dir: &Path, mode: &str) -> Result<PathBuf> {
    let bytes = hostile::with_mode(&fs::read(env::guest("hostile")?)?, mode)?;
    let (path, cases) = (dir.join(format!("{mode}.wasm")), dir.join(mode));
    fs::write(&path, &bytes)?;
    let case = cases.join("count");
    fs::create_dir_all(&case)?;
    let event = |minute: u32| json!({"event_timestamp": format!("2025-01-16T08:{minute:02}:00Z"), "action_type": "x"});
    let events: Vec<Value> = (0..6).map(event).collect();
    let lines: Vec<String> = events.iter().map(ToString::to_string).collect();
    fs::write(case.join("events.jsonl"), lines.join("\n"))?;
    let config = json!({"do": "count", "alert_every": 1});
    fs::write(case.join("config.json"), config.to_string())?;
    let (component, folder) = (path.display().to_string(), cases.display().to_string());
    let test = ["plugin", "test", &component, "--cases", &folder];
    Program::new(dir, &test).args(&["--update"]).succeed()?;
    Program::new(dir, &test).succeed()?;
    let alerts = fs::read_to_string(case.join("alerts.jsonl"))?;
    let alerts: Result<Vec<Value>, _> = alerts.lines().map(serde_json::from_str).collect();
    let section =
        json!([{ "name": "count", "events": events, "config": config, "alerts": alerts? }]);
    let name = std::str::from_utf8(SECTION).context("the section has a name")?;
    fs::write(&path, hostile::with_section(&bytes, name, section.to_string().as_bytes()))?;
    Ok(path)
}

fn check(dir: &Path, new: &Path, old: &Path, more: &[&str]) -> Result<Ended> {
    let (new, old) = (new.display().to_string(), old.display().to_string());
    Program::new(dir, &["plugin", "check", &new, "--replaces", &old]).args(more).run()
}

#[test]
fn the_upgrade_of_a_state_and_the_way_back_are_proved() -> Result<()> {
    let dir = env::folder("author-upgrade")?;
    let modes = ["detector", "state-version-2", "state-version-9"];
    let [one, two, nine] = modes.map(|mode| version(&dir, mode));
    let (one, two, nine) = (one?, two?, nine?);
    let bare = |mode: &str| -> Result<PathBuf> {
        let path = dir.join(format!("bare-{mode}.wasm"));
        fs::write(&path, hostile::with_mode(&fs::read(env::guest("hostile")?)?, mode)?)?;
        Ok(path)
    };
    let said = check(&dir, &one, &one, &[])?.success()?.stdout;
    ensure!(
        said.contains("it takes over the state of") && said.contains("6 swaps, and gives"),
        "{said}"
    );
    let said = check(&dir, &two, &one, &["--one-way"])?.success()?.stdout;
    ensure!(said.contains("(0.1.0) at 6 swaps\n"), "{said}");
    for (new, old, words) in [
        (&two, &one, &["no way back", "does not support state version 2", "--one-way"][..]),
        (
            &nine,
            &one,
            &["refuses the state", "does not support state version 1", "after event 1 of 6"],
        ),
        (&bare("transform")?, &one, &["it is a transform, the version before a detector"]),
        (&bare("detector")?, &bare("detector")?, &["nothing shows that the state moves"]),
        (&bare("detector+b")?, &one, &["it is the plugin \"hostile_b\", not \"hostile\""]),
    ] {
        let ended = check(&dir, new, old, &[])?;
        ensure!(ended.code() == Some(1), "{}: {}", ended.status, ended.stdout);
        for word in words {
            ensure!(ended.stdout.contains(word), "no {word:?}: {}", ended.stdout);
        }
    }
    let json = check(&dir, &two, &one, &["--json"])?.stdout;
    let json: Value = serde_json::from_str(&json)?;
    ensure!(json["ok"] == false && json["replaces"]["problems"][0].is_string(), "{json}");
    Ok(())
}

/// A detector that does not take its own snapshot.
#[test]
fn a_snapshot_that_the_detector_itself_refuses_fails_its_case() -> Result<()> {
    let dir = env::folder("author-refused")?;
    let component = version(&dir, "detector")?.display().to_string();
    let config = json!({"do": "snapshot-empty", "alert_every": 1});
    fs::write(dir.join("detector/count/config.json"), config.to_string())?;
    let cases = dir.join("detector").display().to_string();
    let ended = Program::new(&dir, &["plugin", "test", &component, "--cases", &cases]).run()?;
    ensure!(ended.code() == Some(1), "{}", ended.stdout);
    ensure!(
        ended.stdout.contains("a restart after event 1 of 6 is not possible"),
        "{}",
        ended.stdout
    );
    Ok(())
}
