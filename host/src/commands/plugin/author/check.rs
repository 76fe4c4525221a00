//! `audit-host plugin check`: reports everything that prevents a component from loading.

use std::fmt::Write as _;
use std::time::Instant;

use anyhow::Result;
use audit_chain::{Engine, Plugin, PluginChain, PluginSource, unlogged};
use audit_core::text::one_line;
use serde_json::json;

use super::replaces::{Replaced, replaces};
use super::text::{clean, count};
use super::{inspect, plugin_args};
use crate::cli::CheckArgs;
use crate::commands::plugin::error::Error;
use crate::golden;
use crate::stdout::print;

pub(crate) fn run(args: &CheckArgs) -> Result<()> {
    let file = &args.given.file;
    let bytes = plugin_args::read(file)?;
    let report = if let Some(problem) = plugin_args::too_large(file, &bytes) {
        // Only a part of it was read.
        Report { problems: vec![format!("the file {problem}")], ..Report::default() }
    } else {
        let source = PluginSource {
            config: plugin_args::config(args.given.config.as_deref())?,
            keys: plugin_args::keys(&args.given.keys)?,
            lookups: plugin_args::lookups(&args.given.keys)?,
            ..PluginSource::new(file, bytes)
        };
        let engine = plugin_args::engine()?;
        unlogged(|| {
            let mut report = Report::of(&engine, &source);
            if let (Some(old), []) = (&args.replaces, report.problems.as_slice()) {
                report.replaces = Some(replaces(old, &engine, &source, args)?);
            }
            Ok::<_, anyhow::Error>(report)
        })?
    };
    print(&if args.json { report.as_json(file) } else { report.as_text(file) })?;
    match report.n_problems() {
        0 => Ok(()),
        n => {
            let (file, problems) = (file.clone(), count(n, "problem"));
            Err(Error::Problems { file, problems }.into())
        }
    }
}

/// What was found.
#[derive(Debug, Default)]
struct Report {
    problems: Vec<String>,
    /// The plugin as it describes itself, once it does.
    plugin: Option<Described>,
    n_cases: usize,
    /// What replacing another version would do; looked at only if nothing else is wrong.
    replaces: Option<Replaced>,
}

#[derive(Debug)]
struct Described {
    name: String,
    version: String,
    kind: &'static str,
}

impl Report {
    fn of(engine: &Engine, source: &PluginSource) -> Self {
        let mut report = Self::default();
        let interfaces = engine.interfaces(&source.name, &source.component, &source.sha256());
        match interfaces {
            Ok(interfaces) => report.problems.extend(interfaces.problems),
            Err(error) => {
                // There is nothing more to check.
                report.problems.push(one_line(&error));
                return report;
            }
        }
        let cases = golden::embedded(&source.component);
        let is_plugin = report.problems.is_empty();
        if is_plugin {
            report.load(engine, source);
        }
        match cases {
            Ok(cases) if is_plugin => report.run_cases(engine, source, &cases),
            Ok(_) => {}
            Err(error) => report.problems.push(one_line(&error)),
        }
        report
    }

    /// With the configuration given, alone in a chain.
    fn load(&mut self, engine: &Engine, source: &PluginSource) {
        let plugin = match Plugin::load(engine, source.clone()) {
            Ok(plugin) => plugin,
            Err(error) => return self.problems.push(one_line(&error)),
        };
        self.plugin = Some(Described {
            name: plugin.id().name.clone(),
            version: plugin.id().version.clone(),
            kind: inspect::kind(&plugin),
        });
        if let Err(error) = PluginChain::new(vec![plugin]) {
            self.problems.push(one_line(&error));
        }
    }

    fn run_cases(&mut self, engine: &Engine, source: &PluginSource, cases: &[golden::Case]) {
        self.n_cases = cases.len();
        let began = Instant::now();
        for (n_done, case) in cases.iter().enumerate() {
            if let Err(error) = golden::in_time(began, n_done, cases.len()) {
                self.problems.push(one_line(&error));
                return;
            }
            let mismatches = golden::run(engine, source, case).and_then(|outcome| {
                let mismatches = golden::compare(case, &outcome);
                if mismatches.is_empty() {
                    return golden::vary(engine, source, case, &outcome);
                }
                Ok(mismatches)
            });
            match mismatches {
                Ok(mismatches) => self
                    .problems
                    .extend(mismatches.iter().map(|m| format!("golden case {:?}: {m}", case.name))),
                Err(error) => self.problems.push(one_line(&error)),
            }
        }
    }

    fn as_text(&self, file: &str) -> String {
        if let (0, Some(plugin)) = (self.n_problems(), &self.plugin) {
            let Described { name, version, kind } = plugin;
            let cases = count(self.n_cases, "golden case");
            let replaced = self.replaces.as_ref().map_or_else(String::new, Replaced::as_text);
            return format!("ok: {file} is {name} {version}, a {kind}; {cases} passed\n{replaced}");
        }
        let mut text = String::new();
        let of_replaced = self.replaces.iter().flat_map(|replaced| &replaced.problems);
        for problem in self.problems.iter().chain(of_replaced) {
            // Writing to a string does not fail. The lines of a diff are ours, their content may not be.
            let lines: Vec<_> = problem.lines().map(clean).collect();
            let _ = writeln!(text, "- {}", lines.join("\n  "));
        }
        text
    }

    fn n_problems(&self) -> usize {
        self.problems.len() + self.replaces.as_ref().map_or(0, |replaced| replaced.problems.len())
    }

    fn as_json(&self, file: &str) -> String {
        let mut report = json!({
            "file": file, "ok": self.n_problems() == 0, "problems": self.problems,
            "golden_cases": self.n_cases,
        });
        if let Some(Described { name, version, kind }) = &self.plugin {
            report["name"] = json!(name);
            report["version"] = json!(version);
            report["kind"] = json!(kind);
        }
        if let Some(replaced) = &self.replaces {
            report["replaces"] = replaced.as_json();
        }
        format!("{report}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(component: &[u8], config: &str) -> Report {
        let config = config.to_owned();
        let source = PluginSource { config, ..PluginSource::new("x.wasm", component) };
        Report::of(&Engine::new().unwrap(), &source)
    }

    fn redact_pii() -> Vec<u8> {
        golden::tests::without_cases("redact_pii")
    }

    #[test]
    fn a_good_component_passes_in_one_line() {
        let report = check(&redact_pii(), "{}");
        assert_eq!(report.problems, Vec::<String>::new());
        let text = report.as_text("x.wasm");
        assert_eq!(text, "ok: x.wasm is redact_pii 0.1.0, a transform; 0 golden cases passed\n");
        let json: serde_json::Value = serde_json::from_str(&report.as_json("x.wasm")).unwrap();
        assert_eq!((&json["ok"], &json["kind"]), (&json!(true), &json!("transform")));
    }

    #[test]
    fn every_problem_is_named() {
        let component = redact_pii();
        let truncated = &component[..component.len() / 2];
        for (bytes, config, says) in [
            (&b""[..], "{}", "the file is empty"),
            (b"\0asm\x01\0\0\0", "{}", "it is a core module"),
            (b"not wasm at all", "{}", "it does not begin like WebAssembly"),
            (truncated, "{}", "the file is damaged"),
            (&component, r#"{"no-such-key": 1}"#, "no-such-key"),
        ] {
            let report = check(bytes, config);
            assert_eq!(report.problems.len(), 1, "{:?}", report.problems);
            assert!(report.problems[0].contains(says), "{:?}", report.problems);
        }
        // A component without anything lacks each export, and all are named.
        let report = check(b"\0asm\x0d\0\x01\0", "{}");
        assert_eq!(report.problems.len(), 3, "{:?}", report.problems);
        let text = report.as_text("x.wasm");
        for export in ["lifecycle", "judge", "state"] {
            assert!(
                text.contains(&format!("does not export audit-host:plugin/{export}@")),
                "{text}"
            );
        }
    }

    #[test]
    fn cases_inside_are_run() {
        let with = |cases: &str| {
            let mut component = redact_pii();
            component.extend(golden::tests::section_of(cases));
            check(&component, "{}")
        };
        let event = r#"{"event_timestamp":"2025-01-16T08:00:00Z","action_type":"x"}"#;
        let fails = format!(r#"[{{"name":"one","events":[{event}],"rows":[]}}]"#);
        let report = with(&fails);
        assert_eq!((report.n_cases, report.problems.len()), (1, 1));
        assert!(report.problems[0].contains("golden case \"one\": rows.jsonl"), "{report:?}");
        let report = with("[{\"name\":\"one\",\"events\":[],\"config\":{\"no-such-key\":1}}]");
        assert!(report.problems[0].contains("no-such-key"), "{report:?}");
        assert!(with("[{}]").problems[0].contains("\"name\" is missing"));
        assert_eq!(with("[{\"name\":\"one\",\"events\":[]}]").problems.len(), 0);
    }
}
