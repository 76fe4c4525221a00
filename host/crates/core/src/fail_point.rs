//! Ends the process at a chosen step, so that tests can see what a crash at exactly that step leaves.
//!
//! Always compiled, so that what is tested is what runs. Nothing happens unless the variable
//! `AUDIT_HOST_FAIL_POINT` is set to `NAME:N` when the program starts: then the process ends when it reaches the
//! step NAME for the Nth time. It ends as a crash does: no destructor runs and nothing is flushed.

use std::ffi::OsString;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, PipelineError};

/// The variable that chooses the step.
pub const VARIABLE: &str = "AUDIT_HOST_FAIL_POINT";

/// Every step, each named after what has just been done.
pub const NAMES: [&str; 16] = [
    // One epoch, in the order of `pipeline.rs`.
    "files-sealed",
    "stage",
    "metadata-written",
    "committed",
    "dead-letters-appended",
    "alerts-delivered",
    "acknowledged",
    "finished",
    // The start.
    "claim-written",
    // Maintenance.
    "expire-planned",
    "expire-committed",
    "history-written",
    "merge-written",
    "merge-committed",
    "garbage-written",
    "garbage-removed",
];

/// The step that ends this process; none unless [`arm`] found one.
static ARMED: OnceLock<Option<FailPoint>> = OnceLock::new();

#[derive(Debug)]
struct FailPoint {
    name: &'static str,
    /// How many more times the step is reached until the process ends.
    left: AtomicU64,
}

impl FailPoint {
    fn parse(value: &OsString) -> Result<Self, PipelineError> {
        let refused = |problem: String| {
            let value = value.to_string_lossy().into_owned();
            PipelineError::FailPoint { variable: VARIABLE, value, problem }
        };
        let text = value.to_str().unwrap_or_default();
        let Some((name, n)) = text.split_once(':') else {
            return Err(refused("it has no colon".to_owned()));
        };
        let Some(name) = NAMES.into_iter().find(|known| *known == name) else {
            let available = NAMES.join(", ");
            return Err(refused(format!("no step has this name; available: {available}")));
        };
        match n.parse() {
            Ok(n) if n > 0 => Ok(Self { name, left: AtomicU64::new(n) }),
            _ => Err(refused("after the colon must come a number from 1 on".to_owned())),
        }
    }

    /// Whether this was the last time.
    fn is_due(&self, reached: &str) -> bool {
        self.name == reached && self.left.fetch_sub(1, Ordering::Relaxed) == 1
    }
}

/// Reads the variable; to be called once, when the program starts. Only then can a step end the process.
pub fn arm() -> Result<(), Error> {
    let armed = match std::env::var_os(VARIABLE) {
        Some(value) => Some(FailPoint::parse(&value)?),
        None => None,
    };
    if let Some(FailPoint { name, left }) = &armed {
        let (step, times) = (*name, left.load(Ordering::Relaxed));
        tracing::warn!(step, times, "{VARIABLE} is set: this process will end itself at that step");
    }
    // A second call changes nothing.
    let _ = ARMED.set(armed);
    Ok(())
}

/// To be called right after the step `name` of [`NAMES`]: ends the process if that is the step that was chosen.
pub fn reach(name: &str) {
    debug_assert!(NAMES.contains(&name), "unknown fail point {name}");
    let Some(Some(armed)) = ARMED.get() else { return };
    if armed.is_due(name) {
        tracing::error!(step = name, "fail point reached: ending the process");
        // SIGABRT, which nothing else raises here: a test can tell it from a kill of its own.
        std::process::abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_due_at_its_nth_time_and_only_then() {
        let armed = FailPoint::parse(&"committed:2".into()).unwrap();
        let reached = ["stage", "committed", "stage", "committed", "committed"];
        assert_eq!(reached.map(|name| armed.is_due(name)), [false, false, false, true, false]);
    }

    #[test]
    fn anything_else_is_refused_by_what_is_wrong() {
        let check = |value: &str, problem: &str| {
            let refused = Error::from(FailPoint::parse(&value.into()).unwrap_err());
            assert_eq!(refused.code(), "AH-0052");
            for part in [VARIABLE, value, problem] {
                assert!(refused.to_string().contains(part), "{part:?} is not in {refused}");
            }
        };
        for value in ["", "committed"] {
            check(value, "it has no colon");
        }
        for value in [":1", "Committed:1", "commit:1"] {
            check(value, "available: files-sealed, stage, ");
        }
        for value in ["committed:", "committed:0", "committed:-1", "committed:x"] {
            check(value, "a number from 1 on");
        }
    }
}
