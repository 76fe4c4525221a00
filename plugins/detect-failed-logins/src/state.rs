//! All addresses, bounded in number and in size.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use audit_plugin_sdk::{Alert, Judgement, log};

use crate::address::{Address, Failure, Told};
use crate::config::Settings;
use crate::report;

/// The most memory of all addresses, about: with the vectors of a batch and a snapshot being written
/// the guest stays below its 64 MiB. Enough for 100,000 addresses with a failure each.
pub(crate) const STATE_BYTES_MAX: usize = 32 << 20;

/// For how many windows after its arrival a failure is kept: one that comes up to a window late still
/// meets all of its neighbours.
const WINDOWS_KEPT: i64 = 2;

/// Old failures are looked for this many times a window, as a look costs a pass over all addresses.
const SWEEPS_PER_WINDOW: i64 = 16;

const DAY_MICROS: i64 = 86_400_000_000;

/// What the detector remembers.
///
/// Ordered maps: attackers choose the keys, so hashing them would need a secret, and a snapshot needs
/// an order that does not depend on the past.
#[derive(Debug, Default)]
pub(crate) struct State {
    addresses: BTreeMap<Rc<[u8]>, Entry>,
    /// The addresses by their last failure, the one silent for longest first. The numbers say nothing
    /// but the order, and are given anew by `restore`.
    order: BTreeMap<u64, Rc<[u8]>>,
    next_turn: u64,
    n_bytes: usize,
    /// Addresses with something to tell in this batch. Empty between batches.
    to_tell: BTreeSet<Rc<[u8]>>,
    /// Alerts of addresses that had to go within the batch. Empty between batches.
    told_early: Vec<Alert>,
    /// Failures without address or time so far.
    pub(crate) n_ignored: u64,
    /// Addresses forgotten for want of room so far.
    pub(crate) n_evicted: u64,
    /// How many of them the host was told of.
    pub(crate) n_evicted_told: u64,
    /// The day on which it was told last, counted from 1970-01-01.
    pub(crate) told_day: i64,
    /// The clock of the last look for old failures.
    pub(crate) swept: i64,
}

#[derive(Debug)]
struct Entry {
    turn: u64,
    address: Address,
}

impl State {
    /// Counts a failure, and forgets the addresses silent for longest where there is no room.
    pub(crate) fn add(&mut self, key: &[u8], failure: Failure, settings: &Settings) {
        let turn = self.next_turn;
        self.next_turn += 1;
        let (key, mut address) = match self.addresses.get_mut(key) {
            Some(entry) => {
                self.n_bytes -= entry.address.n_bytes();
                let key = self.order.remove(&entry.turn).unwrap_or_else(|| key.into());
                (key, std::mem::take(&mut entry.address))
            }
            None => (Rc::from(key), Address::default()),
        };
        if address.add(failure, settings) {
            self.to_tell.insert(Rc::clone(&key));
        }
        self.n_bytes += address.n_bytes();
        self.addresses.insert(Rc::clone(&key), Entry { turn, address });
        self.order.insert(turn, key);
        self.make_room(settings);
    }

    /// Puts a restored address behind the ones that are there. `None` for one that is there.
    pub(crate) fn append(
        &mut self,
        key: &[u8],
        address: Address,
        settings: &Settings,
    ) -> Option<()> {
        let turn = self.next_turn;
        self.next_turn += 1;
        self.n_bytes += address.n_bytes();
        let key: Rc<[u8]> = key.into();
        let replaced = self.addresses.insert(Rc::clone(&key), Entry { turn, address });
        self.order.insert(turn, key);
        self.make_room(settings);
        replaced.is_none().then_some(())
    }

    /// About how much memory the addresses take.
    pub(crate) fn n_bytes(&self) -> usize {
        self.n_bytes
    }

    /// The addresses, the one silent for longest first.
    pub(crate) fn addresses(&self) -> impl ExactSizeIterator<Item = (&[u8], &Address)> {
        self.order.values().map(|key| (&**key, &self.addresses[key].address))
    }

    /// Raises the alerts of this batch. They come after all of its failures are counted, so that an
    /// alert shows a burst as large as it is known to be.
    pub(crate) fn report_bursts(&mut self, settings: &Settings, out: &mut Judgement) {
        for alert in self.told_early.drain(..) {
            out.alert(alert);
        }
        for key in std::mem::take(&mut self.to_tell) {
            let Some(entry) = self.addresses.get_mut(&key) else {
                continue;
            };
            let before = entry.address.n_bytes();
            for alert in tell(&key, &mut entry.address, settings) {
                out.alert(alert);
            }
            self.n_bytes = self.n_bytes - before + entry.address.n_bytes();
        }
    }

    /// Says, at most once a day of the batch's clock, that addresses were forgotten: from then on the
    /// detector may count too few.
    pub(crate) fn report_evictions(&mut self, clock: i64, out: &mut Judgement) {
        let day = clock.div_euclid(DAY_MICROS);
        let is_told_today = self.n_evicted_told > 0 && day == self.told_day;
        if self.n_evicted == self.n_evicted_told || is_told_today {
            return;
        }
        let n_new = self.n_evicted - self.n_evicted_told;
        log::warn(&format!("{n_new} addresses were forgotten for want of room: raise max-keys"));
        out.alert(report::evictions(n_new, clock, day * DAY_MICROS));
        self.n_evicted_told = self.n_evicted;
        self.told_day = day;
    }

    /// Forgets failures and windows that are too old to matter.
    pub(crate) fn forget_old(&mut self, clock: i64, settings: &Settings) {
        let since = clock.saturating_sub(self.swept).saturating_abs();
        if since < settings.window_micros / SWEEPS_PER_WINDOW {
            return;
        }
        self.swept = clock;
        let oldest = clock.saturating_sub(settings.window_micros * WINDOWS_KEPT);
        let (order, mut n_bytes) = (&mut self.order, 0);
        self.addresses.retain(|_, entry| {
            entry.address.forget_before(oldest);
            if entry.address.is_empty() {
                order.remove(&entry.turn);
                return false;
            }
            n_bytes += entry.address.n_bytes();
            true
        });
        self.n_bytes = n_bytes;
    }

    fn make_room(&mut self, settings: &Settings) {
        while self.addresses.len() > settings.max_keys || self.n_bytes > STATE_BYTES_MAX {
            // One address is far below the limit, so it is not the one just touched that goes.
            let Some((_, key)) = self.order.pop_first() else {
                return;
            };
            let Some(mut entry) = self.addresses.remove(&key) else {
                continue;
            };
            self.n_bytes -= entry.address.n_bytes();
            self.n_evicted += 1;
            if self.to_tell.remove(&key) {
                self.told_early.extend(tell(&key, &mut entry.address, settings));
            }
        }
    }
}

/// The alerts for what the host does not know of an address.
fn tell(key: &[u8], address: &mut Address, settings: &Settings) -> Vec<Alert> {
    let mut alerts = Vec::new();
    for window in address.windows.iter_mut().filter(|window| window.is_untold()) {
        alerts.push(report::burst(key, window, settings));
        if window.is_high {
            window.told = Told::High;
            // Nothing more is ever said about the window, so the count is enough.
            window.failures = Vec::new();
        } else {
            window.told = Told::Medium;
        }
    }
    alerts
}
