//! When attacks and near misses start.

use crate::choices::{Attack, Intensity};
use crate::random::{Dice as _, Draws};

use super::campaign::{Campaign, Plan};
use super::{exports, hours, logins, privileges, spread, volume};

/// The number of background events after which a failed plan is retried.
const RETRY: u64 = 250;

/// When attacks and near misses start, counted in background events.
pub(crate) struct Agenda {
    intensity: Intensity,
    entries: Vec<Entry>,
}

/// The next campaign of one kind.
struct Entry {
    attack: Attack,
    is_near_miss: bool,
    slot: u64,
    at: u64,
}

impl Agenda {
    pub(crate) fn new(mut attacks: Vec<Attack>, intensity: Intensity, draws: &mut Draws) -> Self {
        attacks.sort_unstable();
        attacks.dedup();
        let mut agenda = Self { intensity, entries: Vec::new() };
        for attack in attacks {
            for is_near_miss in [false, true] {
                // The first of each soon, so that a short stream has some.
                let at = u64::from(draws.below(agenda.slot_len() as u32 / 10));
                agenda.entries.push(Entry { attack, is_near_miss, slot: 0, at });
            }
        }
        agenda
    }

    /// Plans what is due before the background event `background_idx`.
    pub(crate) fn due(&mut self, background_idx: u64, plan: &mut Plan) -> Vec<Campaign> {
        let slot_len = self.slot_len();
        let mut campaigns = Vec::new();
        for entry in self.entries.iter_mut().filter(|entry| entry.at <= background_idx) {
            let planned = match entry.attack {
                Attack::FailedLogins | Attack::PasswordSpray | Attack::LoginAfterAttack => {
                    logins::plan(entry.attack, entry.is_near_miss, plan)
                }
                Attack::OffHours => hours::plan(entry.is_near_miss, plan),
                Attack::IpSpread => spread::plan(entry.is_near_miss, plan),
                Attack::PrivilegeChange => privileges::plan(entry.is_near_miss, plan),
                Attack::UnusualVolume => volume::plan(entry.is_near_miss, plan),
                Attack::MassExport => exports::plan(entry.is_near_miss, plan),
            };
            let slot_ends = (entry.slot + 1) * slot_len;
            if planned.is_none() && entry.at + RETRY < slot_ends {
                entry.at += RETRY;
            } else {
                entry.slot += 1;
                entry.at = slot_ends + u64::from(plan.draws.below(slot_len as u32));
            }
            campaigns.extend(planned);
        }
        campaigns
    }

    /// The background event before which [`Agenda::due`] has something to do.
    pub(crate) fn wake(&self) -> u64 {
        self.entries.iter().map(|entry| entry.at).min().unwrap_or(u64::MAX)
    }

    fn slot_len(&self) -> u64 {
        match self.intensity {
            Intensity::Low => 20_000,
            Intensity::Medium => 10_000,
            Intensity::High => 5_000,
        }
    }
}
