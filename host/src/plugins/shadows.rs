//! Reports how shadows compare with the plugins beside which they run.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use audit_chain::{ChainControl, ShadowReport};

use crate::atomic_file;

/// How long the end of a run waits for shadows to judge the last batches.
const DRAIN: Duration = Duration::from_secs(10);

/// Logs how every shadow compares, and writes the report.
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
            "shadow comparison"
        );
    }
    if let (Some(path), false) = (file, reports.is_empty())
        && let Err(error) = write(path, &reports)
    {
        tracing::warn!(file = %path.display(), %error, "could not write the shadow report");
    }
}

fn write(path: &Path, reports: &[ShadowReport]) -> io::Result<()> {
    let text = serde_json::to_string_pretty(reports)?;
    atomic_file::replace_private(path, (text + "\n").as_bytes())
}

/// The last report of a run: waits a while for shadows that are behind.
pub(crate) fn report_at_end(control: &ChainControl, file: Option<&Path>) {
    let deadline = Instant::now() + DRAIN;
    let is_behind = |report: &ShadowReport| report.batches_waiting > 0;
    while control.shadow_reports().iter().any(is_behind) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
    }
    report(control, file);
}
