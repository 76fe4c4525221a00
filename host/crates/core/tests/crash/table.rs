//! The stages that settle: the table, the receivers of alerts, and the broker.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use audit_core::stage::{Acknowledge, AlertSink, Table};
use audit_core::{Alert, Epoch, Error, Offsets, Outbox, TopicPartition};

use crate::catalog::{Check, commit};
use crate::kept::{Kept, Lane, state_object};
use crate::stages::{PARTITIONS, Part};
use crate::world::World;

impl Part {
    /// An instance that has just started: it claims the lane first, and only then looks where to go on.
    pub(crate) async fn start(world: &Arc<World>) -> Result<Self, Error> {
        let instance = 1 + world.n_instances.fetch_add(1, Ordering::Relaxed);
        let check = |kept: &Kept| {
            if kept.lane.instance == instance { Check::Done } else { Check::Ready }
        };
        let claim = move |kept: &mut Kept| {
            kept.lane = Lane { instance, ..kept.lane.raised() };
        };
        commit(world, ["before claim", "after claim"], check, Arc::new(claim)).await?;
        let topic: Arc<str> = Arc::from("t");
        let kept = world.kept();
        let next_of = |partition| {
            let next = kept.offsets.get(&TopicPartition::new(&topic, partition)).copied();
            (partition, next.unwrap_or(0))
        };
        kept.check_objects();
        Ok(Self {
            world: Arc::clone(world),
            // Taken over since, it is another's: then this one must not commit with it.
            lane: Lane { instance, sequence: kept.lane.sequence },
            next: (0..PARTITIONS).map(next_of).collect(),
            state: kept.state.unwrap_or(0),
            topic,
            events: Vec::new(),
            open: (Vec::new(), Vec::new()),
            finished: Vec::new(),
        })
    }

    /// Commits what needs the lane, and raises it.
    async fn commit_in_lane(
        &mut self,
        names: [&'static str; 2],
        change: impl Fn(&mut Kept) + Send + Sync + 'static,
    ) -> Result<(), Error> {
        let (ours, raised) = (self.lane, self.lane.raised());
        let check = move |kept: &Kept| match kept.lane {
            lane if lane == raised => Check::Done,
            lane if lane == ours => Check::Ready,
            _ => Check::Fenced,
        };
        let in_lane = move |kept: &mut Kept| {
            kept.lane = raised;
            change(kept);
        };
        commit(&self.world, names, check, Arc::new(in_lane)).await?;
        self.lane = raised;
        Ok(())
    }

    async fn store_state(&self, epoch: &Epoch) -> Result<u64, Error> {
        self.world.pause("store state").await?;
        let bytes = epoch.states[0].bytes.as_slice();
        let state = u64::from_le_bytes(bytes.try_into().unwrap());
        self.world.kept().objects.insert(state_object(state));
        Ok(state)
    }
}

/// Everything that a commit makes visible at once.
fn add_epoch(kept: &mut Kept, epoch: &CommittedEpoch) {
    for (at, span) in epoch.covered.iter() {
        let next = kept.offsets.insert(at.clone(), span.next).unwrap_or(0);
        assert_eq!(next, span.start, "an epoch must start at the offset in the table");
    }
    kept.rows.extend(&epoch.rows);
    kept.garbage.extend(kept.state.replace(epoch.state).map(state_object));
    kept.garbage.remove(&state_object(epoch.state));
    kept.forget(&epoch.finished);
    let (sequence, outbox) = (kept.lane.sequence, &epoch.outbox);
    kept.committed.insert(outbox.epoch_id.clone(), (sequence, outbox.alerts.clone()));
    kept.pending.insert(sequence, outbox.clone());
}

struct CommittedEpoch {
    rows: Vec<i64>,
    covered: Offsets,
    state: u64,
    outbox: Outbox,
    finished: Vec<Outbox>,
}

#[async_trait]
impl Table for Part {
    async fn unfinished(&mut self) -> Result<Vec<Outbox>, Error> {
        self.world.pause("unfinished").await?;
        Ok(self.world.kept().pending.values().cloned().collect())
    }

    async fn stage(&mut self, epoch: &Epoch) -> Result<Outbox, Error> {
        self.world.pause("stage").await?;
        let object = format!("outbox/{}", epoch.staged.epoch_id);
        self.world.kept().objects.insert(object.clone());
        Ok(Outbox {
            epoch_id: epoch.staged.epoch_id.clone(),
            location: Some(object),
            dead_letter_files: epoch.staged.dead_letter_files.clone(),
            covered: epoch.covered.clone(),
            alerts: epoch.alerts.clone(),
        })
    }

    async fn commit(&mut self, epoch: &Epoch, outbox: &Outbox) -> Result<(), Error> {
        let committed = CommittedEpoch {
            rows: epoch.staged.data_files.iter().map(|n| n.parse().unwrap()).collect(),
            covered: epoch.covered.clone(),
            state: self.store_state(epoch).await?,
            outbox: outbox.clone(),
            finished: self.finished.clone(),
        };
        let change = move |kept: &mut Kept| add_epoch(kept, &committed);
        self.commit_in_lane(["before commit", "after commit"], change).await?;
        self.finished.clear();
        Ok(())
    }

    async fn append_dead_letters(&mut self, outbox: &Outbox) -> Result<(), Error> {
        let committed = self.world.kept().committed.get(&outbox.epoch_id).cloned();
        let (sequence, _) = committed.expect("dead letters before the commit");
        let check = |kept: &Kept| if kept.done >= sequence { Check::Done } else { Check::Ready };
        let letters = outbox.dead_letter_files.clone();
        let change = move |kept: &mut Kept| {
            kept.dead_letters.extend(letters.iter().cloned());
            kept.done = sequence;
        };
        let names = ["before dead letters", "after dead letters"];
        commit(&self.world, names, check, Arc::new(change)).await
    }

    /// Stays in the table until a later commit.
    fn finish(&mut self, outbox: Outbox) {
        self.finished.push(outbox);
    }

    async fn forget_finished(&mut self) -> Result<(), Error> {
        unreachable!("no run takes so long that a time is quiet");
    }

    /// Removes what is finished, and releases the lane.
    async fn close(&mut self) -> Result<(), Error> {
        let finished = std::mem::take(&mut self.finished);
        let change = move |kept: &mut Kept| kept.forget(&finished);
        self.commit_in_lane(["before close", "after close"], change).await
    }

    /// Removes garbage, then its entries in the list. Needs no lane: garbage is anybody's.
    async fn maintain(&mut self) -> Result<(), Error> {
        self.world.pause("before maintenance").await?;
        let due = self.world.kept().garbage.clone();
        if due.is_empty() {
            return Ok(());
        }
        self.world.kept().objects.retain(|object| !due.contains(object));
        self.world.pause("after removal").await?;
        let listed = due.clone();
        let check = move |kept: &Kept| {
            if kept.garbage.is_disjoint(&listed) { Check::Done } else { Check::Ready }
        };
        let change = move |kept: &mut Kept| kept.garbage.retain(|object| !due.contains(object));
        commit(&self.world, ["before garbage", "after garbage"], check, Arc::new(change)).await
    }
}

#[async_trait]
impl AlertSink for Part {
    async fn deliver(&mut self, alerts: &[Alert]) -> Result<(), Error> {
        self.world.pause("before alerts").await?;
        {
            let mut kept = self.world.kept();
            let is_committed = kept.committed.values().any(|(_, of_epoch)| of_epoch == alerts);
            assert!(is_committed, "alerts before the commit");
            kept.delivered.extend(alerts.iter().cloned());
        }
        self.world.pause("after alerts").await
    }
}

#[async_trait]
impl Acknowledge for Part {
    async fn acknowledge(&mut self, covered: &Offsets) -> Result<(), Error> {
        self.world.pause("before acknowledgement").await?;
        for (at, span) in covered.iter() {
            let mut kept = self.world.kept();
            let committed = kept.offsets.get(at).copied();
            assert!(committed >= Some(span.next), "{at} is acknowledged before the commit");
            if !self.world.loses_acks.load(Ordering::Relaxed) {
                kept.acknowledged.insert(at.clone(), span.next);
            }
        }
        self.world.pause("after acknowledgement").await
    }
}
