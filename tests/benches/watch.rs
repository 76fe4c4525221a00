//! Looks into the catalog all the time, as a reader that wants the newest snapshot.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use serde_json::Value;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _};

/// A commit is seen at most so much later, and a query more.
const LOOK_EVERY: Duration = Duration::from_millis(2);
const LOCATION: &str =
    "SELECT metadata_location FROM iceberg_tables WHERE table_name = 'audit_trail'";

/// The table at one point in time.
#[derive(Debug, Clone)]
pub(crate) struct Sight {
    /// When the catalog was asked and answered with this state.
    pub(crate) at: Instant,
    /// For each partition the offset to read next.
    pub(crate) next: Vec<i64>,
}

/// A thread that looks.
pub(crate) struct Watch {
    sights: Arc<Mutex<Vec<Sight>>>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<()>>,
}

impl Watch {
    pub(crate) fn start(catalog: PathBuf, topic: &str, n_partitions: i32) -> Result<Self> {
        let sights = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let properties: Vec<String> = (0..n_partitions)
            .map(|partition| format!("audit-host.audit-host.{topic}.{partition}"))
            .collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (seen, stopped) = (Arc::clone(&sights), Arc::clone(&stop));
        let thread = thread::Builder::new()
            .name("watch".to_owned())
            .spawn(move || runtime.block_on(look(&catalog, &properties, &seen, &stopped)))?;
        Ok(Self { sights, stop, thread })
    }

    /// Whether the table was seen past these offsets. An error when nobody looks any more.
    pub(crate) fn has_seen(&self, ends: &[i64]) -> Result<bool> {
        ensure!(!self.thread.is_finished(), "the catalog could not be watched");
        let sights = self.sights.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(sights.last().is_some_and(|last| last.next.iter().zip(ends).all(|(at, end)| at >= end)))
    }

    /// Stops looking; every change that was seen, in its order.
    pub(crate) fn stop(self) -> Result<Vec<Sight>> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("the watch panicked"))??;
        let mut sights = self.sights.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(std::mem::take(&mut *sights))
    }
}

async fn look(
    catalog: &Path,
    properties: &[String],
    sights: &Mutex<Vec<Sight>>,
    stop: &AtomicBool,
) -> Result<()> {
    let options = SqliteConnectOptions::new().filename(catalog).read_only(true);
    let mut connection = options.connect().await.context("opening the catalog")?;
    let mut known = String::new();
    while !stop.load(Ordering::Relaxed) {
        let location = location(&mut connection).await?;
        let at = Instant::now();
        if location != known {
            let next = offsets(&location, properties)?;
            sights.lock().unwrap_or_else(PoisonError::into_inner).push(Sight { at, next });
            known = location;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    connection.close().await.context("closing the catalog")
}

async fn location(connection: &mut SqliteConnection) -> Result<String> {
    let row = sqlx::query_scalar(LOCATION).fetch_one(connection).await;
    row.context("asking the catalog for the table")
}

/// What the table remembers of our partitions; 0 of one that it does not know yet.
fn offsets(location: &str, properties: &[String]) -> Result<Vec<i64>> {
    let path = location.strip_prefix("file://").context("the table is in no folder")?;
    let metadata: Value =
        serde_json::from_slice(&fs::read(path).with_context(|| format!("cannot read {path}"))?)?;
    let offset = |property: &String| match metadata["properties"][property].as_str() {
        Some(offset) => offset.parse().with_context(|| format!("{property} is {offset}")),
        None => Ok(0),
    };
    properties.iter().map(offset).collect()
}
