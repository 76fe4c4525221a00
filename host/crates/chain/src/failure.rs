//! A call that a guest did not answer well, told so that its author finds the place.

use std::fmt;
use std::time::Duration;

use wasmtime::{Trap, WasmBacktrace};

use crate::answer::{MESSAGE_BYTES_MAX, clipped};
use crate::imports::Guest;

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

/// Why a call failed, for a person. Holds no value of an event, unless the guest broke its contract
/// and logged one.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) kind: FailureKind,
    pub(crate) text: String,
}

impl Failure {
    pub(crate) fn new(kind: FailureKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
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
        let mut text = what;
        if let Some(refused) = &guest.meter.refused {
            text = format!("{text}; {refused}");
        }
        if let Some(said) = &guest.last_words {
            text = format!("{text}; it said: {said}");
        }
        let frames = error.downcast_ref::<WasmBacktrace>().map(backtrace).unwrap_or_default();
        if !frames.is_empty() {
            text = format!("{text}; at {}", frames.join(", in "));
        }
        Self { kind, text: clipped(&text, MESSAGE_BYTES_MAX) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
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
