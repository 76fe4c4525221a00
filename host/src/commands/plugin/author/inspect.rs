//! `audit-host plugin inspect`: what a component is, imports, reads and writes.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::Result;
use arrow::datatypes::DataType;
use audit_chain::{ABI_VERSION, Interfaces, Output, Plugin, PluginKind, PluginSource};
use audit_core::text::one_line;
use serde_json::{Value, json};

use super::plugin_args;
use super::text::clean;
use crate::cli::InspectArgs;
use crate::commands::plugin::error::Error;
use crate::golden;
use crate::stdout::print;

/// The column of the values.
const INDENT: usize = 15;

pub(crate) fn run(args: &InspectArgs) -> Result<()> {
    let source = plugin_args::source(&args.given)?;
    let seen = Seen::of(&source)?;
    print(&if args.json { format!("{}\n", seen.json()) } else { seen.text() })?;
    match seen.loaded {
        Ok(_) => Ok(()),
        Err(problem) => Err(Error::NotLoaded { file: args.given.file.clone(), problem }.into()),
    }
}

/// What the plugin may do to a batch, in a word.
pub(super) fn kind(plugin: &Plugin) -> &'static str {
    match plugin.kind() {
        PluginKind::Transform => "transform",
        PluginKind::Detector => "detector",
    }
}

struct Seen {
    sha256: String,
    n_bytes: usize,
    interfaces: Interfaces,
    /// Names, or why they cannot be read.
    cases: Result<Vec<String>, String>,
    compile: Duration,
    /// Whether the compiled code was in the cache, and was only read.
    is_cached: bool,
    /// The plugin and how long it took to start, or why it did not.
    loaded: Result<(Box<Plugin>, Duration), String>,
}

impl Seen {
    /// An error for a file that is not a component: there is nothing to show.
    fn of(source: &PluginSource) -> Result<Self> {
        let engine = plugin_args::engine()?;
        let sha256 = source.sha256();
        let is_cached = engine.has_cached(&source.component, &sha256);
        let began = Instant::now();
        let interfaces = engine.interfaces(&source.name, &source.component, &sha256);
        let interfaces = interfaces.map_err(|cause| {
            let file = source.name.clone();
            Error::NotAPlugin { attempted: "inspecting", file, cause }
        })?;
        let compile = began.elapsed();
        let cases = golden::embedded(&source.component)
            .map(|cases| cases.into_iter().map(|case| case.name).collect())
            .map_err(|error| one_line(&error));
        let began = Instant::now();
        // Compiled already: this measures the start.
        let loaded = Plugin::load(&engine, source.clone())
            .map(|plugin| (Box::new(plugin), began.elapsed()))
            .map_err(|error| one_line(&error));
        let n_bytes = source.component.len();
        Ok(Self { sha256, n_bytes, interfaces, cases, compile, is_cached, loaded })
    }

    /// The version of the contract that the component was built for.
    fn abi(&self) -> Option<&str> {
        let exports = self.interfaces.exports.iter();
        let mut ours = exports.filter_map(|name| name.strip_prefix("audit-host:plugin/"));
        ours.find_map(|name| Some(name.split_once('@')?.1))
    }

    fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: &str| {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{name:<INDENT$}{}", clean(value));
        };
        if let Ok((plugin, _)) = &self.loaded {
            line("name", &plugin.id().name);
            line("version", &plugin.id().version);
            line("kind", kind(plugin));
        }
        line("sha256", &self.sha256);
        line("size", &format!("{} bytes", self.n_bytes));
        let abi = self.abi().unwrap_or("none");
        line("abi", &format!("{abi} (this host speaks {ABI_VERSION})"));
        let mut name = "imports";
        for (import, answer) in &self.interfaces.imports {
            line(name, &format!("{import}: {}", answer.as_str()));
            name = "";
        }
        let mut name = "problems";
        for problem in &self.interfaces.problems {
            line(name, problem);
            name = "";
        }
        if let Ok((plugin, _)) = &self.loaded {
            line("reads", &listed(plugin.reads()));
            let writes: Vec<_> = plugin.writes().iter().map(written).collect();
            line("writes", &listed(&writes));
            line("key columns", &listed(plugin.key_columns()));
            let version = plugin.state_version();
            let state =
                if version == 0 { "no state".to_owned() } else { format!("version {version}") };
            line("state", &state);
        }
        line(
            "golden cases",
            &match &self.cases {
                Ok(names) => listed(names),
                Err(problem) => problem.clone(),
            },
        );
        let cached = if self.is_cached { ", from the cache" } else { "" };
        line("compile", &format!("{:.1} ms{cached}", millis(self.compile)));
        if let Ok((plugin, start)) = &self.loaded {
            line("start", &format!("{:.2} ms (instantiate, describe, configure)", millis(*start)));
            let schema = match schema(plugin) {
                Value::String(text) => clean(&text),
                schema => format!("{schema:#}"),
            };
            // As JSON it holds no control characters but line breaks.
            let _ = writeln!(text, "config schema\n{schema}");
        }
        text
    }

    fn json(&self) -> Value {
        let imports = self.interfaces.imports.iter();
        let imports: Vec<_> = imports
            .map(|(name, answer)| json!({ "name": name, "answer": answer.as_str() }))
            .collect();
        let mut seen = json!({
            "sha256": self.sha256,
            "bytes": self.n_bytes,
            "abi": self.abi(),
            "host_abi": ABI_VERSION,
            "imports": imports,
            "exports": self.interfaces.exports,
            "problems": self.interfaces.problems,
            "golden_cases": self.cases.as_ref().ok(),
            "compile_ms": millis(self.compile),
            "compiled_before": self.is_cached,
        });
        match &self.loaded {
            Err(problem) => seen["not_loaded"] = json!(problem),
            Ok((plugin, start)) => {
                let writes: Vec<_> = plugin.writes().iter().map(output).collect();
                seen["name"] = json!(plugin.id().name);
                seen["version"] = json!(plugin.id().version);
                seen["kind"] = json!(kind(plugin));
                seen["reads"] = json!(plugin.reads());
                seen["writes"] = json!(writes);
                seen["key_columns"] = json!(plugin.key_columns());
                seen["state_version"] = json!(plugin.state_version());
                seen["config_schema"] = schema(plugin);
                seen["start_ms"] = json!(millis(*start));
            }
        }
        seen
    }
}

/// Text if it is not JSON.
fn schema(plugin: &Plugin) -> Value {
    let text = plugin.config_schema();
    serde_json::from_str(text).unwrap_or_else(|_| json!(text))
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn written(output: &Output) -> String {
    let equality = if output.preserves_equality { ", equal values stay equal" } else { "" };
    format!("{} ({}{equality})", output.name, type_name(&output.data_type))
}

fn output(output: &Output) -> Value {
    json!({
        "name": output.name, "type": type_name(&output.data_type),
        "preserves_equality": output.preserves_equality,
    })
}

/// The name of the type in the contract.
fn type_name(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Int32 => "int32",
        DataType::Int64 => "int64",
        DataType::Float64 => "float64",
        DataType::Boolean => "boolean",
        DataType::Timestamp(..) => "timestamp-us",
        _ => "utf8",
    }
}

fn millis(time: Duration) -> f64 {
    // To the microsecond: more digits would be noise.
    (time.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtin;

    fn see(component: &[u8], config: &str) -> Seen {
        let config = config.to_owned();
        let source = PluginSource { config, ..PluginSource::new("x.wasm", component) };
        Seen::of(&source).unwrap()
    }

    #[test]
    fn a_plugin_is_shown_with_what_it_touches() {
        let seen = see(builtin::component("detect_failed_logins").unwrap(), "{}");
        let json = seen.json();
        assert_eq!((&json["kind"], &json["abi"]), (&json!("detector"), &json!(ABI_VERSION)));
        assert_eq!(json["key_columns"], json!(["ip_address"]));
        assert_eq!(json["writes"], json!([]));
        assert!(json["config_schema"]["properties"].is_object(), "{json}");
        let text = seen.text();
        for part in [
            "name           detect_failed_logins\n",
            "audit-host:plugin/log@0.1.1: the host's\n",
            "writes         none\n",
            "state          version 3\n",
        ] {
            assert!(text.contains(part), "{text}");
        }
        let seen = see(builtin::component("redact_pii").unwrap(), "{}");
        assert!(seen.text().contains("user_email (utf8"), "{}", seen.text());
    }

    #[test]
    fn what_does_not_load_is_shown_as_far_as_it_goes() {
        let seen = see(b"\0asm\x0d\0\x01\0", "{}");
        assert!(seen.loaded.is_err());
        assert!(seen.text().contains("problems       it does not export"), "{}", seen.text());
        let seen = see(builtin::component("redact_pii").unwrap(), "{\"x\":1}");
        assert!(seen.json()["not_loaded"].as_str().unwrap().contains("\"x\""), "{}", seen.json());
        let empty = PluginSource::new("x.wasm", b"".as_slice());
        assert!(Seen::of(&empty).is_err());
    }
}
