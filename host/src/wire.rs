//! Builds every stage of a run.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use audit_chain::PluginChain;
use audit_core::pipeline::Stages;
use audit_core::{Budget, Counters, KeyMark};
use audit_decode::JsonDecoder;
use audit_sink::{AuditTable, EpochWriter, Payloads, Vault, WriterSettings};
use audit_source::{KafkaSource, Properties, Start};

use crate::cli::{OnGap, StartAt};
use crate::config::{Settings, read_all, warn_of_open_secrets};
use crate::opened::{alerts, known_pins, table, vault};
use crate::plugins::{self, LoadedPlugins, Reloader};
use crate::refused_start;

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
    warn_of_open_secrets(&settings.kafka_properties, settings.places.config.as_deref());
    let properties = read_all(&settings.kafka_properties)?;
    let lookups = plugins::load_lookups(&settings.wanted.lookups)?;
    let known = Box::pin(known_pins(settings)).await;
    let loaded = plugins::load_chain(settings, &lookups, counters, known.as_ref());
    let loaded = or_recorded(settings, loaded).await?;
    let LoadedPlugins { engine, mut chain, components, marks, active, candidates, proof } = loaded;
    let alerts = alerts(settings).await?;
    let vault = vault(settings)?;
    let mut table = table(settings, chain.added_columns(), vault.clone()).await?;
    let allowed = (&settings.allow_unredacted[..], &settings.allow_lost_settings[..]);
    let given_up =
        plugins::admit_start(&settings.wanted, &candidates, &proof, allowed, &table.pins());
    let given_up = or_recorded(settings, given_up).await?;
    plugins::report_merged(&proof);
    store_components(&table, &components).await?;
    restore(&mut chain, &table, vault.is_some()).await?;
    let writer = writer(settings, &table, vault)?;
    let source = source(settings, properties, &table, counters).await?;
    claim(&mut table, &mut chain, &source, &marks).await?;
    chain.note_unredacted(&given_up.columns);
    chain.note_lost_settings(&given_up.settings);
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

/// The result; a refusal because of what plugins may do is recorded first.
async fn or_recorded<T>(settings: &Settings, result: Result<T>) -> Result<T> {
    if let Err(refusal) = &result {
        // Seldom, and large: on the heap.
        Box::pin(refused_start::record(settings, refusal)).await;
    }
    result
}

async fn source(
    settings: &Settings,
    properties: Properties,
    table: &AuditTable,
    counters: &Arc<Counters>,
) -> Result<KafkaSource> {
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
        alignment_wait: settings.alignment_wait,
        continue_on_gap: settings.on_gap == OnGap::Continue,
        properties,
    };
    let counters = Arc::clone(counters);
    let connected =
        tokio::task::spawn_blocking(move || KafkaSource::connect(kafka, counters)).await?;
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
