//! What one test has to itself: a folder, a topic, a catalog and a table.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::json::{json_lines, text};
use crate::program::Program;
use crate::table::Reader;
use crate::{broker, env};

/// The table of every test.
pub const TABLE: &str = "demo.audit_trail";
/// Where its dead letters go.
pub const DEAD_LETTERS: &str = "demo.audit_trail_dead_letters";

/// How the name of a rule ends when a burst grew after its first alert.
const ESCALATED: &str = "-escalated";

/// The folder, topic and table of one test.
#[derive(Debug)]
pub struct Case {
    pub topic: String,
    pub n_partitions: i32,
    pub dir: PathBuf,
}

impl Case {
    /// A new folder and a new topic, both called `name`.
    pub fn new(name: &str, n_partitions: i32) -> Result<Self> {
        broker::create_topic(name, n_partitions)?;
        Ok(Self { topic: name.to_owned(), n_partitions, dir: env::folder(name)? })
    }

    /// The same topic into another folder, so into another table.
    pub fn beside(&self, name: &str) -> Result<Self> {
        let (topic, n_partitions) = (self.topic.clone(), self.n_partitions);
        Ok(Self { topic, n_partitions, dir: env::folder(name)? })
    }

    pub fn path(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }

    /// `audit-host` from this topic into this table; alerts go to `alerts.jsonl`.
    pub fn host(&self) -> Result<Program> {
        Ok(self.host_of(&broker::brokers()?))
    }

    /// [`Case::host`] that reads from another cluster.
    pub fn host_of(&self, brokers: &str) -> Program {
        let catalog = format!("sqlite:{}", self.path("catalog.db"));
        let alerts = format!("file:{}", self.path("alerts.jsonl"));
        let args = ["--brokers", brokers, "--topic", &self.topic, "--table", TABLE];
        let host = Program::new(&self.dir, &args).args(&["--catalog", &catalog]);
        host.args(&["--warehouse", &self.path("warehouse"), "--alerts", &alerts])
    }

    /// `audit-host plugin VERB …` on this table.
    pub fn plugin_command(&self, args: &[&str]) -> Program {
        self.command("plugin", args)
    }

    /// `audit-host table VERB …` on this table.
    pub fn table_command(&self, args: &[&str]) -> Program {
        self.command("table", args)
    }

    fn command(&self, kind: &str, args: &[&str]) -> Program {
        let catalog = format!("sqlite:{}", self.path("catalog.db"));
        Program::new(&self.dir, &[kind])
            .args(args)
            .args(&["--catalog", &catalog, "--table", TABLE])
            .args(&["--warehouse", &self.path("warehouse")])
    }

    /// [`Case::host`] with built components as plugins, in this order.
    pub fn host_with(&self, plugins: &[&str]) -> Result<Program> {
        let mut host = self.host()?;
        for plugin in plugins {
            host = host.args(&["--plugin", &env::plugin(plugin)?]);
        }
        Ok(host)
    }

    /// The seed's events to this topic, with attacks and personal data; writes what must be found to
    /// `labels.jsonl` and what must not to `pii.txt`.
    pub fn generate(&self, count: u64, seed: u64) -> Result<Program> {
        let (count, seed) = (count.to_string(), seed.to_string());
        let args = ["generate", "--count", &count, "--seed", &seed, "--step", "2s"];
        let (labels, pii) = (self.path("labels.jsonl"), self.path("pii.txt"));
        let program = Program::new(&self.dir, &args)
            .args(&["--users", "40", "--attacks", "failed-logins", "--pii"])
            .args(&["--start", "2025-06-02T00:00:00Z", "--labels", &labels, "--pii-values", &pii]);
        let brokers = broker::brokers()?;
        Ok(program.args(&["--to", "kafka", "--brokers", &brokers, "--topic", &self.topic]))
    }

    /// The readers of this catalog.
    pub fn reader(&self) -> Reader {
        Reader::new(&self.dir.join("catalog.db"), &self.dir.join("warehouse"), &self.dir)
    }

    /// Every offset of the topic as (partition, offset).
    pub fn offsets(&self) -> Result<BTreeSet<(i64, i64)>> {
        let ends = broker::watermarks(&self.topic, self.n_partitions)?;
        let all = (0..).zip(ends).flat_map(|(at, end)| (0..end).map(move |offset| (at, offset)));
        Ok(all.collect())
    }

    /// Rule and key of every label of [`Case::generate`].
    pub fn labels(&self) -> Result<BTreeSet<(String, String)>> {
        let lines = json_lines(&self.dir.join("labels.jsonl"))?;
        Ok(lines.iter().map(|label| (text(&label["rule"]), text(&label["key"]))).collect())
    }

    /// Every line of `alerts.jsonl`, repeated deliveries included.
    pub fn alerts(&self) -> Result<Vec<Value>> {
        json_lines(&self.dir.join("alerts.jsonl"))
    }

    /// The alerts are those of the labels: each burst has its alert, and nothing else raised one. A burst
    /// that grows after its first alert may raise a second one, under the name of an escalation. Rules
    /// without a label are not checked: one attack may trip several.
    pub fn check_alerts(&self) -> Result<()> {
        let labels = self.labels()?;
        ensure!(!labels.is_empty(), "the generator made no attack");
        let labelled: BTreeSet<&String> = labels.iter().map(|(rule, _)| rule).collect();
        let mut found = BTreeSet::new();
        for alert in self.alerts()? {
            let rule = text(&alert["rule"]);
            let rule = rule.strip_suffix(ESCALATED).unwrap_or(&rule).to_owned();
            if labelled.contains(&rule) {
                found.insert((rule, text(&alert["key"]["ip_address"])));
            }
        }
        let missing: Vec<_> = labels.difference(&found).collect();
        ensure!(missing.is_empty(), "attacks without an alert: {missing:?}");
        let wrong: Vec<_> = found.difference(&labels).collect();
        ensure!(wrong.is_empty(), "alerts without an attack: {wrong:?}");
        Ok(())
    }
}
