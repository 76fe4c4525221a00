//! A plugin that would send every batch to an address. It imports an interface that no host of plugins
//! has, so a host must refuse it by that name when it loads it, not when the first batch comes.

/// The bindings generated from the WIT of the plugin and of the import, unchanged.
mod abi {
    #![allow(warnings, clippy::pedantic, reason = "generated code")]

    wit_bindgen::generate!({
        path: ["../../../wit", "wit/http", "wit/world"],
        world: "audit-host:http/guest",
        generate_all,
    });
}

use abi::audit_host::plugin::types::{Batch, Context, Fault, Judgement};
use abi::exports::audit_host::plugin::{judge, lifecycle, state};
use abi::wasi::http::outgoing_handler;

struct Component;

impl lifecycle::Guest for Component {
    fn describe() -> lifecycle::Description {
        lifecycle::Description {
            name: "http".to_owned(),
            version: "0.1.0".to_owned(),
            kind: lifecycle::Kind::Transform,
            config_schema: r#"{"type":"object"}"#.to_owned(),
            key_columns: Vec::new(),
            state_version: 0,
        }
    }

    fn configure(_: String) -> Result<lifecycle::Binding, lifecycle::ConfigError> {
        Ok(lifecycle::Binding { reads: vec!["user_email".to_owned()], writes: Vec::new() })
    }
}

impl judge::Guest for Component {
    fn process(_: Context, _: Batch) -> Result<Judgement, Fault> {
        outgoing_handler::handle("http://127.0.0.1:9/").map_err(Fault::Other)?;
        Ok(Judgement { columns: Vec::new(), quarantined: Vec::new(), alerts: Vec::new() })
    }
}

impl state::Guest for Component {
    fn snapshot() -> Vec<u8> {
        Vec::new()
    }

    fn restore(_: u32, _: Vec<u8>) -> Result<(), state::RestoreError> {
        Ok(())
    }
}

abi::export!(Component with_types_in abi);
