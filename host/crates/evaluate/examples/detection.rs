//! `cargo xtask eval detection`: every rule on the scoring seeds, beside the pattern's SQL.
//!
//! With `--tuning` on the tuning seeds, and with the errors: those are the ones to change anything for.

#![expect(clippy::print_stdout, reason = "a command line tool talks to its terminal")]

use std::env;
use std::path::PathBuf;

use anyhow::{Result, bail, ensure};
use audit_evaluate::detection::{
    EVENTS, GOAL, Pair, SCENARIOS, SCORING_SEEDS, Scenario, Sql, TUNING_SEEDS, evaluate, print,
    print_errors,
};

const ERRORS_MAX: usize = 20;

fn main() -> Result<()> {
    let mut is_tuning = false;
    for arg in env::args().skip(1) {
        match arg.as_str() {
            "--tuning" => is_tuning = true,
            _ => bail!("unknown argument {arg}: there is --tuning"),
        }
    }
    let seeds: &[u64] = if is_tuning { &TUNING_SEEDS } else { &SCORING_SEEDS };
    let python = env::var_os("AUDIT_HOST_PYTHON").map(PathBuf::from);
    let folder = env::var_os("AUDIT_HOST_TMP").map_or_else(env::temp_dir, PathBuf::from);
    let sql = python.map(|python| Sql { python, folder });
    if sql.is_none() {
        println!("AUDIT_HOST_PYTHON names no Python with DuckDB: without the pattern's SQL\n");
    }
    let mut all = Pair::default();
    for scenario in &SCENARIOS {
        let pair = evaluate(scenario, seeds, EVENTS, sql.as_ref())?;
        println!("{}", print(scenario, &pair));
        // Whoever sees what is wrong there cannot but tune for it.
        if is_tuning {
            println!("{}", print_errors(&pair.detectors, ERRORS_MAX));
        }
        all.detectors.merge(&pair.detectors);
        all.sql.merge(&pair.sql);
    }
    let total = Scenario { name: "all of them", ..SCENARIOS[0] };
    println!("{}", print(&total, &all));
    let below = all.detectors.below(GOAL);
    ensure!(below.is_empty(), "below {GOAL} in precision or recall: {}", below.join(", "));
    Ok(())
}
