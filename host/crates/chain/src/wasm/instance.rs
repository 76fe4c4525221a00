//! One running plugin: a store of its own, with limits, and a deadline for every call.

use std::sync::Arc;
use std::time::{Duration, Instant};

use audit_golden::Lines;
use audit_lookup::Set;
use wasmtime::Store;

use crate::limits::Limits;
use crate::wasm::abi::Plugin as Bindings;
use crate::wasm::engine::{Compiled, Ticker, ticks};
use crate::wasm::failure::Failure;
use crate::wasm::host::state::{Grants, Guest};
use crate::wasm::mask::Values;

/// Handles that a guest may hold. Ours are plain numbers, so few are needed.
const HANDLES_MAX: usize = 1024;

/// Bytes that a description or a binding may have: names of columns, and a schema of the configuration.
const DESCRIPTION_BYTES_MAX: usize = 1 << 20;

pub(crate) struct Instance {
    store: Store<Guest>,
    bindings: Bindings,
    limits: Limits,
    /// When setting up must have ended, whatever its own limit is.
    until: Option<Instant>,
    lines: Arc<Lines>,
    /// Deadlines pass for as long as there is an instance.
    _ticker: Arc<Ticker>,
}

impl Instance {
    /// Instantiation runs guest code too (start functions), so it has a deadline.
    pub(crate) fn new(
        compiled: &Compiled,
        plugin: &str,
        grants: Grants,
        limits: Limits,
        until: Option<Instant>,
    ) -> Result<Self, Failure> {
        let mut guest = Guest::new(plugin.to_owned(), grants, limits);
        let time = within(limits.setup_time, until);
        guest.begin_call(time);
        let mut store = Store::new(compiled.pre.engine(), guest);
        store.limiter(|guest| &mut guest.meter);
        store.set_hostcall_fuel(limits.output_bytes);
        store.set_max_component_handles(HANDLES_MAX);
        store.set_epoch_deadline(ticks(time));
        match compiled.pre.instantiate(&mut store) {
            Ok(bindings) => {
                let (lines, ticker) = (Arc::clone(&compiled.lines), Arc::clone(&compiled.ticker));
                Ok(Self { store, bindings, limits, until, lines, _ticker: ticker })
            }
            Err(error) => {
                let guest = store.data();
                Err(Failure::of_call("instantiate", time, &error, guest, &compiled.lines))
            }
        }
    }

    /// Until when the next calls that set it up may take; `None`: each has its own limit only.
    pub(crate) fn set_until(&mut self, until: Option<Instant>) {
        self.until = until;
    }

    /// Sets the batch that the next calls are about: its clock is all that the guest learns of time.
    pub(crate) fn set_batch(&mut self, topic: &str, clock: i64, lookups: &Arc<Set>) {
        self.store.data_mut().begin_batch(topic, clock, lookups);
    }

    /// Sets the values that must not appear in what the guest says in the next calls.
    pub(crate) fn set_values(&mut self, values: Values) {
        self.store.data_mut().values = values;
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
        call(&self.bindings, &mut self.store).map_err(|error| {
            Failure::of_call(function, limit, &error, self.store.data(), &self.lines)
        })
    }

    /// A call while the plugin is set up, which may take its time.
    pub(crate) fn set_up<T>(
        &mut self,
        function: &'static str,
        call: impl FnOnce(&Bindings, &mut Store<Guest>) -> wasmtime::Result<T>,
    ) -> Result<T, Failure> {
        self.call(function, within(self.limits.setup_time, self.until), call)
    }

    /// The same for a call that only describes: it may return little.
    pub(crate) fn describe<T>(
        &mut self,
        function: &'static str,
        call: impl FnOnce(&Bindings, &mut Store<Guest>) -> wasmtime::Result<T>,
    ) -> Result<T, Failure> {
        self.store.set_hostcall_fuel(DESCRIPTION_BYTES_MAX.min(self.limits.output_bytes));
        let described = self.set_up(function, call);
        self.store.set_hostcall_fuel(self.limits.output_bytes);
        described
    }

    /// The highest use of linear memory so far.
    pub(crate) fn peak_bytes(&self) -> usize {
        self.store.data().meter.peak_bytes
    }
}

/// A time limit, or what is left until then.
fn within(limit: Duration, until: Option<Instant>) -> Duration {
    until.map_or(limit, |until| limit.min(until.saturating_duration_since(Instant::now())))
}
