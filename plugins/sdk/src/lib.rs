//! What rule authors depend on: typed columns in, findings or replaced columns out.
//!
//! A plugin is a type with a configuration. A [`Transform`] replaces or adds columns and keeps
//! nothing between batches; a [`Detector`] keeps state and raises alerts. The same code runs in the
//! host's sandbox and in ordinary unit tests, where [`testing`] plays the host. Layouts, generated
//! bindings and exports are hidden; nothing here gives a plugin a clock, a file or a socket.
//!
//! A whole plugin, run by its own test:
//!
//! ```
//! use audit_plugin_sdk::{
//!     Batch, Binding, Config, ConfigError, Context, Description, Fault, Judgement, Transform, Utf8Edit,
//!     export_transform, testing,
//! };
//!
//! /// What the user may write into the configuration. Unknown keys are refused.
//! #[derive(serde::Deserialize)]
//! #[serde(deny_unknown_fields, default)]
//! struct HideAgents {
//!     replacement: String,
//! }
//!
//! impl Default for HideAgents {
//!     fn default() -> Self {
//!         Self { replacement: "hidden".to_owned() }
//!     }
//! }
//!
//! impl Transform for HideAgents {
//!     const DESCRIPTION: Description = Description::new("hide_agents", "0.1.0");
//!
//!     fn configure(config: &Config) -> Result<(Self, Binding), ConfigError> {
//!         Ok((config.parse()?, Binding::default().replacing_utf8("user_agent")))
//!     }
//!
//!     fn process(&self, _: &Context, batch: &Batch, out: &mut Judgement) -> Result<(), Fault> {
//!         let agents = batch.utf8("user_agent")?;
//!         let mut edit = Utf8Edit::new(agents);
//!         for row in 0..batch.rows() {
//!             if agents.get(row).is_some_and(|agent| agent.starts_with(b"Mozilla")) {
//!                 edit.set(row, self.replacement.as_bytes());
//!             }
//!         }
//!         out.write_utf8("user_agent", edit.finish());
//!         Ok(())
//!     }
//! }
//!
//! export_transform!(HideAgents);
//!
//! # fn main() {
//! let batch = testing::BatchBuilder::new(3)
//!     .utf8("user_agent", &[Some("Mozilla/5.0"), None, Some("curl/8")])
//!     .build();
//! let mut plugin = testing::Transformer::<HideAgents>::new(r#"{"replacement": "-"}"#).expect("a good configuration");
//! let judged = plugin.process(&batch).expect("a judgement");
//! assert_eq!(testing::texts(&judged, "user_agent"), [Some("-"), None, Some("curl/8")]);
//! # }
//! ```

pub mod codec;
pub mod crypto;
pub mod log;
pub mod lookup;

mod batch;
mod builder;
mod config;
mod judgement;
mod plugin;

#[cfg(not(target_arch = "wasm32"))]
pub mod testing;

#[doc(hidden)]
pub mod abi;
#[doc(hidden)]
pub mod export;

pub use abi::audit_host::plugin::types::{
    Alert, ColumnType, Context, Fault, Field, Position, Severity,
};
pub use abi::exports::audit_host::plugin::lifecycle::ConfigError;
pub use abi::exports::audit_host::plugin::state::RestoreError;
pub use batch::{Batch, BooleanColumn, Column, Fixed, Utf8Column};
pub use builder::{Utf8Builder, Utf8Edit};
pub use config::{Config, Span};
pub use judgement::Judgement;
pub use plugin::{Binding, Description, Detector, Transform};
pub use serde;
