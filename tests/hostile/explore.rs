//! Temporary.
use super::{chain, judge, source};
use anyhow::Result;
use audit_chain::Engine;
use audit_core::stage::Chain;
use serde_json::json;

fn show(engine: &Engine, mode: &str, config: serde_json::Value, rows: usize) {
    let what = format!("{mode} {config}");
    let loaded = source(mode, &config).and_then(|source| chain(engine, source));
    let mut chain = match loaded {
        Ok(chain) => chain,
        Err(error) => {
            println!("## {what}: REFUSED {error:#}");
            return;
        }
    };
    for first in [0, rows as i64] {
        let began = std::time::Instant::now();
        match judge(&mut chain, first, rows) {
            Ok(judged) => {
                let letters: Vec<_> = judged
                    .dead_letters
                    .iter()
                    .take(2)
                    .map(|l| (l.offset, l.class, l.reason.clone()))
                    .collect();
                let alerts: Vec<_> = judged
                    .alerts
                    .iter()
                    .take(2)
                    .map(|a| {
                        format!(
                            "{} {:?} {:?} {} {}",
                            a.rule, a.key, a.labels, a.count, a.last_event
                        )
                    })
                    .collect();
                println!(
                    "## {what}: {} rows, {} letters {letters:?}, {} alerts {alerts:?} in {:?}",
                    judged.rows.num_rows(),
                    judged.dead_letters.len(),
                    judged.alerts.len(),
                    began.elapsed()
                );
            }
            Err(error) => println!("## {what}: ERROR {error:#}"),
        }
        let taken = chain.take_changes();
        let alerts: Vec<_> =
            taken.alerts.iter().map(|a| (a.rule.clone(), a.message.clone())).collect();
        let changes: Vec<_> = taken.changes.iter().map(|c| (c.kind, c.reason.clone())).collect();
        println!("     own: {alerts:?} {changes:?}");
        if mode == "detector" {
            match chain.snapshot() {
                Ok(states) => println!(
                    "     snapshot: {:?}",
                    states.iter().map(|s| s.bytes.len()).collect::<Vec<_>>()
                ),
                Err(error) => println!("     snapshot: ERROR {error:#}"),
            }
        }
    }
}

#[test]
fn explore() -> Result<()> {
    let engine = Engine::new()?;
    for (mode, behavior) in [
        ("detector", "alert-key-twice"),
        ("detector", "alert-times-reversed"),
        ("transform", "configure-reads-nothing"),
        ("transform", "extreme-time"),
        ("transform", "fill-memory"),
        ("transform", "hash-many"),
        ("transform", "huge-column"),
        ("transform", "log-huge"),
        ("transform", "quarantine"),
        ("transform", "quarantine-all"),
        ("transform", "quarantine-nasty"),
        ("detector", "quarantine"),
        ("transform", "hash-endless"),
        ("transform", "huge-column-name"),
        ("transform", "allocate"),
        ("detector", "alert"),
        ("detector", "alert-twice"),
        ("detector", "alert-count-max"),
        ("detector", "alert-nasty-message"),
        ("detector", "alert-huge-message"),
        ("detector", "alert-nasty-labels"),
        ("detector", "alert-many-events"),
        ("detector", "alert-foreign-events"),
        ("transform", "append-mark"),
    ] {
        show(&engine, mode, json!({"do": behavior, "at_offset": 37}), 50);
    }
    for behavior in [
        "realloc-trap",
        "realloc-spin",
        "realloc-log",
        "realloc-null",
        "realloc-out-of-bounds",
        "realloc-unaligned",
    ] {
        show(&engine, "transform", json!({"do": behavior}), 3);
        show(&engine, "detector", json!({"do": behavior}), 3);
    }
    for behavior in ["snapshot-different", "snapshot-empty"] {
        show(&engine, "detector", json!({"do": behavior, "alert_at": [49, 99]}), 50);
        show(
            &engine,
            "detector",
            json!({"do": behavior, "alert_at": [49, 99], "trap_at": [70]}),
            50,
        );
    }
    for mode in ["describe-bad-schema", "describe-huge-schema"] {
        show(&engine, mode, json!({}), 3);
    }
    Ok(())
}
