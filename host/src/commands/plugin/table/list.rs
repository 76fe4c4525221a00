//! `audit-host plugin list`.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anyhow::Result;
use audit_core::{PluginChange, PluginId};
use audit_sink::{PastChange, Pins};
use serde_json::json;

use super::history_format::{judging, places, places_json, short, time};
use super::opened::Opened;
use crate::cli::ReadArgs;
use crate::commands::columns::{clean, columns};
use crate::stdout::print;

pub(crate) async fn run(args: ReadArgs) -> Result<()> {
    let opened = Opened::open(args.table).await?;
    let (chain, history) = (opened.chain().await?, opened.history(None).await?);
    let pins = opened.pins().await?;
    print(&if args.json {
        as_json(&chain, &history, &pins)
    } else {
        as_text(&chain, &history) + &pinned(&chain, &pins)
    })
}

/// The change since which this component runs with this configuration.
fn since<'a>(history: &'a [PastChange], id: &PluginId) -> Option<&'a PluginChange> {
    judging(history).rev().find(|change| change.after.as_ref() == Some(id))
}

fn as_text(chain: &[PluginId], history: &[PastChange]) -> String {
    let heads = ["NAME", "VERSION", "COMPONENT", "CONFIG", "SINCE", "FROM"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    for id in chain {
        let since = since(history, id);
        rows.push(vec![
            clean(&id.name),
            clean(&id.version),
            short(&id.sha256),
            short(&id.config_sha256),
            since.map_or_else(|| "-".to_owned(), |change| time(change.at)),
            since.map_or_else(|| "-".to_owned(), |change| places(&change.from)),
        ]);
    }
    columns(&rows)
}

/// What the plugins are bound to, and what must stay replaced, below the table of plugins.
fn pinned(chain: &[PluginId], pins: &Pins) -> String {
    let mut rows = vec![["NAME", "READS", "WRITES"].map(str::to_owned).to_vec()];
    for (name, pin) in
        pins.plugins.iter().filter(|(name, _)| chain.iter().any(|id| id.name == **name))
    {
        rows.push(vec![clean(name), named(&pin.reads), named(&pin.writes)]);
    }
    let mut text = format!("\nAccepted with:\n{}", columns(&rows));
    if !pins.replaced.is_empty() {
        let mut rows = vec![["COLUMN", "MUST HIDE"].map(str::to_owned).to_vec()];
        rows.extend(pins.replaced.iter().map(|(column, marks)| vec![clean(column), named(marks)]));
        let _ = write!(text, "\nMust stay replaced:\n{}", columns(&rows));
    }
    text
}

fn named(names: &BTreeSet<String>) -> String {
    let names: Vec<_> = names.iter().map(|name| clean(name)).collect();
    if names.is_empty() { "-".to_owned() } else { names.join(" ") }
}

fn as_json(chain: &[PluginId], history: &[PastChange], pins: &Pins) -> String {
    let mut lines = String::new();
    for id in chain {
        let mut line = json!(id);
        if let Some(change) = since(history, id) {
            line["since"] = json!(time(change.at));
            line["from"] = places_json(&change.from);
            line["source"] = json!(change.source);
        }
        if let Some(pin) = pins.plugins.get(&id.name) {
            line["reads"] = json!(pin.reads);
            line["writes"] = json!(pin.writes);
        }
        // Writing to a string does not fail.
        let _ = writeln!(lines, "{line}");
    }
    lines
}

#[cfg(test)]
mod tests {
    use audit_core::ChangeKind;
    use audit_sink::Pin;

    use super::super::history_format::tests::{id, past};
    use super::*;

    fn pin() -> Pin {
        Pin { reads: ["details".to_owned()].into(), ..Pin::default() }
    }

    #[test]
    fn each_plugin_has_a_line_and_the_change_that_put_it_there() {
        let (old, new) = (id('a', "c1"), id('b', "c1"));
        let mut other = id('d', "c1");
        other.name = "q".to_owned();
        let history = [
            past(ChangeKind::Added, None, Some(&old)),
            past(ChangeKind::Replaced, Some(&old), Some(&new)),
        ];
        let chain = [new, other];
        let text = as_text(&chain, &history);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "NAME  VERSION  COMPONENT     CONFIG  SINCE                 FROM");
        assert_eq!(lines[1], "p     0.b.0    bbbbbbbbbbbb  c1      1970-01-01T00:00:00Z  -");
        assert_eq!(lines[2], "q     0.d.0    dddddddddddd  c1      -                     -");
        let pins = Pins { plugins: [("p".to_owned(), pin())].into(), ..Pins::default() };
        let shown = pinned(&chain, &pins);
        assert!(shown.contains("p     details  -"), "{shown}");
        let json = as_json(&chain, &history, &pins);
        let first: serde_json::Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
        assert_eq!(first["source"], "/plugins/p.wasm");
        assert_eq!(first["sha256"], "b".repeat(64));
    }
}
