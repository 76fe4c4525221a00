//! The tables of `docs/configuration.md`, made from the declarations of settings and of clap.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use clap::{Arg, Command};

use super::file::File;
use super::grants::Grant;
use super::keys::SETTINGS as KEY;
use super::lookup_settings::{CALENDAR, TABLE};
use super::plugin_settings::{Plugin, PluginLimits};
use super::sections::CommandLine;
use super::setting::{DefaultValue, Range, Setting, Takes};
use super::units::show_duration;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md");
/// Before a table comes `<!-- generated: NAME -->`, after it this.
const BEGIN: &str = "<!-- generated: ";
const END: &str = "<!-- end of generated -->";

/// Compares the tables in the docs with those that the declarations give, or with `UPDATE_EXPECT=1`
/// writes them.
pub(crate) fn check(command: &Command) {
    let written = std::fs::read_to_string(PATH).unwrap();
    let fresh = with_tables(&written, &tables(command));
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(PATH, &fresh).unwrap();
        return;
    }
    let differing = fresh.lines().zip(written.lines()).find(|(fresh, written)| fresh != written);
    assert!(
        fresh == written,
        "docs/configuration.md does not match the declarations in host/src/config; refresh it with \
         `UPDATE_EXPECT=1 cargo xtask test --only unit tables_of_the_docs`. First difference: {differing:#?}"
    );
}

/// Every table, by the name of its marker.
fn tables(command: &Command) -> BTreeMap<&'static str, String> {
    let of_command = |name: &str| {
        let command = command.find_subcommand(name).expect("a command of the program");
        let rows = command.get_arguments().filter(|arg| !is_of_log(arg)).map(argument);
        let rows = rows.map(|[flag, variable, default, meaning]| {
            [flag, if default.is_empty() { variable } else { default }, meaning]
        });
        table(["Flag", "Default", "Meaning"], rows)
    };
    let only_in_file = File::settings().filter(|setting| setting.flag.is_none());
    let plugin = Plugin::ALL.iter().filter(|setting| setting.key() != "limits");
    BTreeMap::from([
        ("main job", main_job(command)),
        ("only in the file", keys_table(only_in_file.chain(&KEY))),
        ("plugin", keys_table(plugin.chain(PluginLimits::ALL))),
        ("grant", keys_table(Grant::ALL)),
        ("lookup", keys_table(&TABLE)),
        ("calendar", keys_table(&CALENDAR)),
        ("demo", of_command("demo")),
        ("generate", of_command("generate")),
    ])
}

fn is_of_log(arg: &Arg) -> bool {
    arg.get_long().is_none_or(|long| long.starts_with("log"))
}

fn main_job(command: &Command) -> String {
    let columns = ["Flag", "Variable", "Key in the file", "Default", "Meaning"];
    let settings = CommandLine::ALL.iter().chain(File::settings());
    let mut settings: Vec<_> = settings.filter(|setting| setting.flag.is_some()).collect();
    settings.sort_by_key(|setting| setting.is_request());
    let settings = settings.into_iter().map(flag_row);
    let log = command.get_arguments().filter(|arg| arg.get_long().is_some() && is_of_log(arg));
    let log = log.map(|arg| {
        let [flag, variable, default, meaning] = argument(arg);
        [flag, variable, String::new(), default, meaning]
    });
    table(columns, settings.chain(log))
}

fn flag_row(setting: &Setting) -> [String; 5] {
    let flag = setting.flag.expect("a setting with a flag");
    let (long, value) = (flag.long, flag.value);
    let variable = flag.variable.map(|variable| format!("`{variable}`")).unwrap_or_default();
    let (shown, variable) = match flag.takes {
        Takes::Nothing => (format!("`--{long}`"), variable),
        Takes::Switch => {
            (format!("`--{long}[={value}]`"), format!("{variable} (`true` or `false`)"))
        }
        Takes::List if variable.is_empty() => (format!("`--{long} {value}`, repeatable"), variable),
        Takes::List => {
            (format!("`--{long} {value}`, repeatable"), format!("{variable}, comma-separated"))
        }
        Takes::Text | Takes::Path | Takes::Word(_) => (format!("`--{long} {value}`"), variable),
    };
    let key = setting.key();
    // The command line's own settings have no table.
    let key = match (key.contains('.'), long) {
        (true, _) => format!("`{key}`"),
        (false, "plugin") => "`[[plugin]]`".to_owned(),
        (false, _) => String::new(),
    };
    let default = if matches!(flag.takes, Takes::Nothing) {
        String::new()
    } else {
        setting.default.to_string()
    };
    [shown, variable, key, default, meaning(setting, &shown_range(setting.range))]
}

fn keys_table<'a>(settings: impl IntoIterator<Item = &'a Setting>) -> String {
    let row = |setting: &Setting| {
        let (key, range) = (format!("`{}`", setting.key()), shown_range(setting.range));
        [key, shown_default(setting.default), range, meaning(setting, "")]
    };
    table(["Key", "Default", "Range", "Meaning"], settings.into_iter().map(row))
}

/// Flag, variable, default and meaning of an argument that clap declares.
fn argument(arg: &Arg) -> [String; 4] {
    let long = arg.get_long().expect("an argument with a flag");
    let takes_value = arg.get_action().takes_values();
    let value = arg.get_value_names().and_then(|names| names.first()).filter(|_| takes_value);
    let upper = long.replace('-', "_").to_uppercase();
    let flag = match (takes_value, value) {
        (false, _) => format!("`--{long}`"),
        (true, Some(value)) => format!("`--{long} {value}`"),
        (true, None) => format!("`--{long} {upper}`"),
    };
    let variable = arg.get_env().and_then(|name| name.to_str());
    let variable = variable.map(|name| format!("`{name}`")).unwrap_or_default();
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let (help, in_words) = match help.split_once(" [default: ") {
        Some((help, default)) => (help.to_owned(), default.trim_end_matches(']').to_owned()),
        None => (help, String::new()),
    };
    let default = match arg.get_default_values().first().and_then(|value| value.to_str()) {
        Some(default) if takes_value && !default.is_empty() => format!("`{default}`"),
        _ => in_words,
    };
    [flag, variable, default, help]
}

/// The whole doc comment; the range stands behind its first paragraph.
fn meaning(setting: &Setting, range: &str) -> String {
    let (first, rest) = setting.paragraphs();
    let range = if range.is_empty() { String::new() } else { format!(" ({range})") };
    let rest = if rest.is_empty() { rest } else { format!(". {}", rest.trim_end_matches('.')) };
    format!("{}{range}{rest}", first.trim_end_matches('.'))
}

fn shown_default(default: DefaultValue) -> String {
    match default {
        DefaultValue::Bytes(bytes) => format!("{} ({})", bytes(), shown_bytes(bytes())),
        _ => default.to_string(),
    }
}

fn shown_range(range: Range) -> String {
    match range {
        Range::Any => String::new(),
        Range::Positive => "from 1".to_owned(),
        Range::Number(min, max) => format!("{min} to {max}"),
        Range::Bytes(min, max) => format!("{} to {}", shown_bytes(min), shown_bytes(max)),
        Range::Time(min, max) => {
            format!("`{}` to `{}`", show_duration(min), show_duration(max))
        }
        Range::Words(words) => words(),
        Range::Described(text) => text.to_owned(),
    }
}

/// In the largest unit without a remainder.
fn shown_bytes(bytes: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    let whole = |shift: u32| bytes > 0 && bytes.trailing_zeros() >= shift;
    match units.iter().find(|(shift, _)| whole(*shift)) {
        Some((shift, unit)) => format!("{} {unit}", bytes >> shift),
        None => bytes.to_string(),
    }
}

fn table<const N: usize>(
    columns: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = format!("| {} |\n|{}\n", columns.join(" | "), " --- |".repeat(N));
    for row in rows {
        writeln!(table, "| {} |", row.join(" | ")).expect("text has room");
    }
    // An empty cell is one space.
    table.replace("|  |", "| |").replace("|  |", "| |")
}

/// The page with the tables between their markers.
fn with_tables(page: &str, tables: &BTreeMap<&'static str, String>) -> String {
    let mut fresh = String::new();
    let mut lines = page.split_inclusive('\n');
    let mut left: Vec<&str> = tables.keys().copied().collect();
    while let Some(line) = lines.next() {
        fresh.push_str(line);
        let Some(name) = line.trim_end().strip_prefix(BEGIN) else { continue };
        let name = name.trim_end_matches(" -->");
        let table = tables.get(name).unwrap_or_else(|| panic!("there is no table {name:?}"));
        left.retain(|known| *known != name);
        let end = lines.find(|line| line.trim_end() == END);
        let end = end.unwrap_or_else(|| panic!("the table {name:?} has no end"));
        fresh.push_str(table);
        fresh.push_str(end);
    }
    assert!(left.is_empty(), "docs/configuration.md has no place for {left:?}");
    fresh
}

#[cfg(test)]
mod tests {
    use audit_lookup::{CalendarDefinition, TableDefinition};
    use serde::de::DeserializeOwned;

    use super::super::keys::KeyEntry;
    use super::*;

    /// serde names the fields that it knows when it meets another.
    fn check_fields<T: DeserializeOwned>(settings: &[Setting]) {
        let Err(error) = toml::from_str::<T>("no-such-field = 1") else { panic!("any field") };
        let mut fields: Vec<&str> = error.message().split('`').skip(3).step_by(2).collect();
        fields.sort_unstable();
        let leaf = |key: String| key.rsplit('.').next().unwrap_or_default().to_owned();
        let mut declared: Vec<_> = settings.iter().map(|setting| leaf(setting.key())).collect();
        declared.sort_unstable();
        assert_eq!(declared, fields);
    }

    #[test]
    fn declarations_without_a_struct_of_their_own_are_the_fields() {
        check_fields::<KeyEntry>(&KEY);
        check_fields::<TableDefinition>(&TABLE);
        check_fields::<CalendarDefinition>(&CALENDAR);
    }

    #[test]
    fn a_variable_is_named_after_its_flag() {
        for setting in CommandLine::ALL.iter().chain(File::settings()) {
            let Some(flag) = setting.flag else { continue };
            let Some(variable) = flag.variable else { continue };
            let upper = flag.long.replace('-', "_").to_uppercase();
            assert_eq!(variable, format!("AUDIT_HOST_{upper}"));
        }
    }
}
