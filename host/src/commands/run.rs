//! `audit-host run`: the flow, until it ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use anyhow::Result;
use audit_core::pipeline::{self, Stop};
use audit_core::text::one_line;
use audit_core::{Counters, Kind};
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::RunArgs;
use crate::config::{self, Settings};
use crate::metrics;
use crate::plugins::{Cause, Reloader, Watch, on_hangup, report_at_end};
use crate::progress::{EVERY, Progress};
use crate::stdout::print;
use crate::wire::{Wired, wire};

/// How soon a start that waits notices that it was asked to end.
const STOP_LOOK: Duration = Duration::from_millis(100);

/// Exit code of a process that Ctrl-C ended, as shells have it.
const INTERRUPTED: i32 = 130;

pub(crate) async fn run(args: RunArgs) -> Result<()> {
    let print_config = args.flags.print_config;
    let settings = config::resolve(args.flags)?;
    if print_config {
        return print(&settings.to_toml());
    }
    let stop = Stop::default();
    stop_on_signal(Arc::clone(&stop))?;
    let counters = Arc::new(Counters::default());
    flow(&settings, stop, &counters).await
}

/// Runs the flow with these settings until it ends or `stop` is set.
pub(crate) async fn flow(settings: &Settings, stop: Stop, counters: &Arc<Counters>) -> Result<()> {
    if let Some(address) = settings.metrics {
        let address = metrics::serve(address, Arc::clone(counters)).await?;
        tracing::info!("serving metrics at http://{address}/metrics");
    }
    // A start may wait for another instance: asked to end, it does not wait any longer.
    let wired = tokio::select! {
        wired = wire_in_turn(settings, counters) => wired?,
        () = asked_to_end(&stop) => return Ok(()),
    };
    let control = wired.reloader.control();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        topics = settings.topics.join(","),
        partitions = wired.n_partitions,
        table = %settings.table,
        location = wired.location,
        plugins = wired.plugins.join(","),
        "running"
    );
    if let Some(duration) = settings.duration {
        stop_after(duration, Arc::clone(&stop));
    }
    let started = Progress::of(counters);
    let reports = tokio::spawn(report(Arc::clone(counters)));
    let causes = watch_plugins(wired.reloader, settings.watch_plugins)?;
    let ended = pipeline::run(wired.stages, wired.budget, stop, Arc::clone(counters)).await;
    reports.abort();
    // If the queue is full, the thread ends with the process.
    let _ = causes.try_send(Cause::End);
    report_at_end(&control, settings.shadow_report.as_deref());
    ended?;
    let now = Progress::of(counters);
    tracing::info!("done: {now}, {:.0} events/s", now.rate_since(&started));
    Ok(())
}

/// Reloads plugins beside the stream until the run ends.
fn watch_plugins(reloader: Reloader, files: bool) -> Result<SyncSender<Cause>> {
    let (watch, causes) = Watch::new(files)?;
    on_hangup(causes.clone())?;
    let wake = causes.clone();
    std::thread::Builder::new()
        .name("plugin-reload".to_owned())
        .spawn(move || reloader.run(watch, wake))?;
    Ok(causes)
}

/// Builds the run; anew if another instance that waited as well was quicker to take the lane: then this one waits for
/// that one.
async fn wire_in_turn(settings: &Settings, counters: &Arc<Counters>) -> Result<Wired> {
    loop {
        match wire(settings, counters).await {
            Err(error) if is_fenced(&error) => {
                let error = one_line(error.as_ref());
                tracing::warn!(error, "another instance took the lane first: starting over");
            }
            wired => return wired,
        }
    }
}

fn is_fenced(error: &anyhow::Error) -> bool {
    let mut causes = error.chain();
    causes.any(|cause| {
        cause.downcast_ref::<audit_sink::Error>().is_some_and(|of| of.kind() == Kind::Fenced)
    })
}

async fn asked_to_end(stop: &Stop) {
    while !stop.load(Ordering::Relaxed) {
        tokio::time::sleep(STOP_LOOK).await;
    }
}

fn stop_after(duration: Duration, stop: Stop) {
    tokio::spawn(async move {
        tokio::time::sleep(duration).await;
        stop.store(true, Ordering::Relaxed);
    });
}

/// The first Ctrl-C (or SIGTERM) finishes the open epoch, the second ends the process at once; the
/// next start then repeats what was not committed.
fn stop_on_signal(stop: Stop) -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    // From here on SIGHUP does not end the process, even before the plugins run.
    drop(signal(SignalKind::hangup())?);
    let asked = AtomicBool::new(false);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if asked.swap(true, Ordering::Relaxed) {
                std::process::exit(INTERRUPTED);
            }
            tracing::info!("finishing the open epoch; interrupt again to stop at once");
            stop.store(true, Ordering::Relaxed);
        }
    });
    Ok(())
}

async fn report(counters: Arc<Counters>) {
    let mut before = Progress::of(&counters);
    loop {
        tokio::time::sleep(EVERY).await;
        let now = Progress::of(&counters);
        tracing::info!("{now}, {:.0} events/s", now.rate_since(&before));
        before = now;
    }
}
