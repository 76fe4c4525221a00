//! Every detector on generated streams with labelled attacks, beside the SQL that it replaces.
//!
//! Both see the same rows in the same order, and both are scored by the same rule: a finding is right if
//! it names the rule and the key of an attack, and what it is about overlaps with it in time.

mod detectors;
mod office;
mod score;
mod sql;
mod stream;
mod table;

use anyhow::Result;
use audit_generate::{Attack, Disorder, Intensity, Label, Settings};

use self::score::is_about;
pub use self::score::{Score, Scores};
pub use self::sql::Sql;
pub use self::table::{print, print_errors};

/// Seeds that thresholds and defaults may be tuned on.
pub const TUNING_SEEDS: [u64; 4] = [1, 2, 3, 4];
/// Seeds that are scored. Nobody looks at what they bring, and errors on them are never printed.
pub const SCORING_SEEDS: [u64; 3] = [26_112_401, 26_112_402, 26_112_403];

/// Precision and recall that every rule is to reach.
pub const GOAL: f64 = 0.95;

/// Events of a stream: about seven weeks, as unusual volumes need three weeks of history.
pub const EVENTS: u64 = 260_000;

/// So much of a stream's end is not scored, in microseconds: there an attack may be cut off before it is
/// one, after a rule has tripped.
const UNSCORED: i64 = 2 * 3_600_000_000;

/// One way of making streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scenario {
    pub name: &'static str,
    pub intensity: Intensity,
    pub is_disordered: bool,
    /// The streams begin at different times of the year: holidays, summer time, ends of months.
    pub start: &'static str,
}

pub const SCENARIOS: [Scenario; 3] = [
    Scenario {
        name: "at the threshold",
        intensity: Intensity::Low,
        is_disordered: false,
        start: "2025-03-10T06:00:00Z",
    },
    Scenario {
        name: "ordinary, in disorder",
        intensity: Intensity::Medium,
        is_disordered: true,
        start: "2025-09-22T06:00:00Z",
    },
    Scenario {
        name: "strong, in disorder",
        intensity: Intensity::High,
        is_disordered: true,
        start: "2024-11-25T06:00:00Z",
    },
];

impl Scenario {
    pub fn settings(&self, seed: u64, n_events: u64) -> Result<Settings> {
        let disorder = if self.is_disordered { Disorder::ALL.to_vec() } else { Vec::new() };
        Ok(Settings {
            seed,
            attacks: Attack::ALL.to_vec(),
            intensity: self.intensity,
            disorder,
            ..Settings::office(n_events, self.start.parse()?)
        })
    }
}

/// Something that somebody found: a detector or a query.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
pub struct Finding {
    pub rule: String,
    /// As in a label.
    pub key: String,
    /// The span of event time that it is about, both ends included.
    pub from: i64,
    pub until: i64,
    /// When it was found, by the clock of who found it: for a detector the newest Kafka timestamp of the
    /// batch, for a query when it ran.
    pub found: i64,
    /// As in a label. The pattern's SQL knows of none.
    #[serde(default)]
    pub severity: Option<String>,
}

/// Scores detectors and, if there is a Python with DuckDB, the pattern's SQL.
pub fn evaluate(
    scenario: &Scenario,
    seeds: &[u64],
    n_events: u64,
    sql: Option<&Sql>,
) -> Result<Pair> {
    let mut pair = Pair::default();
    for seed in seeds {
        let stream = stream::Stream::make(scenario.settings(*seed, n_events)?, sql)?;
        let scored = Scored::before(stream.span.1 - UNSCORED, &stream.labels);
        pair.detectors.add(&scored.labels, &scored.findings(detectors::run(&stream)?));
        if let Some(sql) = sql {
            pair.sql.add(&scored.labels, &scored.findings(sql.run(&stream)?));
        }
    }
    Ok(pair)
}

/// What is scored of a stream: all but its end.
struct Scored {
    cut: i64,
    labels: Vec<Label>,
    /// Attacks and near misses that the end may have cut off.
    unscored: Vec<Label>,
}

impl Scored {
    fn before(cut: i64, labels: &[Label]) -> Self {
        let is_over = |label: &Label| label.last_event < cut;
        let (labels, unscored) = labels.iter().cloned().partition(is_over);
        Self { cut, labels, unscored }
    }

    fn findings(&self, mut found: Vec<Finding>) -> Vec<Finding> {
        found.retain(|finding| {
            let is_cut_off = self.unscored.iter().any(|label| is_about(finding, label));
            finding.from < self.cut && !is_cut_off
        });
        found
    }
}

/// The scores of both.
#[derive(Debug, Default)]
pub struct Pair {
    pub detectors: Scores,
    pub sql: Scores,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_scored_on_what_it_was_tuned_on() {
        assert!(SCORING_SEEDS.iter().all(|seed| !TUNING_SEEDS.contains(seed)));
    }

    /// A stream of each kind, of seeds that are for tuning and that nobody has seen the errors of: long enough
    /// for the weeks of history that unusual volumes need.
    #[test]
    fn every_rule_reaches_the_goal_on_a_short_stream() {
        let mut scores = Scores::default();
        for (scenario, seed) in SCENARIOS.iter().zip(1_124..) {
            scores.merge(&evaluate(scenario, &[seed], 150_000, None).unwrap().detectors);
        }
        let rules = scores.of.iter().filter(|(_, score)| score.n_attacks > 0);
        assert!(rules.count() >= 12, "{:?}", scores.of.keys());
        let below = scores.below(GOAL);
        assert!(below.is_empty(), "{below:?}\n{}", print_errors(&scores, 20));
    }
}
