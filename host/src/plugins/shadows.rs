//! Tells people how candidates compare.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use audit_chain::{ChainControl, ShadowReport};

/// How long the end of a run waits for candidates to see the last batches.
const DRAIN: Duration = Duration::from_secs(10);

/// Says in the log how every candidate compares, and writes the report.
pub(crate) fn report(control: &ChainControl, file: Option<&Path>) {
    let reports = control.shadow_reports();
    for report in &reports {
        let differing: u64 = report.columns.values().map(|column| column.rows).sum();
        tracing::info!(
            plugin = report.plugin,
            shadow = report.shadow.version,
            rows = report.rows,
            batches_skipped = report.batches_skipped,
            rows_differing = differing,
            alerts_gained = report.alerts_gained.len(),
            alerts_lost = report.alerts_lost.len(),
            rows_failed = report.failed.rows,
            cost_ratio = report.shadow_nanoseconds as f64 / report.live_nanoseconds.max(1) as f64,
            "shadow"
        );
    }
    if let (Some(path), false) = (file, reports.is_empty())
        && let Err(error) = write(path, &reports)
    {
        tracing::warn!(error = format!("{error:#}"), "the shadow report was not written");
    }
}

/// Through a file of another name, so that a reader never sees half of one.
fn write(path: &Path, reports: &[ShadowReport]) -> Result<()> {
    let partial = PathBuf::from(format!("{}.partial", path.display()));
    let text = serde_json::to_string_pretty(reports)?;
    std::fs::write(&partial, text + "\n").with_context(|| partial.display().to_string())?;
    std::fs::rename(&partial, path).with_context(|| path.display().to_string())
}

/// The last report of a run: waits a while for candidates that are behind.
pub(crate) fn report_at_end(control: &ChainControl, file: Option<&Path>) {
    let deadline = Instant::now() + DRAIN;
    let is_behind = |report: &ShadowReport| report.batches_waiting > 0;
    while control.shadow_reports().iter().any(is_behind) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
    }
    report(control, file);
}
