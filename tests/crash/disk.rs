//! A disk without room, and folders that may not be written: one line that says so, exit code 1, and nothing is lost
//! or doubled once there is room again.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use audit_tests::case::Case;
use audit_tests::program::{Ended, Program};

use super::{BAD_RECORDS_A_ROUND, check_exactly_once, host, send_bad_records};

const N_EVENTS: u64 = 2_000;
/// Room of the disk, much more than the test needs.
const DISK_KIB: u64 = 32 * 1024;
/// No room for the catalog, and room for it but not for the data files. The store tries a file again for almost a
/// minute, so few of these are tried.
const ROOMS_KIB: [u64; 2] = [0, 72];

/// A file system of its own in memory where we may mount one, which is full when it is full. Elsewhere a limit of
/// the length of each file stands in for it.
enum Disk {
    Mounted(PathBuf),
    Limited,
}

impl Disk {
    fn at(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let size = format!("size={DISK_KIB}k");
        let mounted = run("mount", &["-t", "tmpfs", "-o", &size, "tmpfs"], folder);
        Ok(if mounted.is_ok() { Self::Mounted(folder.to_owned()) } else { Self::Limited })
    }

    /// The program with so much room left.
    fn leaving(&self, kib: u64, program: Program) -> Result<Program> {
        match self {
            Self::Mounted(folder) => {
                fill(folder, kib)?;
                Ok(program)
            }
            Self::Limited => {
                // Without the trap a signal would end the program at the limit.
                let limited = format!("trap '' XFSZ; ulimit -f {kib}; exec \"$0\" \"$@\"");
                Ok(program.under(&["bash", "-c", &limited]))
            }
        }
    }

    fn empty(&self) -> Result<()> {
        match self {
            Self::Mounted(folder) => Ok(fs::remove_file(folder.join("filler"))?),
            Self::Limited => Ok(()),
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Self::Mounted(folder) = self {
            // What the test found is kept in memory only as long as it is mounted.
            drop(run("umount", &["-l"], folder));
        }
    }
}

/// Runs a command on a path.
fn run(command: &str, args: &[&str], path: &Path) -> Result<String> {
    let output = Command::new(command).args(args).arg(path).output();
    let output = output.with_context(|| format!("cannot start {command}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command} {args:?} {}: {said}", path.display());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Fills a file system until so much is left.
fn fill(folder: &Path, kib_left: u64) -> Result<()> {
    let filler = folder.join("filler");
    fs::write(&filler, b"")?;
    let free = run("df", &["--output=avail", "-k"], folder)?;
    let free: u64 = free.lines().last().context("df is silent")?.trim().parse()?;
    let n_bytes = usize::try_from(free.saturating_sub(kib_left) * 1024)?;
    Ok(fs::write(&filler, vec![1_u8; n_bytes])?)
}

/// Puts all that the program writes, but its log, on a disk of its own.
fn put_on_disk(case: &Case) -> Result<Disk> {
    let folder = case.dir.join("disk");
    let disk = Disk::at(&folder)?;
    fs::create_dir(folder.join("warehouse"))?;
    for name in ["warehouse", "catalog.db", "alerts.jsonl"] {
        symlink(folder.join(name), case.dir.join(name))?;
    }
    Ok(disk)
}

/// The end of a run that could not write: one line with a code. Says what was attempted.
fn attempted(ended: &Ended) -> Result<String> {
    let lines = ended.error_lines();
    ensure!(lines.len() == 1, "not one line: {}", ended.stderr);
    ensure!(ended.code() == Some(1), "exit code {:?} after: {}", ended.code(), lines[0]);
    ensure!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    let (_, code) =
        lines[0].rsplit_once("(AH-").with_context(|| format!("no code: {}", lines[0]))?;
    Ok(code.trim_end_matches(')').to_owned())
}

#[test]
fn a_full_disk_ends_the_run_with_one_line_and_loses_nothing() -> Result<()> {
    let case = Case::new("full-disk", 2)?;
    let disk = put_on_disk(&case)?;
    // The first run makes the tables.
    send_bad_records(&case)?;
    let program = || -> Result<Program> { Ok(host(&case)?.args(&["--until-end"])) };
    program()?.succeed()?;
    case.generate(N_EVENTS, 8)?.succeed()?;
    send_bad_records(&case)?;

    let mut places = BTreeSet::new();
    for room in ROOMS_KIB {
        places.insert(attempted(&disk.leaving(room, program()?)?.run()?)?);
    }
    ensure!(places.len() == ROOMS_KIB.len(), "all runs failed with {places:?}");
    disk.empty()?;
    program()?.succeed()?;
    check_exactly_once(&case, 2 * BAD_RECORDS_A_ROUND)?;
    case.check_alerts()
}

/// Where each step of a commit writes, below the warehouse.
const FOLDERS: [&str; 6] = [
    "demo/audit_trail/data",
    ".audit-host/outbox",
    ".audit-host/state",
    "demo/audit_trail/metadata",
    "demo/audit_trail_dead_letters/data",
    "demo/audit_trail_dead_letters/metadata",
];

/// A folder that nobody may write, not even root; the end of it is the end of that.
struct ReadOnly(PathBuf);

impl ReadOnly {
    fn make(folder: PathBuf) -> Result<Self> {
        let made = Self(folder);
        let folder = &made.0;
        if run("mount", &["--bind", &folder.display().to_string()], folder).is_ok() {
            run("mount", &["-o", "remount,bind,ro"], folder)?;
        } else {
            set_mode(folder, 0o555)?;
        }
        Ok(made)
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        if run("umount", &[], &self.0).is_err() {
            drop(set_mode(&self.0, 0o755));
        }
    }
}

/// Of a folder and every folder in it.
fn set_mode(folder: &Path, mode: u32) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            set_mode(&path, mode)?;
        }
    }
    Ok(fs::set_permissions(folder, fs::Permissions::from_mode(mode))?)
}

#[test]
fn a_folder_that_may_not_be_written_ends_the_run_with_one_line_and_loses_nothing() -> Result<()> {
    let case = Case::new("read-only", 2)?;
    let program = || -> Result<Program> { Ok(host(&case)?.args(&["--until-end"])) };
    case.generate(N_EVENTS, 9)?.succeed()?;
    send_bad_records(&case)?;
    program()?.succeed()?;
    for (folder, seed) in FOLDERS.into_iter().zip(10..) {
        // Failed logins among them, which change the detector's state.
        case.generate(N_EVENTS / 5, seed)?.succeed()?;
        send_bad_records(&case)?;
        let read_only = ReadOnly::make(case.dir.join("warehouse").join(folder))?;
        let ended = program()?.run()?;
        drop(read_only);
        attempted(&ended).with_context(|| folder.to_owned())?;
        let line = ended.error_lines()[0];
        let said = line.contains("Read-only file system") || line.contains("ermission denied");
        ensure!(said, "{folder}: the reason is not in {line}");
    }
    program()?.succeed()?;
    check_exactly_once(&case, (1 + FOLDERS.len()) * BAD_RECORDS_A_ROUND)?;
    Ok(())
}
