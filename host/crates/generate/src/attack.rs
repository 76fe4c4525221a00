//! When attacks happen, and what alerts they call for. A planner per kind of attack says what it
//! would like to do and when; the agenda sees that it fits into the stream, merges it with the
//! background by event time, and keeps the labels.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::event::{Act, LOGIN, Pen};
use crate::failed_logins;
use crate::random::{Draws, Stream};
use crate::time::Timeline;

/// What can be mixed into the background.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attack {
    /// Bursts of failed logins from one address, and near misses that must not alert.
    FailedLogins,
}

impl Attack {
    pub const ALL: [Self; 1] = [Self::FailedLogins];

    pub fn name(self) -> &'static str {
        match self {
            Self::FailedLogins => "failed-logins",
        }
    }

    fn planner(self, draws: &mut Draws) -> Box<dyn Planner + Send> {
        match self {
            Self::FailedLogins => Box::new(failed_logins::Bursts::new(draws)),
        }
    }
}

impl fmt::Display for Attack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Attack {
    type Err = UnknownAttack;

    fn from_str(name: &str) -> Result<Self, UnknownAttack> {
        Self::ALL
            .into_iter()
            .find(|attack| attack.name() == name)
            .ok_or_else(|| UnknownAttack { name: name.to_owned() })
    }
}

/// A name that is no [`Attack`]'s.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownAttack {
    pub name: String,
}

impl fmt::Display for UnknownAttack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = Attack::ALL.map(Attack::name).join(", ");
        write!(f, "unknown attack `{}`, known are: {known}", self.name)
    }
}

impl std::error::Error for UnknownAttack {}

/// An alert that the events call for: exactly one, of this rule about this key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// The name of the [`Attack`].
    pub rule: String,
    /// Who attacks: for `failed-logins` the address.
    pub key: String,
    /// Event times in microseconds since 1970 in UTC. The window starts with the first event.
    pub window_start: i64,
    pub first_event: i64,
    pub last_event: i64,
    /// Events of the attack, those after the rule tripped included.
    pub count: u64,
    /// Their places in the stream, from 0.
    pub events: Vec<u64>,
}

/// Decides what one kind of attack does.
pub(crate) trait Planner {
    /// The background event before which [`Planner::plan`] wants to be called next.
    fn wake(&self) -> u64;

    /// What begins now. `None` if nothing does, or if the stream is too short for it.
    fn plan(&mut self, room: &Room, draws: &mut Draws) -> Option<Campaign>;
}

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
    pub(crate) attack: Attack,
    pub(crate) ip: String,
    pub(crate) agent: &'static str,
    /// Users, by their index; each event is about one of them.
    pub(crate) targets: Vec<u32>,
    /// Event times in order, not empty.
    pub(crate) times: Vec<i64>,
    /// How many events trip the rule. `None`: a near miss, all of them do not.
    pub(crate) trips_at: Option<usize>,
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
    planners: Vec<Box<dyn Planner + Send>>,
    /// The least [`Planner::wake`].
    wake: u64,
    room: Room,
    running: BTreeMap<u64, Running>,
    n_campaigns: u64,
    /// The next event of each running campaign, soonest first.
    due: BinaryHeap<Reverse<(i64, u64)>>,
    labels: Vec<Label>,
}

struct Running {
    campaign: Campaign,
    /// Places in the stream of the events until the rule trips; then the label has them.
    events: Vec<u64>,
    n_done: usize,
    label_idx: Option<usize>,
}

impl Agenda {
    pub(crate) fn new(
        seed: u64,
        count: u64,
        timeline: Timeline,
        n_users: u32,
        mut attacks: Vec<Attack>,
    ) -> Self {
        attacks.sort_unstable();
        attacks.dedup();
        let mut draws = Draws::new(seed, Stream::Attacks);
        let planners: Vec<_> =
            attacks.into_iter().map(|attack| attack.planner(&mut draws)).collect();
        Self {
            draws,
            wake: if planners.is_empty() { u64::MAX } else { 0 },
            planners,
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

    /// Lets planners act before the background event `background_idx`.
    pub(crate) fn plan(&mut self, background_idx: u64) {
        if background_idx < self.wake {
            return;
        }
        self.room.background_idx = background_idx;
        for planner_idx in 0..self.planners.len() {
            while self.planners[planner_idx].wake() <= background_idx {
                let planned = self.planners[planner_idx].plan(&self.room, &mut self.draws);
                if let Some(campaign) = planned {
                    self.begin(campaign);
                }
            }
        }
        let wakes = self.planners.iter().map(|planner| planner.wake());
        self.wake = wakes.min().unwrap_or(u64::MAX);
    }

    fn begin(&mut self, campaign: Campaign) {
        let (Some(first), Some(last)) = (campaign.times.first(), campaign.times.last()) else {
            return;
        };
        self.room.claimed += campaign.times.len() as u64;
        self.room.last_claimed = self.room.last_claimed.max(*last);
        self.due.push(Reverse((*first, self.n_campaigns)));
        let running = Running { campaign, events: Vec::new(), n_done: 0, label_idx: None };
        self.running.insert(self.n_campaigns, running);
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
        running.record(due, index, &mut self.labels);
        let campaign = &running.campaign;
        let deed = Deed {
            at: due,
            user: self.draws.pick(&campaign.targets) as usize,
            ip: campaign.ip.clone(),
            agent: campaign.agent,
        };
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
        };
        pen.write(&act, &mut self.draws, out);
    }

    pub(crate) fn labels(&self) -> &[Label] {
        &self.labels
    }
}

impl Running {
    fn record(&mut self, at: i64, index: u64, labels: &mut Vec<Label>) {
        self.n_done += 1;
        if let Some(label) = self.label_idx.and_then(|idx| labels.get_mut(idx)) {
            label.last_event = at;
            label.count += 1;
            label.events.push(index);
            return;
        }
        self.events.push(index);
        if self.campaign.trips_at == Some(self.n_done) {
            let first = self.campaign.times[0];
            self.label_idx = Some(labels.len());
            labels.push(Label {
                rule: self.campaign.attack.name().to_owned(),
                key: self.campaign.ip.clone(),
                window_start: first,
                first_event: first,
                last_event: at,
                count: self.n_done as u64,
                events: std::mem::take(&mut self.events),
            });
        }
    }
}
