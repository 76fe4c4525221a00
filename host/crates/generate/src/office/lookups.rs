//! The tables that detectors need to judge an office: who has which role when, which network is what,
//! and when the office is closed.

use std::fmt::Write as _;

use jiff::Timestamp;

use crate::rules::DAY;

use super::calendar::{HOURS, TIME_ZONE, date, holidays, year_of};
use super::campaign::user_id;
use super::people::{Kind, People, Profile, Role};

/// The contents of files that fit a stream of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookups {
    /// `user_id,role,valid_from,valid_to`
    pub roles: String,
    /// `cidr,name,class`
    pub networks: String,
    /// `date,name`
    pub holidays: String,
    /// A fragment of the host's configuration that names the three and all built-in plugins.
    pub config: String,
}

const NETWORKS: &str = "\
cidr,name,class
192.0.2.0/24,head office,office
10.0.0.0/8,branches and services,office
100.64.0.0/10,mobile carrier,carrier
203.0.113.0/24,hotels,public
198.18.0.0/16,homes,residential
2001:db8::/32,homes,residential
198.19.0.0/16,elsewhere,public
2001:db8:ffff::/48,elsewhere,public
";

impl Lookups {
    pub(crate) fn new(people: &People, start: i64, latest: i64) -> Self {
        Self {
            roles: roles(people, start - 365 * DAY),
            networks: NETWORKS.to_owned(),
            holidays: all_holidays(year_of(start) - 1, year_of(latest) + 1),
            config: config(people),
        }
    }
}

fn roles(people: &People, since: i64) -> String {
    let mut csv = "user_id,role,valid_from,valid_to\n".to_owned();
    let mut row = |user: u32, role: &str, from: i64, until: Option<i64>| {
        let until = until.map(instant).unwrap_or_default();
        writeln!(csv, "{},{role},{},{until}", user_id(user), instant(from))
            .expect("a string takes everything");
    };
    for (user, profile) in (0..).zip(&people.profiles) {
        let role = profile.role.name();
        let admin = Role::Admin.name();
        match profile.admin {
            _ if profile.is_never_admin() => row(user, role, since, None),
            (i64::MIN, i64::MAX) => row(user, admin, since, None),
            (i64::MIN, until) => {
                row(user, admin, since, Some(until));
                row(user, role, until, None);
            }
            (from, _) => {
                row(user, role, since, Some(from));
                row(user, admin, from, None);
            }
        }
    }
    let first = people.profiles.len() as u32;
    for account in first..first + people.n_accounts as u32 {
        row(account, "viewer", since, None);
    }
    csv
}

fn all_holidays(first_year: i64, last_year: i64) -> String {
    let mut csv = "date,name\n".to_owned();
    for (day, name) in (first_year..=last_year).flat_map(holidays) {
        writeln!(csv, "{},{name}", date(day)).expect("a string takes everything");
    }
    csv
}

fn config(people: &People) -> String {
    let works_at_night =
        |profile: &Profile| matches!(profile.kind, Kind::NightShift | Kind::Service);
    let at_night = (0..).zip(&people.profiles).filter(|(_, profile)| works_at_night(profile));
    let at_night: Vec<_> = at_night.map(|(user, _)| format!("\"{}\"", user_id(user))).collect();
    format!(
        r#"# Paths are relative to the working directory: run it in this folder, or complete them.
[lookups.roles]
file = "roles.csv"
key = "user_id"
valid-from = "valid_from"
valid-to = "valid_to"

[lookups.networks]
file = "networks.csv"
kind = "cidr"
key = "cidr"

[calendars.office]
time-zone = "{TIME_ZONE}"
hours = ["{HOURS}"]
holidays = "holidays.csv"

# In the order in which each still sees what it needs: detectors before what changes their keys.
[[plugin]]
path = "builtin:enrich_context"
lookups = ["roles", "networks", "office"]
config = {{ roles = "roles", networks = "networks", calendar = "office" }}

[[plugin]]
path = "builtin:detect_failed_logins"

[[plugin]]
path = "builtin:detect_off_hours"
lookups = ["office"]
# They work at night.
config = {{ calendar = "office", ignore-users = [{}] }}

[[plugin]]
path = "builtin:detect_ip_spread"

[[plugin]]
path = "builtin:detect_privilege_change"
lookups = ["roles"]
config = {{ roles = "roles" }}

[[plugin]]
path = "builtin:detect_unusual_volume"

[[plugin]]
path = "builtin:detect_mass_export"

[[plugin]]
path = "builtin:redact_pii"
"#,
        at_night.join(", ")
    )
}

fn instant(at: i64) -> String {
    Timestamp::from_microsecond(at).unwrap_or(Timestamp::MAX).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written() -> String {
        let people = People::new(1, 50, 0);
        Lookups::new(&people, 0, DAY).config
    }

    fn plugins(config: &str) -> Vec<&str> {
        let paths = config.lines().filter_map(|line| line.strip_prefix("path = \"builtin:"));
        paths.map(|path| path.trim_end_matches('"')).collect()
    }

    #[test]
    fn what_reads_raw_values_comes_before_what_hides_them() {
        assert_eq!(
            plugins(&written()),
            [
                "enrich_context",
                "detect_failed_logins",
                "detect_off_hours",
                "detect_ip_spread",
                "detect_privilege_change",
                "detect_unusual_volume",
                "detect_mass_export",
                "redact_pii",
            ]
        );
    }

    #[test]
    fn every_documented_plugin_is_there() {
        let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../docs/plugins");
        let pages = std::fs::read_dir(docs).expect("the docs of the plugins");
        let mut documented: Vec<_> = pages
            .map(|page| page.expect("a page").path())
            .filter(|page| page.extension().is_some_and(|extension| extension == "md"))
            .filter_map(|page| page.file_stem()?.to_str().map(ToOwned::to_owned))
            .collect();
        documented.sort_unstable();
        let config = written();
        let mut listed = plugins(&config);
        listed.sort_unstable();
        assert_eq!(listed, documented);
    }

    #[test]
    fn what_a_plugin_asks_is_defined_and_granted() {
        let config = written();
        for name in ["roles", "networks"] {
            assert!(config.contains(&format!("[lookups.{name}]\nfile = \"{name}.csv\"\n")));
        }
        assert!(config.contains("[calendars.office]\n"));
        for section in config.split("[[plugin]]").skip(1) {
            let granted = section.lines().find_map(|line| line.strip_prefix("lookups = "));
            for name in ["roles", "networks", "office"] {
                let asks = section.contains(&format!("= \"{name}\""));
                let is_granted = granted.is_some_and(|list| list.contains(&format!("\"{name}\"")));
                assert_eq!(asks, is_granted, "{name}: {section}");
            }
        }
    }
}
