//! Runs a case again as a host might meet its events: in batches that are cut elsewhere, with a restart
//! between two of them, and without fields that an event need not have. What an author's cases cannot
//! say, since in production nobody chooses where a batch ends.

use audit_chain::{Engine, Plugin, PluginKind, PluginSource};
use audit_core::ReasonClass;
use serde_json::{Value, json};

use super::case::Case;
use super::compare::{Mismatch, breach};
use super::diff::{self, Diff};
use super::error::Error;
use super::nulls::Nulls;
use super::outcome::Outcome;
use super::run::{OFFSET, Stream, load};

/// Cuts in the events of one case. Each starts an instance, which takes milliseconds where it carries an
/// engine of its own.
const CUTS_MAX: usize = 32;

/// Everything in which a repetition differs; empty if none does. `whole` is the outcome of the case in one
/// batch. Nothing after the first kind of difference is run: it would show the same again.
pub(crate) fn vary(
    engine: &Engine,
    plugin: &PluginSource,
    case: &Case,
    whole: &Outcome,
) -> Result<Vec<Mismatch>, Error> {
    let plugin = load(engine, plugin, case)?;
    let varied = Varied { plugin: &plugin, case, nulls: Nulls::none() };
    let mut found: Vec<_> = varied.repeated(whole)?.into_iter().collect();
    for nulls in Nulls::variants(&plugin) {
        if !found.is_empty() {
            break;
        }
        let varied = Varied { nulls, ..varied.clone() };
        let in_one = varied.judge(&[], Restarts::Never)?.map_err(|_| ()).unwrap_or_default();
        let mismatch = match faults(whole, &in_one).or_else(|| breach(&in_one)) {
            Some(mismatch) => Some(mismatch),
            None => varied.repeated(&in_one)?,
        };
        let nulls = varied.nulls.shown();
        found.extend(mismatch.map(|mismatch| Mismatch::Nulls { nulls, mismatch: mismatch.into() }));
    }
    Ok(found)
}

/// The places at which `n_events` are cut: between any two, or evenly spread if there are many.
pub(super) fn cuts(n_events: usize, max: usize) -> Vec<usize> {
    let step = n_events.saturating_sub(1).div_ceil(max).max(1);
    (1..n_events).step_by(step).collect()
}

/// Alerts and dead letters, in an order that does not depend on the batches. The reason of a fault names the
/// batch, so it is left out.
pub(super) fn findings(outcome: &Outcome) -> Vec<Value> {
    let is_fault = |letter: &Value| letter["class"] == ReasonClass::PluginFault.as_str();
    let letters = outcome.dead_letters.iter().map(|letter| {
        if !is_fault(letter) {
            return letter.clone();
        }
        json!({ OFFSET: letter[OFFSET], "class": letter["class"] })
    });
    let mut findings: Vec<Value> = outcome.alerts.iter().cloned().chain(letters).collect();
    findings.sort_by_key(ToString::to_string);
    findings
}

/// After which cuts the instance is replaced by one that restores its snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Restarts {
    Never,
    At(usize),
    /// And after the last event.
    Always,
}

/// A restart that the plugin refused, and after how many events.
struct Refused {
    after: usize,
    why: String,
}

#[derive(Clone)]
struct Varied<'a> {
    plugin: &'a Plugin,
    case: &'a Case,
    nulls: Nulls,
}

impl Varied<'_> {
    /// The first difference between one batch and several, or between going on and a restart. A transform has
    /// no state, and its rows were compared already.
    fn repeated(&self, whole: &Outcome) -> Result<Option<Mismatch>, Error> {
        if self.plugin.kind() != PluginKind::Detector {
            return Ok(None);
        }
        let n_events = self.case.events.len();
        let (each, half) = (cuts(n_events, CUTS_MAX), n_events.div_ceil(2));
        let Ok(alone) = self.judge(&each, Restarts::Never)? else { return Ok(None) };
        let Ok(halves) = self.judge(&[half], Restarts::Never)? else { return Ok(None) };
        for (outcome, how) in [(&alone, "in smaller ones"), (&halves, "in two halves")] {
            let diff = Diff::of(&findings(whole), &findings(outcome), diff::same);
            if !diff.is_empty() {
                return Ok(Some(Mismatch::Batches { how, diff }));
            }
        }
        if self.plugin.state_version() == 0 {
            return Ok(None);
        }
        self.restarted(&each, &alone)
    }

    /// With a restart after each cut at once, which costs one run; only after a difference each cut by itself,
    /// to name the first that matters.
    fn restarted(&self, each: &[usize], alone: &Outcome) -> Result<Option<Mismatch>, Error> {
        let n_events = self.case.events.len();
        let differs = |outcome: &Outcome| {
            let diff = Diff::of(&findings(alone), &findings(outcome), diff::same);
            (!diff.is_empty()).then_some(diff)
        };
        let refused = |Refused { after, why }| Mismatch::Refused { after, n_events, why };
        let diff = match self.judge(each, Restarts::Always)? {
            Err(why) => return Ok(Some(refused(why))),
            Ok(outcome) => match differs(&outcome) {
                None => return Ok(None),
                Some(diff) => diff,
            },
        };
        for &after in each {
            match self.judge(each, Restarts::At(after))? {
                Err(why) => return Ok(Some(refused(why))),
                Ok(outcome) => {
                    if let Some(diff) = differs(&outcome) {
                        let after = Some(after);
                        return Ok(Some(Mismatch::Restart { after, n_events, diff }));
                    }
                }
            }
        }
        Ok(Some(Mismatch::Restart { after: None, n_events, diff }))
    }

    /// Judges the events, cut at these places.
    fn judge(&self, cuts: &[usize], restarts: Restarts) -> Result<Result<Outcome, Refused>, Error> {
        let mut stream = Stream::new(self.plugin, self.case)?;
        let mut from = 0;
        for &at in cuts.iter().chain([&self.case.events.len()]) {
            let events = self.case.events.get(from..at).unwrap_or_default();
            if !events.is_empty() {
                stream.judge(events, &self.nulls)?;
            }
            from = at;
            if (restarts == Restarts::Always || restarts == Restarts::At(at))
                && let Err(why) = stream.move_to(self.plugin)
            {
                return Ok(Err(Refused { after: at, why }));
            }
        }
        Ok(Ok(stream.finish()))
    }
}

/// Events that the plugin fails on only because of the nulls.
fn faults(whole: &Outcome, with_nulls: &Outcome) -> Option<Mismatch> {
    let of = |outcome: &Outcome| -> Vec<Value> {
        let faults = outcome.dead_letters.iter();
        let faults = faults.filter(|l| l["class"] == ReasonClass::PluginFault.as_str());
        faults.cloned().collect()
    };
    let before = of(whole);
    let mut new = of(with_nulls);
    new.retain(|letter| before.iter().all(|known| known[OFFSET] != letter[OFFSET]));
    let diff = Diff::of(&[], &new, diff::same);
    (!diff.is_empty()).then_some(Mismatch::Faults { diff })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_are_between_events_and_few() {
        assert_eq!(cuts(0, 4), [] as [usize; 0]);
        assert_eq!(cuts(1, 4), [] as [usize; 0]);
        assert_eq!(cuts(4, 4), [1, 2, 3]);
        assert_eq!(cuts(9, 4), [1, 3, 5, 7]);
        assert!((0..300).all(|n| cuts(n, CUTS_MAX).len() <= CUTS_MAX));
    }
}
