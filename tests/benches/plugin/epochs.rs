//! What deadlines cost: the same component by two engines of this benchmark, of which one interrupts.
//!
//! The calls are bare: no checks of the answer, no chain. So the difference is what the compiled code
//! pays for looking at the epoch.

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use audit_core::Batch;
use audit_plugin_sdk::abi::audit_host::plugin::types as given;
use serde_json::json;
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Engine, Store};

use crate::chains::{self, BATCH_ROWS, Bench, failed, per, ratio};
use crate::table::{Table, rounded};
use crate::{events, native};

mod bindings {
    #![allow(warnings, clippy::pedantic, reason = "generated code")]

    wasmtime::component::bindgen!({
        path: "../wit",
        world: "plugin",
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}

use bindings::audit_host::plugin::types;

/// An instance of a component, configured.
struct Bare {
    store: Store<()>,
    plugin: bindings::Plugin,
    reads: Vec<String>,
}

pub(crate) fn tables(bench: &Bench) -> Result<Vec<Table>> {
    let title = format!("Deadlines (epoch interruption), bare calls; {}", bench.about());
    let columns = ["plugin", "without, ns/row", "with, ns/row", "ratio"];
    let mut table = Table::new(title, &columns);
    let (without, with) = (engine(false)?, engine(true)?);
    let batches = events::batches(bench.n_rows, BATCH_ROWS)?;
    let components = [
        ("copy_column", chains::guest("copy_column")?),
        ("detect_failed_logins", chains::plugin("detect_failed_logins")?),
        ("redact_pii", chains::plugin("redact_pii")?),
    ];
    for (name, component) in components {
        let compiled = |engine| Component::new(engine, &component).map_err(|error| failed(&error));
        let (without, with) = (compiled(&without)?, compiled(&with)?);
        let (mut off, mut on) = (Vec::new(), Vec::new());
        for _ in 0..bench.n_runs {
            off.push(Bare::new(&without)?.judge_all(&batches)?);
            on.push(Bare::new(&with)?.judge_all(&batches)?);
        }
        table.push([
            json!(name),
            rounded(per(&off, bench.n_rows), 1),
            rounded(per(&on, bench.n_rows), 1),
            rounded(ratio(&on, &off), 3),
        ]);
    }
    Ok(vec![table])
}

fn engine(interrupts: bool) -> Result<Engine> {
    let mut config = Config::new();
    config.wasm_component_model(true).epoch_interruption(interrupts);
    Engine::new(&config).map_err(|error| failed(&error))
}

impl Bare {
    fn new(component: &Component) -> Result<Self> {
        let engine = component.engine();
        let mut linker = Linker::<()>::new(engine);
        // Generated events make no plugin log, and none is given a key.
        linker.define_unknown_imports_as_traps(component).map_err(|error| failed(&error))?;
        let mut store = Store::new(engine, ());
        // Nobody ticks: the code looks and goes on.
        store.set_epoch_deadline(1);
        let plugin = bindings::Plugin::instantiate(&mut store, component, &linker)
            .map_err(|error| failed(&error))?;
        let binding = plugin.audit_host_plugin_lifecycle().call_configure(&mut store, "{}");
        let binding = binding.map_err(|error| failed(&error))?;
        let reads = binding.map_err(|refused| anyhow::anyhow!("{}", refused.message))?.reads;
        Ok(Self { store, plugin, reads })
    }

    fn judge_all(&mut self, batches: &[Batch]) -> Result<Duration> {
        let mut total = Duration::ZERO;
        for batch in batches {
            let given = native::columns(batch, &self.reads)?;
            let params: Vec<_> = given.columns.iter().map(param).collect();
            let batch = types::Batch { rows: given.rows, columns: &params };
            let context = types::Context { topic: events::TOPIC, clock: 0 };
            let started = Instant::now();
            let judge = self.plugin.audit_host_plugin_judge();
            let judged = black_box(judge.call_process(&mut self.store, context, batch));
            total += started.elapsed();
            ensure!(judged.map_err(|error| failed(&error))?.is_ok(), "a batch was not judged");
        }
        Ok(total)
    }
}

fn param(column: &given::Column) -> types::ColumnParam<'_> {
    let values = match &column.values {
        given::ColumnValues::Utf8(text) => types::ColumnValuesParam::Utf8(types::Utf8ValuesParam {
            offsets: &text.offsets,
            values: &text.values,
        }),
        given::ColumnValues::Int32(values) => types::ColumnValuesParam::Int32(values),
        given::ColumnValues::Int64(values) => types::ColumnValuesParam::Int64(values),
        given::ColumnValues::Float64(values) => types::ColumnValuesParam::Float64(values),
        given::ColumnValues::Boolean(values) => types::ColumnValuesParam::Boolean(values),
        given::ColumnValues::TimestampUs(values) => types::ColumnValuesParam::TimestampUs(values),
    };
    types::ColumnParam { name: &column.name, validity: column.validity.as_deref(), values }
}
