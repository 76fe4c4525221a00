//! One wasmtime engine for all plugins, and the ticker that ends calls which exceed their deadline.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use wasmtime::WasmBacktraceDetails;
use wasmtime::component::{Component, HasSelf, Linker};

use crate::error::Error;
use crate::wasm::abi::{self, PluginPre};
use crate::wasm::cache::Cache;
use crate::wasm::code;
use crate::wasm::component::Interfaces;
use crate::wasm::host::state::Guest;
use crate::wasm::host::wasi;

/// The resolution of deadlines. A tick costs one atomic increment.
const TICK: Duration = Duration::from_millis(10);

/// Compiles components and links the imports that plugins get. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    engine: wasmtime::Engine,
    linker: Arc<Linker<Guest>>,
    cache: Option<Cache>,
    latest: Latest,
    _ticker: Arc<Ticker>,
}

/// The component compiled last, by its digest: one file is inspected, loaded and tried with several
/// configurations, but compiled once. Only one, so that replaced plugins do not stay in memory.
type Latest = Arc<Mutex<Option<(String, Component)>>>;

/// A component that is ready to be instantiated.
#[derive(Clone)]
pub(crate) struct Compiled {
    pub(crate) pre: PluginPre<Guest>,
    pub(crate) interfaces: Arc<Interfaces>,
}

impl Engine {
    /// An engine without a cache on disk. It keeps the compiled code of the last component in memory.
    pub fn new() -> Result<Self, Error> {
        let mut config = wasmtime::Config::new();
        config
            .wasm_component_model(true)
            .epoch_interruption(true)
            // Source lines in backtraces, where the component has them.
            .wasm_backtrace_details(WasmBacktraceDetails::Enable);
        let engine = wasmtime::Engine::new(&config).map_err(Error::Engine)?;
        let mut linker = Linker::new(&engine);
        abi::Plugin::add_to_linker::<_, HasSelf<_>>(&mut linker, |guest: &mut Guest| guest)
            .map_err(Error::Engine)?;
        wasi::add_to_linker(&mut linker).map_err(Error::Engine)?;
        let ticker = Arc::new(Ticker::start(engine.clone())?);
        let latest = Latest::default();
        Ok(Self { engine, linker: Arc::new(linker), cache: None, latest, _ticker: ticker })
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

    /// The imports and exports of a component, which need not be a plugin.
    pub fn interfaces(
        &self,
        plugin: &str,
        bytes: &[u8],
        sha256: &str,
    ) -> Result<Interfaces, Error> {
        Ok(Interfaces::of(&self.component(plugin, bytes, sha256)?))
    }

    /// Compiles a component, or reads it from the cache, and links it; `plugin` is its name for errors.
    pub(crate) fn compile(
        &self,
        plugin: &str,
        bytes: &[u8],
        sha256: &str,
    ) -> Result<Compiled, Error> {
        let component = self.component(plugin, bytes, sha256)?;
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
        let pre = ready.map_err(|error| other_world(format!("{error:#}")))?;
        Ok(Compiled { pre, interfaces: Arc::new(interfaces) })
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
        let component = Component::new(&self.engine, bytes)
            .map_err(|cause| Error::Compile { plugin: plugin.to_owned(), cause })?;
        if let Some(cache) = &self.cache {
            cache.put(sha256, &component);
        }
        Ok(component)
    }
}

/// The number of ticks that a call of this length may take.
pub(crate) fn ticks(limit: Duration) -> u64 {
    // One more, as the first tick may come immediately.
    u64::try_from(limit.as_millis() / TICK.as_millis()).unwrap_or(u64::MAX).saturating_add(1)
}

struct Ticker {
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
