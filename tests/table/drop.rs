//! `table drop` is the only command that removes rows: of the table that is named, when it is meant, and all of it.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use audit_tests::case::{Case, TABLE};
use audit_tests::env;
use audit_tests::program::{LIMIT, Program, wait_for};

use super::{FAILED, USAGE, filled, refused, state};

#[test]
fn a_drop_that_nobody_confirms_changes_nothing() -> Result<()> {
    let case = filled("table-undropped")?;
    let before = state(&case)?;
    let dry = case.table_command(&["drop", "--dry-run"]).succeed()?.stdout;
    for word in
        ["demo.audit_trail: ", "rows, ", "demo.audit_trail_dead_letters: ", "nothing was removed"]
    {
        ensure!(dry.contains(word), "{word:?} is not in {dry}");
    }
    refused(&case.table_command(&["drop"]), USAGE, &[TABLE, "--yes-drop", "AH-0861"])?;
    for wrong in ["", "audit_trail", "demo.audit_trail2", "demo.audit_trail_dead_letters"] {
        let drop = case.table_command(&["drop", "--yes-drop", wrong]);
        refused(&drop, USAGE, &[TABLE, "nothing was removed", "AH-0860"])?;
    }
    ensure!(state(&case)? == before, "something has changed");
    Ok(())
}

#[test]
fn a_dropped_table_is_gone_and_can_be_made_anew() -> Result<()> {
    let case = filled("table-drop")?;
    case.table_command(&["drop", "--yes-drop", TABLE]).succeed()?;
    let left: Vec<_> =
        audit_tests::files::below(&case.dir.join("warehouse"))?.into_iter().collect();
    ensure!(left.is_empty(), "files are left: {left:?}");
    refused(&case.table_command(&["show"]), USAGE, &[TABLE, "AH-0506"])?;
    refused(&case.table_command(&["drop", "--yes-drop", TABLE]), USAGE, &[TABLE, "AH-0506"])?;
    case.host()?.args(&["--until-end"]).succeed()?;
    super::check_exactly_once(&case)
}

#[test]
fn another_table_of_the_warehouse_keeps_its_files_and_the_plugins() -> Result<()> {
    let case = Case::new("table-neighbor", 2)?;
    case.generate(1_000, 7)?.succeed()?;
    case.host_with(&["redact_pii"])?.args(&["--until-end"]).succeed()?;
    let other = |args: &[&str]| -> Result<Program> {
        let catalog = format!("sqlite:{}", case.path("catalog.db"));
        let warehouse = case.path("warehouse");
        let place = ["--catalog", &catalog, "--warehouse", &warehouse, "--table", "demo.other"];
        Ok(Program::new(&case.dir, args).args(&place))
    };
    let brokers = audit_tests::broker::brokers()?;
    let read = ["--brokers", &brokers, "--topic", &case.topic, "--until-end"];
    other(&[])?.args(&read).args(&["--plugin", &env::plugin("redact_pii")?]).succeed()?;

    other(&["table", "drop", "--yes-drop", "demo.other"])?.succeed()?;
    ensure!(!case.dir.join("warehouse/demo/other").exists());
    ensure!(!case.dir.join("warehouse/.audit-host/dropped").exists());
    ensure!(case.dir.join("warehouse/.audit-host/plugins").exists(), "the plugins are gone");
    let reading = case.reader().read(TABLE)?;
    ensure!(reading.n_rows()? > 0);
    // A table of dead letters goes with its owner alone.
    let letters = Program::new(&case.dir, &["table", "drop", "--dry-run"]).args(&[
        "--catalog",
        &format!("sqlite:{}", case.path("catalog.db")),
        "--warehouse",
        &case.path("warehouse"),
        "--table",
        "demo.audit_trail_dead_letters",
    ]);
    refused(&letters, USAGE, &["demo.audit_trail: drop that", "AH-0554"])?;
    Ok(())
}

#[test]
fn a_table_that_is_being_written_is_not_dropped() -> Result<()> {
    let case = filled("table-in-use")?;
    let running = case.host()?.start()?;
    wait_for(&running, "running", 1)?;
    let pid = running.pid().to_string();
    let drop = case.table_command(&["drop", "--yes-drop", TABLE]);
    refused(&drop, USAGE, &[TABLE, "is running as process", &pid, "AH-0550"])?;
    running.terminate()?;
    running.wait(LIMIT)?.success()?;
    super::check_exactly_once(&case)?;
    drop.succeed()?;
    Ok(())
}

#[test]
fn a_folder_that_leads_out_of_the_warehouse_is_left_alone() -> Result<()> {
    let case = filled("table-link")?;
    let (folder, outside) = (case.dir.join("warehouse/demo/audit_trail"), case.dir.join("outside"));
    fs::rename(&folder, &outside)?;
    symlink(&outside, &folder)?;
    let before = audit_tests::files::below(&outside)?;
    let drop = case.table_command(&["drop", "--yes-drop", TABLE]);
    refused(&drop, USAGE, &["not in the warehouse", "AH-0554"])?;
    ensure!(audit_tests::files::below(&outside)? == before);
    // A link among the files is removed, and not what it leads to.
    fs::remove_file(&folder)?;
    fs::rename(&outside, &folder)?;
    fs::create_dir(&outside)?;
    fs::write(outside.join("precious"), "x")?;
    symlink(&outside, folder.join("data/link"))?;
    drop.succeed()?;
    ensure!(outside.join("precious").exists(), "a link was followed");
    Ok(())
}

#[test]
fn a_folder_that_cannot_be_written_fails_before_the_catalog_forgets_the_table() -> Result<()> {
    let case = filled("table-read-only")?;
    // A file in the place of the folder: the tests may run as a user who can write everywhere.
    fs::create_dir_all(case.dir.join("warehouse/.audit-host"))?;
    let blocked = case.dir.join("warehouse/.audit-host/dropped");
    fs::write(&blocked, "")?;
    let drop = case.table_command(&["drop", "--yes-drop", TABLE]);
    refused(&drop, FAILED, &["dropped", "AH-0555"])?;
    super::check_exactly_once(&case)?;
    fs::remove_file(&blocked)?;
    drop.succeed()?;
    Ok(())
}

/// The name is typed on a terminal, which `script` gives the program.
#[test]
fn on_a_terminal_the_name_is_typed() -> Result<()> {
    let case = filled("table-typed")?;
    let catalog = format!("sqlite:{}", case.path("catalog.db"));
    let line = format!(
        "{} table drop --catalog {catalog} --warehouse {} --table {TABLE}",
        env::program()?.display(),
        case.path("warehouse")
    );
    let typed = |name: &str| -> Result<(bool, String)> {
        let mut script = Command::new("script");
        script.args(["-q", "-e", "-c", &line, "/dev/null"]).current_dir(&case.dir);
        env::without_settings(&mut script);
        let mut child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut stdin = child.stdin.take().context("no input")?;
        stdin.write_all(format!("{name}\n").as_bytes())?;
        let ended = child.wait_with_output()?;
        Ok((ended.status.success(), String::from_utf8_lossy(&ended.stdout).into_owned()))
    };
    let (dropped, said) = typed("demo.audit")?;
    ensure!(!dropped && said.contains("AH-0860") && said.contains("for good"), "{said}");
    super::check_exactly_once(&case)?;
    let (dropped, said) = typed(TABLE)?;
    ensure!(dropped && said.contains("dropped demo.audit_trail"), "{said}");
    refused(&case.table_command(&["show"]), USAGE, &["AH-0506"])?;
    Ok(())
}

#[test]
fn a_locked_catalog_is_named_and_the_table_stays() -> Result<()> {
    let case = filled("table-locked")?;
    let hold = "import sqlite3, sys\n\
                catalog = sqlite3.connect(sys.argv[1], isolation_level=None)\n\
                catalog.execute('BEGIN EXCLUSIVE')\n\
                print('locked', flush=True)\n\
                sys.stdin.read()";
    let mut holder = Command::new(env::python()?)
        .args(["-c", hold, &case.path("catalog.db")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start Python")?;
    let mut line = String::new();
    let stdout = holder.stdout.take().context("no output")?;
    BufReader::new(stdout).read_line(&mut line)?;
    let drop = case.table_command(&["drop", "--yes-drop", TABLE]);
    refused(&drop, FAILED, &["locked"])?;
    // Its input ends, and so does the lock.
    std::mem::drop(holder.stdin.take());
    holder.wait()?;
    super::check_exactly_once(&case)?;
    drop.succeed()?;
    Ok(())
}
