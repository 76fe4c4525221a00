//! Masks a column of text: the first characters stay, `***` stands for the rest.

use audit_plugin_sdk::{
    Batch, Binding, Config, ConfigError, Context, Description, Fault, Judgement, Transform,
    Utf8Edit, export_transform,
};

/// The longest beginning of a value that may stay.
const KEEP_MAX: usize = 16;
const MASK: &str = "***";

/// The configuration as the user writes it. Unknown keys are refused.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    /// The column to mask.
    column: String,
    /// How many characters stay.
    keep: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { column: "user_email".to_owned(), keep: 1 }
    }
}

/// The plugin as it was configured.
#[derive(Debug)]
pub struct Plugin {
    settings: Settings,
}

impl Transform for Plugin {
    const DESCRIPTION: Description = Description {
        config_schema: include_str!("schema.json"),
        ..Description::new("{{name}}", env!("CARGO_PKG_VERSION"))
    };

    fn configure(config: &Config) -> Result<(Self, Binding), ConfigError> {
        let settings: Settings = config.parse()?;
        if settings.keep > KEEP_MAX {
            let message = format!("{} is above {KEEP_MAX}", settings.keep);
            return Err(ConfigError::new("keep", message));
        }
        let binding = Binding::default().replacing_utf8(&settings.column);
        Ok((Self { settings }, binding))
    }

    fn process(&self, _: &Context, batch: &Batch, out: &mut Judgement) -> Result<(), Fault> {
        let Settings { column, keep } = &self.settings;
        let values = batch.utf8(column)?;
        // Rows that are not set stay as they are: nulls here.
        let mut edit = Utf8Edit::new(values);
        for row in 0..batch.rows() {
            if let Some(value) = values.get_str(row) {
                let kept: String = value.chars().take(*keep).collect();
                edit.set(row, (kept + MASK).as_bytes());
            }
        }
        out.write_utf8(column, edit.finish());
        Ok(())
    }
}

export_transform!(Plugin);
