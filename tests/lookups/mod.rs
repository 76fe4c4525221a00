//! Tables, calendars and keys through the boundary: the guest `tests/guests/look-up` in the chain that the
//! program uses.

mod running;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context, Result, ensure};
use arrow::array::{AsArray, StringArray};
use arrow::datatypes::Int64Type;
use audit_chain::{Engine, Granted, Key, Keys, Plugin, PluginChain, PluginSource};
use audit_core::stage::Chain;
use audit_core::{ChangeKind, Judged, PluginChange};
use audit_lookup::{CalendarDefinition, Definitions, KeyKind, Lookups, Set, TableDefinition};
use audit_tests::chain::asked;
use audit_tests::{env, files};
use serde_json::{Value, json};

use crate::abi::batches;

const ROWS: usize = 50;
/// The column with the user.
const USER: &str = "user_id";

/// Files of a test, as a person writes them.
struct Place {
    folder: std::path::PathBuf,
}

impl Place {
    fn new(name: &str) -> Result<Self> {
        let place = Self { folder: env::folder(name)? };
        place.write_roles("clerk")?;
        Ok(place)
    }

    /// The role of every user of [`batches::ordinary_from`], at all times.
    fn write_roles(&self, role: &str) -> Result<()> {
        let user = |row| format!("{},{role},,\n", batches::ordinary(row, USER));
        let rows: String = (0..ROWS).map(user).collect();
        let text = format!("user,role,from,to\n{rows}");
        files::put(&self.folder.join("roles.csv"), text)
    }

    fn definitions(&self) -> Definitions {
        let roles = TableDefinition {
            file: self.folder.join("roles.csv"),
            kind: KeyKind::Exact,
            key: "user".to_owned(),
            valid_from: Some("from".to_owned()),
            valid_to: Some("to".to_owned()),
            file_bytes_max: None,
            rows_max: None,
        };
        // The events of the batches are of a Thursday at noon in UTC.
        let office = CalendarDefinition {
            time_zone: "Europe/Berlin".to_owned(),
            hours: vec!["mon-fri 09:00-17:00".to_owned()],
            holidays: None,
        };
        Definitions {
            tables: BTreeMap::from([("roles".to_owned(), roles)]),
            calendars: BTreeMap::from([("office".to_owned(), office)]),
        }
    }

    fn lookups(&self) -> Result<Lookups> {
        Ok(Lookups::new(Set::load(&self.definitions())?))
    }
}

fn source(lookups: &Lookups, granted: &[&str], config: &Value) -> Result<PluginSource> {
    let names = granted.iter().map(|&name| name.to_owned()).collect();
    let key = Key::new(b"0123456789abcdef0123456789abcdef");
    Ok(PluginSource {
        config: config.to_string(),
        keys: Keys::from([("pii".to_owned(), key)]),
        lookups: Granted { names, lookups: lookups.clone() },
        ..PluginSource::new("look_up.wasm", fs::read(env::guest("look_up")?)?)
    })
}

fn config() -> Value {
    json!({ "table": "roles", "calendar": "office", "key": "pii" })
}

fn chain(lookups: &Lookups) -> Result<PluginChain> {
    let engine = Engine::new()?;
    let plugin = Plugin::load(&engine, source(lookups, &["roles", "office"], &config())?)?;
    Ok(PluginChain::new(vec![plugin])?.looking_up(lookups.clone()))
}

fn judge(chain: &mut PluginChain, first: i64) -> Result<Judged> {
    let judged = chain.judge(batches::ordinary_from(first, ROWS)?)?;
    ensure!(judged.dead_letters.is_empty(), "{:?}", judged.dead_letters);
    ensure!(judged.rows.num_rows() == ROWS);
    Ok(judged)
}

fn column<'a>(judged: &'a Judged, name: &str) -> Result<&'a StringArray> {
    Ok(judged.rows.column_by_name(name).context("no column")?.as_string::<i32>())
}

/// Every row has this role.
fn has_role(judged: &Judged, role: &str) -> Result<()> {
    let roles = column(judged, "role")?;
    ensure!(roles.iter().all(|found| found == Some(role)), "{roles:?} is not {role}");
    Ok(())
}

fn generation(judged: &Judged) -> Result<i64> {
    let generations = judged.rows.column_by_name("generation").context("no column")?;
    let generations = generations.as_primitive::<Int64Type>();
    ensure!(generations.values().iter().all(|of_row| *of_row == generations.value(0)));
    Ok(generations.value(0))
}

#[test]
fn a_plugin_gets_what_it_is_granted_and_nothing_else() -> Result<()> {
    let place = Place::new("lookups-granted")?;
    let lookups = place.lookups()?;
    let judged = judge(&mut chain(&lookups)?, 0)?;
    has_role(&judged, "clerk")?;
    let open = judged.rows.column_by_name("is_open").context("no column")?.as_boolean();
    ensure!(open.iter().all(|open| open == Some(true)), "{open:?}");

    let key = Key::new(b"0123456789abcdef0123456789abcdef");
    let users = column(&judged, USER)?;
    for (sealed, user) in column(&judged, "sealed")?.iter().zip(users) {
        let (sealed, user) = (sealed.context("null")?, user.context("null")?);
        ensure!(key.open("user_id", user, sealed)? == user.as_bytes());
    }
    let tokens = column(&judged, "token")?;
    ensure!(tokens.value(0).starts_with("tok_3e3774c4_") && tokens.value(0).len() == 39);
    let distinct: BTreeSet<_> = tokens.iter().collect();
    ensure!(distinct.len() == ROWS, "not every user has a token of its own: {distinct:?}");
    let again = judge(&mut chain(&lookups)?, 0)?;
    ensure!(
        column(&again, "token")? == tokens
            && column(&again, "sealed")? == column(&judged, "sealed")?
    );

    let engine = Engine::new()?;
    let refused = |granted: &[&str], config: Value, says: &str| -> Result<()> {
        let refused = Plugin::load(&engine, source(&lookups, granted, &config)?).err();
        let said = format!("{:#}", refused.context("it was loaded")?);
        ensure!(said.contains(says), "{said}");
        Ok(())
    };
    refused(&["office"], config(), "key \"table\": no table or calendar roles is granted")?;
    refused(&["roles"], config(), "key \"calendar\": no table or calendar office is granted")?;
    let other = json!({ "table": "roles", "calendar": "office", "key": "pij" });
    refused(&["roles", "office"], other, "key \"key\": it is not granted")?;
    Ok(())
}

/// Reads the files again, as a running host does, and gives what changed to the chain.
fn reload(
    chain: &mut PluginChain,
    lookups: &Lookups,
    definitions: &Definitions,
) -> Result<Vec<PluginChange>> {
    let reloaded = lookups.current().reload(definitions, false);
    ensure!(reloaded.refused.is_empty(), "{:?}", reloaded.refused);
    let set = reloaded.set.context("nothing was read")?;
    let control = chain.control();
    let change = PluginChange {
        kind: ChangeKind::LookupReplaced,
        plugin: "roles".to_owned(),
        source: "roles.csv".to_owned(),
        at: 0,
        before: None,
        after: None,
        from: BTreeMap::new(),
        reason: "a test".to_owned(),
    };
    let (taken, recorded) = asked(chain, move || control.take_lookups(set, vec![change]))?;
    taken?;
    Ok(recorded)
}

#[test]
fn a_changed_table_is_seen_from_the_next_batch_on() -> Result<()> {
    let place = Place::new("lookups-changed")?;
    let lookups = place.lookups()?;
    let mut chain = chain(&lookups)?;
    let before = chain.lookups();
    let judged = judge(&mut chain, 0)?;
    has_role(&judged, "clerk")?;
    let first = generation(&judged)?;

    place.write_roles("admin")?;
    has_role(&judge(&mut chain, 100)?, "clerk")?;
    let changes = reload(&mut chain, &lookups, &place.definitions())?;
    let judged = judge(&mut chain, 200)?;
    has_role(&judged, "admin")?;
    ensure!(generation(&judged)? == first + 1);
    ensure!(chain.lookups()["roles"] != before["roles"]);
    ensure!(chain.lookups()["office"] == before["office"]);
    let [change] = &changes[..] else { anyhow::bail!("{changes:?}") };
    ensure!(change.from.values().eq([&150]), "from where it holds: {change:?}");
    Ok(())
}

#[test]
fn components_import_what_they_call_and_those_of_the_first_release_load() -> Result<()> {
    let engine = Engine::new()?;
    let imports = |path: String| -> Result<Vec<String>> {
        let plugin = Plugin::load(&engine, PluginSource::new(path.clone(), fs::read(&path)?))?;
        Ok(plugin.interfaces().imports.iter().map(|(name, _)| name.clone()).collect())
    };
    let asks_for_lookups = |imports: &[String]| {
        imports.iter().any(|name| name.starts_with("audit-host:plugin/lookup@"))
    };
    ensure!(!asks_for_lookups(&imports(env::guest("copy_column")?)?));
    ensure!(!asks_for_lookups(&imports(env::plugin("detect_failed_logins")?)?));
    // Built against wit/released/0.1.0.
    let old = imports(env::guest("files_and_sockets")?)?;
    ensure!(old.iter().any(|name| name == "audit-host:plugin/types@0.1.0"), "{old:?}");
    let place = Place::new("lookups-imports")?;
    let source = source(&place.lookups()?, &["roles", "office"], &config())?;
    let plugin = Plugin::load(&engine, source)?;
    let new: Vec<_> = plugin.interfaces().imports.iter().map(|(name, _)| name.clone()).collect();
    ensure!(asks_for_lookups(&new), "{new:?}");
    Ok(())
}
