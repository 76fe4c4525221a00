//! A plugin folder in which anything may happen: it goes and comes back, becomes a link, belongs to everybody, and
//! fills up with what is no plugin. After each of these a good reload acts, and no plugin is lost.

use std::ffi::OsStr;
use std::fs::{self, File, FileTimes, Permissions};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Result, ensure};
use audit_tests::case::{Case, TABLE};
use audit_tests::files::{put, sha256};
use audit_tests::program::{LIMIT, Running, wait_for, wait_until};
use audit_tests::{env, hostile};

use crate::hostile::grants::{LOADED, REFUSED, end, has_alert, nothing_raw, send, started};

const DETECTOR: &str = "10-detect_ip_spread.wasm";
const REDACTOR: &str = "20-redact_pii.wasm";

/// Entries that are no plugins, or that nobody named. Returns what is said of them, as the log has it.
fn odd_entries(folder: &Path) -> Result<Vec<&'static str>> {
    symlink(folder.join("loop.wasm"), folder.join("loop.wasm"))?;
    symlink("/nonexistent", folder.join("dangling.wasm"))?;
    symlink(folder, folder.join("sub"))?;
    symlink(env::plugin("redact_pii")?, folder.join("30-redact_pii.wasm"))?;
    fs::create_dir(folder.join("folder.wasm"))?;
    fs::create_dir(folder.join("20-redact_pii.toml"))?;
    fs::write(folder.join("zero.wasm"), "")?;
    fs::write(folder.join("\n\u{1b}[31mx.wasm"), "")?;
    fs::write(folder.join(OsStr::from_bytes(b"\xff\xfe.wasm")), "")?;
    let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    for (name, seconds) in [(REDACTOR, 9_000_000_000), (DETECTOR, 0)] {
        let file = File::options().write(true).open(folder.join(name))?;
        file.set_times(FileTimes::new().set_modified(at(seconds)).set_accessed(at(seconds)))?;
    }
    Ok(vec![
        "20-redact_pii.toml: it is not a file (AH-0100)",
        "is a file name that is not UTF-8: rename it (AH-0104)",
        "30-redact_pii.wasm came into the plugin folder, and nothing grants it to run",
        "dangling.wasm came into the plugin folder",
        "folder.wasm came into the plugin folder",
        "loop.wasm came into the plugin folder",
        "zero.wasm came into the plugin folder",
        "[31mx.wasm came into the plugin folder",
    ])
}

/// A running host, and what its folder is given.
struct Folder {
    case: Case,
    path: PathBuf,
    running: Running,
    detector: Vec<u8>,
    n_versions: usize,
    n_events: usize,
}

impl Folder {
    fn start() -> Result<Self> {
        let case = Case::new("strangers-folder", 1)?;
        let path = case.dir.join("plugins");
        fs::create_dir(&path)?;
        let detector = fs::read(env::plugin("detect_ip_spread")?)?;
        put(&path.join(DETECTOR), &detector)?;
        put(&path.join(REDACTOR), fs::read(env::plugin("redact_pii")?)?)?;
        let running = started(&case, &format!("[plugins]\ndir = {:?}\n", path.display()))?;
        let mut folder = Self { case, path, running, detector, n_versions: 0, n_events: 0 };
        folder.judges()?;
        Ok(folder)
    }

    /// Ten events more become rows.
    fn judges(&mut self) -> Result<()> {
        send(&self.case, 10)?;
        self.n_events += 10;
        let n_rows = || Ok::<_, anyhow::Error>(self.case.reader().record_origins(TABLE)?.len());
        wait_until("the events", LIMIT, || Ok(n_rows()? == self.n_events))
    }

    /// Another version of the detector, which differs in nothing but its bytes.
    fn put_version(&mut self) -> Result<Vec<u8>> {
        self.n_versions += 1;
        let version = hostile::with_padding(&self.detector, self.n_versions);
        put(&self.path.join(DETECTOR), &version)?;
        Ok(version)
    }

    /// A good version is loaded, and judges.
    fn reloads(&mut self, n: usize) -> Result<()> {
        let digest = sha256(self.put_version()?);
        wait_for(&self.running, LOADED, n)?;
        let log = self.running.log()?;
        let line = log.lines().rfind(|line| line.contains(LOADED)).unwrap_or_default();
        ensure!(line.contains(&digest), "another version than {digest}: {line}");
        self.judges()
    }

    /// The log says it, in a line of its own.
    fn says(&self, what: &str) -> Result<()> {
        let is_said =
            |log: &str| log.lines().any(|line| line.contains(REFUSED) && line.contains(what));
        wait_until(&format!("{what:?} in the log"), LIMIT, || Ok(is_said(&self.running.log()?)))
    }
}

#[test]
fn a_folder_that_comes_and_goes_holds_up_no_reload_and_removes_no_plugin() -> Result<()> {
    let mut folder = Folder::start()?;
    for said in odd_entries(&folder.path)? {
        folder.says(said)?;
    }
    folder.reloads(1)?;

    let away = folder.case.dir.join("away");
    fs::rename(&folder.path, &away)?;
    folder.says("(AH-0113)")?;
    has_alert(&folder.case, "plugin-refused", "AH-0113")?;
    folder.judges()?;
    fs::rename(&away, &folder.path)?;
    folder.reloads(2)?;

    fs::rename(&folder.path, &away)?;
    symlink(&away, &folder.path)?;
    folder.reloads(3)?;

    fs::set_permissions(&away, Permissions::from_mode(0o777))?;
    folder.put_version()?;
    folder.says("other users can write to it (mode 777): chmod go-w (AH-0120)")?;
    has_alert(&folder.case, "plugin-refused", "AH-0120")?;
    folder.judges()?;
    let n_loaded = folder.running.log()?.matches(LOADED).count();
    ensure!(n_loaded == 3, "{n_loaded} reloads: one of them from a folder of everybody");
    fs::set_permissions(&away, Permissions::from_mode(0o755))?;
    let newest = sha256(folder.put_version()?);
    let is_loaded =
        |log: &str| log.lines().any(|line| line.contains(LOADED) && line.contains(&newest));
    wait_until("a reload of the newest", LIMIT, || Ok(is_loaded(&folder.running.log()?)))?;
    folder.judges()?;

    let Folder { case, running, n_events, .. } = folder;
    let log = running.log()?;
    ensure!(!log.contains('\u{1b}'), "a file name steers the terminal");
    end(running)?;
    let listed = case.plugin_command(&["list", "--json"]).succeed()?.stdout;
    for name in ["detect_ip_spread", "redact_pii", &newest] {
        ensure!(listed.contains(name), "no {name}: {listed}");
    }
    nothing_raw(&case, n_events)
}
