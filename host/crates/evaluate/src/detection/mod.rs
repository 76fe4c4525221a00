//! Every detector on generated streams with labeled attacks, compared with the SQL that it replaces.
//!
//! Both see the same rows in the same order, and both are scored by the same rule: a finding is right if
//! it names the rule and the key of an attack, and what it is about overlaps with it in time.

mod detectors;
mod finding;
mod office;
mod scenario;
mod score;
mod scored;
mod sql;
mod stream;
mod table;
mod through_kafka;

use anyhow::Result;

pub use self::finding::Finding;
pub use self::scenario::{CROWD, SCENARIOS, Scenario};
pub use self::score::{Pair, Score, Scores};
pub use self::scored::GOAL;
use self::scored::Scored;
pub use self::sql::Sql;
pub use self::table::{print, print_errors};
pub use self::through_kafka::{ByPartitions, Rig, Through};

/// Seeds that thresholds and defaults may be tuned on.
pub const TUNING_SEEDS: [u64; 4] = [1, 2, 3, 4];
/// Seeds that are scored. Their events are never inspected, and errors on them are never printed.
pub const SCORING_SEEDS: [u64; 3] = [26_112_401, 26_112_402, 26_112_403];

/// Events of a stream: about seven weeks, as unusual volumes need three weeks of history.
pub const EVENTS: u64 = 260_000;

/// Scores detectors and, if there is a Python with DuckDB, the pattern's SQL.
pub fn evaluate(
    scenario: &Scenario,
    seeds: &[u64],
    n_events: u64,
    sql: Option<&Sql>,
) -> Result<Pair> {
    let mut pair = Pair::default();
    let folder = sql.map(|sql| sql.folder.as_path());
    for seed in seeds {
        let stream = stream::Stream::make(scenario.settings(*seed, n_events)?, folder)?;
        let scored = Scored::until(stream.span.1, &stream.labels);
        pair.detectors.add(&scored.labels, &scored.findings(detectors::run(&stream)?));
        if let Some(sql) = sql {
            pair.sql.add(&scored.labels, &scored.findings(sql.run(&stream)?));
        }
    }
    Ok(pair)
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
