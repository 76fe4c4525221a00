//! The alerts. They carry the actor, its role, counts, times and positions: no grantee, no text of an
//! event.

use audit_detect::{Outbreak, field, key_field};
use audit_plugin_sdk::Alert;

use crate::actor::Reason;
use crate::change::Change;
use crate::config::Settings;

/// Account manipulation, additional roles: <https://attack.mitre.org/techniques/T1098/003/>.
const ATTACK: &str = "T1098.003";

/// The name of the keys in alerts on evictions.
pub(crate) const EVICTED: &str = "actors who changed permissions without a role for it";

/// The alert for a run of changes, as of the change that tripped it.
pub(crate) fn changes(
    change: &Change<'_>,
    outbreak: Outbreak,
    reason: Reason,
    settings: &Settings,
) -> Alert {
    let (label, what) = match reason {
        Reason::NoAdmin if change.role.is_none() => (
            "unknown-actor",
            "a permission was changed by an actor who had no known role at that time; find out whose \
             account it is, take the change back if nobody ordered it, and see how the actor could"
                .to_owned(),
        ),
        Reason::NoAdmin => (
            "no-admin-role",
            "a permission was changed by an actor without an admin role at that time; take the change \
             back if nobody ordered it, and see how the actor could"
                .to_owned(),
        ),
        Reason::SelfGrant => (
            "self-grant",
            "an actor granted itself a permission; take it back unless somebody else ordered it, and \
             look at all that the account did since"
                .to_owned(),
        ),
        Reason::Lent => (
            "grant-and-revoke",
            format!(
                "an actor without an admin role granted a permission and revoked it within {}; look at \
                 what was done with it in between",
                settings.window
            ),
        ),
    };
    let n_events = outbreak.episode.n_events;
    let message = if n_events > 1 {
        format!("{what} ({n_events} such changes by this actor within {})", settings.window)
    } else {
        what
    };
    let mut labels = vec![field("attack", ATTACK), field("reason", label)];
    labels.extend(change.role.as_deref().map(|role| field("role", role)));
    let key = vec![key_field("user_id", change.actor, settings.show_email)];
    outbreak.alert("privilege-change", key, message, labels)
}
