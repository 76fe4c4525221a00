//! Chains of several plugins: `copy_column` under as many names.

use anyhow::Result;
use audit_tests::hostile::patched;
use serde_json::json;

use crate::chains::{self, BATCH_ROWS, Bench};
use crate::events;
use crate::table::Table;

const LENGTHS: [usize; 5] = [1, 2, 4, 8, 16];

pub(crate) fn tables(bench: &Bench) -> Result<Vec<Table>> {
    let batches = events::batches(bench.n_rows, BATCH_ROWS)?;
    let component = chains::guest("copy_column")?;
    let longest = LENGTHS.iter().copied().max().unwrap_or_default();
    // Names of the same length, as a chain takes no two plugins of one name.
    let named = |number| patched(&component, "copy_column", &format!("copy_col_{number:02}"));
    let components = (0..longest).map(named).collect::<Result<Vec<_>>>()?;
    let chain = |n: usize| {
        let sources = components.iter().take(n);
        chains::chain(&bench.engine, sources.map(|c| chains::source(c, &json!({}))).collect())
    };
    let mut chains = LENGTHS.iter().map(|n| chain(*n)).collect::<Result<Vec<_>>>()?;
    let titles = LENGTHS.map(|n| n.to_string());
    let mut all: Vec<_> = titles.iter().map(|name| (name.as_str(), Vec::new())).collect();
    for _ in 0..bench.n_runs {
        for (chain, (_, times)) in chains.iter_mut().zip(&mut all) {
            times.push(chains::judge_all(chain, &batches)?);
        }
    }
    let title = format!("copy_column so many times in a chain; {}", bench.about());
    Ok(vec![chains::to_first(title, "plugins", bench.n_rows, &all)])
}
