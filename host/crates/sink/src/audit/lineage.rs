//! Which plugins judged a row: the chain when its epoch began, and the changes since.

use audit_core::{Change, ChangeKind, PluginChange, PluginId, TopicPartition};
use iceberg::spec::SnapshotRef;
use iceberg::table::Table;
use serde::de::DeserializeOwned;

use crate::error::Error;
use crate::table::names;

/// The chain that judged the row at an offset: `plugins` is the chain when the row's epoch began, `changes` are
/// those of the epoch, in order. A change holds from the offset that it names for the row's partition; if it
/// names none, the partition had not been read yet, and the change holds for all of it.
///
/// Shadows and rejected candidates have no effect on stored rows. A plugin whose breaker is open stays in the
/// chain: the changes of the kinds `breaker-opened` and `breaker-closed` say which rows it was not called for.
pub fn plugins_of_row(
    plugins: &[PluginId],
    changes: &[Change],
    partition: &TopicPartition,
    offset: i64,
) -> Vec<PluginId> {
    let holds = |change: &&Change| change.from().get(partition).is_none_or(|at| *at <= offset);
    after(plugins, changes.iter().filter(holds))
}

/// The chain after all these changes.
pub(crate) fn after<'a>(
    plugins: &[PluginId],
    changes: impl IntoIterator<Item = &'a Change>,
) -> Vec<PluginId> {
    let mut chain = plugins.to_vec();
    for change in changes.into_iter().filter_map(Change::as_plugin) {
        apply(&mut chain, change);
    }
    chain
}

/// Applies a change by name, so that a change that the chain already contains has no effect: a plugin that was
/// replaced between two runs is recorded by the second, whose chain begins with it.
fn apply(chain: &mut Vec<PluginId>, change: &PluginChange) {
    let place_of = |chain: &[PluginId], id: &Option<PluginId>| {
        let name = &id.as_ref()?.name;
        chain.iter().position(|plugin| plugin.name == *name)
    };
    match change.kind {
        ChangeKind::Added | ChangeKind::Replaced => {
            let Some(after) = &change.after else { return };
            match place_of(chain, &change.before).or_else(|| place_of(chain, &change.after)) {
                Some(place) => chain[place] = after.clone(),
                None => chain.push(after.clone()),
            }
        }
        ChangeKind::Removed => {
            if let Some(place) = place_of(chain, &change.before) {
                chain.remove(place);
            }
        }
        ChangeKind::Refused
        | ChangeKind::ShadowStarted
        | ChangeKind::ShadowEnded
        | ChangeKind::BreakerOpened
        | ChangeKind::BreakerClosed
        | ChangeKind::StateLost
        | ChangeKind::UnredactedAllowed => {}
    }
}

/// The group's chain as recorded in the table: from the property; if that is absent, from the newest snapshot of
/// the group.
pub(crate) fn chain_in(table: &Table, group: &str) -> Result<Option<Vec<PluginId>>, Error> {
    let metadata = table.metadata();
    let property = names::plugins_property(group);
    if let Some(json) = metadata.properties().get(&property) {
        return parse("the table property", &property, json).map(Some);
    }
    let newest = metadata
        .snapshots()
        .filter(|snapshot| {
            let summary = &snapshot.summary().additional_properties;
            summary.get(names::SUMMARY_GROUP).is_some_and(|of| of == group)
                && summary.contains_key(names::SUMMARY_PLUGINS)
        })
        .max_by_key(|snapshot| snapshot.sequence_number());
    let Some(newest) = newest else { return Ok(None) };
    let plugins: Vec<PluginId> = in_summary(newest, names::SUMMARY_PLUGINS)?;
    Ok(Some(after(&plugins, &changes_in(newest)?)))
}

/// The changes in a snapshot's summary; most have none.
pub(crate) fn changes_in(snapshot: &SnapshotRef) -> Result<Vec<Change>, Error> {
    in_summary(snapshot, names::SUMMARY_PLUGIN_CHANGES)
}

fn in_summary<T: DeserializeOwned + Default>(
    snapshot: &SnapshotRef,
    key: &str,
) -> Result<T, Error> {
    match snapshot.summary().additional_properties.get(key) {
        Some(json) => {
            let place = format!("{} ({key})", snapshot.snapshot_id());
            parse("the summary of a snapshot", &place, json)
        }
        None => Ok(T::default()),
    }
}

fn parse<T: DeserializeOwned>(what: &'static str, place: &str, json: &str) -> Result<T, Error> {
    serde_json::from_str(json).map_err(|cause| Error::Damaged {
        what,
        location: place.to_owned(),
        problem: cause.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::*;

    fn id(name: &str, sha256: &str) -> PluginId {
        PluginId {
            name: name.to_owned(),
            version: "1".to_owned(),
            sha256: sha256.to_owned(),
            config_sha256: "c".to_owned(),
        }
    }

    fn change(
        kind: ChangeKind,
        before: Option<PluginId>,
        after: Option<PluginId>,
        from: &[(i32, i64)],
    ) -> Change {
        let from = from.iter().map(|(partition, offset)| (at(*partition), *offset));
        Change::Plugin(PluginChange {
            kind,
            plugin: "p".to_owned(),
            source: "p.wasm".to_owned(),
            at: 0,
            before,
            after,
            from: from.collect::<BTreeMap<_, _>>(),
            reason: String::new(),
        })
    }

    fn at(partition: i32) -> TopicPartition {
        TopicPartition::new(&Arc::from("t"), partition)
    }

    #[test]
    fn a_row_is_judged_by_what_stood_in_the_chain_at_its_offset() {
        let (p1, p2, q, r) = (id("p", "1"), id("p", "2"), id("q", "1"), id("r", "1"));
        let changes = [
            change(ChangeKind::Replaced, Some(p1.clone()), Some(p2.clone()), &[(0, 10), (1, 5)]),
            change(ChangeKind::Added, None, Some(r.clone()), &[(0, 20), (1, 5)]),
            change(ChangeKind::Refused, Some(q.clone()), Some(id("q", "9")), &[(0, 0)]),
            change(ChangeKind::ShadowStarted, Some(q.clone()), Some(id("q", "8")), &[(0, 0)]),
            change(ChangeKind::BreakerOpened, Some(q.clone()), Some(q.clone()), &[(0, 0)]),
            change(ChangeKind::Removed, Some(q.clone()), None, &[(0, 30), (1, 6), (2, 7)]),
        ];
        let began = [p1.clone(), q.clone()];
        for (partition, offset, expect) in [
            (0, 9, vec![&p1, &q]),
            (0, 10, vec![&p2, &q]),
            (0, 19, vec![&p2, &q]),
            (0, 20, vec![&p2, &q, &r]),
            (0, 30, vec![&p2, &r]),
            (1, 4, vec![&p1, &q]),
            (1, 5, vec![&p2, &q, &r]),
            // Not read yet when the first two changes were made.
            (2, 0, vec![&p2, &q, &r]),
            (3, 0, vec![&p2, &r]),
        ] {
            let found = plugins_of_row(&began, &changes, &at(partition), offset);
            assert_eq!(found.iter().collect::<Vec<_>>(), expect, "{partition}[{offset}]");
        }
    }

    #[test]
    fn a_change_that_the_chain_already_contains_has_no_effect() {
        let (old, new, other) = (id("p", "1"), id("p", "2"), id("q", "1"));
        let chain = [new.clone(), other.clone()];
        let changes = [
            change(ChangeKind::Replaced, Some(old.clone()), Some(new.clone()), &[]),
            change(ChangeKind::Added, None, Some(other), &[]),
            change(ChangeKind::Removed, Some(id("gone", "1")), None, &[]),
        ];
        assert_eq!(after(&chain, &changes), chain);
        // A component that calls itself otherwise takes the place of the one before.
        let renamed = id("p-ng", "3");
        let change = change(ChangeKind::Replaced, Some(new), Some(renamed.clone()), &[]);
        assert_eq!(after(&chain, &[change])[0], renamed);
    }
}
