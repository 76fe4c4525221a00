//! The configuration: as written, then checked and its tables opened.

use audit_hours::{Hours, Keys};
use audit_plugin_sdk::lookup::Table;
use audit_plugin_sdk::{Config, ConfigError, Span, serde};

/// JSON Schema of the configuration.
pub(crate) const SCHEMA: &str = include_str!("schema.json");

const FUTURE_MAX: Span = Span::from_secs(86_400);

/// The default column for the class of a network, if the table has it.
const CLASS_COLUMN: &str = "class";

/// The keys as the user writes them.
#[derive(Debug, serde::Deserialize)]
#[serde(crate = "serde", deny_unknown_fields, default, rename_all = "kebab-case")]
struct File {
    calendar: Option<String>,
    utc_offset: Option<String>,
    hours: Option<Vec<String>>,
    networks: Option<String>,
    network_name: Option<String>,
    network_class: Option<String>,
    roles: Option<String>,
    role_column: Option<String>,
    max_future: Span,
}

impl Default for File {
    fn default() -> Self {
        Self {
            calendar: None,
            utc_offset: None,
            hours: None,
            networks: None,
            network_name: None,
            network_class: None,
            roles: None,
            role_column: None,
            max_future: Span::from_secs(300),
        }
    }
}

/// A checked configuration.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) hours: Hours,
    pub(crate) networks: Option<Networks>,
    pub(crate) roles: Option<Roles>,
    /// How far an event's time may be ahead of its Kafka time.
    pub(crate) max_future_micros: i64,
}

/// The table of known networks.
#[derive(Debug)]
pub(crate) struct Networks {
    pub(crate) table: Table,
    pub(crate) name: String,
    /// `None`: every address in the table is of class `office`.
    pub(crate) class: Option<String>,
}

/// The table of roles.
#[derive(Debug)]
pub(crate) struct Roles {
    pub(crate) table: Table,
    pub(crate) column: String,
}

impl Settings {
    pub(crate) fn from_config(config: &Config) -> Result<Self, ConfigError> {
        let file: File = config.parse()?;
        if file.max_future > FUTURE_MAX {
            let message = format!("{} is not in the range 0s to {FUTURE_MAX}", file.max_future);
            return Err(ConfigError::new("max-future", message));
        }
        let networks = [
            ("network-name", file.network_name.as_ref()),
            ("network-class", file.network_class.as_ref()),
        ];
        needs("networks", file.networks.as_ref(), &networks)?;
        needs("roles", file.roles.as_ref(), &[("role-column", file.role_column.as_ref())])?;
        Ok(Self {
            hours: Hours::from_keys(Keys {
                calendar: file.calendar.as_deref(),
                utc_offset: file.utc_offset.as_deref(),
                hours: file.hours.as_deref(),
            })?,
            networks: file
                .networks
                .map(|table| Networks::open(&table, file.network_name, file.network_class))
                .transpose()?,
            roles: file.roles.map(|table| Roles::open(&table, file.role_column)).transpose()?,
            max_future_micros: file.max_future.micros(),
        })
    }
}

impl Networks {
    fn open(table: &str, name: Option<String>, class: Option<String>) -> Result<Self, ConfigError> {
        let table = Table::open(table).map_err(|error| error.of_key("networks"))?;
        if table.is_temporal() {
            let message = format!(
                "the table {} is valid for times: networks are those of today, leave valid-from out",
                table.name()
            );
            return Err(ConfigError::new("networks", message));
        }
        let name = name.unwrap_or_else(|| "name".to_owned());
        table.require_column(&name).map_err(|error| error.of_key("network-name"))?;
        let class = match class {
            Some(class) => {
                table.require_column(&class).map_err(|error| error.of_key("network-class"))?;
                Some(class)
            }
            None => table.has_column(CLASS_COLUMN).then(|| CLASS_COLUMN.to_owned()),
        };
        Ok(Self { table, name, class })
    }
}

impl Roles {
    fn open(table: &str, column: Option<String>) -> Result<Self, ConfigError> {
        let table = Table::open(table).map_err(|error| error.of_key("roles"))?;
        let column = column.unwrap_or_else(|| "role".to_owned());
        table.require_column(&column).map_err(|error| error.of_key("role-column"))?;
        Ok(Self { table, column })
    }
}

/// Refuses keys about a table that is not named.
fn needs(
    table: &str,
    name: Option<&String>,
    keys: &[(&str, Option<&String>)],
) -> Result<(), ConfigError> {
    match keys.iter().find(|(_, value)| value.is_some()) {
        Some((key, _)) if name.is_none() => {
            Err(ConfigError::new(key, format!("means nothing without {table}, the table's name")))
        }
        _ => Ok(()),
    }
}
