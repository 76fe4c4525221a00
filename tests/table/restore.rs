//! The catalog is only a pointer: without it, or with an old copy of it, the folder says what the table is.

use std::fs;

use anyhow::{Context, Result, ensure};
use audit_tests::case::Case;
use audit_tests::program::{LIMIT, wait_until};

use super::{USAGE, check_exactly_once, filled, refused, send_bad_records, state};

fn delete_catalog(case: &Case) -> Result<()> {
    for name in ["catalog.db", "catalog.db-wal", "catalog.db-shm"] {
        let path = case.dir.join(name);
        if path.exists() {
            fs::remove_file(&path).with_context(|| path.display().to_string())?;
        }
    }
    Ok(())
}

#[test]
fn a_lost_catalog_is_restored_from_the_folder_and_every_row_is_there_once() -> Result<()> {
    let case = Case::new("table-restore", 2)?;
    let producer = case.generate(12_000, 3)?.args(&["--rate", "3000"]).start()?;
    send_bad_records(&case)?;
    // Killed while it commits, so that the folder may hold what was not committed.
    let running = case.host()?.args(&["--trigger-interval", "200ms"]).start()?;
    wait_until("some commits", LIMIT, || Ok(metadata_files(&case)? >= 8))?;
    ensure!(running.kill()?.was_killed(), "it ended before it was killed");
    let metadata = case.dir.join("warehouse/demo/audit_trail/metadata");
    fs::write(metadata.join("09999-torn.metadata.json"), r#"{"format-version":2,"#)?;
    delete_catalog(&case)?;

    let register = case.table_command(&["register", "--latest"]);
    let planned = register.clone().args(&["--dry-run"]).succeed()?.stdout;
    ensure!(planned.contains("would register demo.audit_trail: "), "{planned}");
    ensure!(planned.contains("skipped") && planned.contains("09999-torn"), "{planned}");
    ensure!(!case.dir.join("catalog.db").exists(), "a dry run made a catalog");

    let done = register.succeed()?.stdout;
    for table in ["demo.audit_trail: ", "demo.audit_trail_dead_letters: "] {
        ensure!(done.contains(&format!("registered {table}")), "{done}");
    }
    refused(&register, USAGE, &["demo.audit_trail", "up to date", "AH-0551"])?;

    producer.wait(LIMIT)?.success()?;
    // Nor does the torn file stop a host: nothing was ever committed on top of it.
    let ended = case.host()?.args(&["--until-end"]).succeed()?;
    ensure!(ended.stderr.contains("09999-torn"), "nothing was said: {}", ended.stderr);
    check_exactly_once(&case)
}

#[test]
fn a_catalog_without_its_metadata_is_not_called_up_to_date() -> Result<()> {
    let case = filled("table-no-metadata")?;
    let named = state(&case)?.1[0].as_str().context("no metadata")?.to_owned();
    let (metadata, aside) =
        (case.dir.join("warehouse/demo/audit_trail/metadata"), case.dir.join("aside"));
    fs::rename(&metadata, &aside)?;
    refused(
        &case.host()?.args(&["--until-end"]),
        USAGE,
        &[&named, "register --latest", "AH-0530"],
    )?;
    let register = case.table_command(&["register", "--latest"]);
    refused(&register, USAGE, &[&named, "no metadata that can be read", "AH-0552"])?;
    fs::rename(&aside, &metadata)?;
    case.host()?.args(&["--until-end"]).succeed()?;
    check_exactly_once(&case)
}

fn metadata_files(case: &Case) -> Result<usize> {
    let metadata = case.dir.join("warehouse/demo/audit_trail/metadata");
    let files = audit_tests::files::below(&metadata)?;
    Ok(files.iter().filter(|path| path.to_string_lossy().ends_with(".metadata.json")).count())
}

#[test]
fn a_catalog_of_yesterday_takes_the_newest_metadata() -> Result<()> {
    let case = filled("table-yesterday")?;
    let (catalog, copy) = (case.dir.join("catalog.db"), case.dir.join("copy.db"));
    // The host has ended: nothing is left in the write-ahead log that a copy would lack.
    case.table_command(&["show"]).succeed()?;
    for name in ["catalog.db-wal", "catalog.db-shm"] {
        let path = case.dir.join(name);
        if path.exists() {
            fs::copy(&path, case.dir.join(name.replace("catalog", "copy")))?;
        }
    }
    fs::copy(&catalog, &copy)?;
    case.generate(1_000, 8)?.succeed()?;
    case.host()?.args(&["--until-end"]).succeed()?;
    let newest = state(&case)?.1;
    delete_catalog(&case)?;
    for name in ["copy.db", "copy.db-wal", "copy.db-shm"] {
        let path = case.dir.join(name);
        if path.exists() {
            fs::rename(&path, case.dir.join(name.replace("copy", "catalog")))?;
        }
    }

    let done = case.table_command(&["register", "--latest"]).succeed()?.stdout;
    ensure!(done.contains("instead of "), "{done}");
    ensure!(state(&case)?.1[0] == newest[0], "another metadata file was taken");
    case.host()?.args(&["--until-end"]).succeed()?;
    check_exactly_once(&case)
}

#[test]
fn what_cannot_be_registered_is_refused_by_name() -> Result<()> {
    let case = filled("table-unregistered")?;
    let metadata = state(&case)?.1[0].as_str().context("no metadata")?.to_owned();
    delete_catalog(&case)?;
    let other = ["register", "--latest", "--table", "demo.other"];
    let empty = case.dir.join("empty");
    fs::create_dir(&empty)?;
    refused(
        &audit_tests::program::Program::new(&case.dir, &["table"]).args(&other).args(&[
            "--catalog",
            &format!("sqlite:{}", case.path("catalog.db")),
            "--warehouse",
            &case.path("warehouse"),
        ]),
        USAGE,
        &["demo.other", "AH-0552"],
    )?;
    ensure!(!case.dir.join("catalog.db").exists(), "a refused command made a catalog");
    // A file that does not exist, and a torn one.
    refused(
        &case.table_command(&["register", "--metadata", "/nowhere/00001-x.metadata.json"]),
        USAGE,
        &["/nowhere/00001-x.metadata.json", "AH-0530"],
    )?;
    let torn = case.dir.join("warehouse/demo/audit_trail/metadata/00000-torn.metadata.json");
    fs::write(&torn, "{")?;
    let torn = torn.display().to_string();
    refused(&case.table_command(&["register", "--metadata", &torn]), USAGE, &[&torn, "AH-0530"])?;
    // Metadata that was moved names files at its old place.
    let moved = case.dir.join("warehouse/demo/moved/metadata");
    fs::create_dir_all(&moved)?;
    let moved = moved.join("00001-x.metadata.json");
    fs::copy(metadata.trim_start_matches("file://"), &moved)?;
    let moved = moved.display().to_string();
    refused(
        &case.table_command(&["register", "--metadata", &moved]),
        USAGE,
        &["moved", "AH-0553"],
    )?;
    // The right file, by name.
    let command = case.table_command(&["register", "--metadata", &metadata]);
    command.succeed()?;
    Ok(())
}
