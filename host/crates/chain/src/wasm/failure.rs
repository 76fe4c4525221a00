//! A failed call of a guest, described so that its author finds the place.

use std::fmt;
use std::time::Duration;

use arrow::record_batch::RecordBatch;
use audit_core::text::clipped;
use audit_golden::Lines;
use wasmtime::{Trap, WasmBacktrace};

use crate::text;
use crate::wasm::abi::audit_host::plugin::types;
use crate::wasm::host::state::Guest;
use crate::wasm::mask::Values;
use crate::wasm::scrub::without_values;

/// Frames of a guest's backtrace that are shown.
const FRAMES_MAX: usize = 6;
/// Bytes of a symbol that is decoded, and of the name that is shown.
const SYMBOL_BYTES_MAX: usize = 1024;
const FUNCTION_BYTES_MAX: usize = 128;
/// Frames of the panic machinery: they say nothing about where the panic came from.
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
    /// The guest reported a fault that may not occur again.
    Transient,
    /// The guest reported a permanent fault.
    Fault,
    /// The guest's output breaks the contract.
    Output,
}

/// Why a call failed, for a person. `Display` leaves the guest's own message out: it may hold values of
/// events, although the contract forbids it.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) kind: FailureKind,
    what: String,
    /// The guest's own message, with the text that introduces it.
    message: String,
    /// Where, innermost first.
    at: String,
}

impl Failure {
    pub(crate) fn new(kind: FailureKind, text: impl Into<String>) -> Self {
        Self { kind, what: text.into(), message: String::new(), at: String::new() }
    }

    /// A failure that the guest reported itself.
    pub(crate) fn reported(kind: FailureKind, what: &str, message: &str) -> Self {
        let message = format!(": {}", text::message(message));
        Self { message, ..Self::new(kind, what) }
    }

    /// A fault that the guest returned.
    pub(crate) fn of_fault(fault: types::Fault) -> Self {
        let (kind, what, text) = match fault {
            types::Fault::Transient(text) => (FailureKind::Transient, "a transient fault", text),
            types::Fault::BadInput(text) => (FailureKind::Fault, "bad input", text),
            types::Fault::Other(text) => (FailureKind::Fault, "a fault", text),
        };
        Self::reported(kind, what, &text)
    }

    /// Without values in the guest's message.
    pub(crate) fn without(self, values: &Values) -> Self {
        Self { message: values.hide(&self.message), ..self }
    }

    /// With the guest's message; for calls before it has seen any event, and where values are hidden.
    pub(crate) fn with_message(&self) -> String {
        text::message(&format!("{}{}{}", self.what, self.message, self.at))
    }

    /// With the guest's message about a row, without the row's values. Those of the batch are hidden already.
    pub(crate) fn about(&self, columns: &RecordBatch, row: usize) -> String {
        let message = without_values(&self.message, columns, row);
        Self { message, ..self.clone() }.with_message()
    }

    /// An error of wasmtime, with the last error that the guest logged and its backtrace.
    pub(crate) fn of_call(
        function: &str,
        limit: Duration,
        error: &wasmtime::Error,
        guest: &Guest,
        lines: &Lines,
    ) -> Self {
        let trap = error.downcast_ref::<Trap>();
        let (kind, what) = match trap {
            Some(Trap::Interrupt) => {
                (FailureKind::Deadline, format!("{function} took longer than {limit:?}"))
            }
            Some(Trap::UnreachableCodeReached) => {
                (FailureKind::Trap, format!("{function} trapped (a panic or an abort)"))
            }
            _ => {
                let cause = text::message(&error.root_cause().to_string());
                (FailureKind::Trap, format!("{function} trapped: {cause}"))
            }
        };
        let what = match &guest.meter.refused {
            Some(refused) => format!("{what}; {refused}"),
            None => what,
        };
        let message = guest.last_error().map(|line| format!("; it said: {line}"));
        let frames = error.downcast_ref::<WasmBacktrace>();
        let frames = frames.map(|frames| backtrace(frames, lines)).unwrap_or_default();
        let at = match &frames[..] {
            [] => String::new(),
            frames => format!("; at {}", frames.join(", in ")),
        };
        Self { kind, what, message: message.unwrap_or_default(), at }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text::message(&format!("{}{}", self.what, self.at)))
    }
}

/// The innermost frames as `function (file:line)`, without the machinery of panics. The lines are those of our own
/// section: a stranger's debug information is not read.
fn backtrace(backtrace: &WasmBacktrace, lines: &Lines) -> Vec<String> {
    let mut shown = Vec::new();
    for frame in backtrace.frames() {
        let name = frame.func_name().map_or_else(|| "?".to_owned(), demangled);
        if MACHINERY.iter().any(|part| name.starts_with(part)) {
            continue;
        }
        let place = frame.module_offset().and_then(|byte| lines.at(byte));
        shown.push(match place {
            Some((file, line)) => format!("{name} ({file}:{line})"),
            None => name,
        });
        if shown.len() == FRAMES_MAX {
            break;
        }
    }
    shown
}

/// A name as the author wrote it. A longer one is cut first: it may be made to grow while it is decoded.
fn demangled(name: &str) -> String {
    let name = clipped(name, SYMBOL_BYTES_MAX);
    clipped(&format!("{:#}", rustc_demangle::demangle(&name)), FUNCTION_BYTES_MAX)
}
