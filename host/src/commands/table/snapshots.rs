//! `audit-host table snapshots`.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use audit_sink::admin::{SnapshotReport, SpanReport};
use audit_sink::{Store, admin};

use super::output::{READING, json_lines};
use crate::cli::ReadArgs;
use crate::commands::columns::{clean, columns};
use crate::config;
use crate::stdout::print;

/// Partitions that are listed in a line of text; the JSON has all.
const PARTITIONS_SHOWN: usize = 4;

pub(super) async fn run(args: ReadArgs) -> Result<()> {
    let place = config::resolve_table(args.table)?;
    let store = Store::open_existing(&place.catalog).await.context(READING)?;
    let snapshots = admin::snapshots(&store, &place.name).await.context(READING)?;
    print(&if args.json { json_lines(&snapshots)? } else { as_text(&snapshots) })
}

fn as_text(snapshots: &[SnapshotReport]) -> String {
    let heads =
        ["TIME", "SNAPSHOT", "OPERATION", "EPOCH", "ROWS", "DEAD", "ALERTS", "OFFSETS", "REFS"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    rows.extend(snapshots.iter().map(row));
    columns(&rows)
}

fn row(snapshot: &SnapshotReport) -> Vec<String> {
    let number = |n: Option<u64>| n.map_or_else(|| "-".to_owned(), |n| n.to_string());
    let text = |text: Option<&str>| text.map_or_else(|| "-".to_owned(), clean);
    let claim = snapshot.claim.as_ref().map(|holder| format!("claim {holder}"));
    let refs = snapshot.refs.join(" ");
    vec![
        snapshot.time.clone(),
        snapshot.id.to_string(),
        snapshot.operation.clone(),
        text(snapshot.epoch.as_deref().or(claim.as_deref())),
        snapshot.rows.to_string(),
        number(snapshot.dead_letters),
        number(snapshot.alerts),
        offsets(&snapshot.offsets),
        clean(if refs.is_empty() { "-" } else { &refs }),
    ]
}

/// `topic[0]@12..34`, of the first partitions.
fn offsets(topics: &BTreeMap<String, BTreeMap<i32, SpanReport>>) -> String {
    let all =
        topics.iter().flat_map(|(topic, of)| of.iter().map(move |(at, span)| (topic, at, span)));
    let n_all = topics.values().map(BTreeMap::len).sum::<usize>();
    let first = all.take(PARTITIONS_SHOWN);
    let mut shown: Vec<_> = first
        .map(|(topic, at, SpanReport { start, next, holes, .. })| {
            let holes = if *holes == 0 { String::new() } else { format!("({holes} holes)") };
            clean(&format!("{topic}[{at}]@{start}..{next}{holes}"))
        })
        .collect();
    if n_all > PARTITIONS_SHOWN {
        shown.push(format!("and {} more", n_all - PARTITIONS_SHOWN));
    }
    if shown.is_empty() { "-".to_owned() } else { shown.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_short() {
        assert_eq!(offsets(&BTreeMap::new()), "-");
        let span = |holes| SpanReport { start: 5, next: 9, records: 4 - holes, holes };
        let of = |n: i32| (0..n).map(|at| (at, span(0))).collect();
        let holes = BTreeMap::from([("t".to_owned(), BTreeMap::from([(0, span(1))]))]);
        assert_eq!(offsets(&holes), "t[0]@5..9(1 holes)");
        let short = offsets(&BTreeMap::from([("t".to_owned(), of(2))]));
        assert_eq!(short, "t[0]@5..9 t[1]@5..9");
        let long = offsets(&BTreeMap::from([("t".to_owned(), of(4)), ("u".to_owned(), of(2))]));
        assert!(long.ends_with(" t[3]@5..9 and 2 more"), "{long}");
    }
}
