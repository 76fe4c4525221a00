//! The commands on a real table, catalog and folder of plugins.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use audit_core::stage::{Table as _, Writer as _};
use audit_core::{ChangeKind, Epoch, Offsets, PluginChange, PluginId, PluginState};
use audit_sink::{
    AuditTable, CatalogSettings, ComponentStore, Payloads, Store, TableName, TableSettings, Vault,
    WriterSettings,
};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::cli::{HistoryArgs, LogArgs, PickArgs, PluginCommand, ReadArgs, SwapArgs, TableArgs};
use crate::commands::plugin::error::Error;
use crate::commands::plugin::run;
use crate::golden;

/// The plugin of these tests.
const PLUGIN: &str = "detect_failed_logins";

/// A version of it: another component with the same code.
fn version(n: u8) -> Vec<u8> {
    let mut component = golden::tests::without_cases(PLUGIN);
    audit_golden::append_custom(&mut component, "version", &[n]);
    component
}

/// A warehouse that a host with the plugin has written to.
struct Place {
    runtime: Runtime,
    dir: TempDir,
    /// `--config` of a rollback.
    config: Option<PathBuf>,
    vault: Option<Arc<Vault>>,
}

impl Place {
    fn new() -> Self {
        let (runtime, dir) = (Runtime::new().unwrap(), tempfile::tempdir().unwrap());
        Self { runtime, dir, config: None, vault: None }
    }

    fn plugin_file(&self) -> PathBuf {
        self.dir.path().join("p.wasm")
    }

    fn args(&self) -> TableArgs {
        TableArgs {
            warehouse: Some(self.dir.path().join("w").display().to_string()),
            table: Some("ns.t".to_owned()),
            group: Some("g".to_owned()),
            ..TableArgs::default()
        }
    }

    fn store(&self) -> Store {
        let warehouse = self.dir.path().join("w").display().to_string();
        let (uri, name) = (format!("sqlite:{warehouse}/catalog.db"), "audit_host".to_owned());
        self.runtime.block_on(Store::open(&CatalogSettings { uri, warehouse, name })).unwrap()
    }

    /// A host whose chain is `chain` when it begins, commits these changes, and ends.
    fn host(&self, chain: Vec<PluginId>, changes: Vec<PluginChange>) {
        self.host_with_state(chain, changes, Vec::new());
    }

    fn host_with_state(
        &self,
        chain: Vec<PluginId>,
        changes: Vec<PluginChange>,
        states: Vec<PluginState>,
    ) {
        let settings = TableSettings {
            name: TableName::parse("ns.t").unwrap(),
            group: "g".to_owned(),
            topics: vec!["t".to_owned()],
            instance: "test".to_owned(),
            lane_lease: std::time::Duration::ZERO,
            added_columns: Vec::new(),
            vault: self.vault.clone(),
            host_version: "test".to_owned(),
        };
        let store = self.store();
        let mut table = self.runtime.block_on(AuditTable::open(store, settings)).unwrap();
        let settings = WriterSettings {
            payloads: Payloads::DigestOnly,
            payload_bytes_max: 1 << 20,
            open_partitions_max: 4,
            open_files_bytes_max: 64 << 20,
        };
        let mut writer = {
            let _on_runtime = self.runtime.enter();
            table.writer(settings).unwrap()
        };
        let changes: Vec<_> = changes.into_iter().map(Into::into).collect();
        writer.write_changes(&changes).unwrap();
        let epoch = Epoch {
            staged: writer.seal().unwrap(),
            covered: Offsets::default(),
            alerts: Vec::new(),
            plugins: chain,
            lookups: BTreeMap::new(),
            changes,
            states,
        };
        self.runtime.block_on(async {
            let outbox = table.stage(&epoch).await.unwrap();
            table.commit(&epoch, &outbox).await.unwrap();
        });
    }

    /// A component as a host keeps it.
    fn component(&self, bytes: &[u8]) -> PluginId {
        let sha256 = ComponentStore::digest(bytes);
        let kept = self.store().components();
        self.runtime.block_on(kept.put(&sha256, bytes)).unwrap();
        let (name, version) = (PLUGIN.to_owned(), "1".to_owned());
        let config_sha256 = ComponentStore::digest(b"{}");
        PluginId { name, version, sha256, config_sha256 }
    }

    fn change(&self, kind: ChangeKind, at: i64, ids: [&PluginId; 2]) -> PluginChange {
        let [before, after] = ids.map(|id| Some(id.clone()));
        PluginChange {
            kind,
            plugin: PLUGIN.to_owned(),
            source: self.plugin_file().display().to_string(),
            at,
            before,
            after,
            from: BTreeMap::new(),
            reason: "the file changed".to_owned(),
        }
    }

    fn rollback(&self, pick: PickArgs) -> anyhow::Result<()> {
        let (log, plugin) = (LogArgs::default(), PLUGIN.to_owned());
        let table = TableArgs { config: self.config.clone(), ..self.args() };
        let command = PluginCommand::Rollback(SwapArgs { log, table, plugin, pick });
        self.runtime.block_on(run(command))
    }

    fn promote(&self) -> anyhow::Result<()> {
        let (log, table, plugin) = (LogArgs::default(), self.args(), PLUGIN.to_owned());
        let pick = PickArgs::default();
        let command = PluginCommand::Promote(SwapArgs { log, table, plugin, pick });
        self.runtime.block_on(run(command))
    }
}

#[test]
fn a_component_is_rolled_back_and_a_shadow_promoted() {
    let place = Place::new();
    let [one, two, three] = [1, 2, 3].map(|n| place.component(&version(n)));
    let file = place.plugin_file();
    fs::write(&file, version(2)).unwrap();
    place.host(vec![one.clone()], vec![place.change(ChangeKind::Replaced, 1, [&one, &two])]);

    place.rollback(PickArgs::default()).unwrap();
    assert_eq!(fs::read(&file).unwrap(), version(1));
    // The host loads it; then a shadow runs beside it.
    place.host(vec![two.clone()], vec![place.change(ChangeKind::Replaced, 2, [&two, &one])]);
    let shadow = place.change(ChangeKind::ShadowStarted, 3, [&one, &three]);
    place.host(vec![one.clone()], vec![shadow]);

    let copy = place.dir.path().join("copy.wasm");
    let elsewhere =
        PickArgs { to: Some(two.sha256.chars().take(8).collect()), output: Some(copy.clone()) };
    place.rollback(elsewhere).unwrap();
    assert_eq!((fs::read(&file).unwrap(), fs::read(&copy).unwrap()), (version(1), version(2)));

    place.promote().unwrap();
    assert_eq!(fs::read(&file).unwrap(), version(3));
    let args = || (LogArgs::default(), place.args());
    for json in [false, true] {
        let (log, table) = args();
        place.runtime.block_on(run(PluginCommand::List(ReadArgs { log, table, json }))).unwrap();
        let (log, table) = args();
        let history = HistoryArgs { log, table, plugin: None, json };
        place.runtime.block_on(run(PluginCommand::History(history))).unwrap();
    }
}

#[test]
fn what_cannot_be_installed_leaves_the_file_alone() {
    let place = Place::new();
    let says = |error: anyhow::Error, word: &str| {
        assert!(format!("{error:#}").contains(word), "{error:#}");
        error
    };
    let mistyped = place.rollback(PickArgs::default()).unwrap_err();
    assert!(!place.dir.path().join("w").exists(), "{mistyped:#}");

    let (one, two) = (place.component(b"one"), place.component(b"two"));
    let file = place.plugin_file();
    fs::write(&file, "two").unwrap();
    says(place.rollback(PickArgs::default()).unwrap_err(), "the table ns.t is not in the catalog");
    place.host(Vec::new(), Vec::new());
    let table = TableArgs { group: Some("other".to_owned()), ..place.args() };
    let list = ReadArgs { log: LogArgs::default(), table, json: false };
    let other = place.runtime.block_on(run(PluginCommand::List(list))).unwrap_err();
    says(other, "group other has committed nothing to the table ns.t");
    let unnamed = format!("no plugin {PLUGIN:?}");
    let unknown = says(place.rollback(PickArgs::default()).unwrap_err(), &unnamed);
    assert!(unknown.is::<Error>());
    says(place.promote().unwrap_err(), &unnamed);
    place.host(vec![two.clone()], Vec::new());
    says(place.rollback(PickArgs::default()).unwrap_err(), "no other component before it");
    says(place.promote().unwrap_err(), "no shadow runs beside it");

    place.host(vec![one.clone()], vec![place.change(ChangeKind::Replaced, 1, [&one, &two])]);
    let kept = place.dir.path().join(format!("w/.audit-host/plugins/{}.wasm", one.sha256));
    fs::write(&kept, "on").unwrap();
    says(place.rollback(PickArgs::default()).unwrap_err(), "is damaged");
    fs::remove_file(&kept).unwrap();
    says(place.rollback(PickArgs::default()).unwrap_err(), &one.sha256);
    assert_eq!(fs::read(&file).unwrap(), b"two");
}

#[test]
fn a_component_that_a_start_would_refuse_is_not_installed() {
    let mut place = Place::new();
    let (broken, two) = (place.component(b"no component"), place.component(&version(2)));
    let other = place.component(&golden::tests::without_cases("redact_pii"));
    let file = place.plugin_file();
    fs::write(&file, version(2)).unwrap();
    let refused = |place: &Place, to: &PluginId, says: &str| {
        let (to, output) = (Some(to.sha256.clone()), None);
        let error = place.rollback(PickArgs { to, output }).unwrap_err();
        let said = format!("{error:#}");
        assert!(said.contains("a host would not start with") && said.contains(says), "{said}");
        assert_eq!(fs::read(&file).unwrap(), version(2), "{said}");
    };
    let replaced = |at, by: &PluginId| place.change(ChangeKind::Replaced, at, [by, &two]);
    let changes = vec![replaced(1, &broken), replaced(2, &other), replaced(3, &two)];
    place.host(vec![two.clone()], changes);
    refused(&place, &broken, "does not begin like WebAssembly");
    refused(&place, &other, "the plugin \"redact_pii\", but \"detect_failed_logins\" runs from it");
    let output = Some(place.dir.path().join("copy"));
    place.rollback(PickArgs { to: Some(broken.sha256.clone()), output }).unwrap();

    // The same component is taken with one configuration and refused with another.
    let one = place.component(&version(1));
    place.host(vec![two.clone()], vec![place.change(ChangeKind::Replaced, 4, [&one, &two])]);
    let config = place.dir.path().join("host.toml");
    let write = |plugin: &str, more: &str| {
        let path = file.display();
        let text = format!("{more}[[plugin]]\npath = \"{path}\"\nconfig = {{ {plugin} }}\n");
        fs::write(&config, text).unwrap();
    };
    write("threshold = 9, no-such-key = 1", "");
    place.config = Some(config.clone());
    refused(&place, &one, "no-such-key");
    let unkeyed = "config = { fields = { ip_address = \"hash\" } }";
    write("threshold = 9", &format!("[[plugin]]\npath = \"builtin:redact_pii\"\n{unkeyed}\n"));
    place.rollback(PickArgs { to: Some(one.sha256.clone()), output: None }).unwrap();
    assert_eq!(fs::read(&file).unwrap(), version(1), "another plugin that fails is not its fault");
}

#[test]
fn a_component_that_refuses_the_saved_state_is_not_installed() {
    let mut place = Place::new();
    let key = place.dir.path().join("key");
    fs::write(&key, "0b".repeat(32)).unwrap();
    place.vault = Some(Arc::new(Vault::open(&key).unwrap()));
    let (one, two) = (place.component(&version(1)), place.component(&version(2)));
    let file = place.plugin_file();
    fs::write(&file, version(2)).unwrap();
    let state = PluginState {
        plugin: two.clone(),
        partition: None,
        state_version: 99,
        bytes: b"of a later version".to_vec(),
    };
    let change = place.change(ChangeKind::Replaced, 1, [&one, &two]);
    place.host_with_state(vec![two.clone()], vec![change], vec![state]);
    let config = place.dir.path().join("host.toml");
    fs::write(&config, format!("[dead-letters]\nkey-file = \"{}\"\n", key.display())).unwrap();
    place.config = Some(config);
    let said = format!("{:#}", place.rollback(PickArgs::default()).unwrap_err());
    assert!(said.contains("does not support state version 99"), "{said}");
    assert_eq!(fs::read(&file).unwrap(), version(2));
    // Without the file nothing is known of the state, and that is said, not refused.
    place.config = None;
    place.rollback(PickArgs::default()).unwrap();
    assert_eq!(fs::read(&file).unwrap(), version(1));
}
