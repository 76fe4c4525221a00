//! One wasmtime engine for all plugins, and the clock that ends calls which take too long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use wasmtime::component::{Component, HasSelf, Linker};

use crate::abi;
use crate::error::Error;
use crate::imports::Guest;

/// How exact deadlines are. A tick costs one atomic increment.
const TICK: Duration = Duration::from_millis(10);

/// Compiles components and links the imports that plugins get. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    pub(crate) engine: wasmtime::Engine,
    pub(crate) linker: Arc<Linker<Guest>>,
    _ticker: Arc<Ticker>,
}

impl Engine {
    pub fn new() -> Result<Self, Error> {
        let mut config = wasmtime::Config::new();
        config.wasm_component_model(true).epoch_interruption(true);
        let engine = wasmtime::Engine::new(&config).map_err(Error::Engine)?;
        let mut linker = Linker::new(&engine);
        abi::Plugin::add_to_linker::<_, HasSelf<_>>(&mut linker, |guest: &mut Guest| guest)
            .map_err(Error::Engine)?;
        let ticker = Arc::new(Ticker::start(engine.clone())?);
        Ok(Self { engine, linker: Arc::new(linker), _ticker: ticker })
    }

    /// Compiles a component; `plugin` is its name for errors.
    pub(crate) fn compile(&self, plugin: &str, bytes: &[u8]) -> Result<Component, Error> {
        let refuse = |found| Err(Error::NotAComponent { plugin: plugin.to_owned(), found });
        // Both begin with `\0asm`; then a core module has version 1 and layer 0, a component layer 1.
        match bytes {
            [b'\0', b'a', b's', b'm', _, _, 1, 0, ..] => {}
            [b'\0', b'a', b's', b'm', ..] => {
                return refuse("it is a core module, which was not made into a component");
            }
            [] => return refuse("the file is empty"),
            _ => return refuse("it does not begin like WebAssembly"),
        }
        Component::new(&self.engine, bytes)
            .map_err(|cause| Error::Compile { plugin: plugin.to_owned(), cause })
    }
}

/// The number of ticks that a call of this length may take.
pub(crate) fn ticks(limit: Duration) -> u64 {
    // One more, as the first tick may come at once.
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
