//! The same streams through a real broker and the real program. What is found must not depend on the number of
//! partitions that the events lie in.

mod program;
mod report;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use audit_generate::{Generator, Label, Settings};
use jiff::Timestamp;
use serde::Deserialize;

pub use self::program::Rig;
use super::detectors::scored_as;
use super::finding::Finding;
use super::scenario::Scenario;
use super::score::Scores;
use super::scored::{GOAL, Scored};

/// What came out of streams, by the number of partitions that they lay in.
#[derive(Debug, Default)]
pub struct ByPartitions {
    pub of: BTreeMap<i32, Through>,
    /// Records whose Kafka time another one of their stream would have, had the generator not set it apart.
    pub n_ties: u64,
    pub n_events: u64,
}

/// What came out of streams in one number of partitions.
#[derive(Debug, Default)]
pub struct Through {
    pub scores: Scores,
    /// By the rule that they are scored as: the stream and the id of each alert, and how often it came.
    ids: BTreeMap<String, BTreeMap<(String, String), usize>>,
}

/// A line of the program's alerts.
#[derive(Debug, Deserialize)]
struct Alert {
    id: String,
    rule: String,
    severity: String,
    key: BTreeMap<String, String>,
    first_event: Timestamp,
    last_event: Timestamp,
}

impl ByPartitions {
    /// Sends a stream into a new topic for each number of partitions, and reads each as a backlog.
    pub fn evaluate(
        &mut self,
        rig: &Rig,
        scenario: &Scenario,
        seed: u64,
        n_events: u64,
        partitions: &[i32],
    ) -> Result<()> {
        let stream = Outline::of(scenario.settings(seed, n_events)?);
        self.n_ties += stream.n_ties;
        self.n_events += n_events;
        let scored = Scored::until(stream.last_arrival, &stream.labels);
        let name = format!("{}-{seed}", scenario.name.replace(|c: char| !c.is_alphanumeric(), "-"));
        for n_partitions in partitions {
            let topic = format!("{name}-{n_partitions}");
            let lines = rig.alerts(&topic, *n_partitions, scenario, seed, n_events)?;
            let through = self.of.entry(*n_partitions).or_default();
            through.add(&name, &scored, &lines)?;
        }
        Ok(())
    }

    /// The rules that fall short in any number of partitions.
    pub fn below_goal(&self) -> BTreeSet<&str> {
        self.of.values().flat_map(|through| through.scores.below(GOAL)).collect()
    }

    /// The rules whose alerts have other ids than in the fewest partitions.
    pub fn differing(&self) -> BTreeSet<&str> {
        let Some(first) = self.of.values().next() else { return BTreeSet::new() };
        self.of.values().flat_map(|through| through.differing_from(first)).collect()
    }

    /// Every rule that was attacked or found.
    fn rules(&self) -> BTreeSet<&str> {
        let scored = self.of.values().flat_map(|through| through.scores.of.keys());
        scored.map(String::as_str).collect()
    }
}

impl Through {
    fn add(&mut self, stream: &str, scored: &Scored, lines: &str) -> Result<()> {
        let mut found = Vec::new();
        for line in lines.lines() {
            let alert: Alert =
                serde_json::from_str(line).with_context(|| format!("the alert {line}"))?;
            let finding = alert.finding();
            let ids = self.ids.entry(finding.rule.clone()).or_default();
            *ids.entry((stream.to_owned(), alert.id)).or_default() += 1;
            found.push(finding);
        }
        self.scores.add(&scored.labels, &scored.findings(found));
        Ok(())
    }

    fn differing_from<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a str> {
        let rules: BTreeSet<_> = self.ids.keys().chain(other.ids.keys()).collect();
        let differs = |rule: &&String| self.ids.get(*rule) != other.ids.get(*rule);
        rules.into_iter().filter(differs).map(String::as_str)
    }
}

impl Alert {
    fn finding(&self) -> Finding {
        // Labels begin with the user; the program sorts a key by its columns.
        let mut values: Vec<_> = self.key.iter().collect();
        values.sort_by_key(|(column, _)| *column != "user_id");
        let values: Vec<_> = values.into_iter().map(|(_, value)| value.as_str()).collect();
        Finding {
            rule: scored_as(&self.rule).to_owned(),
            key: values.join("/"),
            from: self.first_event.as_microsecond(),
            until: self.last_event.as_microsecond(),
            // An alert does not say when it was found, and the time to detect is not reported here.
            found: self.last_event.as_microsecond(),
            severity: Some(self.severity.clone()),
        }
    }
}

/// What is known of a stream without a broker.
struct Outline {
    labels: Vec<Label>,
    /// In microseconds since 1970.
    last_arrival: i64,
    n_ties: u64,
}

impl Outline {
    fn of(settings: Settings) -> Self {
        let mut generator = Generator::new(settings);
        let mut event = Vec::new();
        let (mut last_arrival, mut n_ties) = (i64::MIN, 0);
        while let Some(meta) = generator.next_event(&mut event) {
            event.clear();
            let is_tie = last_arrival.div_euclid(1000) == meta.received_time_us.div_euclid(1000);
            n_ties += u64::from(is_tie);
            last_arrival = meta.received_time_us;
        }
        Self { labels: generator.labels().to_vec(), last_arrival, n_ties }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNUSUAL: &str = r#"{"id":"a1","rule":"unusual-volume-escalated","severity":"high",
        "key":{"action_type":"data_read","user_id":"user_001"},
        "first_event":"2025-01-16T09:00:00Z","last_event":"2025-01-16T09:30:00.5Z"}"#;

    fn lines(alerts: &[&str]) -> String {
        alerts.iter().map(|alert| alert.replace('\n', "") + "\n").collect()
    }

    fn through(alerts: &[&str]) -> Result<Through> {
        let mut through = Through::default();
        through.add("stream", &Scored::until(i64::MAX, &[]), &lines(alerts))?;
        Ok(through)
    }

    #[test]
    fn an_alert_is_scored_by_the_key_and_rule_of_its_labels() {
        let alert: Alert = serde_json::from_str(UNUSUAL).unwrap();
        let finding = alert.finding();
        assert_eq!((&*finding.rule, &*finding.key), ("unusual-volume", "user_001/data_read"));
        assert_eq!(
            (finding.until - finding.from, finding.severity),
            (1_800_500_000, Some("high".into()))
        );
    }

    #[test]
    fn other_ids_of_a_rule_and_missing_rules_are_seen() {
        let other = UNUSUAL.replace("a1", "a2");
        let by = |alerts: [&[&str]; 2]| {
            let of = alerts.map(|alerts| through(alerts).unwrap());
            ByPartitions { of: [1, 8].into_iter().zip(of).collect(), ..ByPartitions::default() }
        };
        let differs = BTreeSet::from(["unusual-volume"]);
        assert_eq!(by([&[UNUSUAL], &[UNUSUAL]]).differing(), BTreeSet::new());
        assert_eq!(by([&[UNUSUAL], &[&other]]).differing(), differs);
        assert_eq!(by([&[UNUSUAL, &other], &[UNUSUAL]]).differing(), differs);
        assert_eq!(by([&[], &[UNUSUAL]]).differing(), differs);
        assert_eq!(by([&[UNUSUAL], &[UNUSUAL; 2]]).differing(), differs, "one that came twice");
        assert_eq!(
            by([&[UNUSUAL], &[UNUSUAL]]).below_goal(),
            differs,
            "without a label it is wrong"
        );
    }
}
