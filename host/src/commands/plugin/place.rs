//! Putting a component over a plugin's file, in one step: a host that reads it meanwhile sees the old
//! component or the new one, never a part.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use audit_core::PluginId;
use audit_sink::{ComponentStore, PastChange};

use super::Refused;
use super::past::{judging, shown};
use crate::cli::PickArgs;

/// A new file is as readable as a plugin has to be.
const MODE: u32 = 0o644;

/// What goes where.
#[derive(Debug)]
pub(super) struct Order<'a> {
    pub(super) plugin: &'a str,
    /// The component to put in place.
    pub(super) wanted: &'a PluginId,
    /// What runs now.
    pub(super) current: Option<&'a PluginId>,
    /// Where the host reads the plugin: a file or `builtin:NAME`.
    pub(super) source: &'a str,
}

/// Where the plugin was read from last, as the host said.
pub(super) fn source_of(history: &[PastChange]) -> Option<&str> {
    judging(history).rev().find(|change| change.after.is_some()).map(|c| c.source.as_str())
}

impl Order<'_> {
    /// The file to write, if it may be written.
    pub(super) fn file(&self, pick: &PickArgs, store: &ComponentStore) -> Result<PathBuf> {
        let plugin = || self.plugin.to_owned();
        if let Some(output) = &pick.output {
            self.refuse_link(output, store)?;
            return Ok(output.clone());
        }
        if self.source.starts_with("builtin:") {
            let (source_name, wanted) = (self.source.to_owned(), shown(self.wanted));
            return Err(Refused::Builtin { plugin: plugin(), source_name, wanted }.into());
        }
        let path = PathBuf::from(self.source);
        if !path.is_absolute() {
            let source_name = self.source.to_owned();
            return Err(Refused::Relative { plugin: plugin(), source_name }.into());
        }
        self.refuse_link(&path, store)?;
        let found = match fs::read(&path) {
            Ok(bytes) => ComponentStore::digest(&bytes),
            // Whoever removed it gets it back.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(path),
            Err(error) => return Err(error).context(format!("reading {}", path.display())),
        };
        if found == self.wanted.sha256 {
            let wanted = shown(self.wanted);
            return Err(Refused::ThereAlready { path, plugin: plugin(), wanted }.into());
        }
        match self.current {
            Some(current) if pick.to.is_none() && found != current.sha256 => {
                let current = shown(current);
                Err(Refused::FileDiffers { path, plugin: plugin(), found, current }.into())
            }
            _ => Ok(path),
        }
    }

    fn refuse_link(&self, path: &Path, store: &ComponentStore) -> Result<(), Refused> {
        let Ok(leads_to) = fs::read_link(path) else { return Ok(()) };
        let component = store.location(&self.wanted.sha256);
        Err(Refused::Link { path: path.to_owned(), leads_to, component })
    }

    /// What a person must know beside what was done.
    pub(super) fn note(&self) -> String {
        match self.current {
            Some(current) if current.config_sha256 != self.wanted.config_sha256 => format!(
                "it ran with another configuration: {} then, {} now; change it back by hand if it was \
                 meant to go with it\n",
                self.wanted.config_sha256, current.config_sha256
            ),
            _ => String::new(),
        }
    }

    /// What was done.
    pub(super) fn done(&self, path: &Path, pick: &PickArgs) -> String {
        let (path, wanted) = (path.display(), shown(self.wanted));
        if pick.output.is_some() {
            return format!("{path} holds {} {wanted}\n{}", self.plugin, self.note());
        }
        let current = self.current.map_or_else(|| "nothing".to_owned(), shown);
        format!(
            "{path} holds {} {wanted}; until now ran {current}\na running host takes it by itself: \
             `audit-host plugin history {}` says whether it did\n{}",
            self.plugin,
            self.plugin,
            self.note()
        )
    }
}

/// Writes a file beside the one meant and renames it over that one, with its mode and owner.
pub(super) fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // Hidden and with another ending: no pattern for plugins takes it.
    let temporary = folder.join(format!(".{name}.{}.tmp", uuid::Uuid::now_v7()));
    let written = write(&temporary, path, bytes)
        .and_then(|()| fs::rename(&temporary, path))
        .and_then(|()| File::open(folder)?.sync_all());
    if written.is_err() {
        // The cause is what counts; what is left over is hidden and small.
        let _ = fs::remove_file(&temporary);
    }
    written.with_context(|| {
        format!("putting the component over {}: --output FILE writes it elsewhere", path.display())
    })
}

fn write(temporary: &Path, like: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(temporary)?;
    file.write_all(bytes)?;
    if let Ok(before) = fs::metadata(like) {
        let own = file.metadata()?;
        let is_same_owner = (own.uid(), own.gid()) == (before.uid(), before.gid());
        if !is_same_owner
            && let Err(error) =
                std::os::unix::fs::fchown(&file, Some(before.uid()), Some(before.gid()))
        {
            tracing::warn!(%error, "the file's owner could not be kept: see that the host can read it");
        }
        file.set_permissions(Permissions::from_mode(before.mode() & 0o7777))?;
    }
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::super::past::tests::id;
    use super::*;

    fn store(dir: &Path) -> ComponentStore {
        let settings = audit_sink::CatalogSettings {
            uri: format!("sqlite:{}", dir.join("c.db").display()),
            warehouse: dir.join("w").display().to_string(),
            name: "audit_host".to_owned(),
        };
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(audit_sink::Store::open(&settings)).unwrap().components()
    }

    #[test]
    fn a_file_is_replaced_with_its_mode_and_nothing_is_left_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p.wasm");
        put(&path, b"one").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        put(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o640);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        // A folder stands where the file should: the rename fails.
        fs::create_dir(dir.path().join("folder")).unwrap();
        let refused = put(&dir.path().join("folder"), b"x").unwrap_err();
        assert!(format!("{refused:#}").contains("--output FILE"), "{refused:#}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_may_not_be_written_is_said_before_anything_is() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path());
        let (path, link) = (dir.path().join("p.wasm"), dir.path().join("link.wasm"));
        let (mut wanted, mut current) = (id('a', "c1"), id('b', "c2"));
        wanted.sha256 = ComponentStore::digest(b"wanted");
        current.sha256 = ComponentStore::digest(b"current");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let (path_text, link_text) = (path.display().to_string(), link.display().to_string());
        let to = || PickArgs { to: Some("aaaa".to_owned()), output: None };
        let output = || PickArgs { to: None, output: Some(dir.path().join("copy")) };
        let wanted_at = store.location(&wanted.sha256);
        for (source, holds, pick, says) in [
            ("builtin:p", &b""[..], PickArgs::default(), Err("--output")),
            ("builtin:p", b"", output(), Ok("copy")),
            ("p.wasm", b"", PickArgs::default(), Err("no absolute path")),
            (&link_text, b"current", PickArgs::default(), Err(wanted_at.as_str())),
            (&path_text, b"current", PickArgs::default(), Ok("p.wasm")),
            (&path_text, b"refused", PickArgs::default(), Err("is not what runs")),
            (&path_text, b"refused", to(), Ok("p.wasm")),
            (&path_text, b"wanted", to(), Err("already")),
        ] {
            fs::write(&path, holds).unwrap();
            let order = Order { plugin: "p", wanted: &wanted, current: Some(&current), source };
            match (order.file(&pick, &store), says) {
                (Ok(file), Ok(name)) => assert_eq!(file.file_name().unwrap(), name),
                (Err(error), Err(says)) => {
                    assert!(error.is::<Refused>() && error.to_string().contains(says), "{error}");
                }
                (found, _) => panic!("{source}: {found:?}"),
            }
            assert!(order.done(&path, &pick).contains("c1 then, c2 now"));
        }
    }
}
