//! A call that a guest did not answer well, told so that its author finds the place.

use std::fmt;
use std::time::Duration;

use arrow::record_batch::RecordBatch;
use wasmtime::{Trap, WasmBacktrace};

use crate::answer::{MESSAGE_BYTES_MAX, clipped};
use crate::imports::Guest;
use crate::words::without_values;

/// Frames of a guest's backtrace that are kept.
const FRAMES_MAX: usize = 6;
/// Frames of the machinery that ends a panic: they say nothing about where it came from.
const MACHINERY: [&str; 9] = [
    "core::panicking",
    "std::panicking",
    "std::sys",
    "std::process::abort",
    "rust_begin_unwind",
    "__rust",
    "__rustc",
    "rust_panic",
    "abort",
];

/// How a call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// The guest trapped: a panic, memory out of bounds, the stack, a refused call of the host.
    Trap,
    /// The guest took longer than its deadline.
    Deadline,
    /// The guest said that it may pass if tried again.
    Transient,
    /// The guest said that it cannot.
    Fault,
    /// What the guest answered does not hold.
    Answer,
}

/// Why a call failed, for a person. `Display` is without the guest's own words, which may hold values of
/// events although its contract forbids it.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) kind: FailureKind,
    what: String,
    /// The guest's words, with what leads to them.
    said: String,
    /// Where, innermost first.
    at: String,
}

impl Failure {
    pub(crate) fn new(kind: FailureKind, text: impl Into<String>) -> Self {
        Self { kind, what: text.into(), said: String::new(), at: String::new() }
    }

    /// One that the guest told of.
    pub(crate) fn told(kind: FailureKind, what: &str, words: &str) -> Self {
        let said = format!(": {}", clipped(words, MESSAGE_BYTES_MAX));
        Self { said, ..Self::new(kind, what) }
    }

    /// With all that the guest said; where it has seen no event yet.
    pub(crate) fn with_words(&self) -> String {
        clipped(&format!("{}{}{}", self.what, self.said, self.at), MESSAGE_BYTES_MAX)
    }

    /// With what the guest said about a row, without the row's values.
    pub(crate) fn about(&self, columns: &RecordBatch, row: usize) -> String {
        let said = without_values(&self.said, columns, row);
        Self { said, ..self.clone() }.with_words()
    }

    /// What wasmtime says of a call, with the guest's own last words and its backtrace.
    pub(crate) fn of_call(
        function: &str,
        limit: Duration,
        error: &wasmtime::Error,
        guest: &Guest,
    ) -> Self {
        let trap = error.downcast_ref::<Trap>();
        let (kind, what) = match trap {
            Some(Trap::Interrupt) => {
                (FailureKind::Deadline, format!("{function} took longer than {limit:?}"))
            }
            Some(Trap::UnreachableCodeReached) => {
                (FailureKind::Trap, format!("{function} trapped (a panic or an abort)"))
            }
            _ => (FailureKind::Trap, format!("{function} trapped: {}", error.root_cause())),
        };
        let what = match &guest.meter.refused {
            Some(refused) => format!("{what}; {refused}"),
            None => what,
        };
        let said = guest.last_words.as_ref().map(|said| format!("; it said: {said}"));
        let frames = error.downcast_ref::<WasmBacktrace>().map(backtrace).unwrap_or_default();
        let at = match &frames[..] {
            [] => String::new(),
            frames => format!("; at {}", frames.join(", in ")),
        };
        Self { kind, what, said: said.unwrap_or_default(), at }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&clipped(&format!("{}{}", self.what, self.at), MESSAGE_BYTES_MAX))
    }
}

/// The innermost frames as `function (file:line)`, without the machinery of panics.
fn backtrace(backtrace: &WasmBacktrace) -> Vec<String> {
    let mut lines = Vec::new();
    for frame in backtrace.frames() {
        let name = frame.func_name().map(demangled);
        let mut of_frame: Vec<(String, Option<String>)> = frame
            .symbols()
            .iter()
            .map(|symbol| {
                let name = symbol.name().map(demangled).or_else(|| name.clone());
                let place = symbol.file().zip(symbol.line());
                let place = place.map(|(file, line)| format!("{file}:{line}"));
                (name.unwrap_or_else(|| "?".to_owned()), place)
            })
            .collect();
        if of_frame.is_empty() {
            of_frame.push((name.unwrap_or_else(|| "?".to_owned()), None));
        }
        for (name, place) in of_frame {
            if MACHINERY.iter().any(|part| name.starts_with(part)) {
                continue;
            }
            lines.push(place.map_or_else(|| name.clone(), |place| format!("{name} ({place})")));
        }
    }
    lines.truncate(FRAMES_MAX);
    lines
}

fn demangled(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}
