//! `plugin check NEW --replaces OLD`: whether a running host, or the next start, would take the new version in
//! the place of the old one, and whether the way back is open.

use std::fmt::Write as _;

use anyhow::Result;
use audit_chain::{Engine, Plugin, PluginSource};
use audit_core::text::one_line;
use serde_json::{Value, json};

use super::plugin_args;
use super::text::{clean, count};
use crate::cli::CheckArgs;
use crate::golden::{self, Case, Upgrade};

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Replaced {
    file: String,
    version: String,
    /// Swaps from the old version to the new one that were compared.
    n_swaps: usize,
    /// Golden cases that say nothing, and why.
    skipped: Vec<String>,
    has_state: bool,
    and_back: bool,
    pub(super) problems: Vec<String>,
}

/// Compares the component `new`, which has no problem by itself, with the one in `file`. Both get the
/// configuration and the keys of the command line, and on golden cases those of the case.
pub(super) fn replaces(
    file: &str,
    engine: &Engine,
    new: &PluginSource,
    args: &CheckArgs,
) -> Result<Replaced> {
    let old = plugin_args::component(file)?;
    let old = PluginSource { config: new.config.clone(), ..old };
    let old = PluginSource { keys: new.keys.clone(), lookups: new.lookups.clone(), ..old };
    let mut replaced = Replaced { file: file.to_owned(), ..Replaced::default() };
    replaced.and_back = !args.one_way;
    // The engine keeps the code of one component only.
    let engines = [&plugin_args::engine()?, engine];
    replaced.compare(engines, &old, new);
    Ok(replaced)
}

impl Replaced {
    fn compare(&mut self, engines: [&Engine; 2], old: &PluginSource, new: &PluginSource) {
        let [of_old, of_new] = engines;
        let loaded = (Plugin::load(of_old, old.clone()), Plugin::load(of_new, new.clone()));
        let (before, after) = match loaded {
            (Ok(before), Ok(after)) => (before, after),
            (Err(error), _) | (_, Err(error)) => return self.problem(&one_line(&error)),
        };
        self.version.clone_from(&before.id().version);
        self.has_state = before.state_version() != 0;
        for misfit in golden::misfits(&before, &after) {
            self.problem(&misfit);
        }
        if !self.problems.is_empty() || !self.has_state {
            return;
        }
        let upgrade = Upgrade { old: (of_old, old), new: (of_new, new), and_back: self.and_back };
        match cases(old, new) {
            Ok(cases) => self.prove(&upgrade, &cases),
            Err(error) => self.problem(&one_line(&error)),
        }
        if self.problems.is_empty() && self.n_swaps == 0 {
            self.problem(
                "nothing shows that the state moves: no golden case of either version runs on both; add one",
            );
        }
    }

    fn prove(&mut self, upgrade: &Upgrade<'_>, cases: &[Case]) {
        for case in cases {
            match upgrade.prove(case) {
                Ok(proof) => {
                    self.n_swaps += proof.n_swaps;
                    let problem = proof.problem.iter();
                    problem.for_each(|problem| self.problem(problem));
                    self.skipped.extend(proof.skipped);
                }
                Err(error) => self.problem(&one_line(&error)),
            }
        }
    }

    fn problem(&mut self, problem: &str) {
        self.problems.push(format!("replacing {}: {problem}", self.file));
    }

    /// What was shown, for a component without problems.
    pub(super) fn as_text(&self) -> String {
        let Self { file, version, .. } = self;
        let mut text = if self.has_state {
            let swaps = count(self.n_swaps, "swap");
            let back = if self.and_back { ", and gives it back" } else { "" };
            format!("ok: it takes over the state of {file} ({version}) at {swaps}{back}\n")
        } else {
            format!("ok: it can replace {file} ({version}), which has no state\n")
        };
        for skipped in &self.skipped {
            // Writing to a string does not fail.
            let _ = writeln!(text, "not compared: {}", clean(skipped));
        }
        text
    }

    pub(super) fn as_json(&self) -> Value {
        json!({
            "file": self.file, "version": self.version, "problems": self.problems,
            "swaps": self.n_swaps, "and_back": self.and_back, "not_compared": self.skipped,
        })
    }
}

/// The cases of the new version, and those that only the old one has.
fn cases(old: &PluginSource, new: &PluginSource) -> Result<Vec<Case>, golden::Error> {
    let mut cases = golden::embedded(&new.component)?;
    let of_old = golden::embedded(&old.component)?;
    for case in of_old {
        if cases.iter().all(|known| known.name != case.name) {
            cases.push(case);
        }
    }
    Ok(cases)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compare(old: &str, new: &str) -> Replaced {
        let engines = [&Engine::new().unwrap(), &Engine::new().unwrap()];
        let [old, new] = [old, new]
            .map(|name| PluginSource::new(name, crate::builtin::component(name).unwrap()));
        let mut replaced = Replaced { file: "old.wasm".to_owned(), ..Replaced::default() };
        replaced.and_back = true;
        replaced.compare(engines, &old, &new);
        replaced
    }

    #[test]
    fn a_version_replaces_itself_and_gives_its_state_back() {
        for name in ["detect_failed_logins", "detect_unusual_volume"] {
            let replaced = compare(name, name);
            assert_eq!(replaced.problems, [] as [String; 0]);
            assert!(replaced.n_swaps > 10, "{replaced:?}");
            assert!(replaced.as_text().ends_with(", and gives it back\n"), "{replaced:?}");
        }
        let stateless = compare("redact_pii", "redact_pii");
        assert!(stateless.as_text().contains("which has no state"), "{stateless:?}");
    }

    #[test]
    fn another_plugin_is_no_version() {
        let replaced = compare("redact_pii", "detect_off_hours");
        let expect =
            "replacing old.wasm: it is the plugin \"detect_off_hours\", not \"redact_pii\"";
        assert_eq!(replaced.problems, [expect]);
    }
}
