//! What the component exports.
//!
//! `process` and its two helpers are exported by hand instead of by the macro of the bindings: an
//! answer may be forged below the bindings, the call by which the host lets a guest free its answer may
//! misbehave, and so may the call by which the host asks for memory for arguments.

use std::cell::{Cell, RefCell};

use crate::abi::audit_host::plugin::types::{Batch, Context, Fault, Judgement};
use crate::abi::exports::audit_host::plugin::{judge, lifecycle, state};
use crate::guest::Guest;
use crate::mode;

struct Component;

type Realloc = fn(usize, usize) -> *mut u8;

thread_local! {
    static GUEST: RefCell<Option<Guest>> = const { RefCell::new(None) };
    /// The forged answer of the call under way.
    static FORGED: Cell<Option<*mut u8>> = const { Cell::new(None) };
    /// What to do when the host has the answer freed.
    static AFTER: Cell<Option<fn()>> = const { Cell::new(None) };
    static REALLOC: Cell<Option<Realloc>> = const { Cell::new(None) };
}

pub(crate) fn set_forged(answer: *mut u8) {
    FORGED.set(Some(answer));
}

pub(crate) fn set_after(behavior: fn()) {
    AFTER.set(Some(behavior));
}

pub(crate) fn set_realloc(behavior: Realloc) {
    REALLOC.set(Some(behavior));
}

impl lifecycle::Guest for Component {
    fn describe() -> lifecycle::Description {
        mode::describe()
    }

    fn configure(config: String) -> Result<lifecycle::Binding, lifecycle::ConfigError> {
        let (guest, binding) = Guest::configure(&config)?;
        GUEST.set(Some(guest));
        Ok(binding)
    }
}

impl judge::Guest for Component {
    fn process(_: Context, batch: Batch) -> Result<Judgement, Fault> {
        GUEST.with_borrow_mut(|guest| match guest {
            Some(guest) => guest.process(batch),
            None => Err(Fault::Other("a batch before configure".to_owned())),
        })
    }
}

impl state::Guest for Component {
    fn snapshot() -> Vec<u8> {
        GUEST.with_borrow(|guest| guest.as_ref().map(Guest::snapshot).unwrap_or_default())
    }

    fn restore(version: u32, bytes: Vec<u8>) -> Result<(), state::RestoreError> {
        GUEST.with_borrow_mut(|guest| match guest {
            Some(guest) => guest.restore(version, &bytes),
            None => Err(state::RestoreError::Corrupt("restore before configure".to_owned())),
        })
    }
}

lifecycle::__export_audit_host_plugin_lifecycle_0_1_1_cabi!(
    Component with_types_in crate::abi::exports::audit_host::plugin::lifecycle
);
state::__export_audit_host_plugin_state_0_1_1_cabi!(
    Component with_types_in crate::abi::exports::audit_host::plugin::state
);

/// Runs while the component is instantiated.
#[unsafe(export_name = "_initialize")]
extern "C" fn initialize() {
    mode::start();
}

/// As the bindings export it, except for forged answers.
#[unsafe(export_name = "audit-host:plugin/judge@0.1.1#process")]
unsafe extern "C" fn process(
    topic: *mut u8,
    topic_bytes: usize,
    clock: i64,
    rows: i32,
    columns: *mut u8,
    n_columns: usize,
) -> *mut u8 {
    // SAFETY: the arguments are those that the host gave, in the order of the canonical ABI.
    let answer = unsafe {
        judge::_export_process_cabi::<Component>(
            topic,
            topic_bytes,
            clock,
            rows,
            columns,
            n_columns,
        )
    };
    FORGED.get().unwrap_or(answer)
}

/// As the bindings export it, except for behaviors at this point, and for forged answers: they point at the
/// same bytes many times, and the instance is not used again, so they are never freed.
#[unsafe(export_name = "cabi_post_audit-host:plugin/judge@0.1.1#process")]
unsafe extern "C" fn after_process(answer: *mut u8) {
    if let Some(behavior) = AFTER.take() {
        behavior();
    }
    if FORGED.take().is_none() {
        // SAFETY: the answer is the one that `process` returned, and this is called once for it.
        unsafe { judge::__post_return_process::<Component>(answer) };
    }
}

/// Replaces the one of the bindings.
#[unsafe(no_mangle)]
unsafe extern "C" fn cabi_realloc(
    old: *mut u8,
    old_bytes: usize,
    align: usize,
    new_bytes: usize,
) -> *mut u8 {
    match REALLOC.get() {
        Some(behavior) => behavior(align, new_bytes),
        // SAFETY: the arguments are those that the host gave.
        None => unsafe { wit_bindgen::rt::cabi_realloc(old, old_bytes, align, new_bytes) },
    }
}
