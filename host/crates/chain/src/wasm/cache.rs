//! Compiled components on disk, so that a start or a reload does not compile again.
//!
//! A cached file is machine code that the host runs: whoever can write it runs code in the host. So only
//! the user of this process may be able to write to the folder and to every file in it, and a file is
//! checked through the handle that is then read. Its bytes must match the digest that it holds, which
//! also covers the component: a file under another component's name is refused. The name holds the digest
//! of the component and of everything that the code depends on: the version of wasmtime, its settings
//! and the processor.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use sha2::{Digest, Sha256};
use wasmtime::component::Component;

use crate::error::Error;
use crate::wasm::config::fingerprint;

/// The first bytes of a file; changes with its layout.
const MAGIC: &[u8; 8] = b"ahcwasm2";
const DIGEST_BYTES: usize = 32;
/// The bits of a mode that let other users write.
const OTHERS_WRITE: u32 = 0o022;
/// Makes a folder safe that everybody may write to, such as /tmp: nobody can rename another user's files.
const STICKY: u32 = 0o1000;
/// Files in the cache; the oldest are deleted first. Every reload leaves one behind.
const FILES_MAX: usize = 64;

/// Files written by this process so far: each is first written under a name of its own.
static WRITES: AtomicU32 = AtomicU32::new(0);

/// A folder that only this user can write to.
#[derive(Debug, Clone)]
pub(crate) struct Cache {
    folder: PathBuf,
    uid: u32,
    engine: u64,
}

impl Cache {
    /// Creates the folder if it is absent, and fails if other users can write to it.
    pub(crate) fn open(folder: &Path, engine: &wasmtime::Engine) -> Result<Self, Error> {
        let refuse = |problem: String| Error::Cache { folder: folder.to_owned(), problem };
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|error| refuse(format!("cannot create it: {error}")))?;
        let uid = rustix::process::geteuid().as_raw();
        let metadata = fs::symlink_metadata(folder)
            .map_err(|error| refuse(format!("cannot stat it: {error}")))?;
        if !metadata.is_dir() {
            return Err(refuse(
                "it is not a folder (a symbolic link to one is not accepted)".to_owned(),
            ));
        }
        if metadata.uid() != uid || metadata.mode() & OTHERS_WRITE != 0 {
            return Err(refuse(format!(
                "other users can write to it (owner {}, mode {:o}); it must belong to user {uid} with mode 700",
                metadata.uid(),
                metadata.mode() & 0o7777
            )));
        }
        if let Some(parent) = unsafe_parent(folder) {
            let parent = parent.display();
            return Err(refuse(format!("other users can write to {parent} and so replace it")));
        }
        Ok(Self { folder: folder.to_owned(), uid, engine: fingerprint(engine) })
    }

    fn path(&self, digest: &str) -> PathBuf {
        self.folder.join(format!("{digest}-{:016x}.cwasm", self.engine))
    }

    /// Whether there is a file for it, which [`Cache::get`] may still not trust.
    pub(crate) fn has(&self, digest: &str) -> bool {
        self.path(digest).is_file()
    }

    /// The compiled component, if the cache has it and it can be trusted. Otherwise the caller compiles it
    /// and replaces the file.
    pub(crate) fn get(&self, engine: &wasmtime::Engine, digest: &str) -> Option<Component> {
        let path = self.path(digest);
        match self.read(&path, digest) {
            Ok(code) => {
                let component = trusted(engine, &code?);
                match &component {
                    Ok(_) => {
                        tracing::debug!(path = %path.display(), "compiled code loaded from the cache");
                    }
                    Err(error) => {
                        tracing::debug!(%error, "cached code was compiled by another engine");
                    }
                }
                component.ok()
            }
            Err(problem) => {
                tracing::warn!(path = %path.display(), problem, "file of the plugin cache ignored");
                None
            }
        }
    }

    /// `None` if there is no such file.
    fn read(&self, path: &Path, component: &str) -> Result<Option<Vec<u8>>, String> {
        let opened = OpenOptions::new().read(true).custom_flags(NO_FOLLOW).open(path);
        let mut file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        let metadata = file.metadata().map_err(|error| error.to_string())?;
        if !metadata.is_file() || metadata.uid() != self.uid || metadata.mode() & OTHERS_WRITE != 0
        {
            return Err("other users can write to it".to_owned());
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        let (Some(magic), Some(digest), Some(code)) = (
            bytes.get(..MAGIC.len()),
            bytes.get(MAGIC.len()..MAGIC.len() + DIGEST_BYTES),
            bytes.get(MAGIC.len() + DIGEST_BYTES..),
        ) else {
            return Err("it is too short".to_owned());
        };
        if magic != MAGIC || digest != sealed(component, code) {
            return Err("it is damaged".to_owned());
        }
        bytes.drain(..MAGIC.len() + DIGEST_BYTES);
        Ok(Some(bytes))
    }

    /// Stores compiled code. A failure only costs time: the component is compiled again next time.
    pub(crate) fn put(&self, digest: &str, code: &[u8]) {
        if let Err(error) = self.write(digest, code) {
            tracing::warn!(folder = %self.folder.display(), %error, "compiled code not cached");
        }
        self.drop_oldest();
    }

    /// Writes to a temporary file and renames it: a reader never sees half of a file.
    fn write(&self, digest: &str, code: &[u8]) -> std::io::Result<()> {
        let path = self.path(digest);
        // Two candidates may be the same component.
        let write = WRITES.fetch_add(1, Ordering::Relaxed);
        let partial = path.with_extension(format!("{}-{write}.partial", std::process::id()));
        let mut file = File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .custom_flags(NO_FOLLOW)
            .open(&partial)?;
        file.write_all(MAGIC)?;
        file.write_all(&sealed(digest, code))?;
        file.write_all(code)?;
        file.sync_all()?;
        fs::rename(partial, path)
    }

    fn drop_oldest(&self) {
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        let mut files: Vec<_> = entries
            .filter_map(Result::ok)
            .filter(|entry| entry.path().extension().is_some_and(|ext| ext == "cwasm"))
            .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
            .collect();
        files.sort();
        let n_over = files.len().saturating_sub(FILES_MAX);
        for (_, path) in files.into_iter().take(n_over) {
            drop(fs::remove_file(path));
        }
    }
}

/// The digest of compiled code and of the component that it was compiled from.
fn sealed(component: &str, code: &[u8]) -> [u8; DIGEST_BYTES] {
    let digest = Sha256::new_with_prefix((component.len() as u64).to_be_bytes());
    digest.chain_update(component).chain_update(code).finalize().into()
}

/// A folder above this one that other users can write to: they could replace this one.
fn unsafe_parent(folder: &Path) -> Option<PathBuf> {
    let absolute = fs::canonicalize(folder).ok()?;
    let is_unsafe = |parent: &&Path| {
        fs::metadata(parent).is_ok_and(|metadata| {
            metadata.mode() & OTHERS_WRITE != 0 && metadata.mode() & STICKY == 0
        })
    };
    absolute.ancestors().skip(1).find(is_unsafe).map(Path::to_owned)
}

/// Symbolic links are not followed; std sets `O_CLOEXEC`.
const NO_FOLLOW: i32 = libc::O_NOFOLLOW;

/// A component of compiled code that this program compiled: from [`Cache::read`], or from a process that it
/// started itself and that gave a whole answer.
#[expect(unsafe_code, reason = "deserializing trusts its input; both callers have checked it")]
pub(crate) fn trusted(engine: &wasmtime::Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: the bytes are what `serialize` returned. Those of the cache come from a file and a folder that only
    // this user can write to, and match the digest that was written with them; the others came through a pipe
    // whose other end only our own child had. Whoever can forge either can replace this program as well.
    unsafe { Component::deserialize(engine, code) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn cached() -> (tempfile::TempDir, wasmtime::Engine, Cache, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let engine = wasmtime::Engine::default();
        let cache = Cache::open(&folder.path().join("compiled"), &engine).unwrap();
        // The smallest component: a header and nothing else.
        let code = engine.precompile_component(b"\0asm\x0d\0\x01\0").unwrap();
        cache.put("digest", &code);
        (folder, engine, cache, code)
    }

    #[test]
    fn what_was_put_is_found_and_nothing_else() {
        let (_folder, engine, cache, _) = cached();
        assert!(cache.get(&engine, "digest").is_some());
        assert!(cache.get(&engine, "other").is_none());
    }

    #[test]
    fn damaged_and_foreign_files_are_not_run() {
        let (_folder, engine, cache, code) = cached();
        let path = cache.path("digest");
        let whole = fs::read(&path).unwrap();
        for broken in
            [&whole[..whole.len() - 1], &whole[..7], b"", b"ahcwasm2 and more, but no code"]
        {
            fs::write(&path, broken).unwrap();
            assert!(cache.get(&engine, "digest").is_none());
        }
        let mut flipped = whole.clone();
        *flipped.last_mut().unwrap() ^= 1;
        fs::write(&path, flipped).unwrap();
        assert!(cache.get(&engine, "digest").is_none());

        fs::write(cache.path("other"), &whole).unwrap();
        assert!(cache.get(&engine, "other").is_none(), "it belongs to another component");

        fs::write(&path, &whole).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o622)).unwrap();
        assert!(cache.get(&engine, "digest").is_none(), "others can write to it");
        fs::remove_file(&path).unwrap();
        let elsewhere = path.with_file_name("elsewhere");
        fs::write(&elsewhere, &whole).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
        assert!(cache.get(&engine, "digest").is_none(), "a link is not followed");
        cache.put("digest", &code);
        assert!(cache.get(&engine, "digest").is_some(), "a bad file is replaced");
    }

    #[test]
    fn a_folder_that_others_can_write_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("open");
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
        let refused = Cache::open(&path, &wasmtime::Engine::default()).unwrap_err().to_string();
        assert!(refused.contains("other users can write to it"), "{refused}");
        let below = path.join("below");
        let refused = Cache::open(&below, &wasmtime::Engine::default()).unwrap_err().to_string();
        assert!(refused.contains("so replace it"), "{refused}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o1777)).unwrap();
        assert!(Cache::open(&below, &wasmtime::Engine::default()).is_ok(), "as /tmp is");
    }
}
