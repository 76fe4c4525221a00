//! The table that a command reads.

use std::time::Duration;

use audit_sink::{CatalogSettings, TableName, UpkeepSettings};

use super::error::Error;
use super::file;
use super::flags::TableArgs;
use super::resolve::{catalog, group, table_name, upkeep};
use super::sections::{Run, Table};

/// A table, and the group whose plugins wrote it.
#[derive(Debug)]
pub(crate) struct TableRef {
    pub(crate) catalog: CatalogSettings,
    pub(crate) name: TableName,
    pub(crate) group: String,
    pub(crate) upkeep: UpkeepSettings,
    pub(crate) lane_lease: Duration,
}

/// As [`super::resolve`], but only what names the table is needed: the same file serves both.
pub(crate) fn resolve_table(args: TableArgs) -> Result<TableRef, Error> {
    let TableArgs { config, catalog: uri, warehouse, table, group: given } = args;
    let file = file::read_given(config.as_deref())?;
    let flags = Table { catalog: uri, warehouse, name: table, ..Table::default() };
    let table = flags.over(file.table);
    let name = table.name.clone();
    let upkeep = upkeep(&table)?;
    let lease = Run::lane_lease();
    Ok(TableRef {
        upkeep,
        lane_lease: lease.time(&lease.name(), file.run.lane_lease.as_deref())?,
        catalog: catalog(table)?,
        name: table_name(name)?,
        group: group(given.or(file.kafka.group))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_a_run_is_enough() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = "[table]\nname = \"ns.t\"\nwarehouse = \"/w\"\n[kafka]\ngroup = \"g\"\n";
        std::fs::write(file.path(), text).unwrap();
        let args = || TableArgs { config: Some(file.path().to_owned()), ..TableArgs::default() };
        let table = resolve_table(args()).unwrap();
        assert_eq!(table.catalog.uri, "sqlite:/w/catalog.db");
        assert_eq!((table.name.to_string().as_str(), table.group.as_str()), ("ns.t", "g"));
        let flags = TableArgs { table: Some("a.b".to_owned()), ..args() };
        assert_eq!(resolve_table(flags).unwrap().name.to_string(), "a.b");
        let nothing = resolve_table(TableArgs::default()).unwrap_err().to_string();
        assert!(nothing.contains("--catalog or --warehouse"), "{nothing}");
    }
}
