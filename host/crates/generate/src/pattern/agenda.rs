//! When attacks happen, and which alerts they must raise. A planner proposes an attack and its time. The
//! agenda makes it fit into the stream, merges it with the background by event time, and keeps the labels.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use crate::event::{Act, LOGIN, Pen};
use crate::label::{Label, Seen};
use crate::random::{Dice as _, Draws, Stream};
use crate::time::Timeline;

use super::campaign::{Campaign, Room};
use super::failed_logins::Bursts;

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
