//! Time and memory, used without limit.

use std::arch::wasm32;
use std::hint;

use crate::abi::audit_host::plugin::crypto;
use crate::abi::audit_host::plugin::log::{self, Level};
use crate::abi::audit_host::plugin::types::Utf8Values;
use crate::configure::NASTY;
use crate::options::{Behavior, Call, Table};

pub(crate) const TABLE: Table = &[
    ("spin", Behavior::Act(|_| spin())),
    ("busy", Behavior::Act(busy)),
    ("recurse", Behavior::Act(|_| recurse())),
    ("recurse-memory", Behavior::Act(|_| recurse_memory())),
    ("grow-memory", Behavior::Act(|_| grow_memory())),
    ("grow-memory-at-once", Behavior::Act(|_| grow_memory_at_once())),
    ("fill-memory", Behavior::Act(|_| fill_memory())),
    ("allocate", Behavior::Act(|_| allocate())),
    ("log-endless", Behavior::Act(|_| log_endless())),
    ("log-many", Behavior::Act(log_many)),
    ("log-huge", Behavior::Act(log_huge)),
    ("log-nasty", Behavior::Act(|_| log::write(Level::Error, NASTY))),
    ("has-key-endless", Behavior::Act(has_key_endless)),
    ("hash-endless", Behavior::Act(hash_endless)),
    ("hash-many", Behavior::Act(hash_many)),
    ("hash-bad-input", Behavior::Act(hash_bad_input)),
    ("hash-unknown-key", Behavior::Act(hash_unknown_key)),
];

const PAGE_BYTES: usize = 64 << 10;
/// What `fill-memory` leaves to the allocator, for batches of ordinary size.
const LEFT_BYTES: usize = 8 << 20;

/// Zero, which the compiler must not know.
static ZERO: u32 = 0;

pub(crate) fn zero() -> u32 {
    // SAFETY: an initialized static. Volatile, so that the compiler cannot count on its value.
    unsafe { (&raw const ZERO).read_volatile() }
}

pub(crate) fn spin() -> ! {
    loop {
        hint::black_box(zero());
    }
}

/// Slow, but not endless: a host with a long deadline must let it pass. Each step needs the one before, and
/// no formula gives the last, so that the compiler can leave none out.
fn busy(call: &Call) {
    let steps = 0..call.options.n_or(100_000_000) as u64;
    let last = steps
        .fold(1_u64, |last, step| last.wrapping_mul(0x5851_f42d_4c95_7f2d).rotate_left(17) ^ step);
    hint::black_box(last);
}

/// Endless by the engine's stack alone: a frame holds nothing that lies in memory.
fn recurse() {
    #[inline(never)]
    fn deeper(depth: u32) -> u32 {
        // What is added afterwards keeps the compiler from making a loop of it.
        if zero() == 1 { depth } else { deeper(depth.wrapping_add(1)).wrapping_add(zero()) }
    }
    hint::black_box(deeper(0));
}

/// Endless by the stack in memory, where every frame takes a quarter of a page.
fn recurse_memory() {
    #[inline(never)]
    #[expect(unconditional_recursion, reason = "it ends by a trap")]
    fn deeper(depth: u32) -> u8 {
        let frame = hint::black_box([depth as u8; PAGE_BYTES / 4]);
        deeper(depth.wrapping_add(1)) ^ frame[zero() as usize]
    }
    hint::black_box(deeper(0));
}

/// Asks for another page for ever, also when it is refused.
fn grow_memory() {
    loop {
        hint::black_box(wasm32::memory_grow::<0>(1));
    }
}

/// Asks for 4 GiB at once, and goes on when it is refused.
fn grow_memory_at_once() {
    hint::black_box(wasm32::memory_grow::<0>(65_535));
}

/// Takes all memory up to the limit and goes on.
fn fill_memory() {
    drop(hint::black_box(vec![1_u8; LEFT_BYTES]));
    loop {
        let before = wasm32::memory_grow::<0>(1);
        if before == usize::MAX {
            return;
        }
        let page: *mut u8 = std::ptr::with_exposed_provenance_mut(before * PAGE_BYTES);
        // SAFETY: the page was just added, and nothing else knows of it.
        unsafe { page.write_volatile(1) };
    }
}

fn allocate() {
    let mut taken = Vec::new();
    loop {
        taken.push(hint::black_box(vec![1_u8; 1 << 20]));
    }
}

fn log_endless() {
    loop {
        log::write(Level::Error, "a line of many");
    }
}

fn log_many(call: &Call) {
    for idx in 0..call.options.n_or(1_000) {
        log::write(Level::Info, &format!("line {idx}"));
    }
}

fn log_huge(call: &Call) {
    log::write(Level::Error, &"l".repeat(call.options.bytes_or(10 << 20)));
}

fn has_key_endless(call: &Call) {
    let name = "n".repeat(call.options.bytes_or(10 << 20));
    loop {
        hint::black_box(crypto::has_key(&name));
    }
}

/// Each call takes the host a while that no deadline of the guest's own code can interrupt.
fn hash_endless(call: &Call) {
    let n_bytes = call.options.bytes_or(10 << 20);
    let values = Utf8Values { offsets: vec![0, n_bytes as i32], values: vec![b'v'; n_bytes] };
    loop {
        hint::black_box(crypto::keyed_hash(&call.options.key, &values)).ok();
    }
}

/// One call for very many empty values: 4 bytes each on the way in, 32 on the way out.
fn hash_many(call: &Call) {
    let offsets = vec![0; call.options.n_or(1_000_000) + 1];
    let values = Utf8Values { offsets, values: Vec::new() };
    hint::black_box(crypto::keyed_hash(&call.options.key, &values)).ok();
}

/// Goes on when the host refuses, traps when it does not.
fn hash_bad_input(call: &Call) {
    for offsets in [vec![0, -1], vec![-1, 1], vec![0, 9], vec![1, 0], vec![0, i32::MAX]] {
        let values = Utf8Values { offsets, values: b"v".to_vec() };
        assert!(crypto::keyed_hash(&call.options.key, &values).is_err(), "it was hashed");
    }
}

/// Goes on when the host refuses, traps when it does not.
fn hash_unknown_key(_: &Call) {
    let values = Utf8Values { offsets: vec![0, 1], values: b"v".to_vec() };
    for key in ["", "no-such-key", NASTY] {
        assert!(!crypto::has_key(key), "the key is there");
        assert!(crypto::keyed_hash(key, &values).is_err(), "it was hashed");
    }
}
