//! `audit-host plugin run`: sends events of a file through plugins, and prints the result as JSON lines.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};

use anyhow::{Context as _, Result};
use audit_chain::{Plugin, PluginChain, PluginSource};
use audit_core::stage::Chain;
use audit_core::{DeadLetter, Judged};
use serde_json::{Value, json};

use super::lines::Lines;
use super::plugin_args;
use super::text::count;
use crate::cells;
use crate::cli::TryArgs;
use crate::config;
use crate::error::Error;
use crate::feed::{Feed, Stamp};
use crate::stdout::is_broken_pipe;

/// The topic in alerts.
const TOPIC: &str = "audit_events";

pub(crate) fn run(args: &TryArgs) -> Result<()> {
    let mut chain = load(args)?;
    let mut lines = Lines::open(&args.input)?;
    let mut out = BufWriter::new(io::stdout().lock());
    let mut tally = Tally::default();
    let done = judge_all(&mut chain, &mut lines, &mut out, &mut tally);
    match done {
        // A reader that closes the pipe, as `head` does, is not an error.
        Err(error) if is_broken_pipe(&error) => Ok(()),
        Err(error) => Err(error),
        Ok(()) => writeln!(io::stderr(), "{}", tally.shown()).context("writing the summary"),
    }
}

fn load(args: &TryArgs) -> Result<PluginChain> {
    if args.config.len() > args.files.len() {
        return Err(config::Error::Value {
            key: "--config".to_owned(),
            value: args.config.last().cloned().unwrap_or_default(),
            problem: format!("is one too many: there are {}", count(args.files.len(), "plugin")),
        }
        .into());
    }
    let engine = plugin_args::engine()?;
    let keys = plugin_args::keys(&args.keys)?;
    let lookups = plugin_args::lookups(&args.keys)?;
    let mut plugins = Vec::with_capacity(args.files.len());
    for (idx, file) in args.files.iter().enumerate() {
        let source = PluginSource {
            config: plugin_args::config(args.config.get(idx).map(String::as_str))?,
            keys: keys.clone(),
            lookups: lookups.clone(),
            ..plugin_args::component(file)?
        };
        plugins.push(Plugin::load(&engine, source)?);
    }
    Ok(PluginChain::new(plugins)?)
}

fn judge_all(
    chain: &mut PluginChain,
    lines: &mut Lines,
    out: &mut impl Write,
    tally: &mut Tally,
) -> Result<()> {
    let mut feed = Feed::new(TOPIC);
    loop {
        let events = lines.batch().context("reading events")?;
        if events.is_empty() {
            return Ok(());
        }
        tally.n_events += events.len();
        let judged = chain.judge(feed.batch(&events, Stamp::EventTime)?)?;
        // The host's own alerts repeat what the dead letters and the log say.
        drop(chain.take_changes());
        tally.add(&judged);
        write(out, &judged).map_err(Error::Output)?;
    }
}

fn write(out: &mut impl Write, judged: &Judged) -> io::Result<()> {
    for row_idx in 0..judged.rows.num_rows() {
        let row = Value::Object(cells::row(&judged.rows, row_idx));
        writeln!(out, "{}", json!({ "row": row }))?;
    }
    for alert in &judged.alerts {
        writeln!(out, "{}", json!({ "alert": alert }))?;
    }
    for letter in &judged.dead_letters {
        writeln!(out, "{}", json!({ "dead_letter": shown(letter) }))?;
    }
    // A batch is out before the next one is read: the input may be a pipe that is slow.
    out.flush()
}

fn shown(letter: &DeadLetter) -> Value {
    let mut shown = json!({
        "partition": letter.partition, "offset": letter.offset,
        "class": letter.class.as_str(), "reason": letter.reason,
    });
    if let Some(plugin) = &letter.plugin {
        shown["plugin"] = json!(plugin.name);
    }
    shown
}

/// Counts of what came out.
#[derive(Debug, Default)]
struct Tally {
    n_events: usize,
    n_rows: usize,
    n_alerts: usize,
    dead_letters: BTreeMap<&'static str, usize>,
}

impl Tally {
    fn add(&mut self, judged: &Judged) {
        self.n_rows += judged.rows.num_rows();
        self.n_alerts += judged.alerts.len();
        for letter in &judged.dead_letters {
            *self.dead_letters.entry(letter.class.as_str()).or_default() += 1;
        }
    }

    fn shown(&self) -> String {
        let classes: Vec<_> =
            self.dead_letters.iter().map(|(class, n)| format!("{n} {class}")).collect();
        let n_letters = self.dead_letters.values().sum();
        let which =
            if classes.is_empty() { String::new() } else { format!(" ({})", classes.join(", ")) };
        format!(
            "{}: {}, {}, {}{which}",
            count(self.n_events, "event"),
            count(self.n_rows, "row"),
            count(self.n_alerts, "alert"),
            count(n_letters, "dead letter"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{KeyArgs, LogArgs};

    fn args(files: &[&str], config: &[&str], input: String) -> TryArgs {
        TryArgs {
            log: LogArgs::default(),
            files: files.iter().map(|&file| file.to_owned()).collect(),
            input,
            config: config.iter().map(|&text| text.to_owned()).collect(),
            keys: KeyArgs::default(),
        }
    }

    /// A burst of failed logins, and a line that is no event.
    fn events() -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let event = |minute: u32| {
            format!(
                "{{\"audit_id\":\"e{minute}\",\"event_timestamp\":\"2025-01-16T08:{minute}:00Z\",\
                 \"action_type\":\"user_login\",\"action_result\":\"failure\",\
                 \"ip_address\":\"192.0.2.1\",\"user_email\":\"alice@example.com\"}}"
            )
        };
        let lines: Vec<String> =
            std::iter::once("no json".to_owned()).chain((10..18).map(event)).collect();
        let text = lines.join("\n") + "\n";
        std::fs::write(file.path(), text).unwrap();
        file
    }

    fn output(args: &TryArgs) -> (Vec<Value>, String) {
        let (mut out, mut tally) = (Vec::new(), Tally::default());
        let mut lines = Lines::open(&args.input).unwrap();
        judge_all(&mut load(args).unwrap(), &mut lines, &mut out, &mut tally).unwrap();
        let text = String::from_utf8(out).unwrap();
        (text.lines().map(|line| serde_json::from_str(line).unwrap()).collect(), tally.shown())
    }

    #[test]
    fn rows_alerts_and_dead_letters_come_out() {
        let file = events();
        let plugins = ["builtin:detect_failed_logins", "builtin:redact_pii"];
        let args = args(&plugins, &["{}", "{}"], file.path().display().to_string());
        let (lines, summary) = output(&args);
        assert_eq!(summary, "9 events: 8 rows, 1 alert, 1 dead letter (1 invalid-json)");
        assert_eq!(lines.len(), 10);
        let row = &lines[0]["row"];
        assert_eq!(row["user_email"], "a***@example.com");
        assert_eq!(row["event_timestamp"], "2025-01-16T08:10:00Z");
        assert_eq!((&row["source_offset"], row.get("details")), (&json!(1), None));
        assert_eq!(lines[8]["alert"]["count"], 6, "as of the failure that tripped the rule");
        let letter = &lines[9]["dead_letter"];
        assert_eq!((&letter["offset"], &letter["class"]), (&json!(0), &json!("invalid-json")));
    }

    #[test]
    fn each_plugin_has_its_configuration() {
        let file = events();
        let plugins = ["builtin:detect_failed_logins", "builtin:redact_pii"];
        let config = ["{\"threshold\":20}", "{\"fields\":{\"user_email\":\"drop\"}}"];
        let path = file.path().display().to_string();
        let (lines, _) = output(&args(&plugins, &config, path.clone()));
        assert!(lines.iter().all(|line| line.get("alert").is_none()), "{lines:?}");
        assert_eq!(lines[0]["row"].get("user_email"), None);
        let refused = load(&args(&plugins[..1], &config, path.clone())).err().unwrap();
        assert!(refused.to_string().contains("one too many: there are 1 plugin"), "{refused}");
        let swapped = load(&args(&["builtin:redact_pii"], &config[..1], path)).err().unwrap();
        assert!(format!("{swapped:#}").contains("threshold"), "{swapped:#}");
        assert!(Lines::open("/no/such/file").is_err());
    }
}
