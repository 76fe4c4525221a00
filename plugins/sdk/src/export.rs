//! The glue between a plugin's type and the exports of its component. Authors use the two macros
//! only.
//!
//! An instance of a component runs one plugin on one thread, so the configured plugin lives in a
//! thread-local. The glue turns misuse by the host (a batch before `configure`) into faults.

use std::cell::{Cell, RefCell};

use crate::abi::audit_host::plugin::types::{self as abi, Context, Fault};
use crate::abi::exports::audit_host::plugin::lifecycle::{self, ConfigError, Kind};
use crate::abi::exports::audit_host::plugin::state::RestoreError;
use crate::batch::Batch;
use crate::config::Config;
use crate::judgement::Judgement;
use crate::plugin::{Detector, Transform};

thread_local! {
    static BATCHES: Cell<u64> = const { Cell::new(0) };
}

/// The number of batches so far. What holds for a whole batch is compared once in each.
pub(crate) fn batches() -> u64 {
    BATCHES.get()
}

pub(crate) fn begin_batch() {
    BATCHES.set(BATCHES.get() + 1);
}

/// The configured plugin of this instance.
#[derive(Debug)]
pub struct Slot<T> {
    plugin: RefCell<Option<T>>,
}

impl<T> Slot<T> {
    /// Before `configure`.
    #[expect(clippy::new_without_default, reason = "`const` is what it is for")]
    pub const fn new() -> Self {
        Self { plugin: RefCell::new(None) }
    }

    fn fill(&self, plugin: T) {
        *self.plugin.borrow_mut() = Some(plugin);
    }
}

/// What the component of a transform exports.
impl<T: Transform> Slot<T> {
    pub fn describe_transform() -> lifecycle::Description {
        T::DESCRIPTION.to_abi(Kind::Transform)
    }

    pub fn configure_transform(&self, config: String) -> Result<lifecycle::Binding, ConfigError> {
        report_panics();
        let (plugin, binding) = T::configure(&Config::new(config))?;
        self.fill(plugin);
        Ok(binding.into_abi())
    }

    pub fn transform(&self, ctx: &Context, batch: abi::Batch) -> Result<abi::Judgement, Fault> {
        begin_batch();
        let plugin = self.plugin.borrow();
        let plugin = plugin.as_ref().ok_or_else(not_configured)?;
        let mut out = Judgement::default();
        plugin.process(ctx, &Batch::from_abi(batch)?, &mut out)?;
        Ok(out.into_abi())
    }
}

/// What the component of a detector exports.
impl<D: Detector> Slot<D> {
    pub fn describe_detector() -> lifecycle::Description {
        D::DESCRIPTION.to_abi(Kind::Detector)
    }

    pub fn configure_detector(&self, config: String) -> Result<lifecycle::Binding, ConfigError> {
        report_panics();
        let (plugin, binding) = D::configure(&Config::new(config))?;
        self.fill(plugin);
        Ok(binding.into_abi())
    }

    pub fn detect(&self, ctx: &Context, batch: abi::Batch) -> Result<abi::Judgement, Fault> {
        begin_batch();
        let mut plugin = self.plugin.borrow_mut();
        let plugin = plugin.as_mut().ok_or_else(not_configured)?;
        let mut out = Judgement::default();
        plugin.process(ctx, &Batch::from_abi(batch)?, &mut out)?;
        Ok(out.into_abi())
    }

    pub fn snapshot(&self) -> Vec<u8> {
        self.plugin.borrow().as_ref().map(D::snapshot).unwrap_or_default()
    }

    pub fn restore(&self, version: u32, bytes: &[u8]) -> Result<(), RestoreError> {
        match self.plugin.borrow_mut().as_mut() {
            Some(plugin) => plugin.restore(version, bytes),
            None => Err(RestoreError::Corrupt("restore before configure".to_owned())),
        }
    }
}

/// Restores a plugin without state.
pub fn restore_nothing(bytes: &[u8]) -> Result<(), RestoreError> {
    if bytes.is_empty() {
        Ok(())
    } else {
        Err(RestoreError::Corrupt("a plugin without state was given one".to_owned()))
    }
}

fn not_configured() -> Fault {
    Fault::Other("a batch before configure".to_owned())
}

/// Logs the place of a panic before the trap, which does not have it. A message made at run time may hold
/// values of an event, so only constant messages are logged.
#[cfg(target_arch = "wasm32")]
fn report_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.payload().downcast_ref::<&str>().copied().unwrap_or("panicked");
        match panic.location() {
            Some(location) => crate::log::error(&format!("{message} ({location})")),
            None => crate::log::error(message),
        }
    }));
}

/// Tests keep the hook of their harness.
#[cfg(not(target_arch = "wasm32"))]
fn report_panics() {}

/// Makes a [`Transform`](crate::Transform) the plugin of this crate. In native builds it only checks
/// the type, so that several plugins can be linked into one test.
#[macro_export]
macro_rules! export_transform {
    ($plugin:ty) => {
        #[cfg(not(target_arch = "wasm32"))]
        const _: fn() -> $crate::export::Slot<$plugin> = || {
            let _ = $crate::export::Slot::<$plugin>::describe_transform;
            $crate::export::Slot::new()
        };

        #[cfg(target_arch = "wasm32")]
        const _: () = {
            use $crate::abi::audit_host::plugin::types as abi;
            use $crate::abi::exports::audit_host::plugin::{judge, lifecycle, state};
            use $crate::export::Slot;

            struct Exported;

            thread_local! {
                static SLOT: Slot<$plugin> = const { Slot::new() };
            }

            impl lifecycle::Guest for Exported {
                fn describe() -> lifecycle::Description {
                    Slot::<$plugin>::describe_transform()
                }

                fn configure(config: String) -> Result<lifecycle::Binding, lifecycle::ConfigError> {
                    SLOT.with(|slot| slot.configure_transform(config))
                }
            }

            impl judge::Guest for Exported {
                fn process(
                    context: abi::Context,
                    batch: abi::Batch,
                ) -> Result<abi::Judgement, abi::Fault> {
                    SLOT.with(|slot| slot.transform(&context, batch))
                }
            }

            impl state::Guest for Exported {
                fn snapshot() -> Vec<u8> {
                    Vec::new()
                }

                fn restore(_: u32, bytes: Vec<u8>) -> Result<(), state::RestoreError> {
                    $crate::export::restore_nothing(&bytes)
                }
            }

    $crate::abi::export!(Exported with_types_in $crate::abi);
        };
    };
}

/// Makes a [`Detector`](crate::Detector) the plugin of this crate. In native builds it only checks
/// the type, so that several plugins can be linked into one test.
#[macro_export]
macro_rules! export_detector {
    ($plugin:ty) => {
        #[cfg(not(target_arch = "wasm32"))]
        const _: fn() -> $crate::export::Slot<$plugin> = || {
            let _ = $crate::export::Slot::<$plugin>::describe_detector;
            $crate::export::Slot::new()
        };

        #[cfg(target_arch = "wasm32")]
        const _: () = {
            use $crate::abi::audit_host::plugin::types as abi;
            use $crate::abi::exports::audit_host::plugin::{judge, lifecycle, state};
            use $crate::export::Slot;

            struct Exported;

            thread_local! {
                static SLOT: Slot<$plugin> = const { Slot::new() };
            }

            impl lifecycle::Guest for Exported {
                fn describe() -> lifecycle::Description {
                    Slot::<$plugin>::describe_detector()
                }

                fn configure(config: String) -> Result<lifecycle::Binding, lifecycle::ConfigError> {
                    SLOT.with(|slot| slot.configure_detector(config))
                }
            }

            impl judge::Guest for Exported {
                fn process(
                    context: abi::Context,
                    batch: abi::Batch,
                ) -> Result<abi::Judgement, abi::Fault> {
                    SLOT.with(|slot| slot.detect(&context, batch))
                }
            }

            impl state::Guest for Exported {
                fn snapshot() -> Vec<u8> {
                    SLOT.with(|slot| slot.snapshot())
                }

                fn restore(version: u32, bytes: Vec<u8>) -> Result<(), state::RestoreError> {
                    SLOT.with(|slot| slot.restore(version, &bytes))
                }
            }

    $crate::abi::export!(Exported with_types_in $crate::abi);
        };
    };
}
