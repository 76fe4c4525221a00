//! The form of an event: the pattern's vocabulary, as JSON in the format of Python's `json.dumps`. Bytes are
//! written directly: at a million events per second a serializer would be too slow.

use std::collections::BTreeMap;

use crate::pii::{Customers, PiiKind};
use crate::random::Dice;
use crate::time::Calendar;
use crate::users::{User, users};

pub(crate) const IP_ADDRESSES: [&str; 7] = [
    "192.168.1.10",
    "192.168.1.11",
    "192.168.1.12",
    "10.0.0.50",
    "10.0.0.51",
    "203.0.113.45",
    "203.0.113.46",
];

pub(crate) const USER_AGENTS: [&str; 4] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/120.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Safari/17.0",
    "API Client/1.0",
    "Python/3.9 requests/2.28.0",
];

const ACTIONS: [(&str, Resource, Details); 14] = [
    ("user_login", Resource::Any, Details::Plain),
    ("user_logout", Resource::Any, Details::Plain),
    ("data_read", Resource::Table, Details::Plain),
    ("data_write", Resource::Table, Details::Plain),
    ("data_delete", Resource::Table, Details::Plain),
    ("data_export", Resource::File, Details::Export),
    ("data_download", Resource::File, Details::Plain),
    ("permission_grant", Resource::Role, Details::Grant),
    ("permission_revoke", Resource::Role, Details::Plain),
    ("query_execute", Resource::Table, Details::Query),
    ("report_generate", Resource::Any, Details::Plain),
    ("config_update", Resource::Any, Details::Plain),
    ("user_create", Resource::Any, Details::Plain),
    ("user_delete", Resource::Any, Details::Plain),
];

const RESOURCE_TYPES: [&str; 7] =
    ["database", "table", "file", "report", "user", "role", "system_config"];
const ROLES: [&str; 3] = ["analyst", "admin", "viewer"];

#[derive(Clone, Copy)]
enum Resource {
    Table,
    File,
    Role,
    Any,
}

#[derive(Clone, Copy)]
enum Details {
    Query,
    Export,
    Grant,
    Plain,
}

/// An action, by its index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Action(u8);

pub(crate) const LOGIN: Action = Action(0);
pub(crate) const LOGOUT: Action = Action(1);
pub(crate) const READ: Action = Action(2);
pub(crate) const WRITE: Action = Action(3);
pub(crate) const DELETE: Action = Action(4);
pub(crate) const EXPORT: Action = Action(5);
pub(crate) const DOWNLOAD: Action = Action(6);
pub(crate) const GRANT: Action = Action(7);
pub(crate) const REVOKE: Action = Action(8);
pub(crate) const QUERY: Action = Action(9);
pub(crate) const REPORT: Action = Action(10);
pub(crate) const CONFIG: Action = Action(11);
pub(crate) const USER_CREATE: Action = Action(12);
pub(crate) const USER_DELETE: Action = Action(13);

pub(crate) const N_ACTIONS: usize = ACTIONS.len();

impl Action {
    pub(crate) fn name(self) -> &'static str {
        ACTIONS[self.index()].0
    }

    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }

    pub(crate) fn draw(draws: &mut impl Dice) -> Self {
        Self(draws.below(ACTIONS.len() as u32) as u8)
    }
}

/// An event without the parts that follow from its action.
pub(crate) struct Act<'a> {
    pub(crate) at: i64,
    pub(crate) user: usize,
    pub(crate) action: Action,
    pub(crate) failed: bool,
    pub(crate) ip: &'a str,
    pub(crate) agent: &'a str,
    pub(crate) session: [u8; 36],
    /// The rows of an export; random if absent.
    pub(crate) rows: Option<u32>,
    /// The grantee of a grant; random if absent.
    pub(crate) grantee: Option<usize>,
}

/// Writes events and records whose data they contain.
pub(crate) struct Pen {
    calendar: Calendar,
    users: Vec<User>,
    customers: Option<Customers>,
}

impl Pen {
    pub(crate) fn new(seed: u64, n_users: usize, pii: bool) -> Self {
        let n_users = u32::try_from(n_users).unwrap_or(u32::MAX).max(1);
        Self {
            calendar: Calendar::new(),
            users: users(n_users),
            customers: pii.then(|| Customers::new(seed)),
        }
    }

    pub(crate) fn n_users(&self) -> u32 {
        self.users.len() as u32
    }

    /// Appends the event. What `act` leaves open is random, from `draws`.
    pub(crate) fn write(&mut self, act: &Act, draws: &mut impl Dice, out: &mut Vec<u8>) {
        let (name, resource, details) = ACTIONS[act.action.index()];
        out.extend_from_slice(br#"{"audit_id": ""#);
        out.extend_from_slice(&draws.uuid());
        out.extend_from_slice(br#"", "event_timestamp": ""#);
        out.extend_from_slice(&self.calendar.text(act.at));
        out.extend_from_slice(br#"", "#);
        let user = &mut self.users[act.user];
        user.emitted = true;
        out.extend_from_slice(&user.fields);
        out.extend_from_slice(br#""action_type": ""#);
        text(out, name);
        self.resource(resource, act.at, draws, out);
        out.extend_from_slice(if act.failed {
            br#"", "action_result": "failure", "ip_address": ""#
        } else {
            br#"", "action_result": "success", "ip_address": ""#
        });
        text(out, act.ip);
        out.extend_from_slice(br#"", "user_agent": ""#);
        text(out, act.agent);
        out.extend_from_slice(br#"", "session_id": ""#);
        out.extend_from_slice(&act.session);
        out.extend_from_slice(br#"", "details": "{"#);
        self.details(details, name, act, draws, out);
        out.extend_from_slice(br#"}"}"#);
    }

    fn resource(&mut self, resource: Resource, at: i64, draws: &mut impl Dice, out: &mut Vec<u8>) {
        const ID: &[u8] = br#"", "resource_id": ""#;
        const NAME: &[u8] = br#"", "resource_name": ""#;
        out.extend_from_slice(br#"", "resource_type": ""#);
        match resource {
            Resource::Table => {
                text(out, draws.pick(&["database", "table"]));
                out.extend_from_slice(br#"", "resource_id": "db_"#);
                decimal(out, draws.between(1, 10));
                text(out, ".table_");
                decimal(out, draws.between(1, 50));
                out.extend_from_slice(br#"", "resource_name": "customer_data.transactions"#);
            }
            Resource::File => {
                out.extend_from_slice(br#"file", "resource_id": "file_"#);
                decimal(out, draws.between(1000, 9999));
                // The pattern takes the day of the wall clock here; there is none in this crate.
                out.extend_from_slice(br#"", "resource_name": "export_"#);
                out.extend_from_slice(&self.calendar.compact_date(at));
                text(out, ".csv");
            }
            Resource::Role => {
                let role = draws.pick(&ROLES);
                text(out, "role");
                for label in [ID, NAME] {
                    out.extend_from_slice(label);
                    text(out, "role_");
                    text(out, role);
                }
            }
            Resource::Any => {
                let kind = draws.pick(&RESOURCE_TYPES);
                let number = draws.between(1, 100);
                text(out, kind);
                for label in [ID, NAME] {
                    out.extend_from_slice(label);
                    text(out, kind);
                    out.push(b'_');
                    decimal(out, number);
                }
            }
        }
    }

    /// The inside of the object in `details`: JSON within a JSON string, hence the escaped quotes.
    fn details(
        &mut self,
        details: Details,
        name: &str,
        act: &Act,
        draws: &mut impl Dice,
        out: &mut Vec<u8>,
    ) {
        match details {
            Details::Query => {
                out.extend_from_slice(br#"\"query\": \""#);
                let is_written =
                    self.customers.as_mut().is_some_and(|customers| customers.query(out));
                if !is_written {
                    text(out, "SELECT * FROM customer_data.transactions WHERE amount > 1000");
                }
                out.extend_from_slice(br#"\", \"rows_returned\": "#);
                decimal(out, draws.between(10, 10_000));
                return;
            }
            Details::Export => {
                out.extend_from_slice(br#"\"format\": \"CSV\", \"rows_exported\": "#);
                decimal(out, act.rows.unwrap_or_else(|| draws.between(100, 50_000)));
                out.extend_from_slice(br#", \"file_size_mb\": "#);
                hundredths(out, draws.between(100, 50_000));
            }
            Details::Grant => {
                let n_users = self.users.len() as u32;
                let user = act.grantee.unwrap_or_else(|| draws.below(n_users) as usize);
                let user = &mut self.users[user];
                user.emitted = true;
                out.extend_from_slice(br#"\"permission\": \"READ\", \"granted_to\": \""#);
                text(out, &user.email);
                out.extend_from_slice(br#"\""#);
            }
            Details::Plain => {
                out.extend_from_slice(br#"\"action\": \""#);
                text(out, name);
                out.extend_from_slice(br#"\""#);
            }
        }
        if let Some(customers) = &mut self.customers {
            customers.remark(out);
        }
    }

    /// Draws the data of customers from now on from this number.
    pub(crate) fn turn_to(&mut self, nonce: u64) {
        if let Some(customers) = &mut self.customers {
            customers.turn_to(nonce);
        }
    }

    pub(crate) fn pii_values(&self) -> BTreeMap<String, PiiKind> {
        let users = self.users.iter().filter(|user| user.emitted);
        let mut values: BTreeMap<_, _> =
            users.map(|user| (user.email.clone(), PiiKind::Email)).collect();
        if let Some(customers) = &self.customers {
            values.extend(customers.emitted());
        }
        values
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

fn decimal(out: &mut Vec<u8>, mut n: u32) {
    let mut digits = [0; 10];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (n % 10) as u8;
        n /= 10;
        if n == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// `n` hundredths as Python writes a float rounded to two places: at least one, no needless zero.
fn hundredths(out: &mut Vec<u8>, n: u32) {
    decimal(out, n / 100);
    out.push(b'.');
    decimal(out, n / 10 % 10);
    if !n.is_multiple_of(10) {
        decimal(out, n % 10);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(n: u32, expect: &str) {
        let mut out = Vec::new();
        hundredths(&mut out, n);
        assert_eq!(out, expect.as_bytes());
    }

    #[test]
    fn rounded_floats_look_as_in_python() {
        check(100, "1.0");
        check(1250, "12.5");
        check(1205, "12.05");
        check(50_000, "500.0");
    }
}
