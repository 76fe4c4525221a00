//! Builds every stage of a run.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use audit_alert::AlertLines;
use audit_chain::PluginChain;
use audit_core::pipeline::Stages;
use audit_core::{Budget, Counters, KeyMark};
use audit_decode::JsonDecoder;
use audit_sink::{AuditTable, EpochWriter, Payloads, Store, TableSettings, Vault, WriterSettings};
use audit_source::{KafkaSource, Start};

use crate::cli::{OnGap, StartAt};
use crate::config::Settings;
use crate::plugins::{self, LoadedPlugins, Reloader};

/// The stages of a run, and what is worth saying about them.
pub(crate) struct Wired {
    pub(crate) stages: Stages,
    pub(crate) budget: Budget,
    pub(crate) n_partitions: usize,
    pub(crate) plugins: Vec<String>,
    pub(crate) reloader: Reloader,
    pub(crate) location: String,
}

/// Opens everything that a run needs. What is quickly found to be wrong comes first: plugins, then the
/// table, then the broker.
pub(crate) async fn wire(settings: &Settings, counters: &Arc<Counters>) -> Result<Wired> {
    let lookups = plugins::load_lookups(&settings.wanted.lookups)?;
    let LoadedPlugins { engine, mut chain, components, marks, active } =
        plugins::load_chain(settings, &lookups, counters)?;
    let alerts = alerts(settings).await?;
    let vault = vault(settings)?;
    let mut table = table(settings, &chain, vault.clone()).await?;
    store_components(&table, &components).await?;
    restore(&mut chain, &table, vault.is_some()).await?;
    let writer = writer(settings, &table, vault)?;
    let source = source(settings, &table).await?;
    claim(&mut table, &mut chain, &source, &marks).await?;
    let control = chain.control();
    Ok(Wired {
        reloader: Reloader::new(settings, engine, active, lookups, control, &table),
        plugins: chain.plugin_names(),
        budget: Budget { interval: settings.trigger_interval, rows_max: settings.epoch_rows_max },
        n_partitions: source.n_partitions(),
        location: table.location().to_owned(),
        stages: Stages {
            acks: Box::new(source.acknowledger()),
            source: Box::new(source),
            decoder: Box::new(decoder(settings)),
            chain: Box::new(chain),
            writer: Box::new(writer),
            table: Box::new(table),
            alerts: Box::new(alerts),
        },
    })
}

async fn source(settings: &Settings, table: &AuditTable) -> Result<KafkaSource> {
    let kafka = audit_source::Settings {
        brokers: settings.brokers.clone(),
        topics: settings.topics.clone(),
        group: settings.group.clone(),
        start: match settings.start {
            StartAt::Earliest => Start::Earliest,
            StartAt::Latest => Start::Latest,
        },
        resume: table.offsets().clone(),
        leader_epochs: table.leader_epochs().context("opening the table")?,
        topic_ids: table.topic_ids(),
        until_end: settings.until_end,
        continue_on_gap: settings.on_gap == OnGap::Continue,
        properties: settings.kafka_properties.clone(),
    };
    let connected = tokio::task::spawn_blocking(move || KafkaSource::connect(kafka)).await?;
    connected.context("reading from Kafka")
}

fn decoder(settings: &Settings) -> JsonDecoder {
    JsonDecoder::new(audit_decode::Settings {
        max_record_bytes: usize::try_from(settings.max_record_bytes).unwrap_or(usize::MAX),
    })
}

/// Gives the detectors the state of the last epoch.
async fn restore(chain: &mut PluginChain, table: &AuditTable, has_vault: bool) -> Result<()> {
    let states = table.states().await.context("opening the table")?;
    chain.restore(&states).context("loading plugins")?;
    if !has_vault && chain.has_detectors() {
        tracing::warn!(
            "detector state is lost at every restart: it holds personal data, and is only stored sealed; \
             set [dead-letters] key-file"
        );
    }
    Ok(())
}

fn writer(
    settings: &Settings,
    table: &AuditTable,
    vault: Option<Arc<Vault>>,
) -> Result<EpochWriter> {
    let payloads = match vault {
        _ if settings.keep_raw_payloads => Payloads::Raw,
        Some(vault) if settings.keep_payloads => Payloads::Sealed(vault),
        _ => Payloads::DigestOnly,
    };
    let writer = WriterSettings {
        payloads,
        payload_bytes_max: usize::try_from(settings.max_record_bytes).unwrap_or(usize::MAX),
        open_partitions_max: usize::try_from(settings.open_partitions_max).unwrap_or(usize::MAX),
        open_files_bytes_max: usize::try_from(settings.open_files_bytes_max).unwrap_or(usize::MAX),
    };
    table.writer(writer).context("writing to the table")
}

/// What seals payloads and states, if a key was given.
fn vault(settings: &Settings) -> Result<Option<Arc<Vault>>> {
    let Some(path) = &settings.key_file else { return Ok(None) };
    Ok(Some(Arc::new(Vault::open(path).context("opening the table")?)))
}

async fn table(
    settings: &Settings,
    chain: &PluginChain,
    vault: Option<Arc<Vault>>,
) -> Result<AuditTable> {
    let store = Store::open(&settings.catalog).await.context("opening the table")?;
    let table = TableSettings {
        name: settings.table.clone(),
        group: settings.group.clone(),
        topics: settings.topics.clone(),
        instance: settings.instance.clone(),
        lane_lease: settings.lane_lease,
        added_columns: chain.added_columns().to_vec(),
        vault,
        host_version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let table = AuditTable::open(store, table).await.context("opening the table")?;
    Ok(table.with_upkeep(settings.upkeep))
}

/// Stores the bytes of every plugin that runs beside the table.
async fn store_components(table: &AuditTable, components: &[(String, Arc<[u8]>)]) -> Result<()> {
    for (sha256, component) in components {
        let stored = table.components().put(sha256, component).await;
        stored.context("storing the plugins beside the table")?;
    }
    Ok(())
}

/// Records in the table where reading starts, and in the chain from where and after which plugins it goes on.
async fn claim(
    table: &mut AuditTable,
    chain: &mut PluginChain,
    source: &KafkaSource,
    marks: &[KeyMark],
) -> Result<()> {
    let claimed = table.claim(&source.starts(), source.topic_ids(), marks).await;
    claimed.context("opening the table")?;
    chain.starts_at(&source.starts());
    if let Some(earlier) = table.plugins() {
        chain.note_earlier(earlier);
    }
    Ok(())
}

async fn alerts(settings: &Settings) -> Result<AlertLines> {
    AlertLines::open(settings.alerts.clone()).await.context("delivering alerts")
}
