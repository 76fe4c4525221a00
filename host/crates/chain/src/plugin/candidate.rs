//! A loaded plugin: described, configured, ready to take its place in a chain.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use audit_core::{PluginId, PluginState};

use crate::error::Error;
use crate::limits::Limits;
use crate::plugin::spec::{Binding, Blueprint, Output, PluginKind, PluginSource, configure};
use crate::runner::Runner;
use crate::runner::replay::{Lane, ReplayLog};
use crate::text::{self, NAME_BYTES_MAX};
use crate::wasm::abi::lifecycle;
use crate::wasm::component::Interfaces;
use crate::wasm::engine::Engine;
use crate::wasm::failure::Failure;
use crate::wasm::instance::Instance;

/// Bytes of the schema of a configuration: it is kept for as long as the plugin runs.
const SCHEMA_BYTES_MAX: usize = 256 << 10;
/// Columns that a detector may count by: an alert has no room for more.
const KEY_COLUMNS_MAX: usize = 16;
/// Columns that a plugin may read and write.
const COLUMNS_MAX: usize = 512;

/// A plugin that was loaded and configured, with its first instance.
pub struct Plugin {
    pub(crate) blueprint: Arc<Blueprint>,
    pub(crate) runner: Runner,
    /// Instances that have caught up with those of a running version.
    pub(crate) lanes: BTreeMap<Lane, Runner>,
}

impl Plugin {
    /// Compiles, instantiates, describes and configures.
    pub fn load(engine: &Engine, source: PluginSource) -> Result<Self, Error> {
        let sha256 = source.sha256();
        let Limits { memory_bytes, instances, .. } = source.limits;
        let compiled =
            engine.compile(&source.name, &source.component, &sha256, memory_bytes, instances)?;
        let called = |function| {
            let plugin = source.name.clone();
            move |failure: Failure| Error::Call {
                plugin,
                function,
                problem: failure.with_message(),
            }
        };
        let grants = source.grants();
        let mut instance = Instance::new(&compiled, &source.name, grants, source.limits, None)
            .map_err(called("instantiate"))?;
        let description = instance
            .describe("describe", |bindings, store| {
                bindings.audit_host_plugin_lifecycle().call_describe(store)
            })
            .map_err(called("describe"))?;
        check_description(&source.name, &description)?;
        let binding = configure(&mut instance, &source.config)
            .map_err(called("configure"))?
            .map_err(|refused| Error::Config {
                plugin: source.name.clone(),
                key: text::message(&refused.key),
                message: text::message(&refused.message),
            })?;
        check_binding(&source.name, &binding)?;
        let blueprint = Blueprint::new(source, sha256, description, binding, compiled)?;
        let blueprint = Arc::new(blueprint);
        let runner = Runner::new(Arc::clone(&blueprint), instance);
        Ok(Self { blueprint, runner, lanes: BTreeMap::new() })
    }

    /// The same plugin before it has judged anything; its instance starts when it is needed.
    #[must_use]
    pub fn fresh(&self) -> Self {
        Self::scratch(Arc::clone(&self.blueprint))
    }

    /// A plugin with an instance of its own, which is started when it is needed.
    pub(crate) fn scratch(blueprint: Arc<Blueprint>) -> Self {
        let runner = Runner::idle(Arc::clone(&blueprint));
        Self { blueprint, runner, lanes: BTreeMap::new() }
    }

    /// Name, version and digests of the plugin.
    pub fn id(&self) -> &PluginId {
        &self.blueprint.id
    }

    pub fn kind(&self) -> PluginKind {
        self.blueprint.kind
    }

    /// The columns that it reads, in its order.
    pub fn reads(&self) -> &[String] {
        &self.blueprint.reads
    }

    /// The columns that it returns.
    pub fn writes(&self) -> &[Output] {
        &self.blueprint.writes
    }

    /// What it reads and writes, as a grant names it.
    pub fn binding(&self) -> Binding {
        self.blueprint.binding()
    }

    /// The columns that a detector counts by.
    pub fn key_columns(&self) -> &[String] {
        &self.blueprint.key_columns
    }

    /// The version of the format of its state, 0 without state.
    pub fn state_version(&self) -> u32 {
        self.blueprint.state_version
    }

    /// JSON Schema of its configuration, as it declares.
    pub fn config_schema(&self) -> &str {
        &self.blueprint.config_schema
    }

    /// What the component imports and exports.
    pub fn interfaces(&self) -> &Interfaces {
        self.blueprint.interfaces()
    }

    /// The highest use of linear memory of the instance so far, in bytes.
    pub fn peak_bytes(&self) -> usize {
        self.runner.peak_bytes()
    }

    /// Restores the state of an earlier run.
    pub fn restore(&mut self, state: &PluginState) -> Result<(), Error> {
        self.runner.restore(state.state_version, &state.bytes)
    }

    /// Replays what the instances of a running version have judged.
    pub(crate) fn catch_up_with(
        &mut self,
        logs: &[(Lane, ReplayLog)],
        until: Option<Instant>,
    ) -> Result<(), Error> {
        if !logs.iter().all(|(_, log)| log.has_columns(&self.blueprint.reads)) {
            // The swap moves the state as a snapshot.
            return Ok(());
        }
        for (lane, log) in logs {
            let idle = || Runner::idle(Arc::clone(&self.blueprint));
            self.lanes.entry(lane.clone()).or_insert_with(idle).catch_up_with(log, until)?;
        }
        Ok(())
    }
}

fn check_description(plugin: &str, description: &lifecycle::Description) -> Result<(), Error> {
    let refuse = |problem: String| Err(Error::Description { plugin: plugin.to_owned(), problem });
    let name = &description.name;
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.chars().all(is_plain) {
        let name = text::name(name);
        return refuse(format!(
            "the name {name:?} must be 1 to {NAME_BYTES_MAX} lower-case letters, digits or _"
        ));
    }
    let version = &description.version;
    let is_plain = |c: char| c.is_ascii_graphic();
    if version.is_empty() || version.len() > NAME_BYTES_MAX || !version.chars().all(is_plain) {
        return refuse(format!(
            "the version must be 1 to {NAME_BYTES_MAX} visible ASCII characters"
        ));
    }
    let is_transform = matches!(description.kind, lifecycle::Kind::Transform);
    if description.config_schema.len() > SCHEMA_BYTES_MAX {
        let n_bytes = description.config_schema.len();
        return refuse(format!(
            "the schema of its configuration has {n_bytes} bytes, more than {SCHEMA_BYTES_MAX}"
        ));
    }
    let keys = &description.key_columns;
    if keys.len() > KEY_COLUMNS_MAX {
        return refuse(format!("{} key columns, more than {KEY_COLUMNS_MAX}", keys.len()));
    }
    if let Some(key) = keys.iter().find(|key| key.len() > NAME_BYTES_MAX) {
        return refuse(format!("a key column whose name has {} bytes", key.len()));
    }
    if is_transform && (description.state_version != 0 || !description.key_columns.is_empty()) {
        return refuse("a transform has neither state nor key columns".to_owned());
    }
    Ok(())
}

/// `plan` checks the names themselves against the existing columns.
fn check_binding(plugin: &str, binding: &lifecycle::Binding) -> Result<(), Error> {
    let refuse = |problem: String| Err(Error::Description { plugin: plugin.to_owned(), problem });
    let writes = binding.writes.iter().map(|column| &column.name);
    let n_columns = binding.reads.len() + binding.writes.len();
    if n_columns > COLUMNS_MAX {
        return refuse(format!("{n_columns} columns read and written, more than {COLUMNS_MAX}"));
    }
    match binding.reads.iter().chain(writes).find(|name| name.len() > NAME_BYTES_MAX) {
        None => Ok(()),
        Some(name) => refuse(format!("a column whose name has {} bytes", name.len())),
    }
}
