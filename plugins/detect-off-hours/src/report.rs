//! The alerts. They carry the user, counts, times and positions: no text of an event.

use audit_detect::{Outbreak, field, key_field};
use audit_plugin_sdk::Alert;

/// Valid accounts: <https://attack.mitre.org/techniques/T1078/>.
const ATTACK: &str = "T1078";

/// The name of the keys in alerts on evictions.
pub(crate) const EVICTED: &str = "users seen outside business hours";

/// The alert for a closed stretch in which a user was seen.
pub(crate) fn access(user: &[u8], outbreak: Outbreak, show_email: bool) -> Alert {
    let (n_events, n_urgent) = (outbreak.episode.n_events, outbreak.episode.n_urgent);
    let events = if n_events == 1 { "access" } else { "accesses" };
    let message = if n_urgent > 0 {
        format!(
            "{n_events} {events} to data outside business hours so far, {n_urgent} of them an export, a \
             download or a deletion; ask the user now whether that was planned, and if it was not, end \
             the session, keep what left and reset the account"
        )
    } else {
        format!(
            "{n_events} {events} to data outside business hours so far; ask the user or the manager \
             whether the work was planned, and see from where the session came"
        )
    };
    let labels = vec![field("attack", ATTACK), field("urgent-events", &n_urgent.to_string())];
    outbreak.alert(
        "off-hours-access",
        vec![key_field("user_id", user, show_email)],
        message,
        labels,
    )
}
