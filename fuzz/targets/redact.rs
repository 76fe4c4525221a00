//! No value costs the redactor much more than others of its length. The goal of the search is nanoseconds a byte: each rung
//! of the ladder that an input climbs is new coverage, so that libFuzzer keeps it and changes it further.
#![no_main]
#![allow(clippy::print_stderr, reason = "libFuzzer reports there too")]

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use audit_plugin_sdk::testing::{BatchBuilder, Transformer};
use redact_pii::RedactPii;

#[path = "../../plugins/redact-pii/tests/plugin/costly.rs"]
#[allow(dead_code, reason = "shared: the tests and the benchmark use other parts of it")]
mod costly;

use costly::{Case, Recipe};

/// Units are repeated to this length, so that what grows with its square shows.
const VALUE_BYTES: usize = 16 << 10;
/// Layers make some values longer than asked for.
const LONGER_MAX: usize = 4;
/// A failure. Coverage and debug assertions make this up to ten times slower than the release build, and a busy machine
/// slower again; what is quadratic is slower by a hundred times.
const NS_PER_BYTE_MAX: u64 = 20_000;
/// A busy machine is no failure: the least of so many times counts.
const RUNS: usize = 5;

static WORST: AtomicU64 = AtomicU64::new(0);

macro_rules! climb {
    ($cost:expr, $($rung:literal)*) => {
        $(if $cost >= $rung { black_box($rung); })*
    };
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((case, recipe)) = Recipe::of_bytes(data) else { return };
    let value = recipe.value(VALUE_BYTES);
    if value.len() > LONGER_MAX * VALUE_BYTES {
        return;
    }
    let mut cost = ns_per_byte(case, &value);
    let worst = WORST.load(Ordering::Relaxed);
    for _ in 1..RUNS {
        // Only what would be news is timed again.
        if cost > worst {
            cost = cost.min(ns_per_byte(case, &value));
        }
    }
    if cost > worst {
        WORST.store(cost, Ordering::Relaxed);
        eprintln!("worst so far: {cost} ns/byte, {}: {recipe:?}", case.name());
    }
    climb!(cost, 10 15 20 25 30 40 50 60 80 100 120 150 180 220 270 330 400 500 600 700 850 1000 1200 1500 1800 2200 2700);
    assert!(cost <= NS_PER_BYTE_MAX, "{cost} ns/byte, {}: {recipe:?}", case.name());
});

fn ns_per_byte(case: Case, value: &str) -> u64 {
    let batch = BatchBuilder::new(1).utf8(case.column(), &[Some(value)]).build();
    let mut plugin = Transformer::<RedactPii>::new(&case.config()).expect("a good configuration");
    let started = Instant::now();
    let judged = plugin.process(&batch);
    let nanos = started.elapsed().as_nanos() as u64;
    judged.expect("every value is searched or redacted");
    nanos / value.len() as u64
}
