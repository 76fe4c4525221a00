//! Builds every stage, in the order of the flow.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use audit_alert::AlertLines;
use audit_chain::{Engine, Key, Keys, Plugin, PluginChain, PluginSource};
use audit_core::Budget;
use audit_core::pipeline::Stages;
use audit_decode::JsonDecoder;
use audit_sink::{AuditTable, Payloads, Store, TableSettings, Vault, WriterSettings};
use audit_source::{KafkaSource, Start};

use crate::builtin;
use crate::cli::{OnGap, StartAt};
use crate::config::{self, PluginEntry, Settings};

/// A key shorter than this could be guessed.
const KEY_BYTES_MIN: usize = 16;

/// The stages of a run, and what is worth saying about them.
pub(crate) struct Wired {
    pub(crate) stages: Stages,
    pub(crate) budget: Budget,
    pub(crate) n_partitions: usize,
    pub(crate) plugins: Vec<String>,
    pub(crate) location: String,
}

/// Opens everything that a run needs. What is quick to find wrong comes first: plugins, then the
/// table, then the broker.
pub(crate) async fn wire(settings: &Settings) -> Result<Wired> {
    let mut chain = load_chain(settings)?;
    let alerts =
        AlertLines::open(settings.alerts.clone()).await.map_err(audit_core::Error::from)?;
    let vault = match &settings.key_file {
        Some(path) => Some(Arc::new(Vault::open(path).map_err(audit_core::Error::from)?)),
        None => None,
    };
    let mut table =
        open_table(settings, &chain, vault.clone()).await.map_err(audit_core::Error::from)?;
    let states = table.states().await.map_err(audit_core::Error::from)?;
    chain.restore(&states).map_err(audit_core::Error::from)?;
    if vault.is_none() && chain.has_detectors() {
        tracing::warn!(
            "detectors start from nothing at every start: what they remember holds personal data and \
             is only kept sealed; set [dead-letters] key-file"
        );
    }
    let writer = table.writer(writer_settings(settings, vault)).map_err(audit_core::Error::from)?;
    let source = connect(settings, &table).await?;
    let claimed = table.claim(&source.starts(), source.topic_ids()).await;
    claimed.map_err(audit_core::Error::from)?;
    let plugins = chain.plugin_names();
    Ok(Wired {
        budget: Budget { interval: settings.trigger_interval, rows_max: settings.epoch_rows_max },
        n_partitions: source.n_partitions(),
        plugins,
        location: table.location().to_owned(),
        stages: Stages {
            acks: Box::new(source.acknowledger()),
            source: Box::new(source),
            decoder: Box::new(JsonDecoder::new(audit_decode::Settings {
                max_record_bytes: usize::try_from(settings.max_record_bytes).unwrap_or(usize::MAX),
            })),
            chain: Box::new(chain),
            writer: Box::new(writer),
            table: Box::new(table),
            alerts: Box::new(alerts),
        },
    })
}

fn load_chain(settings: &Settings) -> Result<PluginChain> {
    let engine = Engine::new().map_err(audit_core::Error::from)?;
    let mut plugins = Vec::with_capacity(settings.plugins.len());
    for entry in &settings.plugins {
        let source = PluginSource {
            config: entry.config.clone(),
            keys: keys_of(entry, settings)?,
            ..PluginSource::new(&entry.path, component(entry)?)
        };
        plugins.push(Plugin::load(&engine, source).map_err(audit_core::Error::from)?);
    }
    Ok(PluginChain::new(plugins).map_err(audit_core::Error::from)?)
}

fn component(entry: &PluginEntry) -> Result<Vec<u8>, config::Error> {
    if let Some(name) = entry.path.strip_prefix("builtin:") {
        return Ok(builtin::component(name)?.to_vec());
    }
    let path = Path::new(&entry.path);
    std::fs::read(path).map_err(|cause| config::Error::Plugin { path: path.to_owned(), cause })
}

fn keys_of(entry: &PluginEntry, settings: &Settings) -> Result<Keys, config::Error> {
    let mut keys = Keys::new();
    for name in &entry.keys {
        let Some(path) = settings.keys.get(name) else { continue };
        let secret = std::fs::read(path).map_err(|cause| config::Error::KeyFile {
            name: name.clone(),
            path: path.clone(),
            cause,
        })?;
        let secret = secret.trim_ascii();
        if secret.len() < KEY_BYTES_MIN {
            let (name, path, n_bytes) = (name.clone(), path.clone(), secret.len());
            return Err(config::Error::ShortKey { name, path, n_bytes });
        }
        keys.insert(name.clone(), Key::new(secret));
    }
    Ok(keys)
}

async fn open_table(
    settings: &Settings,
    chain: &PluginChain,
    vault: Option<Arc<Vault>>,
) -> Result<AuditTable, audit_sink::Error> {
    let store = Store::open(&settings.catalog).await?;
    let table = TableSettings {
        name: settings.table.clone(),
        group: settings.group.clone(),
        topics: settings.topics.clone(),
        added_columns: chain.added_columns().to_vec(),
        vault,
        host_version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    AuditTable::open(store, table).await
}

fn writer_settings(settings: &Settings, vault: Option<Arc<Vault>>) -> WriterSettings {
    let payloads = match vault {
        _ if settings.keep_raw_payloads => Payloads::Raw,
        Some(vault) if settings.keep_payloads => Payloads::Sealed(vault),
        _ => Payloads::DigestOnly,
    };
    WriterSettings {
        payloads,
        payload_bytes_max: usize::try_from(settings.max_record_bytes).unwrap_or(usize::MAX),
        open_partitions_max: usize::try_from(settings.open_partitions_max).unwrap_or(usize::MAX),
    }
}

async fn connect(settings: &Settings, table: &AuditTable) -> Result<KafkaSource> {
    let kafka = audit_source::Settings {
        brokers: settings.brokers.clone(),
        topics: settings.topics.clone(),
        group: settings.group.clone(),
        start: match settings.start {
            StartAt::Earliest => Start::Earliest,
            StartAt::Latest => Start::Latest,
        },
        resume: table.offsets().clone(),
        topic_ids: table.topic_ids(),
        until_end: settings.until_end,
        continue_on_gap: settings.on_gap == OnGap::Continue,
        properties: settings.kafka_properties.clone(),
    };
    let connected = tokio::task::spawn_blocking(move || KafkaSource::connect(kafka)).await?;
    Ok(connected.map_err(audit_core::Error::from)?)
}
