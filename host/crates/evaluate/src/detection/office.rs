//! What the generator writes beside its events, read as the host reads it: tables and calendars by the crate
//! that the host uses, and the configuration of each plugin.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::{Context as _, Result, ensure};
use audit_generate::Lookups;
use audit_lookup::{Calendar, CalendarDefinition, Table, TableDefinition};
use audit_plugin_sdk::lookup::Interval;
use audit_plugin_sdk::testing::{self, give_calendar, give_table};
use jiff::Timestamp;
use serde::Deserialize;

/// Time of the calendar before and behind the stream, in microseconds: more than a detector looks around.
const AROUND: i64 = 30 * 86_400_000_000;
/// More than the roles of all users.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// The part of the host's configuration that the generator writes.
#[derive(Debug, Deserialize)]
pub(super) struct Office {
    lookups: BTreeMap<String, TableDefinition>,
    calendars: BTreeMap<String, CalendarDefinition>,
    plugin: Vec<Plugin>,
}

#[derive(Debug, Deserialize)]
struct Plugin {
    path: String,
    #[serde(default)]
    config: toml::Table,
}

impl Office {
    pub(super) fn read(config: &str) -> Result<Self> {
        toml::from_str(config).context("cannot read the configuration of the generator")
    }

    /// Grants the plugins of this thread what they are granted in the configuration.
    pub(super) fn give(&self, files: &Lookups, span: (i64, i64)) -> Result<()> {
        let roles = self.lookups.get("roles").context("no table roles")?;
        let table = Table::from_csv("lookups.roles", roles, &files.roles)?;
        let csv = to_csv("role", &table, &files.roles)?;
        let csv = testing::Table::from_csv("user_id", &csv);
        give_table("roles", csv.temporal("valid_from", "valid_to"));
        let office = self.calendars.get("office").context("no calendar office")?;
        let calendar = Calendar::new("calendars.office", office, Some(&files.holidays))?;
        let intervals = calendar.intervals(span.0 - AROUND, span.1 + AROUND);
        let intervals = intervals.context("the stream is longer than a calendar answers for")?;
        let interval = |interval: audit_lookup::Interval| {
            let audit_lookup::Interval { start, end, is_open, reason } = interval;
            Interval { start, end, is_open, reason }
        };
        give_calendar("office", intervals.into_iter().map(interval).collect());
        Ok(())
    }

    /// The configuration of a built-in plugin, as the host hands it over.
    pub(super) fn config_of(&self, name: &str) -> Result<String> {
        let path = format!("builtin:{}", name.replace('-', "_"));
        let plugin = self.plugin.iter().find(|plugin| plugin.path == path);
        let plugin = plugin.with_context(|| format!("no plugin {path}"))?;
        Ok(serde_json::to_string(&plugin.config)?)
    }
}

/// The table for the plugins' own tests, which can take nothing but text: for each user and each time at which
/// a row starts or ends, what the host's table answers as of that time.
fn to_csv(column: &str, table: &Table, csv: &str) -> Result<String> {
    let mut times: BTreeMap<&str, BTreeSet<i64>> = BTreeMap::new();
    for line in csv.lines().skip(1) {
        let fields: Vec<_> = line.split(',').collect();
        let [user, _, from, until] = fields[..] else { anyhow::bail!("a row of roles: {line}") };
        let times = times.entry(user).or_default();
        for time in [from, until].into_iter().filter(|time| !time.is_empty()) {
            times.insert(time.parse::<Timestamp>()?.as_microsecond());
        }
    }
    let mut csv = format!("user_id,{column},valid_from,valid_to\n");
    for (user, times) in times {
        let times: Vec<i64> = times.into_iter().collect();
        let keys = times.iter().map(|_| user.as_bytes());
        let found = table.find(column, keys, |idx| times.get(idx).copied(), ANSWER_BYTES_MAX);
        let found = found.context("the table has no such column")?;
        let found = found.map_err(|_| anyhow::anyhow!("the roles of {user} are too long"))?;
        ensure!(found.offsets.len() == times.len() + 1, "an answer for each time of {user}");
        for (idx, from) in times.iter().enumerate() {
            if found.validity[idx / 8] >> (idx % 8) & 1 == 0 {
                continue;
            }
            let place = found.offsets[idx] as usize..found.offsets[idx + 1] as usize;
            let value = std::str::from_utf8(&found.values[place])?;
            let from = Timestamp::from_microsecond(*from)?;
            let until = times.get(idx + 1).map(|until| Timestamp::from_microsecond(*until));
            let until = until.transpose()?.map(|until| until.to_string()).unwrap_or_default();
            writeln!(csv, "{user},{value},{from},{until}")?;
        }
    }
    Ok(csv)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plugins_are_told_what_the_host_would_answer() {
        let csv = "user_id,role,valid_from,valid_to\n\
            a,viewer,2025-01-01T00:00:00Z,2025-02-01T00:00:00Z\n\
            a,admin,2025-02-01T00:00:00Z,\n\
            b,viewer,2025-01-01T00:00:00Z,2025-01-02T00:00:00Z\n";
        let config = "[lookups.roles]\nfile = 'roles.csv'\nkey = 'user_id'\n\
            valid-from = 'valid_from'\nvalid-to = 'valid_to'\n[calendars]\n\
            [[plugin]]\npath = 'builtin:detect_x'\nconfig = { roles = 'roles' }";
        let office = Office::read(config).unwrap();
        let table = Table::from_csv("lookups.roles", &office.lookups["roles"], csv).unwrap();
        assert_eq!(to_csv("role", &table, csv).unwrap(), csv);
        assert_eq!(office.config_of("detect-x").unwrap(), r#"{"roles":"roles"}"#);
        assert!(office.config_of("detect-y").is_err());
    }
}
