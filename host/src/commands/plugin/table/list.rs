//! `audit-host plugin list`.

use std::fmt::Write as _;

use anyhow::Result;
use audit_core::{PluginChange, PluginId};
use audit_sink::PastChange;
use serde_json::json;

use super::history_format::{judging, places, places_json, short, time};
use super::opened::Opened;
use crate::cli::ReadArgs;
use crate::commands::columns::{clean, columns};
use crate::stdout::print;

pub(crate) async fn run(args: ReadArgs) -> Result<()> {
    let opened = Opened::open(args.table).await?;
    let (chain, history) = (opened.chain().await?, opened.history(None).await?);
    print(&if args.json { as_json(&chain, &history) } else { as_text(&chain, &history) })
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

fn as_json(chain: &[PluginId], history: &[PastChange]) -> String {
    let mut lines = String::new();
    for id in chain {
        let mut line = json!(id);
        if let Some(change) = since(history, id) {
            line["since"] = json!(time(change.at));
            line["from"] = places_json(&change.from);
            line["source"] = json!(change.source);
        }
        // Writing to a string does not fail.
        let _ = writeln!(lines, "{line}");
    }
    lines
}

#[cfg(test)]
mod tests {
    use audit_core::ChangeKind;

    use super::super::history_format::tests::{id, past};
    use super::*;

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
        let json = as_json(&chain, &history);
        let first: serde_json::Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
        assert_eq!(first["source"], "/plugins/p.wasm");
        assert_eq!(first["sha256"], "b".repeat(64));
    }
}
