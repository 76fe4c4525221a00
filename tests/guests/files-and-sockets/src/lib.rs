//! A plugin that asks WASI 0.2 for what no plugin may have, and writes into `user_agent` of every row what
//! it got. `{"try": …}` names what it asks for: `tests/guests/README.md` has the list.
//!
//! Tool chains of several languages link WASI into any component, so a host may provide it. It must then
//! grant nothing: no folder, no variable, no connection, and no clock other than the batch's.

mod tries;

/// The bindings generated from the WIT of the plugin and of WASI, unchanged.
mod abi {
    #![allow(warnings, clippy::pedantic, reason = "generated code")]

    wit_bindgen::generate!({
        path: [
            // As released: what was built against it must go on to load.
            "../../../wit/released/0.1.0",
            "wit/io",
            "wit/clocks",
            "wit/random",
            "wit/filesystem",
            "wit/sockets",
            "wit/cli",
            "wit/world",
        ],
        world: "audit-host:files-and-sockets/guest",
        generate_all,
    });
}

use std::cell::Cell;

use abi::audit_host::plugin::types::{
    Batch, Column, ColumnType, ColumnValues, Context, Fault, Judgement, Utf8Values,
};
use abi::exports::audit_host::plugin::{judge, lifecycle, state};
use serde_json::Value;

const AGENT: &str = "user_agent";

thread_local! {
    /// What the configuration asks for.
    static TRY: Cell<Option<tries::Try>> = const { Cell::new(None) };
}

struct Component;

impl lifecycle::Guest for Component {
    fn describe() -> lifecycle::Description {
        lifecycle::Description {
            name: "files_and_sockets".to_owned(),
            version: "0.1.0".to_owned(),
            kind: lifecycle::Kind::Transform,
            config_schema: r#"{"type":"object"}"#.to_owned(),
            key_columns: Vec::new(),
            state_version: 0,
        }
    }

    fn configure(config: String) -> Result<lifecycle::Binding, lifecycle::ConfigError> {
        let refuse = |message: String| lifecycle::ConfigError { key: "try".to_owned(), message };
        let value: Value =
            serde_json::from_str(&config).map_err(|error| refuse(error.to_string()))?;
        let name = value.get("try").and_then(Value::as_str).unwrap_or("nothing");
        let wanted = tries::find(name).ok_or_else(|| refuse(format!("nothing named {name:?}")))?;
        TRY.set(Some(wanted));
        let output = lifecycle::OutputColumn {
            name: AGENT.to_owned(),
            type_: ColumnType::Utf8,
            preserves_equality: false,
        };
        Ok(lifecycle::Binding { reads: vec![AGENT.to_owned()], writes: vec![output] })
    }
}

impl judge::Guest for Component {
    fn process(_: Context, batch: Batch) -> Result<Judgement, Fault> {
        let Some(wanted) = TRY.get() else {
            return Err(Fault::Other("a batch before configure".to_owned()));
        };
        let n_rows = batch.rows as usize;
        let values = ColumnValues::Utf8(repeated(&wanted(), n_rows));
        let columns = vec![Column { name: AGENT.to_owned(), validity: None, values }];
        Ok(Judgement { columns, quarantined: Vec::new(), alerts: Vec::new() })
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

/// The same text in every row.
fn repeated(text: &str, n_rows: usize) -> Utf8Values {
    let ends = (0..=n_rows).map(|row| i32::try_from(row * text.len()).unwrap_or(i32::MAX));
    Utf8Values { offsets: ends.collect(), values: text.repeat(n_rows).into_bytes() }
}

abi::export!(Component with_types_in abi);
