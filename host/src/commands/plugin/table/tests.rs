//! The commands on a real table, catalog and folder of plugins.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use audit_core::stage::{Table as _, Writer as _};
use audit_core::{ChangeKind, Epoch, Offsets, PluginChange, PluginId};
use audit_sink::{
    AuditTable, CatalogSettings, ComponentStore, Payloads, Store, TableName, TableSettings,
    WriterSettings,
};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::cli::{HistoryArgs, LogArgs, PickArgs, PluginCommand, ReadArgs, SwapArgs, TableArgs};
use crate::commands::plugin::error::Error;
use crate::commands::plugin::run;

/// A warehouse that a host with the plugin `p` has written to.
struct Place {
    runtime: Runtime,
    dir: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { runtime: Runtime::new().unwrap(), dir: tempfile::tempdir().unwrap() }
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
        let settings = TableSettings {
            name: TableName::parse("ns.t").unwrap(),
            group: "g".to_owned(),
            topics: vec!["t".to_owned()],
            instance: "test".to_owned(),
            lane_lease: std::time::Duration::ZERO,
            added_columns: Vec::new(),
            vault: None,
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
            states: Vec::new(),
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
        let (name, version) = ("p".to_owned(), "1".to_owned());
        PluginId { name, version, sha256, config_sha256: "c".to_owned() }
    }

    fn change(&self, kind: ChangeKind, at: i64, ids: [&PluginId; 2]) -> PluginChange {
        let [before, after] = ids.map(|id| Some(id.clone()));
        PluginChange {
            kind,
            plugin: "p".to_owned(),
            source: self.plugin_file().display().to_string(),
            at,
            before,
            after,
            from: BTreeMap::new(),
            reason: "the file changed".to_owned(),
        }
    }

    fn rollback(&self, pick: PickArgs) -> anyhow::Result<()> {
        let (log, table, plugin) = (LogArgs::default(), self.args(), "p".to_owned());
        let command = PluginCommand::Rollback(SwapArgs { log, table, plugin, pick });
        self.runtime.block_on(run(command))
    }

    fn promote(&self) -> anyhow::Result<()> {
        let (log, table, plugin) = (LogArgs::default(), self.args(), "p".to_owned());
        let pick = PickArgs::default();
        let command = PluginCommand::Promote(SwapArgs { log, table, plugin, pick });
        self.runtime.block_on(run(command))
    }
}

#[test]
fn a_component_is_rolled_back_and_a_shadow_promoted() {
    let place = Place::new();
    let [one, two, three] = [b"one".as_slice(), b"two", b"three"].map(|b| place.component(b));
    let file = place.plugin_file();
    fs::write(&file, "two").unwrap();
    place.host(vec![one.clone()], vec![place.change(ChangeKind::Replaced, 1, [&one, &two])]);

    place.rollback(PickArgs::default()).unwrap();
    assert_eq!(fs::read(&file).unwrap(), b"one");
    // The host loads it; then a shadow runs beside it.
    place.host(vec![two.clone()], vec![place.change(ChangeKind::Replaced, 2, [&two, &one])]);
    let shadow = place.change(ChangeKind::ShadowStarted, 3, [&one, &three]);
    place.host(vec![one.clone()], vec![shadow]);

    let copy = place.dir.path().join("copy.wasm");
    let elsewhere =
        PickArgs { to: Some(two.sha256.chars().take(8).collect()), output: Some(copy.clone()) };
    place.rollback(elsewhere).unwrap();
    assert_eq!(
        (fs::read(&file).unwrap(), fs::read(&copy).unwrap()),
        (b"one".into(), b"two".into())
    );

    place.promote().unwrap();
    assert_eq!(fs::read(&file).unwrap(), b"three");
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
    let unknown = says(place.rollback(PickArgs::default()).unwrap_err(), "no plugin \"p\"");
    assert!(unknown.is::<Error>());
    says(place.promote().unwrap_err(), "no plugin \"p\"");
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
