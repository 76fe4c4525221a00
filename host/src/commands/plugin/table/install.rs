//! Installing another component as a plugin's file, which a running host then reloads.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Result;
use audit_core::PluginId;
use audit_sink::{ComponentStore, PastChange};

use super::history_format::{judging, shown};
use crate::atomic_file;
use crate::cli::PickArgs;
use crate::commands::plugin::error::Error;
use crate::error;

/// Which component goes where.
#[derive(Debug)]
pub(super) struct Order<'a> {
    pub(super) plugin: &'a str,
    /// The component to install.
    pub(super) wanted: &'a PluginId,
    /// What runs now.
    pub(super) current: Option<&'a PluginId>,
    /// Where the host reads the plugin: a file or `builtin:NAME`.
    pub(super) source: &'a str,
}

/// The file from which the host last read the plugin.
pub(super) fn source_of(history: &[PastChange]) -> Option<&str> {
    judging(history).rev().find(|change| change.after.is_some()).map(|c| c.source.as_str())
}

impl Order<'_> {
    /// The file to write, if it may be written.
    pub(super) fn file(&self, pick: &PickArgs, store: &ComponentStore) -> Result<PathBuf> {
        let plugin = || self.plugin.to_owned();
        if let Some(output) = &pick.output {
            self.reject_link(output, store)?;
            return Ok(output.clone());
        }
        if self.source.starts_with("builtin:") {
            let (source_name, wanted) = (self.source.to_owned(), shown(self.wanted));
            return Err(Error::Builtin { plugin: plugin(), source_name, wanted }.into());
        }
        let path = PathBuf::from(self.source);
        if !path.is_absolute() {
            let source_name = self.source.to_owned();
            return Err(Error::Relative { plugin: plugin(), source_name }.into());
        }
        self.reject_link(&path, store)?;
        let found = match fs::read(&path) {
            Ok(bytes) => ComponentStore::digest(&bytes),
            // A file that was deleted is restored.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(path),
            Err(cause) => return Err(error::Error::file("reading", &path)(cause).into()),
        };
        if found == self.wanted.sha256 {
            let wanted = shown(self.wanted);
            return Err(Error::ThereAlready { path, plugin: plugin(), wanted }.into());
        }
        match self.current {
            Some(current) if pick.to.is_none() && found != current.sha256 => {
                let current = shown(current);
                Err(Error::FileDiffers { path, plugin: plugin(), found, current }.into())
            }
            _ => Ok(path),
        }
    }

    fn reject_link(&self, path: &Path, store: &ComponentStore) -> Result<(), Error> {
        let Ok(leads_to) = fs::read_link(path) else { return Ok(()) };
        let component = store.location(&self.wanted.sha256);
        Err(Error::Link { path: path.to_owned(), leads_to, component })
    }

    /// What the user should know besides.
    pub(super) fn note(&self) -> String {
        match self.current {
            Some(current) if current.config_sha256 != self.wanted.config_sha256 => format!(
                "it ran with another configuration: {} then, {} now; change it back by hand if the \
                 component needs it\n",
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
            "{path} holds {} {wanted}; {current} ran until now\na running host loads it by itself: \
             `audit-host plugin history {}` shows whether it did\n{}",
            self.plugin,
            self.plugin,
            self.note()
        )
    }
}

/// Writes a component as a plugin's file.
pub(super) fn install(path: &Path, component: &[u8]) -> Result<(), Error> {
    atomic_file::replace(path, component)
        .map_err(|cause| Error::Install { path: path.to_owned(), cause })
}

#[cfg(test)]
mod tests {
    use super::super::history_format::tests::id;
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
    fn a_folder_in_the_way_is_an_error_that_names_the_way_around() {
        let dir = tempfile::tempdir().unwrap();
        let refused = install(dir.path(), b"x").unwrap_err();
        assert!(refused.to_string().contains("--output FILE"), "{refused}");
    }

    #[test]
    fn what_may_not_be_written_is_rejected_before_anything_is() {
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
            ("p.wasm", b"", PickArgs::default(), Err("not an absolute path")),
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
                    assert!(error.is::<Error>() && error.to_string().contains(says), "{error}");
                }
                (found, _) => panic!("{source}: {found:?}"),
            }
            assert!(order.done(&path, &pick).contains("c1 then, c2 now"));
        }
    }
}
