//! Who acts: the pattern's five users, and more of their kind on request.

const SEED_NAMES: [&str; 5] = ["alice", "bob", "charlie", "diana", "eve"];

pub(crate) const FIRST_NAMES: [&str; 20] = [
    "amir", "anna", "ben", "chen", "clara", "dmitri", "elena", "farid", "grace", "hana", "ivan",
    "julia", "kofi", "lena", "marco", "nadia", "omar", "priya", "sofia", "tom",
];

pub(crate) const LAST_NAMES: [&str; 20] = [
    "abbott", "becker", "costa", "dubois", "evans", "fischer", "garcia", "haddad", "ivanova",
    "jensen", "kim", "larsen", "mueller", "novak", "okafor", "patel", "rossi", "singh", "tanaka",
    "wagner",
];

pub(crate) struct User {
    /// `user_id` and `user_email` as in the JSON of an event.
    pub(crate) fields: Vec<u8>,
    pub(crate) email: String,
    /// Whether an emitted event contains the address.
    pub(crate) emitted: bool,
}

/// The first `n` users.
pub(crate) fn users(n: u32) -> Vec<User> {
    (0..n as usize).map(user).collect()
}

fn user(idx: usize) -> User {
    let email = match SEED_NAMES.get(idx) {
        Some(name) => format!("{name}@company.com"),
        None => made_up_email(idx - SEED_NAMES.len()),
    };
    let fields =
        format!(r#""user_id": "user_{:03}", "user_email": "{email}", "#, idx + 1).into_bytes();
    User { fields, email, emitted: false }
}

/// Distinct for every `idx`: the names run through all pairs, then get a number.
fn made_up_email(idx: usize) -> String {
    let first = FIRST_NAMES[idx % FIRST_NAMES.len()];
    let last = LAST_NAMES[idx / FIRST_NAMES.len() % LAST_NAMES.len()];
    match idx / (FIRST_NAMES.len() * LAST_NAMES.len()) {
        0 => format!("{first}.{last}@company.com"),
        round => format!("{first}.{last}{}@company.com", round + 1),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_users_share_an_address() {
        let emails: BTreeSet<_> = users(10_000).into_iter().map(|user| user.email).collect();
        assert_eq!(emails.len(), 10_000);
    }
}
