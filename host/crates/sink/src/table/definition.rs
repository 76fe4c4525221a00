//! The schemas of the tables: created, or checked where a table exists.

use arrow::datatypes::{DataType, Field, TimeUnit};
use audit_core::schema;
use iceberg::TableCreation;
use iceberg::arrow::arrow_type_to_type;
use iceberg::spec::{
    FormatVersion, NestedField, PrimitiveType, Schema, Transform, Type, UnboundPartitionSpec,
};
use iceberg::table::Table;
use iceberg::transaction::{AddColumn, ApplyTransactionAction, Transaction};
use std::collections::HashMap;

use crate::catalog::Store;
use crate::epoch::{dead_letter, system_rows};
use crate::error::Error;
use crate::table::capture::updates_of;
use crate::table::names::TableName;
use crate::table::settings::TableSettings;
use crate::table::swap::{Swapped, swap};

/// A new audit table.
pub(crate) fn audit_table(settings: &TableSettings) -> Result<TableCreation, Error> {
    Ok(TableCreation::builder()
        .name(String::new())
        .schema(audit_schema(&settings.added_columns)?)
        .partition_spec(audit_partitions()?)
        .properties(audit_properties())
        .format_version(FormatVersion::V2)
        .build())
}

/// A new table of dead letters.
pub(crate) fn dead_letters(name: &TableName) -> Result<TableCreation, Error> {
    Ok(TableCreation::builder()
        .name(String::new())
        .schema(dead_letter::schema().map_err(|cause| name.failed("defining", cause))?)
        .properties(HashMap::from([(
            "comment".to_owned(),
            "Records of the audit trail that could not be decoded or judged".to_owned(),
        )]))
        .format_version(FormatVersion::V2)
        .build())
}

/// Checks the audit table, and adds the columns that it lacks.
pub(crate) async fn fit_audit_table(
    store: &Store,
    name: &TableName,
    mut table: Table,
    added: &[Field],
) -> Result<Table, Error> {
    loop {
        let missing = missing_columns(name, &table, added)?;
        check_partitions(name, &table)?;
        if missing.is_empty() {
            return Ok(table);
        }
        let names: Vec<_> = missing.iter().map(|(column, _)| column.as_str()).collect();
        tracing::info!(table = %name, columns = names.join(","), "adding columns to the table");
        let tx = Transaction::new(&table);
        let mut update = tx.update_schema();
        for (column, data_type) in missing {
            update = update.add_column(AddColumn::optional(column, data_type));
        }
        let failed = |cause| name.failed("adding columns to", cause);
        let tx = update.apply(tx).map_err(failed)?;
        let updates = updates_of(&table, tx).await.map_err(failed)?;
        match swap(store, name, &table, updates).await? {
            Swapped::Done(table) => return Ok(table),
            // Another program was quicker: what is missing may be other columns now.
            Swapped::Conflict => table = store.load(name).await?,
        }
    }
}

/// Checks the columns of the table of dead letters.
pub(crate) fn check_dead_letters(name: &TableName, table: &Table) -> Result<(), Error> {
    let wanted = dead_letter::schema().map_err(|cause| name.failed("defining", cause))?;
    for field in wanted.as_struct().fields() {
        check_type(name, table, &field.name, &field.field_type)?;
    }
    Ok(())
}

/// Every column that audit-host writes, in the order of a new table: the event, its origin, the columns that
/// transforms add.
fn wanted_columns(added: &[Field]) -> Vec<(String, DataType)> {
    let event = schema::EVENT_FIELDS.iter().map(|name| {
        let is_time = *name == schema::EVENT_TIMESTAMP;
        (*name, if is_time { schema::timestamp_type() } else { DataType::Utf8 })
    });
    let origin = [
        (schema::INGESTION_TIMESTAMP, schema::timestamp_type()),
        (schema::SOURCE_TOPIC, DataType::Utf8),
        (schema::SOURCE_PARTITION, DataType::Int32),
        (schema::SOURCE_OFFSET, DataType::Int64),
    ];
    let own = event.chain(origin).map(|(name, data_type)| (name.to_owned(), data_type));
    own.chain(added.iter().map(|field| (field.name().clone(), field.data_type().clone()))).collect()
}

fn audit_schema(added: &[Field]) -> Result<Schema, Error> {
    let mut fields = Vec::new();
    for (id, (name, data_type)) in (1..).zip(wanted_columns(added)) {
        fields.push(NestedField::optional(id, name, iceberg_type(&data_type)?).into());
    }
    Schema::builder().with_fields(fields).build().map_err(Error::Files)
}

fn iceberg_type(data_type: &DataType) -> Result<Type, Error> {
    if let DataType::Timestamp(TimeUnit::Microsecond, Some(_)) = data_type {
        return Ok(Type::Primitive(PrimitiveType::Timestamptz));
    }
    arrow_type_to_type(data_type).map_err(Error::Files)
}

/// As in the pattern that audit-host replaces: by day of the event, then by action.
fn audit_partitions() -> Result<UnboundPartitionSpec, Error> {
    let field_id = |name| {
        let idx = schema::EVENT_FIELDS.iter().position(|field| *field == name);
        idx.and_then(|idx| i32::try_from(idx + 1).ok()).unwrap_or_default()
    };
    let spec = UnboundPartitionSpec::builder()
        .add_partition_field(
            field_id(schema::EVENT_TIMESTAMP),
            "event_timestamp_day",
            Transform::Day,
        )
        .and_then(|spec| {
            let action = field_id(schema::ACTION_TYPE);
            spec.add_partition_field(action, schema::ACTION_TYPE, Transform::Identity)
        })
        .map_err(Error::Files)?;
    Ok(spec.build())
}

fn audit_properties() -> HashMap<String, String> {
    [
        // As in the pattern.
        ("write.metadata.delete-after-commit.enabled", "true"),
        ("write.metadata.previous-versions-max", "100"),
        ("write.delete.mode", "copy-on-write"),
        ("comment", "Immutable audit trail for compliance (GDPR, SOX, HIPAA)"),
        // As audit-host writes, for other writers.
        ("write.parquet.compression-codec", "zstd"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}

/// The columns that the table lacks and that may be added: the host's and the transforms', never the event's.
fn missing_columns(
    name: &TableName,
    table: &Table,
    added: &[Field],
) -> Result<Vec<(String, Type)>, Error> {
    let mut missing = Vec::new();
    let present = table.metadata().current_schema();
    for (column, data_type) in wanted_columns(added) {
        let wanted = iceberg_type(&data_type)?;
        if present.field_by_name(&column).is_some() {
            check_type(name, table, &column, &wanted)?;
        } else if schema::EVENT_FIELDS.contains(&column.as_str()) {
            return Err(misfit(name, format!("it has no column {column}")));
        } else {
            missing.push((column, wanted));
        }
    }
    // The rows that the host writes itself have no value for most columns.
    let always_null = present
        .as_struct()
        .fields()
        .iter()
        .find(|field| field.required && !system_rows::FILLED.contains(&field.name.as_str()));
    match always_null {
        Some(field) => {
            let problem =
                format!("it requires the column {}, which some rows do not have", field.name);
            Err(misfit(name, problem))
        }
        None => Ok(missing),
    }
}

fn check_type(name: &TableName, table: &Table, column: &str, wanted: &Type) -> Result<(), Error> {
    match table.metadata().current_schema().field_by_name(column) {
        Some(field) if *field.field_type == *wanted => Ok(()),
        Some(field) => {
            Err(misfit(name, format!("its column {column} is {}, not {wanted}", field.field_type)))
        }
        None => Err(misfit(name, format!("it has no column {column}"))),
    }
}

fn check_partitions(name: &TableName, table: &Table) -> Result<(), Error> {
    let metadata = table.metadata();
    let schema = metadata.current_schema();
    let fields: Vec<_> = metadata
        .default_partition_spec()
        .fields()
        .iter()
        .map(|field| {
            (schema.name_by_field_id(field.source_id).unwrap_or_default(), field.transform)
        })
        .collect();
    let wanted =
        [(schema::EVENT_TIMESTAMP, Transform::Day), (schema::ACTION_TYPE, Transform::Identity)];
    if fields == wanted {
        return Ok(());
    }
    Err(misfit(name, "it is not partitioned by days(event_timestamp), action_type".to_owned()))
}

fn misfit(table: &TableName, problem: String) -> Error {
    Error::OtherSchema { table: table.to_string(), problem }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::CatalogSettings;
    use crate::table::find::find_or_create;

    /// A table that another program created, with one column required.
    async fn table_that_requires(store: &Store, column: &str) -> TableName {
        let name = TableName::parse(&format!("ns.needs_{column}")).unwrap();
        let schema = audit_schema(&[]).unwrap();
        let fields = schema.as_struct().fields().iter().map(|field| {
            let mut field = NestedField::clone(field);
            field.required = field.name == column;
            field.into()
        });
        let schema = Schema::builder().with_fields(fields.collect::<Vec<_>>()).build().unwrap();
        let creation = TableCreation::builder()
            .name(String::new())
            .schema(schema)
            .partition_spec(audit_partitions().unwrap())
            .build();
        find_or_create(store, &name, creation).await.unwrap();
        name
    }

    #[tokio::test]
    async fn no_column_may_be_required_that_system_rows_leave_null() {
        let dir = tempfile::tempdir().unwrap();
        let settings = CatalogSettings {
            uri: format!("sqlite:{}", dir.path().join("c.db").display()),
            warehouse: dir.path().join("w").display().to_string(),
            name: "audit_host".to_owned(),
        };
        let store = Store::open(&settings).await.unwrap();
        for column in [schema::AUDIT_ID, schema::EVENT_TIMESTAMP, "user_id", "details"] {
            let name = table_that_requires(&store, column).await;
            let table = store.load(&name).await.unwrap();
            fit_audit_table(&store, &name, table, &[]).await.unwrap();
        }
        for column in ["user_email", "session_id", schema::SOURCE_TOPIC, schema::SOURCE_OFFSET] {
            let name = table_that_requires(&store, column).await;
            let table = store.load(&name).await.unwrap();
            let refused = fit_audit_table(&store, &name, table, &[]).await.unwrap_err().to_string();
            assert!(refused.contains(&format!("requires the column {column}")), "{refused}");
        }
    }
}
