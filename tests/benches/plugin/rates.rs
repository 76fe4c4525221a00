//! Each plugin as a component in the chain, beside the same code run natively.
//!
//! Native is the code that the component runs, called through the SDK with the columns in its hands
//! already. The component's time is that of the whole chain: columns into the sandbox, the plugin, its
//! answer back, every check of the answer. So the ratio holds the boundary and the slower code.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use audit_chain::{Granted, PluginSource};
use audit_core::Batch;
use audit_lookup::{KeyKind, Lookups, Set, Table, TableDefinition};
use audit_plugin_sdk::testing;
use detect_failed_logins::DetectFailedLogins;
use detect_ip_spread::DetectIpSpread;
use detect_mass_export::DetectMassExport;
use detect_off_hours::DetectOffHours;
use detect_privilege_change::DetectPrivilegeChange;
use detect_unusual_volume::DetectUnusualVolume;
use enrich_context::EnrichContext;
use redact_pii::RedactPii;
use serde_json::{Value, json};

use crate::chains::{self, Bench, per, ratio};
use crate::copy_column::CopyColumn;
use crate::table::{self, rounded};
use crate::{events, native};

/// The program's own, and twice it.
const BATCH_ROWS: [usize; 2] = [4096, 8192];

const ROLES: &str = "user_id,role\nuser_001,admin\nuser_002,editor\nuser_003,viewer\n";

/// A plugin both ways.
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    pub(crate) component: Vec<u8>,
    pub(crate) config: Value,
    pub(crate) native: Native,
}

/// All batches through a new instance with that configuration.
type Native = fn(&str, &[Batch]) -> Result<Duration>;

impl Subject {
    /// With the tables that there are.
    pub(crate) fn source(&self, lookups: &Lookups) -> PluginSource {
        let names = ["roles", "networks", "office"].map(str::to_owned);
        let lookups = Granted { names: names.into(), lookups: lookups.clone() };
        PluginSource { lookups, ..chains::source(&self.component, &self.config) }
    }

    pub(crate) fn natively(&self, batches: &[Batch]) -> Result<Duration> {
        (self.native)(&self.config.to_string(), batches)
    }
}

/// Times of one plugin in one batch size, by round.
#[derive(Default)]
struct Times {
    native: Vec<Duration>,
    wasm: Vec<Duration>,
}

pub(crate) fn tables(bench: &Bench) -> Result<Vec<table::Table>> {
    let mut subjects = vec![copy_column()?];
    subjects.extend(builtin()?);
    let lookups = roles()?;
    let title = format!("{} generated events; medians of {} rounds", bench.n_rows, bench.n_runs);
    let columns = ["plugin", "rows a batch", "native, ns/row", "component, ns/row", "ratio"];
    let mut table = table::Table::new(title, &columns);
    for batch_rows in BATCH_ROWS {
        let batches = events::batches(bench.n_rows, batch_rows)?;
        let mut times: Vec<Times> = subjects.iter().map(|_| Times::default()).collect();
        for _ in 0..bench.n_runs {
            for (subject, times) in subjects.iter().zip(&mut times) {
                times.native.push(subject.natively(&batches)?);
                let mut chain = chains::chain(&bench.engine, vec![subject.source(&lookups)])?;
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

fn copy_column() -> Result<Subject> {
    let component = chains::guest("copy_column")?;
    Ok(Subject {
        name: "copy_column",
        component,
        config: json!({}),
        native: native::transform::<CopyColumn>,
    })
}

/// All built-in plugins in the order of a chain, with their defaults.
pub(crate) fn builtin() -> Result<Vec<Subject>> {
    let of = |name, config, native: Native| -> Result<Subject> {
        Ok(Subject { name, component: chains::plugin(name)?, config, native })
    };
    Ok(vec![
        of("enrich_context", json!({}), native::transform::<EnrichContext>)?,
        of("detect_failed_logins", json!({}), native::detect::<DetectFailedLogins>)?,
        of("detect_off_hours", json!({}), native::detect::<DetectOffHours>)?,
        of("detect_ip_spread", json!({}), native::detect::<DetectIpSpread>)?,
        of(
            "detect_privilege_change",
            json!({ "roles": "roles" }),
            native::detect::<DetectPrivilegeChange>,
        )?,
        of("detect_unusual_volume", json!({}), native::detect::<DetectUnusualVolume>)?,
        of("detect_mass_export", json!({}), native::detect::<DetectMassExport>)?,
        of("redact_pii", json!({}), native::transform::<RedactPii>)?,
    ])
}

/// A table of roles for the pattern's users, granted to the code of this thread as well.
pub(crate) fn roles() -> Result<Lookups> {
    let definition = TableDefinition {
        file: "roles.csv".into(),
        kind: KeyKind::Exact,
        key: "user_id".to_owned(),
        valid_from: None,
        valid_to: None,
        file_bytes_max: None,
        rows_max: None,
    };
    let table = Table::from_csv("lookups.roles", &definition, ROLES)?;
    testing::give_table("roles", testing::Table::from_csv("user_id", ROLES));
    Ok(Lookups::new(Set::of([("roles".to_owned(), table)].into(), BTreeMap::new())))
}
