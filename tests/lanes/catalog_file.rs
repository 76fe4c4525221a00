//! The catalog's file is deleted, replaced, empty, locked or useless, under a host or before it starts.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use audit_tests::case::{Case, DEAD_LETTERS, TABLE};
use audit_tests::files;

use super::metadata::{Catalog, register_newest, snapshots};
use super::{
    AT_ONCE, FAILED, USAGE, check_error, check_exactly_once, claims, filled, flow, host, metadata,
    n_rows, rest, send_events, wait_for_rows, wait_for_table,
};

/// The catalog's database and what SQLite keeps beside it; of a closed one the first alone.
const FILES: [&str; 3] = ["catalog.db", "catalog.db-wal", "catalog.db-shm"];
/// Longer than SQLite waits for a lock, so that a commit fails at least once.
const SHORT_LOCK: Duration = Duration::from_secs(7);
/// After all attempts to commit, each of which waits for the lock.
const GIVES_UP_WITHIN: Duration = Duration::from_secs(100);

/// From now on a commit succeeds, and the catalog names a file that is not there.
const LOSE_COMMITS: [&str; 2] = [
    "CREATE TABLE committed (name TEXT, location TEXT)",
    "CREATE TRIGGER lose AFTER UPDATE ON iceberg_tables BEGIN \
     INSERT INTO committed VALUES (NEW.table_name, NEW.metadata_location); \
     UPDATE iceberg_tables SET metadata_location = 'file:///nowhere/00099-0.metadata.json' \
     WHERE table_name = NEW.table_name; END",
];
/// The end of [`LOSE_COMMITS`]: the catalog names what was committed.
const FIND_COMMITS: [&str; 3] = [
    "DROP TRIGGER lose",
    "UPDATE iceberg_tables SET metadata_location = \
     (SELECT location FROM committed WHERE name = table_name ORDER BY rowid DESC LIMIT 1) \
     WHERE table_name IN (SELECT name FROM committed)",
    "DROP TABLE committed",
];

/// A copy of the catalog as it is between two runs.
pub(super) struct CatalogCopy(PathBuf);

impl CatalogCopy {
    pub(super) fn of(case: &Case, name: &str) -> Result<Self> {
        let folder = case.dir.join(name);
        fs::create_dir(&folder)?;
        for file in present(case) {
            fs::copy(case.dir.join(file), folder.join(file)).with_context(|| file.to_owned())?;
        }
        Ok(Self(folder))
    }

    /// Puts it in the place of the catalog that is there.
    pub(super) fn put_back(&self, case: &Case) -> Result<()> {
        for file in present(case) {
            fs::remove_file(case.dir.join(file)).with_context(|| file.to_owned())?;
        }
        for file in FILES.iter().filter(|file| self.0.join(file).exists()) {
            fs::copy(self.0.join(file), case.dir.join(file)).context(*file)?;
        }
        Ok(())
    }
}

fn present(case: &Case) -> Vec<&'static str> {
    FILES.into_iter().filter(|file| case.dir.join(file).exists()).collect()
}

/// Moves the catalog aside; the folder that it is in now.
fn move_aside(case: &Case) -> Result<PathBuf> {
    let folder = case.dir.join("aside");
    fs::create_dir(&folder)?;
    for file in present(case) {
        fs::rename(case.dir.join(file), folder.join(file)).with_context(|| file.to_owned())?;
    }
    Ok(folder)
}

fn move_back(case: &Case, folder: &Path) -> Result<()> {
    for file in present(case) {
        fs::remove_file(case.dir.join(file)).with_context(|| file.to_owned())?;
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        fs::rename(entry.path(), case.dir.join(entry.file_name()))?;
    }
    Ok(())
}

/// Waits until a run that was started second has claimed the lane.
fn wait_for_second_claim(case: &Case) -> Result<()> {
    wait_for_table("a second claim", AT_ONCE, || Ok(claims(case)?.len() >= 2))
}

#[test]
fn a_catalog_that_is_deleted_under_a_host_ends_it() -> Result<()> {
    let case = filled("lanes-deleted")?;
    let copy = CatalogCopy::of(&case, "copy")?;
    let running = host(&case, "")?.start()?;
    wait_for_second_claim(&case)?;
    for file in present(&case) {
        fs::remove_file(case.dir.join(file))?;
    }
    send_events(&case, 10)?;
    let ended = running.wait(AT_ONCE)?;
    check_error("a running host", &ended, &[FAILED], &[&case.path(FILES[0])])?;
    ensure!(present(&case).is_empty(), "it made a new catalog: {:?}", present(&case));

    copy.put_back(&case)?;
    for table in [TABLE, DEAD_LETTERS] {
        register_newest(&case, table)?;
    }
    rest(&case)?.succeed()?;
    check_exactly_once(&case)?;
    Ok(())
}

#[test]
fn a_catalog_that_is_replaced_under_a_host_ends_it() -> Result<()> {
    let case = filled("lanes-swapped")?;
    let copy = CatalogCopy::of(&case, "copy")?;
    let running = host(&case, "")?.start()?;
    wait_for_second_claim(&case)?;
    let aside = move_aside(&case)?;
    copy.put_back(&case)?;
    send_events(&case, 10)?;
    let ended = running.wait(AT_ONCE)?;
    check_error("a running host", &ended, &[FAILED], &[&case.path(FILES[0])])?;
    ensure!(n_rows(&case, TABLE)? == 30, "it wrote into another catalog");

    move_back(&case, &aside)?;
    rest(&case)?.succeed()?;
    check_exactly_once(&case)?;
    Ok(())
}

#[test]
fn a_catalog_that_does_not_know_the_folders_table_is_refused() -> Result<()> {
    let case = filled("lanes-forgotten")?;
    send_events(&case, 10)?;
    let aside = move_aside(&case)?;
    let folder = case.dir.join("warehouse/demo");
    let before = files::below(&folder)?;
    let refused = rest(&case)?.run()?;
    let words = [TABLE, "warehouse", "table register --latest"];
    check_error("an empty catalog", &refused, &[FAILED, USAGE], &words)?;
    ensure!(files::below(&folder)? == before, "it changed the table's folder");

    move_back(&case, &aside)?;
    rest(&case)?.succeed()?;
    check_exactly_once(&case)?;
    Ok(())
}

#[test]
fn a_table_that_is_replaced_under_a_host_ends_it() -> Result<()> {
    let case = filled("lanes-replaced")?;
    let running = host(&case, "")?.start()?;
    wait_for_second_claim(&case)?;
    case.reader().change(TABLE, &["replace"])?;
    send_events(&case, 10)?;
    let ended = running.wait(AT_ONCE)?;
    let words = [TABLE, "replaced|another table|dropped|created anew|created again|UUID|uuid"];
    check_error("a running host", &ended, &[FAILED, USAGE], &words)?;
    let table = metadata::current(&case, TABLE)?;
    ensure!(snapshots(&table).is_empty(), "it wrote into the new table");
    Ok(())
}

/// One of [`super::WAITING`].
pub(super) fn a_short_lock_is_waited_out_and_a_long_one_ends_the_run() -> Result<()> {
    let case = filled("lanes-locked")?;
    let producer = flow(&case)?;
    let running = host(&case, "")?.start()?;
    wait_for_rows(&case, 40)?;
    let lock = Catalog::locked(&case, AT_ONCE)?;
    let before = n_rows(&case, TABLE)?;
    // Not a wait for anything: the length of the lock is the test's input.
    thread::sleep(SHORT_LOCK);
    ensure!(n_rows(&case, TABLE)? == before, "the lock is none");
    lock.close()?;
    wait_for_rows(&case, before + 100)?;

    let lock = Catalog::locked(&case, AT_ONCE)?;
    let ended = running.wait(GIVES_UP_WITHIN)?;
    check_error("a long lock", &ended, &[FAILED], &[TABLE, "locked"])?;
    lock.close()?;
    drop(producer);
    rest(&case)?.succeed()?;
    check_exactly_once(&case)?;
    Ok(())
}

/// One of [`super::WAITING`].
pub(super) fn a_commit_that_cannot_be_read_back_is_called_unknown() -> Result<()> {
    let case = filled("lanes-unreadable")?;
    let producer = flow(&case)?;
    let running = host(&case, "")?.start()?;
    wait_for_rows(&case, 40)?;
    let mut catalog = Catalog::open(&case)?;
    for statement in LOSE_COMMITS {
        catalog.execute(statement, &[])?;
    }
    let ended = running.wait(GIVES_UP_WITHIN)?;
    check_error("a commit that cannot be read", &ended, &[FAILED], &[TABLE, "unknown"])?;
    let said = ended.error_lines()[0];
    ensure!(!said.contains("nothing of it is in the table"), "it is in the table: {said}");
    for statement in FIND_COMMITS {
        catalog.execute(statement, &[])?;
    }
    catalog.close()?;
    drop(producer);
    rest(&case)?.succeed()?;
    check_exactly_once(&case)?;
    Ok(())
}
