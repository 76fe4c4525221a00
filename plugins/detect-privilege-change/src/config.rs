//! The configuration: as written, then checked and its table opened.

use audit_detect::{
    FUTURE_MAX, Limits, STATE_BYTES_DEFAULT, WINDOW_MAX, WINDOW_MIN, in_range, kept_micros, limits,
    not_empty,
};
use audit_plugin_sdk::lookup::Table;
use audit_plugin_sdk::{Config, ConfigError, Span, serde};

/// JSON Schema of the configuration.
pub(crate) const SCHEMA: &str = include_str!("schema.json");

/// The highest `max-late`.
const LATE_MAX: Span = Span::from_secs(30 * 86_400);

/// The keys as the user writes them.
#[derive(Debug, serde::Deserialize)]
#[serde(crate = "serde", deny_unknown_fields, default, rename_all = "kebab-case")]
struct File {
    roles: Option<String>,
    role_column: String,
    admin_roles: Vec<String>,
    unknown_actors: UnknownActors,
    grant_actions: Vec<String>,
    revoke_actions: Vec<String>,
    results: Vec<String>,
    grantee_fields: Vec<String>,
    window: Span,
    max_late: Span,
    max_future: Span,
    max_keys: usize,
    state_bytes_max: usize,
    show_email: bool,
}

/// How to treat an actor that is not in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(crate = "serde", rename_all = "kebab-case")]
pub(crate) enum UnknownActors {
    /// It is not an admin.
    Alert,
    /// It may do anything except grant itself something.
    Ignore,
}

impl Default for File {
    fn default() -> Self {
        let text = |text: &str| vec![text.to_owned()];
        Self {
            roles: None,
            role_column: "role".to_owned(),
            admin_roles: text("admin"),
            unknown_actors: UnknownActors::Alert,
            grant_actions: text("permission_grant"),
            revoke_actions: text("permission_revoke"),
            results: text("success"),
            grantee_fields: text("granted_to"),
            window: Span::from_secs(3_600),
            max_late: Span::from_secs(86_400),
            max_future: Span::from_secs(300),
            max_keys: 100_000,
            state_bytes_max: STATE_BYTES_DEFAULT,
            show_email: false,
        }
    }
}

/// A checked configuration.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) roles: Table,
    pub(crate) role_column: String,
    pub(crate) admin_roles: Vec<Vec<u8>>,
    pub(crate) unknown_actors: UnknownActors,
    pub(crate) grant_actions: Vec<Vec<u8>>,
    pub(crate) revoke_actions: Vec<Vec<u8>>,
    pub(crate) results: Vec<Vec<u8>>,
    pub(crate) grantee_fields: Vec<String>,
    /// For messages.
    pub(crate) window: Span,
    pub(crate) window_micros: i64,
    /// An event that is later than this also needs the role as of its arrival.
    pub(crate) max_late_micros: i64,
    /// How far an event's time may be ahead of its Kafka time.
    pub(crate) max_future_micros: i64,
    pub(crate) limits: Limits,
    pub(crate) show_email: bool,
}

impl Settings {
    pub(crate) fn from_config(config: &Config) -> Result<Self, ConfigError> {
        let file: File = config.parse()?;
        for (key, values) in [
            ("admin-roles", &file.admin_roles),
            ("grant-actions", &file.grant_actions),
            ("revoke-actions", &file.revoke_actions),
            ("results", &file.results),
        ] {
            not_empty(key, values)?;
        }
        if let Some(both) = file.grant_actions.iter().find(|a| file.revoke_actions.contains(a)) {
            let message = format!("{both:?} is among grant-actions as well");
            return Err(ConfigError::new("revoke-actions", message));
        }
        if let Some(at) = file.grantee_fields.iter().position(String::is_empty) {
            let message = "an empty key of details: write \"granted_to\"".to_owned();
            return Err(ConfigError::new(&format!("grantee-fields[{at}]"), message));
        }
        in_range("window", file.window, WINDOW_MIN, WINDOW_MAX)?;
        in_range("max-late", file.max_late, Span::from_secs(0), LATE_MAX)?;
        in_range("max-future", file.max_future, Span::from_secs(0), FUTURE_MAX)?;
        let kept = kept_micros(file.window.micros());
        let limits = limits(file.max_keys, file.state_bytes_max, kept)?;
        let bytes = |texts: Vec<String>| texts.into_iter().map(String::into_bytes).collect();
        Ok(Self {
            roles: open(file.roles.as_deref(), &file.role_column)?,
            role_column: file.role_column,
            admin_roles: bytes(file.admin_roles),
            unknown_actors: file.unknown_actors,
            grant_actions: bytes(file.grant_actions),
            revoke_actions: bytes(file.revoke_actions),
            results: bytes(file.results),
            grantee_fields: file.grantee_fields,
            window: file.window,
            window_micros: file.window.micros(),
            max_late_micros: file.max_late.micros(),
            max_future_micros: file.max_future.micros(),
            limits,
            show_email: file.show_email,
        })
    }

    /// How long after an event its window is kept.
    pub(crate) fn kept_micros(&self) -> i64 {
        kept_micros(self.window_micros)
    }
}

/// An event has the actor but not the role. Without a table the rule would never fire, or always, so the plugin
/// does not start.
fn open(name: Option<&str>, column: &str) -> Result<Table, ConfigError> {
    let Some(name) = name else {
        let message =
            "no table says which role an actor has: write roles = \"roles\" here, lookups = \
                       [\"roles\"] into the [[plugin]], and [lookups.roles] with a file of \
                       user_id,role,valid_from,valid_to"
                .to_owned();
        return Err(ConfigError::new("roles", message));
    };
    let table = Table::open(name).map_err(|error| error.of_key("roles"))?;
    table.require_column(column).map_err(|error| error.of_key("role-column"))?;
    Ok(table)
}
