//! What one row costs that a plugin fails on, beside the same batch without it.

use std::time::Duration;

use anyhow::{Result, ensure};
use audit_chain::{Engine, PluginChain};
use audit_core::Batch;
use audit_tests::hostile;
use serde_json::{Value, json};

use crate::chains::{self, Bench, milliseconds, ratio};
use crate::events;
use crate::table::{Table, rounded};

const POISON_BATCH_ROWS: usize = 8_192;
/// Rows between two snapshots are 131,072 at most: with one more batch a detector stays just below.
const N_BATCHES_FULL: usize = 14;

/// What goes wrong, and how much a detector has judged since its last snapshot.
struct Case {
    name: &'static str,
    mode: &'static str,
    config: fn(i64) -> Value,
    n_before: usize,
    is_slow: bool,
}

const CASES: [Case; 6] = [
    Case {
        name: "transform, trap",
        mode: "transform",
        config: |at| json!({ "do": "trap", "at_offset": at }),
        n_before: 1,
        is_slow: false,
    },
    Case {
        name: "transform, no end",
        mode: "transform",
        config: |at| json!({ "do": "spin", "at_offset": at }),
        n_before: 1,
        is_slow: true,
    },
    Case {
        name: "transform, wrong answer",
        mode: "transform",
        config: |at| json!({ "do": "bad-utf8", "at_offset": at }),
        n_before: 1,
        is_slow: false,
    },
    Case {
        name: "detector, trap, 16,384 rows after its snapshot",
        mode: "detector",
        config: |at| json!({ "do": "count", "trap_at": at }),
        n_before: 1,
        is_slow: false,
    },
    Case {
        name: "detector, trap, 122,880 rows after its snapshot",
        mode: "detector",
        config: |at| json!({ "do": "count", "trap_at": at }),
        n_before: N_BATCHES_FULL,
        is_slow: false,
    },
    Case {
        name: "detector, no end, 122,880 rows after its snapshot",
        mode: "detector",
        config: |at| json!({ "do": "count", "spin_at": at }),
        n_before: N_BATCHES_FULL,
        is_slow: true,
    },
];

pub(crate) fn tables(bench: &Bench) -> Result<Vec<Table>> {
    let title = format!(
        "One poison row in a batch of {POISON_BATCH_ROWS}; medians of the rounds that the second column says"
    );
    let columns = ["plugin", "rounds", "without, ms", "with, ms", "ratio"];
    let mut table = Table::new(title, &columns);
    let batches = events::batches((N_BATCHES_FULL + 2) * POISON_BATCH_ROWS, POISON_BATCH_ROWS)?;
    let component = chains::guest("hostile")?;
    for case in CASES {
        let component = hostile::with_mode(&component, case.mode)?;
        let n_runs = if case.is_slow { bench.few_runs() } else { bench.n_runs };
        let (mut without, mut with) = (Vec::new(), Vec::new());
        for round in 0..n_runs {
            // Elsewhere in each round: where the search finds it must not matter.
            let row = (round * 1_667 + 2_741) % POISON_BATCH_ROWS;
            let (clean, poison) = pair(&bench.engine, &component, &case, &batches, row)?;
            without.push(clean);
            with.push(poison);
        }
        table.push([
            json!(case.name),
            json!(n_runs),
            rounded(milliseconds(&without), 3),
            rounded(milliseconds(&with), 2),
            rounded(ratio(&with, &without), 0),
        ]);
    }
    Ok(vec![table])
}

/// A batch without poison and the one after it, by an instance that judged some before.
fn pair(
    engine: &Engine,
    component: &[u8],
    case: &Case,
    batches: &[Batch],
    row: usize,
) -> Result<(Duration, Duration)> {
    let offset = (case.n_before + 1) * POISON_BATCH_ROWS + row;
    let config = (case.config)(offset as i64);
    let mut chain = chains::chain(engine, vec![chains::source(component, &config)])?;
    chains::judge_all(&mut chain, &batches[..case.n_before])?;
    let clean = timed(&mut chain, &batches[case.n_before], POISON_BATCH_ROWS)?;
    let poison = timed(&mut chain, &batches[case.n_before + 1], POISON_BATCH_ROWS - 1)?;
    Ok((clean, poison))
}

fn timed(chain: &mut PluginChain, batch: &Batch, n_expected: usize) -> Result<Duration> {
    let (time, n_kept) = chains::judge(chain, batch)?;
    ensure!(n_kept == n_expected, "{n_kept} rows are left, not {n_expected}");
    Ok(time)
}
