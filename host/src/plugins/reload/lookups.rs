//! Reloads tables and calendars between two batches.

use std::collections::BTreeMap;
use std::path::Path;

use audit_core::{LookupChange, LookupChangeKind};
use audit_lookup::{Changed, Refused};
use jiff::Timestamp;

use super::Reloader;
use crate::exit;
use crate::plugins::watch::Cause;

impl Reloader {
    /// Reads the files that changed. One that is rejected leaves its table as it was; the reason goes to the
    /// log, to an alert and to the audit table.
    pub(super) fn reload_lookups(&mut self, cause: Cause) {
        let current = self.lookups.current();
        // A person who sends a signal may know of a change that the file's time does not show.
        let reloaded = current.reload(&self.wanted.lookups, cause == Cause::Hangup);
        let tried: Vec<&str> =
            reloaded.refused.iter().map(|refused| refused.name.as_str()).collect();
        // What was rejected and is fine now is reported again the next time.
        self.known
            .rejected
            .retain(|tag, _| tag.strip_prefix(TAG).is_none_or(|name| tried.contains(&name)));
        for refused in reloaded.refused {
            self.reject_lookup(refused);
        }
        let Some(set) = reloaded.set else { return };
        let changed = reloaded.changed;
        let records = changed.iter().map(|one| replaced(one, cause)).collect();
        if let Some(Ok(done)) = self.ask(|control| control.take_lookups(set, records)) {
            let pause_us = done.pause.as_micros() as u64;
            for Changed { name, file, after, .. } in changed {
                let source = file.display().to_string();
                let sha256 = after;
                tracing::info!(lookup = name, source, sha256, pause_us, "lookup reloaded");
            }
        }
    }

    fn reject_lookup(&mut self, refused: Refused) {
        let Refused { name, file, error } = refused;
        let tag = format!("{TAG}{name}");
        let reason = exit::line(&error);
        let known = self.known.rejected.insert(tag, reason.clone());
        if known.as_deref() == Some(reason.as_str()) {
            return;
        }
        let source = file.display().to_string();
        tracing::error!(
            lookup = name,
            source,
            reason,
            "lookup reload rejected; keeping the loaded version"
        );
        let before = self.lookups.current().versions().get(&name).cloned();
        let mut change = change(LookupChangeKind::Refused, &name, &file, reason);
        change.before = before;
        if let Some(Err(error)) = self.ask(|control| control.note(change.into())) {
            tracing::warn!(%error, "could not record the rejection");
        }
    }
}

/// The prefix of a lookup's name among what was rejected; plugins are there by their files.
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
