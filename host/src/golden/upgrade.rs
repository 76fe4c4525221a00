//! A version of a plugin that replaces another one: does the chain take it, does it take the state, and can
//! the old one take it back?

use std::collections::BTreeMap;

use audit_chain::{Engine, Plugin, PluginKind, PluginSource};
use audit_core::schema;
use audit_core::text::one_line;
use serde_json::Value;

use super::case::Case;
use super::diff::{self, Diff};
use super::error::Error;
use super::nulls::Nulls;
use super::outcome::Outcome;
use super::run::{OFFSET, Stream, load};
use super::vary::{cuts, findings};

/// Places in the events of one case at which the versions are swapped. Each takes a few instances of both.
const CUTS_MAX: usize = 16;

/// What a running chain refuses, or what would change behind the back of whoever reads the table.
pub(crate) fn misfits(old: &Plugin, new: &Plugin) -> Vec<String> {
    let (old_name, new_name) = (&old.id().name, &new.id().name);
    if old_name != new_name {
        return vec![format!("it is the plugin {new_name:?}, not {old_name:?}")];
    }
    if old.kind() != new.kind() {
        let [old, new] = [old, new].map(|plugin| kind(plugin.kind()));
        return vec![format!("it is a {new}, the version before a {old}")];
    }
    let mut misfits = Vec::new();
    for name in new.reads().iter().filter(|name| !old.reads().contains(name)) {
        misfits.push(format!(
            "it reads the column {name:?}, which the version before does not: whoever runs it must allow that"
        ));
    }
    if old.key_columns() != new.key_columns() {
        misfits.push(format!(
            "it counts by {}, the version before by {}: the state of one means nothing to the other",
            new.key_columns().join(", "),
            old.key_columns().join(", ")
        ));
    }
    if old.state_version() != 0 && new.state_version() == 0 {
        misfits.push("it has no state, but the version before has one".to_owned());
    }
    misfits.extend(misfits_of_columns(old, new));
    misfits
}

fn kind(kind: PluginKind) -> &'static str {
    match kind {
        PluginKind::Transform => "transform",
        PluginKind::Detector => "detector",
    }
}

fn misfits_of_columns(old: &Plugin, new: &Plugin) -> Vec<String> {
    let decoded = schema::decoded();
    let mut misfits = Vec::new();
    for before in old.writes() {
        let name = &before.name;
        let Some(now) = new.writes().iter().find(|output| output.name == *name) else {
            misfits.push(if decoded.index_of(name).is_ok() {
                format!(
                    "it no longer replaces the column {name:?}: events would be stored as they came"
                )
            } else {
                format!(
                    "it no longer adds the column {name:?}, which the table has: it would be null"
                )
            });
            continue;
        };
        if now.data_type != before.data_type {
            misfits.push(format!(
                "it writes the column {name:?} as {}, the version before as {}",
                now.data_type, before.data_type
            ));
        }
        if before.preserves_equality && !now.preserves_equality {
            misfits.push(format!(
                "equal values of {name:?} no longer stay equal: a detector that counts by it is refused"
            ));
        }
    }
    let is_new = |name: &String| {
        decoded.index_of(name).is_err() && old.writes().iter().all(|output| output.name != *name)
    };
    for output in new.writes().iter().filter(|output| is_new(&output.name)) {
        let name = &output.name;
        misfits
            .push(format!("it adds the column {name:?}: a reload is refused, a restart adds it"));
    }
    misfits
}

/// Two versions of a detector, each with an engine of its own: an engine keeps the code of one component.
pub(crate) struct Upgrade<'a> {
    pub(crate) old: (&'a Engine, &'a PluginSource),
    pub(crate) new: (&'a Engine, &'a PluginSource),
    /// Whether the old version must take the state back.
    pub(crate) and_back: bool,
}

/// What a case says about it.
#[derive(Debug, Default)]
pub(crate) struct Proof {
    /// Swaps that were compared.
    pub(crate) n_swaps: usize,
    pub(crate) problem: Option<String>,
    /// Why the case says nothing.
    pub(crate) skipped: Option<String>,
}

impl Upgrade<'_> {
    /// Judges the events of a case by the old version, up to each cut, and from there on by the new one.
    pub(crate) fn prove(&self, case: &Case) -> Result<Proof, Error> {
        let mut plugins = Vec::with_capacity(2);
        for (engine, source) in [self.old, self.new] {
            match load(engine, source, case) {
                Ok(plugin) => plugins.push(plugin),
                // A case of the other version may have a setting that this one does not know.
                Err(error) => {
                    return Ok(Proof { skipped: Some(one_line(&error)), ..Proof::default() });
                }
            }
        }
        let [old, new] = &plugins[..] else { return Ok(Proof::default()) };
        let mut proof = Proof::default();
        let mut at = cuts(case.events.len(), CUTS_MAX);
        at.push(case.events.len());
        for after in at {
            let swap = Swap { old, new, case, after };
            proof.problem = swap.forward()?;
            if proof.problem.is_none() && self.and_back {
                proof.problem = swap.back()?;
            }
            if proof.problem.is_some() {
                break;
            }
            proof.n_swaps += 1;
        }
        Ok(proof)
    }
}

/// A swap after so many events.
struct Swap<'a> {
    old: &'a Plugin,
    new: &'a Plugin,
    case: &'a Case,
    after: usize,
}

impl Swap<'_> {
    /// What both versions find by themselves must be found across the swap, and nothing that neither finds.
    fn forward(&self) -> Result<Option<String>, Error> {
        let mut stream = self.before()?;
        if let Err(why) = stream.move_to(self.new) {
            return Ok(Some(format!(
                "{}: it refuses the state of the version before: {why}",
                self.place()
            )));
        }
        self.rest(&mut stream)?;
        let (by_old, by_new) = (self.alone(self.old)?, self.alone(self.new)?);
        let diff = between(&findings(&by_old), &findings(&by_new), &findings(&stream.finish()));
        if diff.is_empty() {
            return Ok(None);
        }
        Ok(Some(format!(
            "{}: it takes the state of the version before and finds something else (- what each version \
             finds by itself, + with the swap); its `restore` must read what that version wrote:\n{diff}",
            self.place()
        )))
    }

    /// The state must come back whole at once, and be taken back after the new version has judged.
    fn back(&self) -> Result<Option<String>, Error> {
        let refused = |why: String| {
            format!(
                "{}: there is no way back: the version before refuses its state: {why}; a rollback would not \
                 start. If that is meant, check with --one-way",
                self.place()
            )
        };
        let mut used = self.before()?;
        let mut unused = self.before()?;
        for stream in [&mut used, &mut unused] {
            if let Err(why) = stream.move_to(self.new) {
                return Ok(Some(format!("{}: {why}", self.place())));
            }
        }
        self.rest(&mut used)?;
        if let Err(why) = unused.move_to(self.old).and_then(|()| used.move_to(self.old)) {
            return Ok(Some(refused(why)));
        }
        self.rest(&mut unused)?;
        let by_old = findings(&self.alone(self.old)?);
        let diff = Diff::of(&by_old, &findings(&unused.finish()), diff::same);
        if diff.is_empty() {
            return Ok(None);
        }
        Ok(Some(format!(
            "{}: the way back loses state: the version before takes it back and finds something else (- without \
             the swaps, + after both):\n{diff}",
            self.place()
        )))
    }

    /// The old version has judged the events before the swap.
    fn before(&self) -> Result<Stream<'_>, Error> {
        let mut stream = Stream::new(self.old, self.case)?;
        stream.judge(self.case.events.get(..self.after).unwrap_or_default(), &Nulls::none())?;
        Ok(stream)
    }

    fn rest(&self, stream: &mut Stream<'_>) -> Result<(), Error> {
        match self.case.events.get(self.after..).unwrap_or_default() {
            [] => Ok(()),
            rest => stream.judge(rest, &Nulls::none()),
        }
    }

    /// One version on all events, in the same batches.
    fn alone(&self, plugin: &Plugin) -> Result<Outcome, Error> {
        let mut stream = Stream::new(plugin, self.case)?;
        stream.judge(self.case.events.get(..self.after).unwrap_or_default(), &Nulls::none())?;
        self.rest(&mut stream)?;
        Ok(stream.finish())
    }

    fn place(&self) -> String {
        let n_events = self.case.events.len();
        format!(
            "golden case {:?}, replaced after event {} of {n_events}",
            self.case.name, self.after
        )
    }
}

/// Where `mixed` is not between the findings of two versions. Versions may word an alert differently or count
/// differently, so alerts are matched by what identifies them; where both agree, the whole must be the same.
fn between(old: &[Value], new: &[Value], mixed: &[Value]) -> Diff {
    let by_id = |findings: &[Value]| -> BTreeMap<String, Value> {
        findings.iter().map(|finding| (id(finding), finding.clone())).collect()
    };
    let (old, new, mixed) = (by_id(old), by_id(new), by_id(mixed));
    let (mut missing, mut extra) = (Vec::new(), Vec::new());
    for (id, of_old) in &old {
        let Some(of_new) = new.get(id) else { continue };
        match mixed.get(id) {
            None => missing.push(of_new.clone()),
            Some(found) if diff::same(of_old, of_new) && !diff::same(of_new, found) => {
                missing.push(of_new.clone());
                extra.push(found.clone());
            }
            Some(_) => {}
        }
    }
    let is_unknown = |id: &String| !old.contains_key(id) && !new.contains_key(id);
    extra.extend(mixed.iter().filter(|(id, _)| is_unknown(id)).map(|(_, found)| found.clone()));
    Diff::of(&missing, &extra, diff::same)
}

/// What an alert is about, or which record a dead letter is.
fn id(finding: &Value) -> String {
    let of = |key| finding.get(key).cloned().unwrap_or_default();
    Value::from(["rule", "key", "window_start", OFFSET, "class"].map(of).to_vec()).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_swap_may_find_what_one_version_finds_and_must_find_what_both_do() {
        let alert =
            |rule: &str, count: u32| json!({"rule": rule, "window_start": 0, "count": count});
        let check =
            |old: &[Value], new: &[Value], mixed: &[Value]| between(old, new, mixed).to_string();
        let (a, b) = (alert("a", 1), alert("b", 1));
        let both = [a.clone(), b.clone()];
        assert_eq!(check(&both, &both, &both), "");
        assert!(check(&both, &both, &both[..1]).starts_with("  - {\"count\":1,\"rule\":\"b\""));
        // The new version has a rule more: the swap may come before or after it applies.
        assert_eq!(check(&both[..1], &both, &both[..1]), "");
        assert_eq!(check(&both[..1], &both, &both), "");
        assert!(check(&both[..1], &both[..1], &both).starts_with("  + "));
        // Both count alike, so the swap must.
        assert!(check(&both[..1], &both[..1], &[alert("a", 2)]).contains("differs in: count"));
        assert_eq!(check(&[alert("a", 3)], &both[..1], &[alert("a", 2)]), "");
    }

    fn plugin(config: &Value) -> Plugin {
        let component = crate::builtin::component("redact_pii").unwrap();
        let config = config.to_string();
        let source = PluginSource { config, ..PluginSource::new("redact_pii", component) };
        Plugin::load(&Engine::new().unwrap(), source).unwrap()
    }

    #[test]
    fn a_column_that_is_no_longer_replaced_and_one_that_is_newly_read_are_misfits() {
        let fields =
            |fields: Value| json!({"fields": fields, "free-text": [], "details-paths": {}});
        let both = plugin(&fields(json!({"user_email": "mask", "user_agent": "drop"})));
        let one = plugin(&fields(json!({"user_email": "mask"})));
        assert_eq!(misfits(&both, &both), [] as [String; 0]);
        let exposed = misfits(&both, &one);
        assert!(
            exposed[0].starts_with("it no longer replaces the column \"user_agent\""),
            "{exposed:?}"
        );
        let wider = misfits(&one, &both);
        assert!(wider[0].starts_with("it reads the column \"user_agent\""), "{wider:?}");
    }
}
