//! `cargo xtask eval detection --through-kafka`: every rule on the scoring seeds, through a real broker and the real
//! program, in several numbers of partitions.
//!
//! With `--tuning` on the tuning seeds, and with the errors: those are the ones to change anything for.

#![expect(clippy::print_stdout, reason = "a command line tool talks to its terminal")]

use std::env;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use audit_evaluate::detection::{
    ByPartitions, CROWD, EVENTS, GOAL, Rig, SCENARIOS, SCORING_SEEDS, TUNING_SEEDS, print_errors,
};

const ERRORS_MAX: usize = 20;
const PARTITIONS: [i32; 4] = [1, 4, 8, 32];

struct Options {
    n_events: u64,
    seeds: Vec<u64>,
    partitions: Vec<i32>,
    is_tuning: bool,
}

fn main() -> Result<()> {
    let options = Options::parse(env::args().skip(1))?;
    let rig = Rig {
        program: named_by("AUDIT_HOST_BIN")?,
        brokers: env::var("AUDIT_HOST_EVAL_BROKERS")
            .context("AUDIT_HOST_EVAL_BROKERS names no Kafka; `cargo xtask eval` starts one")?,
        folder: named_by("AUDIT_HOST_TMP")?,
        say: |line| println!("  {line}"),
    };
    let begin = Instant::now();
    let mut all = ByPartitions::default();
    for scenario in SCENARIOS.iter().chain([&CROWD]) {
        for seed in &options.seeds {
            all.evaluate(&rig, scenario, *seed, options.n_events, &options.partitions)?;
        }
    }
    println!("\n{}", all.print());
    println!("All of this took {:.0?}.", begin.elapsed());
    // Whoever sees what is wrong there cannot but tune for it.
    for (n_partitions, through) in all.of.iter().filter(|_| options.is_tuning) {
        println!("In {n_partitions}:\n{}", print_errors(&through.scores, ERRORS_MAX));
    }
    let (below, differing) = (all.below_goal(), all.differing());
    let list =
        |rules: std::collections::BTreeSet<&str>| rules.into_iter().collect::<Vec<_>>().join(", ");
    ensure!(
        below.is_empty() && differing.is_empty(),
        "below {GOAL} in precision or recall: [{}]; other ids than in the fewest partitions: [{}]",
        list(below),
        list(differing)
    );
    Ok(())
}

fn named_by(variable: &str) -> Result<PathBuf> {
    let path = env::var_os(variable).map(PathBuf::from);
    path.with_context(|| format!("{variable} is not set; `cargo xtask eval` sets it"))
}

impl Options {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self> {
        let (mut n_events, mut seeds, mut partitions) = (EVENTS, None, PARTITIONS.to_vec());
        let mut is_tuning = false;
        while let Some(arg) = args.next() {
            let mut value = || args.next().with_context(|| format!("{arg} needs a value"));
            match arg.as_str() {
                "--rows" => n_events = value()?.parse().context("--rows needs a number")?,
                "--seeds" => seeds = Some(list(&value()?)?),
                "--partitions" => partitions = list(&value()?)?,
                "--tuning" => is_tuning = true,
                _ => bail!(
                    "unknown argument {arg}; available: --rows N, --seeds A,B, --partitions A,B, --tuning"
                ),
            }
        }
        ensure!(partitions.iter().all(|n| *n > 0), "--partitions needs numbers above 0");
        let usual = if is_tuning { TUNING_SEEDS.as_slice() } else { SCORING_SEEDS.as_slice() };
        Ok(Self { n_events, seeds: seeds.unwrap_or_else(|| usual.to_vec()), partitions, is_tuning })
    }
}

fn list<T: FromStr>(text: &str) -> Result<Vec<T>> {
    let number = |part: &str| part.trim().parse().ok();
    let all: Option<Vec<T>> = text.split(',').map(number).collect();
    all.with_context(|| format!("{text:?} is no list of numbers"))
}
