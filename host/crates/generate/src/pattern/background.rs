//! The pattern's own traffic: uniform users, actions and addresses, a few failures.

use crate::event::{Act, Action, IP_ADDRESSES, LOGIN, Pen, USER_AGENTS};
use crate::random::{Dice as _, Draws, Stream};
use crate::rules::{FAILURES_ALLOWED, WINDOW_US};

pub(crate) struct Background {
    draws: Draws,
    /// The latest session of each user. As in the pattern, a failed login begins one too.
    sessions: Vec<Option<[u8; 36]>>,
    cap: Option<FailureCap>,
}

impl Background {
    /// `capped`: no address may fail to log in more often than the rule allows.
    pub(crate) fn new(seed: u64, n_users: u32, capped: bool) -> Self {
        Self {
            draws: Draws::new(seed, Stream::Background),
            sessions: vec![None; n_users as usize],
            cap: capped.then(FailureCap::new),
        }
    }

    pub(crate) fn write(&mut self, at: i64, pen: &mut Pen, out: &mut Vec<u8>) {
        let draws = &mut self.draws;
        let user = draws.below(self.sessions.len() as u32) as usize;
        let action = Action::draw(draws);
        let ip_idx = draws.below(IP_ADDRESSES.len() as u32) as usize;
        let agent = draws.pick(&USER_AGENTS);
        let is_login = action == LOGIN;
        let mut failed = draws.below(100) < if is_login { 5 } else { 2 };
        if let (true, true, Some(cap)) = (failed, is_login, &mut self.cap) {
            failed = cap.admits(ip_idx, at);
        }
        let session = match self.sessions[user] {
            Some(session) if !is_login => session,
            _ => draws.uuid(),
        };
        if is_login {
            self.sessions[user] = Some(session);
        }
        let ip = IP_ADDRESSES[ip_idx];
        let act = Act { at, user, action, failed, ip, agent, session, rows: None, grantee: None };
        pen.write(&act, draws, out);
    }
}

/// With dense event times the pattern's 5 % of failed logins, spread over seven addresses, would
/// trip the rule by chance and the labels would be wrong. So the failure that would trip it becomes
/// a success.
struct FailureCap {
    /// The event times of the latest failures from each address, a ring; `next` is the oldest.
    latest: [[i64; FAILURES_ALLOWED]; IP_ADDRESSES.len()],
    next: [usize; IP_ADDRESSES.len()],
}

impl FailureCap {
    fn new() -> Self {
        Self {
            latest: [[i64::MIN; FAILURES_ALLOWED]; IP_ADDRESSES.len()],
            next: [0; IP_ADDRESSES.len()],
        }
    }

    /// Whether a failure may happen now; if so it is counted. Times must not go back.
    fn admits(&mut self, ip_idx: usize, at: i64) -> bool {
        let next = self.next[ip_idx];
        let oldest = &mut self.latest[ip_idx][next];
        if at.saturating_sub(*oldest) < WINDOW_US {
            return false;
        }
        *oldest = at;
        self.next[ip_idx] = (next + 1) % FAILURES_ALLOWED;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sixth_failure_waits_until_the_first_is_an_hour_old() {
        let mut cap = FailureCap::new();
        for at in 0..5 {
            assert!(cap.admits(0, at));
        }
        assert!(!cap.admits(0, WINDOW_US - 1));
        assert!(cap.admits(0, WINDOW_US));
        assert!(!cap.admits(0, WINDOW_US));
        assert!(cap.admits(1, WINDOW_US));
    }
}
