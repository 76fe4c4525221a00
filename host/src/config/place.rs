//! Which table a command means that reads one.

use audit_sink::{CatalogSettings, TableName};

use super::Error;
use super::file::{self, File};
use super::resolve;
use crate::cli::{RunArgs, TableArgs};

/// A table, and the group whose plugins wrote it.
#[derive(Debug)]
pub(crate) struct TablePlace {
    pub(crate) catalog: CatalogSettings,
    pub(crate) name: TableName,
    pub(crate) group: String,
}

/// As [`super::resolve`], but nothing of a run is needed: the same file serves both.
pub(crate) fn resolve_table(args: TableArgs) -> Result<TablePlace, Error> {
    let TableArgs { config, catalog, warehouse, table, group } = args;
    let file = match &config {
        Some(path) => file::read(path)?,
        None => File::default(),
    };
    let run = RunArgs { catalog, warehouse, ..RunArgs::default() };
    Ok(TablePlace {
        catalog: resolve::catalog(&run, &file)?,
        name: resolve::table_name(table.or(file.table.name))?,
        group: resolve::group(group.or(file.kafka.group))?,
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
        let place = resolve_table(args()).unwrap();
        assert_eq!(place.catalog.uri, "sqlite:/w/catalog.db");
        assert_eq!((place.name.to_string().as_str(), place.group.as_str()), ("ns.t", "g"));
        let flags = TableArgs { table: Some("a.b".to_owned()), ..args() };
        assert_eq!(resolve_table(flags).unwrap().name.to_string(), "a.b");
        let nothing = resolve_table(TableArgs::default()).unwrap_err().to_string();
        assert!(nothing.contains("--catalog or --warehouse"), "{nothing}");
    }
}
