//! The commit protocol on a catalog and a store that fail: with an error before or after they did what they were
//! asked for, with a success that was none, with half a file, and by never answering.
//!
//! Goal: however they fail, each record ends exactly once as a row or a dead letter, the detector's state is the one at
//! the table's offsets, nothing stays pending, and no call waits for ever. Method: what a run of the host does with the
//! table is done under a plan that is drawn from a seed; each error ends the run, and the next one starts from what is
//! on the disk. A failing seed is printed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod parts;
mod plan;

#[path = "../commit/place.rs"]
#[expect(dead_code, reason = "it serves another test as well")]
mod place;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use audit_core::stage::{Table, Writer};
use audit_core::{Epoch, Error, Kind, Offsets, PluginId, PluginState, Span, schema};
use audit_sink::{AuditTable, Store, TableName, TableSettings, Vault, Waits};

use crate::parts::{FaultyPointer, FaultyStorage};
use crate::place::{Place, dead_letter, partition, rows};
use crate::plan::{FAULTS, Fault, Op, Plan};

const SEEDS: u64 = 16;
/// Of 1,000 operations so many fail: a run has some hundred.
const PER_MILLE: u64 = 25;
/// An undisturbed run must follow.
const FAILING_RUNS_MAX: usize = 5;

/// Records of an epoch: two rows and a dead letter.
const RECORDS: i64 = 3;
const END: i64 = 4 * RECORDS;

/// Long enough for a busy machine (a fault that was not injected would end a run that must go on), short enough for a
/// test.
const WAITS: Waits = Waits {
    answer: Duration::from_secs(1),
    attempt: Duration::from_secs(4),
    pause: Duration::from_millis(1),
};

fn open(place: &Place, plan: &Plan) -> Result<AuditTable, audit_sink::Error> {
    let key_file = place.dir.path().join("key");
    std::fs::write(&key_file, "1f".repeat(32)).unwrap();
    let settings = TableSettings {
        name: TableName::parse("ns.t").unwrap(),
        group: "g".to_owned(),
        topics: vec!["events".to_owned()],
        instance: "test".to_owned(),
        // Each run takes over from one that failed in this very process.
        lane_lease: Duration::ZERO,
        added_columns: Vec::new(),
        vault: Some(Arc::new(Vault::open(&key_file)?)),
        host_version: "test".to_owned(),
    };
    let storage = FaultyStorage::of(plan);
    place.runtime.block_on(async {
        let store = Store::open(&place.catalog()).await?;
        let pointer = |inner| FaultyPointer::around(inner, plan);
        AuditTable::open(store.with_parts(pointer, Some(storage), WAITS), settings).await
    })
}

/// What a run does, from its start to its end.
fn run(place: &Place, plan: &Plan) -> Result<(), Error> {
    let runtime = &place.runtime;
    let mut table = open(place, plan)?;
    let mut state = state_of(place, &table)?;
    runtime.block_on(table.claim(&HashMap::new(), &HashMap::new(), &[]))?;
    for outbox in runtime.block_on(table.unfinished())? {
        runtime.block_on(table.append_dead_letters(&outbox))?;
        table.finish(outbox);
    }
    loop {
        let next = offset_of(&table);
        if next >= END {
            return runtime.block_on(table.close());
        }
        state = format!("{state}+{next}");
        let epoch = epoch(place, &table, next, &state)?;
        let outbox = place.commit(&mut table, &epoch)?;
        runtime.block_on(table.append_dead_letters(&outbox))?;
        table.finish(outbox);
        runtime.block_on(table.maintain())?;
        if next % 2 == 0 {
            // A quiet time.
            runtime.block_on(table.forget_finished())?;
        }
    }
}

fn offset_of(table: &AuditTable) -> i64 {
    table.offsets().get(&partition()).copied().unwrap_or(0)
}

/// The offsets at which the epochs before began: what a detector knows at the offset of the table.
fn state_of(place: &Place, table: &AuditTable) -> Result<String, audit_sink::Error> {
    let states = place.runtime.block_on(table.states())?;
    let bytes = states.first().map(|state| state.bytes.clone()).unwrap_or_default();
    Ok(String::from_utf8(bytes).unwrap())
}

fn epoch(place: &Place, table: &AuditTable, start: i64, state: &str) -> Result<Epoch, Error> {
    let mut writer = place.writer(table);
    let actions = [format!("a{start}"), format!("b{start}")];
    writer.write(&Arc::from("events"), rows(start, &actions.each_ref().map(String::as_str)))?;
    writer.write_dead_letters(vec![dead_letter(start + 2)])?;
    let mut covered = Offsets::default();
    covered
        .cover(partition(), Span { start, next: start + RECORDS, records: 3, leader_epoch: None })
        .unwrap();
    let plugin = PluginId {
        name: "p".to_owned(),
        version: "1".to_owned(),
        sha256: "aa".to_owned(),
        config_sha256: "bb".to_owned(),
    };
    let bytes = state.as_bytes().to_vec();
    Ok(Epoch {
        staged: writer.seal()?,
        covered,
        alerts: Vec::new(),
        plugins: Vec::new(),
        lookups: BTreeMap::new(),
        changes: Vec::new(),
        states: vec![PluginState { plugin, partition: None, state_version: 1, bytes }],
    })
}

/// After the end, with a catalog and a store that work.
fn check(place: &Place, context: &str) {
    let starts = || (0..END).step_by(usize::try_from(RECORDS).unwrap());
    let expected: HashMap<_, _> =
        starts().flat_map(|at| [(format!("a{at}"), 1), (format!("b{at}"), 1)]).collect();
    assert_eq!(place.count("ns.t", schema::ACTION_TYPE), expected, "rows, {context}");
    let expected = HashMap::from([("invalid-json".to_owned(), starts().count() as u64)]);
    assert_eq!(place.count("ns.t_dead_letters", "reason_class"), expected, "letters, {context}");
    let mut table = open(place, &Plan::default()).unwrap();
    assert_eq!(offset_of(&table), END, "offset, {context}");
    let state = starts().fold(String::new(), |all, at| format!("{all}+{at}"));
    assert_eq!(state_of(place, &table).unwrap(), state, "state, {context}");
    let pending = place.runtime.block_on(table.unfinished()).unwrap();
    assert!(pending.is_empty(), "pending, {context}: {pending:?}");
}

#[test]
fn whatever_fails_each_record_is_there_once() {
    let (mut seen, mut n_failed) = (BTreeMap::new(), 0);
    for seed in 1..=SEEDS {
        let (place, plan) = (Place::new(), Plan::seeded(seed, PER_MILLE));
        for _ in 0..FAILING_RUNS_MAX {
            match run(&place, &plan) {
                Ok(()) => break,
                // Nobody else writes to the table.
                Err(error) => assert_eq!(error.kind(), Kind::Failed, "seed {seed}: {error:?}"),
            }
            n_failed += 1;
        }
        plan.stop();
        run(&place, &plan).unwrap();
        check(&place, &format!("seed {seed}"));
        for (fault, n) in plan.seen() {
            *seen.entry(fault).or_insert(0) += n;
        }
    }
    // The harness itself.
    assert!(n_failed > 0, "no run failed");
    for (op, fault) in [Op::Replace, Op::Ask, Op::Read, Op::Write, Op::Stream]
        .into_iter()
        .flat_map(|op| FAULTS.into_iter().map(move |fault| (op, fault)))
        .filter(|(op, fault)| op.meets(*fault))
    {
        assert!(seen.contains_key(&(op, fault)), "{op:?} never met {fault:?}: {seen:?}");
    }
}

#[test]
fn one_false_answer_of_the_catalog_ends_no_run() {
    // The claim, a commit, its dead letters, forgetting: the fifth is of the second epoch.
    for (nth, fault) in (1..=5).flat_map(|nth| FAULTS.into_iter().map(move |fault| (nth, fault))) {
        let (place, plan) = (Place::new(), Plan::default());
        plan.fail_once(Op::Replace, nth, fault);
        run(&place, &plan).unwrap_or_else(|error| panic!("{fault:?} at {nth}: {error:?}"));
        assert!(plan.has_failed(), "{fault:?} at {nth}");
        check(&place, &format!("{fault:?} at {nth}"));
    }
}

/// The commit took effect, its answer was lost, and nobody can find out now.
#[test]
fn an_outcome_that_cannot_be_known_is_said_to_be_unknown_and_found_by_the_next_start() {
    for (fault, is_committed) in [(Fault::LostAnswer, true), (Fault::Refused, false)] {
        let (place, plan) = (Place::new(), Plan::default());
        plan.fail_once(Op::Replace, 2, fault);
        plan.then_refuse(Op::Ask);
        let error = run(&place, &plan).unwrap_err();
        assert_eq!((error.code(), error.kind()), ("AH-0535", Kind::Failed), "{error:?}");
        let text = std::error::Error::source(&error).unwrap().to_string();
        let cause = format!("injected: {fault:?}");
        assert!(text.contains(&cause) && text.contains("is unknown"), "{text}");
        plan.stop();
        let offset = offset_of(&open(&place, &plan).unwrap());
        assert_eq!(offset, if is_committed { RECORDS } else { 0 }, "{fault:?}");
        run(&place, &plan).unwrap();
        check(&place, &format!("{fault:?}"));
    }
}
