//! Compiled components on disk, so that a start or a reload does not compile again.
//!
//! A cached file is machine code that the host runs: whoever can write it runs code in the host. So
//! the folder and every file must belong to the user of this process and to nobody else, a file is
//! looked at through the handle that is then read, and its bytes must have the digest that stands in
//! it, which is also of the component: a file under another's name is refused. The name holds the digest of the component and everything that the code depends on: the version
//! of wasmtime, its settings and the processor.

use std::fs::{self, File, OpenOptions};
use std::hash::{Hash, Hasher};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use wasmtime::component::Component;

use crate::error::Error;

/// The first bytes of a file; changes with its layout.
const MAGIC: &[u8; 8] = b"ahcwasm2";
const DIGEST_BYTES: usize = 32;
/// Bits of a mode that let others write.
const OTHERS_WRITE: u32 = 0o022;
/// What makes a folder safe that all may write, as /tmp: nobody renames what is another's.
const STICKY: u32 = 0o1000;
/// Files of the cache; the oldest go first. A reload leaves one behind each time.
const FILES_MAX: usize = 64;

/// A folder that only this user can write.
#[derive(Debug, Clone)]
pub(crate) struct Cache {
    folder: PathBuf,
    uid: u32,
    engine: u64,
}

/// A digest fed by `Hash`, for what wasmtime says of its settings. Not for anything that is hostile.
#[derive(Default)]
struct Fingerprint(Sha256);

impl Hasher for Fingerprint {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest = self.0.clone().finalize();
        digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}

impl Cache {
    /// Makes the folder if it is absent, and refuses one that others can write.
    pub(crate) fn open(folder: &Path, engine: &wasmtime::Engine) -> Result<Self, Error> {
        let refuse = |problem: String| Error::Cache { folder: folder.to_owned(), problem };
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|error| refuse(format!("it cannot be made: {error}")))?;
        let uid = own_uid().map_err(|error| refuse(format!("no user id: {error}")))?;
        let metadata = fs::symlink_metadata(folder)
            .map_err(|error| refuse(format!("no look at it: {error}")))?;
        if !metadata.is_dir() {
            return Err(refuse("it is no folder (a link to one is none)".to_owned()));
        }
        if metadata.uid() != uid || metadata.mode() & OTHERS_WRITE != 0 {
            return Err(refuse(format!(
                "others can write it (owner {}, mode {:o}); it must belong to user {uid} with mode 700",
                metadata.uid(),
                metadata.mode() & 0o7777
            )));
        }
        if let Some(parent) = unsafe_parent(folder) {
            let parent = parent.display();
            return Err(refuse(format!("others can write {parent}, and put another in its place")));
        }
        let mut fingerprint = Fingerprint::default();
        engine.precompile_compatibility_hash().hash(&mut fingerprint);
        Ok(Self { folder: folder.to_owned(), uid, engine: fingerprint.finish() })
    }

    fn path(&self, digest: &str) -> PathBuf {
        self.folder.join(format!("{digest}-{:016x}.cwasm", self.engine))
    }

    /// The compiled component, if the cache has it and it can be trusted. Anything else is compiled anew
    /// and put in its place.
    pub(crate) fn get(&self, engine: &wasmtime::Engine, digest: &str) -> Option<Component> {
        let path = self.path(digest);
        match self.read(&path, digest) {
            Ok(code) => {
                let component = code.and_then(|code| trusted(engine, &code));
                if component.is_some() {
                    tracing::debug!(path = %path.display(), "compiled code from the cache");
                }
                component
            }
            Err(problem) => {
                tracing::warn!(path = %path.display(), problem, "a cached file is not used");
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
            return Err("others can write it".to_owned());
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

    /// Keeps a compiled component. A cache that cannot be written costs time and nothing else.
    pub(crate) fn put(&self, digest: &str, component: &Component) {
        let kept = component
            .serialize()
            .map_err(|error| error.to_string())
            .and_then(|code| self.write(digest, &code).map_err(|error| error.to_string()));
        if let Err(problem) = kept {
            tracing::warn!(folder = %self.folder.display(), problem, "compiled code was not kept");
        }
        self.drop_oldest();
    }

    /// Through a file of another name: a reader never sees half of one.
    fn write(&self, digest: &str, code: &[u8]) -> std::io::Result<()> {
        let path = self.path(digest);
        let partial = path.with_extension(format!("{}.partial", std::process::id()));
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

/// A folder above this one that others can write: they could put another in its place.
fn unsafe_parent(folder: &Path) -> Option<PathBuf> {
    let absolute = fs::canonicalize(folder).ok()?;
    let is_unsafe = |parent: &&Path| {
        fs::metadata(parent).is_ok_and(|metadata| {
            metadata.mode() & OTHERS_WRITE != 0 && metadata.mode() & STICKY == 0
        })
    };
    absolute.ancestors().skip(1).find(is_unsafe).map(Path::to_owned)
}

/// `O_NOFOLLOW` of Linux on x86-64 and most others, `O_CLOEXEC` is set by std.
const NO_FOLLOW: i32 = libc::O_NOFOLLOW;

/// The user that this process runs as: the owner of its own entry in /proc.
fn own_uid() -> std::io::Result<u32> {
    Ok(fs::metadata("/proc/self")?.uid())
}

#[expect(unsafe_code, reason = "deserializing trusts the bytes: they were checked above")]
fn trusted(engine: &wasmtime::Engine, code: &[u8]) -> Option<Component> {
    // SAFETY: the bytes came out of a file that only this user can write, in a folder that only this
    // user can write, and have the digest that was written with them: they are what `serialize` gave.
    // Whoever can forge them can replace this program as well.
    let component = unsafe { Component::deserialize(engine, code) };
    component.map_err(|error| tracing::debug!(%error, "cached code is of another engine")).ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn cached() -> (tempfile::TempDir, wasmtime::Engine, Cache, Component) {
        let folder = tempfile::tempdir().unwrap();
        let engine = wasmtime::Engine::default();
        let cache = Cache::open(&folder.path().join("compiled"), &engine).unwrap();
        // The smallest component: a header and nothing else.
        let component = Component::new(&engine, b"\0asm\x0d\0\x01\0").unwrap();
        cache.put("digest", &component);
        (folder, engine, cache, component)
    }

    #[test]
    fn what_was_put_is_found_and_nothing_else() {
        let (_folder, engine, cache, _) = cached();
        assert!(cache.get(&engine, "digest").is_some());
        assert!(cache.get(&engine, "other").is_none());
    }

    #[test]
    fn damaged_and_foreign_files_are_not_run() {
        let (_folder, engine, cache, component) = cached();
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
        assert!(cache.get(&engine, "other").is_none(), "it is another component's");

        fs::write(&path, &whole).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o622)).unwrap();
        assert!(cache.get(&engine, "digest").is_none(), "others can write it");
        fs::remove_file(&path).unwrap();
        let elsewhere = path.with_file_name("elsewhere");
        fs::write(&elsewhere, &whole).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
        assert!(cache.get(&engine, "digest").is_none(), "a link is not followed");
        cache.put("digest", &component);
        assert!(cache.get(&engine, "digest").is_some(), "a bad file is replaced");
    }

    #[test]
    fn a_folder_that_others_can_write_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("open");
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
        let refused = Cache::open(&path, &wasmtime::Engine::default()).unwrap_err().to_string();
        assert!(refused.contains("others can write it"), "{refused}");
        let below = path.join("below");
        let refused = Cache::open(&below, &wasmtime::Engine::default()).unwrap_err().to_string();
        assert!(refused.contains("put another in its place"), "{refused}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o1777)).unwrap();
        assert!(Cache::open(&below, &wasmtime::Engine::default()).is_ok(), "as /tmp is");
    }
}
