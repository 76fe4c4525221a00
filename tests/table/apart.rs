//! Tables, folders and catalogs that do not belong together: one of them is older, is gone, or is a copy.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use audit_tests::case::{Case, DEAD_LETTERS, TABLE};

use super::{USAGE, check_exactly_once, filled, refused, send_bad_records, state};

/// Another client drops a table; its files go as well.
fn drop_by_pyiceberg(case: &Case, table: &str) -> Result<()> {
    case.reader().change(table, &["drop"])?;
    let folder = case.dir.join("warehouse").join(table.replace('.', "/"));
    fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())
}

#[test]
fn dead_letters_that_are_gone_are_missed() -> Result<()> {
    let case = filled("table-letters-gone")?;
    send_bad_records(&case)?;
    drop_by_pyiceberg(&case, DEAD_LETTERS)?;
    let host = case.host()?.args(&["--until-end"]);
    refused(&host, USAGE, &[TABLE, DEAD_LETTERS, "register --latest", "AH-0539"])?;
    Ok(())
}

#[test]
fn dead_letters_are_not_appended_again_for_a_table_that_was_made_anew() -> Result<()> {
    let case = filled("table-anew")?;
    drop_by_pyiceberg(&case, TABLE)?;
    let host = case.host()?.args(&["--until-end"]);
    refused(&host, USAGE, &[TABLE, DEAD_LETTERS, "AH-0538"])?;
    // In another place the topic begins anew.
    case.beside("table-anew-2")?.host()?.args(&["--until-end"]).succeed()?;
    Ok(())
}

#[test]
fn a_drop_of_half_a_catalog_removes_nothing() -> Result<()> {
    let case = filled("table-half")?;
    case.reader().change(TABLE, &["drop"])?;
    let before = audit_tests::files::below(&case.dir.join("warehouse"))?;
    let drop = case.table_command(&["drop", "--yes-drop", TABLE]);
    refused(&drop, USAGE, &[TABLE, "register --latest", "AH-0529"])?;
    ensure!(audit_tests::files::below(&case.dir.join("warehouse"))? == before, "files are gone");
    case.table_command(&["register", "--latest"]).succeed()?;
    case.host()?.args(&["--until-end"]).succeed()?;
    check_exactly_once(&case)
}

#[test]
fn a_copy_of_the_warehouse_does_not_write_into_the_original() -> Result<()> {
    let case = filled("table-copied")?;
    let before = state(&case)?;
    let copy = case.beside("table-copied-2")?;
    for part in ["warehouse", "catalog.db"] {
        let copied =
            Command::new("cp").arg("-a").arg(case.dir.join(part)).arg(&copy.dir).status()?;
        ensure!(copied.success(), "cannot copy {part}");
    }
    case.generate(100, 9)?.succeed()?;
    refused(&copy.host()?.args(&["--until-end"]), USAGE, &[TABLE, "was moved", "AH-0553"])?;
    ensure!(state(&case)? == before, "the original has changed");
    case.host()?.args(&["--until-end"]).succeed()?;
    check_exactly_once(&case)
}
