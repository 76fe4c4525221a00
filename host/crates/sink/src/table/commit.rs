//! One commit to one table, exactly once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use audit_core::TopicPartition;
use iceberg::spec::DataFile;
use iceberg::table::Table;
use iceberg::transaction::{ApplyTransactionAction, Transaction};

use crate::catalog::Store;
use crate::error::Error;
use crate::table::fence::FencedCatalog;
use crate::table::names::{self, TableName};

/// How often a commit is attempted when the catalog fails or does not answer.
const ATTEMPTS_MAX: u32 = 6;
/// The pause after a failed attempt; doubles each time.
const PAUSE: Duration = Duration::from_millis(200);

/// What one commit does to a table. Without a summary it makes no snapshot.
#[derive(Default)]
pub(crate) struct TableChange {
    pub(crate) files: Vec<DataFile>,
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
    /// Another instance has committed other offsets.
    Conflict { partition: TopicPartition, ours: i64, theirs: String },
}

pub(crate) struct Committed {
    pub(crate) table: Table,
    pub(crate) check: CommitCheck,
}

/// Commits a change exactly once. The outcome of every attempt is read back from the catalog: an error may hide
/// a success, and iceberg-catalog-sql 0.10.1 can report a success where nothing was committed.
pub(crate) async fn commit(
    store: &Store,
    name: &TableName,
    base: &Table,
    change: &TableChange,
    check: &(dyn Fn(&Table) -> CommitCheck + Send + Sync),
) -> Result<Committed, Error> {
    let fenced = FencedCatalog {
        inner: Arc::clone(&store.catalog),
        may_commit: Box::new(|table| matches!(check(table), CommitCheck::Ready)),
    };
    let mut pause = PAUSE;
    let mut attempt = 1;
    loop {
        let tried = try_commit(base, &fenced, change).await;
        let table = store.catalog.load_table(base.identifier()).await;
        let cause = match (table, tried) {
            (Ok(table), tried) => match (check(&table), tried) {
                (CommitCheck::Ready, Err(cause)) => cause,
                (CommitCheck::Ready, Ok(())) => iceberg::Error::new(
                    iceberg::ErrorKind::Unexpected,
                    "the catalog reported a success, but the table has not changed",
                ),
                (check, _) => return Ok(Committed { table, check }),
            },
            // The outcome is unknown until the table can be read again.
            (Err(unread), _) => unread,
        };
        if attempt >= ATTEMPTS_MAX {
            let epoch = change.summary.get(names::SUMMARY_EPOCH).cloned().unwrap_or_default();
            let (table, attempts) = (name.to_string(), attempt);
            return Err(Error::GaveUp { epoch, table, attempts, cause });
        }
        tracing::warn!(table = %name, attempt, error = %cause, "commit failed; retrying");
        tokio::time::sleep(pause).await;
        attempt += 1;
        pause *= 2;
    }
}

async fn try_commit(
    base: &Table,
    fenced: &FencedCatalog<'_>,
    change: &TableChange,
) -> Result<(), iceberg::Error> {
    let mut tx = Transaction::new(base);
    if !change.summary.is_empty() {
        tx = tx
            .fast_append()
            // The check reads every manifest of the table on every commit. File names are unique, and
            // the fence keeps an epoch from being committed twice.
            .with_check_duplicate(false)
            .set_snapshot_properties(change.summary.clone())
            .add_data_files(change.files.clone())
            .apply(tx)?;
    }
    let mut update = tx.update_table_properties();
    for (key, value) in &change.set {
        update = update.set(key.clone(), value.clone());
    }
    for key in &change.remove {
        update = update.remove(key.clone());
    }
    let tx = update.apply(tx)?;
    tx.commit(fenced).await.map(|_| ())
}
