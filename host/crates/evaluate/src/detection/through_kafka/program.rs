//! The program under test, run as a user runs it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

use super::super::scenario::Scenario;

const TABLE: &str = "eval.audit_trail";

/// Where the runs take place.
#[derive(Debug)]
pub struct Rig {
    /// The built `audit-host`.
    pub program: PathBuf,
    /// Addresses of a Kafka cluster without these topics.
    pub brokers: String,
    /// A folder for tables and alerts.
    pub folder: PathBuf,
    /// Told what each run did, as the whole takes minutes.
    pub say: fn(&str),
}

impl Rig {
    /// Fills a new topic, reads it to its end into a new table with every detector, and returns the alerts.
    pub(super) fn alerts(
        &self,
        topic: &str,
        n_partitions: i32,
        scenario: &Scenario,
        seed: u64,
        n_events: u64,
    ) -> Result<String> {
        let dir = self.folder.join(topic);
        fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        let begin = Instant::now();
        let mut generate = self.command(&dir);
        generate.args(["generate", "--population", "office", "--attacks", "all"]);
        generate.args(["--seed", &seed.to_string(), "--count", &n_events.to_string()]);
        generate.args(["--start", scenario.start, "--users", &scenario.users.to_string()]);
        generate.args(["--intensity", &scenario.intensity.to_string(), "--lookups", "."]);
        generate
            .args(scenario.is_disordered.then_some(["--disorder", "all"]).into_iter().flatten());
        generate.args(["--to", "kafka", "--kafka-time", "distinct", "--brokers", &self.brokers]);
        generate.args(["--topic", topic, "--partitions", &n_partitions.to_string()]);
        run(&mut generate, &dir.join("generate.log"))?;
        let generated = begin.elapsed();

        let mut host = self.command(&dir);
        host.args(["--brokers", &self.brokers, "--topic", topic, "--table", TABLE]);
        host.args(["--catalog", "sqlite:catalog.db", "--warehouse", "warehouse"]);
        host.args(["--config", "audit-host.toml", "--alerts", "file:alerts.jsonl", "--until-end"]);
        let said = run(&mut host, &dir.join("host.log"))?;
        let rows = format!("{n_events} events in, {n_events} rows committed");
        let done = said.lines().rev().find_map(|line| line.split_once("done: "));
        let (_, done) = done.with_context(|| format!("{topic}: no line `done:` in:\n{said}"))?;
        ensure!(done.contains(&rows), "{topic}: {n_events} events were sent, but: {done}");
        let read = begin.elapsed().saturating_sub(generated);
        (self.say)(&format!("{topic}: sent in {generated:.1?}, read in {read:.1?}; {done}"));

        let path = dir.join("alerts.jsonl");
        let alerts = fs::read_to_string(&path);
        let alerts = alerts.with_context(|| format!("cannot read {}", path.display()))?;
        fs::remove_dir_all(&dir).with_context(|| format!("cannot remove {}", dir.display()))?;
        Ok(alerts)
    }

    /// The program in a folder, without the settings of whoever runs this.
    fn command(&self, dir: &Path) -> Command {
        let mut command = Command::new(&self.program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("AUDIT_HOST_") {
                command.env_remove(name);
            }
        }
        command.current_dir(dir).stdin(Stdio::null());
        command
    }
}

/// Runs to the end; what it said.
fn run(command: &mut Command, log: &Path) -> Result<String> {
    let file = File::create(log).with_context(|| format!("cannot create {}", log.display()))?;
    command.stdout(file.try_clone()?).stderr(file);
    let status = command.status().with_context(|| format!("cannot start {command:?}"))?;
    let said = fs::read_to_string(log).with_context(|| format!("cannot read {}", log.display()))?;
    ensure!(status.success(), "{command:?} ended with {status}:\n{said}");
    Ok(said)
}
