//! Raises an alert when a user has more events in a window of time than allowed.
//!
//! Windows lie side by side and one is open at a time: the state is one count a user, and bounded. An
//! event that comes after its window was closed is not counted.

mod state;

use audit_plugin_sdk::{
    Alert, Batch, Binding, Config, ConfigError, Context, Description, Detector, Fault, Field,
    Judgement, Position, RestoreError, Severity, export_detector, log,
};

use state::{State, Tally};

/// The version of the format of [`state`]. Raise it when the format changes.
const STATE_VERSION: u32 = 1;
const SECOND_MICROS: i64 = 1_000_000;
const COLUMNS: [&str; 4] = ["user_id", "event_timestamp", "source_partition", "source_offset"];

/// The configuration as the user writes it. Unknown keys are refused.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
struct Settings {
    /// More events than this in a window raise an alert.
    threshold: u64,
    window_seconds: i64,
    /// The most users that are counted in a window.
    max_users: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { threshold: 100, window_seconds: 3600, max_users: 10_000 }
    }
}

/// The plugin as it was configured, with what it remembers.
#[derive(Debug)]
pub struct Plugin {
    settings: Settings,
    state: State,
}

impl Detector for Plugin {
    const DESCRIPTION: Description = Description {
        config_schema: include_str!("schema.json"),
        key_columns: &["user_id"],
        state_version: STATE_VERSION,
        ..Description::new("{{name}}", env!("CARGO_PKG_VERSION"))
    };

    fn configure(config: &Config) -> Result<(Self, Binding), ConfigError> {
        let settings: Settings = config.parse()?;
        in_range("threshold", settings.threshold, 1, 1_000_000)?;
        in_range("window-seconds", settings.window_seconds, 1, 86_400)?;
        in_range("max-users", settings.max_users, 1, 100_000)?;
        let binding = COLUMNS.iter().fold(Binding::default(), |binding, name| binding.reading(name));
        Ok((Self { settings, state: State::default() }, binding))
    }

    fn process(&mut self, ctx: &Context, batch: &Batch, out: &mut Judgement) -> Result<(), Fault> {
        // All columns first: a fault must leave the state as it was.
        let users = batch.utf8("user_id")?;
        let times = batch.timestamp("event_timestamp")?;
        let partitions = batch.int32("source_partition")?;
        let offsets = batch.int64("source_offset")?;
        let window_micros = self.settings.window_seconds * SECOND_MICROS;
        let mut n_uncounted = 0;
        for row in 0..batch.rows() {
            let (Some(user), Some(time)) = (users.get_str(row), times.get(row)) else { continue };
            // Event times come from clients: none is believed to be ahead of Kafka's clock, or one wrong
            // event would close the window for all others.
            let time = time.min(ctx.clock);
            let window = time.div_euclid(window_micros) * window_micros;
            if window < self.state.window {
                continue;
            }
            self.state.open(window);
            let Some(tally) = self.state.tally(user, time, self.settings.max_users) else {
                n_uncounted += 1;
                continue;
            };
            let position = partitions.get(row).zip(offsets.get(row));
            tally.add(time, position.map(|(partition, offset)| Position { partition, offset }));
            // Once a window: a second alert of the same rule, key and window is the same alert.
            if tally.count == self.settings.threshold + 1 {
                out.alert(alert(user, window, tally, &self.settings));
            }
        }
        if n_uncounted > 0 {
            log::warn(&format!("{n_uncounted} events of further users were not counted: raise max-users"));
        }
        Ok(())
    }

    fn snapshot(&self) -> Vec<u8> {
        self.state.write()
    }

    fn restore(&mut self, version: u32, bytes: &[u8]) -> Result<(), RestoreError> {
        if version != STATE_VERSION {
            return Err(RestoreError::UnsupportedVersion);
        }
        self.state = State::read(bytes)
            .ok_or_else(|| RestoreError::Corrupt("not a state of this detector".to_owned()))?;
        Ok(())
    }
}

export_detector!(Plugin);

fn alert(user: &str, window: i64, tally: &Tally, settings: &Settings) -> Alert {
    Alert {
        rule: "many-events".to_owned(),
        severity: Severity::Medium,
        key: vec![Field { name: "user_id".to_owned(), value: user.to_owned() }],
        window_start: window,
        first_event: tally.first,
        last_event: tally.last,
        count: tally.count,
        events: tally.events.clone(),
        message: format!(
            "{} events of one user within {} s, more than {} allowed",
            tally.count, settings.window_seconds, settings.threshold
        ),
        labels: Vec::new(),
    }
}

fn in_range<T: PartialOrd + std::fmt::Display>(
    key: &str,
    value: T,
    min: T,
    max: T,
) -> Result<(), ConfigError> {
    if value < min || value > max {
        return Err(ConfigError::new(key, format!("{value} is not in the range {min} to {max}")));
    }
    Ok(())
}
