use std::collections::BTreeMap;

use super::*;

const WAIT: Duration = Duration::from_secs(10);
/// The present of these tests, long after their records.
const PRESENT: i64 = 2_000_000_000;

/// A generator of numbers that needs no crate: xorshift.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

/// One log for each partition: timestamps by offset.
type Logs = Vec<Vec<i64>>;

/// Reads logs as a source does, with a clock of its own.
struct Reading<'a> {
    merge: Merge<(usize, usize)>,
    logs: &'a Logs,
    received: Vec<usize>,
    read: Vec<(usize, usize)>,
    now: Now,
}

impl<'a> Reading<'a> {
    /// From these offsets on.
    fn from(logs: &'a Logs, starts: &[usize]) -> Self {
        let mut merge = Merge::new(1, WAIT);
        for partition in 0..logs.len() {
            merge.add(0, i32::try_from(partition).unwrap());
        }
        let now = Now { instant: Instant::now(), unix_ms: PRESENT };
        Self { merge, logs, received: starts.to_vec(), read: Vec::new(), now }
    }

    fn new(logs: &'a Logs) -> Self {
        Self::from(logs, &vec![0; logs.len()])
    }

    /// The next `n` records of a partition arrive; its end is reported once there are no more.
    fn receive(&mut self, partition: usize, n: usize) {
        let log = &self.logs[partition];
        for _ in 0..n {
            let offset = self.received[partition];
            let Some(stamp) = log.get(offset) else { break };
            self.merge.push(partition, Some(*stamp), 500, (partition, offset));
            self.received[partition] += 1;
        }
        if self.received[partition] == log.len() {
            self.merge.set_end(partition, End::At(self.now.unix_ms));
        }
        self.merge.rank(partition, self.now);
    }

    /// Reads what can be read, at most `n` records.
    fn read(&mut self, n: usize) -> usize {
        let mut n_read = 0;
        while let Some(turn) = self.merge.turn(self.now) {
            while let Some((lane, _)) = self.merge.next(turn, self.now) {
                if n_read == n {
                    return n_read;
                }
                self.read.push(self.merge.take(turn).unwrap());
                self.merge.rank(lane, self.now);
                n_read += 1;
            }
        }
        n_read
    }

    fn pass(&mut self, time: Duration) {
        self.now.instant += time;
        self.now.unix_ms += i64::try_from(time.as_millis()).unwrap();
    }

    /// Reads to the end, with arrivals in an order of chance.
    fn finish(mut self, numbers: &mut Numbers) -> Vec<(usize, usize)> {
        let n_all: usize = self.logs.iter().map(Vec::len).sum();
        while self.merge.lanes.iter().any(|lane| !lane.records.is_empty())
            || self.received.iter().sum::<usize>() < n_all
        {
            let partition = usize::try_from(numbers.below(self.logs.len() as u64)).unwrap();
            self.receive(partition, usize::try_from(numbers.below(200)).unwrap());
            self.read(usize::try_from(numbers.below(500)).unwrap());
        }
        self.read
    }
}

/// Logs of `n` partitions: mostly in order, with some disorder and some records that are stamped days off.
fn logs(numbers: &mut Numbers, n: usize, n_records: usize) -> Logs {
    let mut logs = vec![Vec::new(); n];
    for event in 0..n_records {
        let stamp = i64::try_from(event).unwrap() * 1000;
        let disorder = i64::try_from(numbers.below(3000)).unwrap();
        let stamp = match numbers.below(100) {
            0 => 0,
            1 => 4_000_000_000,
            2..20 => stamp - disorder,
            _ => stamp,
        };
        logs[usize::try_from(numbers.below(n as u64)).unwrap()].push(stamp);
    }
    logs
}

#[test]
fn the_order_depends_on_the_logs_and_on_nothing_else() {
    for seed in 1..60 {
        let mut numbers = Numbers(seed);
        let n = 1 + usize::try_from(seed % 9).unwrap();
        let logs = logs(&mut numbers, n, 2000);
        let first = Reading::new(&logs).finish(&mut numbers);
        assert_eq!(first.len(), 2000);
        for _ in 0..3 {
            assert_eq!(Reading::new(&logs).finish(&mut numbers), first, "seed {seed}");
        }
        // Interrupted anywhere, and begun anew behind what was read.
        let cut = usize::try_from(numbers.below(2000)).unwrap();
        let mut starts = vec![0; n];
        for (partition, offset) in &first[..cut] {
            starts[*partition] = offset + 1;
        }
        let rest = Reading::from(&logs, &starts).finish(&mut numbers);
        assert_eq!(rest, first[cut..], "seed {seed}, cut at {cut}");
    }
}

#[test]
fn distinct_times_in_order_are_read_in_order_from_any_number_of_partitions() {
    let mut numbers = Numbers(7);
    for n in [1, 2, 8, 32] {
        let mut logs = vec![Vec::new(); n];
        for time in 0..5000 {
            logs[usize::try_from(numbers.below(n as u64)).unwrap()].push(time);
        }
        let read = Reading::new(&logs).finish(&mut numbers);
        let times: Vec<i64> =
            read.iter().map(|(partition, offset)| logs[*partition][*offset]).collect();
        assert_eq!(times, (0..5000).collect::<Vec<_>>(), "{n} partitions");
    }
}

/// How far each record is read behind its due place, of those that were stamped rightly.
fn latest_by(logs: &Logs, read: &[(usize, usize)], is_wrong: impl Fn(i64) -> bool) -> i64 {
    let stamps = read.iter().map(|(partition, offset)| logs[*partition][*offset]);
    let (mut newest, mut latest) = (i64::MIN, 0);
    for stamp in stamps.filter(|stamp| !is_wrong(*stamp)) {
        newest = newest.max(stamp);
        latest = latest.max(newest - stamp);
    }
    latest
}

#[test]
fn records_that_are_stamped_wrongly_disturb_no_other() {
    const DAY: i64 = 86_400_000;
    let wrong = [0, -1, 4_102_444_800_000];
    let mut numbers = Numbers(99);
    for wrong in wrong {
        let mut logs = vec![Vec::new(); 4];
        for event in 0..8000_i64 {
            let partition = usize::try_from(numbers.below(4)).unwrap();
            logs[partition].push(DAY + event * 1000);
            if partition == 1 && numbers.below(50) == 0 {
                logs[1].push(wrong);
            }
        }
        logs[2].insert(0, wrong);
        let read = Reading::new(&logs).finish(&mut numbers);
        assert_eq!(latest_by(&logs, &read, |stamp| stamp == wrong), 0, "{wrong}");
    }
    // One producer of two is a day ahead, in one partition of three.
    let mut logs = vec![Vec::new(); 3];
    for event in 0..6000_i64 {
        let partition = usize::try_from(numbers.below(3)).unwrap();
        let is_ahead = partition == 0 && numbers.below(2) == 0;
        logs[partition].push(DAY + event * 1000 + if is_ahead { DAY } else { 0 });
    }
    let read = Reading::new(&logs).finish(&mut numbers);
    let latest = latest_by(&logs, &read, |stamp| stamp >= 2 * DAY);
    assert!(latest <= 60_000, "{latest} ms");
}

#[test]
fn a_partition_that_delivers_nothing_holds_the_others_for_a_while_and_not_when_they_are_live() {
    let logs = vec![(0..10).collect(), (0..10).map(|time| time + 5).collect()];
    let mut reading = Reading::new(&logs);
    reading.receive(0, 10);
    assert_eq!(reading.read(100), 0, "partition 1 may have older records");
    assert_eq!(reading.merge.hold(reading.now), Held { unaligned: vec![], ask: vec![0, 1] });
    reading.pass(WAIT / 2);
    assert_eq!(reading.merge.hold(reading.now).unaligned, [0_usize; 0]);
    reading.pass(WAIT / 2);
    assert_eq!(reading.merge.hold(reading.now).unaligned, [1]);
    assert_eq!((reading.read(100), reading.merge.n_unaligned()), (10, 1));
    // Late, it is read at once, and holds again from then on.
    reading.receive(1, 10);
    assert_eq!((reading.read(100), reading.merge.n_unaligned()), (10, 0));

    let live = vec![vec![PRESENT - 100], vec![]];
    let mut reading = Reading::new(&live);
    reading.receive(0, 1);
    assert_eq!(reading.read(100), 1);
}

#[test]
fn partitions_of_a_broker_that_is_down_hold_the_others_together() {
    let mut logs = vec![(0..1000).collect(), vec![], vec![]];
    logs[2] = (0..500).collect();
    let mut reading = Reading::new(&logs);
    reading.receive(0, 1000);
    // Of partition 2 half has arrived when the broker goes down, of partition 1 nothing.
    reading.receive(2, 250);
    for lane in [1, 2] {
        reading.merge.answered(lane, Some(reading.now.instant));
    }
    assert_eq!((reading.read(5000), reading.merge.hold(reading.now).unaligned), (0, vec![]));
    reading.pass(WAIT);
    assert_eq!(reading.merge.hold(reading.now).unaligned, [1]);
    assert_eq!(reading.read(5000), 2 * (250 - WINDOW_RECORDS), "up to where partition 2 is known");
    assert_eq!(reading.merge.hold(reading.now).unaligned, [2], "it was silent all the while");
    assert_eq!(reading.read(5000), 1250 - 2 * (250 - WINDOW_RECORDS));
}

#[test]
fn a_partition_at_its_end_holds_only_what_is_newer_than_that() {
    let logs = vec![vec![PRESENT - 60_000, PRESENT - 10_000], vec![]];
    let mut reading = Reading::new(&logs);
    reading.merge.set_end(1, End::At(PRESENT - 20_000));
    reading.merge.rank(1, reading.now);
    reading.receive(0, 2);
    assert_eq!(reading.read(100), 1, "older than the end of partition 1");
    assert_eq!(reading.read[0], (0, 0));
    assert_eq!(reading.merge.hold(reading.now).ask, [0, 1]);
    assert_eq!(reading.merge.hold(reading.now).ask, [0_usize; 0], "asked a moment ago");
    reading.merge.set_end(1, End::At(reading.now.unix_ms));
    assert_eq!(reading.read(100), 1);
}

#[test]
fn a_record_is_not_read_before_what_follows_it_is_known() {
    let mut logs = vec![vec![4_000_000_000], vec![1000]];
    logs[0].extend((0..100).map(|time| time * 10));
    let mut reading = Reading::new(&logs);
    reading.receive(1, 1);
    reading.receive(0, 1);
    assert_eq!(reading.read(100), 0, "what is stamped too late may stand before older records");
    reading.receive(0, 100);
    reading.read(1000);
    assert_eq!(reading.read.last(), Some(&(1, 0)));
    assert_eq!(reading.read.len(), 102);
}

#[test]
fn topics_alternate_and_keep_together() {
    let mut merge = Merge::new(2, WAIT);
    let now = Now { instant: Instant::now(), unix_ms: PRESENT };
    for (topic, step) in [(0, 1000), (1, 600_000)] {
        let lane = merge.add(topic, 0);
        for time in 0..600_000 / step * 10 {
            merge.push(lane, Some(time * step), 500, time * step);
        }
        merge.set_end(lane, End::At(PRESENT));
        merge.rank(lane, now);
    }
    let (mut newest, mut n_turns) = (BTreeMap::new(), 0);
    let (mut apart, mut last) = (0, None);
    while let Some(turn) = merge.turn(now) {
        n_turns += 1;
        while merge.next(turn, now).is_some() {
            let time = merge.take(turn).unwrap();
            merge.rank(turn.topic, now);
            newest.insert(turn.topic, time);
            apart = apart.max(last.unwrap_or(time) - time);
            last = last.max(Some(time));
        }
    }
    assert_eq!(newest, BTreeMap::from([(0, 5_999_000), (1, 5_400_000)]));
    assert!(apart <= TOPICS_APART_MS, "{apart}");
    assert!(n_turns < 25, "{n_turns}");
}
