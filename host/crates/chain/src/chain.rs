//! The plugins in their order.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::Field;
use arrow::record_batch::RecordBatch;
use audit_core::stage::Chain;
use audit_core::{
    Alert, Batch, DeadLetter, Judged, PluginId, PluginState, RawBatch, ReasonClass, Rejected,
};

use crate::answer::{self, Answer};
use crate::error::Error;
use crate::plan;
use crate::plugin::{Plugin, PluginKind};

/// Takes every batch through every plugin. Without plugins rows pass as they are.
pub struct PluginChain {
    plugins: Vec<Plugin>,
    added: Vec<Field>,
}

impl PluginChain {
    /// Checks that the plugins fit together in this order.
    pub fn new(plugins: Vec<Plugin>) -> Result<Self, Error> {
        let added = plan::check(&plugins)?;
        Ok(Self { plugins, added })
    }

    /// Columns that the transforms add to the table.
    pub fn added_columns(&self) -> &[Field] {
        &self.added
    }

    /// Whether any plugin remembers anything between batches.
    pub fn has_detectors(&self) -> bool {
        self.plugins.iter().any(|plugin| plugin.kind == PluginKind::Detector)
    }

    /// The plugins in their order, as `name version`.
    pub fn plugin_names(&self) -> Vec<String> {
        let name = |plugin: &Plugin| format!("{} {}", plugin.id.name, plugin.id.version);
        self.plugins.iter().map(name).collect()
    }

    /// Takes over what the detectors of an earlier run remembered, by plugin name. A state whose plugin
    /// is not here is left alone: the plugin was taken out of the chain.
    pub fn restore(&mut self, states: &[PluginState]) -> Result<(), Error> {
        let by_name: HashMap<_, _> =
            states.iter().map(|state| (state.plugin.name.as_str(), state)).collect();
        for plugin in &mut self.plugins {
            if let Some(state) = by_name.get(plugin.id().name.as_str()) {
                plugin.restore(state)?;
            }
        }
        Ok(())
    }
}

/// A batch between two plugins.
struct Work {
    columns: RecordBatch,
    record_of_row: Vec<u32>,
    dead_letters: Vec<DeadLetter>,
    alerts: Vec<Alert>,
}

impl Work {
    fn take(&mut self, plugin: &Plugin, raw: &RawBatch, answer: Answer) -> Result<(), Error> {
        self.alerts.extend(answer.alerts);
        self.columns = answer::replace_columns(plugin, &self.columns, answer.columns)?;
        if answer.quarantined.is_empty() {
            return Ok(());
        }
        self.columns = answer::without(&self.columns, &answer.quarantined)?;
        let mut row = 0;
        self.record_of_row.retain(|record_idx| {
            let reason = answer.quarantined.get(&row);
            row += 1;
            if let Some(reason) = reason {
                self.dead_letters.extend(DeadLetter::of_record(
                    raw,
                    *record_idx as usize,
                    ReasonClass::Quarantined,
                    reason.clone(),
                    Some(plugin.id.clone()),
                ));
            }
            reason.is_none()
        });
        Ok(())
    }
}

impl Chain for PluginChain {
    fn judge(&mut self, batch: Batch) -> Result<Judged, audit_core::Error> {
        let Batch { raw, columns, record_of_row, rejected } = batch;
        let dead_letters = rejected.into_iter().filter_map(|one| refused(&raw, one)).collect();
        let mut work = Work { columns, record_of_row, dead_letters, alerts: Vec::new() };
        let clock = clock_of(&raw);
        for plugin in &mut self.plugins {
            let n_rows = work.columns.num_rows();
            if n_rows == 0 {
                break;
            }
            let judgement = plugin.process(&raw.topic, clock, &work.columns)?;
            let answer = answer::check(plugin, &raw.topic, n_rows, judgement)
                .map_err(|problem| plugin.fault("process", &problem))?;
            work.take(plugin, &raw, answer)?;
        }
        Ok(Judged {
            topic: Arc::clone(&raw.topic),
            rows: work.columns,
            covered: raw.covered,
            dead_letters: work.dead_letters,
            alerts: work.alerts,
        })
    }

    fn snapshot(&mut self) -> Result<Vec<PluginState>, audit_core::Error> {
        let mut states = Vec::new();
        for plugin in &mut self.plugins {
            states.extend(plugin.snapshot()?);
        }
        Ok(states)
    }

    fn plugins(&self) -> Vec<PluginId> {
        self.plugins.iter().map(|plugin| plugin.id.clone()).collect()
    }
}

fn refused(raw: &RawBatch, rejected: Rejected) -> Option<DeadLetter> {
    let Rejected { record_idx, class, reason } = rejected;
    DeadLetter::of_record(raw, record_idx, class, reason, None)
}

/// The newest Kafka timestamp of the batch, in microseconds.
fn clock_of(raw: &RawBatch) -> i64 {
    let newest = raw.records.iter().filter_map(|record| record.timestamp_ms).max();
    newest.unwrap_or(0).saturating_mul(1000)
}
