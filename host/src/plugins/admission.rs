//! Whether plugins may do what they declare: against what the operator grants, and what the table has pinned.
//!
//! A plugin that the configuration names is accepted as it is the first time, and pinned: what it reads and writes.
//! From then on it gets no column more, unless the operator says so. What a chain has replaced must stay replaced,
//! and that is proved.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use audit_chain::{Binding, Plugin, Proof};
use audit_sink::{Pin, PinBook, Pins};

use crate::config::{PluginEntry, Wanted, heading, name_of, without_order};
use crate::error::Error;

/// A plugin as it is about to judge.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) entry: PluginEntry,
    pub(crate) name: String,
    pub(crate) sha256: String,
    pub(crate) binding: Binding,
}

/// What a person gave up for one start.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct GivenUp {
    /// Columns that had to be replaced until now.
    pub(crate) columns: Vec<String>,
    /// By plugin the settings that it had until now.
    pub(crate) settings: Vec<(String, String)>,
}

impl Candidate {
    pub(crate) fn new(entry: &PluginEntry, plugin: &Plugin) -> Self {
        let id = plugin.id();
        let (name, sha256) = (id.name.clone(), id.sha256.clone());
        Self { entry: entry.clone(), name, sha256, binding: plugin.binding() }
    }

    /// What the operator has set for it: a pinned digest, and its configuration as paths to its keys.
    fn settings(&self) -> BTreeSet<String> {
        let mut settings = BTreeSet::new();
        if self.entry.sha256.is_some() {
            settings.insert(SHA256.to_owned());
        }
        let config = serde_json::from_str(&self.entry.config).unwrap_or_default();
        add_keys(&config, "config", SETTINGS_DEPTH, &mut settings);
        settings
    }

    /// Those that must not be lost without a word. What a plugin that replaces nothing is told hides nothing.
    fn settings_to_keep(&self) -> BTreeSet<String> {
        let mut settings = self.settings();
        if !audit_chain::replaceable().any(|column| self.binding.writes.contains(column)) {
            settings.retain(|path| path == SHA256);
        }
        if settings.len() > SETTINGS_MAX {
            // Every commit carries them along: of so many only the headings.
            settings = settings.iter().map(|path| heading_of(path)).collect();
        }
        settings
    }
}

/// The setting that pins a component.
const SHA256: &str = "sha256";
/// Levels of keys below `config` that are remembered.
const SETTINGS_DEPTH: usize = 2;
/// Settings that are remembered one by one.
const SETTINGS_MAX: usize = 200;

fn add_keys(value: &serde_json::Value, path: &str, depth: usize, keys: &mut BTreeSet<String>) {
    match value.as_object() {
        Some(object) if depth > 0 && !object.is_empty() => {
            for (key, value) in object {
                add_keys(value, &format!("{path}.{key}"), depth - 1, keys);
            }
        }
        _ if path != "config" => drop(keys.insert(path.to_owned())),
        _ => {}
    }
}

fn heading_of(path: &str) -> String {
    path.splitn(3, '.').take(2).collect::<Vec<_>>().join(".")
}

/// Refuses a plugin that may do more, or has lost what it was told.
pub(crate) fn check_candidate(candidate: &Candidate, pins: Option<&Pins>) -> Result<(), Error> {
    check_columns(candidate, pins)?;
    let keys = lost_settings(candidate, pins);
    if keys.is_empty() {
        return Ok(());
    }
    let plugin = candidate.name.clone();
    Err(Error::LostSettings { plugin, keys: keys.join(", ") })
}

/// What was accepted under its name. A file keeps its plugin: one that calls itself otherwise gets no more than the one
/// before, and loses nothing of what that was told.
fn pin_of<'a>(candidate: &Candidate, pins: Option<&'a Pins>) -> Option<&'a Pin> {
    let pins = pins?;
    let own = pins.plugins.get(&candidate.name);
    own.or_else(|| pins.of_source(&candidate.entry.origin())).or_else(|| {
        // A file of the folder that got another number is in the place of the one before.
        let has_place = |pin: &&Pin| is_same_place(&pin.source, &candidate.entry.origin());
        pins.plugins.values().filter(|_| candidate.entry.from_folder).find(has_place)
    })
}

/// Whether two files stand in one folder and differ in the digits that order it alone.
fn is_same_place(one: &str, other: &str) -> bool {
    let bare = |path: &str| without_order(name_of(path)).to_owned();
    Path::new(one).parent() == Path::new(other).parent() && bare(one) == bare(other)
}

/// Refuses a file that appears in the folder and would share what is granted to another plugin: only what is granted
/// by name is granted, and a name is for one.
pub(crate) fn check_grant(
    entry: &PluginEntry,
    all: &[PluginEntry],
    pins: Option<&Pins>,
) -> Result<(), Error> {
    let Some(pins) = pins.filter(|_| entry.from_folder && entry.granted_by.is_some()) else {
        return Ok(());
    };
    let is_known = |entry: &PluginEntry| pins.of_source(&entry.origin()).is_some();
    let shares = |other: &&PluginEntry| {
        other.origin() != entry.origin() && other.granted_by == entry.granted_by && is_known(other)
    };
    match all.iter().find(shares).filter(|_| !is_known(entry)) {
        None => Ok(()),
        Some(other) => Err(Error::GrantTaken {
            plugin: entry.origin(),
            grant: heading(entry.granted_by.as_deref().unwrap_or_default()),
            other: other.origin(),
        }),
    }
}

/// The settings that it was accepted with, and no longer has.
fn lost_settings(candidate: &Candidate, pins: Option<&Pins>) -> Vec<String> {
    let Some(pin) = pin_of(candidate, pins) else { return Vec::new() };
    let now = candidate.settings();
    let is_there = |path: &&String| {
        let is_below = |other: &String| {
            other.strip_prefix(path.as_str()).is_some_and(|rest| rest.starts_with('.'))
        };
        now.contains(*path) || now.iter().any(is_below)
    };
    pin.settings.iter().filter(|path| !is_there(path)).cloned().collect()
}

/// Refuses a file of a watched folder that nobody has named. Before anything of it is compiled.
pub(crate) fn check_file(
    entry: &PluginEntry,
    folder: Option<&str>,
    pins: Option<&Pins>,
) -> Result<(), Error> {
    let Some(pins) = pins.filter(|_| entry.from_folder && entry.granted_by.is_none()) else {
        return Ok(());
    };
    let origin = entry.origin();
    // A folder that is new to the group was named with what it holds.
    let is_new = folder.is_some_and(|folder| !pins.folders.contains(folder));
    if is_new || pins.of_source(&origin).is_some() {
        return Ok(());
    }
    Err(Error::NeedsGrant { plugin: origin, line: heading(name_of(&entry.path)) })
}

/// Refuses a plugin that reads or writes more than it may.
pub(crate) fn check_columns(candidate: &Candidate, pins: Option<&Pins>) -> Result<(), Error> {
    let Candidate { entry, name, sha256, binding } = candidate;
    let pin = pin_of(candidate, pins);
    // The component that was accepted, with another configuration by the operator: it does as it is told.
    let is_told = pin.is_some_and(|pin| pin.sha256 == *sha256) && !entry.configured_beside;
    for (verb, columns, granted, pinned) in [
        ("reads", &binding.reads, &entry.reads, pin.map(|pin| &pin.reads)),
        ("writes", &binding.writes, &entry.writes, pin.map(|pin| &pin.writes)),
    ] {
        let may = |column: &String| match (granted, pinned) {
            (Some(granted), _) => granted.contains(column),
            (None, Some(pinned)) => is_told || pinned.contains(column),
            (None, None) => true,
        };
        let more: Vec<&str> =
            columns.iter().filter(|column| !may(column)).map(String::as_str).collect();
        if !more.is_empty() {
            let (plugin, columns_shown) = (name.clone(), more.join(", "));
            let line = format!("{verb} = [{}]", quoted(columns));
            let place = place_of(entry);
            return Err(Error::NotGranted { plugin, verb, columns: columns_shown, place, line });
        }
    }
    Ok(())
}

/// Where the configuration file grants something to a plugin.
fn place_of(entry: &PluginEntry) -> String {
    if entry.from_folder {
        heading(entry.granted_by.as_deref().unwrap_or_else(|| name_of(&entry.path)))
    } else {
        format!("[[plugin]] with path = {:?}", entry.path)
    }
}

fn quoted(columns: &BTreeSet<String>) -> String {
    columns.iter().map(|column| format!("{column:?}")).collect::<Vec<_>>().join(", ")
}

/// The columns that must be replaced, with the kinds of marks that must not come out.
pub(crate) fn required(wanted: &Wanted, pins: Option<&Pins>) -> BTreeMap<String, BTreeSet<String>> {
    let mut required = pins.map(|pins| pins.replaced.clone()).unwrap_or_default();
    for column in &wanted.require_replaced {
        required.entry(column.clone()).or_default();
    }
    required
}

/// Adds what is hidden now to what must stay so. A plugin that declares to replace a column, and returns it as it came,
/// has hidden nothing.
fn keep_replaced(pins: &mut Pins, proof: &Proof) {
    for (column, hidden) in proof.hidden.iter().filter(|(_, hidden)| !hidden.is_empty()) {
        pins.replaced.entry(column.clone()).or_default().extend(hidden.iter().cloned());
    }
}

/// Columns that a person gives up although all that they hid until now is hidden still: nothing would be stored as it
/// came, so that giving them up could only help a later mistake.
fn still_hidden<'a>(
    allowed: &'a [String],
    pins: &Pins,
    proof: &Proof,
) -> impl Iterator<Item = &'a String> {
    allowed.iter().filter(|column| {
        let until_now = pins.replaced.get(*column);
        let now = proof.hidden.get(*column);
        until_now.zip(now).is_some_and(|(until_now, now)| until_now.is_subset(now))
    })
}

/// Pins a plugin that was accepted. What was accepted before stays so: a rollback needs no grant.
fn pin(pins: &mut Pins, candidate: &Candidate) {
    let pin = pins.plugins.entry(candidate.name.clone()).or_default();
    pin.source = candidate.entry.origin();
    pin.sha256.clone_from(&candidate.sha256);
    pin.reads.extend(candidate.binding.reads.iter().cloned());
    pin.writes.extend(candidate.binding.writes.iter().cloned());
    pin.settings = candidate.settings_to_keep();
}

/// Checks the chain of a start, and pins it. Returns what a person has given up that was required until now: columns
/// (`--allow-unredacted`) and settings (`--allow-lost-settings`).
pub(crate) fn admit_start(
    wanted: &Wanted,
    candidates: &[Candidate],
    proof: &Proof,
    (allowed, may_lose): (&[String], &[String]),
    book: &PinBook,
) -> Result<GivenUp, anyhow::Error> {
    let before = book.get();
    let mut given_up = GivenUp::default();
    for candidate in candidates {
        if !may_lose.contains(&candidate.name) {
            check_candidate(candidate, before.as_ref())?;
            continue;
        }
        check_columns(candidate, before.as_ref())?;
        let lost = lost_settings(candidate, before.as_ref());
        if !lost.is_empty() {
            given_up.settings.push((candidate.name.clone(), lost.join(", ")));
        }
    }
    let mut pins = before.unwrap_or_default();
    let still_hidden: BTreeSet<&String> = still_hidden(allowed, &pins, proof).collect();
    for column in &still_hidden {
        tracing::warn!(column, "--allow-unredacted has no effect: the column is still replaced");
    }
    let allowed: Vec<&String> =
        allowed.iter().filter(|column| !still_hidden.contains(column)).collect();
    let given_up_now = allowed.iter().filter(|column| pins.replaced.remove(**column).is_some());
    given_up.columns = given_up_now.map(|column| (*column).clone()).collect();
    let mut required = required(wanted, Some(&pins));
    required.retain(|column, _| !allowed.contains(&column));
    proof.check(&required)?;
    keep_replaced(&mut pins, proof);
    for column in allowed {
        // What a person gives up is not taken back because a part of it is still hidden.
        pins.replaced.remove(column);
    }
    for candidate in candidates {
        pin(&mut pins, candidate);
    }
    pins.folders.extend(wanted.folder.iter().map(|folder| folder_name(folder)));
    pins.refused.clear();
    book.set(pins);
    Ok(given_up)
}

/// The same for what a reload has swapped in, after it was checked.
pub(crate) fn admit_reload(
    candidates: impl IntoIterator<Item = Candidate>,
    proof: &Proof,
    book: &PinBook,
) {
    let mut pins = book.get().unwrap_or_default();
    for candidate in candidates {
        pin(&mut pins, &candidate);
    }
    keep_replaced(&mut pins, proof);
    book.set(pins);
}

/// A folder as it is pinned.
pub(crate) fn folder_name(folder: &std::path::Path) -> String {
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    absolute.display().to_string()
}

/// Says what a mask costs: two addresses that became the same text are one user to every report.
pub(crate) fn report_merged(proof: &Proof) {
    for column in proof.merged.iter().filter(|column| *column == "user_email") {
        tracing::warn!(
            column,
            "different addresses are stored as the same text: reports cannot group by this column; a token-key of \
             redact_pii keeps them apart (docs/plugins/redact_pii.md)"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &str) -> BTreeSet<String> {
        names.split_whitespace().map(str::to_owned).collect()
    }

    fn candidate(entry: &PluginEntry, sha256: &str, reads: &str, writes: &str) -> Candidate {
        let binding = Binding { reads: set(reads), writes: set(writes) };
        let (name, sha256) = ("p".to_owned(), sha256.to_owned());
        Candidate { entry: entry.clone(), name, sha256, binding }
    }

    /// What is said about a candidate, with a pin of version `a` that reads and writes `details`.
    fn said(candidate: &Candidate) -> String {
        let pin = Pin {
            source: "/p.wasm".to_owned(),
            sha256: "a".to_owned(),
            reads: set("details"),
            writes: set("details"),
            ..Pin::default()
        };
        let pins = Pins { plugins: BTreeMap::from([("p".to_owned(), pin)]), ..Pins::default() };
        let checked = check_columns(candidate, Some(&pins));
        checked.err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn another_component_gets_no_column_more_unless_it_is_granted() {
        let listed = PluginEntry::plain("/p.wasm");
        let with = |reads: &[&str]| PluginEntry {
            reads: Some(reads.iter().map(|name| (*name).to_owned()).collect()),
            ..listed.clone()
        };
        assert_eq!(said(&candidate(&listed, "b", "details", "details")), "");
        assert_eq!(said(&candidate(&listed, "b", "", "")), "", "fewer");
        let more = said(&candidate(&listed, "b", "details user_id", "details"));
        let line = r#"reads = ["details", "user_id"]"#;
        assert!(more.contains("reads user_id") && more.contains(line), "{more}");
        assert!(more.contains("[[plugin]] with path = \"/p.wasm\""), "{more}");
        let writes = said(&candidate(&listed, "b", "details", "details user_id"));
        assert!(writes.contains(r#"writes = ["details", "user_id"]"#), "{writes}");
        // The operator's own configuration of the accepted component, and a file in the folder.
        assert_eq!(said(&candidate(&listed, "a", "details user_id", "details")), "");
        let beside = PluginEntry { from_folder: true, configured_beside: true, ..listed.clone() };
        let more = said(&candidate(&beside, "a", "details user_id", "details"));
        assert!(more.contains("[plugins.grants.p]"), "{more}");
        // What is granted counts, whatever was pinned.
        assert_eq!(said(&candidate(&with(&["details", "user_id"]), "b", "user_id", "")), "");
        assert!(
            said(&candidate(&with(&["user_id"]), "a", "details", "")).contains("reads details")
        );
        // Another name in the same file.
        let renamed = Candidate {
            name: "q".to_owned(),
            ..candidate(&listed, "b", "details user_id", "details")
        };
        assert!(said(&renamed).contains("q reads user_id"));
    }

    #[test]
    fn a_file_that_appears_in_a_known_folder_must_be_named() {
        let file = PluginEntry { from_folder: true, ..PluginEntry::plain("/plugins/10-new.wasm") };
        let pins = Pins { folders: set("/plugins"), ..Pins::default() };
        let refused =
            |entry: &PluginEntry, folder, pins| check_file(entry, Some(folder), pins).err();
        let error = refused(&file, "/plugins", Some(&pins)).unwrap().to_string();
        assert!(error.contains("[plugins.grants.10-new]"), "{error}");
        assert!(refused(&file, "/plugins", None).is_none(), "the group's first start");
        assert!(refused(&file, "/others", Some(&pins)).is_none(), "a folder that is new to it");
        let named = PluginEntry { granted_by: Some("new".to_owned()), ..file.clone() };
        assert!(refused(&named, "/plugins", Some(&pins)).is_none());
        let pin = Pin { source: "/plugins/10-new.wasm".to_owned(), ..Pin::default() };
        let known = Pins { plugins: BTreeMap::from([("n".to_owned(), pin)]), ..pins.clone() };
        assert!(refused(&file, "/plugins", Some(&known)).is_none());
    }

    #[test]
    fn a_grant_is_for_one_plugin_of_the_folder() {
        let file = |name: &str| PluginEntry {
            from_folder: true,
            granted_by: Some("redact".to_owned()),
            ..PluginEntry::plain(&format!("/plugins/{name}.wasm"))
        };
        let (known, new) = (file("20-redact"), file("00-redact"));
        let mut pins = Pins::default();
        pin(&mut pins, &candidate(&known, "a", "details", "details"));
        let all = [new.clone(), known.clone()];
        let error = check_grant(&new, &all, Some(&pins)).unwrap_err().to_string();
        assert!(
            error.contains("[plugins.grants.redact]") && error.contains("20-redact"),
            "{error}"
        );
        assert!(check_grant(&known, &all, Some(&pins)).is_ok());
        assert!(check_grant(&new, &all, None).is_ok(), "the group's first start");
        // Alone it is the same plugin under another number, and gets no column more.
        assert!(check_grant(&new, std::slice::from_ref(&new), Some(&pins)).is_ok());
        let renamed = |file: &PluginEntry| Candidate {
            name: "q".to_owned(),
            ..candidate(file, "b", "details user_id", "details")
        };
        assert!(check_columns(&renamed(&new), Some(&pins)).is_err());
        assert!(check_columns(&renamed(&file("00-other")), Some(&pins)).is_ok());
    }

    #[test]
    fn settings_are_lost_only_with_a_word() {
        let with = |config: &str, sha256: Option<&str>| {
            let entry = PluginEntry {
                config: config.to_owned(),
                sha256: sha256.map(str::to_owned),
                ..PluginEntry::plain("/p.wasm")
            };
            candidate(&entry, "a", "details", "details")
        };
        let whole = r#"{"fields": {"a": "mask", "b": "drop"}, "free-text": ["details"], "x": {}}"#;
        for (after, sha256, expected) in [
            (whole, Some("a"), ""),
            (whole, None, "sha256"),
            (r#"{"fields": {"a": "keep", "b": {"c": 1}}, "free-text": [], "x": 1}"#, Some("b"), ""),
            (
                r#"{"fields": {"a": "mask"}, "free-text": [], "x": {}}"#,
                Some("a"),
                "config.fields.b",
            ),
            ("{}", None, "config.fields.a, config.fields.b, config.free-text, config.x, sha256"),
        ] {
            let mut pins = Pins::default();
            pin(&mut pins, &with(whole, Some("a")));
            let said = check_candidate(&with(after, sha256), Some(&pins)).err();
            let said = said.map(|error| error.to_string()).unwrap_or_default();
            let expected =
                if expected.is_empty() { String::new() } else { format!(" lost {expected}:") };
            assert!(
                said.contains(&expected) && said.is_empty() == expected.is_empty(),
                "{after}: {said}"
            );
        }
        // Nor by another plugin in the same file.
        let mut pins = Pins::default();
        pin(&mut pins, &with(whole, Some("a")));
        let renamed = Candidate { name: "q".to_owned(), ..with(whole, None) };
        let said = check_candidate(&renamed, Some(&pins)).unwrap_err().to_string();
        assert!(said.contains("q has lost sha256"), "{said}");
        // Of a plugin that hides nothing only the digest counts.
        let mut pins = Pins::default();
        let detector =
            |config: &str| Candidate { binding: Binding::default(), ..with(config, None) };
        pin(&mut pins, &detector(whole));
        assert!(check_candidate(&detector("{}"), Some(&pins)).is_ok());
        // Of very many the headings count.
        let many: Vec<_> = (0..300).map(|n| format!("\"k{n}\": 1")).collect();
        let many = format!("{{\"fields\": {{{}}}}}", many.join(","));
        pin(&mut pins, &with(&many, None));
        assert_eq!(pins.plugins["p"].settings, set("config.fields"));
        assert!(check_candidate(&with(r#"{"fields": {"k1": 1}}"#, None), Some(&pins)).is_ok());
        assert!(check_candidate(&with("{}", None), Some(&pins)).is_err());
    }

    #[test]
    fn what_was_replaced_once_stays_required_until_it_is_given_up() {
        let hidden = |columns: &str| Proof {
            hidden: set(columns).into_iter().map(|column| (column, set("email"))).collect(),
            leaked: set(columns).into_iter().map(|column| (column, set("word"))).collect(),
            ..Proof::default()
        };
        let (wanted, book) = (Wanted::default(), PinBook::default());
        let start = |wanted: &Wanted, proof: &Proof, allowed: &[&str]| {
            let allowed: Vec<String> = allowed.iter().map(|name| (*name).to_owned()).collect();
            let given_up = admit_start(wanted, &[], proof, (&allowed, &[]), &book);
            given_up.map(|given_up| given_up.columns).map_err(|error| format!("{error:#}"))
        };
        assert_eq!(start(&wanted, &hidden("user_email details"), &[]), Ok(vec![]));
        let refused = start(&wanted, &hidden("details"), &[]).unwrap_err();
        assert!(refused.contains("--allow-unredacted user_email"), "{refused}");
        let narrowed = Wanted { require_replaced: vec!["details".to_owned()], ..Wanted::default() };
        assert!(start(&narrowed, &hidden("details"), &[]).is_err(), "the file loosens nothing");
        // What a flag gives up that is hidden still stays required.
        assert_eq!(start(&wanted, &hidden("user_email details"), &["user_email"]), Ok(vec![]));
        assert!(start(&wanted, &hidden("details"), &[]).is_err(), "nothing was given up");
        let given_up = start(&wanted, &hidden("details"), &["user_email"]);
        assert_eq!(given_up, Ok(vec!["user_email".to_owned()]));
        // Once is enough.
        assert_eq!(start(&wanted, &hidden("details"), &["user_email"]), Ok(vec![]));
        assert_eq!(start(&wanted, &hidden("details"), &[]), Ok(vec![]));
        let more = Wanted { require_replaced: vec!["user_id".to_owned()], ..Wanted::default() };
        assert!(start(&more, &hidden("details"), &[]).is_err());
        // What the file names is required besides what is hidden, not in its place.
        let two = "details user_id user_agent";
        assert_eq!(start(&more, &hidden(two), &[]), Ok(vec![]));
        assert!(start(&more, &hidden("details user_id"), &[]).is_err());
    }
}
