//! What the outcome of rows says about a plugin itself: counted, logged, alerted and recorded.

use audit_core::{ChangeKind, Counters, Severity};

use crate::chain::PluginChain;
use crate::limits::OnError;
use crate::plugin::spec::Blueprint;
use crate::runner::breaker::Transition;
use crate::runner::halvings::Halvings;
use crate::runner::slot::Judged;

/// The outcome of rows without the rows themselves.
pub(super) struct Outcome {
    transition: Transition,
    /// Why the breaker opened or gave up.
    why: String,
    called: bool,
    lost: Vec<String>,
    n_failures: u64,
    /// Also those of rows that will be judged again: the calls failed.
    halvings: Halvings,
    n_poison: usize,
    /// Why the plugin failed on the first of them.
    first_poison: Option<String>,
}

impl Outcome {
    pub(super) fn of(judged: &Judged) -> Self {
        Self {
            transition: judged.transition,
            why: judged.why.clone().unwrap_or_default(),
            called: judged.called,
            lost: judged.lost.clone(),
            n_failures: judged.verdict.n_failures,
            halvings: judged.verdict.halvings.clone(),
            n_poison: judged.verdict.poison.len(),
            first_poison: judged.verdict.poison.values().next().cloned(),
        }
    }

    /// For rows that will be judged again: they count then.
    pub(super) fn without_rows(self) -> Self {
        Self { n_poison: 0, first_poison: None, called: true, ..self }
    }
}

impl PluginChain {
    pub(super) fn note_outcome(&mut self, blueprint: &Blueprint, outcome: &Outcome) {
        Counters::add(&self.counters.plugin_failures, outcome.n_failures);
        Counters::add(&self.counters.plugin_poison_rows, outcome.n_poison as u64);
        Counters::add(&self.counters.plugin_breaker_batches, u64::from(!outcome.called));
        if !outcome.halvings.why.is_empty() {
            let of_plugin = self.halvings.entry(blueprint.id.name.clone()).or_default();
            of_plugin.add(&outcome.halvings);
        }
        for why in &outcome.lost {
            self.report_lost_state(blueprint, why);
        }
        self.note_transition(blueprint, outcome);
        let name = &blueprint.id.name;
        let Some(why) = &outcome.first_poison else { return };
        if !outcome.called || self.alerted.contains(name) {
            return;
        }
        self.alerted.push(name.clone());
        let rows = outcome.n_poison;
        tracing::warn!(plugin = name, rows, why, "plugin failed on rows");
        let message = format!(
            "The plugin {name} failed on {rows} rows of a batch: {why}. They are handled as its on-error \
             says; so are rows of later batches of this epoch, which are not alerted again."
        );
        self.alert(&blueprint.id, "plugin-fault", Severity::High, &message);
    }

    fn note_transition(&mut self, blueprint: &Blueprint, outcome: &Outcome) {
        let (name, why) = (&blueprint.id.name, &outcome.why);
        let pause = blueprint.limits.breaker_pause;
        let fate = match blueprint.on_error {
            OnError::Quarantine => "become dead letters",
            OnError::Pass => "are stored without it",
            OnError::Halt => "end the run",
        };
        let id = Some(blueprint.id.clone());
        match outcome.transition {
            Transition::None => {}
            Transition::Opened => {
                tracing::error!(plugin = name, why, "plugin breaker opened");
                let message = format!(
                    "The breaker of the plugin {name} opened: {why}. Until no row has failed for {pause:?}, \
                     it gets small parts of batches for a short time each, and the source waits: the stream \
                     is slower. Rows that it fails on {fate}; no other row is lost. Look at the rows that \
                     fail and who sends them, or replace the plugin."
                );
                self.alert(&blueprint.id, "plugin-breaker", Severity::Critical, &message);
                self.record(ChangeKind::BreakerOpened, blueprint, id, why);
            }
            Transition::Closed => {
                tracing::info!(plugin = name, "plugin breaker closed");
                let reason = "no row has failed for breaker-pause";
                self.record(ChangeKind::BreakerClosed, blueprint, id, reason);
            }
            Transition::Waits => {
                tracing::warn!(plugin = name, why, "plugin fails on every row; rows wait for it");
            }
            Transition::GaveUp => {
                tracing::error!(plugin = name, why, "plugin fails on every row; rows are given up");
                let message = format!(
                    "The plugin {name} has failed on every row for {pause:?}; at last: {why}. From now on \
                     rows {fate} without being judged, until it judges one of those that are tried now and \
                     then. Replace the plugin or change its configuration at once."
                );
                self.alert(&blueprint.id, "plugin-down", Severity::Critical, &message);
            }
            Transition::Resumed => {
                tracing::warn!(plugin = name, "plugin judges rows again; its breaker stays open");
            }
        }
    }

    pub(super) fn report_lost_state(&mut self, blueprint: &Blueprint, why: &str) {
        let name = &blueprint.id.name;
        Counters::add(&self.counters.plugin_states_lost, 1);
        tracing::error!(plugin = name, why, "detector state lost");
        let message = format!(
            "The detector {name} lost its state ({why}): what began before now may go unnoticed. Correct \
             the plugin."
        );
        self.alert(&blueprint.id, "detector-state-lost", Severity::High, &message);
        self.record(ChangeKind::StateLost, blueprint, Some(blueprint.id.clone()), why);
    }
}
