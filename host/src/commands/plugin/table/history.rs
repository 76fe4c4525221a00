//! `audit-host plugin history`.

use std::fmt::Write as _;

use anyhow::Result;
use audit_core::PluginId;
use audit_sink::PastChange;
use serde_json::json;

use super::history_format::{places, short, time};
use super::opened::Opened;
use crate::cli::HistoryArgs;
use crate::commands::columns::{clean, columns};
use crate::stdout::print;

pub(crate) async fn run(args: HistoryArgs) -> Result<()> {
    let opened = Opened::open(args.table).await?;
    let history = opened.history(args.plugin.as_deref()).await?;
    print(&if args.json { as_json(&history) } else { as_text(&history) })
}

fn as_text(history: &[PastChange]) -> String {
    let heads = ["TIME", "CHANGE", "PLUGIN", "COMPONENT", "CONFIG", "FROM", "REASON"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    for past in history {
        let change = &past.change;
        rows.push(vec![
            time(change.at),
            change.kind.to_string(),
            clean(&change.plugin),
            step(change.before.as_ref(), change.after.as_ref(), |id| &id.sha256),
            step(change.before.as_ref(), change.after.as_ref(), |id| &id.config_sha256),
            places(&change.from),
            clean(&change.reason),
        ]);
    }
    columns(&rows)
}

/// `before -> after`; a single digest where nothing changed.
fn step(
    before: Option<&PluginId>,
    after: Option<&PluginId>,
    digest: impl Fn(&PluginId) -> &String,
) -> String {
    let of = |id: Option<&PluginId>| id.map_or_else(|| "-".to_owned(), |id| short(digest(id)));
    let (before, after) = (of(before), of(after));
    if before == after { before } else { format!("{before} -> {after}") }
}

fn as_json(history: &[PastChange]) -> String {
    let mut lines = String::new();
    for past in history {
        let mut line = json!(past.change);
        line["time"] = json!(time(past.change.at));
        if let Some(commit) = &past.commit {
            line["snapshot"] = json!(commit.snapshot_id);
            line["committed"] = json!(time(commit.at));
        }
        // Writing to a string does not fail.
        let _ = writeln!(lines, "{line}");
    }
    lines
}

#[cfg(test)]
mod tests {
    use audit_core::ChangeKind;
    use audit_sink::CommittedIn;

    use super::super::history_format::tests::{id, past};
    use super::*;

    #[test]
    fn a_line_says_what_changed_and_what_stayed() {
        let (a, b, reset) = (id('a', "c1"), id('b', "c1"), id('b', "c2"));
        let mut last = past(ChangeKind::Replaced, Some(&b), Some(&reset));
        last.commit = Some(CommittedIn { snapshot_id: 7, at: 0 });
        let history = [
            past(ChangeKind::Added, None, Some(&a)),
            past(ChangeKind::Replaced, Some(&a), Some(&b)),
            last,
        ];
        let text = as_text(&history);
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[1].contains("  added     p       - -> aaaaaaaaaaaa  "), "{text}");
        assert!(lines[2].contains("  aaaaaaaaaaaa -> bbbbbbbbbbbb  c1"), "{text}");
        assert!(lines[3].contains("  bbbbbbbbbbbb                  c1 -> c2"), "{text}");
        let json = as_json(&history);
        let last: serde_json::Value = serde_json::from_str(json.lines().last().unwrap()).unwrap();
        assert_eq!((&last["snapshot"], &last["kind"]), (&json!(7), &json!("replaced")));
    }
}
