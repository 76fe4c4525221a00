//! What is kept, and for how long.

use std::time::Duration;

use iceberg::table::Table;

/// What is kept, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct UpkeepSettings {
    /// How long a file that only a reader in the middle of planning needs is kept after the table stopped naming it:
    /// metadata, manifest lists, manifests, and objects of ours.
    pub garbage_after: Duration,
    /// The same for data files, which a query reads for as long as it runs.
    pub data_garbage_after: Duration,
    /// The newest snapshots, which are always kept.
    pub snapshots_min: usize,
    /// For how long the first snapshot of each hour is kept.
    pub hourly_for: Duration,
}

impl Default for UpkeepSettings {
    fn default() -> Self {
        Self {
            garbage_after: Duration::from_mins(10),
            data_garbage_after: Duration::from_hours(24),
            snapshots_min: 100,
            hourly_for: Duration::from_hours(7 * 24),
        }
    }
}

impl UpkeepSettings {
    pub(super) fn after(&self, is_data: bool) -> Duration {
        if is_data { self.data_garbage_after } else { self.garbage_after }
    }
}

/// What the operations are called in messages.
pub(super) const EXPIRE: &str = "expire";
pub(super) const MERGE: &str = "merge-manifests";
pub(super) const REMOVE: &str = "garbage";

/// Whether the table says that nothing of it may be removed, because something else looks after that.
pub(super) fn is_gc_disabled(table: &Table) -> bool {
    let value = table.metadata().properties().get("gc.enabled");
    value.is_some_and(|value| value.eq_ignore_ascii_case("false"))
}

pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
