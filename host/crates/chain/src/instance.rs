//! One running plugin: a store of its own, with limits, and a deadline for every call.

use std::time::Duration;

use wasmtime::component::Component;
use wasmtime::{Store, StoreLimitsBuilder};

use crate::abi::Plugin as Bindings;
use crate::engine::{Engine, ticks};
use crate::error::Error;
use crate::imports::{Guest, Keys};
use crate::plugin::Limits;

/// Memories, tables and instances of one component: a component of a language runtime has a few.
const INSTANCES_MAX: usize = 32;
/// Entries of one table: functions whose address is taken.
const TABLE_ELEMENTS_MAX: usize = 100_000;

pub(crate) struct Instance {
    store: Store<Guest>,
    bindings: Bindings,
    limits: Limits,
}

impl Instance {
    pub(crate) fn new(
        engine: &Engine,
        component: &Component,
        plugin: &str,
        keys: Keys,
        limits: Limits,
    ) -> Result<Self, Error> {
        let store_limits = StoreLimitsBuilder::new()
            .memory_size(limits.memory_bytes)
            .table_elements(TABLE_ELEMENTS_MAX)
            .instances(INSTANCES_MAX)
            .memories(INSTANCES_MAX)
            .tables(INSTANCES_MAX)
            .build();
        let guest = Guest::new(plugin.to_owned(), keys, store_limits);
        let mut store = Store::new(&engine.engine, guest);
        store.limiter(|guest| &mut guest.limits);
        // Instantiation runs guest code too (start functions).
        store.set_epoch_deadline(ticks(limits.setup));
        let bindings = Bindings::instantiate(&mut store, component, &engine.linker)
            .map_err(|cause| Error::OtherWorld { plugin: plugin.to_owned(), cause })?;
        Ok(Self { store, bindings, limits })
    }

    /// Calls a function of the guest within `limit`. After an error the instance must not be used again.
    fn call<T>(
        &mut self,
        function: &'static str,
        limit: Duration,
        call: impl FnOnce(&Bindings, &mut Store<Guest>) -> wasmtime::Result<T>,
    ) -> Result<T, Error> {
        self.store.data_mut().begin_call();
        self.store.set_epoch_deadline(ticks(limit));
        call(&self.bindings, &mut self.store).map_err(|cause| Error::Call {
            plugin: self.store.data().plugin.clone(),
            function,
            cause,
        })
    }

    /// A call while the plugin is set up, which may take its time.
    pub(crate) fn set_up<T>(
        &mut self,
        function: &'static str,
        call: impl FnOnce(&Bindings, &mut Store<Guest>) -> wasmtime::Result<T>,
    ) -> Result<T, Error> {
        self.call(function, self.limits.setup, call)
    }

    /// A call for a batch.
    pub(crate) fn work<T>(
        &mut self,
        function: &'static str,
        call: impl FnOnce(&Bindings, &mut Store<Guest>) -> wasmtime::Result<T>,
    ) -> Result<T, Error> {
        self.call(function, self.limits.batch, call)
    }
}
