//! What a guest returned becomes a whole Arrow array or is refused.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| audit_chain::fuzz::lift_column(data));
