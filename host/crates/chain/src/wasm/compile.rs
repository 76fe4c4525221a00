//! Compiles a component in a process of its own.
//!
//! What a compiler takes is not bounded by the size of its input: a component of 82 KB made Cranelift take more
//! than 6 GiB, and the host, whose allocation failed, ended with it. So the program starts itself once more
//! for each component that is not in the cache. That process limits itself before it reads a byte, compiles, and
//! answers with the compiled code; whatever happens to it, the host has an error that says so.
//!
//! The answer, on its standard output: the engine's fingerprint, a status and the length of what follows, which
//! is the code or the text of an error.

use std::env;
use std::io::{self, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitCode, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use object::{Object as _, ObjectSection as _};

use crate::error::Error;
use crate::text;
use crate::wasm::config::{fingerprint, wasmtime_engine};
use crate::wasm::rlimits::{self, CPU_SECONDS};

/// The argument by which the program is asked to compile and nothing else.
const COMMAND: &str = "compile-component";
/// The program that runs, also after its file was replaced.
const OWN_PROGRAM: &str = "/proc/self/exe";
/// The variable without which the program may not start at all.
const LIBRARIES: &str = "LD_LIBRARY_PATH";
/// Time for one component by the clock: many times what the largest takes on a machine that is busy.
const TIME_MAX: Duration = Duration::from_mins(5);
/// How often the host looks whether the candidate is still wanted.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Compiled code is a few times as large as a component, ...
const CODE_FACTOR: u64 = 8;
/// ... small components more often than large ones, ...
const CODE_BYTES_MIN: u64 = 16 << 20;
/// ... and no more than this: the host holds it twice while it takes it over.
const CODE_BYTES_MAX: u64 = 512 << 20;
/// Bytes of what the code says about itself: functions, instances, what is connected with what. The host has some
/// twenty times as many while it reads them; a component of 285 bytes whose components contain one another made it
/// take 150 MiB, one of 31 MB 1.8 GB. Ours have 14 KB.
const INFO_BYTES_MAX: u64 = 4 << 20;
/// The section that has them.
const INFO_SECTION: &str = ".wasmtime.info";
/// The problem with a candidate that was given up.
pub(crate) const UNWANTED: &str = "it is no longer wanted";
/// Bytes of the fingerprint, the status and the length.
const HEADER_BYTES: usize = 8 + 1 + 8;
const COMPILED: u8 = 0;
/// The component is none that the engine takes.
const REFUSED: u8 = 1;
/// It is one, but takes too much.
const TOO_MUCH: u8 = 2;
const SIGABRT: i32 = 6;
const SIGKILL: i32 = 9;
const SIGSEGV: i32 = 11;
const SIGXCPU: i32 = 24;

/// The program that compiles, once it is known; without it this process compiles itself.
static PROGRAM: OnceLock<Result<PathBuf, String>> = OnceLock::new();

/// Gives up what was begun for a candidate that is no longer wanted. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Must be the first thing that the program does. If it was started to compile, it compiles, and the result is how
/// it ends. Otherwise every engine of this process compiles in such processes from now on.
///
/// Tests and benchmarks that use this crate as a library have no program to start. They do not call this, and
/// compile in their own process.
pub fn compile_if_asked() -> Option<ExitCode> {
    if env::args_os().nth(1).is_some_and(|first| first == COMMAND) {
        let done = answer(&mut io::stdout().lock());
        return Some(if done.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    PROGRAM.get_or_init(own_program);
    None
}

/// The compiled code of a component, if a process of its own compiles for this one.
pub(crate) fn in_process_of_its_own(
    plugin: &str,
    component: &[u8],
    engine: u64,
    cancel: &Cancel,
) -> Option<Result<Vec<u8>, Error>> {
    let program = match PROGRAM.get()? {
        Ok(program) => program,
        Err(problem) => return Some(Err(no_compiler(plugin, problem.clone()))),
    };
    let mut command = Command::new(program);
    command.arg0("audit-host").arg(COMMAND);
    Some(compile_with(command, plugin, component, engine, cancel))
}

fn own_program() -> Result<PathBuf, String> {
    if Path::new(OWN_PROGRAM).exists() {
        return Ok(OWN_PROGRAM.into());
    }
    // Without /proc: as the shell found it.
    let name = PathBuf::from(env::args_os().next().unwrap_or_default());
    let places = if name.components().count() > 1 {
        vec![env::current_dir().unwrap_or_default().join(&name)]
    } else {
        let path = env::var_os("PATH").unwrap_or_default();
        env::split_paths(&path).map(|folder| folder.join(&name)).collect()
    };
    places.into_iter().find(|place| place.is_file()).ok_or_else(|| {
        format!("/proc is not mounted, and no file {} was found to start again", name.display())
    })
}

fn no_compiler(plugin: &str, problem: String) -> Error {
    Error::NoCompiler { plugin: plugin.to_owned(), problem }
}

fn compile_with(
    mut command: Command,
    plugin: &str,
    component: &[u8],
    engine: u64,
    cancel: &Cancel,
) -> Result<Vec<u8>, Error> {
    // No variable and no folder of the host is its business, but where the system finds its libraries.
    command.env_clear().current_dir("/");
    if let Some(folders) = env::var_os(LIBRARIES) {
        command.env(LIBRARIES, folders);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| {
        let program = Path::new(command.get_program()).display().to_string();
        no_compiler(plugin, format!("cannot start {program}: {error}"))
    })?;
    let bytes_max = (component.len() as u64).saturating_mul(CODE_FACTOR).max(CODE_BYTES_MIN);
    let bytes_max = bytes_max.min(CODE_BYTES_MAX);
    let conversed = converse(&mut child, component, bytes_max, cancel);
    // It has ended, or is of no use any more.
    drop(child.kill());
    let status = child.wait();
    let limit = |problem: String| Error::CompileLimit { plugin: plugin.to_owned(), problem };
    match conversed {
        Conversed::Answer(Ok(answer)) => of_answer(plugin, answer, engine, bytes_max),
        Conversed::Answer(Err(_)) => match status {
            Ok(status) => Err(limit(ended(status))),
            Err(error) => Err(no_compiler(plugin, format!("waiting for it: {error}"))),
        },
        Conversed::TooLate => Err(limit(format!("it was not done within {TIME_MAX:?}"))),
        Conversed::Cancelled => Err(limit(UNWANTED.to_owned())),
    }
}

/// The answer as it came, and nothing checked.
struct Answer {
    engine: u64,
    status: u8,
    n_bytes: u64,
    bytes: Vec<u8>,
}

enum Conversed {
    /// An error if the answer is not whole.
    Answer(io::Result<Answer>),
    TooLate,
    Cancelled,
}

/// Writes the component and reads the answer, both in threads of their own: the process may do neither.
fn converse(child: &mut Child, component: &[u8], bytes_max: u64, cancel: &Cancel) -> Conversed {
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let deadline = Instant::now() + TIME_MAX;
    thread::scope(|scope| {
        scope.spawn(move || {
            if let Some(mut stdin) = stdin {
                // It may have refused before it has read everything; then the answer says why.
                drop(stdin.write_all(component));
            }
        });
        let (sender, receiver) = sync_channel(1);
        scope.spawn(move || {
            // Nobody waits for it once it was given up.
            let _ = sender.send(read_answer(stdout, bytes_max));
        });
        let conversed = loop {
            match receiver.recv_timeout(LOOK_EVERY) {
                Ok(answer) => break Conversed::Answer(answer),
                Err(RecvTimeoutError::Disconnected) => {
                    break Conversed::Answer(Err(io::ErrorKind::UnexpectedEof.into()));
                }
                Err(RecvTimeoutError::Timeout) if cancel.is_set() => break Conversed::Cancelled,
                Err(RecvTimeoutError::Timeout) if Instant::now() > deadline => {
                    break Conversed::TooLate;
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        };
        // Both threads end with the pipes.
        if !matches!(conversed, Conversed::Answer(Ok(_))) {
            let is_over = matches!(conversed, Conversed::Answer(Err(_)));
            // One whose answer broke off is ending by itself, with a status that says why.
            if !is_over || !ends_soon(child) {
                drop(child.kill());
            }
        }
        conversed
    })
}

/// Whether it ends within a second.
fn ends_soon(child: &mut Child) -> bool {
    let deadline = Instant::now() + Duration::from_secs(1);
    while Instant::now() < deadline {
        if !matches!(child.try_wait(), Ok(None)) {
            return true;
        }
        thread::sleep(LOOK_EVERY);
    }
    false
}

fn read_answer(stdout: Option<ChildStdout>, bytes_max: u64) -> io::Result<Answer> {
    let mut stdout = stdout.ok_or(io::ErrorKind::BrokenPipe)?;
    let (mut engine, mut status, mut length) = ([0; 8], [0; 1], [0; 8]);
    stdout.read_exact(&mut engine)?;
    stdout.read_exact(&mut status)?;
    stdout.read_exact(&mut length)?;
    let (engine, n_bytes) = (u64::from_le_bytes(engine), u64::from_le_bytes(length));
    let [status] = status;
    if n_bytes > bytes_max {
        return Ok(Answer { engine, status, n_bytes, bytes: Vec::new() });
    }
    let mut bytes = Vec::with_capacity(usize::try_from(n_bytes).unwrap_or_default());
    stdout.take(n_bytes).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != n_bytes {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Answer { engine, status, n_bytes, bytes })
}

fn of_answer(plugin: &str, answer: Answer, engine: u64, bytes_max: u64) -> Result<Vec<u8>, Error> {
    let Answer { engine: theirs, status, n_bytes, bytes } = answer;
    if theirs != engine {
        let problem = "it has another WebAssembly engine: the program was replaced by another version; restart it";
        return Err(no_compiler(plugin, problem.to_owned()));
    }
    if n_bytes > bytes_max {
        let problem = format!("its compiled code has {n_bytes} bytes, more than {bytes_max}");
        return Err(Error::CompileLimit { plugin: plugin.to_owned(), problem });
    }
    if status == COMPILED {
        return Ok(bytes);
    }
    let text = text::message(&String::from_utf8_lossy(&bytes));
    let plugin = plugin.to_owned();
    Err(match status {
        TOO_MUCH => Error::CompileLimit { plugin, problem: text },
        _ => Error::Compile { plugin, cause: wasmtime::Error::msg(text) },
    })
}

/// Why the process ended without an answer.
fn ended(status: ExitStatus) -> String {
    match status.signal() {
        // What Rust does when memory is refused.
        Some(SIGABRT) => "it needs more than half of the memory that is left here".to_owned(),
        Some(SIGKILL) => "the system ended it, probably for want of memory".to_owned(),
        Some(SIGXCPU) => format!("it takes more than {CPU_SECONDS} s of a processor"),
        Some(SIGSEGV) => "its code is nested too deeply".to_owned(),
        _ => format!("the compiler ended with {status}"),
    }
}

/// The process's side: limits, the component, the answer.
fn answer(out: &mut impl Write) -> io::Result<()> {
    let engine = wasmtime_engine().map_err(io::Error::other)?;
    let fingerprint = fingerprint(&engine);
    let compiled = compiled(&engine);
    let (status, bytes) = match &compiled {
        Ok(code) => (COMPILED, code.as_slice()),
        Err((status, problem)) => (*status, problem.as_bytes()),
    };
    let mut header = Vec::with_capacity(HEADER_BYTES);
    header.extend_from_slice(&fingerprint.to_le_bytes());
    header.push(status);
    header.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    out.write_all(&header)?;
    out.write_all(bytes)?;
    out.flush()
}

/// The code, or the status and the text of an error.
fn compiled(engine: &wasmtime::Engine) -> Result<Vec<u8>, (u8, String)> {
    let refused = |problem: String| (REFUSED, problem);
    rlimits::limit()
        .map_err(|error| refused(format!("the compiler cannot limit itself: {error}")))?;
    let mut component = Vec::new();
    let read = io::stdin().lock().read_to_end(&mut component);
    read.map_err(|error| refused(format!("the component did not arrive: {error}")))?;
    let compile = AssertUnwindSafe(|| engine.precompile_component(&component));
    let code = panic::catch_unwind(compile)
        .map_err(|_| refused("the compiler panicked".to_owned()))?
        .map_err(|error| refused(text::message(&format!("{error:#}"))))?;
    check_info(&code).map_err(|problem| (TOO_MUCH, problem))?;
    Ok(code)
}

/// Refuses code that says more about itself than the host should read.
fn check_info(code: &[u8]) -> Result<(), String> {
    let file = object::File::parse(code).map_err(|error| format!("its compiled code: {error}"))?;
    let n_bytes = file.section_by_name(INFO_SECTION).map_or(0, |section| section.size());
    if n_bytes <= INFO_BYTES_MAX {
        return Ok(());
    }
    Err(format!(
        "its functions and instances take {n_bytes} bytes to describe, more than {INFO_BYTES_MAX}: components \
         are instantiated inside of one another too often"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_component_says_about_itself_is_in_the_section_that_is_measured() {
        let engine = wasmtime_engine().unwrap();
        let code = engine.precompile_component(b"\0asm\x0d\0\x01\0").unwrap();
        let file = object::File::parse(code.as_slice()).unwrap();
        assert!(file.section_by_name(INFO_SECTION).is_some_and(|section| section.size() > 0));
        assert_eq!(check_info(&code), Ok(()));
        assert!(check_info(b"nothing").is_err());
    }

    /// A script in the place of the compiler.
    fn said(script: &str, cancel: &Cancel) -> String {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        match compile_with(command, "p.wasm", &vec![7; 200_000], 0x3131_3131_3131_3131, cancel) {
            Ok(code) => String::from_utf8(code).unwrap(),
            Err(error) => audit_core::text::one_line(&error),
        }
    }

    #[test]
    fn whatever_the_compiler_does_is_an_answer_or_an_error() {
        let answer =
            |header: &str, text: &str| format!("cat > /dev/null; printf '11111111{header}{text}'");
        let of_four = |status: u8, text: &str| {
            answer(&format!("\\{status:03o}\\004\\000\\000\\000\\000\\000\\000\\000"), text)
        };
        for (script, expected) in [
            (of_four(0, "code"), "code"),
            (of_four(1, "why!"), "compiling p.wasm"),
            (of_four(1, "why!"), "why!"),
            (of_four(2, "why!"), "given up: why!"),
            // Cut off, nothing at all, too much, another engine, and what ends a process.
            (of_four(0, "cod"), "compiling p.wasm"),
            ("exit 3".to_owned(), "exit status: 3"),
            ("kill -6 $$".to_owned(), "half of the memory that is left"),
            ("kill -9 $$".to_owned(), "the system ended it"),
            ("kill -24 $$".to_owned(), "s of a processor"),
            (answer("\\000\\377\\377\\377\\377\\377\\000\\000\\000", ""), "more than 16777216"),
            (
                "printf '00000000\\000\\001\\000\\000\\000\\000\\000\\000\\000x'".to_owned(),
                "another version",
            ),
        ] {
            let said = said(&script, &Cancel::default());
            assert!(said.contains(expected), "{script}: {said}");
        }
        let absent = Command::new("/no/such");
        let absent = compile_with(absent, "p.wasm", b"", 0, &Cancel::default());
        assert!(absent.unwrap_err().to_string().contains("/no/such"));
    }

    #[test]
    fn a_candidate_that_is_no_longer_wanted_is_given_up() {
        let cancel = Cancel::default();
        cancel.set();
        let began = Instant::now();
        assert!(said("exec sleep 60", &cancel).contains("no longer wanted"));
        assert!(began.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn the_program_finds_itself() {
        assert_eq!(own_program(), Ok(PathBuf::from(OWN_PROGRAM)));
        // Nobody has called `compile_if_asked` here: a library compiles in its own process.
        assert!(in_process_of_its_own("p", b"", 0, &Cancel::default()).is_none());
    }
}
