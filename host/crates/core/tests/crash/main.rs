//! The pipeline with parts in memory, failed at any step of any stage and started again.
//!
//! Goal: whatever fails, and whether before or after it took effect, rows and dead letters end in the table exactly
//! once, the detector's state is that of an undisturbed run, and every alert of such a run is delivered at least
//! once, under the same id, and no other. Method: every operation of every part asks a fault plan, drawn from a
//! seed, whether to fail now; the catalog may answer falsely or never; another instance may take over. What a table,
//! an outbox and receivers would keep survives, the pipeline is built again. A failing seed is printed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod answer;
mod catalog;
mod kept;
mod stages;
mod table;
mod world;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use audit_core::pipeline::{Stages, Stop, run};
use audit_core::{Budget, Counters, Error, Kind};

use crate::answer::{Answer, FALSE_ANSWERS};
use crate::stages::{PARTITIONS, Part, RECORDS_EACH, encode, is_bad};
use crate::world::{SETTLING, World, operations};

const SEEDS: u64 = 300;
const ROWS_MAX: u64 = 50;

async fn run_once(world: &Arc<World>, rows_max: u64) -> Result<(), Error> {
    let part = Part::start(world).await?;
    let stages = Stages {
        source: Box::new(part.clone()),
        decoder: Box::new(part.clone()),
        chain: Box::new(part.clone()),
        writer: Box::new(part.clone()),
        table: Box::new(part.clone()),
        alerts: Box::new(part.clone()),
        acks: Box::new(part),
    };
    let budget = Budget { interval: Duration::from_mins(1), rows_max };
    let ended = run(stages, budget, Stop::default(), Arc::new(Counters::default()));
    tokio::time::timeout(Duration::from_secs(20), ended).await.expect("the pipeline hangs")
}

fn new_world() -> Arc<World> {
    World::new(|world| Box::pin(async move { run_once(&world, ROWS_MAX).await }))
}

/// What an undisturbed run leaves: the state, and id and text of its alerts.
type Expected = (Option<u64>, BTreeSet<(String, String)>);

fn left_by(world: &World) -> Expected {
    let kept = world.kept();
    let alerts = kept.delivered.iter().map(|alert| (alert.id.clone(), alert.message.clone()));
    (kept.state, alerts.collect())
}

async fn undisturbed() -> Expected {
    let world = new_world();
    run_once(&world, ROWS_MAX).await.unwrap();
    left_by(&world)
}

fn check(world: &World, expected: &Expected, context: &str) {
    // Ids are hashes of texts, and the texts hold the state: so this is equal only if every alert was raised from the
    // same state each time that it was raised.
    assert_eq!(left_by(world), *expected, "state and alerts, {context}");
    let kept = world.kept();
    let all =
        || (0..PARTITIONS).flat_map(|partition| (0..RECORDS_EACH).map(move |at| (partition, at)));
    let mut rows = kept.rows.clone();
    rows.sort_unstable();
    let expect = all().filter(|(_, at)| !is_bad(*at)).map(|(p, at)| encode(p, at));
    assert_eq!(rows, expect.collect::<Vec<_>>(), "rows, {context}");

    let mut dead = kept.dead_letters.clone();
    dead.sort();
    let mut expect: Vec<_> =
        all().filter(|(_, at)| is_bad(*at)).map(|(p, at)| format!("{p}@{at}")).collect();
    expect.sort();
    assert_eq!(dead, expect, "dead letters, {context}");

    assert!(kept.pending.is_empty(), "pending outboxes, {context}");
    kept.check_objects();
    for (at, acknowledged) in &kept.acknowledged {
        assert!(kept.offsets[at] >= *acknowledged, "{at} is acknowledged too far, {context}");
    }
}

/// xorshift64*: enough to spread faults, and the same on every machine.
fn next(seed: &mut u64) -> u64 {
    *seed ^= *seed >> 12;
    *seed ^= *seed << 25;
    *seed ^= *seed >> 27;
    seed.wrapping_mul(0x2545_F491_4F6C_DD1D)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_undisturbed_run_stores_everything_once() {
    let world = new_world();
    run_once(&world, ROWS_MAX).await.unwrap();
    let expected = left_by(&world);
    check(&world, &expected, "no fault");
    assert!(world.n_epochs.load(Ordering::Relaxed) > 3, "the budget must cut epochs");
    assert_eq!(expected.1.len(), world.kept().delivered.len(), "an alert came twice");
    assert_eq!(expected.1.len(), usize::try_from(PARTITIONS).unwrap() * 5, "every alert");
    // Another run reads nothing, and has nothing to recover.
    run_once(&world, ROWS_MAX).await.unwrap();
    check(&world, &expected, "nothing to read");
    assert_eq!(expected.1.len(), world.kept().delivered.len(), "an alert came twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_of_each_operation_is_recovered_by_the_next_start() {
    let expected = undisturbed().await;
    for operation in operations() {
        let world = new_world();
        *world.fails_once.lock().unwrap() = Some(operation);
        let failed = run_once(&world, ROWS_MAX).await.unwrap_err().to_string();
        assert_eq!(failed, format!("injected at {operation}"));
        // An outbox is pending at the next start, too: recovering it can fail as well.
        *world.fails_once.lock().unwrap() = Some(operation);
        if let Err(failed) = run_once(&world, ROWS_MAX).await {
            assert_eq!(failed.to_string(), format!("injected at {operation}"));
        }
        *world.fails_once.lock().unwrap() = None;
        run_once(&world, ROWS_MAX).await.unwrap();
        check(&world, &expected, operation);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_catalog_that_answers_falsely_once_changes_nothing() {
    let expected = undisturbed().await;
    // The claim, a commit, dead letters, garbage and the end: each meets each answer, in one run or another.
    for (answer, n_honest) in FALSE_ANSWERS.iter().flat_map(|a| (0..12).map(move |n| (*a, n))) {
        let world = new_world();
        let mut answers = vec![Answer::Honest; n_honest];
        answers.insert(0, answer);
        *world.answers.lock().unwrap() = answers;
        run_once(&world, ROWS_MAX).await.unwrap();
        check(&world, &expected, &format!("{answer:?} after {n_honest}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_that_takes_effect_after_its_instance_died_counts_once() {
    let expected = undisturbed().await;
    for (after, n_honest) in [("after commit", 1), ("after dead letters", 2)] {
        let world = new_world();
        *world.fails_once.lock().unwrap() = Some(after);
        let mut answers = vec![Answer::Honest; n_honest];
        answers.insert(0, Answer::Late);
        *world.answers.lock().unwrap() = answers;
        run_once(&world, ROWS_MAX).await.unwrap_err();
        assert!(world.late.lock().unwrap().is_some(), "nothing is late, {after}");
        run_once(&world, ROWS_MAX).await.unwrap();
        check(&world, &expected, after);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_was_taken_over_is_fenced_and_changes_nothing() {
    let expected = undisturbed().await;
    let mut n_fenced = 0;
    for operation in SETTLING {
        let world = new_world();
        *world.taken_over_once.lock().unwrap() = Some(operation);
        if let Err(error) = run_once(&world, ROWS_MAX).await {
            assert_eq!(error.kind(), Kind::Fenced, "{error}, {operation}");
            n_fenced += 1;
        }
        assert!(world.taken_over_once.lock().unwrap().is_none(), "nobody took over, {operation}");
        // The other one did everything.
        check(&world, &expected, operation);
    }
    assert!(n_fenced > SETTLING.len() / 2, "only {n_fenced} were fenced");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_fails_the_end_is_that_of_an_undisturbed_run() {
    let expected = undisturbed().await;
    let mut n_failed = 0;
    for seed in 1..=SEEDS {
        let mut random = seed;
        let world = new_world();
        let rows_max = 20 + next(&mut random) % 80;
        world.loses_acks.store(next(&mut random).is_multiple_of(2), Ordering::Relaxed);
        for _ in 0..3 {
            let now = world.n_operations.load(Ordering::Relaxed);
            world.fails_at.store(now + next(&mut random) % 300, Ordering::Relaxed);
            if next(&mut random).is_multiple_of(4) {
                let at = now + next(&mut random) % 300;
                world.taken_over_at.store(at, Ordering::Relaxed);
            }
            *world.answers.lock().unwrap() = answers(&mut random);
            n_failed += u64::from(run_once(&world, rows_max).await.is_err());
        }
        world.undisturbed();
        run_once(&world, rows_max).await.unwrap();
        check(&world, &expected, &format!("seed {seed}"));
    }
    // The harness itself: most runs must have been made to fail.
    assert!(n_failed > SEEDS, "only {n_failed} of {} runs failed", 3 * SEEDS);
}

/// Of one run: every eighth is false.
fn answers(random: &mut u64) -> Vec<Answer> {
    let mut answer = || {
        let drawn = usize::try_from(next(random) % (8 * FALSE_ANSWERS.len() as u64)).unwrap();
        FALSE_ANSWERS.get(drawn).copied().unwrap_or(Answer::Honest)
    };
    (0..40).map(|_| answer()).collect()
}
