//! Texts that repeat values of events, which the contract forbids.

use std::cell::RefCell;

use crate::abi::audit_host::plugin::log::{self, Level};
use crate::abi::audit_host::plugin::types::{Column, ColumnValues, Fault, Judgement, Quarantined};
use crate::abi::exports::audit_host::plugin::state::RestoreError;
use crate::counter::{field, finding};
use crate::options::{Behavior, Call, Table};

pub(crate) const TABLE: Table = &[
    ("quote-log", Behavior::Act(|_| log::write(Level::Error, &quote()))),
    ("quote-log-and-trap", Behavior::Act(log_and_trap)),
    ("quote-fault", Behavior::Refuse(|_| Fault::Other(quote()))),
    ("quote-reason", Behavior::Spoil(reason)),
    ("quote-alert", Behavior::Quote(alert)),
    ("quote-restore", Behavior::Restore(corrupt)),
];

thread_local! {
    /// The `user_agent` of the last row of the batch.
    static LAST: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Keeps what is quoted.
pub(crate) fn see(agents: Option<&Column>) {
    let Some(Column { values: ColumnValues::Utf8(text), .. }) = agents else { return };
    let start = text.offsets.iter().nth_back(1).copied().unwrap_or_default() as usize;
    let last = text.values.get(start..).unwrap_or_default();
    LAST.set(String::from_utf8_lossy(last).into_owned());
}

fn quote() -> String {
    LAST.with_borrow(|last| format!("seen in another row: {last}"))
}

fn log_and_trap(_: &Call) {
    log::write(Level::Error, &quote());
    core::arch::wasm32::unreachable()
}

fn reason(call: &Call, answer: &mut Judgement) {
    answer.quarantined.push(Quarantined { row: call.row as u32, reason: quote() });
}

fn alert(_: &Call, answer: &mut Judgement) {
    let mut alert = finding(0, 0);
    alert.message = quote();
    alert.labels = vec![field(("another", quote())), field((&quote(), "x".to_owned()))];
    alert.rule = LAST.with_borrow(Clone::clone);
    answer.alerts.push(alert);
}

/// The state as text.
fn corrupt(state: &[u8]) -> Result<(), RestoreError> {
    let text = String::from_utf8_lossy(state).into_owned();
    log::write(Level::Error, &text);
    Err(RestoreError::Corrupt(text))
}
