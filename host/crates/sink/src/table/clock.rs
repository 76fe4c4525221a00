//! The host's clock beside the times in a table.
//!
//! Iceberg refuses a snapshot that is more than 60 s older than the last one. So after a commit by a host whose clock
//! was ahead, no other host can commit until that time has come.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use iceberg::table::Table;
use tokio::time::sleep;

use crate::error::Error;
use crate::table::names::TableName;

/// What iceberg tolerates, with some seconds to spare for the commit itself.
const TOLERATED_MS: i64 = 50_000;
/// A difference that takes longer to pass is no drift: somebody must look at the clocks.
const WAIT_MAX: Duration = Duration::from_mins(2);

/// Milliseconds since 1970 by the host's clock.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Waits until a commit to the table will be accepted; an error if that takes too long.
pub(crate) async fn wait_for(name: &TableName, table: &Table) -> Result<(), Error> {
    let (newest, now) = (table.metadata().last_updated_ms(), now_ms());
    let early_ms = newest.saturating_sub(now).saturating_sub(TOLERATED_MS);
    let Some(wait) = u64::try_from(early_ms).ok().filter(|ms| *ms > 0).map(Duration::from_millis)
    else {
        return Ok(());
    };
    let (committed_at, clock) = (rfc3339(newest), rfc3339(now));
    if wait > WAIT_MAX {
        return Err(Error::ClockBehind { table: name.to_string(), committed_at, clock });
    }
    tracing::warn!(
        table = %name,
        committed_at,
        clock,
        wait_s = wait.as_secs_f32().ceil(),
        "the newest commit is in the future of this host's clock: waiting until the table accepts commits; \
         check the clocks (NTP)"
    );
    sleep(wait).await;
    Ok(())
}

/// A time for people.
pub(crate) fn rfc3339(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms)
        .map_or_else(|_| format!("{ms} ms since 1970"), |time| time.to_string())
}
