//! What plugins cost: their rates, the boundary, deadlines, starts, failures and swaps.
//!
//! Everything is measured beside something else in the same round, so that a machine that is slow or
//! busy changes the figures and hardly the ratios.

#![allow(clippy::print_stdout, reason = "a benchmark reports to the terminal")]

#[path = "../../guests/copy-column/src/lib.rs"]
mod copy_column;
#[path = "../events.rs"]
#[allow(dead_code, reason = "shared: every benchmark uses a part of it")]
mod events;
#[path = "../files.rs"]
mod files;
#[path = "../table.rs"]
#[allow(dead_code, reason = "shared: every benchmark uses a part of it")]
mod table;

mod chains;
mod native;

mod columns;
mod office;
mod rates;
mod whole;
mod worst;

mod boundary;
mod epochs;
mod lanes;
mod languages;
mod length;

mod keys;
mod poison;
mod starts;
mod states;

use anyhow::{Result, ensure};
use audit_chain::Engine;
use chains::Bench;
use table::{Args, Table};

const ROWS: usize = 131_072;
const RUNS: usize = 9;

/// The parts in their order, by the names that `--part` takes.
type Part = (&'static str, fn(&Bench) -> Result<Vec<Table>>);
const PARTS: [Part; 15] = [
    ("rates", rates::tables),
    ("columns", columns::tables),
    ("office", office::tables),
    ("whole", whole::tables),
    ("starts", starts::tables),
    ("boundary", boundary::tables),
    ("deadlines", epochs::tables),
    ("length", length::tables),
    ("lanes", lanes::tables),
    ("languages", languages::tables),
    ("poison", poison::tables),
    ("worst", worst::tables),
    ("keys", keys::tables),
    ("swaps", states::swaps),
    ("replay", states::replay),
];

fn main() -> Result<()> {
    let args = Args::parse(std::env::args().skip(1))?;
    let bench = Bench {
        engine: Engine::new()?,
        n_rows: args.rows.unwrap_or(ROWS),
        n_runs: args.runs.unwrap_or(RUNS),
    };
    let wanted = |(name, _): &&Part| args.part.as_deref().is_none_or(|part| part == *name);
    let mut tables = Vec::new();
    for (name, part) in PARTS.iter().filter(wanted) {
        println!("  {name}");
        tables.extend(part(&bench)?);
    }
    ensure!(
        !tables.is_empty(),
        "no such part; available: {}",
        PARTS.map(|(name, _)| name).join(", ")
    );
    args.report(&tables)
}
