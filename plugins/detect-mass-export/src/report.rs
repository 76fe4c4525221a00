//! The alerts. They carry the user, counts, times and positions: of `details` only a sum.

use audit_detect::{Finding, field, key_field};
use audit_plugin_sdk::Alert;

use crate::config::Settings;

/// Exfiltration over a web service: <https://attack.mitre.org/techniques/T1567/>.
const ATTACK: &str = "T1567";
/// Data from cloud storage: <https://attack.mitre.org/techniques/T1530/>.
const ATTACK_ALSO: &str = "T1530";

/// Too many exports or rows.
pub(crate) fn exports(user: &[u8], finding: &Finding, settings: &Settings) -> Alert {
    let burst = &finding.burst;
    let (n_events, n_rows) = (burst.n_events, burst.weight);
    let message = format!(
        "one user made {n_events} exports of {n_rows} rows within {}; ask the user or the owner of the data \
         whether that was agreed, and if it was not, end the user's sessions and see where the data went",
        settings.window
    );
    let labels = vec![
        field("attack", ATTACK),
        field("attack-also", ATTACK_ALSO),
        field("rows", &n_rows.to_string()),
    ];
    let key = vec![key_field("user_id", user, settings.show_email)];
    finding.alert("mass-export", key, message, labels)
}
