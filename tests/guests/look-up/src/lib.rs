//! Asks the host for everything that it offers besides log lines, and writes the answers into columns.

use audit_plugin_sdk::lookup::{self, Calendar, Table};
use audit_plugin_sdk::{
    Batch, Binding, BooleanColumn, Column, ColumnType, Config, ConfigError, Context, Description,
    Fault, Fixed, Judgement, Transform, crypto, export_transform, serde,
};

/// The configuration. Unknown keys are refused.
#[derive(Debug, serde::Deserialize)]
#[serde(crate = "serde", deny_unknown_fields)]
struct Settings {
    /// Asked for the column `role` by `user_id`.
    table: String,
    /// Asked for the time of the event.
    calendar: String,
    /// Makes tokens of `user_id`, and encrypts it for itself.
    key: String,
}

struct LookUp {
    settings: Settings,
    table: Table,
    calendar: Calendar,
}

impl Transform for LookUp {
    const DESCRIPTION: Description = Description::new("look_up", "0.1.0");

    fn configure(config: &Config) -> Result<(Self, Binding), ConfigError> {
        let settings: Settings = config.parse()?;
        let of_key = |key: &'static str| move |error: lookup::LookupError| error.of_key(key);
        let table = Table::open(&settings.table).map_err(of_key("table"))?;
        table.require_column("role").map_err(of_key("table"))?;
        let calendar = Calendar::open(&settings.calendar).map_err(of_key("calendar"))?;
        if !crypto::has_key(&settings.key) {
            return Err(ConfigError::new("key", "it is not granted".to_owned()));
        }
        let binding = Binding::default()
            .reading("user_id")
            .reading("event_timestamp")
            .adding_utf8("role")
            .adding("is_open", ColumnType::Boolean)
            .adding_utf8("token")
            .adding_utf8("sealed")
            .adding("generation", ColumnType::Int64);
        Ok((Self { settings, table, calendar }, binding))
    }

    fn process(&self, _: &Context, batch: &Batch, out: &mut Judgement) -> Result<(), Fault> {
        let users = batch.utf8("user_id")?;
        let times = batch.timestamp("event_timestamp")?;
        let rows = 0..batch.rows();
        let as_of: Vec<i64> = rows.clone().map(|row| times.get(row).unwrap_or(0)).collect();
        let roles = self.table.find("role", users, Some(&as_of))?;
        let mut calendar = self.calendar.clone();
        let mut open = Vec::new();
        for time in as_of {
            open.push(Some(calendar.at(time)?.is_open));
        }
        let key = &self.settings.key;
        out.write_utf8("role", roles);
        out.write("is_open", Column::Boolean(BooleanColumn::from_options(&open)));
        out.write_utf8("token", crypto::token(key, users)?);
        out.write_utf8("sealed", crypto::encrypt(key, "user_id", users, users)?);
        let generation = lookup::generation() as i64;
        let generations = vec![Some(generation); batch.rows()];
        out.write("generation", Column::Int64(Fixed::from_options(&generations, 0)));
        Ok(())
    }
}

export_transform!(LookUp);
