//! Tables and calendars of a case, which it holds as text: real ones are never granted to a case.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use audit_chain::Granted;
use audit_lookup::{Calendar, CalendarDefinition, KeyKind, Lookups, Set, Table, TableDefinition};
use serde::Deserialize;

/// A table or a calendar, distinguished by their keys.
#[derive(Deserialize)]
#[serde(untagged)]
enum Lookup {
    Table(CaseTable),
    Calendar(CaseCalendar),
}

/// As `[lookups.NAME]`, with the text of the file instead of its name.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct CaseTable {
    csv: String,
    key: String,
    #[serde(default)]
    kind: KeyKind,
    valid_from: Option<String>,
    valid_to: Option<String>,
}

/// As `[calendars.NAME]`, with the text of the holidays instead of their file's name.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct CaseCalendar {
    time_zone: String,
    hours: Vec<String>,
    holidays: Option<String>,
}

/// `{"roles": {"csv": "user_id,role\n…", "key": "user_id"}, "office": {"time-zone": …, "hours": […]}}`
pub(super) fn parse(text: &str) -> Result<Granted, String> {
    let given: BTreeMap<String, serde_json::Value> =
        serde_json::from_str(text).map_err(|_| "an object is expected".to_owned())?;
    let mut names = BTreeSet::new();
    let (mut tables, mut calendars) = (BTreeMap::new(), BTreeMap::new());
    for (name, value) in given {
        let lookup = serde_json::from_value(value).map_err(|_| {
            format!("{name}: neither a table (csv, key) nor a calendar (time-zone, hours)")
        })?;
        match lookup {
            Lookup::Table(table) => drop(tables.insert(name.clone(), load_table(&name, table)?)),
            Lookup::Calendar(calendar) => {
                drop(calendars.insert(name.clone(), load_calendar(&name, calendar)?));
            }
        }
        names.insert(name);
    }
    Ok(Granted { names, lookups: Lookups::new(Set::of(tables, calendars)) })
}

fn load_table(name: &str, table: CaseTable) -> Result<Table, String> {
    let CaseTable { csv, key, kind, valid_from, valid_to } = table;
    let file = PathBuf::from(format!("{name}.csv"));
    let definition = TableDefinition {
        file,
        kind,
        key,
        valid_from,
        valid_to,
        file_bytes_max: None,
        rows_max: None,
    };
    let loaded = Table::from_csv(&format!("lookups.{name}"), &definition, &csv);
    loaded.map_err(|error| error.to_string())
}

fn load_calendar(name: &str, calendar: CaseCalendar) -> Result<Calendar, String> {
    let CaseCalendar { time_zone, hours, holidays } = calendar;
    let definition = CalendarDefinition {
        time_zone,
        hours,
        holidays: holidays.is_some().then(|| PathBuf::from("holidays.csv")),
    };
    let loaded = Calendar::new(&format!("calendars.{name}"), &definition, holidays.as_deref());
    loaded.map_err(|error| error.to_string())
}
