//! A plugin file that nobody accepted costs whoever looks at it a bounded amount of memory and time, and the host
//! beside which it lies neither: see `docs/operations/untrusted-plugins.md`.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use audit_chain::{Engine, Limits, PluginSource};
use audit_tests::bombs::{self, Plugin, SPIN};
use audit_tests::case::Case;
use audit_tests::files::{below, put};
use audit_tests::program::{Ended, LIMIT, Program, Running, wait_for, wait_until};
use audit_tests::{env, hostile};
use serde_json::Value;

use super::{chain, judge, refusal};

/// What a bomb may add to the memory of a process.
const GROWTH_MAX: u64 = 256 << 20;
/// A test gives up, and the machine is spared, long before all memory is used.
const GROWTH_KILLED: u64 = 2 << 30;
/// Bytes that a process and those that it starts may write to: what is left for the compiler, on any machine.
const DATA_BYTES: &str = "--data=1000000000";
/// What a refusal may add to the table's metadata.
const REFUSAL_BYTES_MAX: usize = 4096;
/// What waits for a bomb waits longer, however busy the machine is. Figures are in the documentation, not here.
const NOT_HELD_UP: Duration = Duration::from_secs(15);
const TAKEN: &str = "plugin loaded";
const REFUSED: &str = "plugin reload rejected";

/// Every bomb of the page, by the name of its file.
fn all() -> Result<Vec<(&'static str, Vec<u8>)>> {
    Ok(vec![
        ("dwarf", bombs::of_dwarf(4_000, 40_000)?),
        ("compile", bombs::to_compile(8_000, 8_000)?),
        ("compile-slow", bombs::to_compile(2_500, 2_500)?),
        ("globals", bombs::of_globals(1_000_000, 60)?),
        ("imports", bombs::of_imports(100_000, 100)),
        ("long-imports", bombs::of_imports(10_000, 10_000)),
        ("key-name", Plugin { key_bytes: 40 << 20, ..Plugin::default() }.component()?),
        ("start", Plugin { start: SPIN, ..Plugin::default() }.component()?),
        ("nested", bombs::of_nested(6, 10)?),
        ("configure", Plugin { configure: SPIN, ..Plugin::default() }.component()?),
    ])
}

/// Bytes of a process's memory by `/proc`, at that moment or at most so far.
fn memory(pid: u32, field: &str) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)).context("no such field")?;
    let kib = line.trim_start_matches(':').trim().trim_end_matches(" kB");
    Ok(kib.parse::<u64>()? << 10)
}

/// Runs it to its end, or kills it when it takes far too much.
fn watched(program: &Program) -> Result<Ended> {
    let mut running = program.start()?;
    let began = Instant::now();
    while !running.has_ended()? {
        let used = memory(running.pid(), "VmRSS").unwrap_or_default();
        if used > GROWTH_KILLED || began.elapsed() > LIMIT {
            let ended = running.kill()?;
            bail!("killed at {used} bytes after {:?}: {}", began.elapsed(), ended.stderr);
        }
        thread::sleep(Duration::from_millis(2));
    }
    running.wait(LIMIT)
}

/// `audit-host plugin VERB …`, in a process that leaves its compiler little.
fn command(dir: &Path, args: &[&str]) -> Program {
    Program::new(dir, &["plugin"]).args(args).under(&["prlimit", DATA_BYTES])
}

#[test]
fn a_bomb_takes_little_memory_of_a_command_and_few_words() -> Result<()> {
    let dir = env::folder("bombs-check")?;
    let good = dir.join("good.wasm");
    fs::write(&good, Plugin::default().component()?)?;
    let usual = watched(&command(&dir, &["check", &good.display().to_string()]))?.success()?;
    for (name, bytes) in all()? {
        let path = dir.join(format!("{name}.wasm"));
        fs::write(&path, bytes)?;
        let ended = watched(&command(&dir, &["check", &path.display().to_string()]))?;
        let said = format!("{}{}", ended.stdout, ended.stderr);
        ensure!(ended.code() == Some(1), "{name} ended with {:?}: {said}", ended.status);
        ensure!(said.len() < 4096, "{name}: {} bytes were said", said.len());
        let grown = ended.peak_rss_bytes()?.saturating_sub(usual.peak_rss_bytes()?);
        ensure!(grown <= GROWTH_MAX, "{name} took {grown} bytes: {said}");
    }
    Ok(())
}

/// The deadlines of a run hold in every command: no guest that spins makes one run for ever.
#[test]
fn every_command_has_the_deadlines_of_a_run() -> Result<()> {
    let dir = env::folder("bombs-commands")?;
    let event = "{\"event_timestamp\":\"2025-01-16T08:00:00Z\",\"action_type\":\"x\"}\n";
    let (events, cases) = (dir.join("events.jsonl"), dir.join("cases"));
    fs::write(&events, event.repeat(2))?;
    fs::create_dir_all(cases.join("one"))?;
    fs::write(cases.join("one/events.jsonl"), event)?;
    let file = |name: &str, plugin: &Plugin<'_>| -> Result<String> {
        let path = dir.join(format!("{name}.wasm"));
        fs::write(&path, plugin.component()?)?;
        Ok(path.display().to_string())
    };
    let process = file("process", &Plugin { process: SPIN, ..Plugin::default() })?;
    let describe = file("describe", &Plugin { describe: SPIN, ..Plugin::default() })?;
    let start = file("start", &Plugin { start: SPIN, ..Plugin::default() })?;
    let (events, cases) = (events.display().to_string(), cases.display().to_string());
    let lines: Vec<Vec<&str>> = vec![
        vec!["run", &process, "--input", &events],
        vec!["run", &describe, "--input", &events],
        vec!["test", &process, "--cases", &cases],
        vec!["test", &describe, "--cases", &cases],
        vec!["bench", &process, "--rows", "2000"],
        vec!["bench", &start],
        vec!["check", &describe],
        vec!["check", &start],
        vec!["inspect", &describe],
        vec!["inspect", &start],
    ];
    thread::scope(|scope| {
        let mut runs = Vec::new();
        for line in &lines {
            let program = Program::new(&dir, &["plugin"]).args(line);
            runs.push((line, scope.spawn(move || program.run())));
        }
        for (line, run) in runs {
            let ended = run.join().map_err(|_| anyhow::anyhow!("a thread panicked"))??;
            // `run` goes on with the rows that are left: here there are none.
            let said = format!("{}{}", ended.stdout, ended.stderr);
            ensure!(ended.elapsed < Duration::from_secs(80), "{line:?} took {:?}", ended.elapsed);
            ensure!(said.contains("took longer than"), "{line:?} said {said}");
        }
        Ok(())
    })
}

/// Starting again after a failure is part of the search's time: it took `setup-time` each, however short that of a
/// batch is.
#[test]
fn a_slow_start_is_charged_to_the_search() -> Result<()> {
    let engine = Engine::new()?;
    let spins = bombs::slow(400_000_000, "");
    let plugin = Plugin { start: &spins, process: "(unreachable)", ..Plugin::default() };
    let began = Instant::now();
    let batch_time = Duration::from_millis(10);
    let (setup_time, breaker_pause) = (Duration::from_mins(1), Duration::ZERO);
    let limits = Limits { batch_time, setup_time, breaker_pause, ..Limits::default() };
    let source = PluginSource { limits, ..PluginSource::new("slow.wasm", plugin.component()?) };
    let mut chain = chain(&engine, source)?;
    let start = began.elapsed();
    ensure!(start > batch_time * 10, "it starts within {start:?}: count further");
    let began = Instant::now();
    let judged = judge(&mut chain, 0, 1000)?;
    let took = began.elapsed();
    ensure!(judged.dead_letters.len() == 1000, "{} dead letters", judged.dead_letters.len());
    // The whole batch, a part of it, and a trial of some rows after they were given up: without limits each starts
    // the plugin, some of them more than once.
    let most = batch_time * 30 + Duration::from_millis(300);
    ensure!(took < most.max(start * 2), "a batch took {took:?}, one start {start:?}");
    Ok(())
}

#[test]
fn what_a_guest_declares_is_bounded() -> Result<()> {
    let engine = Engine::new()?;
    let source = |bytes| PluginSource::new("bomb.wasm", bytes);
    let long = Plugin { key_bytes: 65, ..Plugin::default() }.component()?;
    let said = refusal(&engine, source(long))?;
    ensure!(said.contains("a key column whose name has 65 bytes"), "{said}");
    let huge = Plugin { key_bytes: 40 << 20, ..Plugin::default() }.component()?;
    let said = refusal(&engine, source(huge))?;
    ensure!(said.contains("calling describe") && said.len() < 1024, "{said}");
    let said = refusal(&engine, source(bombs::of_imports(100_000, 100)))?;
    ensure!(said.contains("99995 more") && said.len() < 2048, "{} bytes: {said}", said.len());
    let said = refusal(&engine, source(bombs::of_globals(1_000_000, 60)?))?;
    ensure!(said.contains("is not instantiated"), "{said}");
    let said = refusal(&engine, source(bombs::of_nested(3, 10)?))?;
    ensure!(said.len() < 1024, "{said}");
    ensure!(chain(&engine, source(bombs::of_globals(1000, 50)?)).is_ok());
    Ok(())
}

/// Our own lines are shown, and those of a stranger are not even read.
#[test]
fn a_trap_shows_the_authors_line_and_no_foreign_debug_information_is_read() -> Result<()> {
    let engine = Engine::new()?;
    let source = super::source("describe-trap", &serde_json::json!({}))?;
    let said = refusal(&engine, source)?;
    ensure!(said.contains("calling describe") && said.contains("src/mode.rs:"), "{said}");
    let began = Instant::now();
    let source = PluginSource::new("dwarf.wasm", bombs::of_dwarf(4, 400)?);
    let said = refusal(&engine, source)?;
    ensure!(said.contains("calling describe") && !said.contains("a.rs"), "{said}");
    ensure!(began.elapsed() < Duration::from_secs(10));
    Ok(())
}

/// Polls the counters of a host: how long it read nothing at a time.
struct Stalls {
    address: String,
    last: u64,
    since: Instant,
    longest: Duration,
}

impl Stalls {
    fn of(port: u16) -> Self {
        let (since, longest) = (Instant::now(), Duration::ZERO);
        Self { address: format!("127.0.0.1:{port}"), last: 0, since, longest }
    }

    fn look(&mut self) -> Result<()> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let line =
            text.lines().find_map(|line| line.strip_prefix("audit_host_records_read_total "));
        let n_read: u64 = line.context("no counter")?.parse()?;
        self.longest = self.longest.max(self.since.elapsed());
        if n_read > self.last {
            (self.last, self.since) = (n_read, Instant::now());
        }
        Ok(())
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// A host that reads 500 events a second, with a redactor and a plugin that marks every row.
struct Stream {
    case: Case,
    folder: std::path::PathBuf,
    versions: [Vec<u8>; 2],
    host: Running,
    _events: Running,
    stalls: Stalls,
}

impl Stream {
    fn start(name: &str) -> Result<Self> {
        let case = Case::new(name, 1)?;
        let folder = case.dir.join("plugins");
        fs::create_dir_all(&folder)?;
        let first = fs::read(env::guest("files_and_sockets")?)?;
        let second = hostile::patched(&first, "asked for nothing", "asked for a thing")?;
        put(&folder.join("20-redact.wasm"), fs::read(env::plugin("redact_pii")?)?)?;
        put(&folder.join("30-marks.wasm"), &first)?;
        fs::write(folder.join("30-marks.toml"), "config = { try = \"nothing\" }\n")?;
        let events = case.generate(60_000, 1)?.args(&["--rate", "500"]).start()?;
        let port = free_port()?;
        // What comes into the folder later is not even compiled without a grant.
        let config = case.path("audit-host.toml");
        let named = all()?.into_iter().map(|(name, _)| format!("[plugins.grants.40-{name}]\n"));
        let granted = named.collect::<String>() + "[plugins.grants.50-again]\n";
        fs::write(&config, granted)?;
        let host = case
            .host()?
            .args(&["--plugin-dir", &folder.display().to_string(), "--config", &config])
            .args(&["--plugin-cache", &case.path("compiled"), "--trigger-interval", "500ms"])
            .args(&["--metrics", &format!("127.0.0.1:{port}")])
            .under(&["prlimit", DATA_BYTES])
            .start()?;
        wait_for(&host, "running", 1)?;
        let mut stalls = Stalls::of(port);
        wait_until("the first thousand events", LIMIT, || {
            stalls.look()?;
            Ok(stalls.last > 1000)
        })?;
        stalls.longest = Duration::ZERO;
        Ok(Self { case, folder, versions: [first, second], host, _events: events, stalls })
    }

    /// How long it takes until the log has a phrase for the nth time; the counters are looked at meanwhile.
    fn until(&mut self, phrase: &str, n: usize) -> Result<Duration> {
        let began = Instant::now();
        let Self { host, stalls, .. } = self;
        let what = format!("{phrase:?} for the {n}th time");
        wait_until(&what, LIMIT, || {
            stalls.look()?;
            let used = memory(host.pid(), "VmRSS")?;
            ensure!(used < GROWTH_KILLED, "the host has {used} bytes");
            Ok(host.log()?.matches(phrase).count() >= n)
        })?;
        Ok(began.elapsed())
    }
}

#[test]
fn bombs_beside_a_running_host_harm_neither_it_nor_other_reloads() -> Result<()> {
    let mut stream = Stream::start("bombs-beside")?;
    let before = memory(stream.host.pid(), "VmRSS")?;
    let marks = stream.folder.join("30-marks.wasm");
    let bombs = all()?;
    for (name, bytes) in &bombs {
        put(&stream.folder.join(format!("40-{name}.wasm")), bytes)?;
    }
    // While they are compiled and started, another plugin is reloaded, and rolled back.
    wait_for(&stream.host, REFUSED, 1)?;
    put(&marks, &stream.versions[1])?;
    let took = stream.until(TAKEN, 1)?;
    ensure!(took < NOT_HELD_UP, "a reload took {took:?}");
    let is_committed = || -> Result<bool> {
        let listed = stream.case.plugin_command(&["list", "--json"]).run()?.stdout;
        Ok(listed.contains(&audit_tests::files::sha256(&stream.versions[1])))
    };
    wait_until("the table to name what runs", LIMIT, is_committed)?;
    stream.case.plugin_command(&["rollback", "files_and_sockets"]).succeed()?;
    let took = stream.until(TAKEN, 2)?;
    ensure!(took < NOT_HELD_UP, "a rollback took {took:?}");

    stream.until(REFUSED, bombs.len())?;
    let grown = memory(stream.host.pid(), "VmHWM")?.saturating_sub(before);
    ensure!(grown <= GROWTH_MAX, "the host took {grown} bytes more");
    let longest = stream.stalls.longest;
    ensure!(longest < NOT_HELD_UP, "nothing was read for {longest:?}");
    let n_lines = stream.host.log()?.lines().filter(|line| line.len() > 4096).count();
    ensure!(n_lines == 0, "{n_lines} lines of the log are longer than 4 KiB");
    stream.host.terminate()?;
    stream.host.wait(LIMIT)?.success()?;
    check_metadata(&stream.case, bombs.len())?;
    let history = stream.case.plugin_command(&["history"]).succeed()?.stdout;
    ensure!(history.matches("  refused  ").count() == bombs.len(), "{history}");
    Ok(())
}

/// What every later metadata file carries along for the refusals.
fn check_metadata(case: &Case, n_refusals: usize) -> Result<()> {
    let files = below(&case.dir.join("warehouse/demo/audit_trail/metadata"))?;
    let newest =
        files.into_iter().filter(|path| path.to_string_lossy().ends_with(".metadata.json")).max();
    let metadata = fs::read_to_string(newest.context("no metadata")?)?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let snapshots = metadata["snapshots"].as_array().context("no snapshots")?;
    let changes = snapshots.iter().filter_map(|snapshot| snapshot["summary"].as_object());
    let texts: Vec<&str> = changes
        .flatten()
        .filter_map(|(_, value)| value.as_str())
        .filter(|text| text.contains("\"refused\""))
        .collect();
    // As it is in the file, where it is JSON within JSON.
    let n_bytes: usize = texts.iter().map(|text| Value::from(*text).to_string().len()).sum();
    let n_found: usize =
        texts.iter().map(|text| text.matches("\"kind\":\"refused\"").count()).sum();
    ensure!(n_found >= n_refusals, "{n_found} refusals in the metadata");
    let most = REFUSAL_BYTES_MAX * n_refusals;
    ensure!(n_bytes <= most, "{n_refusals} refusals take {n_bytes} bytes of the metadata");
    Ok(())
}

/// A candidate that is in order by itself and does not fit into the chain leaves nothing behind.
#[test]
fn a_candidate_that_does_not_fit_is_not_kept() -> Result<()> {
    let stream = Stream::start("bombs-kept")?;
    let stored = || below(&stream.case.dir.join("warehouse/.audit-host/plugins"));
    let before = stored()?;
    ensure!(before.len() == 2, "{before:?}");
    let redactor = fs::read(env::plugin("redact_pii")?)?;
    let twice = stream.folder.join("50-again.wasm");
    for n in 1..4 {
        // It is the second of its name.
        put(&twice, hostile::with_padding(&redactor, n << 20))?;
        wait_for(&stream.host, REFUSED, n)?;
    }
    wait_until("what was rejected to be removed", LIMIT, || Ok(stored()? == before))?;
    put(&stream.folder.join("30-marks.wasm"), &stream.versions[1])?;
    wait_for(&stream.host, TAKEN, 1)?;
    ensure!(stored()?.len() == 3, "what runs is kept");
    stream.host.terminate()?;
    stream.host.wait(LIMIT)?.success()?;
    Ok(())
}
