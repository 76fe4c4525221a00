//! One running plugin: a store of its own, with limits, and a deadline for every call.

use std::sync::Arc;
use std::time::Duration;

use audit_lookup::Set;
use wasmtime::Store;

use crate::limits::Limits;
use crate::wasm::abi::{Plugin as Bindings, PluginPre};
use crate::wasm::engine::ticks;
use crate::wasm::failure::Failure;
use crate::wasm::host::state::{Grants, Guest};

/// Handles that a guest may hold. Ours are plain numbers, so few are needed.
const HANDLES_MAX: usize = 1024;

pub(crate) struct Instance {
    store: Store<Guest>,
    bindings: Bindings,
    limits: Limits,
}

impl Instance {
    /// Instantiation runs guest code too (start functions), so it has a deadline.
    pub(crate) fn new(
        pre: &PluginPre<Guest>,
        plugin: &str,
        grants: Grants,
        limits: Limits,
    ) -> Result<Self, Failure> {
        let guest = Guest::new(plugin.to_owned(), grants, limits);
        let mut store = Store::new(pre.engine(), guest);
        store.limiter(|guest| &mut guest.meter);
        store.set_hostcall_fuel(limits.output_bytes);
        store.set_max_component_handles(HANDLES_MAX);
        store.set_epoch_deadline(ticks(limits.setup_time));
        match pre.instantiate(&mut store) {
            Ok(bindings) => Ok(Self { store, bindings, limits }),
            Err(error) => {
                let guest = store.data();
                Err(Failure::of_call("instantiate", limits.setup_time, &error, guest))
            }
        }
    }

    /// Sets the batch that the next calls are about: its clock is all that the guest learns of time.
    pub(crate) fn set_batch(&mut self, topic: &str, clock: i64, lookups: &Arc<Set>) {
        self.store.data_mut().begin_batch(topic, clock, lookups);
    }

    /// Calls a function of the guest within `limit`. After an error the instance must not be used again.
    pub(crate) fn call<T>(
        &mut self,
        function: &'static str,
        limit: Duration,
        call: impl FnOnce(&Bindings, &mut Store<Guest>) -> wasmtime::Result<T>,
    ) -> Result<T, Failure> {
        self.store.data_mut().begin_call(limit);
        self.store.set_epoch_deadline(ticks(limit));
        call(&self.bindings, &mut self.store)
            .map_err(|error| Failure::of_call(function, limit, &error, self.store.data()))
    }

    /// A call while the plugin is set up, which may take its time.
    pub(crate) fn set_up<T>(
        &mut self,
        function: &'static str,
        call: impl FnOnce(&Bindings, &mut Store<Guest>) -> wasmtime::Result<T>,
    ) -> Result<T, Failure> {
        self.call(function, self.limits.setup_time, call)
    }

    /// The highest use of linear memory so far.
    pub(crate) fn peak_bytes(&self) -> usize {
        self.store.data().meter.peak_bytes
    }
}
