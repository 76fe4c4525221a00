//! What is wanted against what runs. Pure: nothing is read, compiled or changed here.

use std::collections::{BTreeMap, BTreeSet};

use audit_chain::Running;

use crate::config::PluginEntry;

/// What earlier looks left behind.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    /// Fingerprints of the plugins in the chain, by origin.
    pub(super) active: BTreeMap<String, String>,
    /// Origins of plugins that had more than their file configured.
    pub(super) configured: BTreeSet<String>,
    /// Fingerprints of what was rejected, by origin: not tried, and not reported, again until it changes.
    pub(super) rejected: BTreeMap<String, String>,
    /// Fingerprints of the shadows, by plugin.
    pub(super) shadows: BTreeMap<String, String>,
    /// Fingerprints of candidates that did not fit while others were being prepared, by origin: tried again once
    /// none is.
    pub(super) deferred: BTreeMap<String, String>,
    /// Whether candidates did not fit together, and each is tried by itself.
    pub(super) is_apart: bool,
}

/// What is to be done about one plugin that is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It runs as it is wanted.
    Unchanged,
    /// It ran with a configuration, and now there is none. A file that was cut off or deleted must not have
    /// data stored unredacted.
    Unconfigured,
    /// It is the very candidate that was rejected before.
    RejectedBefore,
    /// A candidate to prepare.
    Changed,
}

/// The verdict on a plugin whose file was just read. `tried` is its fingerprint with what only a candidate is judged by.
pub(super) fn verdict(
    known: &Known,
    entry: &PluginEntry,
    fingerprint: &str,
    tried: &str,
) -> Verdict {
    let origin = entry.origin();
    let is = |fingerprints: &BTreeMap<String, String>, wanted: &str| {
        fingerprints.get(&origin).is_some_and(|one| one == wanted)
    };
    if is(&known.active, fingerprint) {
        Verdict::Unchanged
    } else if entry.is_bare() && known.configured.contains(&origin) {
        Verdict::Unconfigured
    } else if is(&known.rejected, tried) {
        Verdict::RejectedBefore
    } else {
        Verdict::Changed
    }
}

/// What is to be at a place of the chain. `T` is a candidate that was prepared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step<T> {
    /// The running plugin: it is as it is wanted, or no other one is wanted.
    Keep(String),
    /// A candidate.
    Swap(T),
    /// What is wanted was rejected or is being prepared: the running plugin stays, if there is one.
    Held(Option<String>),
}

/// One place of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Placed<T> {
    pub(super) entry: PluginEntry,
    pub(super) step: Step<T>,
}

/// The chain as it is to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan<T> {
    pub(super) places: Vec<Placed<T>>,
    /// Running plugins that are no longer listed. They are among the places: nothing leaves the chain while
    /// it runs, since a deleted file or a configuration that was cut off must not have data stored
    /// unredacted.
    pub(super) unlisted: Vec<Running>,
}

impl<T> Plan<T> {
    /// Puts the steps, in the order of what is wanted, together with what runs.
    pub(super) fn new(running: &[Running], mut places: Vec<Placed<T>>) -> Self {
        let mut unlisted = Vec::new();
        // A plugin that is not listed stays behind the one that it ran behind.
        let mut behind = 0;
        for plugin in running {
            let listed = places.iter().position(|place| place.entry.origin() == plugin.origin);
            if let Some(at) = listed {
                behind = at + 1;
                continue;
            }
            let entry = PluginEntry::plain(&plugin.origin);
            let step = Step::Keep(plugin.id.name.clone());
            places.insert(behind, Placed { entry, step });
            unlisted.push(plugin.clone());
            behind += 1;
        }
        Self { places, unlisted }
    }

    /// Whether the chain differs from the plan.
    pub(super) fn changes(&self, running: &[Running]) -> bool {
        let mut stays = running.iter().map(|plugin| &plugin.id.name);
        for place in &self.places {
            let name = match &place.step {
                Step::Swap(_) => return true,
                Step::Keep(name) | Step::Held(Some(name)) => name,
                Step::Held(None) => continue,
            };
            if stays.next() != Some(name) {
                return true;
            }
        }
        stays.next().is_some()
    }
}

/// The tag of a plugin's shadow among what is prepared and what is rejected.
pub(super) fn shadow_tag(plugin: &str) -> String {
    format!("shadow of {plugin}")
}

/// Plugins whose shadow is no longer wanted.
pub(super) fn ended_shadows(known: &Known, wanted: &BTreeMap<String, String>) -> Vec<String> {
    known.shadows.keys().filter(|plugin| !wanted.contains_key(*plugin)).cloned().collect()
}

/// Whether there is nothing to do about a shadow that is wanted: it runs as it is wanted, or was rejected as
/// it is. One that was promoted runs no more, and may run again after a rollback.
pub(super) fn is_settled_shadow(
    known: &Known,
    plugin: &str,
    tag: &str,
    fingerprint: &str,
    runs: bool,
) -> bool {
    let is = |one: Option<&String>| one.is_some_and(|one| one == fingerprint);
    runs && is(known.shadows.get(plugin)) || is(known.rejected.get(tag))
}

#[cfg(test)]
mod tests {
    use audit_core::PluginId;

    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn one_plugin_against_what_is_known_of_it() {
        use Verdict::{Changed, RejectedBefore, Unchanged, Unconfigured};
        let bare = PluginEntry::plain("/p.wasm");
        let set = PluginEntry { config: "{\"x\":1}".to_owned(), ..bare.clone() };
        let known = |active: &str, configured: bool, rejected: &str| Known {
            active: map(&[("/p.wasm", active)]),
            configured: configured.then(|| "/p.wasm".to_owned()).into_iter().collect(),
            rejected: map(&[("/p.wasm", rejected)]),
            ..Known::default()
        };
        for (known, entry, expected) in [
            (Known::default(), &bare, Changed),
            (known("new", false, ""), &bare, Unchanged),
            (known("old", false, ""), &bare, Changed),
            (known("old", false, "new"), &bare, RejectedBefore),
            (known("old", false, "other"), &bare, Changed),
            // What runs is never a problem, even where it was configured or rejected before.
            (known("new", true, "new"), &bare, Unchanged),
            (known("old", true, ""), &bare, Unconfigured),
            (known("old", true, "new"), &bare, Unconfigured),
            (known("old", true, ""), &set, Changed),
            (known("old", true, "new"), &set, RejectedBefore),
        ] {
            let found = verdict(&known, entry, "new", "new");
            assert_eq!(found, expected, "{known:?}, config {}", entry.config);
        }
    }

    /// A chain that runs, as `a b c`; each plugin is named as its file.
    fn running(names: &str) -> Vec<Running> {
        let of = |name: &str| Running {
            origin: format!("/{name}"),
            id: PluginId {
                name: name.to_owned(),
                version: String::new(),
                sha256: String::new(),
                config_sha256: String::new(),
            },
        };
        names.split_whitespace().map(of).collect()
    }

    /// Places as `a`: keep, `+a`: swap, `-a`: rejected and running, `!a`: rejected and not running.
    fn places(text: &str) -> Vec<Placed<()>> {
        let place = |word: &str| {
            let name = word.trim_start_matches(['+', '-', '!']);
            let step = match word.chars().next() {
                Some('+') => Step::Swap(()),
                Some('-') => Step::Held(Some(name.to_owned())),
                Some('!') => Step::Held(None),
                _ => Step::Keep(name.to_owned()),
            };
            Placed { entry: PluginEntry::plain(&format!("/{name}")), step }
        };
        text.split_whitespace().map(place).collect()
    }

    #[test]
    fn a_plan_is_made_of_what_is_wanted_and_what_runs() {
        for (runs, wanted, planned, unlisted, changes) in [
            ("", "", "", "", false),
            ("a b", "a b", "a b", "", false),
            ("a b", "a +b", "a +b", "", true),
            ("a", "a +b", "a +b", "", true),
            ("", "+a +b", "+a +b", "", true),
            // What is rejected keeps what runs, and holds up nothing else.
            ("a b", "-a b", "-a b", "", false),
            ("a b", "-a +b", "-a +b", "", true),
            ("a", "a !b", "a !b", "", false),
            // Another order.
            ("a b", "b a", "b a", "", true),
            ("a b", "b -a", "b -a", "", true),
            // What is no longer listed stays where it was.
            ("a b c", "a c", "a b c", "b", false),
            ("a b c", "b", "a b c", "a c", false),
            ("a b", "", "a b", "a b", false),
            ("a b c", "+c a", "+c a b", "b", true),
            ("a b", "+c b", "a +c b", "a", true),
        ] {
            let runs = running(runs);
            let plan = Plan::new(&runs, places(wanted));
            let names: Vec<_> = plan.unlisted.iter().map(|one| one.id.name.as_str()).collect();
            assert_eq!((&plan.places, names.join(" ")), (&places(planned), unlisted.to_owned()));
            assert_eq!(plan.changes(&runs), changes, "{wanted} on {runs:?}");
        }
    }

    #[test]
    fn shadows_against_what_is_known_of_them() {
        let known = Known {
            shadows: map(&[("p", "new"), ("q", "old")]),
            rejected: map(&[("shadow of r", "new")]),
            ..Known::default()
        };
        for (plugin, runs, expected) in
            [("p", true, true), ("p", false, false), ("q", true, false), ("r", false, true)]
        {
            let tag = format!("shadow of {plugin}");
            let found = is_settled_shadow(&known, plugin, &tag, "new", runs);
            assert_eq!(found, expected, "{plugin}, which runs: {runs}");
        }
        assert_eq!(ended_shadows(&known, &map(&[("p", "p2.wasm")])), ["q"]);
    }
}
