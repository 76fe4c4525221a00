//! A loaded plugin: described, configured, ready to judge.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::DataType;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use audit_core::{KeyMark, PluginId, PluginState};
use sha2::{Digest, Sha256};

use crate::abi::audit_host::plugin::types;
use crate::abi::{self, lifecycle};
use crate::answer::{MESSAGE_BYTES_MAX, clipped};
use crate::component::Interfaces;
use crate::engine::{Compiled, Engine};
use crate::error::Error;
use crate::failure::{Failure, FailureKind};
use crate::imports::{Granted, Grants};
use crate::instance::Instance;
use crate::keys::Keys;
use crate::limits::{Limits, OnError, Scope};
use crate::memory::Memory;
use crate::runner::Runner;
use crate::slot::Lane;

/// Bytes of a plugin's name and version.
const NAME_BYTES_MAX: usize = 64;
/// Columns that a plugin may read and write.
const COLUMNS_MAX: usize = 512;

/// A plugin as the user named it.
#[derive(Debug, Clone)]
pub struct PluginSource {
    /// The file or `builtin:NAME`, for errors and logs.
    pub name: String,
    /// The same for the table: the absolute path of the file, or `builtin:NAME`.
    pub origin: String,
    pub component: Arc<[u8]>,
    /// JSON text that is an object.
    pub config: String,
    pub keys: Keys,
    pub lookups: Granted,
    pub limits: Limits,
    pub on_error: OnError,
    pub scope: Scope,
    /// The columns by which the topic is keyed, as the user states it; for [`Scope::Partition`].
    pub keyed_by: Vec<String>,
}

impl PluginSource {
    /// A plugin with an empty configuration and the default limits.
    pub fn new(name: impl Into<String>, component: impl Into<Arc<[u8]>>) -> Self {
        let name = name.into();
        Self {
            origin: name.clone(),
            name,
            component: component.into(),
            config: "{}".to_owned(),
            keys: Keys::new(),
            lookups: Granted::default(),
            limits: Limits::default(),
            on_error: OnError::default(),
            scope: Scope::default(),
            keyed_by: Vec::new(),
        }
    }

    fn grants(&self) -> Grants {
        Grants { keys: self.keys.clone(), lookups: self.lookups.clone() }
    }

    /// By which the secrets of its keys are known again.
    pub fn marks(&self) -> Vec<KeyMark> {
        self.keys.iter().flat_map(|(name, key)| key.marks(name)).collect()
    }

    /// SHA-256 of the component, in hex.
    pub fn sha256(&self) -> String {
        hex::encode(Sha256::digest(&self.component))
    }
}

/// What a plugin may do to a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PluginKind {
    Transform,
    Detector,
}

/// A column that a transform returns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    pub name: String,
    pub data_type: DataType,
    /// Equal values stay equal.
    pub preserves_equality: bool,
}

/// All that is known of a plugin, and what it takes to start it again.
pub(crate) struct Blueprint {
    /// As the user named it.
    pub(crate) source: String,
    pub(crate) origin: String,
    pub(crate) id: PluginId,
    pub(crate) kind: PluginKind,
    pub(crate) key_columns: Vec<String>,
    pub(crate) reads: Vec<String>,
    pub(crate) writes: Vec<Output>,
    pub(crate) state_version: u32,
    pub(crate) limits: Limits,
    pub(crate) on_error: OnError,
    pub(crate) scope: Scope,
    pub(crate) config: String,
    config_schema: String,
    pub(crate) grants: Grants,
    compiled: Compiled,
}

/// A plugin that was loaded and configured, with its first instance.
pub struct Plugin {
    pub(crate) blueprint: Arc<Blueprint>,
    pub(crate) runner: Runner,
    /// Instances that were brought to where those of a running version are.
    pub(crate) lanes: BTreeMap<Lane, Runner>,
}

impl Plugin {
    /// Compiles, instantiates, describes and configures.
    pub fn load(engine: &Engine, source: PluginSource) -> Result<Self, Error> {
        let sha256 = source.sha256();
        let compiled = engine.compile(&source.name, &source.component, &sha256)?;
        let called = |function| {
            let plugin = source.name.clone();
            move |failure: Failure| Error::Call { plugin, function, problem: failure.with_words() }
        };
        let grants = source.grants();
        let mut instance = Instance::new(&compiled.pre, &source.name, grants, source.limits)
            .map_err(called("instantiate"))?;
        let description = instance
            .set_up("describe", |bindings, store| {
                bindings.audit_host_plugin_lifecycle().call_describe(store)
            })
            .map_err(called("describe"))?;
        check_description(&source.name, &description)?;
        let binding = configure(&mut instance, &source.config)
            .map_err(called("configure"))?
            .map_err(|refused| Error::Config {
                plugin: source.name.clone(),
                key: clipped(&refused.key, MESSAGE_BYTES_MAX),
                message: clipped(&refused.message, MESSAGE_BYTES_MAX),
            })?;
        check_binding(&source.name, &binding)?;
        let blueprint = Blueprint::of(source, sha256, description, binding, compiled)?;
        let blueprint = Arc::new(blueprint);
        let runner = Runner::new(Arc::clone(&blueprint), instance);
        Ok(Self { blueprint, runner, lanes: BTreeMap::new() })
    }

    /// The plugin as it runs.
    pub fn id(&self) -> &PluginId {
        &self.blueprint.id
    }

    pub fn kind(&self) -> PluginKind {
        self.blueprint.kind
    }

    /// The columns that it gets, in its order.
    pub fn reads(&self) -> &[String] {
        &self.blueprint.reads
    }

    /// The columns that it returns.
    pub fn writes(&self) -> &[Output] {
        &self.blueprint.writes
    }

    /// The columns that a detector counts by.
    pub fn key_columns(&self) -> &[String] {
        &self.blueprint.key_columns
    }

    /// The version of the format of its state, 0 without state.
    pub fn state_version(&self) -> u32 {
        self.blueprint.state_version
    }

    /// JSON Schema of its configuration, as it says.
    pub fn config_schema(&self) -> &str {
        &self.blueprint.config_schema
    }

    /// What the component asks for and offers.
    pub fn interfaces(&self) -> &Interfaces {
        &self.blueprint.compiled.interfaces
    }

    /// The most linear memory that the running instance had so far, in bytes.
    pub fn peak_bytes(&self) -> usize {
        self.runner.peak_bytes()
    }

    /// Takes over what an earlier run remembered.
    pub fn restore(&mut self, state: &PluginState) -> Result<(), Error> {
        self.runner.restore(state.state_version, &state.bytes)
    }

    /// Goes to where the instances of a running version are.
    pub(crate) fn follow(&mut self, lent: &[(Lane, Memory)]) -> Result<(), Error> {
        if !lent.iter().all(|(_, memory)| memory.is_read_by(&self.blueprint.reads)) {
            // The exchange moves the state as a snapshot.
            return Ok(());
        }
        for (lane, memory) in lent {
            let idle = || Runner::idle(Arc::clone(&self.blueprint));
            self.lanes.entry(lane.clone()).or_insert_with(idle).follow(memory, None)?;
        }
        Ok(())
    }
}

impl Blueprint {
    fn of(
        source: PluginSource,
        sha256: String,
        description: lifecycle::Description,
        binding: lifecycle::Binding,
        compiled: Compiled,
    ) -> Result<Self, Error> {
        let kind = match description.kind {
            lifecycle::Kind::Transform => PluginKind::Transform,
            lifecycle::Kind::Detector => PluginKind::Detector,
        };
        let id = PluginId {
            name: description.name,
            version: description.version,
            sha256,
            config_sha256: hex::encode(Sha256::digest(&source.config)),
        };
        let blueprint = Self {
            id,
            kind,
            key_columns: description.key_columns,
            reads: binding.reads,
            writes: binding.writes.into_iter().map(output).collect(),
            state_version: description.state_version,
            limits: source.limits,
            on_error: source.on_error,
            scope: source.scope,
            config: source.config,
            config_schema: description.config_schema,
            grants: Grants { keys: source.keys, lookups: source.lookups },
            source: source.name,
            origin: source.origin,
            compiled,
        };
        blueprint.check_scope(&source.keyed_by)?;
        Ok(blueprint)
    }

    /// One state for each partition is right only where a key never changes its partition.
    fn check_scope(&self, keyed_by: &[String]) -> Result<(), Error> {
        if self.scope == Scope::Merged {
            return Ok(());
        }
        let refuse = |problem| Err(Error::Misfit { plugin: self.source.clone(), problem });
        if self.kind == PluginKind::Transform {
            return refuse(
                "scope = \"partition\" is for detectors; a transform has no state".into(),
            );
        }
        let keys = &self.key_columns;
        if keyed_by.is_empty() || !keyed_by.iter().all(|column| keys.contains(column)) {
            return refuse(format!(
                "scope = \"partition\" needs keyed-by, the columns by which the topic is keyed; they \
                 must be among those that the detector counts by: {}",
                keys.join(", ")
            ));
        }
        Ok(())
    }

    /// A new instance with the same configuration.
    pub(crate) fn start(&self) -> Result<Instance, Failure> {
        let grants = self.grants.clone();
        let mut instance = Instance::new(&self.compiled.pre, &self.source, grants, self.limits)?;
        let binding = configure(&mut instance, &self.config)?;
        let is_same = binding.is_ok_and(|binding| {
            let writes: Vec<_> = binding.writes.into_iter().map(output).collect();
            binding.reads == self.reads && writes == self.writes
        });
        if is_same {
            return Ok(instance);
        }
        let text = "configure did not answer as it did at the first start";
        Err(Failure::new(FailureKind::Answer, text))
    }

    /// The columns that the plugin gets, of a batch as it stands at its place.
    pub(crate) fn project(&self, columns: &RecordBatch) -> Result<RecordBatch, Error> {
        let schema = columns.schema();
        let places: Result<Vec<_>, _> =
            self.reads.iter().map(|name| schema.index_of(name)).collect();
        if self.reads.is_empty() {
            let rows = RecordBatchOptions::new().with_row_count(Some(columns.num_rows()));
            let none = Arc::new(arrow::datatypes::Schema::empty());
            return Ok(RecordBatch::try_new_with_options(none, Vec::new(), &rows)?);
        }
        Ok(columns.project(&places?)?)
    }

    /// An error where a lost state ends the run.
    pub(crate) fn check_loss(&self, lost: &[String]) -> Result<(), Error> {
        if self.on_error != OnError::Halt || lost.is_empty() {
            return Ok(());
        }
        Err(Error::Lost { plugin: self.source.clone(), problem: lost.join("; ") })
    }

    pub(crate) fn is_detector(&self) -> bool {
        self.kind == PluginKind::Detector
    }

    pub(crate) fn has_state(&self) -> bool {
        self.state_version != 0
    }
}

fn configure(
    instance: &mut Instance,
    config: &str,
) -> Result<Result<lifecycle::Binding, lifecycle::ConfigError>, Failure> {
    instance.set_up("configure", |bindings, store| {
        bindings.audit_host_plugin_lifecycle().call_configure(store, config)
    })
}

fn output(column: lifecycle::OutputColumn) -> Output {
    Output {
        name: column.name,
        data_type: abi::arrow_type(column.type_),
        preserves_equality: column.preserves_equality,
    }
}

fn check_description(plugin: &str, description: &lifecycle::Description) -> Result<(), Error> {
    let refuse = |problem: String| Err(Error::Description { plugin: plugin.to_owned(), problem });
    let name = &description.name;
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.chars().all(is_plain) {
        let name = clipped(name, NAME_BYTES_MAX);
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
    if is_transform && (description.state_version != 0 || !description.key_columns.is_empty()) {
        return refuse("a transform has neither state nor key columns".to_owned());
    }
    Ok(())
}

/// The names themselves are checked against the columns that there are, by `plan`.
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

/// Names of plugins that were given more than once.
pub(crate) fn check_names(plugins: &[&Blueprint]) -> Result<(), Error> {
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    for plugin in plugins {
        if let Some(first) = seen.insert(&plugin.id.name, &plugin.source) {
            return Err(Error::Misfit {
                plugin: plugin.source.clone(),
                problem: format!("{first} is the plugin {:?} already", plugin.id.name),
            });
        }
    }
    Ok(())
}

/// What a guest's fault says of itself.
pub(crate) fn fault(fault: types::Fault) -> Failure {
    let (kind, what, text) = match fault {
        types::Fault::Transient(text) => (FailureKind::Transient, "a transient fault", text),
        types::Fault::BadInput(text) => (FailureKind::Fault, "bad input", text),
        types::Fault::Other(text) => (FailureKind::Fault, "a fault", text),
    };
    Failure::told(kind, what, &text)
}
