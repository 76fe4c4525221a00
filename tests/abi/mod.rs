//! Conformance: every component in the plugins' folder keeps the contract of `wit/`, driven by the
//! chain that the program uses, without a broker.

pub(crate) mod batches;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use arrow::array::RecordBatch;
use audit_chain::{Engine, Granted, Plugin, PluginChain, PluginSource};
use audit_core::stage::Chain;
use audit_core::{Judged, PluginState, schema};
use audit_lookup::{KeyKind, Lookups, Set, Table, TableDefinition};
use audit_tests::env;

use batches::Named;

/// Every component that was built.
fn components() -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(env::plugins()?)?.collect::<Result<Vec<_>, _>>()?;
    let mut paths: Vec<_> = entries.into_iter().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "wasm"));
    paths.sort();
    ensure!(!paths.is_empty(), "no component in {}", env::plugins()?.display());
    Ok(paths)
}

/// The minimal configuration of a component: nothing, or a table of roles.
fn least(path: &Path) -> &'static str {
    match path.file_stem().and_then(OsStr::to_str) {
        Some("detect_privilege_change") => r#"{"roles": "roles"}"#,
        _ => "{}",
    }
}

fn load_least(engine: &Engine, path: &Path) -> Result<PluginChain> {
    load(engine, path, least(path))
}

fn load(engine: &Engine, path: &Path, config: &str) -> Result<PluginChain> {
    let lookups = roles()?;
    let source = PluginSource {
        config: config.to_owned(),
        lookups: Granted { names: ["roles".to_owned()].into(), lookups: lookups.clone() },
        ..PluginSource::new(path.display().to_string(), fs::read(path)?)
    };
    Ok(PluginChain::new(vec![Plugin::load(engine, source)?])?.looking_up(lookups))
}

fn roles() -> Result<Lookups> {
    let definition = TableDefinition {
        file: PathBuf::from("roles.csv"),
        kind: KeyKind::Exact,
        key: "user_id".to_owned(),
        valid_from: None,
        valid_to: None,
        file_bytes_max: None,
        rows_max: None,
    };
    let table = Table::from_csv("lookups.roles", &definition, "user_id,role\nuser_002,admin\n")?;
    let tables = BTreeMap::from([("roles".to_owned(), table)]);
    Ok(Lookups::new(Set::of(tables, BTreeMap::new())))
}

fn judge(chain: &mut PluginChain, batch: &Named) -> Result<Judged> {
    chain.judge((batch.make)()?).with_context(|| format!("the batch `{}`", batch.name))
}

/// A judgement in a form that can be compared.
fn shown(judged: &Judged) -> String {
    let rejects: Vec<_> = judged.dead_letters.iter().map(|l| (l.offset, &l.reason)).collect();
    format!("{:?}\n{rejects:?}\n{:?}", judged.rows, judged.alerts)
}

fn states_of(states: &[PluginState]) -> Vec<(u32, &[u8])> {
    states.iter().map(|state| (state.state_version, state.bytes.as_slice())).collect()
}

/// A component that was not built would be tested by nothing here.
#[test]
fn every_plugin_of_the_repository_is_among_the_components() -> Result<()> {
    let plugins = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins");
    let mut n_plugins = 0;
    for entry in fs::read_dir(&plugins).with_context(|| plugins.display().to_string())? {
        let manifest = entry?.path().join("Cargo.toml");
        let is_component = |text: &str| text.contains("crate-type = [\"cdylib\"");
        if fs::read_to_string(&manifest).is_ok_and(|text| is_component(&text)) {
            let folder = manifest.parent().and_then(Path::file_name).and_then(OsStr::to_str);
            let folder = folder.context("the name of a plugin's folder")?;
            env::plugin(&folder.replace('-', "_"))?;
            n_plugins += 1;
        }
    }
    ensure!(n_plugins > 0, "no plugin in {}", plugins.display());
    Ok(())
}

#[test]
fn every_component_describes_itself_and_takes_the_least_configuration() -> Result<()> {
    let engine = Engine::new()?;
    for path in components()? {
        let chain = load_least(&engine, &path)?;
        let id = &chain.plugins()[0];
        let file = path.file_stem().and_then(|stem| stem.to_str()).context("a file name")?;
        assert_eq!(id.name, file, "the file has the plugin's name");
        ensure!(id.version.split('.').count() == 3, "{file}: version {}", id.version);
        assert_eq!(id.sha256.len(), 64);
    }
    Ok(())
}

#[test]
fn every_component_refuses_a_key_that_it_does_not_know() -> Result<()> {
    let engine = Engine::new()?;
    for path in components()? {
        let refused = load(&engine, &path, r#"{"no-such-key": 1}"#).err();
        let refused = refused.with_context(|| format!("{} took any key", path.display()))?;
        let said = format!("{refused:#}");
        ensure!(said.contains("no-such-key"), "{said}");
        for broken in ["[]", "3", "{", ""] {
            ensure!(load(&engine, &path, broken).is_err(), "{} took {broken:?}", path.display());
        }
    }
    Ok(())
}

#[test]
fn every_component_judges_every_batch_and_loses_no_row() -> Result<()> {
    let engine = Engine::new()?;
    for path in components()? {
        let mut chain = load_least(&engine, &path)?;
        for batch in batches::all() {
            let given = (batch.make)()?.columns;
            let judged = judge(&mut chain, &batch)?;
            check_rows(&given, &judged, &batch)?;
        }
    }
    Ok(())
}

/// Every row is still there, or a dead letter; its origin is unchanged.
fn check_rows(given: &RecordBatch, judged: &Judged, batch: &Named) -> Result<()> {
    let (kept, dead) = (judged.rows.num_rows(), judged.dead_letters.len());
    let name = batch.name;
    ensure!(kept + dead == given.num_rows(), "{name}: {kept} rows and {dead} dead letters");
    if dead > 0 {
        return Ok(());
    }
    let host = [schema::SOURCE_PARTITION, schema::SOURCE_OFFSET, schema::SOURCE_TIMESTAMP];
    for column in host.into_iter().chain(schema::REQUIRED_FIELDS) {
        let (before, after) = (given.column_by_name(column), judged.rows.column_by_name(column));
        ensure!(before.is_some() && before == after, "{name}: {column} was changed");
    }
    for field in given.schema().fields() {
        let after = judged.rows.schema().field_with_name(field.name()).cloned();
        ensure!(after?.data_type() == field.data_type(), "{name}: type of {}", field.name());
    }
    Ok(())
}

#[test]
fn every_component_says_the_same_of_the_same_events() -> Result<()> {
    let engine = Engine::new()?;
    for path in components()? {
        let (mut one, mut other) = (load_least(&engine, &path)?, load_least(&engine, &path)?);
        for batch in batches::all() {
            assert_eq!(
                shown(&judge(&mut one, &batch)?),
                shown(&judge(&mut other, &batch)?),
                "{} and the batch `{}`",
                path.display(),
                batch.name
            );
        }
        assert_eq!(states_of(&one.snapshot()?), states_of(&other.snapshot()?));
    }
    Ok(())
}

#[test]
fn a_restored_detector_goes_on_as_if_it_had_never_stopped() -> Result<()> {
    let engine = Engine::new()?;
    let mut n_detectors = 0;
    for path in components()? {
        let mut steady = load_least(&engine, &path)?;
        if !steady.has_detectors() {
            ensure!(steady.snapshot()?.is_empty(), "{}: a transform with state", path.display());
            continue;
        }
        n_detectors += 1;
        for batch in batches::all() {
            let states = steady.snapshot()?;
            let mut restored = load_least(&engine, &path)?;
            restored.restore(&states)?;
            assert_eq!(states_of(&restored.snapshot()?), states_of(&states), "{}", batch.name);
            let expected = shown(&judge(&mut steady, &batch)?);
            assert_eq!(shown(&judge(&mut restored, &batch)?), expected, "{}", batch.name);
            assert_eq!(states_of(&restored.snapshot()?), states_of(&steady.snapshot()?));
        }
    }
    ensure!(n_detectors > 0, "no detector among the components");
    Ok(())
}

#[test]
fn a_damaged_state_is_refused_and_harms_nothing() -> Result<()> {
    let engine = Engine::new()?;
    let mut n_states = 0;
    for path in components()? {
        let mut chain = load_least(&engine, &path)?;
        judge(&mut chain, &batches::attack())?;
        for mut state in chain.snapshot()? {
            let whole = state.bytes.clone();
            ensure!(!whole.is_empty(), "{}: nothing remembered of an attack", path.display());
            state.bytes.truncate(whole.len() / 2);
            let cut = load_least(&engine, &path)?.restore(std::slice::from_ref(&state));
            ensure!(cut.is_err(), "{} took half a state", path.display());
            state.bytes = whole;
            state.state_version += 1000;
            let newer = load_least(&engine, &path)?.restore(&[state]);
            ensure!(newer.is_err(), "{} took the state of another version", path.display());
            n_states += 1;
        }
    }
    ensure!(n_states > 0, "no state among the components");
    Ok(())
}

#[test]
fn the_detector_finds_the_attack_of_its_batch() -> Result<()> {
    let engine = Engine::new()?;
    let mut chain = load_least(&engine, Path::new(&env::plugin("detect_failed_logins")?))?;
    let judged = judge(&mut chain, &batches::attack())?;
    let mut of_rule = judged.alerts.iter().filter(|alert| alert.rule == "failed-logins");
    let alert = of_rule.next().context("no alert")?;
    ensure!(of_rule.next().is_none(), "{:?}", judged.alerts);
    assert_eq!(alert.key["ip_address"], batches::ATTACKER);
    ensure!(!alert.events.is_empty(), "an alert names its events");
    for event in &alert.events {
        ensure!((0..batches::N_FAILURES).contains(&event.offset), "{event:?}");
    }
    Ok(())
}
