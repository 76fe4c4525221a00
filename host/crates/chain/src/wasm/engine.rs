//! One wasmtime engine for all plugins, and the ticker that ends calls which exceed their deadline.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use audit_golden::Lines;
use wasmtime::component::{Component, HasSelf, Linker};

use crate::error::Error;
use crate::text;
use crate::wasm::abi::{self, PluginPre};
use crate::wasm::cache::{Cache, trusted};
use crate::wasm::code;
use crate::wasm::compile::{self, Cancel};
use crate::wasm::component::Interfaces;
use crate::wasm::config::{fingerprint, wasmtime_engine};
use crate::wasm::cost;
use crate::wasm::host::state::Guest;
use crate::wasm::host::wasi;

/// The resolution of deadlines. A tick costs one atomic increment.
const TICK: Duration = Duration::from_millis(10);

/// Compiles components and links the imports that plugins get. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    engine: wasmtime::Engine,
    /// Of `engine`.
    fingerprint: u64,
    linker: Arc<Linker<Guest>>,
    cache: Option<Cache>,
    latest: Latest,
    cancel: Cancel,
    ticker: Arc<Ticker>,
}

/// The component compiled last, by its digest: one file is inspected, loaded and tried with several
/// configurations, but compiled once. Only one, so that replaced plugins do not stay in memory.
type Latest = Arc<Mutex<Option<(String, Component)>>>;

/// A component that is ready to be instantiated.
#[derive(Clone)]
pub(crate) struct Compiled {
    pub(crate) pre: PluginPre<Guest>,
    pub(crate) interfaces: Arc<Interfaces>,
    pub(crate) lines: Arc<Lines>,
    /// Whoever has an instance has this: no call can be without its deadline.
    pub(crate) ticker: Arc<Ticker>,
}

impl Engine {
    /// An engine without a cache on disk. It keeps the compiled code of the last component in memory.
    pub fn new() -> Result<Self, Error> {
        let engine = wasmtime_engine().map_err(Error::Engine)?;
        let mut linker = Linker::new(&engine);
        abi::Plugin::add_to_linker::<_, HasSelf<_>>(&mut linker, |guest: &mut Guest| guest)
            .map_err(Error::Engine)?;
        wasi::add_to_linker(&mut linker).map_err(Error::Engine)?;
        Ok(Self {
            fingerprint: fingerprint(&engine),
            ticker: Arc::new(Ticker::start(engine.clone())?),
            engine,
            linker: Arc::new(linker),
            cache: None,
            latest: Latest::default(),
            cancel: Cancel::default(),
        })
    }

    /// An engine that caches compiled code in a folder. Fails if other users can write to the folder.
    pub fn with_cache(folder: &Path) -> Result<Self, Error> {
        let mut engine = Self::new()?;
        engine.cache = Some(Cache::open(folder, &engine.engine)?);
        Ok(engine)
    }

    /// Whether the cache has the compiled code of a component.
    pub fn has_cached(&self, bytes: &[u8], sha256: &str) -> bool {
        self.cache.as_ref().is_some_and(|cache| cache.has(&code::of(bytes, sha256).1))
    }

    /// The same engine for another thread and its candidate: the component in memory is its own, so that several
    /// candidates do not compile each other's again, and compiling ends once `cancel` is set.
    #[must_use]
    pub fn for_candidate(&self, cancel: Cancel) -> Self {
        Self { latest: Latest::default(), cancel, ..self.clone() }
    }

    /// The imports and exports of a component, which need not be a plugin.
    pub fn interfaces(
        &self,
        plugin: &str,
        bytes: &[u8],
        sha256: &str,
    ) -> Result<Interfaces, Error> {
        Ok(Interfaces::of(&self.component(plugin, bytes, sha256)?))
    }

    /// Compiles a component, or reads it from the cache, and links it; `plugin` is its name for errors. `host_bytes`
    /// is what its instance may take of the host beside its own memory.
    pub(crate) fn compile(
        &self,
        plugin: &str,
        bytes: &[u8],
        sha256: &str,
        host_bytes: usize,
        instances: usize,
    ) -> Result<Compiled, Error> {
        if self.cancel.is_set() {
            // Golden cases start a candidate many times: none of them begins any more.
            let problem = compile::UNWANTED.to_owned();
            return Err(Error::CompileLimit { plugin: plugin.to_owned(), problem });
        }
        let component = self.component(plugin, bytes, sha256)?;
        cost::check(plugin, bytes, host_bytes, instances)?;
        let interfaces = Interfaces::of(&component);
        let other_world =
            |problem: String| Error::OtherWorld { plugin: plugin.to_owned(), problem };
        if !interfaces.problems.is_empty() {
            return Err(other_world(interfaces.problems.join("; ")));
        }
        let mut linker = Linker::clone(&self.linker);
        let ready = wasi::trap_missing(&mut linker, &component)
            .and_then(|()| linker.instantiate_pre(&component))
            .and_then(PluginPre::new);
        let pre = ready.map_err(|error| other_world(clipped(&error)))?;
        Ok(Compiled {
            pre,
            interfaces: Arc::new(interfaces),
            lines: Arc::new(Lines::of_component(bytes)),
            ticker: Arc::clone(&self.ticker),
        })
    }

    fn component(&self, plugin: &str, bytes: &[u8], sha256: &str) -> Result<Component, Error> {
        let refuse = |found| Err(Error::NotAComponent { plugin: plugin.to_owned(), found });
        // Both begin with `\0asm`; then a core module has version 1 and layer 0, a component layer 1.
        match bytes {
            [b'\0', b'a', b's', b'm', _, _, 1, 0, ..] => {}
            [b'\0', b'a', b's', b'm', _, _, 0, 0, ..] => {
                return refuse("it is a core module, which was not made into a component");
            }
            [] => return refuse("the file is empty"),
            _ => return refuse("it does not begin like WebAssembly"),
        }
        if let Some(component) = self.latest(sha256) {
            return Ok(component);
        }
        // Only the code counts: another golden case compiles nothing.
        let (code, digest) = code::of(bytes, sha256);
        let cached = self.cache.as_ref().and_then(|cache| cache.get(&self.engine, &digest));
        let component = match cached {
            Some(component) => component,
            None => self.compile_now(plugin, &code, &digest)?,
        };
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        *latest = Some((sha256.to_owned(), component.clone()));
        Ok(component)
    }

    /// The last component, if it is this one. Any other is dropped first, as compiling needs memory.
    fn latest(&self, sha256: &str) -> Option<Component> {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        latest.take_if(|(digest, _)| digest != sha256);
        latest.as_ref().map(|(_, component)| component.clone())
    }

    fn compile_now(&self, plugin: &str, bytes: &[u8], sha256: &str) -> Result<Component, Error> {
        let refuse = |error: &wasmtime::Error| {
            let cause = wasmtime::Error::msg(clipped(error));
            Error::Compile { plugin: plugin.to_owned(), cause }
        };
        let elsewhere =
            compile::in_process_of_its_own(plugin, bytes, self.fingerprint, &self.cancel);
        let code = match elsewhere {
            Some(code) => code?,
            None => self.engine.precompile_component(bytes).map_err(|error| refuse(&error))?,
        };
        if let Some(cache) = &self.cache {
            cache.put(sha256, &code);
        }
        trusted(&self.engine, &code).map_err(|error| refuse(&error))
    }
}

/// An error and its causes, within a bound: names of the component are part of it.
fn clipped(error: &wasmtime::Error) -> String {
    text::message(&format!("{error:#}"))
}

/// The number of ticks that a call of this length may take.
pub(crate) fn ticks(limit: Duration) -> u64 {
    // One more, as the first tick may come immediately.
    u64::try_from(limit.as_millis() / TICK.as_millis()).unwrap_or(u64::MAX).saturating_add(1)
}

/// Makes the time of deadlines pass for as long as anybody has it.
pub(crate) struct Ticker {
    stop: Arc<AtomicBool>,
}

impl Ticker {
    fn start(engine: wasmtime::Engine) -> Result<Self, Error> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        thread::Builder::new()
            .name("plugin-deadlines".to_owned())
            .spawn(move || {
                while !stopped.load(Ordering::Relaxed) {
                    thread::sleep(TICK);
                    engine.increment_epoch();
                }
            })
            .map_err(|cause| Error::Engine(cause.into()))?;
        Ok(Self { stop })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
