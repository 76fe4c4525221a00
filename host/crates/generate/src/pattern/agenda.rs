//! When attacks happen, and what alerts they call for. The planner says what it would like to do and
//! when; the agenda sees that it fits into the stream, merges it with the background by event time,
//! and keeps the labels.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use crate::event::{Act, LOGIN, Pen};
use crate::label::{Label, Seen, Tracker};
use crate::random::{Dice as _, Draws, Stream};
use crate::time::Timeline;

use super::failed_logins::Bursts;

/// This part of the stream's rest is kept free of attack events, so that there is room for attacks
/// that begin later. They make up a hundredth of the stream.
const RESERVE: u64 = 32;

/// What a planner may use of the stream.
pub(crate) struct Room {
    /// The background event that comes next.
    background_idx: u64,
    pub(crate) timeline: Timeline,
    /// Events of the whole stream.
    pub(crate) count: u64,
    pub(crate) n_users: u32,
    /// Events that attacks have claimed so far.
    claimed: u64,
    /// The last event of the attacks claimed so far.
    last_claimed: i64,
}

impl Room {
    /// How late the last of `n_events` more may be. Attack events take places of the background, so
    /// the stream ends earlier with each; every one claimed before must still come up before the
    /// end. `None` if there is no room.
    pub(crate) fn latest(&self, n_events: usize) -> Option<i64> {
        let n_background = self.count.checked_sub(self.claimed + n_events as u64)?;
        let last_idx = n_background.checked_sub(1)?;
        if self.timeline.at(last_idx) < self.last_claimed {
            return None;
        }
        let n_left = last_idx.checked_sub(self.background_idx)?;
        Some(self.timeline.at(last_idx - n_left / RESERVE))
    }

    pub(crate) fn now(&self) -> i64 {
        self.timeline.at(self.background_idx)
    }
}

/// Events that belong together.
pub(crate) struct Campaign {
    pub(crate) ip: String,
    pub(crate) agent: &'static str,
    /// Users, by their index; each event is about one of them.
    pub(crate) targets: Vec<u32>,
    /// Event times in order, not empty.
    pub(crate) times: Vec<i64>,
    pub(crate) tracker: Tracker,
}

/// An event of an attack, due now.
pub(crate) struct Deed {
    pub(crate) at: i64,
    user: usize,
    ip: String,
    agent: &'static str,
}

/// All attacks of a stream.
pub(crate) struct Agenda {
    draws: Draws,
    /// Absent: no attacks.
    bursts: Option<Bursts>,
    room: Room,
    running: BTreeMap<u64, Running>,
    n_campaigns: u64,
    /// The next event of each running campaign, soonest first.
    due: BinaryHeap<Reverse<(i64, u64)>>,
    labels: Vec<Label>,
}

struct Running {
    campaign: Campaign,
    n_done: usize,
}

impl Agenda {
    pub(crate) fn new(
        seed: u64,
        count: u64,
        timeline: Timeline,
        n_users: u32,
        has_attacks: bool,
    ) -> Self {
        let mut draws = Draws::new(seed, Stream::Attacks);
        let bursts = has_attacks.then(|| Bursts::new(&mut draws));
        Self {
            draws,
            bursts,
            room: Room {
                background_idx: 0,
                timeline,
                count,
                n_users,
                claimed: 0,
                last_claimed: i64::MIN,
            },
            running: BTreeMap::new(),
            n_campaigns: 0,
            due: BinaryHeap::new(),
            labels: Vec::new(),
        }
    }

    /// Lets the planner act before the background event `background_idx`.
    pub(crate) fn plan(&mut self, background_idx: u64) {
        self.room.background_idx = background_idx;
        while let Some(bursts) = self.bursts.as_mut().filter(|it| it.wake() <= background_idx) {
            if let Some(campaign) = bursts.plan(&self.room, &mut self.draws) {
                self.begin(campaign);
            }
        }
    }

    fn begin(&mut self, campaign: Campaign) {
        let (Some(first), Some(last)) = (campaign.times.first(), campaign.times.last()) else {
            return;
        };
        self.room.claimed += campaign.times.len() as u64;
        self.room.last_claimed = self.room.last_claimed.max(*last);
        self.due.push(Reverse((*first, self.n_campaigns)));
        self.running.insert(self.n_campaigns, Running { campaign, n_done: 0 });
        self.n_campaigns += 1;
    }

    /// The soonest event that is not after `at`, which becomes the event `index` of the stream.
    pub(crate) fn deed_until(&mut self, at: i64, index: u64) -> Option<Deed> {
        let Reverse((due, id)) = *self.due.peek()?;
        if due > at {
            return None;
        }
        self.due.pop();
        let running = self.running.get_mut(&id)?;
        running.n_done += 1;
        let campaign = &mut running.campaign;
        let user = self.draws.pick(&campaign.targets);
        let seen = Seen { index, at: due, user, action: LOGIN, failed: true, place: 0, rows: 0 };
        campaign.tracker.see(seen, &mut self.labels);
        let deed =
            Deed { at: due, user: user as usize, ip: campaign.ip.clone(), agent: campaign.agent };
        match campaign.times.get(running.n_done) {
            Some(next) => self.due.push(Reverse((*next, id))),
            None => drop(self.running.remove(&id)),
        }
        Some(deed)
    }

    /// Writes the event. Its session is its own: a failed login of a stranger is not the user's.
    pub(crate) fn write(&mut self, deed: &Deed, pen: &mut Pen, out: &mut Vec<u8>) {
        let act = Act {
            at: deed.at,
            user: deed.user,
            action: LOGIN,
            failed: true,
            ip: &deed.ip,
            agent: deed.agent,
            session: self.draws.uuid(),
            rows: None,
            grantee: None,
        };
        pen.write(&act, &mut self.draws, out);
    }

    pub(crate) fn labels(&self) -> &[Label] {
        &self.labels
    }
}
