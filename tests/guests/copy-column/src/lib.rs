//! Reads four columns and returns one as it came: what this costs is what the boundary costs.

use audit_plugin_sdk::{
    Batch, Binding, Config, ConfigError, Context, Description, Fault, Judgement, Transform,
    export_transform,
};

/// Read and not used, as far as the boundary can tell.
const READ: [&str; 3] = ["user_email", "action_result", "ip_address"];
/// Read and returned.
const COPIED: &str = "user_agent";

/// The plugin.
#[derive(Debug)]
pub(crate) struct CopyColumn;

impl Transform for CopyColumn {
    const DESCRIPTION: Description = Description::new("copy_column", "0.1.0");

    fn configure(_: &Config) -> Result<(Self, Binding), ConfigError> {
        let binding = READ.iter().fold(Binding::default(), |binding, name| binding.reading(name));
        Ok((Self, binding.replacing_utf8_keeping_equality(COPIED)))
    }

    fn process(&self, _: &Context, batch: &Batch, out: &mut Judgement) -> Result<(), Fault> {
        out.write_utf8(COPIED, batch.utf8(COPIED)?.clone());
        Ok(())
    }
}

export_transform!(CopyColumn);
