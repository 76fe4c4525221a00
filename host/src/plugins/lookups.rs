//! Takes changed tables and calendars between two batches.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::anyhow;
use audit_core::{LookupChange, LookupChangeKind};
use audit_lookup::{Changed, Definitions, Lookups, Refused, Set};
use jiff::Timestamp;

use super::reload::Reloader;
use super::watch::Cause;
use crate::config::Error;

/// Loads what is defined, for a start: whatever is wrong ends it.
pub(crate) fn load_lookups(definitions: &Definitions) -> Result<Lookups, Error> {
    let set = Set::load(definitions)?;
    for (name, sha256) in set.versions() {
        let rows = set.table(&name).map(audit_lookup::Table::n_rows);
        tracing::info!(lookup = name, sha256, rows, "loaded a lookup");
    }
    Ok(Lookups::new(set))
}

impl Reloader {
    /// Reads the files that changed. One that cannot be taken leaves its table as it was, and says why in
    /// the log, as an alert and in the table.
    pub(super) fn look_at_lookups(&mut self, cause: Cause) {
        let current = self.lookups.current();
        // Whoever sends a signal may know of a change that the file's time does not show.
        let reloaded = current.reload(&self.wanted.lookups, cause == Cause::Hangup);
        let tried: Vec<&str> =
            reloaded.refused.iter().map(|refused| refused.name.as_str()).collect();
        // What was refused and is no more is news again the next time.
        self.refused
            .retain(|tag, _| tag.strip_prefix(TAG).is_none_or(|name| tried.contains(&name)));
        for refused in reloaded.refused {
            self.refuse_lookup(refused);
        }
        let Some(set) = reloaded.set else { return };
        let changed = reloaded.changed;
        let records = changed.iter().map(|one| replaced(one, cause)).collect();
        if let Some(Ok(done)) = self.control.take_lookups(set, records) {
            let pause_us = done.pause.as_micros() as u64;
            for Changed { name, file, after, .. } in changed {
                let source = file.display().to_string();
                let sha256 = after;
                tracing::info!(lookup = name, source, sha256, pause_us, "took a lookup");
            }
        }
    }

    fn refuse_lookup(&mut self, refused: Refused) {
        let Refused { name, file, error } = refused;
        let tag = format!("{TAG}{name}");
        let reason = format!("{:#}", anyhow!(error)).lines().collect::<Vec<_>>().join("; ");
        let known = self.refused.insert(tag, reason.clone());
        if known.as_deref() == Some(reason.as_str()) {
            return;
        }
        let source = file.display().to_string();
        tracing::error!(
            lookup = name,
            source,
            reason,
            "a lookup was not taken, plugins go on with what it was"
        );
        let before = self.lookups.current().versions().get(&name).cloned();
        let mut change = change(LookupChangeKind::Refused, &name, &file, reason);
        change.before = before;
        if let Some(Err(error)) = self.control.note(change.into()) {
            tracing::warn!(%error, "the refusal was not recorded");
        }
    }
}

/// What stands before a lookup's name among what was refused: plugins are there by their files.
const TAG: &str = "lookup ";

fn replaced(changed: &Changed, cause: Cause) -> LookupChange {
    let Changed { name, file, before, after } = changed;
    let mut change = change(LookupChangeKind::Replaced, name, file, cause.as_str().to_owned());
    change.before.clone_from(before);
    change.after = Some(after.clone());
    change
}

fn change(kind: LookupChangeKind, name: &str, file: &Path, reason: String) -> LookupChange {
    LookupChange {
        kind,
        lookup: name.to_owned(),
        source: file.display().to_string(),
        at: Timestamp::now().as_microsecond(),
        before: None,
        after: None,
        from: BTreeMap::new(),
        reason,
    }
}
