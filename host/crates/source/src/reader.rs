//! The partitions that are read, and the batches that are made of their records.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use audit_core::{LeaderEpoch, RawBatch, Span, TopicPartition};

use crate::error::Error;
use crate::ffi::{Bell, Client, Queue, Received};
use crate::intake::{Taken, take};
use crate::merge::{End, Held, Merge, Now};
use crate::progress::Progress;

/// Records of one batch: enough that what a call of a plugin costs is negligible.
const BATCH_RECORDS_MAX: usize = 4096;
/// Payload bytes of one batch: bounds the memory of a batch of large records, and keeps every column of it far
/// below the 2 GiB that Arrow's text columns can hold.
const BATCH_BYTES_MAX: usize = 4 << 20;

/// Records that are received ahead, of all partitions: a batch or two.
const AHEAD_MAX: usize = 8192;
/// The bounds of the share of one partition in that.
const AHEAD_OF_ONE: (usize, usize) = (128, 1024);

/// A partition that is read.
pub(crate) struct Partition {
    pub(crate) at: TopicPartition,
    /// What was received of it.
    pub(crate) progress: Progress,
    queue: Queue,
    /// The offset up to which batches cover it.
    covered: i64,
    /// What the open batch covers of it.
    open: Option<Span>,
}

/// A record that was received and is in no batch yet.
struct Record {
    received: Received,
    offset: i64,
    timestamp_ms: Option<i64>,
    n_bytes: usize,
    /// The offset up to which this record covers its partition: offsets without a record may follow it.
    next: i64,
    leader_epoch: Option<LeaderEpoch>,
}

/// A batch that is being filled.
struct OpenBatch {
    topic: usize,
    batch: RawBatch,
    /// The partitions with records in it.
    touched: Vec<usize>,
}

/// Reads partitions in the order of [`Merge`].
pub(crate) struct Reader {
    client: Arc<Client>,
    topics: Vec<Arc<str>>,
    pub(crate) partitions: Vec<Partition>,
    merge: Merge<Record>,
    bell: Arc<Bell>,
    open: Option<OpenBatch>,
    /// Spans without a record, which no batch covers.
    pub(crate) gaps: VecDeque<RawBatch>,
    /// librdkafka gave up a partition and must be assigned again.
    pub(crate) must_assign: bool,
}

impl Reader {
    pub(crate) fn new(client: Arc<Client>, topics: Vec<Arc<str>>, wait: Duration) -> Self {
        let merge = Merge::new(topics.len(), wait);
        Self {
            client,
            topics,
            partitions: Vec::new(),
            merge,
            bell: Arc::default(),
            open: None,
            gaps: VecDeque::new(),
            must_assign: false,
        }
    }

    /// Reads one more partition, from `progress` on. Before the first assignment that names it.
    pub(crate) fn add(
        &mut self,
        at: TopicPartition,
        covered: i64,
        progress: Progress,
    ) -> Result<(), Error> {
        let Some(topic) = self.topics.iter().position(|topic| *topic == at.topic) else {
            return Ok(());
        };
        let queue = Queue::of_partition(Arc::clone(&self.client), &at, Arc::clone(&self.bell));
        let queue =
            queue.ok_or_else(|| Error::Consumer(format!("librdkafka has no queue of {at}")))?;
        self.merge.add(topic, at.partition);
        let (next, open) = (progress.next, None);
        self.partitions.push(Partition { at, progress, queue, covered, open });
        // Offsets that are left out are covered at once: perhaps no record follows.
        if covered < next {
            self.cover_gap(self.partitions.len() - 1, next)?;
        }
        Ok(())
    }

    /// How far each partition was received.
    pub(crate) fn positions(&self) -> impl Iterator<Item = (&TopicPartition, &Progress)> {
        self.partitions.iter().map(|partition| (&partition.at, &partition.progress))
    }

    /// Waits until something arrives.
    pub(crate) fn wait(&self, max_wait: Duration) {
        self.bell.wait(max_wait);
    }

    /// Whether nothing that was received is left, and every partition has ended.
    pub(crate) fn has_ended(&self) -> bool {
        let mut partitions = self.partitions.iter();
        self.merge.is_empty() && partitions.all(|partition| partition.progress.has_ended())
    }

    /// Receives where records are missing, and fills the open batch. Whether the batch is to be passed on.
    pub(crate) fn read(&mut self, now: Now) -> Result<bool, Error> {
        for idx in 0..self.partitions.len() {
            if self.merge.is_short(idx) && self.partitions[idx].queue.has_news() {
                self.receive(idx, now)?;
            }
        }
        self.fill(now)
    }

    /// The batch as far as it was filled.
    pub(crate) fn close(&mut self) -> Result<Option<RawBatch>, Error> {
        let Some(OpenBatch { mut batch, touched, .. }) = self.open.take() else { return Ok(None) };
        for idx in touched {
            let partition = &mut self.partitions[idx];
            let Some(span) = partition.open.take() else { continue };
            cover(&mut batch, &partition.at, span)?;
        }
        Ok(Some(batch))
    }

    fn receive(&mut self, idx: usize, now: Now) -> Result<(), Error> {
        let (least, most) = AHEAD_OF_ONE;
        let n_max = (AHEAD_MAX / self.partitions.len().max(1)).clamp(least, most);
        let Partition { at, progress, queue, .. } = &mut self.partitions[idx];
        let (merge, must_assign) = (&mut self.merge, &mut self.must_assign);
        let mut failed = None;
        let mut is_back = false;
        let has_more = queue.receive(n_max, |received| {
            if failed.is_some() {
                return;
            }
            let message = received.view();
            match take(at, progress, &message) {
                Ok(Taken::Record(span)) => {
                    let (offset, timestamp_ms) = (message.offset, message.timestamp_ms);
                    let n_bytes = message.payload.len();
                    let (next, leader_epoch) = (span.next, span.leader_epoch);
                    let record =
                        Record { received, offset, timestamp_ms, n_bytes, next, leader_epoch };
                    is_back |= merge.push(idx, timestamp_ms, n_bytes, record);
                }
                Ok(Taken::End(span)) => {
                    if let Some(last) = merge.last_mut(idx) {
                        last.next = span.next;
                    }
                }
                Ok(Taken::MustAssign) => *must_assign = true,
                Ok(Taken::Nothing) => {}
                Err(error) => failed = Some(error),
            }
        });
        if let Some(error) = failed {
            return Err(error);
        }
        let end = if has_more { End::Unknown } else { end_of(progress, queue, now) };
        let (n_records, next) = (merge.n_records(idx), progress.next);
        is_back |= merge.set_end(idx, end);
        merge.rank(idx, now);
        if is_back {
            note_back(at);
        }
        if n_records == 0 {
            self.cover_gap(idx, next)?;
        }
        Ok(())
    }

    /// Covers offsets without a record up to `next`, when no record of the partition is left that could.
    fn cover_gap(&mut self, idx: usize, next: i64) -> Result<(), Error> {
        let partition = &mut self.partitions[idx];
        if partition.covered >= next {
            return Ok(());
        }
        let span = Span { start: partition.covered, next, records: 0, leader_epoch: None };
        partition.covered = next;
        if let Some(open) = &mut partition.open {
            open.next = next;
            return Ok(());
        }
        let mut gap = RawBatch::empty(Arc::clone(&partition.at.topic));
        cover(&mut gap, &partition.at, span)?;
        self.gaps.push_back(gap);
        Ok(())
    }

    /// Moves records into the open batch, as long as it is certain which is next.
    fn fill(&mut self, now: Now) -> Result<bool, Error> {
        while let Some(turn) = self.merge.turn(now) {
            if self.open.as_ref().is_some_and(|open| open.topic != turn.topic) {
                return Ok(true);
            }
            while let Some((idx, record)) = self.merge.next(turn, now) {
                let topic = &self.topics[turn.topic];
                let open = self.open.get_or_insert_with(|| OpenBatch::new(turn.topic, topic));
                if !open.has_room_for(record) {
                    return Ok(true);
                }
                let Some(record) = self.merge.take(turn) else { break };
                open.push(idx, &mut self.partitions[idx], &record);
                if self.merge.is_short(idx) && self.partitions[idx].queue.has_news() {
                    self.receive(idx, now)?;
                } else {
                    self.merge.rank(idx, now);
                }
            }
        }
        Ok(false)
    }

    /// Counts the time of partitions that hold the others, when nothing can be read.
    pub(crate) fn hold(&mut self, now: Now) -> Held {
        self.merge.hold(now)
    }

    pub(crate) fn n_unaligned(&self) -> usize {
        self.merge.n_unaligned()
    }

    /// A broker was asked where a partition ends, and said so or not.
    pub(crate) fn answered(&mut self, at: &TopicPartition, end: Option<i64>, asked_at: Now) {
        let found = self.partitions.iter().position(|partition| partition.at == *at);
        let Some(idx) = found else { return };
        self.merge.answered(idx, end.is_none().then_some(asked_at.instant));
        let Partition { progress, queue, .. } = &self.partitions[idx];
        let is_read = end.is_some_and(|end| progress.next >= end) && !progress.is_doubted();
        let is_undecided = queue.high_watermark().is_some_and(|end| end > progress.next);
        if is_read && !is_undecided && !queue.has_news() {
            if self.merge.set_end(idx, End::At(asked_at.unix_ms)) {
                note_back(at);
            }
            self.merge.rank(idx, now());
        }
    }
}

impl OpenBatch {
    fn new(topic: usize, name: &Arc<str>) -> Self {
        Self { topic, batch: RawBatch::empty(Arc::clone(name)), touched: Vec::new() }
    }

    fn has_room_for(&self, record: &Record) -> bool {
        let n_records = self.batch.records.len();
        let n_bytes = self.batch.bytes.len() + record.n_bytes;
        n_records == 0 || (n_records < BATCH_RECORDS_MAX && n_bytes <= BATCH_BYTES_MAX)
    }

    fn push(&mut self, idx: usize, partition: &mut Partition, record: &Record) {
        let (id, payload) = (partition.at.partition, record.received.payload());
        self.batch.push(id, record.offset, record.timestamp_ms, payload);
        let open = partition.open.get_or_insert_with(|| {
            self.touched.push(idx);
            let start = partition.covered;
            Span { start, next: start, records: 0, leader_epoch: None }
        });
        open.next = record.next;
        open.records += 1;
        open.leader_epoch = record.leader_epoch.or(open.leader_epoch);
        partition.covered = record.next;
    }
}

fn cover(batch: &mut RawBatch, at: &TopicPartition, span: Span) -> Result<(), Error> {
    let covered = batch.covered.cover(at.clone(), span);
    covered.map_err(|gap| Error::Read { partition: at.clone(), message: gap.to_string() })
}

fn note_back(at: &TopicPartition) {
    tracing::info!(partition = %at, "partition is aligned again");
}

/// What is known about the end of a partition after everything that was there is received.
fn end_of(progress: &Progress, queue: &Queue, now: Now) -> End {
    let has_more = queue.high_watermark().is_some_and(|end| end > progress.next);
    match (progress.is_at_end(), has_more) {
        (true, false) => End::At(now.unix_ms),
        // Of a transaction that is not decided: what comes of it is older than the end that was reported.
        (true, true) | (false, false) => End::Reached,
        (false, true) => End::Unknown,
    }
}

/// Both clocks.
pub(crate) fn now() -> Now {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let unix_ms = i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX);
    Now { instant: Instant::now(), unix_ms }
}
