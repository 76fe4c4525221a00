//! A target that fails: `cargo xtask fuzz` is blind unless it finds the word and reports the panic.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    // One byte after the other, so that only a search led by coverage gets there.
    let is_found =
        data.len() > 3 && data[0] == b'b' && data[1] == b'i' && data[2] == b'r' && data[3] == b'd';
    assert!(!is_found, "the canary sings");
});
