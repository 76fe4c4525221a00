//! The settings of wasmtime, and what identifies an engine with them.

use std::hash::{Hash, Hasher};

use sha2::{Digest, Sha256};
use wasmtime::WasmBacktraceDetails;

/// Host and compiler must have the same one: code is for one configuration.
pub(crate) fn wasmtime_engine() -> wasmtime::Result<wasmtime::Engine> {
    let mut config = wasmtime::Config::new();
    config
        .wasm_component_model(true)
        .epoch_interruption(true)
        // A stranger's DWARF is not read: source lines come from a section of ours.
        .wasm_backtrace_details(WasmBacktraceDetails::Disable);
    wasmtime::Engine::new(&config)
}

/// A digest fed by `Hash`, for wasmtime's compatibility hash. Not for hostile input.
#[derive(Default)]
struct Fingerprint(Sha256);

impl Hasher for Fingerprint {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest = self.0.clone().finalize();
        digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}

/// Identifies an engine: the version of wasmtime, its settings and the processor. Engines with one fingerprint run
/// each other's code.
pub(crate) fn fingerprint(engine: &wasmtime::Engine) -> u64 {
    let mut fingerprint = Fingerprint::default();
    engine.precompile_compatibility_hash().hash(&mut fingerprint);
    fingerprint.finish()
}
