//! Plugins from their files into the chain: at the start, and whenever something changes.

mod admission;
mod load;

mod reload;

mod shadows;
mod watch;

pub(crate) use admission::{
    Candidate, admit_start, check_candidate, check_columns, report_merged, required,
};
pub(crate) use load::{
    LoadedPlugins, engine, load_chain, load_lookups, read_keys, source, source_of,
};
pub(crate) use reload::Reloader;
pub(crate) use shadows::report_at_end;
pub(crate) use watch::{Cause, Watch, on_hangup};
