//! What is known of a plugin: how the user named it, what it declared, and what it takes to start it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use arrow::datatypes::DataType;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use audit_core::{KeyMark, PluginId};
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::limits::{Limits, OnError, Scope};
use crate::wasm::abi::{self, lifecycle};
use crate::wasm::component::Interfaces;
use crate::wasm::engine::Compiled;
use crate::wasm::failure::{Failure, FailureKind};
use crate::wasm::host::state::{Granted, Grants};
use crate::wasm::instance::Instance;
use crate::wasm::keys::Keys;
use crate::wasm::vocabulary::Vocabulary;

/// A plugin as the user named it.
#[derive(Debug, Clone)]
pub struct PluginSource {
    /// The file or `builtin:NAME`, for errors and logs.
    pub name: String,
    /// The same in the table: the absolute path of the file, or `builtin:NAME`.
    pub origin: String,
    pub component: Arc<[u8]>,
    /// JSON text that is an object.
    pub config: String,
    pub keys: Keys,
    pub lookups: Granted,
    pub limits: Limits,
    pub on_error: OnError,
    pub scope: Scope,
    /// The columns by which the topic is keyed, as the user declares; for [`Scope::Partition`]. Not verified.
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

    pub(crate) fn grants(&self) -> Grants {
        Grants { keys: self.keys.clone(), lookups: self.lookups.clone(), ..Grants::default() }
    }

    /// Marks by which the secrets of its keys are recognized later.
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

/// What a plugin reads and writes under its configuration, as a grant names it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Binding {
    pub reads: BTreeSet<String>,
    pub writes: BTreeSet<String>,
}

/// The description of a loaded plugin, and what it takes to start further instances.
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
    pub(crate) config_schema: String,
    pub(crate) grants: Grants,
    /// What its texts may say whatever the events hold.
    pub(crate) vocabulary: Arc<Vocabulary>,
    compiled: Compiled,
}

impl Blueprint {
    pub(crate) fn new(
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
        let (grants, words) = (source.grants(), Vocabulary::of(&source.component, &source.config));
        let vocabulary = Arc::new(words);
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
            grants,
            vocabulary,
            source: source.name,
            origin: source.origin,
            compiled,
        };
        blueprint.check_scope(&source.keyed_by)?;
        Ok(blueprint)
    }

    /// One state for each partition is correct only if a key never changes its partition.
    fn check_scope(&self, keyed_by: &[String]) -> Result<(), Error> {
        if self.scope == Scope::Merged {
            return Ok(());
        }
        let refuse = |problem| Err(Error::Misfit { plugin: self.source.clone(), problem });
        if self.kind == PluginKind::Transform {
            return refuse(
                "scope = \"partition\" is for detectors; a transform has no state".to_owned(),
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

    /// A new instance with the same configuration. Where it takes time of the stream, it has until then only.
    pub(crate) fn start(&self, until: Option<Instant>) -> Result<Instance, Failure> {
        if until.is_some_and(|until| Instant::now() >= until) {
            let text = "the time of the search was over before it was started again";
            return Err(Failure::new(FailureKind::Deadline, text));
        }
        let grants = self.grants.clone();
        let mut instance = Instance::new(&self.compiled, &self.source, grants, self.limits, until)?;
        let binding = configure(&mut instance, &self.config)?;
        let is_same = binding.is_ok_and(|binding| {
            let writes: Vec<_> = binding.writes.into_iter().map(output).collect();
            binding.reads == self.reads && writes == self.writes
        });
        if is_same {
            return Ok(instance);
        }
        let text = "configure returned something else than at the first start";
        Err(Failure::new(FailureKind::Output, text))
    }

    /// The columns that the plugin reads, of a batch at its position.
    pub(crate) fn project(&self, columns: &RecordBatch) -> Result<RecordBatch, Error> {
        let schema = columns.schema();
        let indexes: Result<Vec<_>, _> =
            self.reads.iter().map(|name| schema.index_of(name)).collect();
        if self.reads.is_empty() {
            let rows = RecordBatchOptions::new().with_row_count(Some(columns.num_rows()));
            let none = Arc::new(arrow::datatypes::Schema::empty());
            return Ok(RecordBatch::try_new_with_options(none, Vec::new(), &rows)?);
        }
        Ok(columns.project(&indexes?)?)
    }

    /// Fails if a lost state must end the run.
    pub(crate) fn check_loss(&self, lost: &[String]) -> Result<(), Error> {
        if self.on_error != OnError::Halt || lost.is_empty() {
            return Ok(());
        }
        Err(Error::Lost { plugin: self.source.clone(), problem: lost.join("; ") })
    }

    pub(crate) fn binding(&self) -> Binding {
        Binding {
            reads: self.reads.iter().cloned().collect(),
            writes: self.writes.iter().map(|output| output.name.clone()).collect(),
        }
    }

    /// What the component imports and exports.
    pub(crate) fn interfaces(&self) -> &Interfaces {
        &self.compiled.interfaces
    }

    pub(crate) fn is_detector(&self) -> bool {
        self.kind == PluginKind::Detector
    }

    pub(crate) fn has_state(&self) -> bool {
        self.state_version != 0
    }
}

pub(crate) fn configure(
    instance: &mut Instance,
    config: &str,
) -> Result<Result<lifecycle::Binding, lifecycle::ConfigError>, Failure> {
    instance.describe("configure", |bindings, store| {
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
