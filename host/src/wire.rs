//! Builds every stage, in the order of the flow.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::Result;
use audit_alert::AlertLines;
use audit_chain::{Engine, Plugin, PluginChain};
use audit_core::pipeline::Stages;
use audit_core::{Budget, Counters, KeyMark};
use audit_decode::JsonDecoder;
use audit_lookup::Lookups;
use audit_sink::{AuditTable, Payloads, Store, TableSettings, Vault, WriterSettings};
use audit_source::{KafkaSource, Start};
use tokio::runtime::Handle;

use crate::cli::{OnGap, StartAt};
use crate::config::{self, PluginEntry, Settings, Wanted};
use crate::golden;
use crate::plugins::{self, Reloader};

/// The stages of a run, and what is worth saying about them.
pub(crate) struct Wired {
    pub(crate) stages: Stages,
    pub(crate) budget: Budget,
    pub(crate) n_partitions: usize,
    pub(crate) plugins: Vec<String>,
    pub(crate) reloader: Reloader,
    pub(crate) location: String,
}

/// Opens everything that a run needs. What is quick to find wrong comes first: plugins, then the
/// table, then the broker.
pub(crate) async fn wire(settings: &Settings, counters: &Arc<Counters>) -> Result<Wired> {
    let lookups = plugins::load_lookups(&settings.wanted.lookups)?;
    let Loaded { engine, mut chain, components, marks, active } =
        load_chain(settings, &lookups, counters)?;
    let alerts =
        AlertLines::open(settings.alerts.clone()).await.map_err(audit_core::Error::from)?;
    let vault = match &settings.key_file {
        Some(path) => Some(Arc::new(Vault::open(path).map_err(audit_core::Error::from)?)),
        None => None,
    };
    let mut table =
        open_table(settings, &chain, vault.clone()).await.map_err(audit_core::Error::from)?;
    for (sha256, component) in &components {
        let kept = table.components().put(sha256, component).await;
        kept.map_err(audit_core::Error::from)?;
    }
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
    let claimed = table.claim(&source.starts(), source.topic_ids(), &marks).await;
    claimed.map_err(audit_core::Error::from)?;
    chain.starts_at(&source.starts());
    if let Some(earlier) = table.plugins() {
        chain.note_earlier(earlier);
    }
    let reloader = Reloader {
        engine,
        control: chain.control(),
        places: settings.places.clone(),
        components: table.components(),
        runtime: Handle::current(),
        shadow_report: settings.shadow_report.clone(),
        active,
        wanted: settings.wanted.clone(),
        lookups,
        keys: table.keys(),
        configured: configured(&settings.wanted),
        refused: BTreeMap::new(),
        shadows: BTreeMap::new(),
    };
    Ok(Wired {
        reloader,
        plugins: chain.plugin_names(),
        budget: Budget { interval: settings.trigger_interval, rows_max: settings.epoch_rows_max },
        n_partitions: source.n_partitions(),
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

/// The plugins as configured, ready; and what is needed to exchange them later.
struct Loaded {
    engine: Engine,
    chain: PluginChain,
    /// Their bytes, to be kept beside the table.
    components: Vec<(String, Arc<[u8]>)>,
    /// Of the secrets that they may use.
    marks: Vec<KeyMark>,
    active: BTreeMap<String, String>,
}

fn load_chain(settings: &Settings, lookups: &Lookups, counters: &Arc<Counters>) -> Result<Loaded> {
    let engine = plugins::engine(settings).map_err(audit_core::Error::from)?;
    let wanted = &settings.wanted;
    let (mut ready, mut components, mut marks) = (Vec::new(), Vec::new(), Vec::new());
    let mut active = BTreeMap::new();
    for entry in &wanted.plugins {
        let source = plugins::source(entry, &wanted.keys, lookups)?;
        active.insert(entry.origin(), plugins::fingerprint(entry, &source));
        let component = Arc::clone(&source.component);
        marks.extend(source.marks());
        let plugin = Plugin::load(&engine, source.clone()).map_err(audit_core::Error::from)?;
        // What a running host would refuse is not taken by a restart either.
        golden::prove(&engine, &source).map_err(|cause| {
            let attempted = format!("running the golden cases of {}", entry.path);
            audit_core::Error::caused_by(audit_core::Kind::Config, "AH-0802", attempted, cause)
        })?;
        components.push((plugin.id().sha256.clone(), component));
        ready.push(plugin);
    }
    for plugin in wanted.shadows.keys() {
        if !ready.iter().any(|known| known.id().name == *plugin) {
            let known: Vec<_> = ready.iter().map(|p| p.id().name.as_str()).collect();
            let problem = format!("is no plugin of the chain; there are: {}", known.join(", "));
            let (key, value) = ("--shadow".to_owned(), plugin.clone());
            return Err(config::Error::Value { key, value, problem }.into());
        }
    }
    let chain = PluginChain::new(ready).map_err(audit_core::Error::from)?;
    let chain = chain.counting(Arc::clone(counters)).looking_up(lookups.clone());
    Ok(Loaded { engine, chain, components, marks, active })
}

/// The plugins of which more than their file is said.
fn configured(wanted: &Wanted) -> BTreeSet<String> {
    let is_configured = |entry: &&PluginEntry| !entry.is_bare();
    wanted.plugins.iter().filter(is_configured).map(PluginEntry::origin).collect()
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
