mod world;

use std::process::Command;
use std::time::{Duration, Instant};

use iceberg::spec::{FieldSummary, ManifestContentType, ManifestFile};

use crate::upkeep::merge::{self, MergeSettings};
use crate::upkeep::{
    Upkeep, UpkeepSettings, plan_expire, plan_garbage, plan_merge, run_expire, run_garbage,
    run_merge,
};
use world::{GROUP, World, history_of, settings};

/// Small, so that a test passes through every limit often.
const SMALL: [(&str, &str); 2] =
    [("write.metadata.previous-versions-max", "10"), ("commit.manifest.min-count-to-merge", "8")];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundreds_of_commits_leave_only_what_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), &SMALL).await;
    let mut upkeep = Upkeep::new(settings(10));
    for n in 0..300 {
        world.append(if n < 150 { "a" } else { "b" }).await;
        if n % 2 == 0 {
            world.settle(&mut upkeep).await;
        }
    }
    world.settle(&mut upkeep).await;
    let table = world.table().await;
    assert!(table.metadata().snapshots().len() <= 10 + 6, "{}", table.metadata().snapshots().len());
    let orphans = world.orphans().await;
    // What the last pass found waits for the next one, which comes with the next commits.
    let waiting = plan_garbage(&world.store, &world.name, &settings(10)).await.unwrap();
    assert!(orphans.len() <= waiting.n_waiting + 30, "{waiting:?} {orphans:#?}");
    let current = table.metadata().current_snapshot().unwrap();
    let list = table.manifest_list_reader(current).load().await.unwrap();
    assert!(list.entries().len() < 3 * 8, "{} manifests", list.entries().len());
}

/// Commits that come faster than the budget allows to merge for, with garbage that is always due.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn manifests_do_not_pile_up_while_the_upkeep_rests() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), &SMALL).await;
    let mut upkeep = Upkeep::new(settings(10));
    for _ in 0..150 {
        world.append("a").await;
        loop {
            upkeep.tend(&world.store, &world.name).await.unwrap();
            assert!(upkeep.warned.is_empty(), "{:?}", upkeep.warned);
            upkeep.merge_rest.until(Instant::now() + Duration::from_hours(1));
            let is_working = upkeep.job.as_ref().is_some_and(|job| !job.is_finished());
            if !is_working {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    let table = world.table().await;
    let current = table.metadata().current_snapshot().unwrap();
    let list = table.manifest_list_reader(current).load().await.unwrap();
    assert!(list.entries().len() < 4 * 8, "{} manifests", list.entries().len());
}

#[tokio::test]
async fn a_second_run_right_after_does_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), &SMALL).await;
    for _ in 0..60 {
        world.append("a").await;
    }
    let (store, name, keep) = (&world.store, &world.name, settings(10));
    let planned = plan_expire(store, name, &keep).await.unwrap();
    assert_eq!((planned.snapshots.len(), planned.n_kept), (50, 10));
    let done = run_expire(store, name, &keep).await.unwrap();
    assert_eq!(done, planned);
    assert!(run_expire(store, name, &keep).await.unwrap().snapshots.is_empty());

    let planned = plan_merge(store, name).await.unwrap();
    assert_eq!((planned.n_manifests, planned.n_merged), (60, 60));
    assert_eq!(run_merge(store, name).await.unwrap().n_merged, 60);
    let again = run_merge(store, name).await.unwrap();
    assert_eq!((again.n_manifests, again.n_merged), (1, 0));

    let planned = plan_garbage(store, name, &keep).await.unwrap();
    let done = run_garbage(store, name, &keep).await.unwrap();
    assert_eq!(done.removed, planned.removed);
    let at = world.table().await.metadata_location().unwrap().to_owned();
    // What the first run found is due at once here: the second removes it, the third finds nothing.
    run_garbage(store, name, &keep).await.unwrap();
    let steady = world.table().await.metadata_location().unwrap().to_owned();
    let third = run_garbage(store, name, &UpkeepSettings::default()).await.unwrap();
    assert!(third.removed.is_empty(), "{third:?} {at}");
    assert_eq!(world.table().await.metadata_location().unwrap(), steady);
    world.check().await;
}

#[tokio::test]
async fn the_history_answers_for_snapshots_that_are_gone() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), &[]).await;
    for n in 0..150 {
        world.append(if n < 75 { "a" } else { "b" }).await;
    }
    let before = world.table().await;
    run_expire(&world.store, &world.name, &settings(10)).await.unwrap();
    let history = history_of(&world).await;
    let entries = history.entries(&world.store).await.unwrap();
    let commits: u64 = entries.runs.iter().map(|run| run.commits).sum();
    assert_eq!(commits, 140);
    // One for each plugin, and one more if the hour changed meanwhile.
    assert!((2..=3).contains(&entries.runs.len()), "{:#?}", entries.runs);
    let spans: Vec<_> = entries.runs.iter().map(|run| run.spans["t"][&0]).collect();
    assert_eq!((spans[0].0, spans.last().unwrap().1), (0, 1400));
    assert!(spans.windows(2).all(|pair| pair[0].1 == pair[1].0), "{spans:?}");
    assert_eq!(spans.iter().map(|span| span.2 + span.3).sum::<u64>(), 1400);
    assert_eq!(entries.changes.len(), 2);
    let known: Vec<_> = before.metadata().snapshots().map(|it| it.snapshot_id()).collect();
    assert!(entries.changes.iter().all(|change| known.contains(&change.mark.snapshot)));
    let topics = ["t".to_owned()];
    let offsets: Vec<_> = history.offsets(GROUP, &topics).map(|(_, next)| next).collect();
    assert_eq!(offsets, [1400]);
    assert_eq!(history.chain(GROUP).unwrap()[0].name, "b");
    assert!(history.chain("other").is_none());
}

#[tokio::test]
async fn a_tagged_snapshot_stays_and_so_does_what_it_names() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), &SMALL).await;
    let mut upkeep = Upkeep::new(settings(5));
    for _ in 0..4 {
        world.append("a").await;
    }
    world.tag(0).await;
    for _ in 0..80 {
        world.append("a").await;
        world.settle(&mut upkeep).await;
    }
    let refs = crate::upkeep::retention::refs(world.table().await.metadata()).unwrap();
    assert_eq!(refs.len(), 2, "{refs:?}");
    world.check().await;
}

#[tokio::test]
async fn a_silent_group_keeps_its_newest_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), &[]).await;
    world.group = "silent";
    let ids = [world.append("a").await, world.append("a").await];
    let ids = ids.map(|table| table.metadata().current_snapshot_id().unwrap());
    world.group = GROUP;
    for _ in 0..20 {
        world.append("a").await;
    }
    run_expire(&world.store, &world.name, &settings(5)).await.unwrap();
    let table = world.table().await;
    let has = ids.map(|id| table.metadata().snapshot_by_id(id).is_some());
    assert_eq!((has, table.metadata().snapshots().len()), ([false, true], 6));
}

#[tokio::test]
async fn nothing_is_removed_where_the_table_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), &[SMALL[1], ("gc.enabled", "false")]).await;
    let mut upkeep = Upkeep::new(settings(5));
    for _ in 0..60 {
        world.append("a").await;
        world.settle(&mut upkeep).await;
    }
    let table = world.table().await;
    // Merges are snapshots too.
    assert!(table.metadata().snapshots().len() > 60);
    let list = table.manifest_list_reader(table.metadata().current_snapshot().unwrap());
    assert!(list.load().await.unwrap().entries().len() < 20);
    for error in [
        run_expire(&world.store, &world.name, &settings(5)).await.unwrap_err(),
        run_garbage(&world.store, &world.name, &settings(5)).await.unwrap_err(),
    ] {
        assert_eq!(error.code(), "AH-0540");
        assert!(error.to_string().contains("gc.enabled"), "{error}");
    }
    world.check().await;
}

/// Numbers from a seed.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % n).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_others_do_every_named_file_exists() {
    for seed in 1..=3_u64 {
        println!("seed {seed}");
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let dir = tempfile::tempdir().unwrap();
        let mut world = World::open(dir.path(), &SMALL).await;
        world.append("a").await;
        let mut upkeep = Upkeep::new(settings(6));
        for _ in 0..160 {
            let nth = random.below(1_000);
            match random.below(20) {
                0 => world.compact(nth).await,
                1 => world.roll_back(nth).await,
                2 => world.tag(nth).await,
                3 => world.expire_elsewhere(3 + nth % 5).await,
                // The process ends and another one starts.
                4 => upkeep = Upkeep::new(settings(6)),
                5..=9 => {
                    world.settle(&mut upkeep).await;
                }
                _ if world.table().await.metadata().snapshots().len() > 40 => {
                    world.settle(&mut upkeep).await;
                }
                _ => {
                    world.append("a").await;
                }
            }
            world.check().await;
        }
    }
}

/// Commits and steps until it is killed. Does nothing unless a test starts it in a process of its own.
#[tokio::test]
async fn victim() {
    let Some(folder) = std::env::var_os("AUDIT_HOST_TEST_VICTIM") else { return };
    audit_core::fail_point::arm().unwrap();
    let mut world = World::open(folder.as_ref(), &SMALL).await;
    let mut upkeep = Upkeep::new(settings(6));
    for _ in 0..60 {
        world.append("a").await;
        world.settle(&mut upkeep).await;
    }
}

#[test]
fn a_kill_at_any_step_loses_nothing_and_the_next_run_goes_on() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for step in [
        "expire-planned",
        "history-written",
        "garbage-written",
        "expire-committed",
        "garbage-removed",
        "merge-written",
        "merge-committed",
    ] {
        let dir = tempfile::tempdir().unwrap();
        for n in 1..=3 {
            let status = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "upkeep::tests::victim", "--nocapture"])
                .env("AUDIT_HOST_TEST_VICTIM", dir.path())
                .env("AUDIT_HOST_FAIL_POINT", format!("{step}:{n}"))
                .output()
                .unwrap();
            assert_eq!(status.status.code(), None, "{step} was never reached: {status:?}");
            runtime.block_on(async {
                let mut world = World::open(dir.path(), &SMALL).await;
                // It is killed after the commit of an epoch and before the next.
                assert_eq!(world.files.len(), world.n_data_files(), "{step}:{n}");
                world.check().await;
                let mut upkeep = Upkeep::new(settings(6));
                for _ in 0..12 {
                    world.append("a").await;
                    world.settle(&mut upkeep).await;
                    world.check().await;
                }
            });
        }
    }
}

#[test]
fn manifests_of_one_size_are_merged_once_there_are_enough() {
    let settings = MergeSettings::with(1_000_000, 4);
    let check = |sizes: &[i64], expected: &[i64]| {
        let manifests: Vec<_> = sizes.iter().map(|bytes| manifest(*bytes)).collect();
        let plan = merge::plan(&manifests, settings);
        let planned: Vec<_> = plan.iter().map(|manifest| manifest.manifest_length).collect();
        assert_eq!(planned, expected, "{sizes:?}");
    };
    check(&[], &[]);
    check(&[5_000; 3], &[]);
    check(&[5_000; 4], &[5_000; 4]);
    // Large ones are left alone, whatever their number.
    check(&[600_000; 9], &[]);
    // Those of another size wait for their own.
    check(&[5_000, 50_000, 5_000, 50_000, 5_000, 50_000], &[]);
    check(&[50_000, 5_000, 50_000, 50_000, 50_000], &[50_000; 4]);
    // Fewer, when they fill one.
    check(&[400_000; 3], &[400_000; 2]);
    check(&[300_000; 5], &[300_000; 3]);
}

/// What a merge keeps in memory is bounded by entries, however well they compress.
#[test]
fn a_merged_manifest_has_a_bounded_number_of_entries() {
    let settings = MergeSettings::with(1_000_000, 4);
    for (n_entries, expected) in [(3_000, 3), (4_999, 2), (5_000, 0), (1_000, 9)] {
        let one = || ManifestFile { existing_files_count: Some(n_entries - 1), ..manifest(5_000) };
        let plan = merge::plan(&(0..9).map(|_| one()).collect::<Vec<_>>(), settings);
        assert_eq!(plan.len(), expected, "{n_entries} entries each");
    }
}

fn manifest(bytes: i64) -> ManifestFile {
    ManifestFile {
        manifest_path: uuid::Uuid::now_v7().to_string(),
        manifest_length: bytes,
        partition_spec_id: 0,
        content: ManifestContentType::Data,
        sequence_number: 1,
        min_sequence_number: 1,
        added_snapshot_id: 1,
        added_files_count: Some(1),
        existing_files_count: Some(0),
        deleted_files_count: Some(0),
        added_rows_count: Some(1),
        existing_rows_count: Some(0),
        deleted_rows_count: Some(0),
        partitions: None,
        key_metadata: None,
        first_row_id: None,
    }
}

#[tokio::test]
async fn a_merged_manifest_keeps_bounds_sequence_numbers_and_order() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path(), &[]).await;
    for _ in 0..100 {
        world.append("a").await;
    }
    let entries = entries_of(&world).await;
    run_merge(&world.store, &world.name).await.unwrap();
    assert_eq!(entries_of(&world).await, entries);
    let table = world.table().await;
    let snapshot = table.metadata().current_snapshot().unwrap();
    let summary = &snapshot.summary().additional_properties;
    assert_eq!(summary["total-data-files"], "100");
    assert!(!summary.contains_key(crate::table::names::SUMMARY_OFFSETS));
    let list = table.manifest_list_reader(snapshot).load().await.unwrap();
    let [merged] = list.entries() else { panic!("{} manifests", list.entries().len()) };
    assert_eq!((merged.existing_files_count, merged.added_files_count), (Some(100), Some(0)));
    assert_eq!(merged.min_sequence_number, 1);
    let [FieldSummary { contains_null, lower_bound, upper_bound, .. }] =
        merged.partitions.as_deref().unwrap()
    else {
        panic!("{:?}", merged.partitions)
    };
    let int = |bytes: &Option<iceberg::spec::ByteBuf>| bytes.as_ref().unwrap().to_vec();
    assert_eq!((*contains_null, int(lower_bound)), (false, 0_i32.to_le_bytes().to_vec()));
    assert_eq!(int(upper_bound), 9_i32.to_le_bytes().to_vec());
    world.append("a").await;
    world.check().await;
}

/// Path, sequence number and snapshot of every live file, in the order in which readers meet them.
async fn entries_of(world: &World) -> Vec<(String, Option<i64>, Option<i64>)> {
    let table = world.table().await;
    let snapshot = table.metadata().current_snapshot().unwrap();
    let list = table.manifest_list_reader(snapshot).load().await.unwrap();
    let mut entries = Vec::new();
    for manifest in list.entries() {
        let manifest = manifest.load_manifest(table.file_io()).await.unwrap();
        let of = manifest.entries().iter();
        let of = of.map(|it| (it.file_path().to_owned(), it.sequence_number(), it.snapshot_id()));
        entries.extend(of);
    }
    entries
}
