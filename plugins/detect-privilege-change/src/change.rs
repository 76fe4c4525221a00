//! Changes of permissions and the actors who made them.

use audit_detect::{Event, EventColumns, is_one_of, key, stable_hash};
use audit_plugin_sdk::{Batch, Binding, Fault, Utf8Builder, Utf8Column};

use crate::config::{Settings, UnknownActors};
use crate::details;

/// The longest role in an alert.
const ROLE_BYTES_MAX: usize = 64;

/// A change of a permission that may be reported.
#[derive(Debug)]
pub(crate) struct Change<'a> {
    pub(crate) actor: &'a [u8],
    pub(crate) event: Event,
    pub(crate) is_grant: bool,
    /// A hash of `resource_id`.
    pub(crate) resource: Option<u64>,
    /// Whether the actor is its own grantee.
    pub(crate) is_self_grant: bool,
    /// The role of the actor at that time. `None` for an unknown actor.
    pub(crate) role: Option<String>,
}

/// The columns that the detector reads besides those of events.
struct Columns<'a> {
    action_type: &'a Utf8Column,
    action_result: &'a Utf8Column,
    user_id: &'a Utf8Column,
    user_email: &'a Utf8Column,
    resource_id: &'a Utf8Column,
    details: &'a Utf8Column,
}

const NAMES: [&str; 6] =
    ["action_type", "action_result", "user_id", "user_email", "resource_id", "details"];

/// Binds the columns.
pub(crate) fn bound(binding: Binding) -> Binding {
    let binding = NAMES.iter().fold(binding, |binding, name| binding.reading(name));
    EventColumns::bound(binding)
}

/// The changes of a batch that may be reported, and the number of those without an actor or a time.
pub(crate) fn of_batch<'a>(
    batch: &'a Batch,
    settings: &Settings,
) -> Result<(Vec<Change<'a>>, usize), Fault> {
    let columns = Columns {
        action_type: batch.utf8("action_type")?,
        action_result: batch.utf8("action_result")?,
        user_id: batch.utf8("user_id")?,
        user_email: batch.utf8("user_email")?,
        resource_id: batch.utf8("resource_id")?,
        details: batch.utf8("details")?,
    };
    let events = EventColumns::of(batch)?;
    let mut changes = Vec::new();
    let mut n_ignored = 0;
    for row in 0..batch.rows() {
        let Some(is_grant) = columns.is_grant(row, settings) else {
            continue;
        };
        let event = events.event(row, settings.max_future_micros);
        match (columns.user_id.get(row), event) {
            (Some(actor), Some(event)) => {
                changes.push(columns.change(row, actor, event, is_grant, settings));
            }
            _ => n_ignored += 1,
        }
    }
    if !changes.is_empty() {
        judge_roles(&mut changes, settings)?;
    }
    Ok((changes, n_ignored))
}

impl<'a> Columns<'a> {
    /// Whether a row grants (or else revokes). `None` if it does neither or did not succeed.
    fn is_grant(&self, row: usize, settings: &Settings) -> Option<bool> {
        let is_grant = is_one_of(self.action_type, row, &settings.grant_actions);
        if !is_grant && !is_one_of(self.action_type, row, &settings.revoke_actions) {
            return None;
        }
        is_one_of(self.action_result, row, &settings.results).then_some(is_grant)
    }

    fn change(
        &self,
        row: usize,
        actor: &'a [u8],
        event: Event,
        is_grant: bool,
        settings: &Settings,
    ) -> Change<'a> {
        let names = [actor, self.user_email.get(row).unwrap_or_default()];
        let details = self.details.get(row).unwrap_or_default();
        let is_self_grant =
            is_grant && details::names_actor(details, &settings.grantee_fields, &names);
        let resource = self.resource_id.get(row).map(stable_hash);
        Change { actor: key(actor), event, is_grant, resource, is_self_grant, role: None }
    }
}

/// Looks up the roles of all actors in one call, and keeps the changes that they do not allow.
fn judge_roles(changes: &mut Vec<Change<'_>>, settings: &Settings) -> Result<(), Fault> {
    let roles = roles_of(changes, settings, |event| event.time)?;
    let is_late =
        |event: &Event| event.received.saturating_sub(event.time) > settings.max_late_micros;
    // A backdated event picks the day, and with it a role that the actor has lost since. So a late event must
    // be allowed on both days.
    let later = if changes.iter().any(|change| is_late(&change.event)) {
        Some(roles_of(changes, settings, |event| event.received)?)
    } else {
        None
    };
    let mut row = 0;
    changes.retain_mut(|change| {
        let mut role = roles.get(row);
        if let Some(later) = later.as_ref().filter(|_| is_late(&change.event))
            && may_change(role, settings)
        {
            role = later.get(row);
        }
        row += 1;
        change.role = role.map(shown);
        change.is_self_grant || !may_change(role, settings)
    });
    Ok(())
}

/// The roles of the actors, each as of a time of its change.
fn roles_of(
    changes: &[Change<'_>],
    settings: &Settings,
    as_of: impl Fn(&Event) -> i64,
) -> Result<Utf8Column, Fault> {
    let mut actors = Utf8Builder::with_capacity(changes.len(), changes.len() * 8);
    let mut times = Vec::with_capacity(changes.len());
    for change in changes {
        actors.push(change.actor);
        times.push(as_of(&change.event));
    }
    Ok(settings.roles.find(&settings.role_column, &actors.finish(), Some(&times))?)
}

/// Whether a role, or one of several, may change permissions.
fn may_change(roles: Option<&[u8]>, settings: &Settings) -> bool {
    let Some(roles) = roles else {
        return settings.unknown_actors == UnknownActors::Ignore;
    };
    roles
        .split(|byte| matches!(byte, b',' | b';' | b'|'))
        .any(|role| settings.admin_roles.iter().any(|admin| admin == role.trim_ascii()))
}

fn shown(role: &[u8]) -> String {
    String::from_utf8_lossy(role).chars().take(ROLE_BYTES_MAX).collect()
}
