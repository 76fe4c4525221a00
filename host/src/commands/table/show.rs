//! `audit-host table show`.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use audit_sink::admin::{GroupReport, LaneReport, LaneState, TableReport};
use audit_sink::{Store, admin};

use super::output::{READING, json_lines};
use crate::cli::ReadArgs;
use crate::commands::columns::{ago, clean, columns, count, size};
use crate::config;
use crate::stdout::print;

pub(super) async fn run(args: ReadArgs) -> Result<()> {
    let place = config::resolve_table(args.table)?;
    let store = Store::open_existing(&place.catalog).await.context(READING)?;
    let tables = admin::show(&store, &place.name, &place.upkeep).await.context(READING)?;
    let text = || tables.iter().map(as_text).collect::<String>();
    print(&if args.json { json_lines(&tables)? } else { text() })
}

fn as_text(table: &TableReport) -> String {
    let mut facts = vec![
        ("location", clean(&table.location)),
        ("metadata", metadata(table)),
        ("uuid", table.uuid.clone()),
        ("format", format(table)),
        ("content", content(table)),
        ("snapshots", snapshots(table)),
        ("garbage", garbage(table)),
    ];
    facts.extend(table.problems.iter().map(|problem| ("problem", clean(problem))));
    for group in &table.groups {
        facts.push(("group", clean(&group.group)));
        facts.extend(group_facts(group));
    }
    let rows: Vec<_> =
        facts.into_iter().map(|(name, value)| vec![format!("  {name}"), value]).collect();
    format!("{}\n{}", table.table, columns(&rows))
}

fn metadata(table: &TableReport) -> String {
    let name = table.metadata.rsplit('/').next().unwrap_or_default();
    format!("{}, written {} ({} ago)", clean(name), table.updated, ago(table.age_s))
}

fn format(table: &TableReport) -> String {
    let ours = match &table.format {
        None => "none yet".to_owned(),
        Some(format) if table.is_newer => format!("{}, newer than this program", clean(format)),
        Some(format) => clean(format),
    };
    format!("{ours}; Iceberg {}", table.iceberg_format)
}

fn content(table: &TableReport) -> String {
    let known = |n: Option<u64>, noun: &str| {
        n.map_or_else(|| format!("an unknown number of {noun}s"), |n| count(n, noun))
    };
    let bytes = table.bytes.map_or_else(|| "unknown size".to_owned(), size);
    format!("{} in {}, {bytes}", known(table.rows, "row"), known(table.files, "file"))
}

fn snapshots(table: &TableReport) -> String {
    let n_manifests = table.manifests.and_then(|n| u64::try_from(n).ok());
    let manifests =
        n_manifests.map_or_else(|| "unreadable manifests".to_owned(), |n| count(n, "manifest"));
    format!("{}; {manifests} in the newest", table.snapshots)
}

fn garbage(table: &TableReport) -> String {
    match &table.garbage {
        None => "none".to_owned(),
        Some(garbage) => {
            let files = u64::try_from(garbage.files).unwrap_or_default();
            let due = garbage.due.as_deref().unwrap_or("now");
            format!("{} waiting, the next due {due}", count(files, "file"))
        }
    }
}

fn group_facts(group: &GroupReport) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    if let Some(lane) = &group.lane {
        facts.push(("  lane", lane_text(lane)));
    }
    if !group.pending.is_empty() {
        let epochs: Vec<_> = group.pending.iter().map(|epoch| clean(epoch)).collect();
        facts.push(("  pending", epochs.join(" ")));
    }
    let offsets = group.offsets.iter().map(|(topic, of)| ("  offsets", offsets(topic, of)));
    facts.extend(offsets);
    facts
}

fn lane_text(lane: &LaneReport) -> String {
    let on = lane.host.as_deref().map(clean).unwrap_or_default();
    let pid = lane.pid.unwrap_or_default();
    let state = match lane.state {
        LaneState::Released => "released".to_owned(),
        LaneState::Ended => format!("process {pid} has ended"),
        LaneState::Running => format!("process {pid} is running"),
        LaneState::Elsewhere => format!("process {pid} on {on}"),
    };
    let (instance, run) = (clean(&lane.instance), clean(&lane.run));
    let silent = ago(lane.silent_s);
    format!("{instance}, run {run}, sequence {}; {state}; silent for {silent}", lane.sequence)
}

/// `topic 0@12 1@34`.
fn offsets(topic: &str, partitions: &BTreeMap<i32, i64>) -> String {
    let each = partitions.iter().map(|(partition, offset)| format!("{partition}@{offset}"));
    clean(&format!("{topic} {}", each.collect::<Vec<_>>().join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unknown_is_said_and_what_others_wrote_controls_no_terminal() {
        let lane = LaneReport {
            instance: "web\u{1b}[2J".to_owned(),
            run: "0a1b".to_owned(),
            sequence: 7,
            host: Some("web-1".to_owned()),
            pid: Some(12),
            state: LaneState::Elsewhere,
            silent_s: 130,
        };
        let text = lane_text(&lane);
        assert_eq!(text, "web [2J, run 0a1b, sequence 7; process 12 on web-1; silent for 2 min");
        let at = BTreeMap::from([(0, 12), (1, 34)]);
        assert_eq!(offsets("events", &at), "events 0@12 1@34");
    }
}
