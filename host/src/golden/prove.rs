//! The cases that a component carries, run before it may judge.

use std::time::{Duration, Instant};

use audit_chain::{Engine, PluginSource, unlogged};

use super::compare::compare;
use super::error::Error;
use super::load::embedded;
use super::run::run;

/// Time that all cases of a component may take together before it is rejected. Limits bound each call of
/// the plugin; this bounds how long a new version can delay a reload by being slow in every case.
const TIME_MAX: Duration = Duration::from_mins(1);

/// Runs every case that the component carries, and returns how many; an error for the first that fails.
pub(crate) fn prove(engine: &Engine, plugin: &PluginSource) -> Result<usize, Error> {
    unlogged(|| prove_all(engine, plugin))
}

/// An error once the cases of a component have taken longer than a host gives them.
pub(crate) fn in_time(began: Instant, n_done: usize, n_cases: usize) -> Result<(), Error> {
    if began.elapsed() > TIME_MAX {
        return Err(Error::TooSlow { n_done, n_cases, max: TIME_MAX });
    }
    Ok(())
}

fn prove_all(engine: &Engine, plugin: &PluginSource) -> Result<usize, Error> {
    let cases = embedded(&plugin.component)?;
    let began = Instant::now();
    for (n_done, case) in cases.iter().enumerate() {
        in_time(began, n_done, cases.len())?;
        let mismatches = compare(case, &run(engine, plugin, case)?);
        if let Some(mismatch) = mismatches.first() {
            return Err(Error::Failed { case: case.name.clone(), mismatch: mismatch.clone() });
        }
    }
    Ok(cases.len())
}
