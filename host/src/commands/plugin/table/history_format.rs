//! The history of plugins: what of it a command needs, and how it is printed.

use std::collections::BTreeMap;
use std::sync::Arc;

use audit_core::{ChangeKind, PluginChange, PluginId, TopicPartition};
use audit_sink::PastChange;
use jiff::Timestamp;

use crate::commands::columns::clean;
use crate::commands::plugin::error::Error;

/// Digits of a digest that are printed. `--to` accepts them.
const DIGITS_SHOWN: usize = 12;
/// Fewer digits would match by accident.
const DIGITS_MIN: usize = 4;
/// Partitions that are listed in a line of text; the JSON has all.
const PARTITIONS_SHOWN: usize = 4;

/// Changes of the chain itself: shadows and breakers leave the component in its place.
pub(super) fn judging(history: &[PastChange]) -> impl DoubleEndedIterator<Item = &PluginChange> {
    let kinds = [ChangeKind::Added, ChangeKind::Replaced, ChangeKind::Removed];
    history.iter().map(|past| &past.change).filter(move |change| kinds.contains(&change.kind))
}

/// The components that judged under one name, oldest first; the last one runs now.
pub(super) fn ran<'a>(
    history: &'a [PastChange],
    current: Option<&'a PluginId>,
) -> Vec<&'a PluginId> {
    let ids = judging(history).flat_map(|change| [&change.before, &change.after]);
    let mut ran: Vec<&PluginId> = Vec::new();
    for id in ids.flatten().chain(current) {
        if ran.last() != Some(&id) {
            ran.push(id);
        }
    }
    ran
}

/// The component whose digest begins as given, with its latest configuration.
pub(super) fn pick<'a>(
    plugin: &str,
    candidates: &[&'a PluginId],
    given: &str,
) -> Result<&'a PluginId, Error> {
    let prefix = given.to_ascii_lowercase();
    let is_hex = prefix.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_hex || !(DIGITS_MIN..=64).contains(&prefix.len()) {
        return Err(Error::NoDigest { given: given.to_owned() });
    }
    let found: Vec<_> =
        candidates.iter().copied().filter(|id| id.sha256.starts_with(&prefix)).collect();
    let (plugin, given) = (plugin.to_owned(), given.to_owned());
    let Some(last) = found.last() else {
        return Err(Error::UnknownDigest { plugin, given, known: known(candidates) });
    };
    if found.iter().any(|id| id.sha256 != last.sha256) {
        return Err(Error::Ambiguous { plugin, given, known: known(&found) });
    }
    Ok(last)
}

/// Components by version and digest, each once.
pub(super) fn known(ids: &[&PluginId]) -> String {
    let mut named: Vec<String> = Vec::new();
    for id in ids {
        let name = format!("{} ({})", id.sha256, clean(&id.version));
        if !named.contains(&name) {
            named.push(name);
        }
    }
    if named.is_empty() { "none".to_owned() } else { named.join(", ") }
}

/// For people: `version 0.2.0, 3f2a9c1b04de`.
pub(super) fn shown(id: &PluginId) -> String {
    format!("version {}, {}", clean(&id.version), short(&id.sha256))
}

pub(super) fn short(digest: &str) -> String {
    clean(digest).chars().take(DIGITS_SHOWN).collect()
}

pub(super) fn time(micros: i64) -> String {
    let time = Timestamp::from_microsecond(micros);
    time.map_or_else(|_| micros.to_string(), |time| format!("{time:.0}"))
}

/// `topic[0]@12`, of the first partitions.
pub(super) fn places(from: &BTreeMap<TopicPartition, i64>) -> String {
    let first = from.iter().take(PARTITIONS_SHOWN);
    let mut places: Vec<_> = first.map(|(at, offset)| clean(&format!("{at}@{offset}"))).collect();
    if from.len() > PARTITIONS_SHOWN {
        places.push(format!("and {} more", from.len() - PARTITIONS_SHOWN));
    }
    if places.is_empty() { "-".to_owned() } else { places.join(" ") }
}

/// `{topic: {partition: offset}}`, as the table has it.
pub(super) fn places_json(from: &BTreeMap<TopicPartition, i64>) -> serde_json::Value {
    let mut topics: BTreeMap<Arc<str>, BTreeMap<i32, i64>> = BTreeMap::new();
    for (at, offset) in from {
        topics.entry(Arc::clone(&at.topic)).or_default().insert(at.partition, *offset);
    }
    serde_json::json!(topics)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A component whose digest is one digit, 64 times.
    pub(in super::super) fn id(digit: char, config: &str) -> PluginId {
        PluginId {
            name: "p".to_owned(),
            version: format!("0.{digit}.0"),
            sha256: digit.to_string().repeat(64),
            config_sha256: config.to_owned(),
        }
    }

    pub(in super::super) fn past(
        kind: ChangeKind,
        before: Option<&PluginId>,
        after: Option<&PluginId>,
    ) -> PastChange {
        let change = PluginChange {
            kind,
            plugin: "p".to_owned(),
            source: "/plugins/p.wasm".to_owned(),
            at: 0,
            before: before.cloned(),
            after: after.cloned(),
            from: BTreeMap::new(),
            reason: String::new(),
        };
        PastChange { change, written_at: None, commit: None }
    }

    #[test]
    fn a_digest_is_found_by_its_prefix() {
        let mut near = id('a', "c");
        near.sha256 = format!("{}b", "a".repeat(63));
        let (a, b) = (id('a', "c"), id('b', "c"));
        let all = [&a, &b, &near];
        assert_eq!(pick("p", &all, "bbbb").unwrap(), &b);
        assert_eq!(pick("p", &all, &"B".repeat(64)).unwrap(), &b);
        for (given, says) in [
            ("bbb", "at least 4"),
            ("zzzz", "not a SHA-256"),
            (&"b".repeat(65), "not a SHA-256"),
            ("cccc", "begins with cccc"),
            ("aaaa", "several"),
        ] {
            let refused = pick("p", &all, given).unwrap_err().to_string();
            assert!(refused.contains(says), "{refused}");
        }
    }
}
