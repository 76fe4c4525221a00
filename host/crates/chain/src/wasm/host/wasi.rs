//! The part of WASI 0.2 that components of ordinary tool chains call, implemented without any authority.
//!
//! Nothing is granted: no file, no network, no environment, no terminal. Clocks and randomness are derived
//! from the batch, so that a replay gives the same bytes. Nothing ever waits: a guest that sleeps goes
//! on immediately, as the host could not interrupt its own call. This is why the subset is our own and
//! not a library's, which would bring real clocks, and waits that no deadline ends.

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, HasSelf, Linker, Resource, ResourceType};
use wasmtime::{Result, bail};

use crate::wasm::abi::audit_host::plugin::log::Level;
use crate::wasm::host::clock::{BYTES_MAX, MICROS_PER_SECOND, MONOTONIC_STEP};
use crate::wasm::host::state::Guest;

mod bindings {
    wasmtime::component::bindgen!({
        path: "wasi",
        world: "subset",
        imports: { default: trappable },
    });
}

use bindings::wasi::cli::{
    environment, exit, stderr, stdin, stdout, terminal_input, terminal_output, terminal_stderr,
    terminal_stdin, terminal_stdout,
};
use bindings::wasi::clocks::{monotonic_clock, wall_clock};
use bindings::wasi::filesystem::{preopens, types as filesystem};
use bindings::wasi::io::{error as io_error, poll, streams};
use bindings::wasi::random::{insecure, insecure_seed, random};

/// The version of the subset. It serves every 0.2.
const WASI_VERSION: &str = "0.2.0";
/// The interfaces of `wasi/world.wit`.
const SUBSET: [&str; 20] = [
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/stderr",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:cli/terminal-stderr",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:random/random",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:filesystem/types",
    "wasi:filesystem/preopens",
];
/// The handles of standard output and standard error.
const STDOUT: u32 = 1;
const STDERR: u32 = 2;

/// Links the subset.
pub(crate) fn add_to_linker(linker: &mut Linker<Guest>) -> Result<()> {
    bindings::Subset::add_to_linker::<_, HasSelf<_>>(linker, |guest: &mut Guest| guest)
}

/// Links every function of WASI that a component imports and the subset lacks as a trap. wasmtime's own
/// function for this would give each interface that uses another's resource a resource of its own.
pub(crate) fn trap_missing(linker: &mut Linker<Guest>, component: &Component) -> Result<()> {
    let component_type = component.component_type();
    let engine = component.engine();
    let mut resources = Vec::new();
    for (name, import) in component_type.imports(engine) {
        let ComponentItem::ComponentInstance(interface) = import.ty else { continue };
        if !name.starts_with("wasi:") {
            continue;
        }
        // A guest built for a later patch release gets the same instance, not a second one that would hide
        // it.
        let (interface_name, _) = name.split_once('@').unwrap_or((name, ""));
        let ours = format!("{interface_name}@{WASI_VERSION}");
        let mut instance = linker.instance(if is_ours(interface_name) { &ours } else { name })?;
        for (item_name, item) in interface.exports(engine) {
            match item.ty {
                ComponentItem::ComponentFunc(_) => {
                    let called = format!("{interface_name}#{item_name}");
                    // An error means that it is linked already.
                    let _ = instance.func_new(item_name, move |_, _, _, _| {
                        bail!("it called {called}, which plugins must not call")
                    });
                }
                ComponentItem::Resource(resource) if !resources.contains(&resource) => {
                    let host = ResourceType::host::<()>();
                    let _ = instance.resource(item_name, host, |_, _| Ok(()));
                    resources.push(resource);
                }
                _ => {}
            }
        }
    }
    Ok(())
}

fn is_ours(interface: &str) -> bool {
    SUBSET.contains(&interface)
}

impl io_error::Host for Guest {}

impl io_error::HostError for Guest {
    fn to_debug_string(&mut self, _: Resource<io_error::Error>) -> Result<String> {
        Ok("refused".to_owned())
    }

    fn drop(&mut self, _: Resource<io_error::Error>) -> Result<()> {
        Ok(())
    }
}

impl poll::Host for Guest {
    fn poll(&mut self, pollables: Vec<Resource<poll::Pollable>>) -> Result<Vec<u32>> {
        Ok((0..pollables.len() as u32).collect())
    }
}

impl poll::HostPollable for Guest {
    fn ready(&mut self, _: Resource<poll::Pollable>) -> Result<bool> {
        Ok(true)
    }

    fn block(&mut self, _: Resource<poll::Pollable>) -> Result<()> {
        Ok(())
    }

    fn drop(&mut self, _: Resource<poll::Pollable>) -> Result<()> {
        Ok(())
    }
}

type Stream<T> = std::result::Result<T, streams::StreamError>;

impl streams::Host for Guest {}

impl streams::HostInputStream for Guest {
    fn read(&mut self, _: Resource<streams::InputStream>, _: u64) -> Result<Stream<Vec<u8>>> {
        Ok(Err(streams::StreamError::Closed))
    }

    fn blocking_read(
        &mut self,
        _: Resource<streams::InputStream>,
        _: u64,
    ) -> Result<Stream<Vec<u8>>> {
        Ok(Err(streams::StreamError::Closed))
    }

    fn subscribe(&mut self, _: Resource<streams::InputStream>) -> Result<Resource<poll::Pollable>> {
        Ok(Resource::new_own(0))
    }

    fn drop(&mut self, _: Resource<streams::InputStream>) -> Result<()> {
        Ok(())
    }
}

impl Guest {
    fn print(&mut self, stream: &Resource<streams::OutputStream>, bytes: &[u8]) {
        let level = if stream.rep() == STDERR { Level::Warn } else { Level::Info };
        for line in String::from_utf8_lossy(bytes).lines().filter(|line| !line.trim().is_empty()) {
            self.log_line(level, line);
        }
    }
}

impl streams::HostOutputStream for Guest {
    fn check_write(&mut self, _: Resource<streams::OutputStream>) -> Result<Stream<u64>> {
        Ok(Ok(BYTES_MAX))
    }

    fn write(
        &mut self,
        stream: Resource<streams::OutputStream>,
        contents: Vec<u8>,
    ) -> Result<Stream<()>> {
        self.print(&stream, &contents);
        Ok(Ok(()))
    }

    fn blocking_write_and_flush(
        &mut self,
        stream: Resource<streams::OutputStream>,
        contents: Vec<u8>,
    ) -> Result<Stream<()>> {
        self.print(&stream, &contents);
        Ok(Ok(()))
    }

    fn flush(&mut self, _: Resource<streams::OutputStream>) -> Result<Stream<()>> {
        Ok(Ok(()))
    }

    fn blocking_flush(&mut self, _: Resource<streams::OutputStream>) -> Result<Stream<()>> {
        Ok(Ok(()))
    }

    fn subscribe(
        &mut self,
        _: Resource<streams::OutputStream>,
    ) -> Result<Resource<poll::Pollable>> {
        Ok(Resource::new_own(0))
    }

    fn drop(&mut self, _: Resource<streams::OutputStream>) -> Result<()> {
        Ok(())
    }
}

impl environment::Host for Guest {
    fn get_environment(&mut self) -> Result<Vec<(String, String)>> {
        Ok(Vec::new())
    }

    fn get_arguments(&mut self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn initial_cwd(&mut self) -> Result<Option<String>> {
        Ok(None)
    }
}

impl exit::Host for Guest {
    fn exit(&mut self, _: std::result::Result<(), ()>) -> Result<()> {
        bail!("it called exit, which ends a plugin's instance")
    }
}

impl stdin::Host for Guest {
    fn get_stdin(&mut self) -> Result<Resource<streams::InputStream>> {
        Ok(Resource::new_own(0))
    }
}

impl stdout::Host for Guest {
    fn get_stdout(&mut self) -> Result<Resource<streams::OutputStream>> {
        Ok(Resource::new_own(STDOUT))
    }
}

impl stderr::Host for Guest {
    fn get_stderr(&mut self) -> Result<Resource<streams::OutputStream>> {
        Ok(Resource::new_own(STDERR))
    }
}

impl terminal_input::Host for Guest {}

impl terminal_input::HostTerminalInput for Guest {
    fn drop(&mut self, _: Resource<terminal_input::TerminalInput>) -> Result<()> {
        Ok(())
    }
}

impl terminal_output::Host for Guest {}

impl terminal_output::HostTerminalOutput for Guest {
    fn drop(&mut self, _: Resource<terminal_output::TerminalOutput>) -> Result<()> {
        Ok(())
    }
}

impl terminal_stdin::Host for Guest {
    fn get_terminal_stdin(&mut self) -> Result<Option<Resource<terminal_input::TerminalInput>>> {
        Ok(None)
    }
}

impl terminal_stdout::Host for Guest {
    fn get_terminal_stdout(&mut self) -> Result<Option<Resource<terminal_output::TerminalOutput>>> {
        Ok(None)
    }
}

impl terminal_stderr::Host for Guest {
    fn get_terminal_stderr(&mut self) -> Result<Option<Resource<terminal_output::TerminalOutput>>> {
        Ok(None)
    }
}

impl monotonic_clock::Host for Guest {
    fn now(&mut self) -> Result<u64> {
        Ok(self.clock.monotonic())
    }

    fn resolution(&mut self) -> Result<u64> {
        Ok(MONOTONIC_STEP)
    }

    fn subscribe_instant(&mut self, _: u64) -> Result<Resource<poll::Pollable>> {
        Ok(Resource::new_own(0))
    }

    fn subscribe_duration(&mut self, _: u64) -> Result<Resource<poll::Pollable>> {
        Ok(Resource::new_own(0))
    }
}

impl wall_clock::Host for Guest {
    fn now(&mut self) -> Result<wall_clock::Datetime> {
        let clock = self.clock.micros().max(0);
        Ok(wall_clock::Datetime {
            seconds: (clock / MICROS_PER_SECOND).unsigned_abs(),
            nanoseconds: (clock % MICROS_PER_SECOND) as u32 * 1000,
        })
    }

    fn resolution(&mut self) -> Result<wall_clock::Datetime> {
        Ok(wall_clock::Datetime { seconds: 0, nanoseconds: 1_000_000 })
    }
}

impl random::Host for Guest {
    fn get_random_bytes(&mut self, len: u64) -> Result<Vec<u8>> {
        self.clock.draw(len)
    }

    fn get_random_u64(&mut self) -> Result<u64> {
        self.clock.draw_u64()
    }
}

impl insecure::Host for Guest {
    fn get_insecure_random_bytes(&mut self, len: u64) -> Result<Vec<u8>> {
        self.clock.draw(len)
    }

    fn get_insecure_random_u64(&mut self) -> Result<u64> {
        self.clock.draw_u64()
    }
}

impl insecure_seed::Host for Guest {
    fn insecure_seed(&mut self) -> Result<(u64, u64)> {
        Ok((self.clock.draw_u64()?, self.clock.draw_u64()?))
    }
}

impl filesystem::Host for Guest {}

impl filesystem::HostDescriptor for Guest {
    fn drop(&mut self, _: Resource<filesystem::Descriptor>) -> Result<()> {
        Ok(())
    }
}

impl preopens::Host for Guest {
    fn get_directories(&mut self) -> Result<Vec<(Resource<filesystem::Descriptor>, String)>> {
        Ok(Vec::new())
    }
}
