//! The alerts. They carry the user, counts, times and positions: no address.

use audit_detect::{Finding, field, key_field};
use audit_plugin_sdk::Alert;

use crate::config::Settings;

/// Valid accounts: <https://attack.mitre.org/techniques/T1078/>.
const ATTACK: &str = "T1078";
/// Web session cookie: <https://attack.mitre.org/techniques/T1550/004/>.
const ATTACK_ALSO: &str = "T1550.004";

/// Too many addresses.
pub(crate) fn spread(user: &[u8], finding: &Finding, settings: &Settings) -> Alert {
    let mut tags: Vec<u64> = finding.burst.kept.iter().map(|sighting| sighting.tag).collect();
    tags.sort_unstable();
    tags.dedup();
    let n_addresses = tags.len();
    let message = format!(
        "one user was active from {n_addresses} addresses within {}, more than {} allowed; ask the user which of \
         them are known, end the sessions from the others and reset the account, or stop its being shared",
        settings.window, settings.addresses
    );
    let labels = vec![
        field("attack", ATTACK),
        field("attack-also", ATTACK_ALSO),
        field("distinct-addresses", &n_addresses.to_string()),
    ];
    let key = vec![key_field("user_id", user, settings.show_email)];
    // The count is that of the addresses: of many events from one address only a few are kept.
    let alert = finding.alert("ip-spread", key, message, labels);
    Alert { count: n_addresses as u64, ..alert }
}
