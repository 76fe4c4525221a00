//! Reloads: what is loaded, and what stays as it was.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use audit_lookup::{CalendarDefinition, Definitions, KeyKind, Reloaded, Set, TableDefinition};
use tempfile::TempDir;

fn definitions(folder: &Path) -> Definitions {
    let roles = TableDefinition {
        file: folder.join("roles.csv"),
        kind: KeyKind::Exact,
        key: "user".to_owned(),
        valid_from: None,
        valid_to: None,
        file_bytes_max: None,
        rows_max: None,
    };
    let office = CalendarDefinition {
        time_zone: "UTC".to_owned(),
        hours: vec!["mon-fri 09:00-17:00".to_owned()],
        holidays: Some(folder.join("holidays.csv")),
    };
    Definitions {
        tables: BTreeMap::from([("roles".to_owned(), roles)]),
        calendars: BTreeMap::from([("office".to_owned(), office)]),
    }
}

/// By a rename, so that no reload reads half of it, as users should do.
fn write(folder: &TempDir, name: &str, text: &str) {
    let partial = folder.path().join("partial");
    fs::write(&partial, text).unwrap();
    fs::rename(partial, folder.path().join(name)).unwrap();
}

fn start() -> (TempDir, Definitions, Set) {
    let folder = tempfile::tempdir().unwrap();
    write(&folder, "roles.csv", "user,role\nada,clerk\n");
    write(&folder, "holidays.csv", "date,name\n2025-01-01,New Year\n");
    let definitions = definitions(folder.path());
    let set = Set::load(&definitions).unwrap();
    (folder, definitions, set)
}

fn role(set: &Set) -> Vec<u8> {
    let table = set.table("roles").unwrap();
    table.find("role", [&b"ada"[..]].into_iter(), |_| None, 100).unwrap().unwrap().values
}

fn refusal(reloaded: &Reloaded) -> String {
    assert!(reloaded.changed.is_empty());
    let [refused] = &reloaded.refused[..] else { panic!("{reloaded:?}") };
    format!("{}: {}", refused.name, refused.error)
}

#[test]
fn what_changed_is_loaded_and_nothing_else_is_read() {
    let (folder, definitions, set) = start();
    assert!(set.reload(&definitions, false).set.is_none(), "no file changed");
    write(&folder, "roles.csv", "user,role,rank\nada,admin,1\n");
    let reloaded = set.reload(&definitions, false);
    assert!(reloaded.refused.is_empty());
    let [changed] = &reloaded.changed[..] else { panic!("{reloaded:?}") };
    let next = reloaded.set.unwrap();
    assert_eq!((role(&set), role(&next)), (b"clerk".to_vec(), b"admin".to_vec()));
    assert_eq!(next.generation(), set.generation() + 1);
    assert_eq!(changed.before.as_deref(), Some(set.table("roles").unwrap().version()));
    assert_eq!(next.versions()["roles"], changed.after);
    assert_eq!(next.versions()["office"], set.versions()["office"]);

    write(&folder, "holidays.csv", "date,name\n2025-01-02,Later\n");
    let reloaded = next.reload(&definitions, false);
    assert_eq!(reloaded.changed.len(), 1);
    assert_ne!(reloaded.set.unwrap().versions()["office"], set.versions()["office"]);
}

#[test]
fn the_same_bytes_are_no_change() {
    let (folder, definitions, set) = start();
    write(&folder, "roles.csv", "user,role\nada,clerk\n");
    for every in [false, true] {
        let reloaded = set.reload(&definitions, every);
        assert!(reloaded.changed.is_empty() && reloaded.refused.is_empty());
        let next = reloaded.set.unwrap();
        assert_eq!(next.generation(), set.generation());
        assert!(next.reload(&definitions, false).set.is_none(), "its time stamp is known");
    }
}

#[test]
fn what_cannot_be_loaded_leaves_the_table_as_it_was() {
    let (folder, definitions, set) = start();
    for (text, says) in [
        ("user,role\n", "roles: lookups.roles: "),
        ("user,role\n", "roles.csv: it has no rows"),
        ("", "it is empty"),
        ("user,role\nada,clerk\nada,admin\n", "line 3: duplicate key: line 2 has it already"),
        ("user\nada\n", "the column \"role\" was removed; restart to load it"),
        ("who,role\nada,clerk\n", "lookups.roles.key: the file has no column \"user\""),
    ] {
        write(&folder, "roles.csv", text);
        let reloaded = set.reload(&definitions, false);
        assert!(refusal(&reloaded).contains(says), "{}", refusal(&reloaded));
        assert!(reloaded.set.is_none());
    }
    fs::remove_file(folder.path().join("roles.csv")).unwrap();
    let reloaded = set.reload(&definitions, false);
    assert!(refusal(&reloaded).contains("it cannot be read: No such file"));

    // A valid one next to an invalid one is loaded.
    write(&folder, "holidays.csv", "date\n2025-01-02\n");
    let reloaded = set.reload(&definitions, false);
    assert_eq!((reloaded.changed.len(), reloaded.refused.len()), (1, 1));
    let next = reloaded.set.unwrap();
    assert_eq!(role(&next), b"clerk");
    // Once it is valid it is loaded.
    write(&folder, "roles.csv", "user,role\nada,admin\n");
    assert_eq!(role(&next.reload(&definitions, false).set.unwrap()), b"admin");
}

#[test]
fn holidays_that_are_gone_stay_holidays() {
    let (folder, definitions, set) = start();
    // Wednesday, 2025-01-01T12:00:00Z.
    let noon = 1_735_732_800_000_000;
    let is_open = |set: &Set| {
        let office = set.calendar("office").unwrap();
        office.intervals(noon, noon + 1).unwrap()[0].is_open
    };
    assert!(!is_open(&set));
    for (text, says) in [
        ("", "calendars.office.holidays: "),
        ("", "holidays.csv: it is empty"),
        ("date,name\n", "holidays.csv: it has no rows"),
        ("date,name\r\n\r\n", "holidays.csv: it has no rows"),
        ("date,name\n2025-05-01,\"May", "holidays.csv, line 2: the quote that opens here is not"),
    ] {
        write(&folder, "holidays.csv", text);
        let reloaded = set.reload(&definitions, false);
        assert!(refusal(&reloaded).contains(says), "{}", refusal(&reloaded));
        assert!(reloaded.set.is_none());
        assert!(Set::load(&definitions).is_err(), "nor at a start");
    }
    fs::remove_file(folder.path().join("holidays.csv")).unwrap();
    let reloaded = set.reload(&definitions, false);
    assert!(refusal(&reloaded).contains("holidays.csv: it cannot be read: No such file"));

    // It does not prevent others from being loaded.
    write(&folder, "roles.csv", "user,role\nada,admin\n");
    let reloaded = set.reload(&definitions, false);
    assert_eq!((reloaded.changed.len(), reloaded.refused.len()), (1, 1));
    assert!(!is_open(&reloaded.set.unwrap()));
}

#[test]
fn another_key_column_is_another_version_of_the_same_file() {
    let (_folder, mut definitions, set) = start();
    definitions.tables.get_mut("roles").unwrap().key = "role".to_owned();
    let reloaded = set.reload(&definitions, false);
    let [changed] = &reloaded.changed[..] else { panic!("{reloaded:?}") };
    assert_eq!(changed.before.as_deref(), Some(&*set.versions()["roles"]));
    assert_ne!(changed.before.as_deref(), Some(&*changed.after));
    assert_eq!(reloaded.set.unwrap().versions()["roles"], changed.after);
}

#[test]
fn definitions_may_change_as_long_as_plugins_find_what_they_rely_on() {
    let (folder, mut definitions, set) = start();
    let mut added = definitions.tables["roles"].clone();
    added.file = folder.path().join("more.csv");
    write(&folder, "more.csv", "user,x\na,1\n");
    definitions.tables.insert("more".to_owned(), added);
    let reloaded = set.reload(&definitions, false);
    assert_eq!(reloaded.changed[0].before, None);
    let set = reloaded.set.unwrap();
    assert!(set.has("more"));

    definitions.tables.remove("more");
    let reloaded = set.reload(&definitions, true);
    assert!(reloaded.set.unwrap().has("more"), "a plugin may still ask for it");

    let roles = definitions.tables.get_mut("roles").unwrap();
    (roles.valid_from, roles.valid_to) = (Some("from".to_owned()), Some("to".to_owned()));
    write(&folder, "roles.csv", "user,role,from,to\nada,clerk,,\n");
    let said = refusal(&set.reload(&definitions, false));
    assert!(said.contains("restart to load it"), "{said}");
}

#[test]
fn names_are_one_of_a_kind() {
    let (_folder, mut definitions, _) = start();
    let calendar = definitions.calendars["office"].clone();
    definitions.calendars.insert("roles".to_owned(), calendar.clone());
    let said = Set::load(&definitions).unwrap_err().to_string();
    assert!(said.contains("calendars.roles: lookups.roles has the same name"), "{said}");
    definitions.calendars.remove("roles");
    definitions.calendars.insert("a b\n".to_owned(), calendar);
    let said = Set::load(&definitions).unwrap_err().to_string();
    assert!(said.contains("a name is 1 to 64 letters") && !said.contains('\n'), "{said}");
}
