//! `cargo xtask eval pii`: the redactor on the scoring corpus.
//!
//! With `--tuning` on the corpus for tuning, and with its errors: only that one is to be looked at.

#![expect(clippy::print_stdout, reason = "a command line tool talks to its terminal")]

use std::env;

use anyhow::{Result, bail, ensure};
use audit_evaluate::pii;

fn main() -> Result<()> {
    let mut is_tuning = false;
    for arg in env::args().skip(1) {
        match arg.as_str() {
            "--tuning" => is_tuning = true,
            _ => bail!("unknown argument {arg}: there is --tuning"),
        }
    }
    let report =
        if is_tuning { pii::tune(pii::TUNING_SEED) } else { pii::score(pii::SCORING_SEED) };
    println!("{}", pii::print(&report));
    if is_tuning {
        println!("{}", pii::print_errors(&report));
    }
    let short = report.shortfalls();
    ensure!(short.is_empty(), "less than is promised: {}", short.join("; "));
    Ok(())
}
