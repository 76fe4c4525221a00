//! One commit to one table, exactly once.

use std::collections::HashMap;

use audit_core::text;
use iceberg::spec::DataFile;
use iceberg::table::Table;
use iceberg::transaction::{ApplyTransactionAction, Transaction};
use tokio::time::{sleep, timeout};

use crate::audit::ancestry;
use crate::catalog::Store;
use crate::error::Error;
use crate::table::capture::updates_of;
use crate::table::clock;
use crate::table::names::{self, TableName};
use crate::table::swap::{Swapped, discard, swap};

/// How often a commit is attempted when the catalog fails or does not answer.
const ATTEMPTS_MAX: u32 = 6;
/// How often another commit may come first before that counts as a failure.
const CONFLICTS_MAX: u32 = 50;

/// What one commit does to a table. It always makes a snapshot, which may be without files: what a catalog other than
/// SQLite checks is the current snapshot, and a change without one could land on anything.
#[derive(Default)]
pub(crate) struct TableChange {
    pub(crate) files: Vec<DataFile>,
    /// Not empty.
    pub(crate) summary: HashMap<String, String>,
    pub(crate) set: Vec<(String, String)>,
    pub(crate) remove: Vec<String>,
}

/// Whether a commit may be applied to a table as it is now.
pub(crate) enum CommitCheck {
    /// The commit may build on the table.
    Ready,
    /// The table contains the commit already.
    Done,
    /// The commit must not happen.
    Refused(Error),
}

/// Commits a change exactly once, and returns the table since. `check` is asked about the very state of the table
/// that the commit replaces. After an error other than [`Error::UnknownOutcome`] the change is not in the table.
pub(crate) async fn commit(
    store: &Store,
    name: &TableName,
    base: &Table,
    change: &TableChange,
    check: &(dyn Fn(&Table) -> CommitCheck + Send + Sync),
) -> Result<Table, Error> {
    let mut pause = store.waits.pause;
    let (mut attempts, mut conflicts) = (0, 0);
    // Why the outcome of an attempt is unknown, until the table is read again: each attempt begins with that.
    let mut unknown = None;
    loop {
        let tried =
            timeout(store.waits.attempt, try_commit(store, name, base, change, check)).await;
        let error = match tried {
            Ok(Ok(Tried::Committed(table))) => return Ok(table),
            Ok(Ok(Tried::Refused(error))) => return Err(error),
            Ok(Ok(Tried::Conflict)) if conflicts < CONFLICTS_MAX => {
                conflicts += 1;
                unknown = None;
                continue;
            }
            Ok(Ok(Tried::Conflict)) => Error::Contended { table: name.to_string(), conflicts },
            Ok(Err(error)) => error,
            Err(_) => Error::UnknownOutcome {
                table: name.to_string(),
                cause: format!("no answer within {:?}", store.waits.attempt),
            },
        };
        unknown = match &error {
            Error::UnknownOutcome { cause, .. } => Some(cause.clone()),
            Error::Pointer { .. } | Error::MetadataFile { .. } => unknown,
            _ => None,
        };
        attempts += 1;
        if attempts >= ATTEMPTS_MAX || !error.is_transient() {
            return Err(ended(name, attempts, unknown, error));
        }
        let error = text::one_line(&error);
        tracing::warn!(table = %name, attempt = attempts, error, "commit failed; retrying");
        sleep(pause).await;
        pause *= 2;
    }
}

/// The error of a commit that is not tried again: it says what is known.
fn ended(name: &TableName, attempts: u32, unknown: Option<String>, error: Error) -> Error {
    if !error.is_transient() {
        return error;
    }
    let table = name.to_string();
    match unknown {
        Some(cause) => Error::UnknownOutcome { table, cause },
        None => Error::GaveUp { table, attempts, cause: text::one_line(&error) },
    }
}

enum Tried {
    Committed(Table),
    Refused(Error),
    Conflict,
}

async fn try_commit(
    store: &Store,
    name: &TableName,
    base: &Table,
    change: &TableChange,
    check: &(dyn Fn(&Table) -> CommitCheck + Send + Sync),
) -> Result<Tried, Error> {
    let table = store.reload(name, base).await?;
    if table.metadata().uuid() != base.metadata().uuid() {
        let (table, base) = (name.to_string(), base.metadata().uuid());
        return Ok(Tried::Refused(Error::OtherTable { table, uuid: base.to_string() }));
    }
    match check(&table) {
        CommitCheck::Ready => {}
        CommitCheck::Done => return Ok(Tried::Committed(table)),
        CommitCheck::Refused(error) => return Ok(Tried::Refused(error)),
    }
    let group = change.summary.get(names::SUMMARY_GROUP).map_or("", String::as_str);
    ancestry::check(name, base, &table, group).await?;
    clock::wait_for(name, &table).await?;
    let failed = |cause| name.failed("committing to", cause);
    let transaction = transaction(&table, change).map_err(failed)?;
    let updates = updates_of(&table, transaction).await.map_err(failed)?;
    match swap(store, name, &table, updates.clone()).await? {
        Swapped::Done(table) => Ok(Tried::Committed(table)),
        Swapped::Conflict => {
            discard(store, &updates).await;
            Ok(Tried::Conflict)
        }
    }
}

fn transaction(base: &Table, change: &TableChange) -> Result<Transaction, iceberg::Error> {
    let tx = Transaction::new(base);
    let tx = tx
        .fast_append()
        // The check reads every manifest of the table on every commit. File names are unique, and the lane keeps an
        // epoch from being committed twice.
        .with_check_duplicate(false)
        .set_snapshot_properties(change.summary.clone())
        .add_data_files(change.files.clone())
        .apply(tx)?;
    if change.set.is_empty() && change.remove.is_empty() {
        return Ok(tx);
    }
    let mut update = tx.update_table_properties();
    for (key, value) in &change.set {
        update = update.set(key.clone(), value.clone());
    }
    for key in &change.remove {
        update = update.remove(key.clone());
    }
    update.apply(tx)
}
