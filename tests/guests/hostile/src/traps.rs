//! Calls that end in a trap: in `process`, after it, and while its arguments are passed.

use std::hint;

use crate::abi::audit_host::plugin::log::{self, Level};
use crate::options::{Behavior, Call, Table};
use crate::resources;

pub(crate) const TABLE: Table = &[
    ("trap", Behavior::Act(|_| core::arch::wasm32::unreachable())),
    ("panic", Behavior::Act(panic)),
    ("panic-logged", Behavior::Act(panic_logged)),
    ("divide-by-zero", Behavior::Act(divide_by_zero)),
    ("out-of-bounds", Behavior::Act(out_of_bounds)),
    ("bad-function", Behavior::Act(bad_function)),
    ("trap-after-answer", Behavior::AfterAnswer(|| core::arch::wasm32::unreachable())),
    ("spin-after-answer", Behavior::AfterAnswer(|| resources::spin())),
    ("log-after-answer", Behavior::AfterAnswer(|| log::write(Level::Error, "after the answer"))),
    ("realloc-trap", Behavior::Realloc(|_, _| core::arch::wasm32::unreachable())),
    ("realloc-spin", Behavior::Realloc(|_, _| resources::spin())),
    ("realloc-log", Behavior::Realloc(realloc_log)),
    ("realloc-null", Behavior::Realloc(|_, _| std::ptr::null_mut())),
    (
        "realloc-out-of-bounds",
        Behavior::Realloc(|align, _| std::ptr::without_provenance_mut(NOWHERE * align)),
    ),
    ("realloc-unaligned", Behavior::Realloc(unaligned)),
];

/// Times an alignment of up to 8 this is an address near the end of 4 GiB, and aligned.
const NOWHERE: usize = 0x1fff_0000;

fn panic(call: &Call) {
    let long = "x".repeat(call.options.bytes_or(1 << 20));
    panic!("a constant beginning of a long message: {long}");
}

/// As the SDK does for constant messages: the message goes to the log before the trap.
fn panic_logged(call: &Call) {
    std::panic::set_hook(Box::new(|info| log::write(Level::Error, &info.to_string())));
    panic(call);
}

/// Rust would panic instead of trapping, so it must believe that the divisor is not zero.
fn divide_by_zero(_: &Call) {
    let (dividend, divisor) = (resources::zero(), resources::zero());
    // SAFETY: none: the promise is broken on purpose. What is left of the division is an instruction
    // of WebAssembly, for which a trap is the defined outcome.
    unsafe { hint::assert_unchecked(divisor != 0) };
    hint::black_box(dividend / divisor);
}

fn out_of_bounds(_: &Call) {
    let end: *const u64 = std::ptr::without_provenance(0xffff_fff0);
    // SAFETY: none: WebAssembly defines that a read behind the end of the memory traps.
    hint::black_box(unsafe { end.read_volatile() });
}

fn bad_function(_: &Call) {
    let nowhere = resources::zero() as usize + 0x00ff_ffff;
    // SAFETY: none: WebAssembly defines that a call through an index outside its table traps.
    let function: fn() = unsafe { std::mem::transmute(nowhere) };
    function();
}

/// The host must not let a guest call it here: it is in the middle of a call itself.
fn realloc_log(_: usize, _: usize) -> *mut u8 {
    log::write(Level::Error, "from within realloc");
    std::ptr::null_mut()
}

/// Memory that exists, at an odd address. Bytes have no alignment, so for them the address is right.
fn unaligned(align: usize, bytes: usize) -> *mut u8 {
    let place = vec![0_u8; bytes + 2 * align].leak().as_mut_ptr();
    place.wrapping_add(place.align_offset(align) + usize::from(align > 1))
}
