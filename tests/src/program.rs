//! The program under test, run as a user runs it: arguments, files, exit code. Never waits for ever.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::env;

/// Longer than any run of a test; a run that takes this long hangs.
pub const LIMIT: Duration = Duration::from_mins(2);
const SIGABRT: i32 = 6;
const SIGKILL: i32 = 9;
/// How often a condition is checked.
const CHECK_EVERY: Duration = Duration::from_millis(5);

/// A command line to run.
#[derive(Debug, Clone)]
pub struct Program {
    /// What starts the program, if something else does.
    under: Vec<String>,
    args: Vec<String>,
    dir: PathBuf,
    env: Vec<(String, String)>,
}

/// What a run left.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
    pub elapsed: Duration,
    peak_rss_bytes: u64,
}

/// A run that goes on. Dropping it kills the process.
#[derive(Debug)]
pub struct Running {
    child: Child,
    args: Vec<String>,
    out: [PathBuf; 2],
    began: Instant,
    peak_rss_bytes: u64,
}

impl Program {
    /// The program with these arguments, in the folder `dir`, where its output is kept as well.
    pub fn new(dir: &Path, args: &[&str]) -> Self {
        let args = args.iter().map(ToString::to_string).collect();
        Self { under: Vec::new(), args, dir: dir.to_owned(), env: Vec::new() }
    }

    /// Started by this command line, to which program and arguments are added: to limit what it may do.
    #[must_use]
    pub fn under(mut self, command: &[&str]) -> Self {
        self.under = command.iter().map(ToString::to_string).collect();
        self
    }

    #[must_use]
    pub fn args(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(ToString::to_string));
        self
    }

    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts it with no input and none of our own settings in its environment.
    pub fn start(&self) -> Result<Running> {
        static RUNS: AtomicU32 = AtomicU32::new(0);
        let run = RUNS.fetch_add(1, Ordering::Relaxed);
        let out = ["stdout", "stderr"].map(|kind| self.dir.join(format!("run-{run}.{kind}")));
        let program = env::program()?;
        let mut command = match self.under.split_first() {
            None => Command::new(program),
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
        };
        command.args(&self.args).current_dir(&self.dir).stdin(Stdio::null());
        env::without_settings(&mut command);
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command.stdout(create(&out[0])?).stderr(create(&out[1])?);
        let child = command.spawn().context("cannot start the program under test")?;
        let (args, began) = (self.args.clone(), Instant::now());
        Ok(Running { child, args, out, began, peak_rss_bytes: 0 })
    }

    /// Runs it to its end, with any exit code.
    pub fn run(&self) -> Result<Ended> {
        self.start()?.wait(LIMIT)
    }

    /// Runs it and insists on exit code 0.
    pub fn succeed(&self) -> Result<Ended> {
        self.run()?.success()
    }
}

fn create(path: &Path) -> Result<File> {
    File::create(path).with_context(|| format!("cannot create {}", path.display()))
}

impl Running {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> Result<bool> {
        self.peak_rss_bytes = self.peak_rss_bytes.max(peak_rss_bytes(self.pid()));
        Ok(self.child.try_wait().context("cannot ask for the state of the program")?.is_some())
    }

    /// Waits for its end; a run over the limit is killed and an error.
    pub fn wait(mut self, limit: Duration) -> Result<Ended> {
        let deadline = Instant::now() + limit;
        while !self.has_ended()? {
            if Instant::now() > deadline {
                let args = self.args.join(" ");
                let ended = self.kill()?;
                bail!("`{args}` did not end within {limit:?}; its log:\n{}", ended.stderr);
            }
            thread::sleep(CHECK_EVERY);
        }
        self.collect()
    }

    /// Asks for a clean end, as a service manager does.
    pub fn terminate(&self) -> Result<()> {
        signal(self.pid(), "TERM")
    }

    /// Stops it where it is, as a frozen machine does: it stays alive and does nothing.
    pub fn pause(&self) -> Result<()> {
        signal(self.pid(), "STOP")
    }

    /// Lets it go on after [`Running::pause`].
    pub fn resume(&self) -> Result<()> {
        signal(self.pid(), "CONT")
    }

    /// Kills it as a crash does (SIGKILL).
    pub fn kill(mut self) -> Result<Ended> {
        self.child.kill().context("cannot kill the program")?;
        self.collect()
    }

    /// Its standard error so far, which is its log.
    pub fn log(&self) -> Result<String> {
        read(&self.out[1])
    }

    fn collect(&mut self) -> Result<Ended> {
        let status = self.child.wait().context("cannot wait for the program")?;
        Ok(Ended {
            status,
            stdout: read(&self.out[0])?,
            stderr: read(&self.out[1])?,
            elapsed: self.began.elapsed(),
            peak_rss_bytes: self.peak_rss_bytes,
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // An error says that it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Ended {
    /// Insists on exit code 0.
    pub fn success(self) -> Result<Self> {
        ensure!(self.status.success(), "the program ended with {}:\n{}", self.status, self.stderr);
        Ok(self)
    }

    /// The exit code; none if a signal ended it.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Whether [`Running::kill`] ended it: no other signal does, as a crash of the program's own.
    pub fn was_killed(&self) -> bool {
        self.status.signal() == Some(SIGKILL)
    }

    /// Whether it ended itself at the step of `AUDIT_HOST_FAIL_POINT`.
    pub fn was_at_fail_point(&self) -> bool {
        self.status.signal() == Some(SIGABRT) && self.stderr.contains("fail point reached")
    }

    /// The most memory that it had; an error if it ended too soon to be measured.
    pub fn peak_rss_bytes(&self) -> Result<u64> {
        ensure!(self.peak_rss_bytes > 0, "the program ended before its memory was measured");
        Ok(self.peak_rss_bytes)
    }

    /// The lines on standard error that report why the program failed.
    pub fn error_lines(&self) -> Vec<&str> {
        self.stderr.lines().filter(|line| line.starts_with("audit-host: ")).collect()
    }
}

/// Sends a signal to a process that a test started.
pub fn signal(pid: u32, name: &str) -> Result<()> {
    let status = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status();
    let is_sent = status.context("cannot run kill")?.success();
    ensure!(is_sent, "cannot send {name} to process {pid}");
    Ok(())
}

fn read(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// `VmHWM` of a process; 0 once it is gone.
fn peak_rss_bytes(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|rest| rest.trim().strip_suffix(" kB"));
    kib.and_then(|kib| kib.parse::<u64>().ok()).map_or(0, |kib| kib * 1024)
}

/// Checks until `happened` returns true. An error if it does not within `limit`.
pub fn wait_until(
    what: &str,
    limit: Duration,
    mut happened: impl FnMut() -> Result<bool>,
) -> Result<()> {
    let deadline = Instant::now() + limit;
    while !happened()? {
        ensure!(Instant::now() < deadline, "timed out after {limit:?}: {what}");
        thread::sleep(CHECK_EVERY);
    }
    Ok(())
}

/// Waits until the log of a run has a phrase for the `n`th time.
pub fn wait_for(run: &Running, phrase: &str, n: usize) -> Result<()> {
    let what = format!("{phrase:?} for the {n}th time in the log");
    wait_until(&what, LIMIT, || Ok(run.log()?.matches(phrase).count() >= n))
}
