//! A loaded plugin: described, configured, ready to judge.

use std::collections::BTreeMap;
use std::time::Duration;

use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use audit_core::{PluginId, PluginState};
use sha2::{Digest, Sha256};

use crate::abi::audit_host::plugin::types;
use crate::abi::{self, Lowered, lifecycle, state};
use crate::answer::{MESSAGE_BYTES_MAX, clipped};
use crate::engine::Engine;
use crate::error::Error;
use crate::imports::Keys;
use crate::instance::Instance;

/// Bytes of a plugin's name and version.
const NAME_BYTES_MAX: usize = 64;

/// What a plugin may take. All limits hold for one instance.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Time for one batch.
    pub batch: Duration,
    /// Time for instantiation, configuration, snapshot and restore, each.
    pub setup: Duration,
    /// Bytes of linear memory.
    pub memory_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            batch: Duration::from_secs(1),
            setup: Duration::from_secs(10),
            memory_bytes: 64 << 20,
        }
    }
}

/// A plugin as the user named it.
#[derive(Debug, Clone)]
pub struct PluginSource {
    /// The file or `builtin:NAME`, for errors and logs.
    pub name: String,
    pub component: Vec<u8>,
    /// JSON text that is an object.
    pub config: String,
    pub keys: Keys,
    pub limits: Limits,
}

/// What a plugin may do to a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PluginKind {
    Transform,
    Detector,
}

/// A column that a transform returns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) name: String,
    pub(crate) data_type: DataType,
    pub(crate) preserves_equality: bool,
}

/// A plugin that was loaded and configured, with its own store.
pub struct Plugin {
    /// As the user named it.
    pub(crate) source: String,
    pub(crate) id: PluginId,
    pub(crate) kind: PluginKind,
    pub(crate) key_columns: Vec<String>,
    pub(crate) reads: Vec<String>,
    pub(crate) writes: Vec<Output>,
    state_version: u32,
    instance: Instance,
}

impl Plugin {
    /// Compiles, instantiates, describes and configures.
    pub fn load(engine: &Engine, source: PluginSource) -> Result<Self, Error> {
        let PluginSource { name: source_name, component: bytes, config, keys, limits } = source;
        let component = engine.compile(&source_name, &bytes)?;
        let mut instance = Instance::new(engine, &component, &source_name, keys, limits)?;
        let description = instance.set_up("describe", |bindings, store| {
            bindings.audit_host_plugin_lifecycle().call_describe(store)
        })?;
        check_description(&source_name, &description)?;
        let binding = instance
            .set_up("configure", |bindings, store| {
                bindings.audit_host_plugin_lifecycle().call_configure(store, &config)
            })?
            .map_err(|refused| Error::Config {
                plugin: source_name.clone(),
                key: clipped(&refused.key, MESSAGE_BYTES_MAX),
                message: clipped(&refused.message, MESSAGE_BYTES_MAX),
            })?;
        let id = PluginId {
            name: description.name,
            version: description.version,
            sha256: hex::encode(Sha256::digest(&bytes)),
            config_sha256: hex::encode(Sha256::digest(&config)),
        };
        Ok(Self {
            source: source_name,
            id,
            kind: match description.kind {
                lifecycle::Kind::Transform => PluginKind::Transform,
                lifecycle::Kind::Detector => PluginKind::Detector,
            },
            key_columns: description.key_columns,
            reads: binding.reads,
            writes: binding.writes.into_iter().map(output).collect(),
            state_version: description.state_version,
            instance,
        })
    }

    /// The plugin as it runs.
    pub fn id(&self) -> &PluginId {
        &self.id
    }

    /// Lets the guest judge the columns that it declared. What comes back is unchecked.
    pub(crate) fn process(
        &mut self,
        topic: &str,
        clock: i64,
        columns: &RecordBatch,
    ) -> Result<types::Judgement, Error> {
        let lowered = lower(&self.source, &self.reads, columns)?;
        let params: Vec<_> = lowered.iter().map(Lowered::as_param).collect();
        let rows = u32::try_from(columns.num_rows())
            .map_err(|_| self.fault("process", "more rows than a batch can have"))?;
        let batch = types::Batch { rows, columns: &params };
        let context = types::Context { topic, clock };
        let answer = self.instance.work("process", |bindings, store| {
            bindings.audit_host_plugin_judge().call_process(store, context, batch)
        })?;
        answer.map_err(|fault| {
            let (problem, text) = match fault {
                types::Fault::Transient(text) => ("a transient fault", text),
                types::Fault::BadInput(text) => ("bad input", text),
                types::Fault::Other(text) => ("a fault", text),
            };
            // The guest's words may hold values of the batch: they are for its author, not for errors.
            let text = clipped(&text, MESSAGE_BYTES_MAX);
            tracing::debug!(plugin = self.source, text, "what the plugin says of its fault");
            self.fault("process", &format!("{problem}; --log debug shows its words"))
        })
    }

    /// What the detector remembers; `None` for a plugin without state.
    pub(crate) fn snapshot(&mut self) -> Result<Option<PluginState>, Error> {
        if self.state_version == 0 {
            return Ok(None);
        }
        let bytes = self.instance.set_up("snapshot", |bindings, store| {
            bindings.audit_host_plugin_state().call_snapshot(store)
        })?;
        let state_version = self.state_version;
        Ok(Some(PluginState { plugin: self.id.clone(), state_version, bytes }))
    }

    /// Takes over what an earlier run remembered.
    pub fn restore(&mut self, state: &PluginState) -> Result<(), Error> {
        let answer = self.instance.set_up("restore", |bindings, store| {
            bindings.audit_host_plugin_state().call_restore(
                store,
                state.state_version,
                &state.bytes,
            )
        })?;
        answer.map_err(|refused| Error::Restore {
            plugin: self.source.clone(),
            problem: match refused {
                state::RestoreError::UnsupportedVersion => {
                    format!("it does not know version {} of the state", state.state_version)
                }
                state::RestoreError::Corrupt(text) => clipped(&text, MESSAGE_BYTES_MAX),
            },
        })
    }

    pub(crate) fn fault(&self, function: &'static str, problem: &str) -> Error {
        Error::Fault { plugin: self.source.clone(), function, problem: problem.to_owned() }
    }
}

/// The columns that a plugin reads, in its order.
fn lower<'a>(
    plugin: &str,
    reads: &'a [String],
    columns: &'a RecordBatch,
) -> Result<Vec<Lowered<'a>>, Error> {
    let lower_one = |name: &'a String| {
        columns
            .column_by_name(name)
            .and_then(|column| Lowered::of(name, column.as_ref()))
            .ok_or_else(|| Error::Misfit {
                plugin: plugin.to_owned(),
                problem: format!("no column {name:?} of a type that plugins can read"),
            })
    };
    reads.iter().map(lower_one).collect()
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
        return refuse(format!(
            "the name {name:?} must be 1 to {NAME_BYTES_MAX} lower-case letters, digits or _"
        ));
    }
    if description.version.is_empty() || description.version.len() > NAME_BYTES_MAX {
        return refuse("the version is empty or too long".to_owned());
    }
    let is_transform = matches!(description.kind, lifecycle::Kind::Transform);
    if is_transform && (description.state_version != 0 || !description.key_columns.is_empty()) {
        return refuse("a transform has neither state nor key columns".to_owned());
    }
    Ok(())
}

/// Names of plugins that were given more than once.
pub(crate) fn check_names(plugins: &[Plugin]) -> Result<(), Error> {
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
