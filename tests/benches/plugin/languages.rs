//! The transform of each language's template, beside that of the Rust template.

use std::time::Duration;

use anyhow::Result;
use audit_chain::PluginChain;
use serde_json::json;

use crate::chains::{self, BATCH_ROWS, Bench, per, ratio};
use crate::events;
use crate::table::{Table, rounded};

pub(crate) const LANGUAGES: [&str; 3] = ["rust", "js", "python"];
/// Interpreters are slow, and differences large.
const ROWS_MAX: usize = 32_768;

/// A language's transform.
struct Subject {
    lang: &'static str,
    bytes: usize,
    chain: PluginChain,
    times: Vec<Duration>,
}

pub(crate) fn tables(bench: &Bench) -> Result<Vec<Table>> {
    let n_rows = bench.n_rows.min(ROWS_MAX);
    let batches = events::batches(n_rows, BATCH_ROWS)?;
    let mut all = Vec::new();
    for lang in LANGUAGES {
        if let Some(component) = chains::template(lang)? {
            // Loaded once: an interpreter takes seconds to compile. A transform has no past.
            let chain = chains::chain_of(&bench.engine, &component)?;
            all.push(Subject { lang, bytes: component.len(), chain, times: Vec::new() });
        }
    }
    for _ in 0..bench.n_runs {
        for subject in &mut all {
            subject.times.push(chains::judge_all(&mut subject.chain, &batches)?);
        }
    }
    let title = format!(
        "The transform of each template, {n_rows} rows in batches of {BATCH_ROWS}; medians of {} rounds",
        bench.n_runs
    );
    let columns = ["template", "KiB", "ns/row", "to the first", "peak memory, MiB"];
    let mut table = Table::new(title, &columns);
    let first = all.first().map(|subject| subject.times.clone()).unwrap_or_default();
    for Subject { lang, bytes, chain, times } in &all {
        table.push([
            json!(lang),
            json!(bytes / 1024),
            rounded(per(times, n_rows), 0),
            rounded(ratio(times, &first), 1),
            rounded(chain.peak_bytes() as f64 / f64::from(1 << 20), 1),
        ]);
    }
    Ok(vec![table])
}
