//! Where everything lies, and the lock that keeps two xtasks apart.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::{folder, run};

/// The folders of this checkout and of the user's cache.
pub(crate) struct Context {
    /// The checkout.
    pub(crate) root: PathBuf,
    /// All that cargo builds, the components (`plugins/`, `guests/`, `templates/`) and the wasm builds behind them (`wasm/`).
    pub(crate) target: PathBuf,
    /// Fetched parts, each in a folder named by the hash of what it was made from: never changed later.
    pub(crate) parts: PathBuf,
}

impl Context {
    pub(crate) fn new() -> Result<Self> {
        // Cargo sets the variable for `cargo run`; the constant serves a binary called directly.
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest.parent().context("xtask lies in no workspace")?.to_owned();
        let cache = cache_dir()?;
        let target = match std::env::var_os("CARGO_TARGET_DIR") {
            Some(dir) => std::path::absolute(dir).context("cannot resolve CARGO_TARGET_DIR")?,
            None => cache.join("target"),
        };
        Ok(Self { root, target, parts: cache.join("parts") })
    }

    /// The components, as `<name_with_underscores>.wasm`.
    pub(crate) fn plugins(&self) -> PathBuf {
        self.target.join("plugins")
    }

    /// The components of `tests/guests/`, which are not for users.
    pub(crate) fn guests(&self) -> PathBuf {
        self.target.join("guests")
    }

    /// The components of the transforms that `plugin new` makes, as `mask_<language>.wasm`.
    pub(crate) fn templates(&self) -> PathBuf {
        self.target.join("templates")
    }

    /// Where cargo compiles both to modules.
    pub(crate) fn wasm(&self) -> PathBuf {
        self.target.join("wasm")
    }

    pub(crate) fn host_binary(&self) -> PathBuf {
        self.target.join("release/audit-host")
    }

    /// The cargo that runs xtask, on this workspace and with the output folder of the product.
    pub(crate) fn cargo(&self) -> Command {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = audit_toolchain::clean(cargo);
        command
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", &self.target)
            .env("AUDIT_HOST_BUILTINS", self.plugins());
        command
    }

    /// An empty folder for one piece of work, on the disk that holds the build.
    pub(crate) fn scratch(&self, name: &str) -> Result<PathBuf> {
        let dir = self.target.join("tmp").join(name);
        folder::empty(&dir)?;
        Ok(dir)
    }

    /// Held while xtask builds. Waits for another xtask and says so.
    pub(crate) fn lock_target(&self) -> Result<File> {
        let lock = lock(&self.target)?;
        self.claim_target()?;
        Ok(lock)
    }

    /// Cargo tells the crates of two checkouts apart by time only: what another checkout built later
    /// would be taken for what this one has. The crates that both depend on are the same, and stay.
    fn claim_target(&self) -> Result<()> {
        let path = self.target.join(".checkout");
        let root = self.root.as_os_str().as_bytes();
        let claimed = |cause| format!("cannot note in {} who builds here: {cause}", path.display());
        match fs::read(&path) {
            Ok(last) if last == root => return Ok(()),
            Ok(_) => {
                println!("xtask: another checkout was built here last: its own crates are removed");
                run::run(self.cargo().args(["clean", "--workspace", "--release"]))?;
                match fs::remove_dir_all(self.wasm()) {
                    Err(error) if error.kind() != ErrorKind::NotFound => {
                        return Err(error).with_context(|| self.wasm().display().to_string());
                    }
                    _ => {}
                }
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => bail!(claimed(error)),
        }
        fs::write(&path, root).or_else(|error| bail!(claimed(error)))
    }

    /// Held while xtask fetches parts.
    pub(crate) fn lock_parts(&self) -> Result<File> {
        lock(&self.parts)
    }
}

fn cache_dir() -> Result<PathBuf> {
    let base = match std::env::var_os("XDG_CACHE_HOME").filter(|dir| !dir.is_empty()) {
        Some(dir) => PathBuf::from(dir),
        None => std::env::home_dir().context("set HOME or XDG_CACHE_HOME")?.join(".cache"),
    };
    Ok(base.join("audit-host"))
}

fn lock(dir: &Path) -> Result<File> {
    fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let path = dir.join(".xtask.lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.with_context(|| format!("cannot open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            println!("xtask: waiting for another xtask that holds {}", path.display());
            file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
        }
        Err(TryLockError::Error(error)) => {
            return Err(error).with_context(|| format!("cannot lock {}", path.display()));
        }
    }
    Ok(file)
}
