//! Golden cases: events that go into a plugin, and what must come out, as data.
//!
//! A case is a folder of the plugin's project, or an entry of the custom section that `plugin build`
//! puts into the component. The author runs cases with `plugin test`, and the host runs those that a
//! component carries before it lets the component take another's place. So nothing here prints, and
//! nothing here believes what a component says. The format is promised in `docs/plugin-testing.md`.

mod json;
mod section;

mod case;
mod folder;
mod lookups;

mod run;

mod compare;
mod diff;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use audit_chain::{Engine, PluginSource};

pub(crate) use self::case::{Case, Expected, embedded, parse};
pub(crate) use self::compare::{Mismatch, compare};
pub(crate) use self::folder::{read_folder, update};
pub(crate) use self::run::{Outcome, run};

/// Time that all cases of a component may take together, before it is refused. Limits bound each call
/// of the plugin; this bounds how long a new version can hold up a change by being slow in every case.
const TIME_MAX: Duration = Duration::from_mins(1);

/// Runs every case that the component carries, and says how many; an error for the first that fails.
/// For who must decide whether the component may judge.
pub(crate) fn prove(engine: &Engine, plugin: &PluginSource) -> Result<usize, Error> {
    let cases = embedded(&plugin.component)?;
    let began = Instant::now();
    for (n_done, case) in cases.iter().enumerate() {
        if began.elapsed() > TIME_MAX {
            return Err(Error::TooSlow { n_done, n_cases: cases.len(), max: TIME_MAX });
        }
        let mismatches = compare(case, &run(engine, plugin, case)?);
        if let Some(mismatch) = mismatches.first() {
            return Err(Error::Failed { case: case.name.clone(), mismatch: mismatch.clone() });
        }
    }
    Ok(cases.len())
}

/// Why a case could not be read or run. What a case finds wrong with a plugin is a [`Mismatch`].
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(
        "looking for golden cases in the component: its sections are damaged at byte {at}; build it again"
    )]
    Damaged { at: usize },
    #[error(
        "reading the golden cases of the component: they have {n_bytes} bytes, and at most {max} are \
         allowed; shorten them, or leave some out"
    )]
    TooLarge { n_bytes: usize, max: usize },
    #[error(
        "reading the golden cases of the component: there are {n_cases}, and at most {max} are allowed"
    )]
    TooMany { n_cases: usize, max: usize },
    #[error(
        "running the golden cases of the component: {n_done} of {n_cases} took longer than {max:?}; make \
         them smaller"
    )]
    TooSlow { n_done: usize, n_cases: usize, max: Duration },
    #[error("the golden case {case:?} failed: {mismatch}")]
    Failed { case: String, mismatch: Mismatch },
    #[error("reading the golden case {place}: {problem}")]
    Case { place: String, problem: String },
    #[error("{attempted} {}", path.display())]
    File {
        attempted: &'static str,
        path: PathBuf,
        #[source]
        cause: std::io::Error,
    },
    #[error("starting the plugin for the golden case {case:?}")]
    Load {
        case: String,
        #[source]
        cause: audit_chain::Error,
    },
    #[error("running the golden case {case:?}")]
    Run {
        case: String,
        #[source]
        cause: audit_core::Error,
    },
}

/// A custom section with these cases, for tests of what reads them.
/// A built-in plugin whose own cases nobody finds: their section has another name.
#[cfg(test)]
pub(crate) fn without_cases(builtin: &str) -> Vec<u8> {
    let mut component = crate::builtin::component(builtin).unwrap_or_default().to_vec();
    let name = case::SECTION.as_bytes();
    let found = component.windows(name.len()).position(|bytes| bytes == name);
    if let Some(byte) = found.and_then(|at| component.get_mut(at)) {
        *byte = b'A';
    }
    component
}

#[cfg(test)]
pub(crate) fn section_of(cases: &str) -> Vec<u8> {
    section::tests::section(0, "audit-host:golden", cases.as_bytes())
}

#[cfg(test)]
mod tests;
