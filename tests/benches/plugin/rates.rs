//! Each plugin as a component in the chain, beside the same code run natively.
//!
//! Native is the code that the component runs, called through the SDK with the columns in its hands
//! already. The component's time is that of the whole chain: columns into the sandbox, the plugin, its
//! answer back, every check of the answer. So the ratio holds the boundary and the slower code.

use std::time::Duration;

use anyhow::Result;
use audit_core::Batch;
use detect_failed_logins::DetectFailedLogins;
use detect_ip_spread::DetectIpSpread;
use detect_mass_export::DetectMassExport;
use detect_off_hours::DetectOffHours;
use detect_unusual_volume::DetectUnusualVolume;
use enrich_context::EnrichContext;
use redact_pii::RedactPii;
use serde_json::json;

use crate::chains::{self, Bench, per, ratio};
use crate::copy_column::CopyColumn;
use crate::table::{Table, rounded};
use crate::{events, native};

/// The program's own, and twice it.
const BATCH_ROWS: [usize; 2] = [4096, 8192];

/// A plugin both ways.
struct Subject {
    name: &'static str,
    component: Vec<u8>,
    native: fn(&[Batch]) -> Result<Duration>,
}

/// Times of one plugin in one batch size, by round.
#[derive(Default)]
struct Times {
    native: Vec<Duration>,
    wasm: Vec<Duration>,
}

pub(crate) fn tables(bench: &Bench) -> Result<Vec<Table>> {
    let subjects = subjects()?;
    let title = format!("{} generated events; medians of {} rounds", bench.n_rows, bench.n_runs);
    let columns = ["plugin", "rows a batch", "native, ns/row", "component, ns/row", "ratio"];
    let mut table = Table::new(title, &columns);
    for batch_rows in BATCH_ROWS {
        let batches = events::batches(bench.n_rows, batch_rows)?;
        let mut times: Vec<Times> = subjects.iter().map(|_| Times::default()).collect();
        for _ in 0..bench.n_runs {
            for (subject, times) in subjects.iter().zip(&mut times) {
                times.native.push((subject.native)(&batches)?);
                let mut chain = chains::chain_of(&bench.engine, &subject.component)?;
                times.wasm.push(chains::judge_all(&mut chain, &batches)?);
            }
        }
        for (subject, times) in subjects.iter().zip(&times) {
            table.push([
                json!(subject.name),
                json!(batch_rows),
                rounded(per(&times.native, bench.n_rows), 1),
                rounded(per(&times.wasm, bench.n_rows), 1),
                rounded(ratio(&times.wasm, &times.native), 2),
            ]);
        }
    }
    Ok(vec![table])
}

/// All that work with an empty configuration.
fn subjects() -> Result<Vec<Subject>> {
    Ok(vec![
        Subject {
            name: "copy_column",
            component: chains::guest("copy_column")?,
            native: native::transform::<CopyColumn>,
        },
        Subject {
            name: "detect_failed_logins",
            component: chains::plugin("detect_failed_logins")?,
            native: native::detect::<DetectFailedLogins>,
        },
        Subject {
            name: "detect_ip_spread",
            component: chains::plugin("detect_ip_spread")?,
            native: native::detect::<DetectIpSpread>,
        },
        Subject {
            name: "detect_mass_export",
            component: chains::plugin("detect_mass_export")?,
            native: native::detect::<DetectMassExport>,
        },
        Subject {
            name: "detect_off_hours",
            component: chains::plugin("detect_off_hours")?,
            native: native::detect::<DetectOffHours>,
        },
        Subject {
            name: "detect_unusual_volume",
            component: chains::plugin("detect_unusual_volume")?,
            native: native::detect::<DetectUnusualVolume>,
        },
        Subject {
            name: "enrich_context",
            component: chains::plugin("enrich_context")?,
            native: native::transform::<EnrichContext>,
        },
        Subject {
            name: "redact_pii",
            component: chains::plugin("redact_pii")?,
            native: native::transform::<RedactPii>,
        },
    ])
}
