//! The built-in plugins on what an office does, attacks included, with its tables and its calendar: many keys,
//! alerts, and every event looked up.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use audit_chain::PluginSource;
use audit_core::Batch;
use audit_generate::{Attack, Generator, Settings};
use audit_lookup::{Calendar, CalendarDefinition, KeyKind, Lookups, Set, TableDefinition};
use serde_json::json;

use crate::chains::{self, BATCH_ROWS, Bench, per};
use crate::events;
use crate::rates;
use crate::table::{Table, rounded};

const START: &str = "2025-01-06T00:00:00Z";
const USERS: usize = 500;

pub(crate) fn tables(bench: &Bench) -> Result<Vec<Table>> {
    let (batches, lookups) = office(bench.n_rows)?;
    let title = format!("{USERS} people of an office with tables and calendar, {}", bench.about());
    let mut table = Table::new(title, &["plugin", "component, ns/row"]);
    let mut subjects = rates::builtin()?;
    for subject in &mut subjects {
        subject.config = match subject.name {
            "enrich_context" => {
                json!({ "roles": "roles", "networks": "networks", "calendar": "office" })
            }
            "detect_off_hours" => json!({ "calendar": "office" }),
            _ => subject.config.take(),
        };
    }
    let one = |source: PluginSource| vec![source];
    let mut chains_of: Vec<(&str, Vec<PluginSource>)> =
        subjects.iter().map(|subject| (subject.name, one(subject.source(&lookups)))).collect();
    let all = subjects.iter().map(|subject| subject.source(&lookups));
    chains_of.push(("all eight", all.collect()));
    for (name, sources) in chains_of {
        let mut times = Vec::new();
        for _ in 0..bench.n_runs {
            let mut chain = chains::chain(&bench.engine, sources.clone())?;
            times.push(chains::judge_all(&mut chain, &batches)?);
        }
        table.push([json!(name), rounded(per(&times, bench.n_rows), 1)]);
    }
    Ok(vec![table])
}

/// The office's events as they arrive, and what is known of it.
fn office(n_events: usize) -> Result<(Vec<Batch>, Lookups)> {
    let settings = Settings::office(n_events as u64, START.parse().context("the start")?);
    let attacks = Attack::ALL.to_vec();
    let mut generator = Generator::new(Settings { seed: 1, users: USERS, attacks, ..settings });
    let records =
        events::records_of(&mut generator, BATCH_ROWS, |meta| meta.received_time_us / 1000)?;
    let written = generator.lookups().context("an office has tables")?;
    let definition = |key: &str, kind, temporal: bool| TableDefinition {
        file: "a.csv".into(),
        kind,
        key: key.to_owned(),
        valid_from: temporal.then(|| "valid_from".to_owned()),
        valid_to: temporal.then(|| "valid_to".to_owned()),
        file_bytes_max: None,
        rows_max: None,
    };
    let table = |key, kind, temporal, csv: &str| {
        audit_lookup::Table::from_csv("lookups", &definition(key, kind, temporal), csv)
    };
    let tables = BTreeMap::from([
        ("roles".to_owned(), table("user_id", KeyKind::Exact, true, &written.roles)?),
        ("networks".to_owned(), table("cidr", KeyKind::Cidr, false, &written.networks)?),
    ]);
    let hours = CalendarDefinition {
        time_zone: "Europe/Berlin".to_owned(),
        hours: vec!["mon-fri 09:00-17:00".to_owned()],
        holidays: Some("holidays.csv".into()),
    };
    let office = Calendar::new("calendars.office", &hours, Some(&written.holidays))?;
    let calendars = BTreeMap::from([("office".to_owned(), office)]);
    Ok((events::decode_all(records)?, Lookups::new(Set::of(tables, calendars))))
}
