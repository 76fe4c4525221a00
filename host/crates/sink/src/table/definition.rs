//! The schemas of the tables: created, or checked where a table exists.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, TimeUnit};
use audit_core::schema;
use iceberg::TableCreation;
use iceberg::arrow::arrow_type_to_type;
use iceberg::spec::{
    FormatVersion, NestedField, PrimitiveType, Schema, Transform, Type, UnboundPartitionSpec,
};
use iceberg::table::Table;
use iceberg::transaction::{AddColumn, ApplyTransactionAction, Transaction};

use crate::catalog::Store;
use crate::epoch::{dead_letter, system_rows};
use crate::error::Error;
use crate::table::names::TableName;

/// Opens the audit table, creates it, or adds the columns that it lacks.
pub(crate) async fn open_audit_table(
    store: &Store,
    name: &TableName,
    added: &[Field],
) -> Result<Table, Error> {
    let creation = TableCreation::builder()
        .name(String::new())
        .schema(audit_schema(added)?)
        .partition_spec(audit_partitions()?)
        .properties(audit_properties())
        .format_version(FormatVersion::V2)
        .build();
    let table = open_or_create(store, name, creation).await?;
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
    tx.commit(store.catalog.as_ref()).await.map_err(failed)
}

/// Opens or creates the table of dead letters.
pub(crate) async fn open_dead_letters(store: &Store, name: &TableName) -> Result<Table, Error> {
    let creation = TableCreation::builder()
        .name(String::new())
        .schema(dead_letter::schema().map_err(|cause| name.failed("defining", cause))?)
        .properties(HashMap::from([(
            "comment".to_owned(),
            "Records of the audit trail that could not be decoded or judged".to_owned(),
        )]))
        .format_version(FormatVersion::V2)
        .build();
    let wanted = Arc::new(creation.schema.clone());
    let table = open_or_create(store, name, creation).await?;
    for field in wanted.as_struct().fields() {
        check_type(name, &table, &field.name, &field.field_type)?;
    }
    Ok(table)
}

async fn open_or_create(
    store: &Store,
    name: &TableName,
    mut creation: TableCreation,
) -> Result<Table, Error> {
    let ident = name.ident().map_err(|cause| name.failed("naming", cause))?;
    let namespace = ident.namespace();
    let catalog = store.catalog.as_ref();
    let failed_open = |cause| name.failed("opening", cause);
    if catalog.table_exists(&ident).await.map_err(failed_open)? {
        return catalog.load_table(&ident).await.map_err(failed_open);
    }
    let failed_create = |cause| name.failed("creating", cause);
    // Another instance may be quicker. The error then depends on the catalog, so look again.
    if !catalog.namespace_exists(namespace).await.map_err(failed_create)?
        && let Err(cause) = catalog.create_namespace(namespace, HashMap::new()).await
        && !catalog.namespace_exists(namespace).await.map_err(failed_create)?
    {
        return Err(failed_create(cause));
    }
    ident.name().clone_into(&mut creation.name);
    match catalog.create_table(namespace, creation).await {
        Ok(table) => {
            tracing::info!(table = %name, location = table.metadata().location(), "created table");
            Ok(table)
        }
        Err(_) if catalog.table_exists(&ident).await.map_err(failed_create)? => {
            catalog.load_table(&ident).await.map_err(failed_open)
        }
        Err(cause) => Err(failed_create(cause)),
    }
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
        open_or_create(store, &name, creation).await.unwrap();
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
            open_audit_table(&store, &name, &[]).await.unwrap();
        }
        for column in ["user_email", "session_id", schema::SOURCE_TOPIC, schema::SOURCE_OFFSET] {
            let name = table_that_requires(&store, column).await;
            let refused = open_audit_table(&store, &name, &[]).await.unwrap_err().to_string();
            assert!(refused.contains(&format!("requires the column {column}")), "{refused}");
        }
    }
}
